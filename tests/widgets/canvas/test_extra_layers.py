"""Seeds and boundaries can be seen: what IRNet learns from, and what it learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.stage_extras import BACKGROUND, FINDING, IGNORED
from napari_wsseg._widgets.review.stage_switcher import StagePanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.schema import IGNORE

pytestmark = pytest.mark.gui

#: Film 96 × 80 in a square of 32: 27 columns of film, 5 of margin.
SIDE = 32


@pytest.fixture
def bench(place: Path, open_bench: Callable[..., Workbench]) -> Workbench:
    seed = np.zeros((2, SIDE, SIDE), np.uint8)
    seed[0, :8], seed[0, 8:16] = 1, IGNORE
    boundary = np.zeros((1, SIDE, SIDE), np.float16)
    boundary[0, 16] = 1
    noise_project.add_stage(place, "crf", extra={"seed": seed})
    noise_project.add_stage(place, "irnet", "irnet-1", extra={"boundary": boundary})
    noise_project.adopt(place, "crf")
    noise_project.adopt(place, "irnet", "irnet-1")
    return open_bench(place)


def panel(bench: Workbench) -> StagePanel:
    return bench.main_window.findChild(StagePanel)


def test_the_seed_shows_finding_ignored_and_background(bench: Workbench) -> None:
    bench.session.looking.set_view("crf")
    seed = bench.extras.seed
    assert seed.visible
    assert not bench.layers.heats["crf"].visible, "three values instead of a shade"
    assert panel(bench).legend.isVisible()
    assert panel(bench).scale.captions() == ("", "", ""), "no bar of a heat beside it"
    colour, words = bench.session.looking.finding.colour, panel(bench).legend.text()
    assert colour in words
    assert "effusion" in words
    assert seed.data.shape[0] == SIDE
    assert seed.data.shape[1] < SIDE, "the letterbox's margins are not the film's"
    assert (seed.data[:8] == FINDING).all()
    assert (seed.data[8:16] == IGNORED).all()
    assert (seed.data[16:] == BACKGROUND).all()
    bench.session.looking.step_finding(1)
    assert (bench.extras.seed.data == BACKGROUND).all(), "each finding has its own"


def test_the_box_brings_the_heat_back(bench: Workbench) -> None:
    bench.session.looking.set_view("crf")
    box = panel(bench).extra
    assert box.isChecked()
    box.setChecked(False)
    assert not bench.extras.seed.visible
    assert bench.layers.heats["crf"].visible


def test_boundaries_are_shown_on_wish_and_with_their_stage_alone(
    bench: Workbench,
) -> None:
    looking = bench.session.looking
    looking.set_view("irnet")
    assert bench.extras.boundary is None, "not before they are wanted"
    panel(bench).extra.setChecked(True)
    assert bench.extras.boundary.visible
    assert bench.extras.boundary.data[16].min() == 1
    looking.set_view("cam")
    assert not bench.extras.boundary.visible
    assert not panel(bench).extra.isVisible()


def test_they_lie_on_the_film_and_follow_to_the_next(
    bench: Workbench, qtbot: Any
) -> None:
    bench.session.looking.set_view("crf")
    film, seed = bench.layers.film, bench.extras.seed
    np.testing.assert_allclose(seed.extent.world, film.extent.world, atol=3)
    first = bench.session.case.id
    bench.session.step(1)
    qtbot.waitUntil(lambda: bench.session.case.id != first, timeout=5000)
    assert bench.extras.seed.visible
    assert bench.extras.seed.data.any()
    layers = [layer for layer in bench.viewer.layers if "seed" in layer.name]
    assert len(layers) == 2, "the heat's and the seed's, never one more"


def test_tools_stay_with_the_expert_mask(bench: Workbench) -> None:
    looking = bench.session.looking
    for view in ("crf", "irnet"):
        looking.set_view(view)
        panel(bench).extra.setChecked(True)
        assert bench.viewer.layers.selection.active is bench.layers.active


def test_hiding_everything_hides_them_too(bench: Workbench) -> None:
    bench.session.looking.set_view("crf")
    commands_of(bench.viewer).hide(True)
    assert not bench.extras.seed.visible
    commands_of(bench.viewer).hide(False)
    assert bench.extras.seed.visible
