"""Stages, or maps, of a film side by side, zoomed and moved together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QWheelEvent,
)
from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.overlays.cover import (
    SIDE,
    Cover,
    FilmView,
    Pictures,
    picture_rect,
    stage_dices,
    stage_pictures,
)
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg.pipeline.inference import variants
from napari_wsseg.session.shown_runs import read_every_map

_DIGITS = 14
"""Height of a number's type in a tile, in pixels of the screen."""


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
            text = self.gallery.empty
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(self._target(), self.picture, picture_rect(self.picture))
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
        area = QRectF(self.rect())
        window = self.gallery.window_shown
        return area if self.picture is None else window.placed(self.picture, area)


class Gallery(Cover):
    """Tiles over the canvas, of every view or of every map; Esc or T leads back."""

    def __init__(self, bench: Workbench, parent: QWidget | None) -> None:
        super().__init__(bench, parent, bench.stages_wanted.emit)
        self.session = bench.session
        self.window_shown = FilmView(QPointF(0.5, 0.5))
        self.what: Literal["stages", "maps"] = "stages"
        self.empty = ""
        self.tiles: dict[str, Tile] = {}
        self.titles: dict[str, QElidingLabel] = {}
        self._names: dict[str, str] = {}
        self._cells = QWidget(self)
        self._latest = Latest(bench.drawing)
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
        listen(self, self._put_away, session.closing)

    def _put_away(self) -> None:
        self.hide()

    def open(self, what: Literal["stages", "maps"]) -> None:
        """Show every view, or every map of the stage "CAM", side by side."""
        maps = what == "maps"
        self.what = what
        self.empty = "Not computed for this film" if maps else "Not run for this film"
        shown = self.session.showing.maps
        titles = (
            {key: variants.variant_title(key) for key in shown} if maps else STAGE_NAMES
        )
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
        self._names, self.titles = dict(titles), {}
        columns = math.ceil(math.sqrt(len(titles)))
        for place, (key, tile) in enumerate(self.tiles.items()):
            cell = QVBoxLayout()
            title = self.titles[key] = QElidingLabel(titles[key])
            title.setToolTip(titles[key])
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
        self.window_shown.magnify(factor)
        self._repaint()

    def move_by(self, across: float, down: float) -> None:
        """Move every tile, in fractions of the film."""
        self.window_shown.move(across, down)
        self._repaint()

    def draw(self) -> None:
        """Draw every tile in the background."""
        if self.isVisible() and self.session.opened is not None:
            maps = self.what == "maps"
            work = self._maps() if maps else self._stages()
            compare = dict if maps else stage_dices(self.session)
            self._latest.submit(
                lambda: (work(), compare()),
                lambda found: self._drawn(*found),
                self._failed,
            )

    def _stages(self) -> Callable[[], Pictures]:
        """Return work that draws every view, its numbers legible in a tile."""
        opened, tile = self.session.opened, next(iter(self.tiles.values()))
        if opened is None:
            return dict
        height, width = _thumbnails.small_shape(opened.case.shape, SIDE)
        fit = min(tile.width() / width, tile.height() / height)
        return stage_pictures(self.session, least=round(_DIGITS / fit))

    def _maps(self) -> Callable[[], Pictures]:
        """Return work that draws every map of the current finding."""
        session, looking = self.session, self.session.looking
        opened, project, finding = session.opened, session.project, looking.finding
        if opened is None or project is None or finding is None:
            return dict
        folder, showing = project.folder, session.showing
        drafts, shape = looking.drafts.copy(), opened.case.shape
        known = opened.case.labels
        small = _thumbnails.small_shape(shape, SIDE)
        window = session.tone.grey_window(opened.case.id, opened.radiograph.pixels)

        def work() -> Pictures:
            film = _thumbnails.grey(opened.radiograph.pixels, small, window)
            found: Pictures = {}
            for key, maps in read_every_map(folder, opened.case.id, showing).items():
                score = drafts.score(maps, "cam", finding.name)
                picture = film
                if score is not None:
                    heat = _thumbnails.cropped(score, shape)
                    picture = _thumbnails.with_heat(film, heat, 0.55)
                rim = drafts.draft(maps, "cam", finding.name, small, known)
                rims = [(rim, finding.colour)]
                found[key] = _thumbnails.with_masks(picture, rims, filled=False)
            return found

        return work

    def _drawn(
        self, pictures: dict[str, NDArray[np.uint8]], dices: Mapping[str, float | None]
    ) -> None:
        for view, tile in self.tiles.items():
            title = self.titles[view]
            title.setText(self._names[view])
            title.setToolTip(self._names[view])
            if view in dices:
                dice = dices[view]
                words = "both empty" if dice is None else f"Dice {dice:.2f}"
                title.setText(f"{self._names[view]} · {words}")
                title.setToolTip("White: the expert's outline of the finding in hand")
            picture = pictures.get(view)
            tile.picture = None if picture is None else pixmap(picture)
        self._repaint()

    def _failed(self, error: Exception) -> None:
        self.session.message.emit(f"The stages could not be drawn: {error}")

    def _repaint(self) -> None:
        for tile in self.tiles.values():
            tile.update()
