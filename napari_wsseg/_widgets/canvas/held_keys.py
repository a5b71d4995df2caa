"""Keys that are held: what they began ends, even if their release is lost."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

from napari.settings import get_settings
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeyEvent

from napari_wsseg._widgets.canvas.napari_internals import key_releases


class HeldKeys(QObject):
    """Ends what a held key began when the window or the film is left.

    napari keeps what is to be done when a key is let go. A window that loses the
    keyboard is never told of it, and one that was busy is told late and takes a press
    for a key held down: the tool that it chose is put away again.
    """

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._down: dict[int, int] = {}

    def watch(self, *watched: QObject | None) -> None:
        """Notice keys, and that the keyboard goes elsewhere."""
        for one in watched:
            if one is not None:
                one.installEventFilter(self)

    def end_all(self) -> None:
        """Do now what was to be done when the keys held were let go."""
        releases = key_releases(self._viewer)
        held = list(releases.values())
        releases.clear()
        for one in held:
            if isinstance(one, Generator):
                with suppress(StopIteration):
                    next(one)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note keys by the window system's clock."""
        if event is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.WindowDeactivate:
            self.end_all()
        elif isinstance(event, QKeyEvent) and not event.isAutoRepeat():
            if kind == QEvent.Type.KeyPress:
                self._down[event.key()] = event.timestamp()
            elif kind == QEvent.Type.KeyRelease:
                self._let_go(event)
        return False

    def _let_go(self, event: QKeyEvent) -> None:
        began = self._down.pop(event.key(), None)
        longest = 1000 * get_settings().application.hold_button_delay
        if began is None or event.timestamp() - began >= longest:
            return
        # A tap, however late it is told of: what it chose stays chosen.
        releases = key_releases(self._viewer)
        for name in [name for name, one in releases.items() if isinstance(one, tuple)]:
            del releases[name]
