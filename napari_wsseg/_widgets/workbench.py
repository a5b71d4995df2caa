"""Where every panel of one viewer finds the workbench that they share."""

from __future__ import annotations

import weakref

from napari.viewer import Viewer

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.commands import Commands

_joined: weakref.WeakKeyDictionary[Viewer, tuple[Workbench, Commands]] = (
    weakref.WeakKeyDictionary()
)


def workbench_of(viewer: Viewer, reader: str | None = None) -> Workbench:
    """Return the workbench of a viewer, made with its commands on first use.

    Parameters
    ----------
    viewer
        The viewer, or the proxy for it that napari gives to panels.
    reader
        In whose name masks and decisions are kept; by default the computer's user.
    """
    return _join(viewer, reader)[0]


def commands_of(viewer: Viewer) -> Commands:
    """Return what keys and buttons do in a viewer."""
    return _join(viewer)[1]


def _join(viewer: Viewer, reader: str | None = None) -> tuple[Workbench, Commands]:
    # Panels from the Plugins menu are given a proxy that stands for the viewer.
    viewer = getattr(viewer, "__wrapped__", viewer)
    joined = _joined.get(viewer)
    if joined is None:
        bench = Workbench(viewer, reader or default_reader())
        joined = _joined[viewer] = (bench, Commands(bench))
        bench.closing.connect(lambda: _joined.pop(viewer, None))
    return joined


def default_reader() -> str:
    """Return the name that masks are kept under when none is given."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "reader"
