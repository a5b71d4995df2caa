"""A student, its teacher, and what is kept of both."""

from __future__ import annotations

import json
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import training
from helpers.spot_films import import_films, make_films
from napari_wsseg.io import checkpoints, film_cache
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError, Progress, finish
from napari_wsseg.pipeline import infer
from napari_wsseg.pipeline.inference import networks
from trainers.engine.run import Run
from trainers.tasks import teacher as _teacher

TINY: dict[str, Any] = {"epochs": 3, "batch": 4, "device": "cpu", "checks": 1}


train = partial(training.train, **TINY)


def adopt(project: Path, run: Run, *stages: str) -> None:
    with Project.open(project, write=True) as opened:
        for stage in stages:
            opened.adopt(stage, run.folder.id, actor="test")


@pytest.fixture(scope="module")
def taught_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    project = import_films(make_films(folder / "films"), folder / "project")
    with Project.open(project, write=True) as opened:
        for case in opened.cases("train")[:3]:
            opened.labels.put(case.id, {"spot": None})
    adopt(project, train(project, "classifier", size=64), "cam", "crf")
    teacher = train(
        project, "chexseg", size=64, p=1.0, epochs=30, learning_rate=3e-3, average=0.9
    )
    adopt(project, teacher, "segmentation")
    return folder


@pytest.fixture
def copied(taught_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(taught_once, tmp_path / "copy")
    return tmp_path / "copy" / "project"


def teacher_of(project: Path) -> str:
    with Project.open(project) as opened:
        return opened.adopted("segmentation") or ""


@pytest.mark.parametrize("keep", ["float16", "float32"])
def test_the_teacher_is_asked_once_about_every_film_labelled_or_not(
    copied: Path, keep: str
) -> None:
    run = train(copied, "distillation", keep=keep)
    kept = np.load(run.folder.path / "cache" / f"teacher-64-{keep}.npy")
    assert kept.dtype == keep
    with Project.open(copied) as opened:
        cases = [*opened.cases("train"), *opened.cases("val")]
    assert kept.shape == (len(cases), 1, 64, 64)
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    assert len(locked) == sum(case.split == "train" for case in cases)
    assert {row["run"] for row in locked} == {teacher_of(copied)}


def test_what_is_kept_is_what_the_teacher_says(copied: Path) -> None:
    run = train(copied, "distillation", keep="float32")
    kept = np.load(run.folder.path / "cache" / "teacher-64-float32.npy")
    model, header = networks.load(copied, teacher_of(copied))
    with Project.open(copied) as opened:
        first = opened.cases("train")[0]
        films = finish(film_cache.films(opened, 64))
    pixels = torch.from_numpy(films.take([first.id]))
    answers = _teacher._asked(model, header, pixels, 64)
    torch.testing.assert_close(torch.from_numpy(kept[0]), answers[0])


def test_a_resumed_student_does_not_ask_again(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = threading.Event()
    run = Run.prepare("distillation", copied, TINY, cancel=cancel)
    for event in run:
        if isinstance(event, Progress) and event.message == "training":
            cancel.set()
    monkeypatch.setattr(_teacher, "_asked", None)
    again = Run.prepare("distillation", copied, None, resume=run.folder.id)
    assert [event for event in again if isinstance(event, Checkpoint)]
    assert again.folder.info().state == "done"


def test_the_same_student_is_the_teachers_network_and_another_is_as_set(
    copied: Path,
) -> None:
    same = train(copied, "distillation", arch="deeplabv3plus", size=96, epochs=1)
    other = train(
        copied,
        "distillation",
        student="other",
        arch="deeplabv3plus",
        encoder="resnet34",
        size=96,
        epochs=1,
    )
    taught, _ = checkpoints.read(same.folder.best)
    assert (taught["network"]["arch"], taught["size"]) == ("unet", 64)
    taught, _ = checkpoints.read(other.folder.best)
    assert (taught["network"]["arch"], taught["size"]) == ("deeplabv3plus", 96)
    assert taught["network"]["encoder"] == "resnet34"
    assert (other.folder.path / "cache" / "teacher-96-float16.npy").exists()


def test_teacher_and_student_are_compared_on_the_validation_films(
    copied: Path,
) -> None:
    run = train(
        copied,
        "distillation",
        rescale=True,
        epochs=25,
        learning_rate=3e-3,
        average=0.9,
    )
    scores = run.folder.info().metrics
    teacher = checkpoints.read(
        copied / "runs" / teacher_of(copied) / "best.safetensors"
    )[0]
    # The same masks of the same network, but for what float16 rounds.
    theirs = teacher["metrics"]["val_dice"]
    assert scores["teacher_dice"] == pytest.approx(theirs, abs=0.01)
    assert theirs > 0.4
    assert scores["val_agreement"] > 0.6
    assert abs(scores["val_dice"] - scores["teacher_dice"]) < 0.3
    card = (run.folder.path / "card.md").read_text()
    assert f"Taught by: run {teacher_of(copied)}" in card
    assert "- teacher_dice:" in card
    header, _ = checkpoints.read(run.folder.best)
    assert header["tune_on_expert_masks"]
    with Project.open(copied) as opened:
        for _ in infer.infer(opened, "segmentation", run.folder.id, device="cpu"):
            pass


def test_a_student_of_a_weak_teacher_is_not_picked_by_expert_masks(
    copied: Path,
) -> None:
    weak = train(copied, "segmentation", size=64, labels="cam")
    run = train(copied, "distillation", teacher_run=weak.folder.id)
    header, _ = checkpoints.read(run.folder.best)
    assert header["teacher"] == weak.folder.id
    assert not header["tune_on_expert_masks"]


def test_a_teacher_that_is_no_segmenter_is_refused(copied: Path) -> None:
    with Project.open(copied) as opened:
        run = opened.adopted("cam")
    with pytest.raises(DataError, match="trained a classifier, but a segmenter"):
        train(copied, "distillation", teacher_run=run)


def test_without_a_teacher_it_says_what_to_run(spots: Path) -> None:
    with pytest.raises(DataError, match="wsseg train chexseg"):
        train(spots, "distillation")


def test_a_segmenter_and_a_classifier_start_from_films_without_labels(
    copied: Path,
) -> None:
    run = train(copied, "moco", size=64, code=16)
    _, encoder = checkpoints.read(run.folder.best)
    student = train(
        copied, "chexseg", size=64, p=1.0, init="moco", encoder_rate=0.0, average=0.0
    )
    header, weights = checkpoints.read(student.folder.best)
    assert header["start"] == f"run {run.folder.id}"
    assert torch.equal(
        weights["net.encoder.layer4.1.conv2.weight"], encoder["layer4.1.conv2.weight"]
    )
    model = train(copied, "classifier", size=64, weights=str(run.folder.best), epochs=1)
    assert model.folder.info().state == "done"


def test_moco_looks_at_no_label(spots: Path) -> None:
    with Project.open(spots, write=True) as opened:
        for case in opened.cases():
            opened.labels.put(case.id, {"spot": None})
    run = train(spots, "moco", size=64, code=16)
    assert run.folder.info().metrics["val_known_again"] >= 0
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    assert {row["source"] for row in locked} == {"film"}
