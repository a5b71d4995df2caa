"""Every tool for an expert mask, used by mouse and keys, and what it must have done."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QMenu, QWidget
from scipy import ndimage

from helpers import pointer, window_input
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg.ops import masks

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
RIGHT = Qt.MouseButton.RightButton
#: Of the film: a shape that is drawn lies in a square of so many pixels' half a side.
REACH = 0.06
Pixel = tuple[float, float]


@dataclass(eq=False)
class Toolbox:
    """One reader's tools at one window.

    Attributes
    ----------
    kept
        Reader, case and finding to a hash of the mask as it was last drawn.
    used
        How often each tool was.
    """

    bench: Workbench
    kept: dict[tuple[str, str, str], str] = field(default_factory=dict)
    used: Counter[str] = field(default_factory=Counter)

    @property
    def review(self) -> Review:
        return self.bench.main_window.findChild(Review)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """What the current finding's layer shows."""
        return np.array(self.bench.layers.active.data != 0)

    @property
    def finding(self) -> str:
        return self.bench.session.looking.finding.name

    def use(self, name: str) -> None:
        """Use a tool on the current finding, and note how the mask is then."""
        TOOLS[name](self)
        QTest.qWait(20)
        self.note()
        self.used[name] += 1

    def note(self, finding: str | None = None) -> None:
        """Note that a finding is drawn as its layer shows it now."""
        finding, session = finding or self.finding, self.bench.session
        shown = self.bench.layers.experts[finding].data
        seen = window_input.digest(shown)
        assert window_input.digest(session.experts.masks[finding]) == seen
        key = session.reader, session.case.id, finding
        self.kept[key] = seen

    # Places ---------------------------------------------------------------------------

    def at(self, pixel: Pixel) -> QPoint:
        """Return where on the canvas a pixel of the film is."""
        native, camera = window_input.canvas(self.bench), self.bench.viewer.camera
        world = np.array(self.bench.layers.active.data_to_world(pixel))
        middle = np.array([native.height() / 2, native.width() / 2])
        y, x = middle + (world - np.array(camera.center[-2:])) * camera.zoom
        return QPoint(round(x), round(y))

    def free(self) -> tuple[float, float, float]:
        """Return the middle of a place where nothing is drawn, and how far it reaches.

        Clears the mask where there is no such place.
        """
        for _ in range(2):
            mask = self.mask
            reach = REACH * min(mask.shape)
            far = ndimage.distance_transform_edt(np.pad(~mask, 1))[1:-1, 1:-1]
            rim = round(0.15 * min(mask.shape))
            inner = np.zeros_like(far)
            inner[rim:-rim, rim:-rim] = far[rim:-rim, rim:-rim]
            rows, columns = np.nonzero(inner > 2.2 * reach)
            if rows.size:
                # Anywhere, but the same at every run.
                place = (7919 * (1 + sum(self.used.values()))) % rows.size
                return float(rows[place]), float(columns[place]), reach
            self.use("clear")
        raise LookupError("no room on the film")

    # Hands ----------------------------------------------------------------------------

    def key(self, code: Qt.Key, held: object = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(window_input.canvas(self.bench), code, held)
        QTest.qWait(10)

    def click(self, button: QAbstractButton) -> None:
        self.review.scroll.ensureWidgetVisible(button)
        window_input.click(button)
        QTest.qWait(10)

    def tool(self, name: str) -> None:
        buttons = self.review.editing.tools.buttons()
        self.click(next(b for b in buttons if b.text() == name))

    def size(self, pixels: float) -> None:
        """Make the brush so wide with the keys of its slider."""
        slider, wanted = self.review.editing.brush, max(2, round(pixels))
        self.review.scroll.ensureWidgetVisible(slider)
        slider.setFocus()
        while slider.value() != wanted:
            way = Qt.Key.Key_Right if slider.value() < wanted else Qt.Key.Key_Left
            QTest.keyClick(slider, way)
        self.bench.focus_canvas()

    def drag(
        self,
        pixels: Iterable[Pixel],
        button: Qt.MouseButton = window_input.LEFT,
        held: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        """Drag the mouse over pixels of the film."""
        native, places = window_input.canvas(self.bench), [self.at(p) for p in pixels]
        pointer.drag(native, places, button, held, pause=8)
        QTest.qWait(12)

    def drag_by_the_server(self, pixels: Iterable[Pixel]) -> None:
        """Drag the display's own pointer, as a mouse does."""
        native = window_input.canvas(self.bench)
        arguments = ["xdotool"]
        for number, pixel in enumerate(pixels):
            place = native.mapToGlobal(self.at(pixel))
            arguments += ["mousemove", str(place.x()), str(place.y()), "sleep", "0.04"]
            arguments += ["mousedown", "1", "sleep", "0.04"] if number == 0 else []
        moving = subprocess.Popen([*arguments, "mouseup", "1"])
        window_input.wait_for(lambda: moving.poll() is not None)
        QTest.qWait(60)
        assert moving.returncode == 0

    def pick_from_menu(self, button: QWidget, message: str) -> None:
        """Open a button's menu and click on the entry that has these words."""
        menu: QMenu = self.review.editing.starting.menu
        offered: list[str] = []

        def pick() -> None:
            if not menu.isVisible():
                QTimer.singleShot(50, pick)
                return
            offered.extend(action.text() for action in menu.actions())
            entry = next((a for a in menu.actions() if message in a.text()), None)
            if entry is None:
                menu.close()
            else:
                place = menu.actionGeometry(entry).center()
                QTest.mouseClick(menu, window_input.LEFT, pos=place)

        # Some versions of Qt wait in the click until the menu is closed, others do not.
        QTimer.singleShot(50, pick)
        self.click(button)
        window_input.wait_for(lambda: bool(offered) and not menu.isVisible(), 5)
        assert any(message in text for text in offered), (
            f"no {message!r} among {offered}"
        )


# Tools --------------------------------------------------------------------------------


def line(row: float, column: float, reach: float) -> list[Pixel]:
    return [
        (row + 0.3 * reach * k, column + 0.8 * reach * k) for k in (-1, -0.5, 0, 0.5, 1)
    ]


def circle(row: float, column: float, radius: float) -> list[Pixel]:
    turns = np.linspace(0, 2 * np.pi, 13)
    return [(row + radius * np.sin(t), column + radius * np.cos(t)) for t in turns]


def has(mask: NDArray[np.bool_], pixels: Iterable[Pixel]) -> bool:
    return all(mask[round(row), round(column)] for row, column in pixels)


def brush(box: Toolbox) -> None:
    place = box.free()
    before = box.mask
    box.tool("Brush")
    box.size(place[2] / 3)
    box.drag(line(*place))
    added = box.mask & ~before
    assert has(added, line(*place)), "painted where the mouse went"
    assert not (before & ~box.mask).any()
    rows, columns = np.nonzero(added)
    assert np.abs(rows - place[0]).max() < place[2], "and nowhere else"
    assert np.abs(columns - place[1]).max() < 1.3 * place[2]


def by_the_server(box: Toolbox) -> None:
    """The brush again, moved by the display's own pointer where that can be."""
    if not shutil.which("xdotool") or QGuiApplication.platformName() != "xcb":
        brush(box)
        return
    place = box.free()
    box.key(Qt.Key.Key_2)
    box.size(place[2] / 3)
    box.drag_by_the_server(line(*place))
    assert has(box.mask, line(*place)), "painted where the pointer went"


def eraser(box: Toolbox) -> None:
    brush(box)
    before = box.mask
    row, column = (float(np.mean(axis)) for axis in np.nonzero(before))
    rows, columns = np.nonzero(before)
    nearest = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    middle = float(rows[nearest]), float(columns[nearest])
    box.key(Qt.Key.Key_1)
    across = [(middle[0] + k, middle[1]) for k in (-4, 0, 4)]
    box.drag(across)
    assert not box.mask[round(middle[0]), round(middle[1])], "taken away"
    assert not (box.mask & ~before).any()


def polygon(box: Toolbox) -> None:
    row, column, reach = box.free()
    before = box.mask
    corners = [
        (row + a * reach, column + b * reach)
        for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))
    ]
    box.tool("Polygon")
    native = window_input.canvas(box.bench)
    for corner in corners:
        pointer.move(native, box.at(corner))
        QTest.qWait(10)
        QTest.mouseClick(native, window_input.LEFT, pos=box.at(corner))
        QTest.qWait(10)
    QTest.mouseDClick(native, window_input.LEFT, pos=box.at(corners[-1]))
    QTest.qWait(30)
    added = box.mask & ~before
    assert has(added, [(row, column), (row + 0.8 * reach, column - 0.8 * reach)])
    assert 0.8 < added.sum() / (2 * reach) ** 2 < 1.3, "a square"


def ring(box: Toolbox) -> tuple[float, float, float]:
    """Paint a closed ring, and return its middle and size."""
    row, column, reach = box.free()
    box.tool("Brush")
    box.size(reach / 4)
    box.drag(circle(row, column, reach))
    assert not box.mask[round(row), round(column)]
    return row, column, reach


def fill(box: Toolbox) -> None:
    row, column, reach = ring(box)
    before = box.mask
    box.key(Qt.Key.Key_4)
    place, native = box.at((row, column)), window_input.canvas(box.bench)
    pointer.click(native, place)
    QTest.qWait(30)
    added = box.mask & ~before
    assert added[round(row), round(column)]
    assert added.sum() < 4 * reach**2, "the ring held"
    box.key(Qt.Key.Key_2)


def outline(box: Toolbox) -> None:
    """Click with the right button, go round, and come back to where it began."""
    row, column, reach = box.free()
    box.tool("Brush")
    box.size(reach / 4)
    native = window_input.canvas(box.bench)
    places = [box.at(pixel) for pixel in circle(row, column, reach)]
    pointer.click(native, places[0], RIGHT)
    for place in places[1:]:
        pointer.move(native, place)
        QTest.qWait(8)
    QTest.qWait(20)
    assert has(box.mask, [(row, column), (row + reach / 2, column)]), "closed and full"


def within(box: Toolbox) -> None:
    """Paint from inside a stage's outline to its outside: what is outside is cut."""
    session, editing = box.bench.session, box.review.editing
    stage = editing.starting.source()
    draft = session.draft(stage, box.finding, session.case.shape)
    room = draft & ~box.mask
    rim = round(0.05 * min(room.shape))
    far = ndimage.distance_transform_edt(np.pad(room, 1))[1:-1, 1:-1]
    start = np.unravel_index(int(far.argmax()), far.shape)
    outside = np.argwhere(~draft[rim:-rim, rim:-rim]) + rim
    offered = bool(far[start] > 2 and outside.size)
    if offered:
        end = outside[int(((outside - start) ** 2).sum(axis=1).argmin())]
        end = np.clip(end + (end - start), rim, np.array(room.shape) - rim)
    else:
        start, end = np.array(room.shape) * 0.4, np.array(room.shape) * 0.6
    before = box.mask
    box.click(editing.within)
    assert editing.within.isChecked()
    box.tool("Brush")
    box.size(8)
    box.drag([tuple(start + k * (end - start)) for k in np.linspace(0, 1, 6)])
    added = box.mask & ~before
    assert not (added & ~draft).any(), "nothing where the stage says no"
    if offered:
        assert added.any()
        box.used["where a stage offers something"] += 1
    box.click(editing.within)
    assert not editing.within.isChecked()


def grow(box: Toolbox) -> None:
    place = box.free()
    before = box.mask
    box.key(Qt.Key.Key_N)
    assert box.bench.grow.active
    box.drag(line(*place))
    window_input.settle(box.bench)
    row, column, reach = place
    box.drag([(row + 2 * reach, column - reach), (row + 2 * reach, column)], held=CTRL)
    window_input.settle(box.bench)
    assert box.bench.grow.ready, "a proposal"
    box.key(Qt.Key.Key_Return)
    window_input.settle(box.bench)
    assert (box.mask & ~before).any()
    assert not (before & ~box.mask).any()
    box.key(Qt.Key.Key_N)
    assert not box.bench.grow.active


def _cleaned(
    name: str, rule: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]
) -> Callable[[Toolbox], None]:
    def clean(box: Toolbox) -> None:
        ring(box)
        brush(box)
        before = box.mask
        box.click(getattr(box.review.editing, name))
        assert not np.array_equal(box.mask, before)
        np.testing.assert_array_equal(box.mask, rule(before))

    return clean


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest piece, with corners counted as touching."""
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = ndimage.sum_labels(mask, pieces, range(1, count + 1))
    return np.asarray(pieces == 1 + int(np.argmax(sizes)))


def clear(box: Toolbox) -> None:
    box.click(box.review.editing.clear)
    assert not box.mask.any()


def start_from_stage(box: Toolbox) -> None:
    session, editing = box.bench.session, box.review.editing
    stage = editing.starting.source()
    draft = session.draft(stage, box.finding, session.case.shape)
    box.click(editing.start)
    np.testing.assert_array_equal(box.mask, draft)


def start_from_version(box: Toolbox) -> None:
    brush(box)
    first = box.mask
    box.bench.session.experts.fold()
    version = box.review.editing.starting.versions()[-1].version
    brush(box)
    assert not np.array_equal(box.mask, first)
    row = box.review.editing.starting
    box.pick_from_menu(row.others, f"version {version} ")
    np.testing.assert_array_equal(box.mask, first)


def undo_and_redo(box: Toolbox) -> None:
    box.free()
    before = box.mask
    brush(box)
    after = box.mask
    box.key(Qt.Key.Key_Z, CTRL)
    undone = box.mask
    np.testing.assert_array_equal(undone, before)
    box.key(Qt.Key.Key_Z, CTRL | SHIFT)
    np.testing.assert_array_equal(box.mask, after)
    box.click(box.review.editing.undo)
    np.testing.assert_array_equal(box.mask, undone)
    box.click(box.review.editing.redo)
    np.testing.assert_array_equal(box.mask, after)


BY_HAND: dict[str, Callable[[Toolbox], None]] = {
    "brush": brush,
    "pointer": by_the_server,
    "eraser": eraser,
    "polygon": polygon,
    "fill": fill,
    "outline": outline,
    "grow": grow,
    "smooth": _cleaned("smooth", masks.smooth),
    "fill holes": _cleaned("fill_holes", ndimage.binary_fill_holes),
    "keep largest": _cleaned("largest", _pieces),
    "start from version": start_from_version,
    "undo and redo": undo_and_redo,
    "clear": clear,
}
"""Tools that need nothing from a machine."""

FROM_STAGES: dict[str, Callable[[Toolbox], None]] = {
    "start from stage": start_from_stage,
    "within a stage": within,
}
"""Tools that begin with what a stage offers."""

TOOLS = BY_HAND | FROM_STAGES
