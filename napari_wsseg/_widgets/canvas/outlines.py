"""What the shown stage offers, as outlines, and the number of every finding beside it.

A colour alone tells ten findings apart to nobody; the number is the finding's in the
table of the Review panel.
"""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_wsseg._widgets.canvas import orientation
from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.layer_updates import at_once, new_labels, place, show
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg.schema import STAGES
from napari_wsseg.session import Session
from napari_wsseg.session.background import Background

SIDE = 1024
"""Longest side, in pixels, at which outlines of drafts are drawn, and of small films at
up to `_FINER` times their own size: lines and digits would be of few blocks."""

_FINER = 2

_PAUSE_MS = 600


class Outlines:
    """One layer for the rims of every finding's draft and for the numbers.

    Parameters
    ----------
    background
        Where they are drawn.

    Attributes
    ----------
    layer
        ``None`` until a project is open.
    """

    def __init__(
        self, viewer: Viewer, session: Session, background: Background
    ) -> None:
        self.viewer, self.session = viewer, session
        self.layer: Labels | None = None
        self._wanted = False
        self._drafts: dict[str, NDArray[np.bool_]] = {}
        self._latest = Latest(background)
        # Numbers follow an edited mask once the hand rests, not between two strokes.
        self._pause = QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self.draw)

    def build(self) -> None:
        """Make the layer, with the colours of the project's findings."""
        if self.layer is None:
            findings = self.session.looking.findings
            colours: dict[int | None, str] = {
                value: finding.colour for value, finding in enumerate(findings, 1)
            }
            colours[_thumbnails.GROUND] = colours[_thumbnails.HALO] = "#000000"
            self.layer = new_labels("Machine outline", colours, 1.0)
            self.layer.editable = False

    def close(self) -> None:
        """Draw no more."""
        self._pause.stop()

    def show(self, wanted: bool) -> None:
        """Draw and show what there is of the open film, or hide it."""
        self._wanted = wanted
        if self.layer is None:
            return
        if not wanted or self.session.looking.view not in STAGES:
            show(self.layer, False)
        if wanted:
            if self.session.looking.view in STAGES:
                show(self.layer, True)
            self.draw()

    def draw_soon(self) -> None:
        """Draw once nothing has changed for a moment."""
        self._pause.start()

    def draw(self) -> None:
        """Draw the outlines and numbers of the open film in the background."""
        opened, looking = self.session.opened, self.session.looking
        experts = self.session.experts
        if opened is None or experts is None or self.layer is None or not self._wanted:
            return
        stage, drafts, names = looking.view, looking.drafts.copy(), looking.names
        snap, masks = looking.snap, dict(experts.masks)
        known = opened.case.labels
        numbered = looking.numbers and len(names) > 1
        shown = {name for name in names if looking.shows(name)}
        rimmed = looking.drawing != "off"
        finest = (_FINER * opened.case.shape[0], _FINER * opened.case.shape[1])
        shape = _thumbnails.small_shape(finest, SIDE)
        key = opened.case.id, stage
        # Numbers are read as they stand on the screen, however the film is turned.
        seen = orientation.seen_by(self.viewer)

        def work() -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]]]:
            rims: list[NDArray[np.bool_]] = []
            if stage in opened.maps:
                maps = opened.stage_maps(stage, snap=snap) or opened.maps[stage]
                rims = [
                    drafts.draft(maps, stage, name, shape, known) & (name in shown)
                    for name in names
                ]
            width = max(1, max(shape) // 500)
            labels = _thumbnails.outlines(rims, shape, width)
            drawn = [
                _thumbnails.shrink(masks[name], shape) & (name in shown)
                for name in names
            ]
            _thumbnails.halo(labels, [*rims, *(drawn if rimmed else ())], width)
            if numbered:
                # Where nothing is drawn, the number stands at the draft.
                where = [
                    mask if mask.any() or not rims else rims[index]
                    for index, mask in enumerate(drawn)
                ]
                _thumbnails.number(seen(labels), [seen(mask) for mask in where])
            return labels, rims

        self._latest.submit(work, lambda drawn: self._drawn(key, *drawn), self._failed)

    def drafts_at(self, row: int, column: int) -> set[str]:
        """Return the findings whose draft, as it is outlined, covers a pixel."""
        opened, layer = self.session.opened, self.layer
        if opened is None or layer is None or not self._wanted:
            return set()
        if layer.metadata.get("case") != opened.case.id:
            return set()
        return {
            name
            for name, draft in self._drafts.items()
            if draft[
                row * draft.shape[0] // opened.case.shape[0],
                column * draft.shape[1] // opened.case.shape[1],
            ]
        }

    def _drawn(
        self,
        key: tuple[str, str],
        labels: NDArray[np.uint8],
        drafts: list[NDArray[np.bool_]],
    ) -> None:
        opened, layer = self.session.opened, self.layer
        if opened is None or layer is None or not self._wanted:
            return
        if key != (opened.case.id, self.session.looking.view):
            return
        names = self.session.looking.names
        self._drafts = dict(zip(names, drafts, strict=False))
        same = layer.metadata == {"case": key[0], "stage": key[1]}
        if same and np.array_equal(layer.data, labels):
            show(layer, key[1] in STAGES or bool(labels.any()))
            return  # a picture drawn for nothing would hold up the next stroke
        spacing = np.array(opened.case.spacing_mm or (1.0, 1.0))
        scale = np.array(opened.case.shape) / labels.shape
        with at_once(self.viewer, [layer]):
            layer.data = labels
            layer.editable = False  # napari makes it editable with new data
            place(layer, scale * spacing, (scale * 0.5 - 0.5) * spacing)
            layer.metadata = {"case": key[0], "stage": key[1]}
        show(layer, key[1] in STAGES or bool(labels.any()))

    def _failed(self, error: Exception) -> None:
        self.session.message.emit(f"The outline could not be drawn: {error}")
