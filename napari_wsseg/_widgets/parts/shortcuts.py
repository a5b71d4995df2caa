"""The keyboard: one hand decides, the other draws; none of napari's keys is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
)

BLINK_MS = 250
_TEXT = (QLineEdit, QTextEdit, QPlainTextEdit, QAbstractSpinBox)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One shortcut: what is pressed, how that is written, and what it does."""

    binding: str
    shown: str
    group: str
    does: str


KEYS = (
    Shortcut(
        "A",
        "A",
        "Decide",
        "Accept: outlines shown become masks; a mask drawn before stays",
    ),
    Shortcut(
        "S", "S", "Decide", "Accept with edits: your masks, and outlines elsewhere"
    ),
    Shortcut("R", "R", "Decide", "Reject: nothing on this film is to be used"),
    Shortcut("G", "G", "Decide", "Flag for a second reading"),
    Shortcut("Shift-A", "Shift A", "Decide", "This finding: accept the outline shown"),
    Shortcut("Shift-S", "Shift S", "Decide", "This finding: your mask is right"),
    Shortcut(
        "Shift-R", "Shift R", "Decide", "This finding: not there, its mask is empty"
    ),
    Shortcut("Shift-Z", "Shift Z", "Decide", "Take the last decision, or label, back"),
    Shortcut("Shift-O", "Shift O", "Decide", "Reopen: read a decided film again"),
    Shortcut("Alt-A", "Alt A", "Decide", "Adjudicate: take the first reader's mask"),
    Shortcut("Alt-B", "Alt B", "Decide", "Adjudicate: take the second reader's mask"),
    Shortcut("PageDown", "Page down", "Films", "Next film"),
    Shortcut("PageUp", "Page up", "Films", "Previous film"),
    Shortcut("Control-Right", "Ctrl →", "Films", "Next film"),
    Shortcut("Control-Left", "Ctrl ←", "Films", "Previous film"),
    Shortcut("U", "U", "Films", "Next film to review"),
    Shortcut("/", "/", "Films", "Search the worklist"),
    Shortcut("D", "D", "Look", "Next stage"),
    Shortcut("H", "H (hold)", "Look", "Hide everything but the film"),
    Shortcut(
        "K", "K (hold)", "Look", "Blink masks on and off, or the two stages compared"
    ),
    Shortcut(",", ",", "Look", "Weaker overlay, or more of the first stage"),
    Shortcut(".", ".", "Look", "Stronger overlay, or more of the second stage"),
    Shortcut("9", "9", "Look", "Next grey window: auto, full, lung, heart, bone"),
    Shortcut("J", "J (hold)", "Look", "Grey window by moving the mouse"),
    Shortcut("0", "0", "Look", "Grey window back to auto"),
    Shortcut("I", "I", "Look", "Invert: dense is black, and back"),
    Shortcut("F7", "F7 (hold)", "Look", "Magnifier: the film's own pixels, 3 times"),
    Shortcut("F8", "F8", "Look", "An earlier film of the patient beside this one"),
    Shortcut("F6", "F6", "Look", "Expert masks filled, as outlines, off"),
    Shortcut("F5", "F5", "Look", "This finding alone, or all"),
    Shortcut(
        "Shift-T", "Shift T", "Look", "Turn the view by a quarter; masks go along"
    ),
    Shortcut("Shift-H", "Shift H", "Look", "Mirror the view"),
    Shortcut("T", "T", "Look", "All stages side by side"),
    Shortcut("W", "W", "Finding", "Next finding"),
    Shortcut("Q", "Q", "Finding", "Previous finding"),
    Shortcut("Shift-Y", "Shift Y", "Finding", "Label: present on the film"),
    Shortcut("Shift-N", "Shift N", "Finding", "Label: absent from the film"),
    Shortcut("Shift-U", "Shift U", "Finding", "Label: uncertain"),
    Shortcut("Shift-B", "Shift B", "Draw", "Begin with the best draft there is"),
    Shortcut("Shift-C", "Shift C", "Draw", "Candidates: point, 1 to 6 to take"),
    Shortcut(
        "N", "N", "Draw", "Grow: stroke inside, with Ctrl outside; again: put away"
    ),
    Shortcut(
        "Shift-L",
        "Shift L",
        "Draw",
        "Lasso: click along an edge, it snaps; Enter fills",
    ),
    Shortcut("8", "8", "Draw", "Ruler; a second line: ratio (heart : chest), angle"),
    Shortcut("F2", "F2", "Readers", "Who reads: openly, blind, as adjudicator"),
    Shortcut("F3", "F3", "Readers", "Agreement of readers"),
    Shortcut("F4", "F4", "Readers", "Versions of this finding's mask"),
    Shortcut("F1", "F1", "Help", "This list"),
)
"""Every shortcut of ours; `NAPARI_KEYS` tells those of napari worth knowing."""

NAPARI_KEYS = (
    ("Enter · Esc", "Grow, lasso: take it, drop it"),
    ("Ctrl Enter · Backspace", "Lasso: take the area away; the last point back"),
    ("2 · P", "Brush"),
    ("1 · E", "Eraser"),
    ("3", "Polygon"),
    ("4 · F", "Fill"),
    ("[  ]", "Smaller, larger brush"),
    ("Z", "Move and zoom"),
    ("Space (hold)", "Move and zoom while held"),
    ("Ctrl Z · Ctrl Shift Z", "Undo, redo"),
    ("Ctrl R", "Fit the film to the window"),
)


def is_typing() -> bool:
    """Whether the keyboard belongs to a text field just now."""
    focus = QApplication.focusWidget()
    editable = isinstance(focus, QComboBox) and focus.isEditable()
    return isinstance(focus, _TEXT) or editable


def bind(
    viewer: Viewer,
    actions: dict[str, Callable[[], object]],
    hide: Callable[[bool], object],
    tone: Callable[[bool], object],
    blink: Callable[[bool | None], object],
    magnify: Callable[[bool], object] = bool,
) -> None:
    """Bind every key of `KEYS` in one viewer.

    Parameters
    ----------
    actions
        What each plain key does, by its binding.
    hide
        Hides every overlay (true) or shows them again; for H.
    blink
        Shows one side (true) or the other, and ends it (``None``); for K.
    tone
        Lets the mouse set the grey window (true) or no longer; for J.
    magnify
        Shows the magnifier (true) or takes it away; for F7.
    """
    for key in KEYS:
        if key.binding in actions:
            viewer.bind_key(key.binding, _pressed(actions[key.binding]))
    for binding, action in (("H", hide), ("J", tone), ("F7", magnify)):
        if binding not in actions:
            viewer.bind_key(binding, _held(action))
    viewer.bind_key("K", _blinking(blink))


def unbind(viewer: Viewer) -> None:
    """Give the keys back."""
    for key in KEYS:
        viewer.bind_key(key.binding, None)


def _pressed(action: Callable[[], object]) -> Callable[[Any], None]:
    def press(viewer: Any) -> None:
        if not is_typing():
            action()

    return press


def _held(hide: Callable[[bool], object]) -> Callable[[Any], Iterator[None]]:
    def hold(viewer: Any) -> Iterator[None]:
        if is_typing():
            return
        hide(True)
        yield
        hide(False)

    return hold


def _blinking(show: Callable[[bool | None], object]) -> Callable[[Any], Iterator[None]]:
    def blink(viewer: Any) -> Iterator[None]:
        if is_typing():
            return
        other = [True]

        def turn() -> None:
            other[0] = not other[0]
            show(other[0])

        timer = QTimer()
        timer.timeout.connect(turn)
        show(True)
        timer.start(BLINK_MS)
        yield
        timer.stop()
        show(None)

    return blink
