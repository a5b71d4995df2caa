"""Which of a run's maps the stage "CAM" shows; what is missing is computed."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.processes.map_job import ALL, MapMaker
from napari_wsseg.pipeline.inference import variants
from napari_wsseg.session.shown_runs import read_every_map
from napari_wsseg.session.state import ONLY_LOOKS


class MapChoice(QWidget):
    """A list of maps, and a word on what is being computed.

    Attributes
    ----------
    beside
        The button for all of them side by side, to be laid out by whoever shows this.
    """

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.maker = MapMaker(self)
        self.list = QComboBox()
        self.list.setToolTip(
            "How the classifier is asked where it looked. Every map is kept: going "
            "back to one costs nothing."
        )
        self.list.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.beside = QPushButton("Maps side by side")
        self.beside.setToolTip("Every map of this film beside each other")
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.action = QPushButton()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("Map"), 0, 0)
        layout.addWidget(self.list, 0, 1, 1, 2)
        layout.addWidget(self.state, 1, 0, 1, 2)
        layout.addWidget(self.action, 1, 2)
        layout.setColumnStretch(1, 1)
        self.list.activated.connect(self._chosen)
        self.beside.clicked.connect(self._side_by_side)
        self.action.clicked.connect(self._act)
        self.maker.moved.connect(self._moved)
        self.maker.failed.connect(self.session.message.emit)
        listen(
            self,
            self._update_text,
            self.session.case_changed,
            self.session.stages_changed,
            self.session.project_changed,
        )
        listen(self, self.maker.close, self.session.closing)
        self.destroyed.connect(self.maker.close)
        self._update_text()

    @property
    def missing(self) -> bool:
        """Whether the open film lacks the map that is chosen."""
        opened, showing = self.session.opened, self.session.showing
        return bool(showing.map) and opened is not None and "cam" not in opened.maps

    def _update_text(self) -> None:
        showing = self.session.showing
        self.setVisible(len(showing.maps) > 1)
        self.beside.setVisible(len(showing.maps) > 1)
        known = [self.list.itemData(place) for place in range(self.list.count())]
        if known != list(showing.maps):
            self.list.clear()
            for place, variant in enumerate(showing.maps):
                own = "" if place else " (default)"
                self.list.addItem(variants.variant_title(variant) + own, variant)
        self.list.setCurrentIndex(max(0, self.list.findData(showing.map)))
        busy, missing = self.maker.busy, self.missing
        if busy:
            self.state.setText(f"Computing {self._what()}: {self.maker.message}")
        elif missing:
            self.state.setText("Not computed for this film")
        self.action.setText("Stop" if busy else "Compute")
        may = busy or not self.session.readonly
        self.action.setEnabled(may)
        self.action.setToolTip("" if may else ONLY_LOOKS)
        self.state.setVisible(busy or missing)
        self.action.setVisible(busy or missing)

    def _what(self) -> str:
        if self.maker.variant == ALL:
            return "all maps of this film"
        return variants.variant_title(self.maker.variant)

    def _chosen(self, place: int) -> None:
        variant = str(self.list.itemData(place))
        self.session.looking.set_view("cam")
        if variant != self.session.showing.map:
            self.session.choose_map(variant)
            # What is known of the new map is known once its files have been read.
            self.bench.loading.drain()
            if self.missing:
                self._make(variant)
        self.bench.focus_canvas()

    def _make(self, variant: str) -> None:
        project, case, run = (
            self.session.project,
            self.session.case,
            self.session.showing.run,
        )
        if project is None or case is None or run is None or project.readonly:
            return
        self.maker.make(project.folder, run, variant, case.id)

    def _act(self) -> None:
        if self.maker.busy:
            self.maker.stop()
        else:
            self._make(self.session.showing.map)
        self.bench.focus_canvas()

    def _moved(self) -> None:
        if self.missing or (self.maker.variant == ALL):
            self.session.refresh_maps()
        self._update_text()

    def _side_by_side(self) -> None:
        session = self.session
        self.bench.maps_wanted.emit()
        if session.project is None or session.case is None:
            return
        seen = read_every_map(session.project.folder, session.case.id, session.showing)
        if set(session.showing.maps) - set(seen):
            self._make(ALL)
