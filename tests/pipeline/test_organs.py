"""Hearts that a segmenter and the anatomy stage draw together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablation import WITHOUT, Chain, scored, table
from helpers.training import train
from napari_wsseg.cli import main
from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.phantom.dataset import write_dataset
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import anatomy as shipped
from napari_wsseg.pipeline.inference import evidence, kept_places, organs
from napari_wsseg.schema import ANATOMY
from trainers.engine.recipe import configure
from trainers.settings import segmenter as _segmenter


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of synthetic chests with a classifier and anatomy in use."""
    folder = tmp_path_factory.mktemp("organs")
    films = write_dataset(folder / "films", n=10, size=96, form="png", processes=1)
    arguments = ["init", str(folder / "p"), "--images", str(films / "images")]
    arguments += [
        "--labels",
        str(films / "labels.csv"),
        "--masks",
        str(films / "masks"),
    ]
    assert main(arguments) == 0
    assert main(["infer", "anatomy", "-p", str(folder / "p")]) == 0
    run = train(folder / "p", "classifier", size=64, epochs=1, batch=4)
    with Project.open(folder / "p", write=True) as project:
        project.adopt("cam", run.folder.id, actor="test")
    return folder / "p"


def test_a_heart_is_the_mean_of_both_without_dents(chests: Path) -> None:
    with Project.open(chests) as project:
        case = next(iter(project.cases()))
        maps = stages.read(project.folder, ANATOMY, "shipped", case.id)
        settings = stages.read_settings(project.folder, ANATOMY, "shipped")
        assert maps is not None
        assert settings is not None
        size = maps.score.shape[-1]
        heart = maps.score[settings.findings.index("heart")].astype(np.float32)
        dented = heart.copy()
        rows, columns = np.nonzero(heart >= 0.5)
        dented[: int(rows.mean()), int(columns.mean()) - 2 : int(columns.mean())] = 0
        score = np.stack([dented, np.zeros_like(heart)])
        how = {"run": "shipped", "structures": {0: ("heart",)}}
        joined = organs.joined(project, case, score, **how)
        assert np.array_equal(joined[1], score[1])
        assert joined.shape == (2, size, size)
        # The dent is closed, and what both agree on stays.
        assert ((joined[0] >= 0.5) & (heart >= 0.5)).sum() > (dented >= 0.5).sum()
        assert (joined[0] >= (dented + heart) / 2 - 1e-6).all()
        assert np.array_equal(
            organs.joined(
                project, case, score, run="other", structures={0: ("heart",)}
            ),
            score,
        )


def test_a_run_that_draws_with_anatomy_says_so_and_is_read_like_it(
    chests: Path,
) -> None:
    how = {"labels": "anatomy", "size": 64, "epochs": 1, "batch": 4, "joint_gate": True}
    run = train(chests, "segmentation", with_anatomy=True, **how)
    header, _ = checkpoints.read(run.folder.best)
    assert header["organs"] == "shipped"
    with Project.open(chests) as project:
        assert kept_places.for_stage(project, {**header, "places": True}) is not None
        alone = {**header, "places": True, "findings": ["cardiomegaly"]}
        assert kept_places.for_stage(project, alone) is None
        assert kept_places.for_stage(project, {**alone, "organs": ""}) is not None
        finish(infer(project, "segmentation", run.folder.id, device="cpu"))
        case = next(iter(project.cases()))
        maps = stages.read(project.folder, "segmentation", run.folder.id, case.id)
        assert maps is not None
        # After a handful of steps the segmenter draws nothing: anatomy's half is left.
        k = header["findings"].index("cardiomegaly")
        anatomy = stages.read(project.folder, ANATOMY, "shipped", case.id)
        assert anatomy is not None
        assert maps.score[k].max() >= anatomy.score.max() / 2 - 0.01
        masks = evidence.anatomy.masks(project, case, side=evidence.SIDE)
        width = {}
        for joined in (True, False):
            found = evidence.evidence(
                project,
                case,
                header["findings"],
                classifier=np.full(len(header["findings"]), 0.5),
                score=maps.score.astype(np.float32),
                run="shipped",
                structures={"cardiomegaly": ("heart",)},
                joined=joined,
            )
            width[joined] = found["breadth"][k]
        assert masks
        assert width[True] != width[False]


def test_a_project_without_organs_draws_with_nobody(
    chests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.tasks.masks.structures_of", lambda _project: {})
    how = {"labels": "planted", "size": 64, "epochs": 1, "batch": 4}
    run = train(chests, "segmentation", with_anatomy=True, **how)
    header, _ = checkpoints.read(run.folder.best)
    assert header["organs"] == ""


def test_what_is_taken_away_is_read_off_the_same_weights(chests: Path) -> None:
    with Project.open(chests) as project:
        used = project.adopted("cam")
    assert used
    config = runs.find(chests, used).info().config
    chain = Chain(chests, used, {"classifier": {**config, "places": True}})
    before = {info.id for info in runs.listing(chests)}
    row = {"without": "places", "to": "cam", **scored(chain, WITHOUT["places"], "cam")}
    (twin,) = {info.id for info in runs.listing(chests)} - before
    theirs, ours = (
        checkpoints.read(runs.find(chests, run).best) for run in (used, twin)
    )
    assert all((theirs[1][name] == tensor).all() for name, tensor in ours[1].items())
    assert ours[0]["places"] is False
    assert set(row["test"]) == {"cam"}
    assert "| places |" in table([row])
    with Project.open(chests) as project:
        assert project.adopted("cam") == used


def test_a_segmenter_starts_as_the_anatomy_stage_draws(chests: Path) -> None:
    with Project.open(chests) as project:
        names = [finding.name for finding in project.findings]
        config = configure("chexseg", {"arch": "anatomy", "init": "anatomy"})
        model, start = _segmenter.network(config, project, len(names), "")
        films = torch.rand(2, 1, 64, 64)
        with torch.no_grad():
            drawn, present = model.eval()(films)
            network, header = shipped.shipped()
            heart = network(films)[:, header["structures"].index("heart")]
        torch.testing.assert_close(drawn[:, names.index("cardiomegaly")], heart)
        assert present.shape == (2, len(names))
        assert start == "the anatomy stage (shipped)"
        for refused, why in (
            ({"init": "anatomy"}, "is for arch=anatomy, not for unet"),
            ({"arch": "anatomy", "init": "imagenet"}, "no encoder that could start"),
            ({"arch": "anatomy", "channels": 3}, "reads grey films"),
        ):
            config = configure("chexseg", {"init": "random", **refused})
            with pytest.raises(DataError, match=why):
                _segmenter.network(config, project, len(names), "")
