"""Which film to read next: what each order puts first, and how negatives come in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg.cli import main
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline import film_orders
from napari_wsseg.pipeline.film_orders import ORDERS
from napari_wsseg.pipeline.ordering import film_views, ranking
from napari_wsseg.pipeline.ordering.film_views import Views
from napari_wsseg.schema import StageMaps, StageSettings

SIDE = noise_project.SQUARE


def views(*masks: np.ndarray, score: float = 1.0) -> Views:
    """Make one finding's drafts of as many stages, each as sure as `score`."""
    names = ("cam", "crf", "irnet", "segmentation")[: len(masks)]
    sure = [np.where(m, score, 1 - score).astype(np.float32)[None] for m in masks]
    return Views(
        dict(zip(names, (m[None] for m in masks), strict=True)),
        dict(zip(names, sure, strict=True)),
        (0,),
    )


def square(size: int) -> np.ndarray:
    mask = np.zeros((40, 40), bool)
    mask[5 : 5 + size, 5 : 5 + size] = True
    return mask


def test_after_two_films_with_a_finding_comes_a_negative_one() -> None:
    assert ranking.mixed("abcde", "xyz") == [*"abxcdyez"]
    assert ranking.mixed("", "xy") == [*"xy"]
    assert ranking.mixed("abcdef", "x") == [*"abxcdef"]


def test_an_outline_is_doubtful_where_the_score_near_it_is() -> None:
    sure = film_views.outline_doubt(views(square(20), score=0.99))
    unsure = film_views.outline_doubt(views(square(20), score=0.6))
    assert sure < 0.1 < 0.9 < unsure
    assert film_views.outline_doubt(views(square(0))) == 1.0, "labelled, not drafted"


def test_doubt_far_from_the_outline_does_not_count() -> None:
    one = views(square(20), score=0.99)
    score = one.scores["cam"].copy()
    score[:, 30:, 30:] = 0.49
    far = replace(one, scores={"cam": score})
    assert film_views.outline_doubt(far) == film_views.outline_doubt(one)


def test_stages_that_differ_more_come_before_those_that_agree() -> None:
    alike = film_views.stage_disagreement(views(square(20), square(20)))
    other = film_views.stage_disagreement(views(square(20), square(10)))
    assert alike == 0
    assert other == pytest.approx(1 - 2 * 100 / 500)
    assert film_views.stage_disagreement(views(square(20))) == 0, "nothing to compare"


def test_the_first_films_come_from_clusters_that_differ() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 50, (16, 8))
    points = np.repeat(centres, 10, 0) + rng.normal(0, 0.1, (160, 8))
    first = ranking.cluster_order(points)
    assert sorted(first) == list(range(160))
    assert {place // 10 for place in first[:16]} == set(range(16))
    assert ranking.cluster_order(np.zeros((5, 3))) == [0, 1, 2, 3, 4]
    assert ranking.cluster_order(np.zeros((0, 3))) == []


def test_power_goes_from_noise_to_greed() -> None:
    scores = np.linspace(0.1, 1, 50)
    greedy = list(np.argsort(-scores))
    rng = np.random.default_rng(0)
    tops = [ranking.power_order(scores, 0, rng)[0] for _ in range(400)]
    assert abs(np.mean(tops) - 24.5) < 3, "with no power any film may be the first"
    assert ranking.power_order(scores, 1e6, rng) == greedy
    powers = [ranking.power_after(n) for n in (0, 16, 64, 500)]
    assert powers[0] == 1
    assert powers == sorted(powers)
    assert powers[2] == powers[3] == 100


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make twelve films, half of them negative, two stages surer of the later ones."""
    place = noise_project.make_project(tmp_path_factory.mktemp("next"), cases=12)
    for stage in ("cam", "irnet"):
        noise_project.add_stage(place, stage)
        noise_project.adopt(place, stage)
        cut = StageSettings(noise_project.FINDINGS, (0.5, 0.5), (0.5, 0.5))
        stages.write_settings(place, stage, noise_project.RUN, cut)
    for number, case_id in enumerate(noise_project.case_ids(place)):
        score = np.full((2, SIDE, SIDE), 0.1, np.float32)
        score[:, :8, :8] = 0.5 + number / 25
        maps = StageMaps(score, np.full(2, 0.9, np.float32))
        run = noise_project.RUN
        stages.write(place, "irnet", run, case_id, maps)
    return place


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_names_every_film_once_and_always_the_same(
    place: Path, order: str
) -> None:
    with Project.open(place) as project:
        ids = project.case_ids()
        first = film_orders.ranked(project, order, case_ids=ids)
        again = film_orders.ranked(project, order, case_ids=ids)
        labels = [project.case(one).labels["effusion"] for one in first]
    assert sorted(first) == sorted(ids)
    assert first == again
    assert labels == [1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0]


def test_the_least_sure_film_comes_first(place: Path) -> None:
    with Project.open(place) as project:
        ids = project.case_ids()
        order = film_orders.ranked(project, "outline", case_ids=ids)
        has = {one for one in ids if project.case(one).labels["effusion"]}
    assert [one for one in order if one in has] == [one for one in ids if one in has]


def test_dear_films_wait_once_there_are_figures(tmp_path: Path) -> None:
    place = noise_project.make_project(tmp_path, cases=6)
    with Project.open(place, write=True) as project:
        ids = project.case_ids()
        seconds = film_orders.expected_seconds(project)
        assert {seconds(project.case(one)) for one in ids} == {1.0}
        for one in ids[:5]:
            project.work_log.enter(
                one, "nodule", reader="ann", seconds=30.0, gestures={}
            )
            project.decide(one, "accept", reader="ann", seconds=30)
        seconds = film_orders.expected_seconds(project)
        assert {seconds(project.case(one)) for one in ids} == {30.0}


def test_the_command_names_films_that_wait(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for order in ORDERS:
        arguments = ["next", "-p", str(place), "--order", order, "-n", "3", "--json"]
        assert main(arguments) == 0
        answer = json.loads(capsys.readouterr().out)
        assert len(answer["films"]) == 3
        assert answer["by_chance"] is (order == "random")
    assert main(["next", "-p", str(place)]) == 0
    assert "film1 " in capsys.readouterr().err
    bare = noise_project.make_project(tmp_path, cases=2)
    assert main(["next", "-p", str(bare), "--order", "clasp"]) == 0
    assert "by chance" in capsys.readouterr().err
    for arguments in (
        ["-n", "0"],
        ["-n", "two"],
        ["--seed", "-3"],
        ["--order", "best"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["next", "-p", str(bare), *arguments])
        assert stopped.value.code == 2
    with Project.open(bare) as project, pytest.raises(UsageError, match="outline"):
        film_orders.ranked(project, "best", case_ids=[])
