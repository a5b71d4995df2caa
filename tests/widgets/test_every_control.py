"""Every control of every panel × wheel, arrows, letters, Page keys, lost release.

The table of docs/guide-reader.md, "Nothing by accident", walked through: whatever is
docked is found by itself, so that a control that comes later is held to it as well.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QFrame,
    QLabel,
    QLineEdit,
    QScrollArea,
    QScrollBar,
    QSplitter,
    QTabBar,
    QWidget,
)

import napari_wsseg
from helpers import noise_project
from helpers.pointer import turn_wheel
from helpers.recipe_cards import LOADED
from helpers.training_project import make_run
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.napari_internals import key_releases
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg._widgets.opening.new_project import NewProject
from napari_wsseg._widgets.parts import shortcuts
from napari_wsseg._widgets.parts.collapsible import Fold
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.processes.export_job import ExportJob
from napari_wsseg._widgets.review.reader_dialog import ReaderDialog
from napari_wsseg._widgets.runs.panel import RunsPanel
from napari_wsseg._widgets.training import memory_note
from napari_wsseg._widgets.training.panel import TrainPanel

pytestmark = pytest.mark.gui

# Before any fixture puts something else in their place.
_REAL = {"train_panel": window.train_panel, "runs_panel": window.runs_panel}
PANELS = ("Worklist", "Tools", "Review", "Train", "Runs", "Export")
KINDS: dict[str, tuple[type[QWidget], ...]] = {
    "Button, tick box, chip": (QAbstractButton,),
    "Drop-down list": (QComboBox,),
    "Slider": (QAbstractSlider,),
    "Field for a number": (QAbstractSpinBox,),
    "Text field": (QLineEdit,),
    "Table": (QAbstractItemView,),
    "Tabs": (QTabBar,),
}
LETTERS = "ASRGDUTNWQI"
PAGES = (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp)
ARROWS = (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Right, Qt.Key.Key_Left)
DICOM_SEG = {
    "name": "dicom_seg",
    "kind": "masks",
    "summary": "One DICOM segmentation a film",
    "identities": ["de-identified", "same-patient"],
}
TYPED = ("Text field", "Field for a number")


@pytest.fixture
def full_window(
    open_bench: Callable[..., Workbench],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> Workbench:
    """Return a window with every panel in it, Train and Runs too, and all unfolded."""
    monkeypatch.setattr(_recipes, "_known", [LOADED])
    monkeypatch.setattr(memory_note, "ask", _tells_nothing)
    monkeypatch.setattr(ExportJob, "start", lambda job, wanted: None)
    make_run(place, "classifier", "done")
    noise_project.add_stage(place, "irnet", value=0.4)
    noise_project.adopt(place, "irnet")
    for name, make in _REAL.items():
        monkeypatch.setattr(window, name, make)
    bench = open_bench(place)
    main = bench.main_window
    main.activateWindow()
    subprocess.run(["xdotool", "windowfocus", str(int(main.winId()))])
    qtbot.waitUntil(main.isActiveWindow, timeout=5000)
    bench.session.looking.set_view("cam")
    ask_about_a_label(bench)
    offer_an_archive(bench)
    docked(main, "Runs").raise_()
    runs = main.findChild(RunsPanel)
    qtbot.waitUntil(lambda: bool(runs.infos), timeout=5000)
    runs.table.selectRow(0)
    panel = main.findChild(TrainPanel)
    docked(main, "Train").raise_()
    qtbot.waitUntil(lambda: panel.state in ("ready", "missing data"), timeout=10_000)
    panel.setup.choose("chexseg")
    for fold in main.findChildren(Fold):
        fold.set_open(True)
    return bench


def ask_about_a_label(bench: Workbench) -> None:
    """Let the film's label and a stroke contradict each other."""
    bench.session.set_label("effusion", 0)
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")


def offer_an_archive(bench: Workbench) -> None:
    """Turn Export to an archive, so that all its fields are there."""
    panel = bench.main_window.findChild(ExportPanel)
    panel._learn([DICOM_SEG])
    panel.place.setCurrentIndex(panel.place.findData("archive"))


def _tells_nothing(arguments: list[str], wanted: Callable[[], bool]) -> Iterator[None]:
    yield None


def docked(main: QWidget, name: str) -> QDockWidget:
    docks = main.findChildren(QDockWidget)
    return next(dock for dock in docks if dock.windowTitle() == name)


def panels_in_front(bench: Workbench) -> Iterator[QDockWidget]:
    """Yield every panel of ours, each while it is in front."""
    for dock in bench.main_window.findChildren(QDockWidget):
        if dock.windowTitle() in PANELS:
            dock.raise_()
            QTest.qWait(30)
            yield dock


def controls(bench: Workbench) -> Iterator[tuple[str, QWidget]]:
    """Yield kind and control of every panel, while its panel is in front."""
    seen: dict[str, int] = {}
    for dock in panels_in_front(bench):
        for widget in dock.findChildren(QWidget):
            kind = kind_of(widget)
            if kind and widget.isVisible() and widget.isEnabled():
                seen[kind] = seen.get(kind, 0) + 1
                yield kind, widget
    # What is empty or missing would pass all the same.
    assert set(seen) >= set(KINDS) - {"Tabs"}, seen
    assert sum(seen.values()) >= 60, seen


def kind_of(widget: QWidget) -> str:
    """Return the row of the table that a widget is in; empty if it is no control."""
    inside = widget.parent()
    part = isinstance(inside, (QComboBox, QAbstractSpinBox, QAbstractItemView))
    if part or isinstance(widget, QScrollBar):
        return ""
    return next(
        (kind for kind, types in KINDS.items() if isinstance(widget, types)), ""
    )


def value(widget: QWidget) -> Any:
    match widget:
        case QComboBox() | QTabBar():
            return widget.currentIndex()
        case QAbstractButton():
            return widget.isChecked()
        case QAbstractItemView():
            return widget.currentIndex().row()
        case QLineEdit() | QAbstractSpinBox():
            return widget.text()
    return widget.value()  # type: ignore[attr-defined]


def kept(bench: Workbench) -> tuple[Any, ...]:
    """Return what no accident may ever change: films, masks, verdicts, labels."""
    session = bench.session
    case = session.case
    masks = {name: int(mask.sum()) for name, mask in session.experts.masks.items()}
    verdicts = {key: one.verdict for key, one in session.list.decisions.items()}
    return case.id, dict(case.labels), masks, verdicts, session.reader


def state(bench: Workbench, all_controls: list[QWidget]) -> tuple[Any, ...]:
    """Return all that is shown: `kept`, how it is looked at, every control's value."""
    looking = bench.session.looking
    return (
        *kept(bench),
        (looking.view, looking.compared, looking.comparing, looking.index),
        looking.departures(),
        [value(widget) for widget in all_controls],
    )


class Film:
    """What the film's keys were asked to do, in place of doing it."""

    def __init__(self, bench: Workbench) -> None:
        self.heard: list[str] = []
        self.held: list[bool] = []
        shortcuts.unbind(bench.viewer)
        shortcuts.bind(
            bench.viewer,
            {
                key.binding: self._hear(key.binding)
                for key in shortcuts.KEYS
                if key.binding not in ("H", "J", "K", "F7")
            },
            self.held.append,
            lambda on: None,
            lambda other: None,
        )

    def _hear(self, binding: str) -> Callable[[], None]:
        return lambda: self.heard.append(binding)


def focus(widget: QWidget) -> bool:
    """Lead the keyboard to a control as Tab does; whether it takes it."""
    if not widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        return False
    widget.setFocus(Qt.FocusReason.TabFocusReason)
    return widget.hasFocus()


def test_only_what_is_meant_happens_on_any_control(full_window: Workbench) -> None:
    bench, film = full_window, Film(full_window)
    every = [widget for _, widget in controls(bench)]
    for kind, widget in controls(bench):
        name = f"{kind}: {widget.accessibleName() or widget.toolTip() or widget}"
        bench.focus_canvas()
        before = state(bench, every)
        for by in (-120, 120, 120):
            turn_wheel(widget, by)
        assert state(bench, every) == before, f"wheel over {name}"
        if not focus(widget):
            continue
        # A table without a row in hand has its first one with the keyboard.
        before = state(bench, every)
        if kind in TYPED:
            type_in(kind, widget, film, name)
        else:
            press_keys_of_the_film(widget, film, name)
            lose_releases(bench, widget, film, name)
        assert state(bench, every) == before, f"keys on {name}"
        use_arrows(bench, kind, widget, film, name)


def test_a_click_beside_controls_leaves_the_keys_to_the_film(
    full_window: Workbench,
) -> None:
    bench, film, places = full_window, Film(full_window), 0
    plain = (QWidget, QFrame, QScrollArea, QSplitter, QLabel, WrappedLabel)
    for dock in panels_in_front(bench):
        for widget in dock.findChildren(QWidget):
            if type(widget) not in plain or not widget.isVisible():
                continue
            if widget.focusPolicy() & Qt.FocusPolicy.ClickFocus:
                widget.setFocus(Qt.FocusReason.MouseFocusReason)
            QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
            QTest.qWait(1)
            film.heard.clear()
            there = QApplication.focusWidget()
            assert there is not None
            for key in (Qt.Key.Key_S, *PAGES):
                QTest.keyClick(there, key)
            assert film.heard == ["S", "PageDown", "PageUp"], (
                dock.windowTitle(),
                widget,
            )
            places += 1
    assert places > 40, "every panel has some"


def type_in(kind: str, widget: QWidget, film: Film, name: str) -> None:
    """Letters are written, and the film hears of none."""
    film.heard.clear()
    was = value(widget)
    QTest.keyClicks(widget, LETTERS.lower())
    if isinstance(widget, QLineEdit):
        assert value(widget).endswith(LETTERS.lower()), name
        widget.setText(was)
    else:
        assert value(widget) == was, name
    assert film.heard == [], name


def press_keys_of_the_film(widget: QWidget, film: Film, name: str) -> None:
    """Letters and Page keys do what they do on the film, each once."""
    film.heard.clear()
    for letter in LETTERS:
        QTest.keyClick(widget, letter.lower())
    for page in PAGES:
        QTest.keyClick(widget, page)
    assert film.heard == [*LETTERS, "PageDown", "PageUp"], name
    assert widget.hasFocus(), f"{name} lost the keyboard to a letter"


def lose_releases(bench: Workbench, widget: QWidget, film: Film, name: str) -> None:
    """A key let go elsewhere is held no longer than window and film are there."""
    none = Qt.KeyboardModifier.NoModifier
    left = QEvent(QEvent.Type.WindowDeactivate)
    for leave in (
        lambda: QApplication.sendEvent(bench.main_window, left),
        bench.held.end_all,  # what a film that comes does
    ):
        film.held.clear()
        pressed = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_H, none, "h")
        QApplication.sendEvent(widget, pressed)
        assert film.held == [True], name
        leave()
        assert film.held == [True, False], name
        assert not key_releases(bench.viewer)


def use_arrows(
    bench: Workbench, kind: str, widget: QWidget, film: Film, name: str
) -> None:
    """Arrows move what has the keyboard; no mask, verdict or label ever changes."""
    film.heard.clear()
    before = kept(bench)
    for arrow in ARROWS:
        QTest.keyClick(widget, arrow)
    bench.loading.drain()
    now = kept(bench)
    if kind == "Table":  # of films: the next one is opened, and no more
        before, now = before[3:], now[3:]
    assert now == before, f"arrows on {name}"
    assert film.heard == [], name


def test_what_is_there_at_times_alone_is_walked_through_too(
    full_window: Workbench,
) -> None:
    walked = {
        word
        for _, widget in controls(full_window)
        for word in (widget.accessibleName(), getattr(widget, "text", str)())
    }
    wanted = {"Lasso", "Look here", "Set to present", "Leave", "Address of the archive"}
    assert wanted | {"Where to", "Identity", "Runs", "Open log"} <= walked


@pytest.mark.parametrize("which", [NewProject, ReaderDialog])
def test_the_wheel_changes_nothing_in_a_window_of_its_own(
    open_bench: Callable[..., Workbench], place: Path, which: type, qtbot: Any
) -> None:
    bench = open_bench(place)
    given = bench.main_window if which is NewProject else bench.session
    dialog = which(given, place if which is NewProject else bench.main_window)
    if which is ReaderDialog:
        dialog.name.addItems(["ben", "cleo"])
    dialog.show()
    found = [widget for widget in dialog.findChildren(QWidget) if kind_of(widget)]
    before = [value(widget) for widget in found]
    for widget in found:
        for by in (-120, 120, 120):
            turn_wheel(widget, by)
    assert [value(widget) for widget in found] == before
    assert any(isinstance(widget, QComboBox) for widget in found)
    dialog.close()


def test_the_guide_has_a_row_for_every_kind_of_control() -> None:
    guide = Path(napari_wsseg.__file__).parents[1] / "docs" / "guide-reader.md"
    part = guide.read_text().partition("**Nothing by accident.**")[2]
    rows = re.findall(r"^\| ([A-Z][^|]*?) \|", part, re.M)
    assert set(KINDS) <= set(rows)
