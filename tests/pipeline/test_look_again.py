"""Accepted masks that the last stage finds unlikely are the first to look at again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg.cli import main
from napari_wsseg.io import stages
from napari_wsseg.io.project import INDEX, Project
from napari_wsseg.ops import masks
from napari_wsseg.pipeline import look_again
from napari_wsseg.schema import StageMaps, StageSettings
from napari_wsseg.session.case_list import reading_order

#: The hot upper left quarter of the square, on films of 96 × 80 in it.
HOT = np.s_[:48, :40]


def _staged(tmp_path: Path, cases: int = 4) -> Path:
    place = noise_project.make_project(tmp_path, cases=cases)
    noise_project.add_stage(place)
    noise_project.adopt(place)
    cut = StageSettings(noise_project.FINDINGS, (0.5, 0.5), (0.5, 0.5))
    stages.write_settings(place, "cam", noise_project.RUN, cut)
    return place


def _as_drafted() -> np.ndarray:
    mask = np.zeros(noise_project.SHAPE, bool)
    mask[HOT] = True
    return mask


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Make four films: drawn as drafted, with a hole, elsewhere, and not accepted."""
    place = _staged(tmp_path)
    as_drafted = _as_drafted()
    holed = as_drafted.copy()
    holed[10:14, 10:14] = False
    elsewhere = as_drafted[::-1].copy()
    with Project.open(place, write=True) as project:
        ids = project.case_ids()
        drawn = (as_drafted, holed, elsewhere, elsewhere)
        for one, mask in zip(ids, drawn, strict=True):
            for finding in noise_project.FINDINGS:
                project.put_mask(one, finding, mask, reader="ann", tool="brush")
            verdict = "flag" if one == ids[3] else "accept"
            project.decide(one, verdict, reader="ann", seconds=3)
    return place


def test_quality_is_near_its_worst_pixels() -> None:
    mask = np.zeros((30, 30), bool)
    mask[:15] = True
    score = np.where(mask, 0.95, 0.05).astype(np.float32)
    assert look_again.quality_of(mask, score) == pytest.approx(0.95)
    wrong = score.copy()
    wrong[:3, :3] = 0.05
    assert look_again.quality_of(mask, wrong) < 0.2
    unsure = np.full_like(score, 0.6) * mask + 0.4 * ~mask
    assert look_again.quality_of(mask, wrong) < look_again.quality_of(mask, unsure)


def test_masks_come_the_least_likely_first_and_only_accepted_ones(place: Path) -> None:
    with Project.open(place) as project:
        ids = project.case_ids()
        found = look_again.accepted(project)
    assert {one.case for one in found} == set(ids[:3])
    nodules = [one for one in found if one.finding == "nodule"]
    assert [one.case for one in nodules] == [ids[2], ids[1], ids[0]]
    # A label that says no finds no draft on the film, and any mask of it unlikely.
    assert nodules[0].dice < 0.1 < 0.9 < nodules[1].dice < nodules[2].dice
    scores = reading_order.accepted_again(place, "cam", noise_project.RUN)
    assert max(scores, key=scores.__getitem__) == ids[2]
    assert set(scores) == set(ids[:3])


def test_the_command_says_the_rule_and_leaves_the_project_as_it_is(
    place: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    index = (place / INDEX).read_bytes()
    assert main(["next", "--again", "-p", str(place), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    qualities = [row["quality"] for row in answer["masks"]]
    assert qualities == sorted(qualities)
    assert answer["n"] == 6
    assert "no verdict" in answer["rule"]
    assert not answer["learned"]["used"]
    assert {row["expected_dice"] for row in answer["masks"]} == {None}
    assert main(["next", "--again", "-p", str(place), "-n", "1"]) == 0
    assert "film2" in capsys.readouterr().err
    assert main(["next", "--again", "-p", str(place), "--split", "test"]) == 0
    assert "no film was accepted" in capsys.readouterr().err
    assert (place / INDEX).read_bytes() == index


def test_the_dice_to_expect_is_what_a_fit_without_the_row_says() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(25, 4)) * (1, 10, 0.1, 1) + (0, 5, 0, 0)
    dices = 0.8 - 0.02 * features[:, 1] + rng.normal(0, 0.02, 25)
    expected, learned = look_again.expect(features, dices)
    rows = (features - features.mean(0)) / features.std(0)
    for left in (0, 7, 24):
        kept = np.arange(25) != left
        design = np.column_stack([np.ones(24), rows[kept]])
        ridge = np.diag([0.0, *[look_again.RIDGE] * 4])
        fit = np.linalg.solve(design.T @ design + ridge, design.T @ dices[kept])
        assert expected[left] == pytest.approx(fit[0] + rows[left] @ fit[1:])
    assert learned.pairs == 25
    assert learned.error < 0.05 < learned.plain_error
    assert learned.helps


def test_features_that_say_nothing_are_not_used() -> None:
    rng = np.random.default_rng(1)
    _, learned = look_again.expect(rng.normal(size=(40, 4)), rng.uniform(size=40))
    assert learned.error > look_again.BETTER * learned.plain_error
    assert not learned.helps
    for few in (0, 1, 2, 19):
        known = rng.normal(size=(few, 4))
        assert not look_again.expect(known, known[:, 0])[1].helps
    same, _ = look_again.expect(np.ones((5, 4)), np.full(5, 0.5))
    np.testing.assert_allclose(same, 0.5)


def test_a_sure_draft_that_was_changed_comes_first_once_enough_is_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unsure drafts are redrawn here, sure ones taken, but for one."""
    place = _staged(tmp_path, cases=24)
    drafted = _as_drafted()
    rng, side = np.random.default_rng(0), noise_project.SQUARE
    with Project.open(place, write=True) as project:
        ids = project.case_ids()
        for number, one in enumerate(ids):
            sure = number % 4 < 2
            score = np.zeros((2, side, side), np.float32)
            score[:, : side // 2, : side // 2] = 0.97 if sure else 0.6
            score += rng.uniform(0, 0.02, score.shape).astype(np.float32)
            maps = StageMaps(score=score, present=np.ones(2, np.float32), extra={})
            stages.write(place, "cam", noise_project.RUN, one, maps)
            mask = drafted.copy()
            if not sure or number == 12:
                mask[: 24 + number % 3] = False
            for name in noise_project.FINDINGS:
                project.put_mask(one, name, mask, reader="ann", tool="brush")
            project.decide(one, "accept", reader="ann", seconds=3)
        found, learned = look_again.look(project)
    assert learned.helps
    own = [one for one in found if one.finding == "nodule"]
    assert own[0].case == ids[12]
    assert main(["next", "--again", "-p", str(place), "--json", "-n", "60"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["learned"]["used"]
    assert answer["learned"]["pairs"] == learned.pairs
    assert answer["rule"] == look_again.LEARNED_RULE
    assert main(["next", "--again", "-p", str(place)]) == 0
    assert "each told by the others" in capsys.readouterr().err


def test_a_mask_on_a_coarser_grid_keeps_its_place() -> None:
    mask = np.zeros((100, 60), bool)
    mask[50:, 30:] = True
    small = masks.nearest(mask, (10, 6))
    assert small[5:, 3:].all()
    assert small.sum() == 15
