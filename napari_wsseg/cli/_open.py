"""``wsseg open``: the window."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from napari_wsseg.jobs import DataError, JobFailed

INSTALL = "pip install 'napari-wsseg[all]'"
"""What brings the window to where it is missing."""
_WINDOW = ("napari", "magicgui", "pyqtgraph", "qtpy", "superqt")


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("project", type=Path, nargs="?", help="a project's folder")
    command.add_argument("--reader", help="who is reading; default: the account's name")
    how = command.add_mutually_exclusive_group()
    how.add_argument(
        "--blind",
        action="store_const",
        dest="mode",
        const="blind",
        help="a second reading: nothing of other readers is loaded",
    )
    how.add_argument(
        "--adjudicate",
        action="store_const",
        dest="mode",
        const="adjudicate",
        help="end disagreements: films that two other readers have read",
    )
    command.add_argument(
        "--arm",
        choices=("blank", "draft", "loop", "random"),
        default="",
        help="read for a study (wsseg study): with no draft, with those of the first "
        "runs, with those of the runs in use, or each film in one of the three",
    )
    command.add_argument(
        "--hide-stages", action="store_true", help="show nothing the machine found"
    )


def run(arguments: argparse.Namespace) -> int:
    """Open the window and stay until it is closed."""
    if arguments.project is not None and not arguments.project.is_dir():
        raise DataError(
            f"{arguments.project} is not a folder; start a project with wsseg init"
        )
    return show(
        arguments.project,
        reader=arguments.reader,
        mode=arguments.mode or "open",
        stages=not arguments.hide_stages,
        arm=arguments.arm,
    )


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_window() -> bool:
    """Whether the packages that only the window needs are installed."""
    try:
        return all(find_spec(name) for name in _WINDOW)
    except ImportError:
        return False


def show(
    project: Path | None,
    *,
    reader: str | None = None,
    mode: str = "open",
    stages: bool = True,
    arm: str = "",
    demo: bool = False,
) -> int:
    """Open the window on a project.

    Raises
    ------
    JobFailed
        If there is no window installed, no display or no Qt binding.
    """
    if not has_window():
        raise JobFailed(f"the window is not installed here; {INSTALL}")
    if not has_display():
        raise JobFailed(
            "no display was found; run wsseg on a desktop, or use the commands that "
            "need none: wsseg run, evaluate, report"
        )
    try:
        importlib.import_module("qtpy.QtWidgets")
    except Exception as error:  # qtpy raises its own kinds for its own reasons
        raise JobFailed(
            f"no Qt binding works here ({error}); {INSTALL}, then see wsseg doctor"
        ) from error
    # Found by name, so that this room does not depend on the one above it.
    window = importlib.import_module("napari_wsseg._widgets.window")
    viewer = window.open_window(
        project, reader=reader, mode=mode, stages=stages, arm=arm, demo=demo
    )
    window.fill_screen(viewer)
    window.spare_window(viewer)
    importlib.import_module("napari").run()
    return 0
