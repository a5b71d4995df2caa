"""The real window, driven by mouse and key events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QSettings, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from benchmarks.window.large_project import SHAPE
from benchmarks.window.timing import Took, Watch
from napari_wsseg._widgets import window
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.workbench import commands_of, workbench_of

FILM_PIXELS = 940
"""Height of the film on screen."""


class Window:
    """The real window, and what a reader's hands do with it."""

    def __init__(self, place: Path) -> None:
        settings = QSettings(str(place / "window.ini"), QSettings.Format.IniFormat)
        preferences._settings = lambda: settings  # type: ignore[attr-defined]
        watch = Watch()
        viewer = window.open_window(place, reader="ann")
        window.spare_window(viewer)
        self.bench: Any = workbench_of(viewer)
        self.commands = commands_of(viewer)
        self.wait(lambda: self.bench.session.case is not None)
        self.opened = watch.read()
        self.app = QApplication.instance()
        self.qtest = QTest
        self.bench.main_window.resize(1920, 1080)
        self.settle()
        self.canvas = self.bench.canvas()
        film = self.bench.layers.film
        viewer.scene.camera.zoom = FILM_PIXELS / (SHAPE[0] * film.scale[0])
        self.settle()

    def wait(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain")
            QTest.qWait(2)

    def settle(self) -> None:
        self.bench.loading.drain()
        self.bench.drawing.drain()
        self.qtest.qWait(400)

    def drawn(self) -> None:
        """Wait until all of a film that was turned to is on screen."""
        while self.bench.turn.going_on:
            self.app.processEvents()
        self.app.processEvents()

    def timed(self, act: Callable[[], object]) -> Took:
        """Return how long `act` takes until all of it is on screen."""
        watch = Watch()
        act()
        self.app.processEvents()
        return watch.read()

    def key(self, key: Any) -> None:
        self.qtest.keyClick(self.canvas, key)

    def drag(self, seed: int) -> list[Took]:
        """Draw one stroke of twenty points; return the time of each to the screen."""
        rng = np.random.default_rng(seed)
        start = rng.uniform((0.35, 0.3), (0.5, 0.6))
        size = np.array([self.canvas.width(), self.canvas.height()])
        points = [QPoint(*map(int, (start + 0.006 * i) * size)) for i in range(20)]
        left = Qt.MouseButton.LeftButton
        self.qtest.mouseMove(self.canvas, points[0])
        self.app.processEvents()
        self.qtest.mousePress(self.canvas, left, pos=points[0])
        self.app.processEvents()
        times = [
            self.timed(lambda p=point: self.qtest.mouseMove(self.canvas, p))
            for point in points[1:]
        ]
        self.qtest.mouseRelease(self.canvas, left, pos=points[-1])
        self.app.processEvents()
        return times

    def go_to_first(self) -> None:
        first = self.bench.session.list.order[0]
        self.bench.session.go_to(first)
        self.wait(lambda: self.bench.session.case.id == first)
        self.settle()

    def turn(self, key: Any) -> Took:
        before = self.bench.session.case
        watch = Watch()
        self.key(key)
        self.wait(lambda: self.bench.session.case is not before)
        self.drawn()
        return watch.read()

    @contextmanager
    def beats(self, gaps: list[Took]) -> Iterator[None]:
        """Collect the gaps of a 10 ms timer on the event loop."""
        beats: list[Took] = []
        last = Watch()

        def beat() -> None:
            nonlocal last
            beats.append(last.read())
            last = Watch()

        timer = QTimer()
        timer.setTimerType(Qt.TimerType.PreciseTimer)
        timer.timeout.connect(beat)
        timer.start(10)
        yield
        timer.stop()
        beat()
        gaps += beats
