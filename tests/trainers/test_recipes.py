"""What every recipe must do, whoever adds one."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

import trainers
from helpers.spot_films import import_films, make_films
from helpers.training import train
from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError, JobFailed, Progress, UsageError
from napari_wsseg.pipeline import infer
from napari_wsseg.pipeline.inference import networks
from trainers.engine.recipe import configure, settings_of
from trainers.engine.run import Run

TINY: dict[str, dict[str, Any]] = {
    "anatomy": {"size": 64, "synthetic": 12, "epochs": 3, "batch": 4},
    "classifier": {"size": 64, "epochs": 6, "batch": 4, "learning_rate": 1e-3},
    "irnet": {"epochs": 8, "batch": 4, "learning_rate": 0.01, "radius": 4},
    "segmentation": {"size": 64, "epochs": 6, "batch": 4, "labels": "cam"},
    "chexseg": {"size": 64, "epochs": 6, "batch": 4, "labels": "cam", "p": 0.5},
    "distillation": {"epochs": 6, "batch": 4},
    "live": {"steps": 6, "batch": 4, "labels": "cam", "learning_rate": 1e-3},
    "moco": {"size": 64, "epochs": 8, "batch": 4, "learning_rate": 3e-3, "code": 16},
    "tied_deconv": {
        "size": 64,
        "width": 0.1,
        "batch": 4,
        "stages": 1,
        "epochs": 3,
        "baseline_epochs": 3,
        "stage_epochs": 3,
        "optimiser": "adamw",
        "learning_rate": 1e-3,
        "baseline_rate": 3e-3,
        "stage_rate": 3e-3,
    },
}

FROM_A_PROJECT = sorted(set(TINY) - {"live"})
"""Recipes that learn all of a project; the other learns what came since, if any did
(test_live.py)."""


def train_tiny(project: Path, recipe: str, **settings: Any) -> Run:
    return train(project, recipe, **{**TINY[recipe], **settings})


def adopt(project: Path, run: Run) -> None:
    with Project.open(project, write=True) as opened:
        for stage in trainers.recipes[run.name].stages:
            opened.adopt(stage, run.folder.id, actor="test")


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the spots project with a classifier and a segmenter in use, once for all."""
    folder = tmp_path_factory.mktemp("classified")
    project = import_films(make_films(folder / "films"), folder / "project")
    run = train_tiny(project, "classifier")
    adopt(project, run)
    with Project.open(project) as opened:
        for _ in infer.infer(opened, "crf", run.folder.id, device="cpu"):
            pass
    adopt(project, train_tiny(project, "chexseg"))
    return folder


@pytest.fixture
def classified(trained_once: Path, tmp_path: Path) -> Path:
    """Return a copy of that project."""
    shutil.copytree(trained_once, tmp_path / "copy")
    return tmp_path / "copy" / "project"


def test_every_recipe_has_a_tiny_setting_here() -> None:
    assert set(TINY) == set(trainers.recipes.names())


@pytest.mark.parametrize("name", sorted(TINY))
def test_a_config_survives_json_and_back(name: str) -> None:
    config = trainers.recipes[name].config()
    assert configure(name, json.loads(json.dumps(settings_of(config)))) == config
    as_text = {key: str(value) for key, value in settings_of(config).items()}
    assert configure(name, as_text) == config


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_setting_says_what_it_may_be(name: str) -> None:
    for setting in dataclasses.fields(trainers.recipes[name].config):
        value = setting.default
        assert value is not dataclasses.MISSING, f"{setting.name} has no default"
        assert isinstance(value, bool | int | float | str)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'; there are: .*epochs"),
        ({"epochs": "many"}, "epochs=many is not a whole number"),
        ({"epochs": "0"}, "epochs=0 is out of range; it goes from 1"),
        ({"arch": "resnet9000"}, "is not one of: resnet18"),
        ({"learning_rate": "nan"}, "out of range"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(
    spots: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Run.prepare("classifier", spots, settings)
    assert not (spots / "runs").exists() or not any((spots / "runs").iterdir())


@pytest.mark.parametrize("name", FROM_A_PROJECT)
def test_a_recipe_trains_and_leaves_weights_that_load(
    classified: Path, name: str
) -> None:
    run = train_tiny(classified, name)
    rows = list(run.folder.metrics())
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) >= 8
    assert sum(losses[-3:]) < sum(losses[:3])
    info = run.folder.info()
    assert info.state == "done"
    assert info.metrics
    network, header = networks.load(classified, run.folder.id)
    assert header["findings"] == ["spot"]
    assert not network.training
    assert (run.folder.path / "card.md").read_text().count("Research use only")
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    with Project.open(classified) as project:
        split = {case.id: case.split for case in project.cases()}
        stages = trainers.recipes[name].stages
        for stage in stages:
            for _ in infer.infer(project, stage, run.folder.id, device="cpu"):
                pass
    # What was learnt from is of the training split; val masks only pick thresholds.
    assert {split[row["case"]] for row in locked} == {"train"}


@pytest.mark.parametrize(
    "name",
    [
        # The loop is everybody's; this one takes long and keeps no state of its own.
        pytest.param(name, marks=pytest.mark.slow if name == "distillation" else ())
        for name in FROM_A_PROJECT
    ],
)
def test_cancel_keeps_a_state_and_resume_ends_as_if_nothing_had_been(
    classified: Path, name: str
) -> None:
    uninterrupted = train_tiny(classified, name, average=0.9, checks=2)
    cancel = threading.Event()
    half = Run.prepare(
        name,
        classified,
        {**TINY[name], "average": 0.9, "checks": 2, "device": "cpu"},
        cancel=cancel,
    )
    steps = 0
    for event in half:
        if isinstance(event, Progress) and event.message == "training":
            steps += 1
            if steps == 3:
                cancel.set()
    assert steps == 3
    assert half.folder.info().state == "stopped"
    again = Run.prepare(name, classified, None, resume=half.folder.id)
    resumed = [event for event in again if isinstance(event, Progress)]
    first = next(event for event in resumed if event.message == "training")
    assert first.step == 4
    assert again.folder.info().state == "done"
    _, once = checkpoints.read(uninterrupted.folder.best)
    _, twice = checkpoints.read(again.folder.best)
    for key, tensor in once.items():
        torch.testing.assert_close(twice[key], tensor, rtol=1e-4, atol=1e-5)


def test_weak_recipes_never_see_expert_masks(
    classified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a weak recipe asked for an expert mask")

    for name in ("expert_masks", "read_mask", "latest"):
        monkeypatch.setattr(Project, name, forbidden)
    for recipe in ("classifier", "irnet", "segmentation"):
        run = train_tiny(classified, recipe)
        with Project.open(classified) as project:
            for stage in trainers.recipes[recipe].stages:
                for _ in infer.infer(project, stage, run.folder.id, device="cpu"):
                    pass


def test_chexseg_learns_from_no_more_expert_films_than_asked(classified: Path) -> None:
    run = train_tiny(classified, "chexseg", n_expert=4)
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    experts = {row["case"] for row in locked if row["source"] == "expert"}
    weak = {row["case"] for row in locked if row["source"] == "cam"}
    assert len(experts) == 4
    assert weak
    assert not experts & weak


def test_a_recipe_without_what_it_builds_on_says_what_to_run(spots: Path) -> None:
    with pytest.raises(DataError, match="wsseg train classifier"):
        train_tiny(spots, "irnet")


def test_memory_running_out_is_told_in_words(
    spots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainers.engine import loop as _loop

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:83] can't allocate memory")

    monkeypatch.setattr(_loop, "_optimiser", full)
    run = Run.prepare("classifier", spots, {**TINY["classifier"], "device": "cpu"})
    with pytest.raises(JobFailed, match="try batch="):
        list(run)
    info = run.folder.info()
    assert info.state == "failed"
    assert "try batch=" in info.message


def test_a_loss_that_is_no_number_ends_the_run_in_words(
    spots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.nn import losses

    monkeypatch.setattr(
        losses, "bce", lambda logits, *_, **__: logits.sum() * float("nan")
    )
    with pytest.raises(
        JobFailed, match=r"not a number at step 1 .*lower the learning rate"
    ):
        train_tiny(spots, "classifier")


def test_a_killed_run_is_interrupted_and_can_be_resumed(spots: Path) -> None:
    folder = runs.new(spots, "classifier", settings_of(configure("classifier", {})))
    folder.begin()
    state = json.loads((folder.path / "state.json").read_text())
    state["pid"], state["started"] = 2**22 - 3, 1.0
    (folder.path / "state.json").write_text(json.dumps(state))
    assert folder.info().state == "interrupted"
    resumed = Run.prepare("classifier", spots, None, resume=folder.id)
    assert resumed.resumes


def test_run_yields_progress_and_checkpoints(spots: Path) -> None:
    events = list(trainers.run("classifier", spots, TINY["classifier"]))
    assert any(isinstance(event, Checkpoint) and event.best for event in events)
    assert isinstance(events[0], Progress)
