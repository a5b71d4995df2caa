"""Read films of many findings by scripted keys and strokes, and time the window.

    xvfb-run -s "-screen 0 1920x1080x24" python -m benchmarks.window.film_seconds PATH

On every film each finding is turned to (W), one seen alone and again among all (F5),
masks are shown as outlines, off and filled (F6), one stroke of the brush is drawn and
taken back (Ctrl Z), and the film accepted with its edits (S), once it has been on
screen for the half second that a verdict asks for. No eye looks: this is what the
window takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QPoint, QSettings, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.workbench import workbench_of

KEYS = {
    "finding": Qt.Key.Key_W,
    "alone": Qt.Key.Key_F5,
    "drawing": Qt.Key.Key_F6,
    "brush": Qt.Key.Key_2,
}


class Hand:
    """Presses keys on the film and waits until the window has answered."""

    def __init__(self, bench: Workbench) -> None:
        canvas = bench.canvas()
        assert canvas is not None
        self.bench, self.canvas = bench, canvas
        self.taken: dict[str, list[float]] = {}

    def press(self, name: str, key: Qt.Key) -> None:
        """Press a key; its time is until all that it asked for is painted."""
        began = time.perf_counter()
        QTest.keyClick(self.canvas, key)
        self.bench.drawing.drain()
        QApplication.processEvents()
        self.taken.setdefault(name, []).append(time.perf_counter() - began)

    def stroke(self) -> None:
        """Draw a short stroke in the middle of the film and take it back."""
        began = time.perf_counter()
        canvas: QWidget = self.canvas
        middle = canvas.rect().center()
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mousePress(canvas, left, none, middle)
        for step in range(1, 6):
            QTest.mouseMove(canvas, middle + QPoint(4 * step, 2 * step))
        QTest.mouseRelease(canvas, left, none, middle + QPoint(20, 10))
        QApplication.processEvents()
        self.taken.setdefault("stroke", []).append(time.perf_counter() - began)
        QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        while not condition():
            QTest.qWait(5)

    def read(self) -> None:
        """Read the open film and go on to the next one."""
        began, work = time.perf_counter(), time.process_time()
        session = self.bench.session
        for _ in session.looking.names:
            self.press("finding", KEYS["finding"])
        for _ in range(2):
            self.press("alone", KEYS["alone"])
        for _ in range(3):
            self.press("drawing", KEYS["drawing"])
        self.press("brush", KEYS["brush"])
        self.stroke()
        self.wait(lambda: self.bench.sight.seen)
        case, asked = session.case, time.perf_counter()
        QTest.keyClick(self.canvas, Qt.Key.Key_S)
        last = session.list.order[-1] == case.id
        self.wait(
            lambda: (
                case.id in session.list.decisions
                if last
                else session.case is not case and not self.bench.turn.going_on
            )
        )
        if not last:
            self.taken.setdefault("next film", []).append(time.perf_counter() - asked)
        self.taken.setdefault("film", []).append(time.perf_counter() - began)
        self.taken.setdefault("film, processor", []).append(time.process_time() - work)


def main() -> None:
    """Read films and tell the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--pictures", type=Path, help="a folder: how each film looked")
    wanted = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    kept = QSettings(str(place / "window.ini"), QSettings.Format.IniFormat)
    preferences._settings = lambda: kept
    project = Path(shutil.copytree(wanted.project, place / "project"))
    viewer = window.open_window(project, reader="script")
    bench = workbench_of(viewer)
    window.fill_screen(viewer)
    hand = Hand(bench)
    hand.wait(lambda: bench.session.case is not None and bench.sight.seen)
    if wanted.pictures is not None:
        wanted.pictures.mkdir(parents=True, exist_ok=True)
    for number in range(min(wanted.films, len(bench.session.list.order))):
        if wanted.pictures is not None:
            _keep(bench, wanted.pictures / f"film{number:02d}.png")
        hand.read()
    document = {
        name: {
            "n": len(all_of_it),
            "median": round(statistics.median(all_of_it), 3),
            "longest": round(max(all_of_it), 3),
        }
        for name, all_of_it in hand.taken.items()
    }
    print(
        json.dumps({"findings": len(bench.session.looking.names), **document}, indent=1)
    )
    viewer.close()
    QApplication.processEvents()
    shutil.rmtree(place, ignore_errors=True)


def _keep(bench: Workbench, path: Path) -> None:
    bench.session.looking.set_drawing("outlined")
    bench.drawing.drain()
    QTest.qWait(300)
    assert bench.main_window is not None
    bench.main_window.grab().save(str(path))
    bench.session.looking.set_drawing("filled")


if __name__ == "__main__":
    main()
