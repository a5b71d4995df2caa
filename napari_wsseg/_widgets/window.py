"""The window: worklist on the left, Review, Train, Runs and Export on the right.

Each panel also works alone from napari's Plugins menu; all of one viewer share one
session.
"""

from __future__ import annotations

import functools
import gc
import importlib
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import napari
from npe2 import PluginManifest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_wsseg import recipe_facts
from napari_wsseg._widgets.canvas import napari_internals
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tool_bar import ToolBar
from napari_wsseg._widgets.opening.sample_stages import SampleStages
from napari_wsseg._widgets.opening.start import UntilOpen
from napari_wsseg._widgets.opening.start_page import StartPage
from napari_wsseg._widgets.opening.tour import Tour
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.parts.put_away import PutAway
from napari_wsseg._widgets.parts.quiet_controls import QuietControls
from napari_wsseg._widgets.review.panel import WIDTH, Review
from napari_wsseg._widgets.workbench import workbench_of
from napari_wsseg.session.reading_mode import Mode

PanelMaker: TypeAlias = Callable[["napari.viewer.Viewer"], QWidget]
"""Makes a panel for a viewer, or for the proxy that napari gives to panels."""

WORKLIST_WIDTH, WIDE_WORKLIST, WIDEST_WORKLIST = 300, 370, 500
WIDEST_REVIEW = 380
"""Where a list of findings shows their whole names."""
WIDE_SCREEN, WIDEST_SCREEN = 1600, 1900
"""From so many pixels on a film leaves room at its sides: the worklist takes some."""


_FOCUS = """
QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus,
QCheckBox:focus, QSlider:focus, QTableView:focus {
    border: 2px solid #56B4E9; border-radius: 3px;
}
"""
"""napari's own styles do not show where the keyboard is."""


class Panel(UntilOpen):
    """A panel that tells its workbench in which window it was docked."""

    def __init__(self, bench: Workbench, panel: QWidget) -> None:
        super().__init__(bench, panel)
        self.setStyleSheet(_FOCUS)

    def showEvent(self, event: QEvent | None) -> None:
        """Meet the window."""
        super().showEvent(event)
        window = self.window()
        if isinstance(window, QMainWindow):
            self.bench.watch(window)


def open_window(
    project_folder: Path | None,
    *,
    reader: str | None = None,
    mode: Mode = "open",
    stages: bool = True,
    arm: str = "",
    demo: bool = False,
) -> napari.Viewer:
    """Build the viewer with every panel docked and open a project in it.

    Parameters
    ----------
    project_folder
        What to open; ``None`` shows the panels with their offer to open one.
    reader
        In whose name masks and decisions are kept; by default the computer's user.
    mode, stages
        How this reader reads, and whether stages are shown (`Reading`).
    arm
        What a study offers the reader (`Reading`).
    demo
        Open the synthetic sample project when no folder is named.

    Raises
    ------
    DataError
        The folder is no project, or damaged, or of a newer version.
    """
    _spare_collections()
    # What napari invites to does not fit: films come with a project.
    viewer = napari.Viewer(title="wsseg", show=False, show_welcome_screen=False)
    # Films are read on black, in a light theme too.
    viewer.canvas.background_color_override = "black"
    bench = workbench_of(viewer, reader)
    bench.session.read_as(bench.session.reader, mode, stages=stages, arm=arm)
    with napari_internals.settings_saved_once():
        docks = _docks(viewer, bench)
        left, right = docks[:2]
        window = right.window()
        if isinstance(window, QMainWindow):
            bench.watch(window)
            _tidy(window, left, right)
    if demo and project_folder is None:
        from napari_wsseg._widgets.opening.start import sample_project

        project_folder = sample_project()
    if project_folder is not None:
        # Sources are parsed before a thread imports scikit-image, which parses, too:
        # Python 3.11 falls over when two do at once (python/cpython#106905).
        recipe_facts.every()
        bench.session.open_project(Path(project_folder))
        preferences.remember(Path(project_folder))
    viewer.show()
    if isinstance(window, QMainWindow):
        # Before it is shown, a window does not heed it.
        settle = functools.partial(_share_width, window, left, right)
        settle()
        StartPage(bench, window, [*docks, *_napari_docks(window)], settle)
        Tour(bench, window)
        SampleStages(bench)
    bench.focus_canvas()
    return viewer


@functools.cache
def _spare_collections() -> None:
    """Let garbage collections pass over what importing napari and Qt has made.

    napari collects at every layer that goes, and Python now and then; looking through
    a million objects that live as long as the program would halt the window each time.
    """
    importlib.import_module("napari.window")
    gc.collect()
    gc.freeze()


def spare_window(viewer: napari.Viewer) -> None:
    """Let garbage collections pass over the window too, once its first film is drawn.

    For a program that ends with its window: what is passed over is never freed. One
    collection in some ten films would halt the window for a tenth of a second.
    """
    turn = workbench_of(viewer).turn

    def spare() -> None:
        turn.drawn.disconnect(spare)
        gc.collect(1)
        gc.freeze()

    turn.drawn.connect(spare)


def fill_screen(viewer: napari.Viewer) -> None:
    """Show the window as it was left, at first as large as the screen."""
    window = workbench_of(viewer).main_window
    if window is None:
        return
    kept = preferences.window_place()
    if kept is None or not window.restoreGeometry(kept):
        window.showMaximized()

    # Not the window itself, which would be kept by what it closes.
    left = weakref.ref(window)

    def keep() -> None:
        there = left()
        if there is None:
            return
        with suppress(RuntimeError):  # Qt may have deleted it by then
            preferences.keep_window_place(there.saveGeometry())

    workbench_of(viewer).closing.connect(keep)


def __getattr__(name: str) -> PanelMaker:
    """Return what makes a panel, as ``napari.yaml`` names it: ``train_panel``.

    It is the panel of the wing whose name begins so, of which `panel.panel` makes it.
    """
    word, _, what = name.rpartition("_")
    wings = [file.parent.name for file in Path(__file__).parent.glob("*/panel.py")]
    wing = next((each for each in wings if word and each.startswith(word)), None)
    if what != "panel" or wing is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def make(napari_viewer: napari.viewer.Viewer) -> QWidget:
        bench = workbench_of(napari_viewer)
        front = importlib.import_module(f"napari_wsseg._widgets.{wing}.panel")
        return Panel(bench, front.panel(bench))

    return make


def panels() -> dict[str, PanelMaker]:
    """Return what makes each panel, by its title, in the order of ``napari.yaml``."""
    place = Path(str(resources.files("napari_wsseg"))) / "napari.yaml"
    offered = PluginManifest.from_file(place).contributions
    named = {one.id: str(one.python_name) for one in offered.commands or ()}
    here = sys.modules[__name__]
    return {
        one.display_name: getattr(here, named[one.command].partition(":")[2])
        for one in offered.widgets or ()
    }


def _tool_bar(
    viewer: napari.Viewer, left: QDockWidget, right: QDockWidget
) -> QDockWidget | None:
    """Dock the tools between the worklist and the film, without a title."""
    review = right.findChild(Review)
    if review is None:
        return None
    edit = review.editing
    bar = ToolBar(workbench_of(viewer), edit.tools, edit.undo, edit.redo)
    edit.toolbox.hide()
    dock = _dock(viewer, bar, "Tools", "left")
    dock.setTitleBarWidget(QWidget())
    dock.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
    window = dock.window()
    if isinstance(window, QMainWindow):
        window.splitDockWidget(left, dock, Qt.Orientation.Horizontal)
    return dock


def _docks(viewer: napari.Viewer, bench: Workbench) -> list[QDockWidget]:
    """Dock every panel, worklist and Review first."""
    makers = panels()
    left = _dock(viewer, makers.pop("Worklist")(viewer), "Worklist", "left")
    right = _dock(viewer, makers.pop("Review")(viewer), "Review", "right")
    tools = _tool_bar(viewer, left, right)
    docks = [left, right, *([tools] if tools else [])]
    for name, make in makers.items():
        docks.append(_dock(viewer, make(viewer), name, "right", tabify_with=right))
    for dock in docks:
        QuietControls(dock, bench.canvas)
        PutAway(dock, bench.session.message.emit)
        if dock is not tools:
            viewer.window.window_menu.addAction(dock.toggleViewAction())
    right.raise_()
    return docks


def _dock(
    viewer: napari.Viewer,
    panel: QWidget,
    name: str,
    area: str,
    *,
    tabify_with: QDockWidget | None = None,
) -> QDockWidget:
    dock = viewer.window.add_dock_widget(panel, name=name, area=area)
    napari_internals.keep_dock(dock)
    window = dock.window()
    if tabify_with is not None and isinstance(window, QMainWindow):
        window.tabifyDockWidget(tabify_with, dock)
    return dock


def _tidy(window: QMainWindow, left: QDockWidget, right: QDockWidget) -> None:
    """Put the worklist before napari's layer list, and give the film the room."""
    for dock in _napari_docks(window):
        window.tabifyDockWidget(left, dock)
    left.raise_()


def _napari_docks(window: QMainWindow) -> list[QDockWidget]:
    docks = window.findChildren(QDockWidget)
    own = ("layer list", "layer controls")
    return [dock for dock in docks if dock.windowTitle() in own]


def _share_width(window: QMainWindow, left: QDockWidget, right: QDockWidget) -> None:
    """Give the panels the width that they need, and the film the rest."""
    screen = window.screen()
    room = screen.availableGeometry().width() if screen is not None else 0
    listed = WIDE_WORKLIST if room >= WIDE_SCREEN else WORKLIST_WIDTH
    listed = WIDEST_WORKLIST if room >= WIDEST_SCREEN else listed
    review = WIDEST_REVIEW if room >= WIDEST_SCREEN else WIDTH
    left.raise_()
    right.raise_()
    window.resizeDocks([left, right], [listed, review], Qt.Orientation.Horizontal)
