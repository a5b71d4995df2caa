"""One set of layers for every case: data is swapped, layers are never added anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.fit import MARGIN
from napari_wsseg._widgets.canvas.layer_set import BLANK, FILL, LayerSet
from napari_wsseg._widgets.canvas.layer_updates import (
    UNIT_NAMES,
    arranged_once,
    at_once,
    over_film,
    place,
    send,
    show,
)
from napari_wsseg._widgets.canvas.napari_internals import (
    after_ordering,
    arrange,
    has_history,
    stack,
)
from napari_wsseg._widgets.canvas.outlines import Outlines
from napari_wsseg._widgets.canvas.strokes import drop_unclosed
from napari_wsseg.schema import STAGES
from napari_wsseg.session import Session
from napari_wsseg.session.background import Background

_RIM = 300
"""Widths of an outline that a film is long."""


class CaseLayers:
    """The layers of a session in one viewer.

    Bottom to top: the film, one heat per stage (of the current finding), the outline
    of what the shown stage offers (every finding), one expert mask per finding.

    Attributes
    ----------
    covered
        Stages whose heat is hidden because another layer shows them.
    guests
        Layers of others that lie on the same film.

    Of a film turned to, what is drawn is left to others: `draw_thumbnails`, `arrange`
    and `send` are to be called in this order before the canvas paints.
    """

    fitted = Signal()
    """The film has just been fitted to the canvas."""

    def __init__(
        self, viewer: Viewer, session: Session, background: Background
    ) -> None:
        self.viewer = viewer
        self.session = session
        self.outlines = Outlines(viewer, session, background)
        self._set = LayerSet(viewer, self.outlines)
        self.quiet = False
        self.hidden = False
        self._blinked: bool | None = None
        self._unarranged = False
        self.covered: set[str] = set()
        self.guests: list[Layer] = []
        self._closed = False
        self._tools: dict[str, str] = {}
        self._links: list[tuple[object, Callable[..., object]]] = [
            (session.project_changed, self._on_project),
            (session.case_changed, self._on_case),
            (session.stages_changed, self._on_stages),
            (session.mask_replaced, self._on_mask),
            (session.looking.finding_changed, self._on_finding),
            (session.looking.view_changed, self.show_view),
            (session.looking.threshold_changed, self.outlines.draw),
            (session.tone.changed, self._on_tone),
            (session.edited, self.outlines.draw_soon),
        ]
        for signal, slot in self._links:
            signal.connect(slot)  # type: ignore[attr-defined]
        self._leave_order = after_ordering(viewer, self._stack)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self._on_reordered)
        viewer.layers.selection.events.active.connect(self._on_active)
        if session.case is not None:
            self._on_case()

    @property
    def film(self) -> Image | None:
        """The film's layer, once there is a case."""
        return self._set.film

    @property
    def heats(self) -> dict[str, Image]:
        """The layer of each stage's heat."""
        return self._set.heats

    @property
    def experts(self) -> dict[str, Labels]:
        """The layer of each finding's expert mask."""
        return self._set.experts

    @property
    def all(self) -> list[Layer]:
        """Every layer of the set that exists, bottom to top."""
        return self._set.all

    @property
    def outline(self) -> Labels | None:
        """The layer of the outlines, and of the findings' numbers."""
        return self.outlines.layer

    @property
    def active(self) -> Labels | None:
        """The expert layer of the current finding."""
        finding = self.session.looking.finding
        return self.experts.get(finding.name) if finding else None

    def go_with_window(self) -> None:
        """Leave the layers to the viewer that closes: taking each away takes long."""
        self.session.project_changed.disconnect(self._on_project, missing_ok=True)

    def close(self) -> None:
        """Let go of the session and the viewer."""
        self._closed = True
        self.outlines.close()
        for signal, slot in self._links:
            signal.disconnect(slot, missing_ok=True)  # type: ignore[attr-defined]
        self._leave_order()
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.layers.events.reordered.disconnect(self._on_reordered)
        self.viewer.layers.selection.events.active.disconnect(self._on_active)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Change layers without being taken for the reader."""
        before, self.quiet = self.quiet, True
        try:
            yield
        finally:
            self.quiet = before

    def hide(self, hidden: bool) -> None:
        """Show nothing but the film while `hidden`."""
        self.hidden = hidden
        self.show_view()

    def blink(self, second: bool | None) -> None:
        """Show of two stages compared the second, or the first; ``None``: both."""
        self._blinked = second
        self.show_view()

    def show_view(self) -> None:
        """Let layers be visible as the session's view says."""
        with arranged_once(self.viewer, self.all):
            self._show_view()
        self._stack()

    def _show_view(self) -> None:
        looking = self.session.looking
        opened, blend = self.session.opened, looking.blend
        if self._blinked is not None and looking.compared:
            blend = float(self._blinked)
        bare = self.hidden or looking.view == "film"
        with self.quietly():
            for stage, layer in self.heats.items():
                has = opened is not None and stage in opened.maps
                first, second = stage == looking.view, stage == looking.compared
                bare_heat = bare or stage in self.covered
                show(layer, has and not bare_heat and (first or second))
                if first:
                    layer.opacity = 1 - blend if looking.compared else blend
                elif second:
                    layer.opacity = blend
            self.outlines.show(not bare)
            self._show_experts()

    def _show_experts(self) -> None:
        """Show the current finding's expert mask, and of the others what is drawn.

        An empty mask shows nothing but takes as long to draw as a full one.
        """
        looking, experts = self.session.looking, self.session.experts
        bare = self.hidden or looking.view == "film"
        with self.quietly():
            for name, layer in self.experts.items():
                mask = experts.masks.get(name) if experts is not None else None
                drawn = mask is not None and mask.any()
                wanted = (layer is self.active or bool(drawn)) and not bare
                if looking.drawing == "off":
                    wanted = False
                self._draw_as(layer, outlined=looking.drawing == "outlined")
                self._show_expert(name, layer, wanted and looking.shows(name))

    def _draw_as(self, layer: Labels, *, outlined: bool) -> None:
        """Draw a mask as an outline in the film's pixels, or filled."""
        shape = self.session.case.shape if self.session.case else (1, 1)
        contour = max(1, round(max(shape) / _RIM)) if outlined else 0
        if bool(layer.contour) != outlined:
            layer.opacity = 1.0 if outlined else FILL
        if layer.contour != contour:
            layer.contour = contour

    def _stack(self) -> None:
        """Draw small masks over large ones, so that a nodule is seen in its lung."""
        experts = self.session.experts
        if experts is None or self._closed:
            return
        masks = experts.masks
        drawn = [name for name, layer in self.experts.items() if layer.visible]
        areas = {n: int(np.count_nonzero(masks[n])) for n in drawn if n in masks}
        order = sorted(areas, key=lambda name: -areas[name])
        first = len(self.all) - len(self.experts)
        stack(self.viewer, [self.experts[name] for name in order], first)
        if self.outline is not None:
            # Over all of them, or a mask would tint the rims and numbers of others.
            stack(self.viewer, [self.outline], len(self.viewer.layers))

    def _show_expert(self, name: str, layer: Labels, wanted: bool) -> None:
        """Show an expert mask or hide it; napari forgets the tool, we do not."""
        if layer.visible and not wanted:
            self._tools[name] = str(layer.mode)
        shown = show(layer, wanted)
        if shown and wanted and layer.editable:
            layer.mode = self._tools.pop(name, "pan_zoom")

    def set_finding_visible(self, name: str, visible: bool) -> None:
        """Show or put away the masks of one finding."""
        self.session.looking.put([name], away=not visible)

    # Kept in the viewer -------------------------------------------------------------

    def _on_project(self) -> None:
        """Put layers of another project away; new ones come with its first case."""
        with self.quietly():
            self._set.remove()

    def _build(self) -> None:
        with self.quietly():
            new_film = self._set.build(self.session.looking.findings)
        if new_film and self.film is not None:
            self.film.events.contrast_limits.connect(self._on_limits)

    def _on_removed(self, event: object) -> None:
        """Bring a layer back that was deleted all the same, once that is over.

        A viewer that closes takes its layers away first: those stay away.
        """
        if not self.quiet and getattr(event, "value", None) in self.all:
            QTimer.singleShot(0, self._restore)

    def _restore(self) -> None:
        if self._closed or self.session.case is None:
            return
        with self.quietly():
            self._set.restore()
        self._select()

    def _on_reordered(self, event: object) -> None:
        """Put layers of ours back that were moved in napari's list, once that is over.

        A film above its masks would hide them; small masks lie over large ones anyway.
        """
        if not self.quiet and not self._set.in_order():
            QTimer.singleShot(0, self._put_in_order)

    def _put_in_order(self) -> None:
        if self._closed or self._set.in_order():
            return
        with self.quietly():
            self._set.put_in_order()
        self.session.message.emit(
            "These layers keep their order: the film, its stages, and small masks over "
            "large ones"
        )

    # Filling ------------------------------------------------------------------------

    def _on_case(self) -> None:
        if len(self.all) < 2 + len(STAGES) + len(self.session.looking.findings):
            self._build()
        opened = self.session.opened
        if opened is None or self.film is None:
            return
        before = self.film.data.shape, tuple(self.film.scale)
        scene = self._scene()
        spacing = opened.case.spacing_mm or (1.0, 1.0)
        unit = "pixel" if opened.case.spacing_mm is None else "mm"
        # Guests take the unit along: napari allows one for all.
        everyone = [*self.all, *self.guests]
        self._share_unit(unit)
        with self.quietly(), at_once(self.viewer, everyone, thumbnails=False):
            for layer in everyone:
                if {str(u) for u in layer.units} != {UNIT_NAMES[unit]}:
                    layer.units = (unit, unit)
            self.film.data = opened.radiograph.pixels
            place(self.film, spacing)
            self._on_tone()
            self._fill_experts()
            self._fill_heats()
        with arranged_once(self.viewer, self.all, later=True):
            self._show_view()
        self._unarranged |= scene != self._scene()
        self._select()
        overlays = self.viewer.canvas.overlays
        overlays.scale_bar.visible = True
        if "_brush_circle" in overlays:
            # The ground of a word, for an overlay without words: a blot in the circle.
            overlays["_brush_circle"].box = False
        if (opened.case.shape, tuple(spacing)) != before:
            self.fit()

    def _share_unit(self, unit: str) -> None:
        """Give layers of the reader's own the film's unit; what they cover stays.

        Two units in one list, and napari warns and draws the scale bar without any.
        """
        ours = {id(layer) for layer in (*self.all, *self.guests)}
        for layer in self.viewer.layers:
            units = {str(one) for one in layer.units}
            plain = units <= set(UNIT_NAMES.values())
            if id(layer) not in ours and plain and units != {UNIT_NAMES[unit]}:
                layer.units = (unit,) * layer.ndim

    def _on_inserted(self) -> None:
        case = self.session.case
        if case is not None and self.film is not None and not self.quiet:
            self._share_unit("pixel" if case.spacing_mm is None else "mm")

    def fit(self) -> None:
        """Fit the film to the canvas."""
        film = self.film
        if not self._closed and self.session.case is not None and film is not None:
            # With a volume of the reader's own there, napari fits all layers or none.
            layers = [film] if self.viewer.dims.ndim == film.ndim else None
            self.viewer.reset_view(layers=layers, margin=MARGIN)
            self.fitted.emit()

    def draw_thumbnails(self) -> None:
        """Draw the thumbnails of the layers of a film just turned to."""
        if self._closed:
            return
        with self.quietly():
            for layer in (*self.all, *self.guests):
                if layer.visible:
                    layer.refresh(data_displayed=False, highlight=False, extent=False)

    def arrange(self) -> None:
        """Arrange the scene for the film just turned to, if it needs to be."""
        if self._unarranged and not self._closed:
            arrange(self.viewer)
        self._unarranged = False
        self._stack()

    def _scene(self) -> list[tuple[bool, object]]:
        """Return what the canvas arranges its scene by."""
        return [(layer.visible, layer.units) for layer in (*self.all, *self.guests)]

    def send(self) -> None:
        """Send the film's pixels to the graphics card ahead of the picture."""
        if not self._closed:
            send(self.viewer, self.all)

    def _on_tone(self) -> None:
        """Show the film in the session's grey window."""
        opened = self.session.opened
        if opened is None or self.film is None:
            return
        colours = "gray_r" if self.session.tone.inverted else "gray"
        if self.film.colormap.name != colours:
            with self.quietly():
                self.film.colormap = colours
        window = self.session.tone.grey_window(opened.case.id, opened.radiograph.pixels)
        if not np.allclose(self.film.contrast_limits, window, atol=1e-4):
            with self.quietly():
                self.film.contrast_limits = window

    def _on_limits(self, event: object) -> None:
        """Keep what the reader sets with napari's own contrast slider."""
        if not self.quiet and self.film is not None and self.session.case is not None:
            self.session.tone.set(self.session.case.id, *self.film.contrast_limits)

    def _fill_experts(self) -> None:
        opened, experts = self.session.opened, self.session.experts
        if opened is None or experts is None:
            return
        spacing = opened.case.spacing_mm or (1.0, 1.0)
        for name, layer in self.experts.items():
            drop_unclosed(layer)
            mask = experts.masks[name].view(np.uint8)  # napari's type, same memory
            if layer.data.shape == mask.shape and layer.data.dtype == mask.dtype:
                # New memory for ten masks of a large film costs more than the turn.
                np.copyto(layer.data, mask)
            else:
                layer.data = mask.copy()
            place(layer, spacing)
            layer.metadata = {"case": opened.case.id, "finding": name}
            self._forget_history(layer)

    def _forget_history(self, layer: Labels) -> None:
        """Clear undo, so that it never brings back pixels of another case.

        napari clears it when a layer stops being editable, and this is the public way
        to ask for it; the tool in hand is kept. Of an empty history nothing is left.
        """
        editable = self.session.may_draw(str(layer.metadata.get("finding", "")))
        if layer.editable == editable and not has_history(layer):
            return
        mode = layer.mode
        layer.editable = False
        layer.editable = editable
        if editable:
            layer.mode = mode

    def _on_mask(self, name: str) -> None:
        layer, experts = self.experts.get(name), self.session.experts
        if layer is not None and experts is not None:
            with self.quietly():
                drop_unclosed(layer)
                layer.data = experts.masks[name].astype(np.uint8)
                self._forget_history(layer)
            self._show_experts()
            self.outlines.draw_soon()

    def _on_stages(self) -> None:
        self._fill_heats()
        self.show_view()

    def _on_finding(self) -> None:
        for layer in self.experts.values():
            drop_unclosed(layer)
        self._fill_heats()
        with arranged_once(self.viewer, self.all):
            self._show_experts()
        self._stack()
        self._select()

    def _fill_heats(self) -> None:
        opened, finding = self.session.opened, self.session.looking.finding
        if opened is None or finding is None:
            return
        drafts = self.session.looking.drafts
        with self.quietly():
            for stage, layer in self.heats.items():
                maps = opened.maps.get(stage)
                score = drafts.score(maps, stage, finding.name) if maps else None
                if score is None:
                    layer.data = BLANK
                    continue
                layer.data = _thumbnails.cropped(score, opened.case.shape)
                place(layer, *over_film(opened.case, layer.data.shape))
                layer.metadata = {
                    "case": opened.case.id,
                    "finding": finding.name,
                    "stage": stage,
                    "run": opened.shown.runs.get(stage),
                    "map": opened.shown.maps_name(stage),
                }

    def _select(self) -> None:
        layer = self.active
        if layer is not None and self.viewer.layers.selection.active is not layer:
            with self.quietly():
                tool = self._tool()
                self.viewer.layers.selection.active = layer
                if layer.editable and tool is not None:
                    layer.mode = tool

    def take_up(self) -> None:
        """Let the keys of the tools belong to the finding in hand, as on the film.

        Whoever looks at the film's layer or a stage's in napari's list, or clicks
        beside the list, has none of them. A layer of the reader's own keeps its keys.
        """
        active = self.viewer.layers.selection.active
        if active is None or active in (*self.all, *self.guests):
            self._select()

    def _tool(self) -> str | None:
        active = self.viewer.layers.selection.active
        is_ours = isinstance(active, Labels) and active in self.experts.values()
        return str(active.mode) if is_ours else None

    def _on_active(self, event: object) -> None:
        """Follow the reader who picks another finding in napari's layer list."""
        if self.quiet:
            return
        active = self.viewer.layers.selection.active
        for name, layer in self.experts.items():
            if layer is active:
                self.session.looking.set_finding(name)
