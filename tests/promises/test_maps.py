"""A reader turns from map to map; none is computed twice, thresholds move at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import window_input
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.cam_choice import MapChoice
from napari_wsseg._widgets.review.stage_switcher import StagePanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.io import stages

pytestmark = [pytest.mark.gui, pytest.mark.timeout(280)]


def pick(choice: MapChoice, key: Qt.Key) -> None:
    """Turn to the next or the last map with the keyboard, as a reader does."""
    QTest.keyClick(choice.list, key)
    window_input.settle(choice.bench)


def heat(bench: Workbench) -> np.ndarray:
    return np.array(bench.layers.heats["cam"].data)


def test_a_map_is_computed_once_and_turned_back_to_at_once(
    open_window: Callable[[Path], Workbench], place: Path
) -> None:
    bench = open_window(place)
    session, choice = bench.session, bench.main_window.findChild(MapChoice)
    assert choice.isVisible()
    own, other = session.showing.maps[:2]
    before = heat(bench)

    pick(choice, Qt.Key.Key_Down)
    assert session.showing.map == other
    assert session.looking.view == "cam"
    assert "Computing" in choice.state.text()
    window_input.wait_for(lambda: not choice.missing, 90)
    window_input.wait_for(lambda: not choice.maker.busy, 90)
    window_input.settle(bench)
    second = heat(bench)
    assert second.max() > 0
    assert second.shape != before.shape or not np.array_equal(second, before)
    run = session.showing.run
    seen = stages.cases_with_maps(place, f"cam~{other}", run)
    assert seen == set(session.list.cases), "every film, the open one first"

    pick(choice, Qt.Key.Key_Up)
    assert session.showing.map == own
    np.testing.assert_array_equal(heat(bench), before)
    pick(choice, Qt.Key.Key_Down)
    np.testing.assert_array_equal(heat(bench), second)
    assert not choice.maker.busy, "nothing that is known is computed again"


def test_a_threshold_moves_the_outline_of_the_map_in_sight(
    open_window: Callable[[Path], Workbench], place: Path
) -> None:
    bench = open_window(place)
    panel = bench.main_window.findChild(StagePanel)
    QTest.mouseClick(panel.buttons["cam"], window_input.LEFT)
    session = bench.session
    finding = session.looking.finding.name
    areas = []
    for value in (10, 90):
        panel.threshold.setValue(value)
        window_input.settle(bench)
        session.looking.drafts.settings["cam"] = open_gate(session)
        areas.append(session.draft("cam", finding, (64, 64)).sum())
    assert areas[0] > areas[1]


def open_gate(session: object) -> object:
    """Return the settings as they are, for a film that the classifier doubts."""
    from dataclasses import replace

    settings = session.looking.drafts.settings["cam"]
    return replace(settings, gates=(0.0,) * len(settings.gates))


def test_every_map_of_a_film_is_shown_side_by_side(
    open_window: Callable[[Path], Workbench], place: Path
) -> None:
    bench = open_window(place)
    session, choice = bench.session, bench.main_window.findChild(MapChoice)
    window_input.click(choice.beside)
    assert set(commands_of(bench.viewer).gallery.tiles) == set(session.showing.maps)
    window_input.wait_for(
        lambda: all(
            tile.picture for tile in commands_of(bench.viewer).gallery.tiles.values()
        ),
        120,
    )
    wanted = session.showing.maps[3]
    tile = commands_of(bench.viewer).gallery.tiles[wanted]
    QTest.mouseClick(tile, window_input.LEFT, pos=tile.rect().center())
    window_input.settle(bench)
    assert not commands_of(bench.viewer).gallery.isVisible()
    assert (session.showing.map, session.looking.view) == (wanted, "cam")
    assert heat(bench).max() > 0
