"""One session in one viewer: its layers, tools and threads, shared by every panel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.viewer import Viewer
from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QApplication,
    QMainWindow,
    QMessageBox,
    QWidget,
)

from napari_wsseg._widgets.canvas.activity import Activity
from napari_wsseg._widgets.canvas.autosave import Autosave
from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.case_switch import FilmTurn
from napari_wsseg._widgets.canvas.comparison_layers import ComparedLayers
from napari_wsseg._widgets.canvas.fit import FilmFit
from napari_wsseg._widgets.canvas.held_keys import HeldKeys
from napari_wsseg._widgets.canvas.look_here import LookHere
from napari_wsseg._widgets.canvas.napari_internals import canvas_widget
from napari_wsseg._widgets.canvas.orientation import Turn, turn
from napari_wsseg._widgets.canvas.sight import Sight
from napari_wsseg._widgets.canvas.stage_extras import ExtraLayers
from napari_wsseg._widgets.canvas.tools.grey_window_drag import ToneDrag
from napari_wsseg._widgets.canvas.tools.grow_tool import GrowTool
from napari_wsseg._widgets.canvas.tools.lasso import Lasso
from napari_wsseg._widgets.canvas.tools.magnifier import Magnifier
from napari_wsseg._widgets.canvas.tools.ruler import Ruler
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.parts.worker_thread import QtBackground
from napari_wsseg._widgets.processes import jobs as _jobs
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Verdict
from napari_wsseg.session import Session

TICK_MS = 500
PREFETCH_MS = 150
_BEGINS = (QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress)
_HAND = (
    QEvent.Type.MouseButtonPress,
    QEvent.Type.MouseButtonRelease,
    QEvent.Type.KeyPress,
    QEvent.Type.Wheel,
)


class Workbench(QObject):
    """Joins a session, its layers, tools, threads and clock to one viewer.

    The first panel opened in a viewer makes it; it ends with the viewer's window. What
    stands on it (overlays, dialogs, keys) is `napari_wsseg._widgets.commands`; panels
    ask for that by the signals below.
    """

    stages_wanted = Signal()  #: show all stages side by side, or leave them
    prior_wanted = Signal()  #: show an earlier film of the patient, or leave it
    maps_wanted = Signal()  #: show every map of the film side by side
    reader_wanted = Signal()  #: ask who reads
    agreement_wanted = Signal()  #: show how far readers agree
    versions_wanted = Signal()  #: show or hide the versions of a mask
    search_wanted = Signal()  #: put the keyboard into the search of the worklist
    keys_wanted = Signal()  #: show the list of shortcuts
    closing = Signal()  #: the window ends: let go of everything in it

    def __init__(self, viewer: Viewer, reader: str) -> None:
        super().__init__()
        self.viewer = viewer
        self.loading = QtBackground(self)
        self.drawing = QtBackground(self)
        # Thousands of films may be scored: nothing on screen waits for that.
        self.scoring = QtBackground(self)
        self.session = Session(reader=reader, background=self.loading)
        self.layers = CaseLayers(viewer, self.session, self.drawing)
        self.extras = ExtraLayers(viewer, self.session, self.layers)
        self.compared = ComparedLayers(viewer, self.session, self.layers)
        self.look_here = LookHere(viewer, self.session, self.layers)
        self.autosave = Autosave(self.layers, self.session)
        self.grow = GrowTool(
            viewer, self.session, self.layers, self.autosave, self.drawing, self
        )
        self.lasso = Lasso(
            viewer, self.session, self.layers, self.autosave, self.drawing, self
        )
        self.tone_drag = ToneDrag(viewer, self.session)
        self.ruler = Ruler(viewer, self.session, self.layers, self)
        self.magnifier = Magnifier(viewer, self.session, self.layers, self.canvas, self)
        self.main_window: QMainWindow | None = None
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
            for tool in (self.grow, self.ruler, self.lasso):
                leaving.connect(tool.put_down, priority=1)
        self.session.project_changed.connect(lambda: turn(viewer, "upright"))
        # napari's hints name keys that are not ours, over the film's own words.
        viewer.events.help.connect(self._hush, position="last")
        self.turn = FilmTurn(self.layers, lambda: self.main_window, self.canvas, self)
        self.held = HeldKeys(viewer, self)
        self.session.case_changed.connect(self.held.end_all)
        self.sight = Sight(self.session, self.turn, self.canvas, self)
        self.activity = Activity(self.session.work, self)
        self.fit = FilmFit(viewer, self.layers.fit, self)
        self.layers.fitted.connect(self.fit.keep)
        self.session.case_changed.connect(self.turn.begin, priority=2)
        self.turn.drawn.connect(self._name_film)
        self.grow.failed.connect(self.session.message.emit)
        self.session.case_changed.connect(self._on_case)
        self.session.project_changed.connect(self._on_project)

    # Opening and closing ------------------------------------------------------------

    def watch(self, window: QMainWindow) -> None:
        """Notice when the viewer's window closes."""
        if self.main_window is None:
            self.main_window = window
            window.installEventFilter(self)
            canvas = self.canvas()
            if canvas is not None:
                canvas.installEventFilter(self)
            self.sight.watch(window, canvas)
            self.activity.watch(window)
            self.fit.watch(canvas)
            self.held.watch(window, canvas)
            app = QApplication.instance()
            if app is not None:
                app.aboutToQuit.connect(self.close)

    def open_project(self, folder: Path) -> bool:
        """Open a project, or say in a box why not; return whether it was."""
        try:
            self.session.open_project(folder)
        except DataError as error:
            QMessageBox.warning(self.main_window, "Not opened", str(error))
            return False
        preferences.remember(folder)
        return True

    def close(self) -> None:
        """Save everything, close the project, stop every thread and timer."""
        if self.closed:
            return
        self.closed = True
        self._clock.stop()
        self._ahead.stop()
        self.turn.end()
        self.layers.go_with_window()
        try:
            self.session.close()
        except DataError as error:
            QMessageBox.critical(
                self.main_window,
                "Not everything was saved",
                f"Strokes are lost: {error}",
            )
        self.autosave.close()
        self.extras.close()
        self.compared.close()
        self.look_here.close()
        self.layers.close()
        self.loading.close()
        self.drawing.close()
        self.tone_drag.close()
        self.magnifier.close()
        self.viewer.events.help.disconnect(self._hush)
        self.scoring.close()
        if self.main_window is not None:
            self.main_window.removeEventFilter(self)
            app = QApplication.instance()
            if app is not None:
                app.aboutToQuit.disconnect(self.close)
        # Nothing of the window may be kept alive by what outlives it.
        self.main_window = None
        self.closing.emit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keep strokes safe before the window closes; hold it back if they are not.

        Of the picture, notice the reader's hand, so that a training gives way to it.
        """
        if event is None:
            return False
        if watched is not self.main_window:
            if event.type() in _BEGINS:
                self.layers.take_up()
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
        if self.main_window is not None and not self.main_window.isVisible():
            self.close()

    def _may_lose(self) -> bool:
        answer = QMessageBox.warning(
            self.main_window,
            "Strokes are not saved",
            f"{self.session.problem}\n\nClose all the same and lose the last strokes?",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return bool(answer == QMessageBox.StandardButton.Close)

    # What keys and buttons do -------------------------------------------------------

    def decide(self, verdict: Verdict) -> None:
        """Enter a verdict, with what the review panel notes, and go on."""
        if not self._has_seen(verdict, of_film=True):
            return
        confidence, comment = self.note()
        if self.session.decide(verdict, confidence=confidence, comment=comment):
            self.sight.took(verdict)
            self.session.step(1)

    def decide_finding(self, verdict: Verdict) -> None:
        """Enter a verdict on the current finding alone, and stay on the film."""
        finding = self.session.looking.finding
        if finding is not None and self._has_seen(verdict, of_film=False):
            self.session.decide(verdict, finding=finding.name)

    def set_label(self, value: int | None) -> None:
        """Say of the current finding whether it is on the film."""
        finding = self.session.looking.finding
        if finding is not None:
            self.session.set_label(finding.name, value)

    def _has_seen(self, verdict: Verdict, *, of_film: bool) -> bool:
        """Whether a verdict is about what the reader has seen; else say why not."""
        why = self.sight.refusal(verdict, of_film=of_film)
        if why:
            self.session.message.emit(why)
        return not why

    def undo_decision(self) -> None:
        """Take the last decision back while it is young enough, or the last label."""
        if self.session.can_undo_label():
            self.session.undo_label()
        elif self.session.can_undo_decision():
            self.session.undo_decision()
        else:
            self.session.message.emit(
                "Nothing decided in the last seconds; “Reopen” (Shift O) lets any film "
                "be read again"
            )

    def focus_canvas(self) -> None:
        """Give the keyboard back to the picture."""
        canvas = self.canvas()
        if canvas is not None:
            canvas.setFocus()

    def canvas(self) -> QWidget | None:
        """Return the widget that the picture is drawn on, ``None`` once Qt ended it."""
        if self._picture is None and self.main_window is not None:
            self._picture = canvas_widget(self.main_window)
        elif self._picture is not None and not isalive(self._picture):
            return None
        return self._picture

    def take_grow(self) -> None:
        """Take up the Grow tool."""
        self.put_tools_down()
        self.grow.take_up()

    def take_ruler(self) -> None:
        """Take up the ruler."""
        self.put_tools_down()
        self.ruler.take_up()

    def take_lasso(self) -> None:
        """Take up the lasso."""
        self.put_tools_down()
        self.lasso.take_up()

    def put_tools_down(self) -> None:
        """Put down whatever of ours is in hand."""
        for tool in (self.grow, self.ruler, self.lasso):
            tool.put_down()

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

    def toggle_lasso(self) -> None:
        """Take up the lasso, or put it down."""
        if self.lasso.active:
            self.lasso.put_down()
        else:
            self.take_lasso()

    def invert(self) -> None:
        """Show dense as black, or as white again."""
        self.session.tone.set_inverted(not self.session.tone.inverted)

    def turn_view(self, how: Turn) -> None:
        """Turn or mirror what is shown, never the film or its masks."""
        self.grow.put_down()
        self.lasso.put_down()
        turn(self.viewer, how)
        self.layers.outlines.draw()

    def next_tone(self) -> None:
        """Read the film in the next preset of the grey window."""
        if self.session.case is not None:
            self.session.tone.next_preset(self.session.case.id)

    def reset_tone(self) -> None:
        """Read the film in the grey window that suits it by itself."""
        if self.session.case is not None:
            self.session.tone.choose("auto", self.session.case.id)

    def _hush(self, event: object = None) -> None:
        if self.viewer.help:
            self.viewer.help = ""

    def _on_case(self) -> None:
        self._ahead.start(PREFETCH_MS)

    def _name_film(self) -> None:
        """Call the window by the film once that is what it shows."""
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
