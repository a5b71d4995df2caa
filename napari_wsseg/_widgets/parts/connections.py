"""Panels that listen to a session for as long as they exist, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from psygnal import SignalInstance
from qtpy.QtCore import QCoreApplication, QObject


def listen(
    panel: QObject,
    answer: Callable[..., object],
    *signals: SignalInstance,
    max_args: int = 0,
) -> None:
    """Call `answer` on every signal until `panel` is destroyed.

    A session outlives its panels: a dock that was closed must not be called again,
    its Qt half is gone. `answer` is given the first `max_args` values of a signal.
    """
    for signal in signals:
        signal.connect(answer, max_args=max_args)

    def let_go(*_: object) -> None:
        for signal in signals:
            # A session that is collected with its panels is taken apart in any order:
            # a signal that has gone before has let go of everything.
            with suppress(AttributeError):
                signal.disconnect(answer, missing_ok=True)

    panel.destroyed.connect(let_go)


def at_quit(answer: Callable[[], object]) -> None:
    """Call `answer` when the program ends, if it has an event loop."""
    application = QCoreApplication.instance()
    if application is not None:
        application.aboutToQuit.connect(answer)
