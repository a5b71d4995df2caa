"""Pick, do not draw: by key, by number, by pointer."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import noise_project
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.workbench import commands_of

pytestmark = pytest.mark.gui


@pytest.fixture
def bench(open_bench: Any, place: Any) -> Workbench:
    noise_project.add_stage(place, "irnet", value=0.4)
    noise_project.adopt(place, "irnet")
    return open_bench(place)


def test_the_strip_outlines_at_a_pointer_takes_by_number_and_goes(
    bench: Workbench, qtbot: Any
) -> None:
    commands = commands_of(bench.viewer)
    commands.pick()
    qtbot.waitUntil(lambda: commands.strip is not None and commands.strip.isVisible())
    strip = commands.strip
    assert strip.width() <= strip.parentWidget().width()
    count = len(bench.viewer.layers)
    strip.point_at(1)
    assert len(bench.viewer.layers) == count + 1
    assert strip.outline.data.any()
    strip.point_at(0)
    assert len(bench.viewer.layers) == count
    wanted = strip.found[0][0]
    QTest.keyClick(strip, Qt.Key.Key_1)
    assert not strip.isVisible()
    shape = bench.session.case.shape
    drawn = bench.session.experts.masks["effusion"]
    assert (drawn == wanted.draw(shape)).all()
    assert drawn.any()
    assert bench.session.starts["effusion"].name == wanted.name
    bench.layers.experts["effusion"].undo()
    assert not bench.session.experts.masks["effusion"].any()


def test_one_key_takes_the_best_draft_that_draws_anything(bench: Workbench) -> None:
    # IRNet, the later stage, stays under its threshold of 0.5 here: the CAM is next.
    commands_of(bench.viewer).actions()["Shift-B"]()
    assert bench.session.experts.masks["effusion"].any()
    assert bench.session.starts["effusion"].name == "cam"
