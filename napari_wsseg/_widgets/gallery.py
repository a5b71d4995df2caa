"""Stages, or maps, of a film side by side, zoomed and moved together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QWheelEvent,
)
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_wsseg._widgets import _pictures
from napari_wsseg._widgets._background import Latest
from napari_wsseg._widgets._layers import STAGE_NAMES
from napari_wsseg._widgets._listening import listen
from napari_wsseg._widgets._workbench import Workbench
from napari_wsseg._widgets.stages import pixmap
from napari_wsseg.pipeline import variants
from napari_wsseg.session.showing import read_every_map

SIDE = 1400
"""Longest side of the pictures, in pixels: sharp enough when zoomed a little."""


@dataclass(slots=True)
class Window:
    """The part of the film that every tile shows, in fractions of the film."""

    centre: QPointF
    zoom: float = 1.0


class Tile(QWidget):
    """One picture of the film; wheel zooms, dragging moves, a click opens it."""

    def __init__(self, key: str, title: str, gallery: Gallery) -> None:
        super().__init__()
        self.key = key
        self.gallery = gallery
        self.picture: QPixmap | None = None
        self._pressed: QPointF | None = None
        self._moved = False
        self.setMinimumSize(80, 80)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setToolTip(f"Click: show {title} alone. Wheel: zoom all.")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the shared part of the film, or say that there is nothing yet."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("black"))
        if self.picture is None:
            painter.setPen(QColor("#8a919c"))
            words = self.gallery.empty
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(self._target(), self.picture, _whole(self.picture))
        painter.end()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom every tile."""
        if event is not None:
            self.gallery.zoom(1.2 ** (event.angleDelta().y() / 120))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to move, or to click."""
        if event is not None:
            self._pressed, self._moved = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move every tile."""
        if event is None or self._pressed is None or self.picture is None:
            return
        by = event.position() - self._pressed
        if self._moved or by.manhattanLength() > 4:
            target = self._target()
            self._moved, self._pressed = True, event.position()
            self.gallery.move_by(by.x() / target.width(), by.y() / target.height())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Open the view that was clicked."""
        if self._pressed is not None and not self._moved:
            self.gallery.choose(self.key)
        self._pressed = None

    def _target(self) -> QRectF:
        """Return where the whole picture lies, in this widget's pixels."""
        if self.picture is None:
            return QRectF(self.rect())
        window = self.gallery.window_shown
        width, height = self.picture.width(), self.picture.height()
        fit = min(self.width() / width, self.height() / height) * window.zoom
        left = self.width() / 2 - window.centre.x() * width * fit
        top = self.height() / 2 - window.centre.y() * height * fit
        return QRectF(left, top, width * fit, height * fit)


class Gallery(QWidget):
    """Tiles over the canvas, of every view or of every map; Esc or T leads back."""

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.bench = bench
        self.session = bench.session
        self.window_shown = Window(QPointF(0.5, 0.5))
        self.what: Literal["stages", "maps"] = "stages"
        self.empty = ""
        self.tiles: dict[str, Tile] = {}
        self._cells = QWidget(self)
        self._latest = Latest(bench.drawing)
        self.setAutoFillBackground(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self._cells)
        session, looking = self.session, self.session.looking
        listen(
            self,
            self.draw,
            session.case_changed,
            session.stages_changed,
            looking.threshold_changed,
            looking.finding_changed,
        )
        listen(self, lambda: self.hide(), session.closing)
        self.hide()
        if parent is not None:
            parent.installEventFilter(self)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Hide the canvas behind."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().window())
        painter.end()

    def open(self, what: Literal["stages", "maps"]) -> None:
        """Show every view, or every map of the stage "CAM", side by side."""
        maps = what == "maps"
        self.what = what
        self.empty = "Not computed for this film" if maps else "Not run for this film"
        shown = self.session.showing.maps
        titles = {key: variants.words(key) for key in shown} if maps else STAGE_NAMES
        if list(titles) != list(self.tiles):
            self._lay(titles)
        self.show()
        self.raise_()
        self.draw()

    def choose(self, key: str) -> None:
        """Leave with one view or map shown alone."""
        self.hide()
        if self.what == "maps":
            self.session.choose_map(key)
        self.session.looking.set_view("cam" if self.what == "maps" else key)
        self.bench.focus_canvas()

    def _lay(self, titles: Mapping[str, str]) -> None:
        """Lay a tile for each title, in a grid about as wide as it is high."""
        cells = QWidget()
        grid = QGridLayout(cells)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        self.tiles = {key: Tile(key, title, self) for key, title in titles.items()}
        columns = math.ceil(math.sqrt(len(titles)))
        for place, (key, tile) in enumerate(self.tiles.items()):
            cell = QVBoxLayout()
            title = QLabel(titles[key])
            title.setStyleSheet("font-weight: bold;")
            cell.addWidget(title)
            cell.addWidget(tile, 1)
            grid.addLayout(cell, place // columns, place % columns)
            grid.setRowStretch(place // columns, 1)
            grid.setColumnStretch(place % columns, 1)
        layout = self.layout()
        if layout is not None:
            layout.replaceWidget(self._cells, cells)
        self._cells.deleteLater()
        self._cells = cells

    def zoom(self, factor: float) -> None:
        """Zoom every tile about the middle."""
        window = self.window_shown
        window.zoom = min(max(window.zoom * factor, 1.0), 12.0)
        if window.zoom == 1.0:
            window.centre = QPointF(0.5, 0.5)
        self._repaint()

    def move_by(self, across: float, down: float) -> None:
        """Move every tile, in fractions of the film."""
        centre = self.window_shown.centre
        self.window_shown.centre = QPointF(
            min(max(centre.x() - across, 0.0), 1.0),
            min(max(centre.y() - down, 0.0), 1.0),
        )
        self._repaint()

    def showEvent(self, event: QEvent | None) -> None:
        """Cover the canvas."""
        self._cover()
        self.raise_()
        self.setFocus()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the size of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._cover()
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Leave on Esc; every other key goes on to napari and our shortcuts."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.bench.toggle_gallery()
        elif event is not None:
            event.ignore()

    def draw(self) -> None:
        """Draw every tile in the background."""
        opened, experts = self.session.opened, self.session.experts
        looking = self.session.looking
        if not self.isVisible() or opened is None or experts is None:
            return
        drafts, masks = looking.drafts.copy(), dict(experts.masks)
        shape = _pictures.small_shape(opened.case.shape, SIDE)
        finding, colours = looking.finding, {f.name: f.colour for f in looking.findings}

        what, showing = self.what, self.session.showing
        folder = self.session.project.folder if self.session.project else None

        def work() -> dict[str, NDArray[np.uint8]]:
            film = _pictures.grey(opened.radiograph.pixels, shape)
            if what == "maps" and folder is not None:
                found: dict[str, NDArray[np.uint8]] = {}
                sources = read_every_map(folder, opened.case.id, showing)
                names = [finding.name] if finding else []
                stages = dict.fromkeys(sources, "cam")
            else:
                drawn = [
                    (_pictures.shrink(mask, shape) != 0, colours[name])
                    for name, mask in masks.items()
                ]
                found = {
                    "film": film,
                    "expert": _pictures.with_masks(film, drawn, filled=True),
                }
                sources, names = dict(opened.maps), list(drafts.findings)
                stages = {stage: stage for stage in sources}
            for key, maps in sources.items():
                score = (
                    drafts.score(maps, stages[key], finding.name) if finding else None
                )
                picture = film
                if score is not None:
                    heat = _pictures.cropped(score, opened.case.shape)
                    picture = _pictures.with_heat(film, heat, 0.55)
                rims = [
                    (drafts.draft(maps, stages[key], name, shape), colours[name])
                    for name in names
                ]
                found[key] = _pictures.with_masks(picture, rims, filled=False)
            return found

        self._latest.submit(work, self._drawn, self._failed)

    def _drawn(self, pictures: dict[str, NDArray[np.uint8]]) -> None:
        for view, tile in self.tiles.items():
            picture = pictures.get(view)
            tile.picture = None if picture is None else pixmap(picture)
        self._repaint()

    def _failed(self, error: Exception) -> None:
        self.session.message.emit(f"The stages could not be drawn: {error}")

    def _cover(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())

    def _repaint(self) -> None:
        for tile in self.tiles.values():
            tile.update()


def _whole(picture: QPixmap) -> QRectF:
    return QRectF(0, 0, picture.width(), picture.height())
