"""What lies over the canvas while films are compared: pictures zoomed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QKeyEvent, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg.ops import metrics
from napari_wsseg.session import Session

SIDE = 1400
"""Longest side of the pictures, in pixels: sharp enough when zoomed a little."""


@dataclass(slots=True)
class FilmView:
    """The part of the film that every picture shows, in fractions of the film."""

    centre: QPointF
    zoom: float = 1.0

    def magnify(self, factor: float) -> None:
        """Zoom about the middle, from the whole film up to 12 times."""
        self.zoom = min(max(self.zoom * factor, 1.0), 12.0)
        if self.zoom == 1.0:
            self.centre = QPointF(0.5, 0.5)

    def move(self, across: float, down: float) -> None:
        """Move by fractions of the film, no further than its rim."""
        self.centre = QPointF(
            min(max(self.centre.x() - across, 0.0), 1.0),
            min(max(self.centre.y() - down, 0.0), 1.0),
        )

    def placed(self, picture: QPixmap, within: QRectF) -> QRectF:
        """Return where the whole of a picture lies, seen through `within`."""
        width, height = picture.width(), picture.height()
        fit = min(within.width() / width, within.height() / height) * self.zoom
        middle = within.center()
        return QRectF(
            middle.x() - self.centre.x() * width * fit,
            middle.y() - self.centre.y() * height * fit,
            width * fit,
            height * fit,
        )


def picture_rect(picture: QPixmap) -> QRectF:
    """Return the rectangle of a picture itself."""
    return QRectF(0, 0, picture.width(), picture.height())


class Cover(QWidget):
    """A widget over the canvas and as large; `leave` is called on Esc."""

    def __init__(
        self, bench: Workbench, parent: QWidget | None, leave: Callable[[], object]
    ) -> None:
        super().__init__(parent)
        self.bench = bench
        self._leave = leave
        self.setAutoFillBackground(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.hide()
        if parent is not None:
            parent.installEventFilter(self)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Hide the canvas behind."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().window())
        painter.end()

    def showEvent(self, event: QEvent | None) -> None:
        """Cover the canvas."""
        self._fit()
        self.raise_()
        self.setFocus()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the size of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Leave on Esc; every other key goes on to napari and our shortcuts."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self._leave()
        elif event is not None:
            event.ignore()

    def _fit(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())


_EXPERT = "#FFFFFF"
"""Colour of the expert's outline over a stage, whose own has the finding's."""

Pictures = dict[str, NDArray[np.uint8]]


def stage_pictures(session: Session, least: int = 12) -> Callable[[], Pictures]:
    """Return work that draws the film, every stage and the expert masks.

    Everything that it needs is taken now, so that it can be done in another thread.
    Keys are those of `napari_wsseg.session.view.VIEWS`; stages that have not seen
    the film are missing. The type of numbers is `least` pixels high or higher.
    """
    opened, experts, looking = session.opened, session.experts, session.looking
    if opened is None or experts is None:
        return dict
    drafts, masks = looking.drafts.copy(), dict(experts.masks)
    known = opened.case.labels
    shape = _thumbnails.small_shape(opened.case.shape, SIDE)
    finding, colours = looking.finding, {f.name: f.colour for f in looking.findings}
    window = session.tone.grey_window(opened.case.id, opened.radiograph.pixels)
    snap, numbered = looking.snap, looking.numbers and len(looking.names) > 1

    own_mask = masks.get(finding.name) if finding else None

    def finished(
        picture: NDArray[np.uint8],
        masks: list[tuple[NDArray[np.bool_], str]],
        *,
        filled: bool,
    ) -> NDArray[np.uint8]:
        picture = _thumbnails.with_masks(picture, masks, filled=filled)
        if numbered:
            picture = _thumbnails.with_numbers(picture, masks, least)
        return picture

    def work() -> Pictures:
        film = _thumbnails.grey(opened.radiograph.pixels, shape, window)
        drawn = [
            (_thumbnails.shrink(mask, shape), colours[name])
            for name, mask in masks.items()
        ]
        found = {
            "film": film,
            "expert": finished(film, drawn, filled=True),
        }
        for stage, maps in opened.maps.items():
            score = drafts.score(maps, stage, finding.name) if finding else None
            picture = film
            if score is not None:
                heat = _thumbnails.cropped(score, opened.case.shape)
                picture = _thumbnails.with_heat(film, heat, 0.55)
            own = opened.stage_maps(stage, snap=snap) or maps
            rims = [
                (drafts.draft(own, stage, name, shape, known), colours[name])
                for name in drafts.findings
            ]
            found[stage] = finished(picture, rims, filled=False)
            if own_mask is not None and own_mask.any():
                expert = [(_thumbnails.shrink(own_mask, shape), _EXPERT)]
                found[stage] = _thumbnails.with_masks(
                    found[stage], expert, filled=False
                )
        return found

    return work


def stage_dices(session: Session) -> Callable[[], dict[str, float | None]]:
    """Return work that compares every stage's draft with the expert's mask.

    Of the current finding, in pixels of the film made smaller to `SIDE`; empty where no
    expert has drawn it, ``None`` for a stage that draws nothing where she drew nothing.
    """
    opened, experts, looking = session.opened, session.experts, session.looking
    finding = looking.finding
    if opened is None or experts is None or finding is None:
        return dict
    if finding.name not in experts.annotated:
        return dict
    mask, drafts, snap = (
        experts.masks[finding.name],
        looking.drafts.copy(),
        looking.snap,
    )
    shape = _thumbnails.small_shape(opened.case.shape, SIDE)

    def work() -> dict[str, float | None]:
        truth = np.asarray(_thumbnails.shrink(mask, shape), bool)
        found: dict[str, float | None] = {}
        for stage, maps in opened.maps.items():
            own = opened.stage_maps(stage, snap=snap) or maps
            labels = opened.case.labels
            draft = drafts.draft(own, stage, finding.name, shape, labels)
            either = draft.any() or truth.any()
            found[stage] = metrics.dice(draft, truth) if either else None
        return found

    return work
