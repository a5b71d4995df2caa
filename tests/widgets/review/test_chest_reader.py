"""What a chest reader reaches for: ratios, Dice beside a stage, what a run is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import RUN, SHAPE
from helpers.window_input import part
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tools import ruler
from napari_wsseg._widgets.overlays import cover
from napari_wsseg._widgets.review import run_quality
from napari_wsseg._widgets.review.grey_window import TonePanel
from napari_wsseg._widgets.review.legend import Legend
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.review.stage_switcher import StagePanel
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import settings
from napari_wsseg.schema import PALETTE, Finding
from napari_wsseg.session import Session


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (((0.0, 0.0), (0.0, 20.0)), "ratio 0.50 · 0°"),
        (((5.0, 5.0), (15.0, 5.0)), "ratio 1.00 · 90°"),
        (((0.0, 0.0), (10.0, -10.0)), "ratio 0.71 · 45°"),
        (((3.0, 3.0), (3.0, 3.0)), "a point"),
    ],
)
def test_two_lines_tell_the_cardiothoracic_ratio_and_an_angle(
    second: ruler.Line, message: str
) -> None:
    assert ruler.compared(((0.0, 0.0), (0.0, 10.0)), second) == message


@pytest.mark.gui
def test_a_second_line_is_laid_against_the_first_and_a_third_begins_anew(
    bench: Workbench,
) -> None:
    bench.take_ruler()
    messages = []
    for across in (20.0, 40.0, 20.0):
        event = SimpleNamespace(type="mouse_press", position=(30.0, 10.0))
        hand = bench.ruler._dragged(bench.viewer, event)
        next(hand)
        event.type, event.position = "mouse_move", (30.0, 10.0 + across)
        next(hand)
        event.type = "mouse_release"
        assert next(hand, None) is None
        messages.append(bench.ruler.text)
    assert "ratio" not in messages[0]
    assert messages[1] == "40 px · ratio 0.50 · 0°"
    assert "ratio" not in messages[2]
    layer = next(one for one in bench.viewer.layers if one.name == "Ruler")
    assert any(np.allclose(colour[:3], 0) for colour in layer.edge_color)


def evaluated(place: Path, **scores: float | None) -> str:
    folder = runs.RunFolder(place / "runs" / RUN)
    folder.path.mkdir(parents=True, exist_ok=True)
    result = {"n_with_expert_masks": 92, "stages": {"cam": scores}}
    folder.keep_evaluation("test", result)
    return run_quality.quality_text(place, "cam", RUN)


def test_what_is_known_of_a_run_is_told_in_a_line(tmp_path: Path) -> None:
    place = noise_project.make_project(tmp_path)
    assert run_quality.quality_text(place, "cam", RUN) == run_quality.UNMEASURED
    line = evaluated(place, pos_iou=0.44, emptiness=0.75)
    assert line == "IoU 0.44 on 92 test films; one in 4 empty films gets a mask"
    line = evaluated(place, pos_iou=0.44, emptiness=1.0)
    assert line.endswith("none of the empty films gets a mask")
    line = evaluated(place, pos_iou=0.44, emptiness=0.41)
    assert line.endswith("; 59% of empty films get a mask")
    assert evaluated(place, pos_iou=0.5, emptiness=None) == "IoU 0.50 on 92 test films"
    assert run_quality.quality_text(place, "irnet", RUN) == run_quality.UNMEASURED
    assert run_quality.quality_text(place, "cam", "../x") == run_quality.UNMEASURED


@pytest.mark.gui
def test_beside_a_draft_stands_what_is_known_of_its_run(
    bench: Workbench, place: Path
) -> None:
    panel = part(bench, StagePanel)
    bench.session.looking.set_view("cam")
    assert panel.quality.text() == run_quality.UNMEASURED
    evaluated(place, pos_iou=0.44, emptiness=0.75)
    bench.session.looking.view_changed.emit()
    assert "0.44 on 92 test films" in panel.quality.text()
    bench.session.looking.set_view("expert")
    assert not panel.quality.isVisible()


def test_side_by_side_tells_each_stage_s_dice_with_the_expert(tmp_path: Path) -> None:
    place = noise_project.make_project(tmp_path)
    noise_project.add_stage(place)
    noise_project.adopt(place)
    session = Session(reader="ann")
    session.open_project(place)
    assert cover.stage_dices(session)() == {}, "nobody has drawn it"
    draft = session.draft("cam", session.looking.finding.name, SHAPE)
    session.edit(session.looking.finding.name, draft)
    assert cover.stage_dices(session)() == {"cam": 1.0}
    plain = cover.stage_pictures(session)()["cam"]
    assert (plain == 255).all(-1).any(), "the expert's outline is white"
    session.looking.drafts.set_threshold("cam", session.looking.finding.name, 1.0)
    session.edit(session.looking.finding.name, np.zeros(SHAPE, bool))
    assert cover.stage_dices(session)() == {"cam": None}, "both are empty: no figure"
    session.close()


@pytest.mark.gui
def test_the_gallery_s_titles_carry_the_dice(bench: Workbench, qtbot: Any) -> None:
    name = bench.session.looking.finding.name
    draft = bench.session.draft("cam", name, SHAPE)
    bench.autosave.apply(name, draft, "brush")
    commands_of(bench.viewer).toggle_gallery()
    bench.drawing.drain()
    gallery = commands_of(bench.viewer).gallery
    qtbot.waitUntil(lambda: "Dice 1.00" in gallery.titles["cam"].text(), timeout=5000)
    assert "Dice" not in gallery.titles["film"].text()


@pytest.mark.gui
def test_a_seed_of_three_values_has_no_heat_bar(bench: Workbench, place: Path) -> None:
    noise_project.add_stage(place, "crf", value=1.0)
    bench.session.adopt("crf", RUN)
    bench.loading.drain()
    legend = part(bench, Legend)
    bench.session.looking.set_view("crf")
    assert legend.captions() == ("background", "undecided", "finding")
    bench.session.looking.set_view("cam")
    assert legend.captions()[0] == "0"


@pytest.mark.gui
def test_level_and_width_are_in_the_film_s_own_greys(bench: Workbench) -> None:
    panel = part(bench, TonePanel)
    bench.session.tone.set(bench.session.case.id, 0.0, 1.0)
    assert panel.width_value.text() == "255"


@pytest.mark.gui
def test_the_ratio_follows_what_is_drawn_and_says_whose_masks_it_is_of(
    open_bench: Any, tmp_path: Path
) -> None:
    place = noise_project.make_project(tmp_path)
    with Project.open(place, write=True) as project:
        names = ("heart", "left_lung", "right_lung")
        findings = [Finding(n, c) for n, c in zip(names, PALETTE, strict=False)]
        settings.write(place, replace(project.settings, findings=tuple(findings)))
    bench = open_bench(place)
    facts = part(bench, Review).header.facts
    assert "cardiothoracic" not in facts.text()
    for name, columns in (
        ("right_lung", (5, 25)),
        ("left_lung", (50, 75)),
        ("heart", (25, 60)),
    ):
        mask = np.zeros(SHAPE, bool)
        mask[30:40, slice(*columns)] = True
        bench.autosave.apply(name, mask, "brush")
    assert "cardiothoracic ratio 0.50 (drawn)" in facts.text()
