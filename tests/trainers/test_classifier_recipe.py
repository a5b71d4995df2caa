"""What the recipe classifier does with labels, weights and films that teach nothing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from helpers.spot_films import import_films, make_films
from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, Progress, WssegError
from napari_wsseg.nn import losses
from napari_wsseg.schema import IGNORE
from trainers.data.batches import Labels
from trainers.engine.run import Run
from trainers.tasks import image_labels as _image_labels

TINY = {"size": 64, "epochs": 1, "batch": 4, "checks": 1, "device": "cpu"}


def relabelled(tmp_path: Path, **columns: str) -> Path:
    """Make the spots project with labels of the given columns, a letter a film.

    ``+`` present, ``-`` absent, ``?`` uncertain; the last letter is repeated.
    """
    films = make_films(tmp_path / "films")
    with (films / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = {"+": "1", "-": "0", "?": "-1"}
    for number, row in enumerate(rows):
        for name, letters in columns.items():
            row[name] = cells[letters[min(number, len(letters) - 1)]]
    with (films / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return import_films(films, tmp_path / "project", masks=False)


def failing(project: Path, **settings: Any) -> tuple[WssegError, Run]:
    run = Run.prepare("classifier", project, {**TINY, **settings})
    with pytest.raises(WssegError) as error:
        list(run)
    assert run.folder.info().state == "failed"
    assert run.folder.info().message == str(error.value)
    assert not run.folder.best.exists()
    return error.value, run


@pytest.mark.parametrize(
    ("taken_for", "value"), [("ignore", IGNORE), ("zeros", 0), ("ones", 1)]
)
def test_an_uncertain_label_is_what_the_settings_say(
    tmp_path: Path, taken_for: str, value: int
) -> None:
    with Project.open(relabelled(tmp_path, spot="?+-")) as project:
        labels = Labels.from_project(project, uncertain=taken_for)
    assert labels.targets[:3, 0].tolist() == [value, 1, 0]
    logits = torch.zeros(3, 1, requires_grad=True)
    losses.bce(logits, labels.targets[:3]).backward()
    assert logits.grad is not None
    pulls = {IGNORE: 0, 0: 1, 1: -1}
    assert logits.grad[0].sign().item() == pulls[value]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_positive_films_keep_their_share_however_rare_they_are(
    tmp_path: Path, share: float
) -> None:
    with Project.open(relabelled(tmp_path, spot="++-")) as project:
        labels = Labels.from_project(project)
    train = labels.known_in("train")
    sampler = _image_labels.sampler(labels, train, share=share, batch=8, seed=0)
    for step in range(10):
        positive = (labels.targets[sampler(step)] == 1).sum()
        assert positive == share * 8


def test_a_finding_that_no_film_shows_is_named_and_the_others_are_learnt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = relabelled(tmp_path, rare="-", common="+")
    run = Run.prepare("classifier", project, TINY)
    messages = [event.message for event in run if isinstance(event, Progress)]
    for name, why in (("rare", "showing it"), ("common", "free of it")):
        text = f"{name} is not learnt: no training film is labelled as {why}"
        assert text in messages
    assert "rare is not learnt" in caplog.text
    assert run.folder.info().state == "done"
    header, _ = checkpoints.read(run.folder.best)
    assert header["not_learnt"] == ["rare", "common"]
    assert header["findings"] == ["spot", "rare", "common"]
    card = (run.folder.path / "card.md").read_text()
    assert "Not learnt, for want of films: rare, common" in card


def test_without_any_finding_to_learn_the_run_fails_in_words(tmp_path: Path) -> None:
    error, _ = failing(relabelled(tmp_path, spot="-", other="+"))
    assert isinstance(error, DataError)
    assert "no finding is present on some training films and absent" in str(error)
    assert "(spot, other)" in str(error)


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "densenet121"])
def test_weights_of_another_network_fail_the_run_and_nothing_else(
    spots: Path, tmp_path: Path, arch: str
) -> None:
    file = tmp_path / "resnet34.pt"
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), file)
    before = {path: path.read_bytes() for path in spots.glob("*.*") if path.is_file()}
    error, _ = failing(spots, arch=arch, weights=str(file))
    assert isinstance(error, DataError)
    assert "network" in str(error)
    assert all(path.read_bytes() == was for path, was in before.items())
    assert not (spots / "stages").exists()


def test_a_weights_file_starts_the_trunk(spots: Path, tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(state, tmp_path / "weights.pt")
    settings = {**TINY, "weights": str(tmp_path / "weights.pt"), "channels": 3}
    run = Run.prepare("classifier", spots, {**settings, "learning_rate": 1e-7})
    list(run)
    _, weights = checkpoints.read(run.folder.best)
    torch.testing.assert_close(
        weights["backbone.conv1.weight"], state["conv1.weight"], rtol=0, atol=1e-4
    )


def test_without_a_network_imagenet_fails_with_a_remedy(
    spots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_args: object, **_options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    error, _ = failing(spots, weights="imagenet")
    assert isinstance(error, JobFailed)
    assert "give a weights file, or train from random weights" in str(error)


def test_a_file_that_is_not_there_is_named(spots: Path) -> None:
    error, _ = failing(spots, weights="imagenett")
    assert "there is no weights file imagenett" in str(error)
    assert len(runs.listing(spots)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"dropblock": 0.2, "dropblock_schedule": "ten-steps", "dropblock_levels": "0"},
        {"dropblock": 0.2, "dropblock_compat": True, "dropblock_size": 3},
        {"extra_convs": "yes", "head_rate": 10.0, "choose_by": "val_auroc"},
        {"normalisation": "imagenet-rgb", "channels": 3},
    ],
)
def test_what_is_chosen_trains_and_is_kept_with_the_weights(
    spots: Path, settings: dict[str, Any]
) -> None:
    run = Run.prepare("classifier", spots, {**TINY, **settings})
    list(run)
    assert run.folder.info().state == "done"
    header, _ = checkpoints.read(run.folder.best)
    spec = header["network"]
    assert spec["dropblock"] == settings.get("dropblock", 0.0)
    assert spec["block"] == settings.get("dropblock_size", 7)
    assert spec["extra_convs"] == (settings.get("extra_convs") == "yes")
    assert header["normalisation"] == settings.get("normalisation", "film")
