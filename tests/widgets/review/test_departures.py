"""What is shown otherwise than the runs in use have it is named, and set back."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import noise_project
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.panel import Review

pytestmark = pytest.mark.gui


def test_every_departure_is_named_holds_on_the_next_film_and_goes_by_one_click(
    bench: Workbench, qtbot: Any
) -> None:
    review = bench.main_window.findChild(Review)
    line, looking = review.departures, bench.session.looking
    assert not line.isVisible()
    changes = {
        "overlay 30%, not 50%": lambda: looking.set_blend(0.3),
        "CAM of nodule cut at 0.31, not 0.50": lambda: looking.set_threshold(
            "cam", "nodule", 0.31
        ),
        "compared with": lambda: looking.set_view("cam", compared="expert"),
        "outlines drawn to edges": lambda: looking.set_snap(True),
        "effusion alone": lambda: looking.set_alone(True),
        "expert masks as outlines": lambda: looking.set_drawing("outlined"),
        "nodule hidden": lambda: looking.put(["nodule"], away=True),
    }
    for change in changes.values():
        change()
    first = bench.session.case.id
    bench.session.step(1)
    qtbot.waitUntil(lambda: bench.session.case.id != first)
    qtbot.waitUntil(lambda: not bench.turn.going_on)
    assert line.isVisible()
    assert all(text in line.toolTip() for text in changes), line.toolTip()
    QTest.mouseClick(line.button, Qt.MouseButton.LeftButton)
    assert not line.isVisible()
    assert looking.departures() == ()
    assert looking.drafts.threshold("cam", "nodule") == 0.5
    assert review.findings.alone.isChecked() is False
    assert review.stages.blend.value() == 50


def test_an_overlay_that_was_moved_is_marked_beside_its_slider(
    bench: Workbench,
) -> None:
    stages = bench.main_window.findChild(Review).stages
    bench.session.looking.set_view("cam")
    assert not stages.blend_reset.isVisible()
    stages.blend.setValue(20)
    assert stages.blend_reset.isVisible()
    QTest.mouseClick(stages.blend_reset, Qt.MouseButton.LeftButton)
    assert bench.session.looking.blend == 0.5
    assert not stages.blend_reset.isVisible()


def test_accept_on_a_film_with_a_mask_is_shown_as_kept_and_what_it_will_do_is_told(
    bench: Workbench, qtbot: Any
) -> None:
    table = bench.main_window.findChild(Review).findings
    cell = table.table.item(table.row_of["nodule"], 1)
    bench.session.looking.set_view("cam")
    assert "A makes this outline the expert mask" in cell.toolTip()
    bench.session.edit("nodule", noise_project.blob())
    assert "A keeps this mask and takes no outline for it" in cell.toolTip()
    assert bench.session.decide("accept")
    qtbot.waitUntil(lambda: cell.text().startswith("✓"))
    assert "kept: " in cell.toolTip()
    other = table.table.item(table.row_of["effusion"], 1)
    assert "A draft's outline, accepted as it was" in other.toolTip()
