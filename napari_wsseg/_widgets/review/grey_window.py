"""The grey window: presets, level and width, and whether it goes along."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.ops.windowing import PRESETS
from napari_wsseg.session.grey_window import around, level_and_width

_TITLES = {
    "auto": "Auto (without markers)",
    "full": "Full range",
    "lung": "Lung",
    "mediastinum": "Heart, mediastinum",
    "bone": "Bone",
}
_STEPS = 1000


class TonePanel(QWidget):
    """Which grey of the film is black on the screen, and which is white."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self.presets = QComboBox()
        for preset in PRESETS:
            self.presets.addItem(_TITLES[preset], preset)
        self.presets.addItem("By hand", None)
        self.presets.setToolTip(
            "A part of this film's own greys: radiographs have no Hounsfield units. "
            "A preset goes along to every film (9: the next one)"
        )
        self.reset = QPushButton("Reset  0")
        self.reset.setToolTip("Back to Auto on this film")
        self.level, self.level_value = _slider(0)
        self.level.setToolTip(
            "Middle of the window, in the greys that the film's bits allow, as the "
            "readout tells them: lower makes the film brighter"
        )
        self.width, self.width_value = _slider(round(0.01 * _STEPS))
        self.width.setToolTip("How many greys it spans: fewer make the film harder")
        self.inverted = QCheckBox("Inverted  I")
        self.inverted.setToolTip("Dense is black: lines and air are seen better (I)")
        self.inverted.toggled.connect(self._invert)
        self.carried = QCheckBox("Same window on every film")
        self.carried.setToolTip(
            "A window set by hand stays with its film; with this it goes along. Both "
            "are forgotten when the program ends."
        )
        self._lay_out()
        tone, session = self.session.tone, self.session
        self.presets.activated.connect(self._chosen)
        self.reset.clicked.connect(self._reset)
        self.carried.toggled.connect(self._carried)
        for slider in (self.level, self.width):
            slider.valueChanged.connect(self._slid)
            slider.sliderReleased.connect(bench.focus_canvas)
        listen(self, self.refresh, session.case_changed, tone.changed)
        self.refresh()

    def refresh(self) -> None:
        """Show the window of the open film."""
        opened, tone = self.session.opened, self.session.tone
        self.setEnabled(opened is not None)
        if opened is None:
            return
        window = tone.grey_window(opened.case.id, opened.radiograph.pixels)
        blocked = self.inverted.blockSignals(True)
        self.inverted.setChecked(tone.inverted)
        self.inverted.blockSignals(blocked)
        by_hand = tone.is_by_hand(opened.case.id)
        self.presets.setCurrentIndex(
            self.presets.findData(None if by_hand else tone.preset)
        )
        pairs = zip(
            (self.level, self.width),
            (self.level_value, self.width_value),
            level_and_width(window),
            strict=True,
        )
        for slider, label, value in pairs:
            blocked = slider.blockSignals(True)
            slider.setValue(round(value * _STEPS))
            slider.blockSignals(blocked)
            label.setText(str(round(value * (2**opened.radiograph.bits - 1))))

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.presets, 1)
        top.addWidget(self.reset)
        sliders = QGridLayout()
        sliders.setSpacing(4)
        rows = (
            ("Level", self.level, self.level_value),
            ("Width", self.width, self.width_value),
        )
        for row, (name, slider, value) in enumerate(rows):
            sliders.addWidget(QLabel(name), row, 0)
            sliders.addWidget(slider, row, 1)
            sliders.addWidget(value, row, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addLayout(sliders)
        layout.addWidget(self.inverted)
        layout.addWidget(self.carried)

    def _chosen(self, place: int) -> None:
        preset = self.presets.itemData(place)
        if preset is not None and self.session.case is not None:
            self.session.tone.choose(preset, self.session.case.id)
        self.bench.focus_canvas()

    def _reset(self) -> None:
        self.bench.reset_tone()
        self.bench.focus_canvas()

    def _invert(self, on: bool) -> None:
        self.session.tone.set_inverted(on)
        self.bench.focus_canvas()

    def _carried(self, on: bool) -> None:
        case = self.session.case
        self.session.tone.carry(on, case.id if case else "")
        self.bench.focus_canvas()

    def _slid(self) -> None:
        if self.session.case is not None:
            window = around(self.level.value() / _STEPS, self.width.value() / _STEPS)
            self.session.tone.set(self.session.case.id, *window)


def _slider(lowest: int) -> tuple[QSlider, QLabel]:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(lowest, _STEPS)
    slider.setPageStep(_STEPS // 20)
    value = QLabel()
    value.setMinimumWidth(44)
    value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return slider, value
