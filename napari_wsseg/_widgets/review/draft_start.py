"""Where an expert mask begins: the stage shown, another one, an earlier version."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts import formatting as _formatting
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.review.findings_table import area
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import STAGES, Annotation

IMPORTED = "import"
"""Reader of the masks that came with the films."""

TALL = 32
"""Height of a button that a finger can hit, in pixels."""


class StartRow(QWidget):
    """Start from the stage shown, from anything else there is, or from nothing."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self.button = QPushButton()
        self.others = QPushButton("More")
        self.others.setToolTip(
            "Start from another stage or from an earlier version of this mask"
        )
        self.menu = QMenu(self)
        self.others.setMenu(self.menu)
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Empty the mask: this finding is nowhere on this film")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget, stretch in ((self.button, 1), (self.others, 0), (self.clear, 0)):
            widget.setMinimumHeight(TALL)
            layout.addWidget(widget, stretch)
        self.button.clicked.connect(lambda: self.from_stage(self.source()))
        self.clear.clicked.connect(self._empty)
        self.menu.aboutToShow.connect(self.fill)
        session = self.session
        listen(
            self,
            self.refresh,
            session.project_changed,
            session.case_changed,
            session.stages_changed,
            session.looking.view_changed,
            session.looking.finding_changed,
        )
        self.refresh()

    def refresh(self) -> None:
        """Follow the stage shown and the current finding."""
        stage, finding = self.source(), self.session.looking.finding
        name = STAGE_NAMES[stage] if stage else "a stage"
        self.button.setText(f"Start from {name}")
        self.button.setEnabled(stage is not None)
        self.button.setToolTip(
            f"Copy the outline of {name} into the expert mask of "
            f"{finding.name if finding else 'the finding'}; one undo takes it back"
            if stage
            else "No stage has seen this film yet"
        )

    def source(self) -> str | None:
        """Return the stage to start from: the one shown, else the last that ran."""
        has = self.session.stages()
        if self.session.looking.view in has:
            return self.session.looking.view
        return next((stage for stage in reversed(STAGES) if stage in has), None)

    def fill(self) -> None:
        """Offer every stage that has seen the film, and every version of the mask."""
        self.menu.clear()
        for stage in self.session.stages():
            action = self.menu.addAction(f"Start from {STAGE_NAMES[stage]}")
            if action is not None:
                action.triggered.connect(lambda _=False, s=stage: self.from_stage(s))
        self.menu.addSeparator()
        versions = self.versions()
        for version in reversed(versions):
            action = self.menu.addAction(self._title(version))
            if action is not None:
                action.triggered.connect(
                    lambda _=False, v=version: self.from_version(v)
                )
        if not versions:
            none = self.menu.addAction("No earlier version of this mask")
            if none is not None:
                none.setEnabled(False)

    def versions(self) -> list[Annotation]:
        """Return the saved versions of the current mask, oldest first.

        The reader's own and imported ones: what other readers drew is for the panel
        that compares readers, and nothing of it may be seen in a blind reading.
        """
        project, case = self.session.project, self.session.case
        finding = self.session.looking.finding
        if project is None or case is None or finding is None:
            return []
        own = {self.session.reader}
        if self.session.reading.mode == "open":
            own.add(IMPORTED)
        history = project.history(case.id, finding.name)
        return [version for version in history if version.reader in own]

    def from_stage(self, stage: str | None) -> None:
        """Copy a stage's draft of the current finding into its expert mask."""
        if stage is None:
            return
        self.bench.autosave.lay_in(stage)
        self.bench.focus_canvas()

    def from_version(self, version: Annotation) -> None:
        """Copy an earlier version into the expert mask; it becomes a new version."""
        project = self.session.project
        if project is None:
            return
        try:
            mask = project.read_mask(version)
        except DataError as error:
            self.session.message.emit(str(error))
            return
        self.bench.autosave.apply(
            version.finding, mask, f"from version {version.version}", version.source_run
        )
        self.bench.focus_canvas()

    def _title(self, version: Annotation) -> str:
        case = self.session.case
        spacing = case.spacing_mm if case else None
        return (
            f"Start from version {version.version} · "
            f"{_formatting.moment(version.created)} · {version.tool} · "
            f"{area(version.area_px, spacing)}"
        )

    def _empty(self) -> None:
        finding, case = self.session.looking.finding, self.session.case
        if finding is not None and case is not None:
            nothing: NDArray[np.bool_] = np.zeros(case.shape, bool)
            self.bench.autosave.apply(finding.name, nothing, "clear")
        self.bench.focus_canvas()
