"""The layer that marks where other stages contradict the draft on screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg._widgets.review.stage_switcher import StagePanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.io import stages
from napari_wsseg.schema import StageMaps
from napari_wsseg.session.effort.contested import MISSING, TOO_MUCH, contested

SIDE = noise_project.SQUARE


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((60, 60), bool)
    mask[rows, columns] = True
    return mask


def test_what_half_of_the_others_contradict_is_marked_by_its_side() -> None:
    draft = box(slice(0, 20), slice(0, 20))
    wider = box(slice(0, 20), slice(0, 40))
    left = box(slice(0, 20), slice(0, 10))
    marks = contested(draft, [wider, left])
    np.testing.assert_array_equal(marks == MISSING, wider & ~draft)
    np.testing.assert_array_equal(marks == TOO_MUCH, draft & ~left)
    assert not contested(draft, [draft, draft, left]).any(), "one of three"
    assert not contested(draft, []).any()


def test_a_place_of_a_few_cells_is_not_marked() -> None:
    draft = box(slice(0, 20), slice(0, 20))
    other = draft.copy()
    other[5:9, 5:9] = False
    assert not contested(draft, [other]).any()


@pytest.mark.gui
def test_the_box_marks_the_draft_on_screen_and_follows_the_view(
    open_bench: Any, place: Path
) -> None:
    noise_project.add_stage(place, "irnet", "irnet-1")
    for case_id in noise_project.case_ids(place):
        score = np.zeros((2, SIDE, SIDE), np.float32)
        score[:, : SIDE // 2] = 0.9
        maps = StageMaps(score, np.full(2, 0.9, np.float32))
        stages.write(place, "irnet", "irnet-1", case_id, maps)
    noise_project.adopt(place, "irnet", "irnet-1")
    bench = open_bench(place)
    looking = bench.session.looking
    # The second finding's label is not known on any film, so its gate is open.
    looking.set_finding("nodule")
    looking.set_view("cam")
    panel = bench.main_window.findChild(StagePanel)
    assert bench.look_here.layer is None, "not before it is wanted"
    panel.look.setChecked(True)
    layer = bench.look_here.layer
    assert layer.visible
    assert set(np.unique(layer.data)) == {0, MISSING}
    assert bench.viewer.layers.selection.active is bench.layers.active
    film = bench.layers.film
    np.testing.assert_allclose(layer.extent.world, film.extent.world, atol=3)
    looking.set_view("irnet")
    assert set(np.unique(layer.data)) == {0, TOO_MUCH}
    commands_of(bench.viewer).hide(True)
    assert not layer.visible
    commands_of(bench.viewer).hide(False)
    assert layer.visible
    looking.set_view("expert")
    assert not layer.visible
    looking.set_view("cam")
    panel.look.setChecked(False)
    assert not layer.visible


@pytest.mark.gui
def test_a_blank_arm_marks_nothing(open_bench: Any, place: Path, qtbot: Any) -> None:
    noise_project.add_stage(place, "irnet", "irnet-1")
    noise_project.adopt(place, "irnet", "irnet-1")
    bench = open_bench(place)
    bench.session.read_as("ann", arm="blank")
    qtbot.waitUntil(lambda: bench.session.case is not None)
    qtbot.waitUntil(lambda: not bench.session.turning)
    bench.look_here.want("contested", True)
    bench.session.looking.set_view("cam")
    assert bench.look_here.layer is None
