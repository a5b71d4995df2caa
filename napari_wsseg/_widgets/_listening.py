"""Panels that listen to a session for as long as they exist, and no longer."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import SignalInstance
from qtpy.QtWidgets import QWidget


def listen(
    panel: QWidget, answer: Callable[[], object], *signals: SignalInstance
) -> None:
    """Call `answer` on every signal until `panel` is destroyed.

    A session outlives its panels: a dock that was closed must not be called again,
    its Qt half is gone.
    """
    for signal in signals:
        signal.connect(answer, max_args=0)

    def let_go(*_: object) -> None:
        for signal in signals:
            signal.disconnect(answer, missing_ok=True)

    panel.destroyed.connect(let_go)
