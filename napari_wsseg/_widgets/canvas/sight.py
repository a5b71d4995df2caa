"""What the reader has seen: a verdict counts for a film that was painted, and once."""

from __future__ import annotations

import time
from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QInputEvent, QKeyEvent
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_wsseg._widgets.canvas.case_switch import FilmTurn
from napari_wsseg.schema import Verdict
from napari_wsseg.session import Session

_HAND = (
    QEvent.Type.KeyPress,
    QEvent.Type.KeyRelease,
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonDblClick,
    QEvent.Type.MouseButtonRelease,
)
_NO_FINGER = 0.005
"""Seconds in which no finger lets a key go and presses it again."""

_LONGEST_WAIT = 60.0
"""Seconds that a press may wait for a busy window."""

_QUIET = 1.2
"""Times the floor without a verdict key until a film that stays is decided anew."""


class Sight(QObject):
    """Says whether a verdict that the reader's hand gives is about what he has seen.

    A film is seen from when its picture was painted for the reader, and counts after
    `Session.seen_seconds`. What his hand did before that, a press that waited while
    the window was busy included, is not about this film.

    Parameters
    ----------
    picture
        Returns the widget that the film is drawn on, or ``None``.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        session: Session,
        turn: FilmTurn,
        picture: Callable[[], QWidget | None],
        parent: QObject,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._session, self._picture, self._clock = session, picture, clock
        self._awaited = False
        self._painted: float | None = None
        self._given: Verdict | None = None
        self._pressed: float | None = None
        self._down: float | None = None
        self._tried = 0.0
        self._repeated = False
        self._let_go: tuple[int, float] = (0, 0.0)
        self._ahead: float | None = None
        self._done = QTimer(self)
        self._done.setSingleShot(True)
        self._done.timeout.connect(self._forget)
        session.case_changed.connect(self._turned, priority=3)
        session.edited.connect(self._renewed)
        session.mask_replaced.connect(self._renewed)
        session.decided.connect(self._on_decided)
        turn.drawn.connect(self._await)

    def watch(self, window: QMainWindow, picture: QWidget | None) -> None:
        """Notice the reader's hand in a window, and when its picture is painted."""
        # Events reach a window's handle first, which it has once it is shown.
        window.installEventFilter(self)
        self._watch_handle(window)
        if picture is not None:
            picture.installEventFilter(self)

    @property
    def seen(self) -> bool:
        """Whether the film has been shown for as long as a verdict asks for."""
        floor, painted = self._session.seen_seconds, self._painted
        shown = painted is not None and self._clock() - painted >= floor
        return shown or not floor

    def refusal(self, verdict: Verdict, *, of_film: bool) -> str:
        """Return why a verdict given now does not count, empty if it does.

        Parameters
        ----------
        of_film
            It is on the film, which takes one, rather than on one of its findings.
        """
        floor = self._session.seen_seconds
        if not floor:
            return ""
        if self._repeated:
            return "A key held down decides once"
        if self._painted is None:
            return "The film is still being drawn: nothing was decided"
        seen = (self._pressed or self._clock()) - self._painted
        if seen < floor:
            return (
                f"Nothing decided: shown for {max(seen, 0):.1f} s, a verdict counts "
                f"from {floor:g} s on"
            )
        return self._too_soon(verdict, floor) if of_film and self._given else ""

    def _too_soon(self, verdict: Verdict, floor: float) -> str:
        """Tell a change of mind from a burst of keys that ran past the last film."""
        now = self._pressed or self._clock()
        quiet, self._tried = now - self._tried, now
        if self._given == verdict:
            return "This film has that verdict already"
        if quiet < _QUIET * floor:
            return "This film was decided a moment ago: wait, then decide it anew"
        return ""

    def took(self, verdict: Verdict) -> None:
        """Remember that the film shown was decided."""
        self._given = verdict
        self._tried = self._pressed or self._clock()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Note when a key or button was pressed, and that the picture was painted."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Show and isinstance(watched, QMainWindow):
            self._watch_handle(watched)
        elif event.type() in _HAND and isinstance(event, QInputEvent):
            self._note(event)
        elif self._awaited and event.type() == QEvent.Type.Paint:
            self._awaited = False
            # The filter comes before the painting does.
            QTimer.singleShot(0, self._is_painted)
        return False

    def _watch_handle(self, window: QMainWindow) -> None:
        handle = window.windowHandle()
        if handle is not None:
            handle.installEventFilter(self)

    def _turned(self) -> None:
        self._awaited, self._painted, self._given = False, None, None

    def _await(self) -> None:
        """Wait for the picture's painting, unless something lies over all of it."""
        picture = self._picture()
        if picture is None or picture.visibleRegion().isEmpty():
            self._is_painted()
        else:
            self._awaited = True
            picture.update()

    def _is_painted(self) -> None:
        self._painted = self._clock()

    def _renewed(self) -> None:
        """Let a film whose masks were changed be decided again."""
        self._given = None

    def _on_decided(self, decision: object) -> None:
        if decision is None:
            self._given = None

    def _note(self, event: QInputEvent) -> None:
        at = self._moment(event)
        match event.type():
            case QEvent.Type.KeyPress:
                self._pressed, self._repeated = at, self._is_repeat(event, at)
            case QEvent.Type.KeyRelease:
                self._let_go = self._key(event), at
            case QEvent.Type.MouseButtonRelease:
                self._pressed, self._repeated = self._down or at, False
            case _:
                self._down = at
        # What the hand does is done before the event loop turns again.
        self._done.start(0)

    def _is_repeat(self, event: QInputEvent, at: float) -> bool:
        """Whether the key is held down, be it told as let go and pressed again.

        That is how X repeats keys; Qt puts the two together only if both have come.
        """
        if isinstance(event, QKeyEvent) and event.isAutoRepeat():
            return True
        key, moment = self._let_go
        return key == self._key(event) and at - moment < _NO_FINGER

    @staticmethod
    def _key(event: QInputEvent) -> int:
        return event.key() if isinstance(event, QKeyEvent) else 0

    def _moment(self, event: QInputEvent) -> float:
        """Return when the hand moved, on our clock, however long the event waited.

        Events are stamped by a clock of the window system. How far it is from ours is
        told by the event that waited least; a stamp far off is of another clock.
        """
        now, stamp = self._clock(), event.timestamp() / 1000
        if not stamp:
            return now
        ahead = now - stamp
        if self._ahead is None or not 0 <= ahead - self._ahead < _LONGEST_WAIT:
            self._ahead = ahead
        return stamp + self._ahead

    def _forget(self) -> None:
        self._pressed, self._repeated = None, False
