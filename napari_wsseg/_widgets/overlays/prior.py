"""An earlier film of the patient beside the open one, zoomed and moved together."""

from __future__ import annotations

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QWheelEvent,
)
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.overlays.cover import SIDE, Cover, FilmView, picture_rect
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg.io.project_folder import follow_ups
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case, Radiograph
from napari_wsseg.session import Session

NONE_KNOWN = (
    "No earlier film of this patient is known: an import knows them by the patient and "
    "date in DICOM headers, or by the names of NIH and CheXpert films"
)


def earlier_films(session: Session) -> list[Case]:
    """Return the films of the open film's patient before it, the newest first."""
    project, case = session.project, session.case
    if project is None or case is None:
        return []
    try:
        series = follow_ups.read(project.folder)
    except DataError as error:
        session.message.emit(str(error))
        return []
    known = session.list.cases
    return [known[one] for one in follow_ups.earlier(series, case.id) if one in known]


class PriorView(Cover):
    """The earlier film on the left, the open one on the right; neither with masks.

    The arrow keys turn to films that are earlier still, and back.
    """

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        super().__init__(bench, parent, self.leave)
        self.session = bench.session
        self.films: list[Case] = []
        self.place = 0
        self.pictures: list[QPixmap] = []
        self._view = FilmView(QPointF(0.5, 0.5))
        self._latest = Latest(bench.drawing)
        self._last: QPointF | None = None
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        listen(self, self.leave, self.session.case_changed, self.session.closing)
        listen(self, self._draw, self.session.tone.changed)

    def toggle(self) -> None:
        """Show the newest earlier film, or leave it; say so where none is known."""
        if self.isVisible():
            self.leave()
            return
        self.films, self.place = earlier_films(self.session), 0
        if not self.films:
            self.session.message.emit(NONE_KNOWN)
            return
        self.pictures, self._view = [], FilmView(QPointF(0.5, 0.5))
        self.show()
        self._draw()

    def leave(self) -> None:
        """Give the film back."""
        if self.isVisible():
            self.hide()
            self.bench.focus_canvas()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw both films, each in its half."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for half, name in zip(self._halves(), self._names(), strict=True):
            painter.setClipRect(half)
            side = int(half.left() > 0)
            if side < len(self.pictures):
                picture = self.pictures[side]
                target = self._view.placed(picture, half)
                painter.drawPixmap(target, picture, picture_rect(picture))
            self._write(painter, half, name)
        painter.end()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom both."""
        if event is not None:
            self._view.magnify(1.2 ** (event.angleDelta().y() / 120))
            self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take hold of both."""
        self._last = event.position() if event is not None else None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move both."""
        if event is None or self._last is None or not self.pictures:
            return
        by, self._last = event.position() - self._last, event.position()
        placed = self._view.placed(self.pictures[-1], self._halves()[1])
        self._view.move(by.x() / placed.width(), by.y() / placed.height())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let go."""
        self._last = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Turn to an earlier or later film by the arrows; Esc leaves."""
        steps = {Qt.Key.Key_Left: 1, Qt.Key.Key_Right: -1}
        if event is not None and event.key() in steps:
            place = self.place + steps[Qt.Key(event.key())]
            self.place = min(max(place, 0), len(self.films) - 1)
            self._draw()
        else:
            super().keyPressEvent(event)

    def _halves(self) -> tuple[QRectF, QRectF]:
        left, right = QRectF(self.rect()), QRectF(self.rect())
        left.setRight(self.width() / 2 - 1)
        right.setLeft(self.width() / 2 + 1)
        return left, right

    def _names(self) -> tuple[str, str]:
        if not self.films:
            return "", ""
        count = len(self.films)
        more = f" · {self.place + 1} of {count} (← →)" if count > 1 else ""
        case = self.session.case
        return (
            f"earlier: {self.films[self.place].name}{more}",
            f"this film: {case.name if case else ''}  (F8, Esc: back)",
        )

    def _write(self, painter: QPainter, half: QRectF, name: str) -> None:
        box = painter.fontMetrics().boundingRect(name)
        ground = QRectF(0, 0, box.width() + 12, box.height() + 6)
        ground.moveTopLeft(half.topLeft() + QPointF(8, 6))
        painter.fillRect(ground, QColor(0, 0, 0, 170))
        painter.setPen(QColor("white"))
        painter.drawText(ground, Qt.AlignmentFlag.AlignCenter, name)

    def _draw(self) -> None:
        """Read the earlier film and draw both in the background."""
        project, opened = self.session.project, self.session.opened
        if not self.isVisible() or project is None or opened is None:
            return
        earlier, tone = self.films[self.place], self.session.tone

        def picture(case: Case, film: Radiograph) -> _thumbnails.Rgb:
            window = tone.grey_window(case.id, film.pixels)
            shape = _thumbnails.small_shape(case.shape, SIDE)
            grey = _thumbnails.grey(film.pixels, shape, window)
            return 255 - grey if tone.inverted else grey

        def work() -> list[_thumbnails.Rgb]:
            pairs = (
                (earlier, project.radiograph(earlier)),
                (opened.case, opened.radiograph),
            )
            return [picture(*pair) for pair in pairs]

        self._latest.submit(work, self._drawn, self._failed)

    def _drawn(self, pictures: list[_thumbnails.Rgb]) -> None:
        self.pictures = [pixmap(one) for one in pictures]
        self.update()

    def _failed(self, error: Exception) -> None:
        self.session.message.emit(f"The earlier film cannot be shown: {error}")
        self.leave()
