"""Edit: tools for the expert mask of the current finding; each click is one undo."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.review.draft_start import TALL, StartRow
from napari_wsseg._widgets.review.grow_options import GrowRow
from napari_wsseg.ops import masks
from napari_wsseg.schema import Mask

GROW, LASSO, RULER = "grow", "lasso", "ruler"
_COLUMNS = 4

_TOOLS = (
    ("pan_zoom", "Move", "Move and zoom (Z)"),
    (
        "paint",
        "Brush",
        "Paint the finding (P or 2). Right-click and go round an area, back to where "
        "you began: it is filled (Esc drops it)",
    ),
    (
        "erase",
        "Eraser",
        "Take away (E or 1). Go round an area with the right button held: all of it is "
        "taken away when you let go",
    ),
    (
        "polygon",
        "Polygon",
        "Click round an area, double-click to close (3); Esc drops it",
    ),
    ("fill", "Fill", "Fill a closed area (F or 4)"),
    (
        GROW,
        "Grow",
        "Stroke inside the finding, with Ctrl outside it: a proposal follows the "
        "boundaries. Enter takes it, Esc drops it (N)",
    ),
    (
        LASSO,
        "Lasso",
        "Click along an edge: the outline snaps to it as the mouse moves. A click on "
        "the first point, or Enter, fills it, with Ctrl takes it away; Backspace takes "
        "the last point back, Esc drops it (Shift L)",
    ),
    (
        RULER,
        "Ruler",
        "Drag over the film to measure: mm where the file tells its pixels' size, "
        "else px. A second line tells ratio and angle to the first: heart, then chest, "
        "is the cardiothoracic ratio (8)",
    ),
)
BIGGEST_BRUSH = 200


class EditPanel(QWidget):
    """Tools, brush size, clean-up, starting from a stage, undo and redo."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.starting = StartRow(bench)
        self.start, self.clear = self.starting.button, self.starting.clear
        self.tools = QButtonGroup(self)
        self.brush = QSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(1, BIGGEST_BRUSH)
        self.brush.setToolTip("Width of brush and eraser  ( [  and  ] )")
        self.within = QCheckBox()
        self.within.setToolTip(
            "What a brush stroke, polygon, outline or fill covers is kept only where "
            "the stage's score lies above the threshold; the eraser is free"
        )
        self._inside: tuple[object, Mask | None] = ((), None)
        self.brush_value = QLabel()
        self.brush_value.setMinimumWidth(52)
        self.smooth = _button("Smooth", "Round off the rim of the mask")
        self.fill_holes = _button("Fill holes", "Fill every hole inside the mask")
        self.largest = _button("Largest", "Keep the largest piece, drop the others")
        self.undo = _button("Undo", "Take the last step back (Ctrl Z)")
        self.redo = _button("Redo", "Do it again (Ctrl Shift Z)")
        self.grow = GrowRow(bench)
        self._heard: Labels | None = None
        self._lay_out()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        self.toolbox = QWidget()
        tools = QGridLayout(self.toolbox)
        tools.setContentsMargins(0, 0, 0, 0)
        tools.setSpacing(2)
        for place, (mode, name, tip) in enumerate(_TOOLS):
            button = _button(name, tip)
            button.setCheckable(True)
            button.setProperty("mode", mode)
            self.tools.addButton(button)
            tools.addWidget(button, place // _COLUMNS, place % _COLUMNS)
        brush = QHBoxLayout()
        brush.addWidget(QLabel("Brush"))
        brush.addWidget(self.brush, 1)
        brush.addWidget(self.brush_value)
        grid = QGridLayout()
        grid.setSpacing(3)
        cleaning = (self.smooth, self.fill_holes, self.largest, self.undo, self.redo)
        for column, button in enumerate(cleaning):
            grid.addWidget(button, 0, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.starting)
        layout.addWidget(self.toolbox)
        layout.addWidget(self.grow)
        layout.addLayout(brush)
        layout.addWidget(self.within)
        layout.addLayout(grid)

    def _connect(self) -> None:
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
        self.tools.buttonClicked.connect(self._take_tool)
        self.bench.grow.changed.connect(self._on_mode)
        self.bench.lasso.changed.connect(self._on_mode)
        self.bench.ruler.changed.connect(self._on_mode)
        self.bench.autosave.within = self.inside
        self.within.toggled.connect(self.bench.focus_canvas)
        self.brush.valueChanged.connect(self._resize)
        self.brush.sliderReleased.connect(self.bench.focus_canvas)
        self.smooth.clicked.connect(lambda: self._change(masks.smooth, "smooth"))
        self.fill_holes.clicked.connect(
            lambda: self._change(masks.fill_holes, "fill holes")
        )
        self.largest.clicked.connect(
            lambda: self._change(masks.keep_largest, "keep largest")
        )
        self.undo.clicked.connect(lambda: self._step("undo"))
        self.redo.clicked.connect(lambda: self._step("redo"))

    def refresh(self) -> None:
        """Follow the current finding's layer and the stage shown."""
        layer = self.bench.layers.active
        self.setEnabled(layer is not None and not self.session.readonly)
        stage = self.starting.source()
        self.within.setText(
            f"Paint only where {STAGE_NAMES[stage] if stage else 'a stage'} says so"
        )
        self.within.setEnabled(stage is not None)
        self._hear(layer)

    def inside(self, finding: str) -> Mask | None:
        """Return the (H, W) mask that strokes are kept to; ``None``: they are free."""
        stage, case = self.starting.source(), self.session.case
        if not self.within.isChecked() or stage is None or case is None:
            return None
        looking, opened = self.session.looking, self.session.opened
        key = (opened, stage, finding, looking.snap, looking.drafts.settings[stage])
        if self._inside[0] != key:
            self._inside = key, self.session.draft(stage, finding, case.shape)
        return self._inside[1]

    def _change(self, change: Callable[[Mask], Mask], tool: str) -> None:
        layer, finding = self.bench.layers.active, self.session.looking.finding
        if layer is not None and finding is not None:
            self.bench.autosave.apply(finding.name, change(layer.data != 0), tool)
        self.bench.focus_canvas()

    def _step(self, name: str) -> None:
        layer = self.bench.layers.active
        if layer is not None and layer.editable:
            getattr(layer, name)()
        self.bench.focus_canvas()

    def _take_tool(self, button: QPushButton) -> None:
        layer = self.bench.layers.active
        if layer is not None and layer.editable:
            if self.session.looking.view == "film":
                self.session.looking.set_view("expert")
            ours = {
                GROW: self.bench.take_grow,
                LASSO: self.bench.take_lasso,
                RULER: self.bench.take_ruler,
            }
            if take := ours.get(button.property("mode")):
                take()
                self.bench.focus_canvas()
                return
            self.bench.put_tools_down()
            self.bench.viewer.layers.selection.active = layer
            layer.mode = button.property("mode")
        self.bench.focus_canvas()

    def _resize(self, size: int) -> None:
        for layer in self.bench.layers.experts.values():
            layer.brush_size = size
        self.bench.grow.resize(size)
        self._show_size(size)

    def _show_size(self, size: float) -> None:
        case = self.session.case
        spacing = case.spacing_mm if case else None
        self.brush_value.setText(
            f"{size * spacing[0]:.1f} mm" if spacing else f"{size:.0f} px"
        )

    def _hear(self, layer: Labels | None) -> None:
        if self._heard is not None and self._heard is not layer:
            self._heard.events.mode.disconnect(self._on_mode)
            self._heard.events.brush_size.disconnect(self._on_brush)
        if layer is not None and self._heard is not layer:
            layer.events.mode.connect(self._on_mode)
            layer.events.brush_size.connect(self._on_brush)
        self._heard = layer
        self._on_mode()
        self._on_brush()

    def _on_mode(self, event: object = None) -> None:
        mode = str(self._heard.mode) if self._heard else ""
        mode = GROW if self.bench.grow.active else mode
        mode = LASSO if self.bench.lasso.active else mode
        mode = RULER if self.bench.ruler.active else mode
        for button in self.tools.buttons():
            button.setChecked(button.property("mode") == mode)

    def _on_brush(self, event: object = None) -> None:
        if self._heard is not None:
            size = self._heard.brush_size
            blocked = self.brush.blockSignals(True)
            self.brush.setValue(round(size))
            self.brush.blockSignals(blocked)
            self._show_size(size)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setStyleSheet("padding: 3px 2px;")
    button.setMinimumWidth(30)
    button.setMinimumHeight(TALL)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
