"""IRNet's recipe: which branch learns, and that a field's mean is taken off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.spot_films import import_films, make_films
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import networks
from trainers import irnet
from trainers.data.batches import Labels
from trainers.engine.run import Run


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("irnet")
    project = import_films(make_films(folder / "films"), folder / "project")
    small = {"size": 64, "epochs": 1, "batch": 4, "checks": 1, "device": "cpu"}
    run = Run.prepare("classifier", project, small)
    for _ in run:
        pass
    with Project.open(project, write=True) as opened:
        opened.adopt("cam", run.folder.id, actor="test")
    return project


def trained(project: Path, **settings: object) -> tuple[IRNet, IRNet]:
    """Return IRNet before and after a short training."""
    small = {
        "epochs": 2,
        "batch": 4,
        "checks": 1,
        "radius": 4,
        "device": "cpu",
        "average": 0.0,
    }
    run = Run.prepare("irnet", project, {**small, **settings})
    for _ in run:
        pass
    model, _ = networks.load(project, run.folder.id)
    assert isinstance(model, IRNet)
    torch.manual_seed(0)
    return irnet._network(model.backbone), model


@pytest.mark.parametrize("positives_only", [True, False])
def test_without_displacement_that_branch_does_not_learn(
    classified: Path, positives_only: bool
) -> None:
    before, after = trained(classified, positives_only=positives_only)
    assert torch.equal(before.displacement_out.weight, after.displacement_out.weight)
    assert not torch.equal(before.edge_out.weight, after.edge_out.weight)
    assert not after.mean_shift.mean.any()


def test_with_displacement_both_learn_and_the_mean_is_known(classified: Path) -> None:
    before, after = trained(classified, displacement=True)
    assert not torch.equal(
        before.displacement_out.weight, after.displacement_out.weight
    )
    assert after.mean_shift.mean.any()


@pytest.mark.parametrize("displacement", [True, False])
def test_a_field_that_was_learned_is_kept_with_the_boundary(
    classified: Path, displacement: bool
) -> None:
    small = {"epochs": 1, "batch": 4, "checks": 1, "radius": 4, "device": "cpu"}
    run = Run.prepare("irnet", classified, {**small, "displacement": displacement})
    for _ in run:
        pass
    with Project.open(classified) as project:
        for _ in infer(project, "irnet", run.folder.id):
            pass
        maps = stages.read(classified, "irnet", run.folder.id, project.cases()[0].id)
    side = maps.extra["boundary"].shape[-1]
    assert ("displacement" in maps.extra) == displacement
    if displacement:
        assert maps.extra["displacement"].shape == (2, side, side)


def test_centred_fields_have_no_mean_and_centring_twice_changes_nothing() -> None:
    torch.manual_seed(0)
    model = IRNet(Classifier("resnet18", 1)).eval()
    batches = [torch.rand(3, 1, 64, 64), torch.rand(1, 1, 64, 64)]
    with torch.no_grad():
        irnet._centre(model, batches)
        mean = model.mean_shift.mean.clone()
        fields = torch.cat([model(images)[1] for images in batches])
        irnet._centre(model, batches)
    assert mean.any()
    assert fields.mean((0, 2, 3)).abs().max() < 1e-5
    torch.testing.assert_close(model.mean_shift.mean, mean)


@pytest.mark.parametrize("count", [0, 1, 256, 257, 5000])
def test_the_mean_is_taken_of_films_from_everywhere(count: int) -> None:
    rows = irnet._evenly_spaced(list(range(count)))
    assert len(rows) <= 256
    assert len(rows) >= min(count, 128)
    assert not rows or rows[-1] >= count * 0.9 - 1


@pytest.mark.parametrize("parts", [True, False])
def test_the_share_of_positive_films_with_pairs_is_told_and_a_small_one_warned_of(
    classified: Path,
    parts: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seeds = torch.full((1, 1, 16, 16), 255, dtype=torch.uint8)
    seeds[..., :4], seeds[..., 5 if parts else 12 :] = 1, 0
    monkeypatch.setattr(irnet, "_seeds", lambda *_, **__: seeds)
    with Project.open(classified) as project:
        labels = Labels.from_project(project)
        rows = labels.known_in("train")
        progress = irnet._with_pairs(project, "run", labels, rows, 64, 4)
    positive = sum(bool((labels.targets[row] == 1).any()) for row in rows)
    assert positive < len(rows)  # a negative film has no boundary to show
    assert progress.startswith(f"{positive if parts else 0} of {positive} films")
    assert ("no finding beside background" in caplog.text) == (not parts)


def test_a_runs_card_says_how_many_films_have_pairs(classified: Path) -> None:
    small = {"epochs": 1, "batch": 4, "checks": 1, "radius": 4, "device": "cpu"}
    run = Run.prepare("irnet", classified, small)
    messages = [event.message for event in run if isinstance(event, Progress)]
    message = next(text for text in messages if "seeds of a boundary" in text)
    assert message in (run.folder.path / "card.md").read_text()


def test_a_new_irnet_lays_its_levels_where_they_look(classified: Path) -> None:
    _, model = trained(classified, epochs=1)
    assert model.cells is not None
