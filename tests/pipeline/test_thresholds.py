"""Default thresholds: fixed, each film's own, or tuned on validation masks."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline import label_conditioned_masks, stage_masks
from napari_wsseg.pipeline.evaluation import cuts
from napari_wsseg.pipeline.inference import thresholds, truth_free
from napari_wsseg.pipeline.inference import tuning as _tuning
from napari_wsseg.schema import Case, Mask, StageMaps, StageSettings

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
    assert found.thresholds == (_tuning.GRID[0],)


def test_otsu_is_a_rule_of_the_maps_alone(scored: Project) -> None:
    assert thresholds.defaults(scored, "cam", RUN, header(cut="otsu")).rule == "otsu"
    crf = thresholds.defaults(scored, "crf", RUN, header(cut="otsu"))
    assert (crf.rule, crf.thresholds) == ("threshold", (0.5,))


def test_a_segmenter_of_expert_masks_is_tuned_as_before(scored: Project) -> None:
    tuned = header(tune_on_expert_masks=True)
    found = thresholds.defaults(scored, "segmentation", RUN, tuned)
    assert found.thresholds[0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("rows", "gate"),
    [
        # Opening a film of the finding gains its Dice, one without it costs 1.
        ([(0.9, 0.8, 0), (0.6, 0, 1), (0.4, 0.7, 0), (0.2, 0, 1)], 0.75),
        ([(0.9, 0.8, 0), (0.6, 0, 1), (0.5, 0.7, 0), (0.4, 0.7, 0), (0.2, 0, 1)], 0.3),
        # A mask that is empty anyway costs nothing, so the gate need not shut it.
        ([(0.9, 0.8, 0), (0.6, 1, 1), (0.4, 0.7, 0), (0.2, 0, 1)], 0.3),
        # Where every film opened costs more than it gains, none is.
        ([(0.9, 0, 1), (0.8, 0.5, 0), (0.7, 0, 1), (0.2, 0.1, 0)], 1.0),
        # Films of one kind alone say nothing.
        ([(0.9, 0.8, 0), (0.4, 0.7, 0)], 0.44),
        ([], 0.44),
    ],
)
def test_a_tuned_gate_weighs_masks_lost_against_masks_that_should_be_empty(
    rows: list[tuple[float, float, float]], gate: float
) -> None:
    assert _tuning.best_gate(rows, 0.44) == pytest.approx(gate)


def test_the_gate_of_a_segmenter_of_expert_masks_is_tuned_on_val_alone(
    scored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: set[str] = set()
    read = stages.read

    def watched(folder: Any, stage: str, run: str, case_id: str) -> Any:
        looked.add(scored.case(case_id).split)
        return read(folder, stage, run, case_id)

    monkeypatch.setattr(stages, "read", watched)
    tuned = header(tune_on_expert_masks=True)
    found = thresholds.defaults(scored, "segmentation", RUN, tuned)
    assert found.gates[0] == pytest.approx((0.9 + 0.2) / 2)
    assert looked == {"val"}


def test_a_segmenter_of_weak_masks_is_cut_as_large_as_those_are(
    scored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = {"stage": "irnet", "run": "irnet-20261121-000000-bbbb"}
    score = np.zeros((1, SIZE, SIZE), np.float32)
    score[0, 20:40, 20:40] = 1
    drawn = np.full((1, SIZE, SIZE), 0.2, np.float32)
    drawn[0, 10:50, 10:50] = 0.6
    drawn[0, 20:40, 20:40] = 0.9
    for case in scored.cases():
        present = np.array([0.9], np.float32)
        stages.write(scored.folder, *weak.values(), case.id, StageMaps(score, present))
        stages.write(
            scored.folder, "segmentation", RUN, case.id, StageMaps(drawn, present)
        )
    settings = thresholds.defaults(scored, "irnet", weak["run"], header())
    stages.write_settings(scored.folder, *weak.values(), settings)
    monkeypatch.delattr(Project, "expert_masks")
    found = thresholds.defaults(scored, "segmentation", RUN, header(weak=weak))
    assert 0.6 < found.thresholds[0] < 0.9
    assert found.gates == settings.gates


def test_a_segmenter_of_weak_masks_that_are_gone_is_cut_at_one_half(
    scored: Project,
) -> None:
    weak = {"stage": "irnet", "run": "irnet-20261121-000000-cccc"}
    found = thresholds.defaults(scored, "segmentation", RUN, header(weak=weak))
    assert found.thresholds == (0.5,)


@pytest.fixture
def discs(spots_project: Project) -> Project:
    """Give training films cones on their discs, and views that agree up to 0.5.

    A cone of height 1 whose cut at 0.4 has a known area; above 0.5 each view has more
    of its own, elsewhere.
    """
    yy, xx = np.mgrid[:SIZE, :SIZE]
    for number, case in enumerate(spots_project.cases()):
        away = np.hypot(yy - 32, xx - 30)
        cone = (1 - away / 25).clip(0, 1)
        # Below one half the views differ by chance, at it they are the same disc.
        noise = np.random.default_rng(number).uniform(0, 0.45, (2, SIZE, SIZE))
        views = np.where(away < 10, 0.55, noise)[:, None].astype(np.float16)
        stages.write(
            spots_project.folder,
            "cam",
            RUN,
            case.id,
            StageMaps(cone[None].astype(np.float32), np.ones(1), {"views": views}),
        )
    return spots_project


def test_a_threshold_by_area_gives_masks_of_that_area_without_any_truth(
    discs: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discs, "expert_masks", None)
    shape = discs.cases()[0].shape
    square = max(shape) ** 2 / (shape[0] * shape[1])  # the map is of the square
    wanted = np.pi * (25 * 0.6) ** 2 / SIZE**2 * square
    for areas in ({"spot": wanted}, {"": wanted}):
        found = thresholds.defaults(discs, "cam", RUN, header(cut="area", areas=areas))
        assert found.thresholds[0] == pytest.approx(0.4, abs=0.03)
    other = header(cut="area", areas={"another": 0.2})
    assert thresholds.defaults(discs, "cam", RUN, other).thresholds == (0.3,)


def test_a_threshold_by_agreement_is_where_two_views_show_the_same(
    discs: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discs, "expert_masks", None)
    found = thresholds.defaults(discs, "cam", RUN, header(cut="agreement"))
    assert 0.44 <= found.thresholds[0] <= 0.54


def test_masks_of_everything_or_nothing_agree_by_chance_alone() -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one, other = rng.random((2, 400)) < 0.3
    other |= one & (rng.random(400) < 0.5)
    rows = [truth_free._counts(one, other), (400, 400, 400, 400), (0, 0, 0, 400)]
    found = truth_free._kappa(np.array(rows, np.float64))
    assert found[0] == pytest.approx(cohen_kappa_score(one, other))
    assert found[1:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("present", "exact", "gate"),
    [
        # A classifier that tells the finding: where it parts the films best.
        ((0.9, 0.8, 0.3, 0.2), False, 0.55),
        # One that does not, and opens for more films without than it is worth.
        ((0.5, 0.4, 0.9, 0.8), False, _tuning.SHUT),
        # The map of who learnt to leave films empty decides by itself.
        ((0.5, 0.4, 0.9, 0.8), True, 0.0),
        # One film in four told wrongly: open for the one that is surely worth it.
        ((0.9, 0.2, 0.8, 0.1), False, 0.85),
    ],
)
def test_a_gate_that_is_hardly_better_than_chance_stays_shut(
    present: tuple[float, ...], exact: bool, gate: float
) -> None:
    rows = list(zip(present, (1, 1, 0, 0), strict=True))
    assert thresholds._gate(rows, exact=exact) == pytest.approx(gate)


def test_a_shut_gate_is_told_and_leaves_drafts_empty(
    scored: Project, caplog: pytest.LogCaptureFixture
) -> None:
    for case in scored.cases("val"):
        maps = stages.read(scored.folder, "cam", RUN, case.id)
        assert maps is not None
        wrong = np.array([0.2 if case.labels["spot"] == 1 else 0.9], np.float32)
        stages.write(scored.folder, "cam", RUN, case.id, StageMaps(maps.score, wrong))
    with caplog.at_level(logging.WARNING):
        found = thresholds.defaults(scored, "cam", RUN, header())
    assert "spot: the classifier tells it too badly" in caplog.text
    for case in scored.cases("val"):
        maps = stages.read(scored.folder, "cam", RUN, case.id)
        assert maps is not None
        assert not stage_masks(maps, found, case.shape).any()
        shown = label_conditioned_masks(maps, found, case.shape, [1])
        assert shown.any() == (maps.score >= found.thresholds[0]).any()


def test_an_organ_is_cut_where_it_meets_the_anatomy_stages(
    scored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(project: Project, case: Case, **_how: Any) -> dict[str, Mask]:
        return {"heart": project.expert_masks(case.id)["spot"]}

    monkeypatch.setattr(_tuning, "structures_of", lambda _project: {"spot": ("heart",)})
    monkeypatch.setattr(_tuning.anatomy, "masks", drawn)
    for stage, cut in (("cam", 0.6), ("crf", 0.6), ("segmentation", 0.5)):
        found = thresholds.defaults(scored, stage, RUN, header(organ_cut=True))
        assert found.thresholds[0] == pytest.approx(cut)
    assert thresholds.defaults(scored, "cam", RUN, header()).thresholds == (0.3,)
    monkeypatch.setattr(_tuning.anatomy, "masks", lambda *_, **__: {})
    unseen = thresholds.defaults(scored, "cam", RUN, header(organ_cut=True))
    assert unseen.thresholds == (0.3,)


def test_a_finding_learnt_by_exact_masks_is_cut_as_low_as_leaves_films_without_empty(
    scored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = [case for case in scored.cases("val") if case.labels["spot"] == 0]
    monkeypatch.setattr(_tuning, "_LEAST", len(without))
    assert without
    for case in scored.cases():
        maps = stages.read(scored.folder, "segmentation", RUN, case.id)
        assert maps is not None
        # On other films than those, also without the finding, the map is all sure.
        score = np.full_like(maps.score, 0.32 if case in without else 0.9)
        stages.write(
            scored.folder, "segmentation", RUN, case.id, StageMaps(score, maps.present)
        )
    exact = header(exact=["spot"])
    # The gate keeps films without it empty at any cut, until it is open.
    assert thresholds.defaults(scored, "segmentation", RUN, exact).thresholds == (0.1,)
    settings = StageSettings(("spot",), (0.5,), (0.0,))
    how = (scored, "segmentation", RUN, settings)
    assert _tuning.thresholds_of_exact(*how, ["spot"]).thresholds == (0.35,)
    assert _tuning.thresholds_of_exact(*how, []).thresholds == (0.5,)


@pytest.mark.parametrize(
    ("films", "cut"),
    [
        ([[False] * 3 + [True] * 14] * 4, 0.25),
        ([[True] * 17] * 3, 0.5),  # too few films
        # One film of many may be drawn on; where no cut leaves enough empty, the first
        # of those that leave most.
        ([[True] * 17] * 19 + [[False] * 17], 0.1),
        ([[False] * 5 + [True] * 12] * 3 + [[False] * 17], 0.35),
    ],
)
def test_the_lowest_cut_of_empty_films(films: list[list[bool]], cut: float) -> None:
    assert _tuning._lowest_empty(films, 0.5) == cut


@pytest.mark.parametrize(
    ("stage", "found", "said"),
    [
        ("irnet", {"organ_cut": True}, "anatomy stage's on val"),
        ("cam~layer-cam@4", {"organ_cut": True}, "anatomy stage's on val"),
        ("segmentation", {"exact": ["spot"]}, "labels of val"),
        ("segmentation", {"exact": ["spot"], "tune_on_expert_masks": True}, "expert"),
        ("cam", {"organ_cut": False, "findings": ["spot"]}, "fixed"),
    ],
)
def test_an_evaluation_says_what_cuts_go_by(
    scored: Project,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    found: dict[str, Any],
    said: str,
) -> None:
    settings = StageSettings(("spot",), (0.5,), (0.5,))
    monkeypatch.setattr(cuts, "header", lambda *_: found)
    monkeypatch.setattr(cuts, "settings_of", lambda *_: settings)
    assert said in cuts.cut_settings(scored, stage, RUN).thresholds_from
