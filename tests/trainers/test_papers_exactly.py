"""What the papers say and training did otherwise: rates, checks, crops, answers."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import trainers
from helpers.spot_films import import_films, make_films
from napari_wsseg import jobs
from napari_wsseg.io import checkpoints, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, UsageError
from napari_wsseg.nn import classifier, losses
from napari_wsseg.nn.tied_deconv import TiedDeconv
from napari_wsseg.pipeline import infer, stage_masks
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.schema import IGNORE
from trainers import irnet, tied_deconv
from trainers.data.batches import Labels
from trainers.engine.loop import Task, _optimiser, fit
from trainers.engine.recipe import Context, TrainingConfig, configure
from trainers.engine.run import Run

SMALL: dict[str, Any] = {
    **{"size": 64, "epochs": 1, "batch": 4, "checks": 1, "device": "cpu"},
}


def task(model: nn.Module, **more: Any) -> Task:
    def loss(model: nn.Module, step: int, _device: torch.device) -> torch.Tensor:
        return model(torch.ones(2, 3)).square().sum()

    plain = {"validate": lambda *_: {}, "header": {}, "criterion": "figure"}
    return Task(**{"model": model, "loss": loss, "steps": 10, **plain, **more})


def test_biases_learn_at_twice_the_rate_of_the_weights_beside_them() -> None:
    model = nn.ModuleDict({"trunk": nn.Conv2d(1, 1, 1), "linear": nn.Linear(3, 1)})
    rates = task(model, rates={"linear.": 10.0}, bias_rate=2.0)
    optimiser = _optimiser(rates, TrainingConfig(device="cpu"))
    factor = {
        id(parameter): group["factor"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    named = {name: factor[id(p)] for name, p in model.named_parameters()}
    # WSMIS's code: 1e-4, 2e-4, 1e-3 and 2e-3.
    assert named == {
        "trunk.weight": 1.0,
        "trunk.bias": 2.0,
        "linear.weight": 10.0,
        "linear.bias": 20.0,
    }
    for preset in ("wsmis", "wsmis-compat"):
        assert trainers.presets[preset]["classifier"]["bias_rate"] == 2.0


@pytest.mark.parametrize(("every", "at"), [(0, [5, 10]), (4, [4, 8, 10]), (99, [10])])
def test_checkpoints_come_every_so_many_batches_and_at_the_end(
    spots_project: Project, every: int, at: list[int]
) -> None:
    config = TrainingConfig(device="cpu", checks=2, check_every=every)
    context = Context(spots_project, threading.Event())
    kept = [
        event.resume["step"]
        for event in fit(task(nn.Linear(3, 1)), config, context)
        if isinstance(event, Checkpoint) and event.resume
    ]
    assert kept == at
    assert trainers.presets["chexseg"]["classifier"]["check_every"] == 4800


def test_three_answers_are_softmax_with_absent_at_zero() -> None:
    logits, unsure = torch.randn(6, 2), torch.randn(6, 2)
    targets = torch.tensor([0, 1, losses.UNSURE, IGNORE, 1, 0]).float()
    targets = targets[:, None].expand(6, 2)
    three = torch.stack([torch.zeros(6, 2), logits, unsure], -1).softmax(-1)
    rows = [0, 1, 2, 4, 5]
    number = targets[rows].long()
    expected = -three[rows].gather(-1, number[..., None]).log().mean()
    found = losses.three_way(logits, unsure, targets)
    torch.testing.assert_close(found, expected)
    # Asked of present against absent alone, as CheXpert does.
    ruled_out = three[..., 1] / (three[..., 0] + three[..., 1])
    torch.testing.assert_close(logits.sigmoid(), ruled_out)


def test_an_uncertain_label_teaches_a_third_answer(tmp_path: Path) -> None:
    films = make_films(tmp_path / "films", masks=False)
    table = films / "labels.csv"
    lines = table.read_text().splitlines()
    for number in (2, 3):
        name, _, split = lines[number].split(",")
        lines[number] = f"{name},-1,{split}"
    table.write_text("\n".join(lines) + "\n")
    project = import_films(films, tmp_path / "project", masks=False)
    with Project.open(project) as opened:
        labels = Labels.from_project(opened, uncertain="class")
    assert (labels.targets == losses.UNSURE).sum() == 2
    run = Run.prepare("classifier", project, {**SMALL, "uncertain": "class"})
    for _ in run:
        pass
    model, header = networks.load(project, run.folder.id)
    assert header["network"]["unsure"] is True
    assert isinstance(model, classifier.Classifier)
    assert model(torch.rand(2, 1, 64, 64)).shape == (2, 1)
    assert model.unsure.bias.abs().sum() > 0  # it has learnt
    with Project.open(project) as opened:
        for _ in infer.infer(opened, "cam", run.folder.id):
            pass
    with pytest.raises(UsageError, match="uncertain=class"):
        configure("classifier", {"uncertain": "class", "mixup": 0.5})


def test_findings_that_exclude_each_other_are_learnt_by_softmax() -> None:
    logits = torch.randn(2, 3, 4, 4)
    masks = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    masks[:, 1, 0] = 1
    masks[0, :, 3] = IGNORE
    number = torch.zeros(2, 4, 4, dtype=torch.long)
    number[:, 0] = 2
    number[0, 3] = -100
    background = torch.zeros(2, 1, 4, 4)
    expected = nn.functional.cross_entropy(torch.cat([background, logits], 1), number)
    torch.testing.assert_close(losses.exclusive(logits, masks), expected)


def test_seeds_of_exclusive_findings_lie_on_one_map_of_classes() -> None:
    seeds = torch.full((1, 2, 1, 4), IGNORE, dtype=torch.uint8)
    seeds[0, :, 0, 0] = 0
    seeds[0, 0, 0, 1] = seeds[0, 1, 0, 2] = 1
    assert irnet._on_one_map(seeds).tolist() == [[[[0, 1, 2, IGNORE]]]]


def test_irnet_looks_with_a_network_of_its_own_where_asked(tmp_path: Path) -> None:
    torch.manual_seed(0)
    project = import_films(make_films(tmp_path / "films"), tmp_path / "project")
    run = Run.prepare("classifier", project, SMALL)
    for _ in run:
        pass
    with Project.open(project, write=True) as opened:
        opened.adopt("cam", run.folder.id, actor="test")
    own = classifier.build("resnet18", 3, in_channels=3)
    weights = tmp_path / "trunk.pt"
    torch.save(own.backbone.state_dict(), weights)
    settings = {"trunk": "resnet18", "trunk_weights": str(weights), "radius": 4}
    settings |= {"epochs": 1, "batch": 4, "device": "cpu", "post_crf": True}
    second = Run.prepare("irnet", project, settings)
    for _ in second:
        pass
    header, learnt = checkpoints.read(second.folder.best)
    assert header["network"]["in_channels"] == 3
    assert header["normalisation"] == "imagenet"
    assert header["classifier"] == run.folder.id
    theirs = own.backbone.state_dict()
    for name in ("conv1.weight", "layer4.1.conv2.weight"):
        torch.testing.assert_close(learnt[f"backbone.backbone.{name}"], theirs[name])
    with Project.open(project) as opened:
        for _ in infer.infer(opened, "irnet", second.folder.id):
            pass
        maps = stages.read(project, "irnet", second.folder.id, opened.cases()[0].id)
        cut = stages.read_settings(project, "irnet", second.folder.id)
    assert maps.score.shape[-1] == 32  # behind the CRF, on half the film's side
    assert cut.thresholds == (0.5,)
    for preset in ("wsmis", "wsmis-compat", "chexseg", "chexseg-compat", "irn-compat"):
        settings = trainers.presets[preset]["irnet"]
        assert (settings["trunk"], settings["trunk_weights"]) == (
            "resnet50",
            "imagenet",
        )


def done(project: Path, recipe: str, **settings: Any) -> str:
    run = Run.prepare(recipe, project, {**SMALL, **settings})
    for _ in run:
        pass
    with Project.open(project, write=True) as opened:
        for stage in trainers.recipes[recipe].stages:
            for _ in infer.infer(opened, stage, run.folder.id):
                pass
            opened.adopt(stage, run.folder.id, actor="test")
    return run.folder.id


@pytest.mark.slow
def test_findings_that_exclude_each_other_do_so_from_the_crf_to_the_segmenter(
    tmp_path: Path,
) -> None:
    films = make_films(tmp_path / "films")
    table = films / "labels.csv"
    head, *rows = table.read_text().splitlines()
    other = [f"{row},{number // 2 % 2}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{head},other", *other]) + "\n")
    project = import_films(films, tmp_path / "project")
    done(project, "classifier", exclusive=True, cam_cut="agreement")
    done(project, "irnet", radius=4, post_crf=True, walk_threshold=0.25)
    done(project, "segmentation", exclusive=True, loss="softmax", init="random")
    with Project.open(project) as opened:
        runs = opened.runs_in_use()
        for case in opened.cases():
            for stage, run in runs.items():
                maps = stages.read(project, stage, run, case.id)
                cut = stages.read_settings(project, stage, run)
                assert cut.exclusive
                found = stage_masks(maps, replace(cut, gates=(0, 0)), case.shape)
                assert not (found[0] & found[1]).any()
        (both,) = [c for c in opened.cases("train") if c.name == "f03"]
        seeds = stages.read(project, "crf", runs["crf"], both.id).extra["seed"]
        np.testing.assert_array_equal(seeds[0] == 0, seeds[1] == 0)
        assert evaluated(opened)["stages"]["irnet"]["pos_iou"] is not None


def evaluated(project: Project) -> dict[str, Any]:
    return jobs.finish(evaluate(project, "test", n_resamples=0)).to_json()


def test_only_wsmis_tidies_behind_every_step_as_its_paper_says() -> None:
    for recipe in ("irnet", "segmentation"):
        settings = trainers.presets["wsmis"][recipe]
        assert settings["post_crf"]
        assert settings["post_min_area"] > 0
    assert trainers.presets["wsmis"]["classifier"]["cam_min_area"] > 0
    for preset in set(trainers.presets) - {"wsmis"}:
        for settings in trainers.presets[preset].values():
            assert not settings.get("post_crf")


def test_a_window_of_a_film_is_as_large_as_the_film_is_later() -> None:
    config = configure("tied_deconv", trainers.presets["tdn"]["tied_deconv"])
    assert (config.size, config.side) == (320, 340)
    film = torch.zeros(3, 1, 340, 340)
    film[:, :, 150:190, 160:180] = 1
    windows = tied_deconv._window(film, 320, torch.Generator().manual_seed(0))
    assert windows.shape == (3, 1, 320, 320)
    # Not one pixel more or fewer: nothing was enlarged.
    assert windows.sum((1, 2, 3)).tolist() == [800.0] * 3
    tops = {int(window[0].any(1).nonzero()[0]) for window in windows}
    assert len(tops) > 1
    assert tops <= set(range(130, 151))


def test_maps_of_a_side_that_is_not_of_whole_cells_lie_where_they_would() -> None:
    torch.manual_seed(0)
    net = TiedDeconv("table1", 1, stage=3, width=0.05).eval()
    nn.init.normal_(net.heads[3].weight)
    film = torch.rand(1, 1, 84, 84)
    maps = net.maps_of_any_size(film)
    assert maps.shape[-2:] == (21, 21)
    padded = net(nn.functional.pad(film, (0, 12, 0, 12)))
    torch.testing.assert_close(maps, padded[..., :21, :21])
    coarse = TiedDeconv("table1", 1, stage=1, width=0.05).eval().maps_of_any_size(film)
    assert coarse.shape[-2:] == (21, 21)
    even = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(net.maps_of_any_size(even), net(even))


def test_pooled_thresholds_are_those_of_the_training_films(
    spots_project: Project,
) -> None:
    from napari_wsseg.ops import geometry
    from napari_wsseg.pipeline.inference import thresholds
    from napari_wsseg.schema import StageMaps

    run = "classifier-20261121-000000-aaaa"
    for each in spots_project.cases():
        truth = spots_project.expert_masks(each.id).get("spot")
        mask = np.zeros(each.shape, bool) if truth is None else truth
        square = geometry.letterbox(mask.astype(np.float32), 64)
        low, high = (0.32, 0.38) if each.split == "train" else (0.0, 0.8)
        score = np.where(square > 0.5, high, low)[None].astype(np.float32)
        stages.write(
            spots_project.folder, "cam", run, each.id, StageMaps(score, np.ones(1))
        )
    header = {"findings": ["spot"], "cut": "tuned on train"}
    found = thresholds.defaults(spots_project, "cam", run, header)
    assert found.thresholds == (0.35,)
    assert trainers.presets["chexseg"]["classifier"]["cam_cut"] == "tuned on train"
