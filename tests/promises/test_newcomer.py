"""From an empty window to the first accepted mask, by mouse and keys alone.

Nothing is called and no terminal opened: a real pointer clicks *New project…*, chooses
a folder, creates the project, draws a stroke and accepts it, at two sizes of window and
in both themes. Clicks, keys and seconds are told.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QPoint, QSettings, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QPushButton, QWidget

from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.opening.new_project import NewProject
from napari_wsseg._widgets.opening.start_page import StartPage
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.workbench import workbench_of
from napari_wsseg.io.project import Project
from napari_wsseg.phantom import write_dataset

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.programs,
    pytest.mark.timeout(1800),
]

MOST_CLICKS, MOST_KEYS = 3, 5
"""Enter in the dialog of a desktop may take two presses: one closes what it offers."""


@pytest.fixture(autouse=True)
def _managed(tmp_path: Path, qtbot: Any) -> Iterator[None]:
    """Manage windows as a desktop does: what opens gets the keyboard."""
    manager = shutil.which("openbox")
    assert manager, "openbox is not installed: apt-get install openbox"
    ready = tmp_path / "windows-are-managed"
    process = subprocess.Popen(
        [manager, "--startup", f"touch {ready}"], stderr=subprocess.DEVNULL
    )
    qtbot.waitUntil(ready.exists, timeout=60_000)
    yield
    process.terminate()
    process.wait()


class Newcomer:
    """A hand on mouse and keyboard, through the window system, that counts."""

    def __init__(self, qtbot: Any) -> None:
        self.qtbot = qtbot
        self.clicks = self.keys = self.strokes = 0
        self.waited = 0.0

    def do(self, *arguments: object) -> None:
        """Let xdotool do something and the window answer."""
        done = subprocess.Popen(["xdotool", *map(str, arguments)])
        self.qtbot.waitUntil(lambda: done.poll() is not None, timeout=60_000)
        self.qtbot.wait(100)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the machine."""
        began = time.monotonic()
        self.qtbot.waitUntil(condition, timeout=600_000)
        self.waited += time.monotonic() - began

    def click(self, widget: QWidget) -> None:
        """Click in the middle of a widget."""
        assert widget.isVisible()
        at = widget.mapToGlobal(widget.rect().center())
        self.clicks += 1
        self.do("mousemove", at.x(), at.y(), "click", 1)

    def choose_folder(self, button: QWidget, folder: Path) -> None:
        """Click on what asks for a folder, paste its path and press Enter.

        The dialog has a loop of its own, so that a timer does it step by step.
        """
        pressing: list[subprocess.Popen[bytes]] = []
        steps = QTimer()

        def press(key: str) -> None:
            self.keys += 1
            pressing.append(subprocess.Popen(["xdotool", "key", key]))

        def step() -> None:
            dialog = QApplication.activeModalWidget()
            busy = any(each.poll() is None for each in pressing)
            if busy or not isinstance(dialog, QFileDialog) or not dialog.isVisible():
                return
            line = dialog.findChild(QLineEdit)
            if line.text() == str(folder):
                press("Return")
            elif line.hasFocus() and not pressing:
                # Pasted: what the list offers while one types would join in.
                QApplication.clipboard().setText(str(folder))
                press("ctrl+v")

        steps.timeout.connect(step)
        steps.start(500)
        self.click(button)
        self.until(lambda: bool(pressing) and QApplication.activeModalWidget() is None)
        steps.stop()
        for each in pressing:
            each.wait()

    def press(self, key: str) -> None:
        """Press a key."""
        self.keys += 1
        self.do("key", key)

    def drag(self, widget: QWidget, *places: tuple[float, float]) -> None:
        """Draw over a widget, places in shares of it."""
        self.strokes += 1
        arguments: list[object] = []
        for number, (x, y) in enumerate(places):
            at = QPoint(int(x * widget.width()), int(y * widget.height()))
            point = widget.mapToGlobal(at)
            arguments += ["mousemove", point.x(), point.y(), "sleep", 0.05]
            arguments += ["mousedown", 1, "sleep", 0.05] if not number else []
        self.do(*arguments, "mouseup", 1)


def button(inside: QWidget, message: str) -> QPushButton:
    found = [one for one in inside.findChildren(QPushButton) if message in one.text()]
    return next(one for one in found if one.isVisible())


@pytest.fixture
def empty(
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Workbench]:
    """Return the workbench of a window without a project."""
    kept = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(preferences, "_settings", lambda: kept)
    monkeypatch.setattr(window.napari, "Viewer", make_napari_viewer)
    bench = workbench_of(window.open_window(None, reader="newcomer"))
    yield bench
    bench.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1366, 740), (1920, 1050)], ids=["1366", "1920"])
def test_a_newcomer_gets_from_an_empty_window_to_an_accepted_mask(
    empty: Workbench, tmp_path: Path, qtbot: Any, size: tuple[int, int], theme: str
) -> None:
    films = write_dataset(tmp_path / "films", n=4, size=256, processes=1)
    main = empty.main_window
    assert main is not None
    empty.viewer.theme = theme
    main.resize(*size)
    main.move(0, 0)
    main.activateWindow()
    qtbot.wait(500)
    hand, began = Newcomer(qtbot), time.monotonic()

    hand.click(button(main.findChild(StartPage), "New project"))
    hand.until(lambda: bool(main.findChild(NewProject)))
    wizard = main.findChild(NewProject)
    hand.until(wizard.isVisible)
    hand.choose_folder(button(wizard, "Folder"), films / "images")
    # What lies beside the films is found.
    hand.until(lambda: wizard.labels.text().endswith("labels.csv"))
    hand.click(wizard.create_button)
    hand.until(lambda: empty.session.case is not None and empty.sight.seen)

    canvas = empty.canvas()
    assert canvas is not None
    hand.until(canvas.isVisible)
    drawn = empty.session.looking.finding.name
    before = int(empty.session.experts.masks[drawn].sum())
    hand.press("2")
    hand.drag(canvas, (0.45, 0.45), (0.5, 0.5), (0.55, 0.52), (0.5, 0.58))
    hand.until(lambda: int(empty.session.experts.masks[drawn].sum()) > before)
    case, place = empty.session.case.id, empty.session.project.folder
    hand.press("s")
    hand.until(lambda: case in empty.session.list.decisions)
    took = time.monotonic() - began

    sys.stdout.write(
        f"{size[0]} px, {theme}: {hand.clicks} clicks, {hand.keys} keys, "
        f"{hand.strokes} stroke, {took:.0f} s, of them {hand.waited:.0f} s waiting for "
        "the machine\n"
    )
    assert hand.clicks <= MOST_CLICKS
    assert hand.keys <= MOST_KEYS
    with Project.open(place) as project:
        assert project.decision(case, reader="newcomer").verdict == "accept with edits"
        version = project.latest(case, drawn, reader="newcomer")
        assert version is not None
        assert project.read_mask(version).sum() > before
