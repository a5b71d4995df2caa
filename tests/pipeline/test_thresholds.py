"""Default thresholds: fixed, each film's own, or tuned on validation masks."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline import thresholds
from napari_wsseg.schema import StageMaps

RUN = "classifier-20261121-000000-aaaa"
SIZE = 64


def header(**more: Any) -> dict[str, Any]:
    return {"findings": ["spot"], "thresholds": {"cam": 0.3}, **more}


@pytest.fixture
def scored(spots_project: Project) -> Project:
    """Give every film a map that meets its truth best at 0.6 on val.

    On train and test it does at 0.15, so that tuning on them would show.
    """
    for case in spots_project.cases():
        truth = spots_project.expert_masks(case.id).get("spot")
        mask = np.zeros(case.shape, bool) if truth is None else truth
        square = geometry.letterbox(mask.astype(np.float32), SIZE)
        low, high = (0.4, 0.8) if case.split == "val" else (0.0, 0.3)
        score = np.where(square > 0.5, high, low)[None].astype(np.float32)
        present = 0.9 if case.labels["spot"] == 1 else 0.2
        for stage in ("cam", "cam~layer-cam@4", "crf", "segmentation"):
            maps = StageMaps(score, np.array([present], np.float32))
            stages.write(spots_project.folder, stage, RUN, case.id, maps)
    return spots_project


def test_a_cut_is_fixed_and_plain_unless_the_run_says_otherwise(
    scored: Project,
) -> None:
    found = thresholds.defaults(scored, "cam", RUN, header())
    assert found.thresholds == (0.3,)
    assert (found.rule, found.min_area, found.fill_holes) == ("threshold", 0.0, False)
    assert 0.2 < found.gates[0] <= 0.9


@pytest.mark.parametrize("stage", ["cam", "cam~layer-cam@4"])
def test_a_tuned_cut_is_where_validation_masks_are_met_best(
    scored: Project, stage: str
) -> None:
    found = thresholds.defaults(scored, stage, RUN, header(cut="tuned"))
    assert found.thresholds[0] == pytest.approx(0.6)


def test_tuning_never_looks_at_other_films_than_those_of_val(
    scored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: set[str] = set()
    masks = scored.expert_masks

    def watched(case_id: str) -> Any:
        looked.add(scored.case(case_id).split)
        return masks(case_id)

    monkeypatch.setattr(scored, "expert_masks", watched)
    thresholds.defaults(scored, "cam", RUN, header())
    assert looked == set()
    thresholds.defaults(scored, "cam", RUN, header(cut="otsu"))
    assert looked == set()
    thresholds.defaults(scored, "cam", RUN, header(cut="tuned"))
    assert looked == {"val"}


def test_tuning_without_masks_keeps_the_fixed_cut_and_says_so(
    scored: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scored, "annotated", lambda split: {})
    with caplog.at_level(logging.WARNING):
        found = thresholds.defaults(scored, "cam", RUN, header(cut="tuned"))
    assert found.thresholds == (0.3,)
    assert "spot: no validation film" in caplog.text


def test_a_runs_rule_and_tidying_are_those_of_its_header(scored: Project) -> None:
    how = {"rule": "triplet", "top": 0.8, "min_area": 0.01, "fill_holes": True}
    found = thresholds.defaults(scored, "cam", RUN, header(mask=how))
    assert {key: getattr(found, key) for key in how} == how
    assert thresholds.defaults(scored, "crf", RUN, header(mask=how)).rule == "threshold"


def test_tuning_cuts_by_the_runs_own_rule(scored: Project) -> None:
    # No core is this large, so every threshold leaves every film empty alike.
    how = {"rule": "triplet", "top": 0.8, "min_area": 0.9}
    found = thresholds.defaults(scored, "cam", RUN, header(cut="tuned", mask=how))
    assert found.thresholds == (thresholds.GRID[0],)


def test_otsu_is_a_rule_of_the_maps_alone(scored: Project) -> None:
    assert thresholds.defaults(scored, "cam", RUN, header(cut="otsu")).rule == "otsu"
    crf = thresholds.defaults(scored, "crf", RUN, header(cut="otsu"))
    assert (crf.rule, crf.thresholds) == ("threshold", (0.5,))


def test_a_segmenter_of_expert_masks_is_tuned_as_before(scored: Project) -> None:
    told = header(tune_on_expert_masks=True)
    found = thresholds.defaults(scored, "segmentation", RUN, told)
    assert found.thresholds[0] == pytest.approx(0.6)
