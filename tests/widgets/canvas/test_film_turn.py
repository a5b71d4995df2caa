"""A film that is turned to is drawn in slices: nothing is left out, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy import sip
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QWidget

from napari_wsseg._widgets.canvas import napari_internals
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg.session import Session

pytestmark = pytest.mark.gui


@pytest.fixture
def shown(bench: Workbench, qtbot: Any) -> Workbench:
    """Return the workbench of a window on screen, its second film read ahead."""
    assert bench.main_window is not None
    bench.main_window.show()
    qtbot.waitExposed(bench.main_window)
    for step in (1, -1):
        turn(bench, qtbot, step)
    return bench


def turn(bench: Workbench, qtbot: Any, step: int) -> None:
    """Turn to another film and wait until all of it is drawn."""
    before = bench.session.case
    bench.session.step(step)
    qtbot.waitUntil(lambda: bench.session.case is not before, timeout=5000)
    drawn(bench, qtbot)


def drawn(bench: Workbench, qtbot: Any) -> None:
    """Wait until nothing is left to be drawn."""
    qtbot.waitUntil(lambda: not bench.turn.going_on, timeout=5000)
    bench.loading.drain()
    bench.drawing.drain()
    qtbot.wait(50)


def parts(bench: Workbench) -> list[QWidget]:
    """Return the panels and the picture."""
    assert bench.main_window is not None
    direct = Qt.FindChildOption.FindDirectChildrenOnly
    docks = bench.main_window.findChildren(QDockWidget, options=direct)
    canvas = bench.canvas()
    assert canvas is not None
    return [*docks, canvas]


def held(bench: Workbench) -> list[QWidget]:
    """Return what on the window is not drawn at present."""
    return [part for part in parts(bench) if not part.updatesEnabled()]


def picture(bench: Workbench) -> NDArray[np.uint8]:
    """Return the (H, W, 4) picture of the canvas."""
    return np.asarray(bench.viewer.screenshot(canvas_only=True, flash=False))


def test_a_turn_ends_with_all_panels_and_the_picture_drawn(
    shown: Workbench, qtbot: Any
) -> None:
    first, small = picture(shown), shown.layers.film.thumbnail.copy()
    shown.session.step(1)
    assert held(shown)
    drawn(shown, qtbot)
    assert not held(shown)
    assert not np.array_equal(picture(shown), first)
    assert not np.array_equal(shown.layers.film.thumbnail, small)
    turn(shown, qtbot, -1)
    np.testing.assert_array_equal(picture(shown), first)
    np.testing.assert_array_equal(shown.layers.film.thumbnail, small)


def test_two_films_turned_faster_than_drawn_end_as_one(
    shown: Workbench, qtbot: Any
) -> None:
    first, small = picture(shown), shown.layers.film.thumbnail.copy()
    shown.session.step(1)
    qtbot.waitUntil(lambda: shown.layers.draw_thumbnails not in shown.turn._steps)
    shown.session.step(-1)
    drawn(shown, qtbot)
    assert not held(shown)
    np.testing.assert_array_equal(picture(shown), first)
    np.testing.assert_array_equal(shown.layers.film.thumbnail, small)


def test_a_panel_closed_while_a_film_is_drawn_does_no_harm(
    shown: Workbench, qtbot: Any
) -> None:
    assert shown.main_window is not None
    dock = shown.viewer.window.add_dock_widget(QLabel("of another plugin"))
    shown.session.step(1)
    shown.viewer.window.remove_dock_widget(dock)
    drawn(shown, qtbot)
    assert not held(shown)


def test_a_window_closed_while_a_film_is_drawn_leaves_nothing_held(
    shown: Workbench,
) -> None:
    everything = parts(shown)
    shown.session.step(1)
    shown.close()
    assert all(part.updatesEnabled() for part in everything)
    assert not shown.turn.going_on


def test_a_picture_that_qt_ended_while_a_film_is_drawn_does_no_harm(
    bench: Workbench, qtbot: Any
) -> None:
    """A window taken apart by its parent tells nobody that it closes."""
    gone = QWidget()
    bench._picture = gone
    bench.session.step(1)
    sip.delete(gone)
    qtbot.waitUntil(lambda: not bench.turn.going_on, timeout=5000)
    assert bench.canvas() is None
    bench.focus_canvas()


def test_layers_are_of_the_new_film_before_any_of_it_is_drawn(
    shown: Workbench, qtbot: Any
) -> None:
    shown.session.step(1)
    assert shown.turn.going_on
    assert shown.session.case is not None
    assert shown.session.opened is not None
    assert shown.layers.film.data is shown.session.opened.radiograph.pixels
    for layer in shown.layers.experts.values():
        assert layer.metadata["case"] == shown.session.case.id


def test_what_was_hidden_is_drawn_anew_only_if_it_changed(shown: Workbench) -> None:
    layer, name = shown.layers.active, shown.session.looking.finding.name
    changes: list[object] = []
    layer.events.set_data.connect(changes.append)
    before = picture(shown)
    shown.layers.hide(True)
    shown.layers.hide(False)
    assert not changes
    np.testing.assert_array_equal(picture(shown), before)
    shown.layers.hide(True)
    mask = np.zeros(layer.data.shape, bool)
    mask[4:-4, 4:-4] = True
    shown.autosave.apply(name, mask, "brush")
    shown.layers.hide(False)
    assert not np.array_equal(picture(shown), before)
    shown.layers.hide(True)
    layer.data = np.zeros_like(layer.data)
    shown.layers.hide(False)
    np.testing.assert_array_equal(picture(shown), before)


def test_a_film_that_is_read_before_its_window_has_been_drawn_is_shown(
    open_bench: Callable[..., Workbench],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    """As of a second window on a busy machine: no card has answered for it yet."""
    first = open_bench(None)
    qtbot.waitUntil(lambda: first.main_window.isVisible(), timeout=5000)
    for question in ("get_gl_extensions", "get_max_texture_sizes"):
        getattr(napari_internals._card, question).cache_clear()
    opened = Session.open_project

    def open_project(session: Session, folder: Path) -> None:
        opened(session, folder)
        qtbot.waitUntil(lambda: session.case is not None, timeout=5000)

    monkeypatch.setattr(Session, "open_project", open_project)
    second = open_bench(place)
    drawn(second, qtbot)
    assert second.layers.film.data.shape == second.session.case.shape
    assert len(second.layers.experts) == len(second.session.looking.findings)
