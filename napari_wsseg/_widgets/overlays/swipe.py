"""Two views of a film over each other with a divider to drag, or beside each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QWheelEvent,
)
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.overlays.cover import (
    Cover,
    FilmView,
    picture_rect,
    stage_pictures,
)
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.worker_thread import Latest

_GRIP = 24
"""How near to the divider, in pixels, the mouse takes hold of it."""

_KEY_STEP = 0.02


class SwipeView(Cover):
    """The view shown and the one it is compared with, zoomed and moved together.

    Attributes
    ----------
    divider
        Where the second view begins, in fractions of the width.
    flipped
        Whether the second view is shown in the place of both, for blinking; ``None``
        while not blinking.
    bare
        Whether the film alone is shown.
    """

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        looking = bench.session.looking
        super().__init__(bench, parent, lambda: looking.set_view(looking.view))
        self.session = bench.session
        self.window_shown = FilmView(QPointF(0.5, 0.5))
        self.divider = 0.5
        self.flipped: bool | None = None
        self.bare = False
        self.pictures: dict[str, QPixmap] = {}
        self._latest = Latest(bench.drawing)
        self._grip: str | None = None
        self._last = QPointF()
        self.setMouseTracking(True)
        self.setToolTip("")
        session = self.session
        listen(self, self.follow, looking.view_changed)
        listen(
            self,
            self.draw,
            session.case_changed,
            session.stages_changed,
            session.tone.changed,
            session.mask_replaced,
            looking.threshold_changed,
            looking.finding_changed,
        )
        listen(self, self._put_away, session.closing)

    def _put_away(self) -> None:
        self.hide()

    @property
    def swipes(self) -> bool:
        """Whether one lies over the other, not beside it."""
        return self.session.looking.comparing == "swipe"

    def follow(self) -> None:
        """Be there while two views are compared other than by blending."""
        looking = self.session.looking
        wanted = looking.compared is not None and looking.comparing != "blend"
        if wanted and not self.isVisible():
            self.show()
            self.draw()
        elif not wanted and self.isVisible():
            self.hide()
            self.bench.focus_canvas()
        self.update()

    def draw(self) -> None:
        """Draw the pictures in the background."""
        if self.isVisible():
            work = stage_pictures(self.session)
            self._latest.submit(work, self._drawn, self._failed)

    def blink(self, flipped: bool | None) -> None:
        """Show the second view alone, the first alone, or both again (``None``)."""
        self.flipped = flipped
        self.update()

    def show_bare(self, bare: bool) -> None:
        """Show the film without anything on it, or both views again."""
        self.bare = bare
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw both views."""
        looking = self.session.looking
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        views = (looking.view, looking.compared or looking.view)
        if self.bare:
            views = ("film", "film")
        for place, view in enumerate(views):
            self._draw_view(painter, view, *self._area(place))
        if self.flipped is None:
            self._draw_divider(painter)
        painter.end()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom both."""
        if event is not None:
            self.window_shown.magnify(1.2 ** (event.angleDelta().y() / 120))
            self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take hold of the divider, or of the film."""
        if event is not None:
            self._grip = "divider" if self._at_divider(event.position()) else "film"
            self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move what is held."""
        if event is None:
            return
        at = event.position()
        if self._grip == "divider":
            self._divide(at.x() / max(self.width(), 1))
        elif self._grip == "film":
            by, placed = at - self._last, self._placed()
            self._last = at
            self.window_shown.move(by.x() / placed.width(), by.y() / placed.height())
            self.update()
        else:
            near = self._at_divider(at)
            shape = Qt.CursorShape
            self.setCursor(shape.SplitHCursor if near else shape.OpenHandCursor)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let go."""
        self._grip = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Move the divider by the arrows; Esc ends the comparison."""
        steps = {Qt.Key.Key_Left: -_KEY_STEP, Qt.Key.Key_Right: _KEY_STEP}
        plain = event is not None and not (
            event.modifiers() & Qt.KeyboardModifier.ControlModifier
        )
        if event is not None and plain and self.swipes and event.key() in steps:
            self._divide(self.divider + steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _divide(self, divider: float) -> None:
        self.divider = min(max(divider, 0.0), 1.0)
        self.update()

    def _at_divider(self, at: QPointF) -> bool:
        return self.swipes and abs(at.x() - self.divider * self.width()) < _GRIP / 2

    def _area(self, place: int) -> tuple[QRectF, QRectF]:
        """Return the room of the first or second view, and what is seen of it."""
        all_of_it = QRectF(self.rect())
        if self.flipped is not None:
            shown = int(self.flipped) == place
            return all_of_it, all_of_it if shown else QRectF()
        cut = self.width() * (self.divider if self.swipes else 0.5)
        left, right = QRectF(all_of_it), QRectF(all_of_it)
        left.setRight(cut - 1)
        right.setLeft(cut + 1)
        seen = (left, right)[place]
        return (all_of_it if self.swipes else seen), seen

    def _placed(self) -> QRectF:
        picture = next(iter(self.pictures.values()), None)
        area = self._area(0)[0]
        return area if picture is None else self.window_shown.placed(picture, area)

    def _draw_view(
        self, painter: QPainter, view: str, area: QRectF, seen: QRectF
    ) -> None:
        if seen.isEmpty():
            return
        painter.setClipRect(seen)
        picture = self.pictures.get(view)
        if picture is None:
            painter.setPen(QColor("#8a919c"))
            text = f"{STAGE_NAMES[view]}: not run for this film"
            painter.drawText(seen, Qt.AlignmentFlag.AlignCenter, text)
        else:
            target = self.window_shown.placed(picture, area)
            painter.drawPixmap(target, picture, picture_rect(picture))
        first = seen.left() <= 0
        side = Qt.AlignmentFlag.AlignLeft if first else Qt.AlignmentFlag.AlignRight
        box = seen.adjusted(8, 6, -8, -6)
        name = painter.fontMetrics().boundingRect(STAGE_NAMES[view])
        ground = QRectF(0, 0, name.width() + 12, name.height() + 6)
        ground.moveTop(box.top())
        if first:
            ground.moveLeft(box.left())
        else:
            ground.moveRight(box.right())
        painter.fillRect(ground, QColor(0, 0, 0, 170))
        painter.setPen(QColor("white"))
        painter.drawText(
            ground.adjusted(6, 0, -6, 0),
            side | Qt.AlignmentFlag.AlignVCenter,
            STAGE_NAMES[view],
        )
        painter.setClipping(False)

    def _draw_divider(self, painter: QPainter) -> None:
        x = self.width() * (self.divider if self.swipes else 0.5)
        painter.setPen(QPen(QColor("#56B4E9"), 2))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        if not self.swipes:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor("#56B4E9"))
        grip = QRectF(x - _GRIP / 2, self.height() / 2 - _GRIP, _GRIP, 2 * _GRIP)
        painter.drawRoundedRect(grip, _GRIP / 2, _GRIP / 2)
        painter.setPen(QColor("black"))
        painter.drawText(grip, Qt.AlignmentFlag.AlignCenter, "‹›")

    def _drawn(self, pictures: dict[str, NDArray[np.uint8]]) -> None:
        self.pictures = {view: pixmap(picture) for view, picture in pictures.items()}
        self.update()

    def _failed(self, error: Exception) -> None:
        self.session.message.emit(f"The stages could not be drawn: {error}")
