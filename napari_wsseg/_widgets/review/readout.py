"""What lies under the cursor, in words: grey, score, findings; and where."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts.connections import listen, while_alive
from napari_wsseg.ops import geometry
from napari_wsseg.schema import STAGES

_PAUSE_MS = 60
_NOTHING = "Point at the film to read its values"


class Readout(QLabel):
    """Two lines that follow the mouse over the film."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(_NOTHING)
        self.bench, self.session = bench, bench.session
        self.setFixedHeight(2 * self.fontMetrics().lineSpacing() + 4)
        # A long list of findings must not make the panel wider.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Grey: as displayed, after the file's own look-up tables and before the "
            "grey window, of the greys that its bits allow.\n"
            "Stage: its score, 0 to 1, of the current finding there."
        )
        # Every change draws the whole window: not at each of a mouse's many moves.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_PAUSE_MS)
        self._soon.timeout.connect(self._update_text)
        self._at: tuple[float, ...] = ()
        bench.viewer.mouse_move_callbacks.append(while_alive(self, self._moved))
        listen(self, self._forget, self.session.case_changed)

    def _forget(self) -> None:
        self.setText(_NOTHING)

    def _moved(self, viewer: Any, event: Any) -> None:
        self._at = tuple(event.position)
        if not self._soon.isActive():
            self._soon.start()

    def _update_text(self) -> None:
        film = self.bench.layers.film
        if film is not None and self.session.opened is not None:
            row, column = (round(float(v)) for v in film.world_to_data(self._at))
            where, found = f"{self.describe(row, column)}\n".split("\n")[:2]
            right = Qt.TextElideMode.ElideRight
            found = self.fontMetrics().elidedText(found, right, self.width())
            self.setText(f"{where}\n{found}")

    def describe(self, row: int, column: int) -> str:
        """Return what lies at one pixel of the film, or that it lies outside."""
        opened = self.session.opened
        if opened is None:
            return _NOTHING
        height, width = opened.case.shape
        if not (0 <= row < height and 0 <= column < width):
            return "Outside the film"
        film = opened.radiograph
        most = 2**film.bits - 1
        value = float(film.pixels[row, column])
        parts = [f"grey {round(value * most)} of {most}", *self._score(row, column)]
        return " · ".join(parts) + "\n" + self._findings(row, column)

    def _score(self, row: int, column: int) -> list[str]:
        opened, looking = self.session.opened, self.session.looking
        finding, stage = looking.finding, looking.view
        maps = opened.maps.get(stage) if opened else None
        if opened is None or finding is None or maps is None or stage not in STAGES:
            return []
        score = looking.drafts.score(maps, stage, finding.name)
        if score is None:
            return []
        scale, shift = geometry.placement(opened.case.shape, score.shape[0])
        place = (np.array((row, column)) - shift) / scale
        y, x = np.clip(place.round().astype(int), 0, score.shape[0] - 1)
        return [f"{STAGE_NAMES[stage]} {score[y, x]:.2f} for {looking.index + 1}"]

    def _findings(self, row: int, column: int) -> str:
        experts, opened = self.session.experts, self.session.opened
        if experts is None or opened is None:
            return ""
        drafts = self.bench.layers.outlines.drafts_at(row, column)
        found = []
        for number, name in enumerate(self.session.looking.names, 1):
            by = [
                who
                for who, there in (
                    ("expert", bool(experts.masks[name][row, column])),
                    ("machine", name in drafts),
                )
                if there
            ]
            if by:
                found.append(
                    f"{number} {self.session.looking.title(name)} ({', '.join(by)})"
                )
        return ", ".join(found) or "no finding here"
