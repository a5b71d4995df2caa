"""The stage switcher: where each draft comes from, one click from the film."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QMouseEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.canvas.stage_extras import BACKGROUND_COLOUR, IGNORED_COLOUR
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.screen import is_tall
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg._widgets.processes.jobs import jobs_of
from napari_wsseg._widgets.review import run_quality
from napari_wsseg._widgets.review.cam_choice import MapChoice
from napari_wsseg._widgets.review.compare_row import CompareRow
from napari_wsseg._widgets.review.legend import Legend
from napari_wsseg.schema import STAGES
from napari_wsseg.session.view import USUAL_BLEND, VIEWS

THUMB, LOW_THUMB = 90, 44
"""Side of a stage's picture, usual and on a low screen, where all stand in one row."""
_SHORT = {"crf": "CRF", "segmentation": "Segm."}
_TIPS = {
    "film": "The film alone",
    "cam": "Where the classifier looked to tell the finding",
    "crf": "The CAM after the CRF pulled it to edges of the film: the brighter, the "
    "surer that it is the finding",
    "irnet": "The seed spread up to the boundaries that IRNet learned",
    "segmentation": "What the segmentation network draws",
    "expert": "Expert masks alone, without anything from a machine",
}


_EXTRA = {
    "crf": (
        "Show the seed that IRNet learns from",
        "What is surely finding, surely background, and what training must not count",
    ),
    "irnet": (
        "Show the boundaries",
        "Where IRNet learned that one region ends and another begins",
    ),
}
_LEGEND = (
    "<span style='color:{colour}'>■</span> {finding} · "
    f"<span style='color:{IGNORED_COLOUR}'>■</span> ignored · "
    f"<span style='color:{BACKGROUND_COLOUR}'>■</span> background"
)


class ThumbButton(QToolButton):
    """A view's thumbnail; shift-click compares it with the view shown."""

    def __init__(self, view: str, panel: StagePanel) -> None:
        super().__init__()
        self.view = view
        self._panel = panel
        name = STAGE_NAMES[view]
        self.setAccessibleName(name)
        self.setCheckable(True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        if panel.tall:
            self.setText(name)
            self.setIconSize(QSize(THUMB, THUMB - 14))
            self.setFixedSize(THUMB + 4, THUMB + 10)
        else:
            self.setText(_SHORT.get(view, name))
            self.setIconSize(QSize(LOW_THUMB, LOW_THUMB))
            self.setFixedSize(LOW_THUMB + 2, LOW_THUMB + 20)
        self.setStyleSheet(
            "QToolButton { border: 2px solid transparent; border-radius: 4px; "
            "padding: 0; }"
            "QToolButton:checked { border-color: #56B4E9; }"
            "QToolButton:disabled { color: #6b7280; }"
        )
        self.setToolTip(
            f"{name}: {_TIPS[view]}.\nShift-click: compare it with what is shown."
        )

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Show the view, or compare it when shift is held."""
        if event is None:
            return
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        super().mouseReleaseEvent(event)
        self._panel.choose(self.view, compare=bool(shift))


class StagePanel(QWidget):
    """Thumbnails of every view, the blend and the threshold of the finding."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.tall = is_tall(self)
        self.buttons = {view: ThumbButton(view, self) for view in VIEWS}
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.blend, self.blend_value = _slider(0, 100)
        self.blend_label = QLabel("Overlay")
        self.threshold, self.threshold_value = _slider(0, 100)
        self.threshold.setToolTip(
            "Where the outline runs: lower takes in more. For this finding at this "
            "stage, on every film."
        )
        self.blend_reset = QToolButton()
        self.blend_reset.setAccessibleName("Back to the usual overlay")
        self.reset = QToolButton()
        self.reset.setAccessibleName("Back to the run's own threshold")
        self.snap = QCheckBox("Snap to edges")
        self.snap.setToolTip(
            "Draw the outlines to the edges of the film (pixel-adaptive refinement); "
            "what is accepted is what is shown"
        )
        self.look = QCheckBox("Look here")
        self.look.setToolTip(
            "Mark where at least half of the other stages, and the segmentation of the "
            "run before, contradict the draft on screen.\nPink: they leave out what "
            "it marks. Blue: they mark what it leaves out.\nWhere all err alike "
            "nothing is marked."
        )
        self.grid = QPushButton("Side by side  T")
        self.grid.setToolTip("All stages of this film beside each other")
        self.compare = CompareRow(bench)
        self.maps = MapChoice(bench)
        self.extra = QCheckBox()
        self.scale = Legend(bench)
        self.quality = QLabel()
        self.quality.setWordWrap(True)
        self.quality.setToolTip(
            "Of the run in use for this stage, measured by Evaluate in Runs; the "
            "brightness of a map says nothing of it"
        )
        self._quality: tuple[tuple[object, ...], str] = ((), "")
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        self._pictures = Latest(bench.drawing)
        self._lay_out()
        self._connect()
        self._on_case()

    def choose(self, view: str, *, compare: bool = False) -> None:
        """Show a view, or blend it with the one shown."""
        looking = self.session.looking
        if compare and view != looking.view:
            looking.set_view(looking.view, compared=view)
        else:
            looking.set_view(view)
        self.bench.focus_canvas()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(2)
        for place, button in enumerate(self.buttons.values()):
            row, column = divmod(place, 3 if self.tall else len(self.buttons))
            grid.addWidget(button, row, column)
        sliders = QGridLayout()
        sliders.setSpacing(4)
        rows = (
            (self.blend_label, self.blend, self.blend_value),
            (QLabel("Threshold"), self.threshold, self.threshold_value),
        )
        for row, widgets in enumerate(rows):
            for column, widget in enumerate(widgets):
                sliders.addWidget(widget, row, column)
        sliders.addWidget(self.blend_reset, 0, 3)
        sliders.addWidget(self.reset, 1, 3)
        buttons = QHBoxLayout()
        buttons.addWidget(self.grid)
        buttons.addWidget(self.maps.beside)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.hint)
        layout.addLayout(grid)
        # Next to the stages, where a low screen shows them too.
        boxes = QHBoxLayout()
        boxes.addWidget(self.snap)
        boxes.addWidget(self.look)
        boxes.addStretch(1)
        layout.addLayout(boxes)
        layout.addWidget(self.compare)
        layout.addWidget(self.scale)
        layout.addWidget(self.quality)
        layout.addWidget(self.maps)
        layout.addWidget(self.extra)
        layout.addWidget(self.legend)
        layout.addLayout(sliders)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        session, looking = self.session, self.session.looking
        listen(self, self._on_view, looking.view_changed)
        listen(
            self,
            self._on_case,
            session.case_changed,
            session.stages_changed,
            looking.finding_changed,
        )
        listen(
            self,
            self._draw,
            looking.threshold_changed,
            session.edited,
            session.mask_replaced,
        )
        jobs = jobs_of(session)
        for news in (jobs.began, jobs.ended, jobs.announced):
            news.connect(self._say_missing)
        self.blend.valueChanged.connect(self._blended)
        self.blend.sliderReleased.connect(self.bench.focus_canvas)
        self.threshold.valueChanged.connect(self._thresholded)
        self.blend_reset.clicked.connect(self._reset_blend)
        self.reset.clicked.connect(self._reset_threshold)
        self.snap.toggled.connect(self._snapped)
        self.look.toggled.connect(self._look_here)
        self.threshold.sliderReleased.connect(self.bench.focus_canvas)
        self.extra.toggled.connect(self._toggle_extra)
        self.grid.clicked.connect(lambda: self.bench.stages_wanted.emit())

    def _snapped(self, on: bool) -> None:
        self.session.looking.set_snap(on)
        self.bench.focus_canvas()

    def _look_here(self, on: bool) -> None:
        self.bench.look_here.want("contested", on)
        self.bench.focus_canvas()

    def _toggle_extra(self, on: bool) -> None:
        self.bench.extras.want(self.session.looking.view, on)
        self._offer_extra()
        self.bench.focus_canvas()

    def _offer_extra(self) -> None:
        """Offer the map that a stage keeps beside its score."""
        view, extras = self.session.looking.view, self.bench.extras
        offered = extras.has(view) and self.session.looking.compared is None
        self.extra.setVisible(offered)
        seed = offered and view == "crf" and extras.wanted["crf"]
        self.legend.setVisible(seed)
        self.scale.update()
        finding = self.session.looking.finding
        if seed and finding is not None:
            colour, title = finding.colour, escape(finding.title)
            self.legend.setText(_LEGEND.format(colour=colour, finding=title))
        if offered:
            label, tip = _EXTRA[view]
            blocked = self.extra.blockSignals(True)
            self.extra.setText(label)
            self.extra.setToolTip(tip)
            self.extra.setChecked(extras.wanted[view])
            self.extra.blockSignals(blocked)

    def _blended(self, value: int) -> None:
        self.session.looking.set_blend(value / 100)

    def _thresholded(self, value: int) -> None:
        looking = self.session.looking
        if looking.finding is not None and looking.view in STAGES:
            self.threshold_value.setText(f"{value / 100:.2f}")
            looking.set_threshold(looking.view, looking.finding.name, value / 100)
            self._mark_threshold()

    def _reset_blend(self) -> None:
        self.session.looking.set_blend(USUAL_BLEND)
        self.bench.focus_canvas()

    def _reset_threshold(self) -> None:
        looking = self.session.looking
        if looking.finding is not None:
            looking.reset_threshold(looking.view, looking.finding.name)
        self._on_view()
        self.bench.focus_canvas()

    def _tell_quality(self, stage: str | None) -> None:
        """Say beside a draft what is known of its run."""
        opened, project = self.session.opened, self.session.project
        run = opened.shown.runs.get(stage or "") if opened else None
        self.quality.setVisible(run is not None)
        if project is None or stage is None or run is None:
            return
        key = (stage, run, run_quality.measured_at(project.folder, run))
        if self._quality[0] != key:
            self._quality = key, run_quality.quality_text(project.folder, stage, run)
        self.quality.setText(self._quality[1])

    def _mark_threshold(self) -> None:
        """Show that a threshold is not the run's own, and the way back."""
        looking = self.session.looking
        own = looking.finding and looking.drafts.own_threshold(
            looking.view, looking.finding.name
        )
        moved = isinstance(own, float)
        _mark(self.threshold_value, self.reset, moved)
        if moved:
            self.reset.setText(f"↺ {own:.2f}")
            self.reset.setToolTip(
                f"Not the run's own threshold, which is {own:.2f}. It holds on every "
                "film until it is set back: click here."
            )

    def _mark_blend(self) -> None:
        """Show that the overlay is not the usual one, and the way back."""
        moved = bool(round(self.session.looking.blend - USUAL_BLEND, 3))
        _mark(self.blend_value, self.blend_reset, moved)
        self.blend_reset.setText(f"↺ {USUAL_BLEND:.0%}")
        self.blend_reset.setToolTip(
            f"Not the usual overlay of {USUAL_BLEND:.0%}. It holds on every film until "
            "it is set back: click here."
        )

    def _on_case(self) -> None:
        has = self.session.stages()
        for view, button in self.buttons.items():
            button.setEnabled(view not in STAGES or view in has)
        self._say_missing()
        self._on_view()
        self._draw()

    def _say_missing(self) -> None:
        """Say why the open film has no stages, and what leads to some."""
        none = self.session.case is not None and not self.session.stages()
        self.hint.setVisible(none)
        if not none:
            return
        jobs = jobs_of(self.session)
        if not self.session.reading.stages:
            text = "Stages are hidden in this reading (F2)."
        elif jobs.busy or jobs.due:
            text = (
                "Stages are being made in the background: Train says how far they "
                "are. Films can be read meanwhile."
            )
        elif self.session.looking.drafts.settings:
            text = (
                "This film was not there when the stages ran: run them again (Train)."
            )
        else:
            text = "No stages yet: choose “All stages” in the Train tab."
        self.hint.setText(text)

    def _on_view(self) -> None:
        looking = self.session.looking
        for view, button in self.buttons.items():
            button.setChecked(view in (looking.view, looking.compared))
        pair = looking.compared if looking.comparing == "blend" else None
        self.blend_label.setText("Blend" if pair else "Overlay")
        self.blend.setToolTip(
            f"{STAGE_NAMES[looking.view]} on the left, {STAGE_NAMES[pair]} on the right"
            if pair
            else "How strongly the stage covers the film  ( ,  and  . )"
        )
        self._offer_extra()
        _set(self.blend, round(looking.blend * 100))
        self.blend_value.setText(f"{looking.blend:.0%}")
        self._mark_blend()
        self.blend.setEnabled(looking.view in self.session.stages())
        stage = looking.view if looking.view in self.session.stages() else None
        self._tell_quality(stage)
        self.threshold.setEnabled(stage is not None)
        self.snap.setEnabled(stage is not None)
        self.look.setEnabled(stage is not None and len(self.session.stages()) > 1)
        if stage and looking.finding:
            value = looking.drafts.threshold(stage, looking.finding.name)
            _set(self.threshold, round(value * 100))
            self.threshold_value.setText(f"{value:.2f}")
        else:
            self.threshold_value.setText("—")
        self._mark_threshold()

    def _draw(self) -> None:
        """Draw the thumbnails in the background."""
        opened, looking = self.session.opened, self.session.looking
        experts, finding = self.session.experts, looking.finding
        if opened is None or experts is None or finding is None:
            return
        drafts, masks = looking.drafts.copy(), dict(experts.masks)
        known = opened.case.labels
        colours = {f.name: f.colour for f in looking.findings}
        shape = _thumbnails.small_shape(opened.case.shape, THUMB * 2)
        snapped = looking.view if looking.snap else None

        def work() -> dict[str, NDArray[np.uint8]]:
            film = _thumbnails.grey(opened.radiograph.pixels, shape)
            drawn = [
                (_thumbnails.shrink(mask, shape), colours[name])
                for name, mask in masks.items()
                if mask.any()
            ]
            pictures = {
                "film": film,
                "expert": _thumbnails.with_masks(film, drawn, filled=True),
            }
            for stage, maps in opened.maps.items():
                score = drafts.score(maps, stage, finding.name)
                if score is None:
                    continue
                heat = _thumbnails.cropped(score, opened.case.shape)
                picture = _thumbnails.with_heat(film, heat)
                own = opened.stage_maps(stage, snap=stage == snapped) or maps
                rim = drafts.draft(own, stage, finding.name, shape, known)
                pictures[stage] = _thumbnails.with_masks(
                    picture, [(rim, finding.colour)], filled=False
                )
            return pictures

        self._pictures.submit(work, self._drawn, lambda error: None)

    def _drawn(self, pictures: dict[str, NDArray[np.uint8]]) -> None:
        for view, button in self.buttons.items():
            picture = pictures.get(view)
            button.setIcon(QIcon() if picture is None else QIcon(pixmap(picture)))


def _slider(low: int, high: int) -> tuple[QSlider, QLabel]:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    value = QLabel("—")
    value.setMinimumWidth(34)
    value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return slider, value


def _mark(value: QLabel, reset: QToolButton, moved: bool) -> None:
    """Write a value that was moved in bold, with the way back beside it."""
    bold = value.font()
    bold.setBold(moved)
    value.setFont(bold)
    reset.setVisible(moved)


def _set(slider: QSlider, value: int) -> None:
    blocked = slider.blockSignals(True)
    slider.setValue(value)
    slider.blockSignals(blocked)
