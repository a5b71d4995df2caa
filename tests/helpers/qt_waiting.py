"""Waiting that leaves the processor to others."""

from __future__ import annotations

from qtpy import PYSIDE6
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtTest import QTest


def sleep_in_qwait() -> None:
    """Let `QTest.qWait` sleep between events under PySide6 as it does elsewhere.

    vispy's backend for PySide6 replaces it by a loop that never sleeps, so that a
    training beside a test that waits gets what is left of the processor.
    """
    if PYSIDE6:
        import vispy.app.backends._pyside6  # noqa: F401  # replaces it when imported

        QTest.qWait = staticmethod(_wait)


def _wait(ms: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(ms, loop.quit)
    loop.exec()
