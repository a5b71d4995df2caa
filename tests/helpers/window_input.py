"""What a reader's hands do: real mouse and key events on a window's widgets."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QTabBar, QWidget

from helpers import pointer
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.reader_dialog import ReaderDialog
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg._widgets.workbench import workbench_of
from napari_wsseg._widgets.worklist.panel import Worklist

LEFT = Qt.MouseButton.LeftButton
_PATHS = [Path(pointer.__file__).parents[1], os.environ.get("PYTHONPATH")]
SURROUNDINGS = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, filter(None, _PATHS))),
}
"""What a script of the tests is started with, so that it finds what they import."""

KEYS = {
    "paint": Qt.Key.Key_2,
    "accept": Qt.Key.Key_A,
    "accept with edits": Qt.Key.Key_S,
    "reject": Qt.Key.Key_R,
    "next": Qt.Key.Key_PageDown,
    "previous": Qt.Key.Key_PageUp,
    "stage": Qt.Key.Key_D,
    "finding": Qt.Key.Key_W,
    "gallery": Qt.Key.Key_T,
}


def open_bench(folder: Path) -> Workbench:
    """Open the window on a project and wait for its first film."""
    bench = workbench_of(window.open_window(folder, reader="ann"))
    wait_for(lambda: bench.session.case is not None and canvas(bench).isVisible())
    settle(bench)
    return bench


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the event loop run until `condition` holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds} s in vain")
        QTest.qWait(10)


def settle(bench: Workbench) -> None:
    """Wait until what is read and drawn in the background is on screen."""
    bench.loading.drain()
    bench.drawing.drain()
    QTest.qWait(50)


def canvas(bench: Workbench) -> QWidget:
    """Return the widget that napari draws on."""
    assert bench.main_window is not None
    for widget in bench.main_window.centralWidget().findChildren(QWidget):
        if widget.metaObject().className() == "CanvasBackendDesktop":
            return widget
    raise LookupError("no canvas")


def part(bench: Workbench, kind: type) -> Any:
    """Return the window's one widget of a kind."""
    assert bench.main_window is not None
    return bench.main_window.findChild(kind)


def look(bench: Workbench) -> None:
    """Look at the film for as long as a verdict asks for."""
    wait_for(lambda: bench.sight.seen)


def press(bench: Workbench, name: str) -> None:
    """Press a key on the picture; one that decides, once the film was looked at."""
    if name in ("accept", "accept with edits", "reject"):
        look(bench)
    QTest.keyClick(canvas(bench), KEYS[name])


def stroke(
    bench: Workbench, *points: tuple[float, float], until: int | None = None
) -> None:
    """Draw with the mouse, points in fractions of the picture.

    With `until`, the button is still held after so many points.
    """
    native = canvas(bench)
    places = [
        QPoint(int(x * native.width()), int(y * native.height())) for x, y in points
    ]
    if until is None:
        pointer.drag(native, places)
        return
    pointer.press(native, places[0])
    for place in places[1:until]:
        pointer.move(native, place)
        QTest.qWait(15)


def scribble(seed: int) -> list[tuple[float, float]]:
    """Return points of a stroke somewhere over the film."""
    rng = np.random.default_rng(seed)
    start = rng.uniform((0.42, 0.3), (0.55, 0.65))
    return [tuple(start + step * np.array([0.008, 0.006])) for step in range(8)]


def turn(bench: Workbench, key: str = "next") -> None:
    """Turn to another film by a key and wait until it is shown."""
    before = bench.session.case
    assert before is not None
    press(bench, key)
    wait_for(lambda: bench.session.case is not before)


def click(button: QAbstractButton) -> None:
    """Click a button that a reader can see and press."""
    assert button.isVisible(), f"{button.text()!r} is not in sight"
    assert button.isEnabled(), f"{button.text()!r} is greyed out"
    QTest.mouseClick(button, LEFT)


def raise_tab(bench: Workbench, name: str) -> None:
    """Click on the tab of a panel."""
    assert bench.main_window is not None
    for bar in bench.main_window.findChildren(QTabBar):
        for place in range(bar.count()):
            if bar.tabText(place) == name:
                QTest.mouseClick(bar, LEFT, pos=bar.tabRect(place).center())
                QTest.qWait(30)
                return
    raise LookupError(f"no tab {name!r}")


def type_number(field: QWidget, number: int) -> None:
    """Type a number into a spin box of a form."""
    QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(field, str(number))
    QTest.keyClick(field, Qt.Key.Key_Return)


def pick_row(bench: Workbench, case_id: str) -> None:
    """Click on a film in the worklist."""
    assert bench.main_window is not None
    worklist: Any = bench.main_window.findChild(Worklist)
    table = worklist.table
    index = worklist.model.index(worklist.model.row_of(case_id), 0)
    table.scrollTo(index)
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualRect(index).center())
    wait_for(lambda: bench.session.case.id == case_id)


def set_up_training(bench: Workbench, *, size: int, epochs: int) -> TrainPanel:
    """Turn to the Train panel, choose the classifier and type its settings."""
    raise_tab(bench, "Train")
    panel: TrainPanel = bench.main_window.findChild(TrainPanel)
    wait_for(lambda: panel.state == "ready", 60)
    QTest.keyClick(panel.setup.choice, Qt.Key.Key_Down)
    assert panel.setup.recipe == "classifier"
    fields = panel.setup.form.widgets
    type_number(fields["size"].native, size)
    type_number(fields["epochs"].native, epochs)
    assert panel.setup.settings() == {"size": size, "epochs": epochs}
    return panel


def change_reader(
    bench: Workbench, name: str, mode: str, *, stages: bool = True
) -> None:
    """Press F2, type a name, choose a way to read and press Enter."""
    seen: list[ReaderDialog] = []

    def fill_in() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, ReaderDialog):
            QTimer.singleShot(50, fill_in)
            return
        seen.append(dialog)
        line = dialog.name.lineEdit()
        line.selectAll()
        QTest.keyClicks(line, name)
        dialog.modes[mode].setFocus()
        QTest.keyClick(dialog.modes[mode], Qt.Key.Key_Space)
        if dialog.stages.isChecked() != stages:
            QTest.keyClick(dialog.stages, Qt.Key.Key_Space)
        QTest.mouseClick(dialog.ok, Qt.MouseButton.LeftButton)

    QTimer.singleShot(50, fill_in)
    QTest.keyClick(canvas(bench), Qt.Key.Key_F2)
    assert seen, "F2 asks who reads"
    settle(bench)


def drawn(bench: Workbench) -> dict[str, str]:
    """Return finding to hash of what the open film's expert layers show."""
    return {name: digest(layer.data) for name, layer in bench.layers.experts.items()}


def digest(mask: np.ndarray) -> str:
    """Return a hash of which pixels a mask has."""
    return hashlib.sha256(np.packbits(np.asarray(mask) != 0).tobytes()).hexdigest()


class Pulse(QObject):
    """A timer of 10 ms on the event loop, and how late it came."""

    def __init__(self) -> None:
        super().__init__()
        self._beats: list[float] = []
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(lambda: self._beats.append(time.perf_counter()))

    def __enter__(self) -> Pulse:
        self._beats.append(time.perf_counter())
        self._timer.start(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()
        self._beats.append(time.perf_counter())

    @property
    def gaps_ms(self) -> np.ndarray:
        """Time between beats, in milliseconds."""
        return np.diff(self._beats) * 1000

    @property
    def p99_ms(self) -> float:
        """99 of 100 gaps are no longer."""
        return float(np.percentile(self.gaps_ms, 99))

    @property
    def longest_ms(self) -> float:
        """The longest gap."""
        return float(self.gaps_ms.max())

    def __str__(self) -> str:
        return (
            f"{self.gaps_ms.size} gaps, median {np.median(self.gaps_ms):.1f} ms, "
            f"p99 {self.p99_ms:.1f} ms, longest {self.longest_ms:.1f} ms"
        )
