"""One session in one viewer, shared by every panel that is docked there."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QSettings, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QApplication,
    QMainWindow,
    QMessageBox,
    QWidget,
)

from napari_wsseg._widgets.canvas.autosave import Autosave
from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.case_switch import FilmTurn
from napari_wsseg._widgets.canvas.comparison_layers import ComparedLayers
from napari_wsseg._widgets.canvas.grey_window_drag import ToneDrag
from napari_wsseg._widgets.canvas.grow_tool import GrowTool
from napari_wsseg._widgets.canvas.ruler import Ruler
from napari_wsseg._widgets.canvas.stage_extras import ExtraLayers
from napari_wsseg._widgets.parts import shortcuts as _keys
from napari_wsseg._widgets.parts.worker_thread import QtBackground
from napari_wsseg._widgets.processes import jobs as _jobs
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Verdict
from napari_wsseg.session import Session

if TYPE_CHECKING:
    from napari_wsseg._widgets.overlays.gallery import Gallery
    from napari_wsseg._widgets.overlays.swipe import Comparison
    from napari_wsseg._widgets.worklist.agreement_window import AgreementWindow

TICK_MS = 500
PREFETCH_MS = 150
RECENT = 6
_HAND = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.KeyPress,
    QEvent.Type.Wheel,
)


class Workbench(QObject):
    """Joins a session, its layers, autosave, keys and clock to one viewer.

    The first panel opened in a viewer makes it; it ends with the viewer's window.
    """

    def __init__(self, viewer: Viewer, reader: str) -> None:
        super().__init__()
        self.viewer = viewer
        self.reading = QtBackground(self)
        self.drawing = QtBackground(self)
        # Thousands of films may be scored: nothing on screen waits for that.
        self.scoring = QtBackground(self)
        self.session = Session(reader=reader, background=self.reading)
        self.layers = CaseLayers(viewer, self.session, self.drawing)
        self.extras = ExtraLayers(viewer, self.session, self.layers)
        self.compared = ComparedLayers(viewer, self.session, self.layers)
        self.autosave = Autosave(self.layers, self.session)
        self.grow = GrowTool(
            viewer, self.session, self.layers, self.autosave, self.drawing, self
        )
        self.tone_drag = ToneDrag(viewer, self.session)
        self.ruler = Ruler(viewer, self.session, self.layers, self)
        self.gallery: Gallery | None = None
        self.comparison: Comparison | None = None
        self.session.looking.view_changed.connect(self._compare)
        self.help: QWidget | None = None
        self.agreement: AgreementWindow | None = None
        self.search: Callable[[], object] = lambda: None
        self.show_versions: Callable[[], object] = lambda: None
        self.window: QMainWindow | None = None
        self._picture: QWidget | None = None
        self.closed = False
        self.note: Callable[[], tuple[int | None, str]] = lambda: (None, "")
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.session.tick)
        self._clock.start(TICK_MS)
        # Reading ahead waits until the reader has settled on a film.
        self._ahead = QTimer(self)
        self._ahead.setSingleShot(True)
        self._ahead.timeout.connect(self.session.prefetch)
        for leaving in (
            self.session.case_changed,
            self.session.closing,
            self.session.looking.finding_changed,
        ):
            # Before any layer follows: strokes belong to what is being left.
            leaving.connect(self.grow.put_down, priority=1)
            leaving.connect(self.ruler.put_down, priority=1)
        self.turn = FilmTurn(self.layers, lambda: self.window, self._canvas, self)
        self.session.case_changed.connect(self.turn.begin, priority=2)
        self.grow.failed.connect(self.session.message.emit)
        self.session.case_changed.connect(self._on_case)
        self.session.project_changed.connect(self._on_project)
        _keys.bind(
            viewer, self._actions(), self._hide, self.tone_drag.hold, self._blink
        )

    # Opening and closing ------------------------------------------------------------

    def watch(self, window: QMainWindow) -> None:
        """Notice when the viewer's window closes."""
        if self.window is None:
            self.window = window
            window.installEventFilter(self)
            canvas = self._canvas()
            if canvas is not None:
                canvas.installEventFilter(self)
            app = QApplication.instance()
            if app is not None:
                app.aboutToQuit.connect(self.close)

    def open_project(self, folder: Path) -> bool:
        """Open a project, or say in a box why not; return whether it was."""
        try:
            self.session.open_project(folder)
        except DataError as error:
            QMessageBox.warning(self.window, "Not opened", str(error))
            return False
        remember(folder)
        return True

    def close(self) -> None:
        """Save everything, close the project, stop every thread and timer."""
        if self.closed:
            return
        self.closed = True
        self._clock.stop()
        self._ahead.stop()
        self.turn.end()
        try:
            self.session.close()
        except DataError as error:
            QMessageBox.critical(
                self.window, "Not everything was saved", f"Strokes are lost: {error}"
            )
        self.autosave.close()
        self.extras.close()
        self.compared.close()
        self.layers.close()
        self.reading.close()
        self.drawing.close()
        self.tone_drag.close()
        self.scoring.close()
        _keys.unbind(self.viewer)
        if self.window is not None:
            self.window.removeEventFilter(self)
            app = QApplication.instance()
            if app is not None:
                app.aboutToQuit.disconnect(self.close)
        # Nothing of the window may be kept alive by what outlives it.
        self.window = self.gallery = self.comparison = None
        self.help = self.agreement = None
        _benches.pop(self.viewer, None)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep strokes safe before the window closes; hold it back if they are not.

        Of the picture, notice the reader's hand, so that a training gives way to it.
        """
        if event is None:
            return False
        if watched is not self.window:
            if _is_hand(event):
                _jobs.give_way()
            return False
        if event.type() != QEvent.Type.Close:
            return False
        self.session.tick()
        unsaved = self.session.experts and self.session.experts.unsaved
        if unsaved and event.spontaneous() and not self._may_lose():
            event.ignore()
            return True
        if event.spontaneous():
            # napari may still ask and stay open: look again when it has decided.
            QTimer.singleShot(0, self._close_if_hidden)
        else:
            self.close()
        return False

    def _close_if_hidden(self) -> None:
        if self.window is not None and not self.window.isVisible():
            self.close()

    def _may_lose(self) -> bool:
        answer = QMessageBox.warning(
            self.window,
            "Strokes are not saved",
            f"{self.session.problem}\n\nClose all the same and lose the last strokes?",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return bool(answer == QMessageBox.StandardButton.Close)

    # What keys and buttons do -------------------------------------------------------

    def decide(self, verdict: Verdict) -> None:
        """Enter a verdict, with what the review panel notes, and go on."""
        confidence, comment = self.note()
        if self.session.decide(verdict, confidence=confidence, comment=comment):
            self.session.step(1)

    def decide_finding(self, verdict: Verdict) -> None:
        """Enter a verdict on the current finding alone, and stay on the film."""
        finding = self.session.looking.finding
        if finding is not None:
            self.session.decide(verdict, finding=finding.name)

    def undo_decision(self) -> None:
        """Take the last decision back while it is young enough."""
        if self.session.can_undo_decision():
            self.session.undo_decision()
        else:
            self.session.message.emit(
                "Nothing decided in the last seconds; “Reopen” (Shift O) lets any film "
                "be read again"
            )

    def choose_reader(self) -> None:
        """Ask who reads, and what of others is shown."""
        if self.session.project is None:
            return
        from napari_wsseg._widgets.review.reader_dialog import ReaderDialog

        self.grow.put_down()
        ReaderDialog(self.session, self.window).exec()
        self.focus_canvas()

    def show_agreement(self) -> None:
        """Show how far readers agree."""
        from napari_wsseg._widgets.worklist.agreement_window import AgreementWindow

        if self.agreement is None:
            self.agreement = AgreementWindow(self, self.window)
        self.agreement.refresh()
        self.agreement.show()
        self.agreement.raise_()

    def focus_canvas(self) -> None:
        """Give the keyboard back to the picture."""
        canvas = self._canvas()
        if canvas is not None:
            canvas.setFocus()

    def _canvas(self) -> QWidget | None:
        """Return the widget that the picture is drawn on."""
        if self._picture is None and self.window is not None:
            centre = self.window.centralWidget()
            for widget in centre.findChildren(QWidget) if centre else ():
                if widget.metaObject().className() == "CanvasBackendDesktop":
                    self._picture = widget
        return self._picture

    def toggle_gallery(self) -> None:
        """Show or leave all stages side by side."""
        if self.gallery is not None and self.gallery.isVisible():
            self.gallery.hide()
            self.focus_canvas()
        else:
            self._show_gallery("stages")

    def show_maps(self) -> None:
        """Show every map of the film side by side."""
        self._show_gallery("maps")

    def _show_gallery(self, what: Literal["stages", "maps"]) -> None:
        if self.window is None or self.session.case is None:
            return
        from napari_wsseg._widgets.overlays.gallery import Gallery

        if self.gallery is None:
            self.gallery = Gallery(self, self.window.centralWidget())
        self.gallery.open(what)

    def _compare(self) -> None:
        """Make what compares two views when it is first asked for."""
        looking = self.session.looking
        if self.comparison is None and self.window is not None and looking.compared:
            from napari_wsseg._widgets.overlays.swipe import Comparison

            self.comparison = Comparison(self, self.window.centralWidget())
            self.comparison.follow()

    def _blink(self, other: bool | None) -> None:
        """Show the one side of a comparison, or the film alone, and back again."""
        looking = self.session.looking
        if looking.compared is None:
            self._hide(bool(other))
        elif looking.comparing != "blend" and self.comparison is not None:
            self.comparison.blink(other)
        else:
            self.layers.blink(other)

    def _hide(self, hidden: bool) -> None:
        """Show nothing but the film while `hidden`."""
        self.layers.hide(hidden)
        if self.comparison is not None:
            self.comparison.show_bare(hidden)
        self.extras.refresh()
        self.compared.refresh()

    def take_grow(self) -> None:
        """Take up the Grow tool."""
        self.ruler.put_down()
        self.grow.take_up()

    def take_ruler(self) -> None:
        """Take up the ruler."""
        self.grow.put_down()
        self.ruler.take_up()

    def toggle_grow(self) -> None:
        """Take up the Grow tool, or put it down."""
        if self.grow.active:
            self.grow.put_down()
        else:
            self.take_grow()

    def toggle_ruler(self) -> None:
        """Take up the ruler, or put it down."""
        if self.ruler.active:
            self.ruler.put_down()
        else:
            self.take_ruler()

    def next_tone(self) -> None:
        """Read the film in the next preset of the grey window."""
        if self.session.case is not None:
            self.session.tone.next_preset(self.session.case.id)

    def reset_tone(self) -> None:
        """Read the film in the grey window that suits it by itself."""
        if self.session.case is not None:
            self.session.tone.choose("auto", self.session.case.id)

    def show_keys(self) -> None:
        """Show the list of shortcuts."""
        from napari_wsseg._widgets.parts.help import KeyList

        if self.help is None:
            self.help = KeyList(self.window)
        self.help.show()
        self.help.raise_()

    def _actions(self) -> dict[str, Callable[[], object]]:
        session, looking = self.session, self.session.looking
        return {
            "A": lambda: self.decide("accept"),
            "S": lambda: self.decide("accept with edits"),
            "R": lambda: self.decide("reject"),
            "G": lambda: self.decide("flag"),
            "PageDown": lambda: session.step(1),
            "PageUp": lambda: session.step(-1),
            "Control-Right": lambda: session.step(1),
            "Control-Left": lambda: session.step(-1),
            "U": session.go_to_unread,
            "D": lambda: looking.step_view(session.stages()),
            ",": lambda: looking.set_blend(looking.blend - 0.1),
            ".": lambda: looking.set_blend(looking.blend + 0.1),
            "N": self.toggle_grow,
            "8": self.toggle_ruler,
            "T": self.toggle_gallery,
            "9": self.next_tone,
            "0": self.reset_tone,
            "W": lambda: looking.step_finding(1),
            "Q": lambda: looking.step_finding(-1),
            "F1": self.show_keys,
            "F2": self.choose_reader,
            "F3": self.show_agreement,
            "F4": lambda: self.show_versions(),
            "/": lambda: self.search(),
            "Shift-O": session.reopen,
            "Shift-Z": self.undo_decision,
            "Shift-A": lambda: self.decide_finding("accept"),
            "Shift-S": lambda: self.decide_finding("accept with edits"),
            "Shift-R": lambda: self.decide_finding("reject"),
            "Alt-A": lambda: session.take(0),
            "Alt-B": lambda: session.take(1),
        }

    def _on_case(self) -> None:
        self._ahead.start(PREFETCH_MS)
        case = self.session.case
        if case is not None:
            self.viewer.title = f"wsseg · {case.name}"

    def _on_project(self) -> None:
        if self.session.project is None:
            self.viewer.title = "wsseg"


def _is_hand(event: QEvent) -> bool:
    """Whether an event of the picture is a stroke, a key or the wheel."""
    if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
        return bool(event.buttons() != Qt.MouseButton.NoButton)
    return event.type() in _HAND


_benches: weakref.WeakKeyDictionary[Viewer, Workbench] = weakref.WeakKeyDictionary()


def of(viewer: Viewer, reader: str | None = None) -> Workbench:
    """Return the workbench of a viewer, made on first use."""
    # Panels from the Plugins menu are given a proxy that stands for the viewer.
    viewer = getattr(viewer, "__wrapped__", viewer)
    bench = _benches.get(viewer)
    if bench is None:
        bench = Workbench(viewer, reader or default_reader())
        _benches[viewer] = bench
    return bench


def default_reader() -> str:
    """Return the name that masks are kept under when none is given."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "reader"


def remember(folder: Path) -> None:
    """Put a project on top of the list of recent ones."""
    path = str(folder.resolve())
    others = [str(other) for other in recent() if str(other) != path]
    _settings().setValue("recent", [path, *others][:RECENT])


def recent() -> list[Path]:
    """Return projects that were opened lately and are still there, newest first."""
    stored = _settings().value("recent", []) or []
    paths = [stored] if isinstance(stored, str) else list(stored)
    return [Path(path) for path in paths if (Path(path) / "wsseg.toml").is_file()]


def fold_is_open(name: str, usual: bool) -> bool:
    """Return whether the reader left a part of a panel open, `usual` at first."""
    return bool(_settings().value(f"open/{name}", usual, type=bool))


def remember_fold(name: str, is_open: bool) -> None:
    """Keep whether a part of a panel is open."""
    _settings().setValue(f"open/{name}", is_open)


def _settings() -> QSettings:
    return QSettings("napari-wsseg", "window")
