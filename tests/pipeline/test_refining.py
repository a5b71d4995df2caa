"""CRFs behind a stage, and one CRF for findings that exclude each other."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from helpers.small_project import CASE, SHAPE, new_project
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.ops import crf
from napari_wsseg.pipeline import evaluate, label_conditioned_masks, stage_masks
from napari_wsseg.pipeline.evaluation import counts
from napari_wsseg.pipeline.inference import refining, thresholds
from napari_wsseg.pipeline.inference.work import Work
from napari_wsseg.schema import IGNORE, Case, Split, StageMaps, StageSettings
from napari_wsseg.session.drafts import Drafts

SIDE = 48
BOTH = np.array([0.9, 0.9], np.float32)


class _Films:
    """One film whose left half is dark."""

    size = SIDE

    def take(self, ids: list[str]) -> np.ndarray:
        film = np.full((SIDE, SIDE), 40, np.uint8)
        film[:, SIDE // 2 :] = 210
        return np.stack([film for _ in ids])


def work(**header: Any) -> Work:
    known = {"findings": ["a", "b"], **header}
    return Work(cast(Any, None), "run", cast(Any, None), known, cast(Any, _Films()))


def case(split: Split = "test", **labels: int | None) -> Case:
    return Case("0" * 16, "film.png", (SIDE, SIDE), None, split, labels)


def heat_from(*columns: int) -> np.ndarray:
    """Return maps (K, S, S) that are high right of a column each, softly."""
    places = np.arange(SIDE)
    rows = [1 / (1 + np.exp(-(places - at) / 3)) for at in columns]
    return np.stack([np.tile(row.astype(np.float32), (SIDE, 1)) for row in rows])


@pytest.mark.parametrize("cut", [0.5, None])
def test_a_crf_behind_a_stage_draws_its_masks_to_the_films_edges(
    cut: float | None,
) -> None:
    heat = heat_from(22, 26)
    found = refining.behind(work(post={"crf": True, "cut": cut}), case(), heat, BOTH)
    edge = SIDE // 4  # of the film, on a map of half its side
    for one in found:
        assert (one[:, edge:] >= 0.5).mean() > 0.97
        assert (one[:, :edge] < 0.5).mean() > 0.97
    assert (heat[0, :, SIDE // 2 - 2] >= 0.5).all()
    assert (heat[1, :, SIDE // 2 + 1] < 0.5).all()


def test_without_it_maps_stay_as_they_are_and_no_heat_stays_none() -> None:
    heat = heat_from(19, 28)
    assert refining.behind(work(), case(), heat, BOTH) is heat
    heat[1] = 0
    found = refining.behind(work(post={"crf": True}), case(), heat, BOTH)
    assert found[0].any()
    assert not found[1].any()


def test_the_least_region_behind_a_stage_is_its_own_and_not_the_maps(
    spots_project: Project,
) -> None:
    header = {
        "findings": ["spot"],
        "mask": {"rule": "triplet", "min_area": 0.3},
        "post": {"crf": False, "min_area": 0.01},
    }
    run = "irnet-20261121-000000-aaaa"
    assert thresholds.defaults(spots_project, "irnet", run, header).min_area == 0.01
    found = thresholds.defaults(spots_project, "irnet", run, header)
    assert found.rule == "threshold"
    assert thresholds.defaults(spots_project, "cam", run, header).min_area == 0.3


def test_one_crf_for_all_is_the_full_sum_of_background_and_contenders() -> None:
    heat, image = heat_from(30, 8, 15), _Films().take([""])[0] / np.float32(255)
    params = crf.CrfParams(iterations=5)
    found = refining.among(heat, image, [0, 2], cut=0.3, params=params)
    first = np.concatenate([np.full_like(heat[:1], 0.3), heat[[0, 2]]]).argmax(0)
    start = np.where(first == np.arange(3)[:, None, None], 0.7, 0.15)
    exact = crf.dense_crf(
        start.astype(np.float32), image, params=params, backend="exact"
    )
    assert not found[1].any()
    assert np.abs(found[[0, 2]] - exact[1:]).max() < 0.02


def test_of_exclusive_seeds_no_pixel_is_two_findings_and_background_is_shared() -> None:
    heat, image = heat_from(30, 12), _Films().take([""])[0] / np.float32(255)
    heat[1] -= 0.4
    _, seed = refining.exclusive_seeds(
        heat.clip(0, 1), image, [0, 1], cuts=(0.3, 0.05), params=crf.DEFAULTS
    )
    assert not ((seed[0] == 1) & (seed[1] == 1)).any()
    np.testing.assert_array_equal(seed[0] == 0, seed[1] == 0)
    other = (seed == 1).any(0)
    assert set(np.unique(seed[:, other])) == {1, IGNORE}


@pytest.mark.parametrize(
    ("split", "labels", "expected"),
    [
        ("train", {"a": 0, "b": 1}, [1]),
        ("train", {"a": None, "b": 0}, [0]),
        ("train", {"a": 0, "b": 0}, []),
        ("test", {"a": 0, "b": 1}, [0]),  # a test film's label is not looked at
        ("val", {"a": 0, "b": 1}, [0]),
    ],
)
def test_labels_say_which_findings_contend_on_training_films_alone(
    split: Split, labels: dict[str, int | None], expected: list[int]
) -> None:
    present = np.array([0.8, 0.3], np.float32)
    assert refining.contenders(work(), case(split, **labels), present) == expected


def test_walked_heat_of_exclusive_findings_is_divided_by_the_peak_of_all() -> None:
    walked = np.zeros((2, 4, 4), np.float32)
    walked[0, 0, 0], walked[1, 1, 1] = 4, 1
    found = refining.relative(work(exclusive=True), case(), walked, BOTH)
    assert (found[0].max(), found[1].max()) == (1, 0.25)
    only = np.array([0.1, 0.9], np.float32)  # only b is there
    found = refining.relative(work(exclusive=True), case(), walked, only)
    assert found[1].max() == 1
    found = refining.relative(work(), case(), walked, BOTH)
    assert (found[0].max(), found[1].max()) == (1, 1)


def settings(**more: Any) -> StageSettings:
    plain = StageSettings(("nodule", "effusion"), (0.25, 0.25), (0.5, 0.5))
    return StageSettings(
        plain.findings, plain.thresholds, plain.gates, **{"exclusive": True, **more}
    )


def overlapping() -> np.ndarray:
    score = np.zeros((2, 40, 40), np.float32)
    score[0, 10:30, 10:25], score[1, 10:30, 15:30] = 0.5, 0.8
    return score


def test_a_pixel_belongs_to_the_highest_map_whose_gate_is_open() -> None:
    maps = StageMaps(overlapping(), BOTH)
    both = stage_masks(maps, settings(), (40, 40))
    expected = overlapping()
    # argmax of a background of 0.25 and the maps, as the published code has it
    first = np.concatenate([np.full((1, 40, 40), 0.25), expected]).argmax(0)
    np.testing.assert_array_equal(both, [first == 1, first == 2])
    shut = StageMaps(overlapping(), np.array([0.9, 0.1], np.float32))
    alone = stage_masks(shut, settings(), (40, 40))
    np.testing.assert_array_equal(alone[0], overlapping()[0] >= 0.25)
    assert not alone[1].any()
    labelled = label_conditioned_masks(maps, settings(), (40, 40), [1, 0])
    np.testing.assert_array_equal(labelled[0], overlapping()[0] >= 0.25)
    free = stage_masks(maps, settings(exclusive=False), (40, 40))
    assert (free[0] & free[1]).any()


def test_that_is_kept_on_disk_drafted_and_scored(tmp_path: Any) -> None:
    with new_project(tmp_path) as project:
        run = "irnet-20261121-000000-aaaa"
        gates = np.array([0.9, 0.1], np.float32)
        stages.write(
            project.folder, "irnet", run, CASE, StageMaps(overlapping(), gates)
        )
        stages.write_settings(project.folder, "irnet", run, settings())
        assert stages.read_settings(project.folder, "irnet", run) == settings()
        drafts = Drafts(("nodule", "effusion"), {"irnet": settings()})
        for finding, number in (("nodule", 0), ("effusion", 1)):
            draft = drafts.draft(
                StageMaps(overlapping(), BOTH), "irnet", finding, SHAPE, {}
            )
            both = stage_masks(StageMaps(overlapping(), BOTH), settings(), SHAPE)
            np.testing.assert_array_equal(draft, both[number])
        truth = stage_masks(StageMaps(overlapping(), gates), settings(), SHAPE)[0]
        project.put_mask(CASE, "nodule", truth, reader="r")
        project.decide(CASE, "accept", reader="r")
        found = finish(counts.count(project, {"irnet": run}, project.cases()))
    # The effusion's gate is shut, so that it takes nothing from the nodule.
    assert found.gated["irnet"].metrics()["pos_iou"] == 1
    assert found.open_gates["irnet"].metrics()["pos_iou"] < 1
    assert evaluate._with_background(found, "irnet") == 1


def test_the_background_is_a_class_where_findings_exclude_each_other(
    tmp_path: Any,
) -> None:
    run = "irnet-20261121-000000-aaaa"
    with new_project(tmp_path) as project:
        maps = StageMaps(overlapping(), BOTH)
        stages.write(project.folder, "irnet", run, CASE, maps)
        truth = np.zeros((2, *SHAPE), bool)
        truth[0, 10:30, 10:20], truth[1, 10:30, 20:30] = True, True
        for finding, mask in zip(("nodule", "effusion"), truth, strict=True):
            project.put_mask(CASE, finding, mask, reader="r")
        project.decide(CASE, "accept", reader="r")
        for exclusive in (True, False):
            stages.write_settings(
                project.folder, "irnet", run, settings(exclusive=exclusive)
            )
            found = finish(counts.count(project, {"irnet": run}, project.cases()))
            score = evaluate._with_background(found, "irnet")
            if not exclusive:
                assert score is None
                continue
            classes = np.zeros(SHAPE, int)
            for number, mask in enumerate(stage_masks(maps, settings(), SHAPE), 1):
                classes[mask] = number
            real = truth[0] + 2 * truth[1].astype(int)
            expected = [
                ((classes == k) & (real == k)).sum()
                / ((classes == k) | (real == k)).sum()
                for k in range(3)
            ]
            assert score == pytest.approx(np.mean(expected))
