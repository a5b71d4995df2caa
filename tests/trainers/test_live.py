"""Learning while a reader reads: rounds that are kept, undone, gone on with."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import learning_project as ward
from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import DataError, Progress
from trainers.data.samplers import NewestSampler
from trainers.engine.run import Run

SETTINGS: dict[str, Any] = dict(pair.split("=") for pair in ward.TINY)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learning")
    ward.make_project(folder)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    """Return a copy of a project of which nobody has read a film of train."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy" / "project"


def learn(project: Path, run: str | None = None, **settings: Any) -> Run:
    torch.set_num_threads(1)
    made = Run.prepare("live", project, {**SETTINGS, **settings}, resume=run)
    list(made)
    return made


def weights_of(run: RunFolder) -> dict[str, torch.Tensor]:
    return checkpoints.read(run.best)[1]


def story_of(run: RunFolder) -> dict[str, Any]:
    return dict(checkpoints.read(run.best)[0]["live"])


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


def started_with(project: Path) -> dict[str, torch.Tensor]:
    with Project.open(project) as opened:
        start = opened.adopted("segmentation")
    return weights_of(RunFolder(project / "runs" / str(start)))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_half_of_every_batch_are_the_newest_films_and_p_of_the_rest_is_exact(
    p: float,
) -> None:
    sampler = NewestSampler([1, 2], [3, 4, 5], [6, 7, 8, 9], 0.5, p, 6, 0)
    batches = [sampler(step) for step in range(40)]
    assert all(sum(row in (1, 2) for row in batch) == 3 for batch in batches)
    rest = [row for batch in batches for row in batch if row > 2]
    assert sum(row < 6 for row in rest) == round(p * len(rest))
    assert {len(batch) for batch in batches} == {6}


def test_an_odd_half_is_kept_over_two_batches() -> None:
    sampler = NewestSampler([1], [2], [], 0.5, 1.0, 3, 0)
    newest = [sum(row == 1 for row in sampler(step)) for step in range(8)]
    assert sum(newest) == 12
    assert set(newest) <= {1, 2}


def test_newest_films_alone_fill_batches() -> None:
    assert NewestSampler([7], [], [], 0.5, 0.8, 4, 0)(3) == [7, 7, 7, 7]


def test_films_are_learnt_once_and_the_next_are_drawn(project: Path) -> None:
    first, second = ward.films_of(project)[:2]
    ward.accept(project, first)
    ward.accept(project, second)
    run = learn(project, learning_rate=1e-3, tolerance=1.0)
    story = story_of(run.folder)
    assert story["learnt"] == [first.id, second.id]
    assert story["steps"] == 4  # both are new: one round
    assert not story["undone"]
    assert story["judged_by"].startswith("Dice to expert masks")
    assert not same(weights_of(run.folder), started_with(project))
    drawn = stages.cases_with_maps(project, "segmentation", run.folder.id)
    assert len(drawn) == 3
    assert not drawn & {first.id, second.id}
    start = runs.find(project, run.folder.id).config()["settings"]["start_run"]
    with Project.open(project) as opened:
        start = start or opened.adopted("segmentation")
    own, like = (
        stages.read_settings(project, "segmentation", one)
        for one in (run.folder.id, start)
    )
    assert own == like is not None
    card = (run.folder.path / "card.md").read_text()
    assert f"Films learnt: {first.id}, {second.id}" in card
    assert "Steps: 4" in card
    lock = json.loads((run.folder.path / "data.lock.json").read_text())
    experts = {row["case"] for row in lock if row["source"] == "expert"}
    assert experts == {first.id, second.id}
    assert {row["case"] for row in lock if row["source"] == "cam"}
    # A run that goes on from it has nothing to learn anew.
    again = learn(project, start_run=run.folder.id)
    assert story_of(again.folder)["steps"] == 0


def test_a_round_that_makes_held_out_films_worse_is_undone(project: Path) -> None:
    good = ward.films_of(project)[:2]
    ward.accept(project, good[0])
    kept = learn(project, steps=30, learning_rate=3e-3, tolerance=1.0)
    before = weights_of(kept.folder)
    assert kept.metrics["val_dice"] > 0
    ward.accept(project, good[1])
    with Project.open(project, write=True) as opened:
        opened.adopt("segmentation", kept.folder.id, actor="test")
    said = []
    worse = Run.prepare("live", project, {**SETTINGS, "learning_rate": 5.0})
    for event in worse:
        if isinstance(event, Progress):
            said.append(event.message)
    story = story_of(worse.folder)
    assert [each["films"] for each in story["undone"]] == [[good[1].id]]
    assert story["learnt"] == []
    assert same(weights_of(worse.folder), before)
    state = checkpoints.read_resume(worse.folder.last)
    assert same(state["average"], before)
    assert said[-1] == "waits; 1 round undone: held-out films got worse"
    assert good[1].id in (worse.folder.path / "card.md").read_text()


def test_a_loss_that_is_no_number_is_undone_too(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.nn import losses

    monkeypatch.setattr(
        losses, "bce", lambda logits, *_, **__: logits.sum() * float("nan")
    )
    ward.accept(project, ward.films_of(project)[0])
    run = learn(project)
    assert "not a number" in story_of(run.folder)["undone"][0]["why"]
    assert same(weights_of(run.folder), started_with(project))


def test_without_expert_masks_agreement_with_the_start_is_the_judge(
    tmp_path: Path,
) -> None:
    project = ward.make_project(tmp_path, held_out=False)
    first, second = ward.films_of(project)[:2]
    ward.accept(project, first)
    # The first segmenter draws nothing yet, so that nothing can be lost.
    drawing = learn(project, steps=30, learning_rate=3e-3)
    story = story_of(drawing.folder)
    assert "no expert has drawn on one" in story["judged_by"]
    assert not story["undone"]
    with Project.open(project, write=True) as opened:
        opened.adopt("segmentation", drawing.folder.id, actor="test")
    ward.accept(project, second)
    assert not story_of(learn(project, learning_rate=1e-7).folder)["undone"]
    wild = learn(project, learning_rate=5.0)
    assert len(story_of(wild.folder)["undone"]) == 1
    assert same(weights_of(wild.folder), started_with(project))


def test_what_was_not_accepted_is_not_learnt(project: Path) -> None:
    drawn, rejected, flagged = ward.films_of(project)[:3]
    source = project.parent / "films"
    tested = ward.films_of(project, "test")[0]
    with Project.open(project, write=True) as opened:
        for case in (drawn, rejected, flagged, tested):
            mask = ward.true_mask(source, case)
            opened.put_mask(case.id, "spot", mask, reader="ann", tool="brush")
        opened.decide(rejected.id, "reject", reader="ann")
        opened.decide(flagged.id, "flag", reader="ann")
        opened.decide(tested.id, "accept", reader="ann")
    assert story_of(learn(project).folder)["steps"] == 0


def test_one_reader_learns_from_what_she_accepted_alone(project: Path) -> None:
    hers, his = ward.films_of(project)[:2]
    ward.accept(project, hers, reader="ann")
    ward.accept(project, his, reader="bob")
    run = learn(project, reader="ann", learning_rate=1e-7)
    assert story_of(run.folder)["learnt"] == [hers.id]
    lock = json.loads((run.folder.path / "data.lock.json").read_text())
    assert {row["case"] for row in lock if row["source"] == "expert"} == {hers.id}


def test_a_round_that_was_stopped_goes_on_as_if_nothing_had_been(
    project: Path,
) -> None:
    ward.accept(project, ward.films_of(project)[0])
    whole = learn(project)
    cancel = threading.Event()
    half = Run.prepare("live", project, SETTINGS, cancel=cancel)
    for event in half:
        if isinstance(event, Progress) and event.message == "training":
            cancel.set()
    assert half.folder.info().state == "stopped"
    assert story_of(half.folder)["learnt"] == []
    assert same(weights_of(half.folder), started_with(project))
    resumed = learn(project, half.folder.id)
    assert story_of(resumed.folder)["steps"] == 4
    for name, tensor in weights_of(whole.folder).items():
        torch.testing.assert_close(weights_of(resumed.folder)[name], tensor)


def test_films_that_are_wished_for_are_drawn_first(project: Path) -> None:
    with Project.open(project) as opened:
        wanted = opened.case_ids()[-2:]
    run = Run.prepare("live", project, SETTINGS)
    run.folder.wish(wanted)
    list(run)
    drawn = stages.cases_with_maps(project, "segmentation", run.folder.id)
    assert drawn == set(wanted)
    (run.folder.path / "next.json").write_text("[1, ")
    assert run.folder.wishes() == []


def test_nothing_to_begin_from_or_to_judge_by_is_said(
    project: Path, tmp_path: Path
) -> None:
    from helpers.spot_films import import_films

    bare = import_films(project.parent / "films", tmp_path / "bare")
    with pytest.raises(DataError, match="no run is in use for the stage segmentation"):
        learn(bare)
    import sqlite3

    with sqlite3.connect(project / "index.sqlite") as index:
        index.execute("UPDATE cases SET split = 'train' WHERE split = 'val'")
    with pytest.raises(DataError, match="no film is held out"):
        learn(project)
