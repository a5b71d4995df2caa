"""The recipe that trains layer by layer: phases, stops in any of them, maps of each."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from helpers.spot_films import import_films, make_films
from napari_wsseg.io import checkpoints, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, Progress, UsageError
from napari_wsseg.nn import losses
from napari_wsseg.nn.tied_deconv import Stages
from napari_wsseg.ops.geometry import letterbox
from napari_wsseg.pipeline import infer, stage_masks
from napari_wsseg.pipeline.inference import networks
from trainers import presets
from trainers.engine.recipe import configure
from trainers.engine.run import Run

TINY: dict[str, Any] = {
    "size": 64,
    "width": 0.06,
    "batch": 4,
    "stages": 3,
    "epochs": 1,
    "baseline_epochs": 1,
    "stage_epochs": 1,
    "checks": 1,
    "device": "cpu",
    "precision": "fp32",
}
#: Twelve training films in batches of four: so many batches has each phase.
STEPS = 3


def train(project: Path, *, stop_after: int | None = None, **settings: Any) -> Run:
    cancel = threading.Event()
    run = Run.prepare("tied_deconv", project, {**TINY, **settings}, cancel=cancel)
    for event in run:
        if isinstance(event, Progress) and event.message == "training":
            if event.step == stop_after:
                cancel.set()
    return run


def weights(run: Run) -> dict[str, torch.Tensor]:
    return checkpoints.read(run.folder.best)[1]


def test_every_phase_is_named_and_begins_where_the_one_before_ended(
    spots: Path,
) -> None:
    run = Run.prepare("tied_deconv", spots, TINY)
    names = ("classification network", "baseline", "stage 1", "stage 2", "stage 3")
    events = [event for event in run if isinstance(event, Progress)]
    begun = [(one.step, one.message) for one in events if one.message in names]
    assert begun == [(STEPS * number, name) for number, name in enumerate(names)]
    steps = [event.step for event in events if event.message == "training"]
    assert steps == list(range(1, 5 * STEPS + 1))
    assert {event.total for event in events if event.metrics} == {5 * STEPS}


# In the first phase, where one phase ends, and in the last.
@pytest.mark.parametrize("batch", [2, STEPS, 2 * STEPS, 2 * STEPS + 1, 5 * STEPS - 1])
def test_a_run_stopped_in_any_phase_ends_as_if_it_had_not_been(
    spots: Path, batch: int
) -> None:
    uninterrupted = train(spots, average=0.8)
    half = train(spots, average=0.8, stop_after=batch)
    assert half.folder.info().state == "stopped"
    again = Run.prepare("tied_deconv", spots, None, resume=half.folder.id)
    for _ in again:
        pass
    assert again.folder.info().state == "done"
    once, twice = weights(uninterrupted), weights(again)
    assert set(once) == set(twice)
    for name, tensor in once.items():
        torch.testing.assert_close(twice[name], tensor, rtol=0, atol=0)


def test_a_run_keeps_the_weights_of_every_stage(spots: Path) -> None:
    run = train(spots, stages=2)
    network, header = networks.load(spots, run.folder.id)
    assert isinstance(network, Stages)
    assert header["network"]["kind"] == "tied_deconv"
    assert [len(stage.biases) for stage in network.stages] == [0, 1, 2]
    assert header["network"]["form"] == "relu"
    kernels = [network.stage(j).encoder.blocks[0][0].weight for j in range(3)]
    assert not torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[1], kernels[2])


def test_a_run_stopped_on_the_way_shows_the_stages_it_got_to(spots: Path) -> None:
    run = train(spots, stop_after=4 * STEPS - 1)
    network, header = networks.load(spots, run.folder.id)
    assert header["network"]["stages"] == 1
    assert len(network.stages) == 2
    with Project.open(spots) as project:
        with pytest.raises(
            DataError, match=r"trained up to stage 1.*tdn-3; give one up"
        ):
            list(infer.infer(project, "cam", run.folder.id, device="cpu"))
        list(infer.infer(project, "cam", run.folder.id, variant="tdn-1", device="cpu"))


def test_a_run_stopped_before_any_map_says_so(spots: Path) -> None:
    run = train(spots, stop_after=1)
    with pytest.raises(DataError, match="no finished weights"):
        networks.load(spots, run.folder.id)


def test_every_stage_has_maps_of_its_own(spots: Path) -> None:
    run = train(spots)
    sides, scores = {}, {}
    with Project.open(spots) as project:
        case = project.cases()[1]
        for stage in range(4):
            kept = "cam" if stage == 3 else f"cam~tdn-{stage}"
            list(
                infer.infer(
                    project,
                    "cam",
                    run.folder.id,
                    variant=f"tdn-{stage}",
                    device="cpu",
                )
            )
            maps = stages.read(project.folder, kept, run.folder.id, case.id)
            assert maps is not None
            settings = stages.read_settings(project.folder, kept, run.folder.id)
            assert settings is not None
            masks = stage_masks(maps, settings, case.shape)
            assert masks.shape == (1, *case.shape)
            sides[stage] = maps.score.shape
            scores[stage] = float(maps.present[0])
            assert 0 <= maps.score.min() <= maps.score.max() <= 1
        list(infer.infer(project, "crf", run.folder.id, device="cpu"))
        assert stages.read(project.folder, "crf", run.folder.id, case.id) is not None
    assert sides == {stage: (1, 2 * 2**stage, 2 * 2**stage) for stage in range(4)}
    assert len(set(scores.values())) == 4
    assert all(0 <= score <= 1 for score in scores.values())


def two_findings(folder: Path) -> Path:
    """Make a project of two findings, of which some labels are not known."""
    source = make_films(folder / "films")
    rows = (source / "labels.csv").read_text().splitlines()
    lines = [rows[0].replace("spot", "spot,other")]
    for number, row in enumerate(rows[1:]):
        name, spot, split = row.split(",")
        other = ("", "0", "1", "-1")[number % 4]
        lines.append(f"{name},{spot},{other},{split}")
    (source / "labels.csv").write_text("\n".join(lines))
    return import_films(source, folder / "project", masks=False)


def test_several_findings_share_the_map_with_a_background(tmp_path: Path) -> None:
    project = two_findings(tmp_path)
    run = train(project, stages=1, first_network="pooled", channels=3)
    network, header = networks.load(project, run.folder.id)
    assert header["network"]["form"] == "softmax"
    assert network.stage(1).heads[0].out_channels == 3
    with Project.open(project) as opened:
        list(infer.infer(opened, "cam", run.folder.id, device="cpu"))
        case = opened.cases()[0]
        maps = stages.read(project, "cam", run.folder.id, case.id)
    assert maps is not None
    assert maps.score.shape == (2, 4, 4)
    assert maps.present.shape == (2,)


def test_heat_lies_on_the_finding_and_is_finer_at_a_later_stage(spots: Path) -> None:
    run = train(
        spots,
        stages=1,
        width=0.12,
        epochs=8,
        baseline_epochs=12,
        stage_epochs=6,
        optimiser="adamw",
        learning_rate=2e-3,
        baseline_rate=5e-3,
        stage_rate=2e-3,
        first_network="pooled",
    )
    with Project.open(spots) as project:
        list(infer.infer(project, "cam", run.folder.id, device="cpu"))
        inside, outside = [], []
        for case in project.cases():
            mask = project.expert_masks(case.id)["spot"]
            if not mask.any():
                continue
            maps = stages.read(spots, "cam", run.folder.id, case.id)
            assert maps is not None
            heat = np.repeat(np.repeat(maps.score[0], 16, 0), 16, 1)
            square = letterbox(mask.astype(np.float32), 64) > 0.5
            inside.append(heat[square].mean())
            outside.append(heat[~square].mean())
    assert np.mean(inside) > np.mean(outside) + 0.25


def test_stages_can_start_from_the_baseline_with_untied_layers_frozen(
    spots: Path,
) -> None:
    run = train(
        spots, stages=2, first_network="none", layerwise=False, freeze_untied=True
    )
    network, _ = networks.load(spots, run.folder.id)
    first = [network.stage(j).encoder.blocks[0][0].weight for j in range(3)]
    fourth = [network.stage(j).encoder.blocks[3][0].weight for j in range(3)]
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[0], first[2])
    assert torch.equal(fourth[0], fourth[1])
    assert not torch.equal(fourth[0], fourth[2])


def test_photograph_weights_fill_vgg_and_no_other_network(
    spots: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    file = tmp_path / "vgg16.pth"
    theirs = torchvision.models.vgg.VGG(
        torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]),
        num_classes=1,
        init_weights=False,
    ).features.state_dict()
    torch.save({f"features.{key}": value for key, value in theirs.items()}, file)
    run = train(
        spots,
        arch="vgg16",
        width=1.0,
        stages=0,
        epochs=1,
        first_network="none",
        freeze_untied=True,
        weights=str(file),
    )
    got = weights(run)["stages.0.encoder.blocks.4.2.weight"]
    assert torch.equal(got, theirs["28.weight"])
    with pytest.raises(DataError, match="of another network"):
        train(spots, arch="vgg16", width=0.5, weights=str(file))
    with pytest.raises(UsageError, match="are of vgg16; set arch=vgg16"):
        configure("tied_deconv", {"weights": str(file)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 100}, "size=100.*halves films five times.*multiple of 32, 96"),
        ({"stages": 4}, "stages=4 is not one of: 0, 1, 2, 3"),
        ({"arch": "alexnet"}, "is not one of: table1, vgg16"),
        ({"s": 0}, "s=0 is out of range"),
        ({"form": "tanh"}, "is not one of: auto, softmax, relu"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_words(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        configure("tied_deconv", settings)


def test_a_map_of_a_stage_that_was_not_asked_for_is_refused(spots: Path) -> None:
    run = train(spots, stages=0)
    with (
        Project.open(spots) as project,
        pytest.raises(UsageError, match=r"no map 'tdn-1'.*there are: tdn-0"),
    ):
        list(infer.infer(project, "cam", run.folder.id, variant="tdn-1", device="cpu"))


def test_labels_that_teach_nothing_are_refused_and_the_run_is_marked(
    tmp_path: Path,
) -> None:
    source = make_films(tmp_path / "films")
    rows = (source / "labels.csv").read_text().replace(",1,", ",0,")
    (source / "labels.csv").write_text(rows)
    project = import_films(source, tmp_path / "project", masks=False)
    run = Run.prepare("tied_deconv", project, TINY)
    with pytest.raises(DataError, match=r"present on some.*\(spot\).*needs both"):
        list(run)
    assert run.folder.info().state == "failed"


def test_a_finding_without_a_positive_film_is_named_and_the_others_learnt(
    tmp_path: Path,
) -> None:
    source = make_films(tmp_path / "films")
    rows = (source / "labels.csv").read_text().splitlines()
    lines = [rows[0].replace("spot", "spot,never")]
    lines += [row.replace(",t", ",0,t").replace(",v", ",0,v") for row in rows[1:]]
    (source / "labels.csv").write_text("\n".join(lines))
    project = import_films(source, tmp_path / "project", masks=False)
    run = Run.prepare("tied_deconv", project, {**TINY, "stages": 0})
    messages = [event.message for event in run if isinstance(event, Progress)]
    assert "never is not learnt: no training film is labelled as showing it" in messages
    assert checkpoints.read(run.folder.best)[0]["not_learnt"] == ["never"]


def test_a_loss_that_is_no_number_ends_the_run_in_words(
    spots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "bce", lambda logits, *_: logits.sum() * float("nan"))
    with pytest.raises(JobFailed, match="not a number at step 1"):
        train(spots)


def test_the_preset_is_the_paper_s() -> None:
    config = configure("tied_deconv", presets["tdn"]["tied_deconv"])
    rates = (config.learning_rate, config.baseline_rate, config.stage_rate)
    assert rates == (0.01, 0.002, 0.001)
    assert (config.epochs, config.baseline_epochs, config.stage_epochs) == (50, 50, 10)
    assert (config.optimiser, config.momentum, config.batch) == ("sgd", 0.9, 16)
    assert (config.schedule, config.step_epochs, config.step_factor) == (
        "step",
        20,
        0.5,
    )
    assert (config.size, config.s, config.width) == (320, 5.0, 1.0)
