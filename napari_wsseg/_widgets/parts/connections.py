"""Panels that listen to a session for as long as they exist, and no longer."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType

from psygnal import SignalInstance
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QObject


def listen(
    panel: QObject,
    answer: Callable[..., object],
    *signals: SignalInstance,
    max_args: int = 0,
) -> None:
    """Call `answer` on every signal while `panel` is there.

    A session outlives its panels: a dock that was closed must not be called again,
    its Qt half is gone. `answer` is given the first `max_args` values of a signal.
    """
    heard = while_alive(panel, answer)
    for signal in signals:
        signal.connect(heard, max_args=max_args)


def while_alive(panel: QObject, answer: Callable[..., object]) -> Callable[..., None]:
    """Return what calls a method while `panel` is there, and does not keep it.

    Asked at the call, not told by ``destroyed``: when a window is collected as garbage,
    a function that is connected to that signal may have been taken apart before it is
    called, and the program falls.
    """
    there = weakref.ref(panel)
    bound = isinstance(answer, MethodType)
    find = weakref.WeakMethod(answer) if bound else lambda: answer

    def call(*values: object) -> None:
        owner, method = there(), find()
        if owner is not None and method is not None and isalive(owner):
            method(*values)

    return call


def at_quit(answer: Callable[[], object]) -> None:
    """Call `answer` when the program ends, if it has an event loop."""
    application = QCoreApplication.instance()
    if application is not None:
        application.aboutToQuit.connect(answer)
