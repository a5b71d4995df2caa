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
class Key:
    """One shortcut: what is pressed, how that is written, and what it does."""

    binding: str
    shown: str
    group: str
    does: str


KEYS = (
    Key(
        "A",
        "A",
        "Decide",
        "Accept: outlines shown become masks; a mask drawn before stays",
    ),
    Key("S", "S", "Decide", "Accept with edits: your masks, and outlines elsewhere"),
    Key("R", "R", "Decide", "Reject: nothing on this film is to be used"),
    Key("G", "G", "Decide", "Flag for a second reading"),
    Key("Shift-A", "Shift A", "Decide", "This finding: accept the outline shown"),
    Key("Shift-S", "Shift S", "Decide", "This finding: your mask is right"),
    Key("Shift-R", "Shift R", "Decide", "This finding: not there, its mask is empty"),
    Key("Shift-Z", "Shift Z", "Decide", "Take the last decision, or label, back"),
    Key("Shift-O", "Shift O", "Decide", "Reopen: read a decided film again"),
    Key("Alt-A", "Alt A", "Decide", "Adjudicate: take the first reader's mask"),
    Key("Alt-B", "Alt B", "Decide", "Adjudicate: take the second reader's mask"),
    Key("PageDown", "Page down", "Films", "Next film"),
    Key("PageUp", "Page up", "Films", "Previous film"),
    Key("Control-Right", "Ctrl →", "Films", "Next film"),
    Key("Control-Left", "Ctrl ←", "Films", "Previous film"),
    Key("U", "U", "Films", "Next film to review"),
    Key("/", "/", "Films", "Search the worklist"),
    Key("D", "D", "Look", "Next stage"),
    Key("H", "H (hold)", "Look", "Hide everything but the film"),
    Key("K", "K (hold)", "Look", "Blink masks on and off, or the two stages compared"),
    Key(",", ",", "Look", "Weaker overlay, or more of the first stage"),
    Key(".", ".", "Look", "Stronger overlay, or more of the second stage"),
    Key("9", "9", "Look", "Next grey window: auto, full, lung, heart, bone"),
    Key("J", "J (hold)", "Look", "Grey window by moving the mouse"),
    Key("0", "0", "Look", "Grey window back to auto"),
    Key("I", "I", "Look", "Invert: dense is black, and back"),
    Key("F6", "F6", "Look", "Expert masks filled, as outlines, off"),
    Key("F5", "F5", "Look", "This finding alone, or all"),
    Key("Shift-T", "Shift T", "Look", "Turn the view by a quarter; masks go along"),
    Key("Shift-H", "Shift H", "Look", "Mirror the view"),
    Key("T", "T", "Look", "All stages side by side"),
    Key("W", "W", "Finding", "Next finding"),
    Key("Q", "Q", "Finding", "Previous finding"),
    Key("Shift-Y", "Shift Y", "Finding", "Label: present on the film"),
    Key("Shift-N", "Shift N", "Finding", "Label: absent from the film"),
    Key("Shift-U", "Shift U", "Finding", "Label: uncertain"),
    Key("B", "B", "Draw", "Begin with the best draft there is"),
    Key("C", "C", "Draw", "Candidates that differ most: point to see, 1 to 6 to take"),
    Key("N", "N", "Draw", "Grow: stroke inside, with Ctrl outside; again: put away"),
    Key("8", "8", "Draw", "Ruler; a second line: ratio (heart : chest), angle"),
    Key("F2", "F2", "Readers", "Who reads: openly, blind, as adjudicator"),
    Key("F3", "F3", "Readers", "Agreement of readers"),
    Key("F4", "F4", "Readers", "Versions of this finding's mask"),
    Key("F1", "F1", "Help", "This list"),
)
"""Every shortcut of ours; `NAPARI_KEYS` tells those of napari worth knowing."""

NAPARI_KEYS = (
    ("Enter · Esc", "Grow: take the proposal, drop it"),
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
    """
    for key in KEYS:
        if key.binding in actions:
            viewer.bind_key(key.binding, _pressed(actions[key.binding]))
    viewer.bind_key("H", _held(hide))
    viewer.bind_key("K", _blinking(blink))
    viewer.bind_key("J", _held(tone))


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
