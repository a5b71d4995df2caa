"""Pick, do not draw: the drafts that differ most in a strip, one key takes one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QEnterEvent, QKeyEvent, QMouseEvent, QPixmap
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.canvas.layer_updates import (
    add_locked,
    new_labels,
    over_film,
    place,
    remove_locked,
)
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg.schema import Mask
from napari_wsseg.session.effort import candidates
from napari_wsseg.session.effort.candidates import Candidate

SIDE = 512
"""Longest side, in pixels, at which candidates are compared and outlined."""

TILE = 112
"""Side of a small picture, in pixels of the screen."""


def take(bench: Workbench, finding: str, candidate: Candidate) -> None:
    """Make a candidate the mask of a finding, as one step that undo takes back."""
    case = bench.session.case
    if case is not None and bench.session.may_draw(finding):
        bench.autosave.apply(
            finding,
            candidate.draw(case.shape),
            f"picked {candidate.name}",
            candidate.run,
        )
    bench.focus_canvas()


def take_best(bench: Workbench) -> None:
    """Take the best guess that draws anything; say so where there is none."""
    finding, case = bench.session.looking.finding, bench.session.case
    if finding is None or case is None:
        return
    small = _thumbnails.small_shape(case.shape, SIDE)
    for candidate in bench.session.candidates():
        if candidate.draw(small).any():
            take(bench, finding.name, candidate)
            return
    bench.session.message.emit(f"No stage offers anything for {finding.name} here")


def title(name: str) -> str:
    """Return how a candidate is called on screen."""
    stage, _, rest = name.partition(" ")
    return f"{STAGE_NAMES.get(stage, stage)} {rest}".strip()


def short(name: str) -> str:
    """Return what fits under a small picture."""
    stage, _, rest = name.partition(" ")
    shown = STAGE_NAMES.get(stage, stage)
    match rest:
        case "lower cut":
            return f"↓ {shown}"
        case "higher cut":
            return f"↑ {shown}"
        case "of the run before":
            return "Run before"
        case _:
            return f"{shown} {rest}".strip()


class Tile(QFrame):
    """One candidate: its number, its picture, its name."""

    def __init__(self, number: int, strip: CandidateStrip) -> None:
        super().__init__()
        self.number, self.strip = number, strip
        self.picture, self.name = QLabel(), QElidingLabel()
        self.picture.setFixedSize(TILE, TILE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.name.setFixedWidth(TILE)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 2)
        layout.setSpacing(2)
        layout.addWidget(self.picture)
        layout.addWidget(self.name)

    def fill(self, candidate: Candidate, picture: QPixmap) -> None:
        """Show a candidate."""
        self.picture.setPixmap(picture)
        self.name.setText(f"{self.number}  {short(candidate.name)}")
        self.setToolTip(
            f"{title(candidate.name)}: press {self.number}, or click, to begin with it"
        )

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Outline the candidate on the film."""
        self.strip.point_at(self.number)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Take the outline away."""
        self.strip.point_at(0)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take the candidate."""
        self.strip.take(self.number)


class CandidateStrip(QFrame):
    """Small pictures along the foot of the canvas; 1 to 6 takes one, Esc leaves.

    Attributes
    ----------
    found
        What is shown, with its mask at `SIDE`.
    outline
        Layer with the rim of the candidate that the pointer is on.
    """

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.bench, self.session = bench, bench.session
        self.found: list[tuple[Candidate, Mask]] = []
        self.outline: Labels | None = None
        self._latest = Latest(bench.drawing)
        self._finding = ""
        self.tiles = [Tile(number, self) for number in range(1, candidates.MOST + 1)]
        self.setAutoFillBackground(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        for tile in self.tiles:
            layout.addWidget(tile)
        self.hide()
        if parent is not None:
            parent.installEventFilter(self)
        session = self.session
        listen(self, self.leave, session.case_changed, session.closing)
        listen(self, self.leave, session.looking.finding_changed)

    def toggle(self) -> None:
        """Show what there is for the finding in hand, or leave."""
        if self.isVisible():
            self.leave()
        else:
            self._look()

    def leave(self) -> None:
        """Hide the strip and its outline."""
        self._drop_outline()
        if self.isVisible():
            self.hide()
            self.bench.focus_canvas()

    def take(self, number: int) -> None:
        """Begin the mask with a candidate, 1 for the first."""
        if not 1 <= number <= len(self.found):
            return
        candidate = self.found[number - 1][0]
        self.leave()
        take(self.bench, self._finding, candidate)

    def point_at(self, number: int) -> None:
        """Outline a candidate on the film; 0 takes the outline away."""
        finding, case = self.session.looking.finding, self.session.case
        if not 1 <= number <= len(self.found) or finding is None or case is None:
            self._drop_outline()
            return
        mask = self.found[number - 1][1]
        rim = _thumbnails.edge(mask, 2).astype(np.uint8)
        with self.bench.layers.quietly():
            if self.outline is None:
                self.outline = new_labels(
                    "Candidate", {1: "#FFFFFF", None: "#FFFFFF"}, 1.0
                )
                self.outline.data = rim
                unit = "pixel" if case.spacing_mm is None else "mm"
                self.outline.units = (unit, unit)
                place(self.outline, *over_film(case, rim.shape))
                active = self.bench.viewer.layers.selection.active
                add_locked(self.bench.viewer, self.outline)
                self.bench.viewer.layers.selection.active = active
            else:
                self.outline.data = rim
            self.outline.editable = False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take a candidate by its number, leave on Esc or C; the rest goes on."""
        if event is None:
            return
        number = event.key() - int(Qt.Key.Key_0)
        if 1 <= number <= candidates.MOST:
            self.take(number)
        elif event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_C):
            self.leave()
        else:
            event.ignore()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay at the foot of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _look(self) -> None:
        finding, opened = self.session.looking.finding, self.session.opened
        if finding is None or opened is None:
            return
        self._finding = finding.name
        every = self.session.candidates()
        shape = _thumbnails.small_shape(opened.case.shape, SIDE)
        pixels, colour = opened.radiograph.pixels, finding.colour
        window = self.session.tone.grey_window(opened.case.id, pixels)
        case_id = opened.case.id

        def work() -> tuple[list[tuple[Candidate, Mask]], list[NDArray[np.uint8]]]:
            found = candidates.differing(every, shape)
            film = _thumbnails.grey(
                pixels, _thumbnails.small_shape(shape, 2 * TILE), window
            )
            pictures = [
                _thumbnails.with_masks(film, [(mask, colour)], filled=False)
                for _, mask in found
            ]
            return found, pictures

        def done(
            result: tuple[list[tuple[Candidate, Mask]], list[NDArray[np.uint8]]],
        ) -> None:
            here = self.session.case
            if here is not None and here.id == case_id:
                self._show(*result)

        self._latest.submit(
            work, done, lambda error: self.session.message.emit(str(error))
        )

    def _show(
        self,
        found: list[tuple[Candidate, Mask]],
        pictures: Sequence[NDArray[np.uint8]],
    ) -> None:
        self.found = found
        if not found:
            title = self.session.looking.title(self._finding)
            self.session.message.emit(f"No stage offers anything for {title}")
            return
        for number, tile in enumerate(self.tiles):
            tile.setVisible(number < len(found))
            if number < len(found):
                shown = pixmap(pictures[number]).scaled(
                    TILE,
                    TILE,
                    Qt.AspectRatioMode.KeepAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
                tile.fill(found[number][0], shown)
        self.adjustSize()
        self.show()
        self._fit()
        self.raise_()
        self.setFocus()

    def _fit(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            self.adjustSize()
            self.move(
                max(0, (parent.width() - self.width()) // 2),
                max(0, parent.height() - self.height() - 8),
            )

    def _drop_outline(self) -> None:
        outline, self.outline = self.outline, None
        if outline is not None and outline in self.bench.viewer.layers:
            active = self.bench.viewer.layers.selection.active
            with self.bench.layers.quietly():
                remove_locked(self.bench.viewer, outline)
                if active in self.bench.viewer.layers:
                    self.bench.viewer.layers.selection.active = active
