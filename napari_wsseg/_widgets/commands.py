"""What keys and buttons do, and the overlays and dialogs that are made on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import shortcuts

if TYPE_CHECKING:
    from napari_wsseg._widgets.overlays.candidate_strip import CandidateStrip
    from napari_wsseg._widgets.overlays.gallery import Gallery
    from napari_wsseg._widgets.overlays.prior import PriorView
    from napari_wsseg._widgets.overlays.swipe import SwipeView
    from napari_wsseg._widgets.worklist.agreement_window import AgreementWindow


class Commands(QObject):
    """Answers the wishes that a workbench announces, and binds the keys.

    Attributes
    ----------
    gallery, comparison, help, agreement
        What was shown so far; ``None`` until it is first asked for.
    """

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self.bench = bench
        self.session = bench.session
        self.gallery: Gallery | None = None
        self.comparison: SwipeView | None = None
        self.strip: CandidateStrip | None = None
        self.prior: PriorView | None = None
        self.help: QWidget | None = None
        self.agreement: AgreementWindow | None = None
        bench.session.looking.view_changed.connect(self._compare)
        bench.stages_wanted.connect(self.toggle_gallery)
        bench.prior_wanted.connect(self.toggle_prior)
        bench.maps_wanted.connect(self.show_maps)
        bench.reader_wanted.connect(self.choose_reader)
        bench.agreement_wanted.connect(self.show_agreement)
        bench.keys_wanted.connect(self.show_keys)
        bench.closing.connect(self._let_go)
        hold = bench.tone_drag.hold
        shortcuts.bind(
            bench.viewer,
            self.actions(),
            self.hide,
            hold,
            self.blink,
            bench.magnifier.hold,
        )

    def actions(self) -> dict[str, Callable[[], object]]:
        """Return what each plain key does, by its binding."""
        bench, session, looking = self.bench, self.session, self.session.looking
        return {
            "A": lambda: bench.decide("accept"),
            "S": lambda: bench.decide("accept with edits"),
            "R": lambda: bench.decide("reject"),
            "G": lambda: bench.decide("flag"),
            "PageDown": lambda: session.step(1),
            "PageUp": lambda: session.step(-1),
            "Control-Right": lambda: session.step(1),
            "Control-Left": lambda: session.step(-1),
            "U": session.go_to_unread,
            "D": lambda: looking.step_view(session.stages()),
            ",": lambda: looking.set_blend(looking.blend - 0.1),
            ".": lambda: looking.set_blend(looking.blend + 0.1),
            "N": bench.toggle_grow,
            "Shift-L": bench.toggle_lasso,
            "8": bench.toggle_ruler,
            "T": self.toggle_gallery,
            "Shift-B": self.take_best,
            "Shift-C": self.pick,
            "9": bench.next_tone,
            "0": bench.reset_tone,
            "W": lambda: looking.step_finding(1),
            "Q": lambda: looking.step_finding(-1),
            "F1": self.show_keys,
            "F2": self.choose_reader,
            "F3": self.show_agreement,
            "F4": bench.versions_wanted.emit,
            "/": bench.search_wanted.emit,
            "Shift-O": session.reopen,
            "Shift-Z": bench.undo_decision,
            "Shift-A": lambda: bench.decide_finding("accept"),
            "Shift-S": lambda: bench.decide_finding("accept with edits"),
            "Shift-R": lambda: bench.decide_finding("reject"),
            "F5": lambda: looking.set_alone(not looking.alone),
            "F6": looking.step_drawing,
            "F8": self.toggle_prior,
            "I": bench.invert,
            "Shift-H": lambda: bench.turn_view("mirror"),
            "Shift-T": lambda: bench.turn_view("turn"),
            "Shift-Y": lambda: bench.set_label(1),
            "Shift-N": lambda: bench.set_label(0),
            "Shift-U": lambda: bench.set_label(-1),
            "Alt-A": lambda: session.take_reader_mask(0),
            "Alt-B": lambda: session.take_reader_mask(1),
        }

    # Dialogs ------------------------------------------------------------------------

    def choose_reader(self) -> None:
        """Ask who reads, and what of others is shown."""
        if self.session.project is None:
            return
        from napari_wsseg._widgets.review.reader_dialog import ReaderDialog

        self.bench.put_tools_down()
        ReaderDialog(self.session, self.bench.main_window).exec()
        self.bench.focus_canvas()

    def show_agreement(self) -> None:
        """Show how far readers agree."""
        from napari_wsseg._widgets.worklist.agreement_window import AgreementWindow

        if self.agreement is None:
            self.agreement = AgreementWindow(self.bench, self.bench.main_window)
        self.agreement.refresh()
        self.agreement.show()
        self.agreement.raise_()

    def show_keys(self) -> None:
        """Show the list of shortcuts."""
        from napari_wsseg._widgets.parts.help import KeyList

        if self.help is None:
            self.help = KeyList(self.bench.main_window)
        self.help.show()
        self.help.raise_()

    # Over the film ------------------------------------------------------------------

    def toggle_gallery(self) -> None:
        """Show or leave all stages side by side."""
        if self.gallery is not None and self.gallery.isVisible():
            self.gallery.hide()
            self.bench.focus_canvas()
        else:
            self._show_gallery("stages")

    def show_maps(self) -> None:
        """Show every map of the film side by side."""
        self._show_gallery("maps")

    def pick(self) -> None:
        """Show what the current finding's mask could begin with, 1 to 6 to take."""
        window = self.bench.main_window
        if window is None or self.session.case is None or self.session.locked:
            return
        from napari_wsseg._widgets.overlays.candidate_strip import CandidateStrip

        if self.strip is None:
            self.strip = CandidateStrip(self.bench, window.centralWidget())
        self.strip.toggle()

    def toggle_prior(self) -> None:
        """Show an earlier film of the same patient beside the open one, or leave it."""
        window = self.bench.main_window
        if window is None or self.session.case is None:
            return
        from napari_wsseg._widgets.overlays.prior import PriorView

        if self.prior is None:
            self.prior = PriorView(self.bench, window.centralWidget())
        self.prior.toggle()

    def take_best(self) -> None:
        """Begin the current finding's mask with the best guess of a draft."""
        from napari_wsseg._widgets.overlays import candidate_strip

        candidate_strip.take_best(self.bench)

    def _show_gallery(self, what: Literal["stages", "maps"]) -> None:
        if self.bench.main_window is None or self.session.case is None:
            return
        from napari_wsseg._widgets.overlays.gallery import Gallery

        if self.gallery is None:
            self.gallery = Gallery(self.bench, self.bench.main_window.centralWidget())
        self.gallery.open(what)

    def _compare(self) -> None:
        """Make what compares two views when it is first asked for."""
        window, looking = self.bench.main_window, self.session.looking
        if self.comparison is None and window is not None and looking.compared:
            from napari_wsseg._widgets.overlays.swipe import SwipeView

            self.comparison = SwipeView(self.bench, window.centralWidget())
            self.comparison.follow()

    def blink(self, other: bool | None) -> None:
        """Show the one side of a comparison, or the film alone, and back again."""
        looking = self.session.looking
        if looking.compared is None:
            self.hide(bool(other))
        elif looking.comparing != "blend" and self.comparison is not None:
            self.comparison.blink(other)
        else:
            self.bench.layers.blink(other)

    def hide(self, hidden: bool) -> None:
        """Show nothing but the film while `hidden`."""
        self.bench.layers.hide(hidden)
        if self.comparison is not None:
            self.comparison.show_bare(hidden)
        self.bench.extras.refresh()
        self.bench.compared.refresh()
        self.bench.look_here.refresh()

    def _let_go(self) -> None:
        """Give the keys back; nothing of the window may outlive it."""
        shortcuts.unbind(self.bench.viewer)
        self.gallery = self.comparison = self.prior = None
        self.help = self.agreement = None
