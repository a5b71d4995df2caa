"""What the order on screen goes by, worked out in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg._widgets.worklist import uncertainty as _uncertainty
from napari_wsseg._widgets.worklist.model import WorklistModel
from napari_wsseg.schema import STAGES
from napari_wsseg.session.case_list import reading_order

_Measure = Callable[[Path, str, str], dict[str, float]]

_MEASURES: Mapping[str, _Measure] = {
    reading_order.MACHINE: reading_order.machine_against_expert,
    reading_order.AGAIN: reading_order.accepted_again,
}
"""What an order goes by, where it is not how uncertain films are."""


class FilmScores(QObject):
    """Scores of films, for the model of a worklist.

    Parameters
    ----------
    bench
        Whose session and thread.
    model
        Gets what is found.
    """

    reordered = Signal()
    """Films come in another order, or others pass the filter."""
    changed = Signal()
    """Something else is to be drawn of the same rows."""

    def __init__(self, bench: Workbench, model: WorklistModel) -> None:
        super().__init__()
        self.session = bench.session
        self.model = model
        self._scores = Latest(bench.scoring)
        self._compared = Latest(bench.scoring)
        self._sure = Latest(bench.scoring)
        self._placed = Latest(bench.scoring)

    def measure(self) -> None:
        """Work out, in the background, what the order on screen goes by."""
        session, project = self.session, self.session.project
        if project is None:
            return
        self.compare_readers()
        folder, order, shown = project.folder, self.model.order, session.showing.shown
        ran = [(s, shown.runs[s]) for s in reversed(STAGES) if s in shown.runs]
        if order == reading_order.READERS:
            return
        if order in reading_order.NEXT:
            self._placed.submit(
                lambda: reading_order.next_films(folder, order),
                lambda found: self._take_places(order, *found),
                self._not_scored,
            )
        if not ran:
            self._scored(order, {})
            return
        stage, run = ran[0]
        # What the machine hesitates about is worth a glance in every other order.
        measure: _Measure = _uncertainty.scores
        if session.reading.mode != "blind":
            measure = _MEASURES.get(order, measure)
        self._scores.submit(
            lambda: measure(folder, stage, run),
            lambda scores: self._scored(order, scores),
            self._not_scored,
        )
        self._sure.submit(
            lambda: _uncertainty.least_sure(folder, stage, run),
            self._show_sure,
            self._not_scored,
        )

    def _show_sure(self, found: Mapping[str, tuple[str, float]]) -> None:
        self.model.least_sure = found
        self.changed.emit()

    def compare_readers(self) -> None:
        """Compare readers; of a blind reading nothing is compared."""
        project = self.session.project
        if project is None or self.session.reading.mode == "blind":
            return
        folder = project.folder
        self._compared.submit(
            lambda: reading_order.between_readers(folder), self._apart, self._not_scored
        )

    def _apart(self, found: Mapping[str, float]) -> None:
        if self.session.reading.mode == "blind":
            return
        changed = found != self.model.disagreeing
        self.model.disagreeing = found
        if self.model.order == reading_order.READERS:
            self._scored(reading_order.READERS, found)
        elif changed and self.model.filter == "Disagree":
            self.reordered.emit()

    def _scored(self, order: str, scores: Mapping[str, float]) -> None:
        if order != self.model.order or scores == self.model.scores:
            return
        self.model.scores = scores
        if order in (
            reading_order.UNCERTAIN,
            reading_order.READERS,
            reading_order.MACHINE,
            reading_order.AGAIN,
        ):
            self.reordered.emit()
        else:
            self.changed.emit()

    def _take_places(self, order: str, places: Mapping[str, float], why: str) -> None:
        if order == self.model.order and places != self.model.places:
            self.model.places = places
            self.reordered.emit()
            if why:
                self.session.message.emit(f"{why[0].upper()}{why[1:]}.")

    def _not_scored(self, error: Exception) -> None:
        self.session.message.emit(f"Films could not be ordered: {error}")
