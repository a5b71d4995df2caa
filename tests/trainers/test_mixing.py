"""CheXseg's mix: what is drawn, what is told of it, and what is refused beforehand."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers import training
from helpers.spot_films import import_films, make_films
from napari_wsseg.io import checkpoints, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.pipeline import infer
from trainers.chexseg import _teaching
from trainers.data.targets import Targets
from trainers.engine.recipe import configure
from trainers.engine.run import Run
from trainers.tasks import masks as _masks

TINY: dict[str, Any] = {
    **{"size": 64, "epochs": 3, "batch": 4, "checks": 1, "device": "cpu"},
}


train = partial(training.train, **TINY)


def with_classifier(films: Path, project: Path, *, masks: bool = True) -> Path:
    import_films(films, project, masks=masks)
    run = train(project, "classifier")
    with Project.open(project, write=True) as opened:
        for stage in ("cam", "crf"):
            opened.adopt(stage, run.folder.id, actor="test")
        for _ in infer.infer(opened, "cam", run.folder.id, device="cpu"):
            pass
    return project


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    with_classifier(make_films(folder / "films"), folder / "project")
    return folder


@pytest.fixture
def classed(made_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(made_once, tmp_path / "copy")
    return tmp_path / "copy" / "project"


def mixed(project: Path, **settings: Any) -> Run:
    return train(project, "chexseg", labels="cam", **settings)


def learnt(run: Run) -> dict[str, set[str]]:
    rows = json.loads((run.folder.path / "data.lock.json").read_text())
    return {
        source: {row["case"] for row in rows if row["source"] == source}
        for source in ("expert", "cam")
    }


@pytest.mark.parametrize(
    ("p", "share"), [(0.0, 0.0), (0.3, 0.3), (0.85, 0.85), (1.0, 1.0)]
)
def test_the_share_that_was_drawn_is_in_the_metrics(
    classed: Path, p: float, share: float
) -> None:
    run = mixed(classed, p=p, n_expert=5)
    rows = [row for row in run.folder.metrics() if "loss" in row]
    drawn = len(rows) * TINY["batch"]
    assert abs(rows[-1]["expert_share"] - share) <= 0.5 / drawn + 1e-9
    assert run.folder.info().metrics["expert_share"] == pytest.approx(share, abs=0.1)


def test_p_0_is_weakly_and_p_1_fully_supervised(classed: Path) -> None:
    runs = [mixed(classed, p=p, n_expert=5) for p in (0.0, 1.0)]
    weak, full = (learnt(run) for run in runs)
    assert (len(weak["expert"]), len(full["expert"])) == (0, 5)
    assert weak["cam"]
    assert not full["cam"]
    # Both are trained as long, or the two could not be compared.
    steps = [sum("loss" in row for row in run.folder.metrics()) for run in runs]
    assert steps[0] == steps[1]


def test_at_p_0_expert_masks_do_not_even_weigh_the_pixels(
    classed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[set[int]] = []
    real = Targets.positive_weights

    def spy(self: Targets, *given: float) -> list[float]:
        weighed.append(self.rows())
        return real(self, *given)

    monkeypatch.setattr(Targets, "positive_weights", spy)
    for n_expert in (0, 5):
        mixed(classed, p=0.0, n_expert=n_expert, epochs=1)
    with Project.open(classed) as opened:
        train_rows = [n for n, c in enumerate(opened.cases()) if c.split == "train"]
    every, rest = weighed
    assert every <= set(train_rows)
    assert len(rest) <= len(train_rows) - 5
    assert len(every) > len(rest)


def test_a_second_round_learns_from_the_segmenter_of_the_first(classed: Path) -> None:
    first = mixed(classed, p=1.0).folder.id
    settings = {"p": 0.5, "n_expert": 5, "labels": "segmentation", "labels_run": first}
    second = train(classed, "chexseg", **settings)
    rows = json.loads((second.folder.path / "data.lock.json").read_text())
    drawn, shown = (
        {row["case"] for row in rows if row["source"] == source}
        for source in ("expert", "segmentation")
    )
    assert len(drawn) == 5
    assert shown
    assert not shown & drawn


def test_what_may_have_seen_expert_masks_never_teaches_the_weak_recipe(
    classed: Path,
) -> None:
    with pytest.raises(UsageError, match="labels"):
        train(classed, "segmentation", labels="segmentation")


def test_no_expert_film_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    project = import_films(
        make_films(tmp_path / "films"), tmp_path / "project", masks=False
    )
    with pytest.raises(
        DataError, match=r"no training film has an expert.*p=0.5; paint"
    ):
        mixed(project, p=0.5)
    with pytest.raises(DataError, match=r"p=1 asks for expert films alone.*are weak"):
        mixed(project, p=1.0)
    assert not (project / "cache").exists()


def test_masks_of_a_finding_that_is_no_more_are_refused(classed: Path) -> None:
    toml = classed / "wsseg.toml"
    toml.write_text(toml.read_text().replace('"spot"', '"stain"'))
    with pytest.raises(DataError, match=r"does not have: spot \(\d+ films\).*stain"):
        mixed(classed, p=0.5)


def test_an_empty_test_split_is_refused_unless_it_is_wanted(tmp_path: Path) -> None:
    films = make_films(tmp_path / "films")
    with (films / "labels.csv").open() as file:
        rows = [[*row[:2], row[2].replace("test", "val")] for row in csv.reader(file)]
    with (films / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    project = import_films(films, tmp_path / "project")
    with pytest.raises(DataError, match=r"no film is in the test split.*untested=true"):
        mixed(project, p=0.5)
    assert not (project / "cache").exists()
    # Past that check the next thing is missing.
    with pytest.raises(DataError, match="wsseg train classifier"):
        mixed(project, p=0.5, untested=True)


def test_weak_maps_that_show_nothing_are_told_at_p_0(classed: Path) -> None:
    with Project.open(classed) as opened:
        run = opened.adopted("cam")
        assert run
        for case in opened.cases():
            maps = stages.read(classed, "cam", run, case.id)
            assert maps is not None
            maps.score[:] = 0
            stages.write(classed, "cam", run, case.id, maps)
    with Project.open(classed, write=True) as opened:
        for case in opened.cases():
            opened.labels.put(case.id, {"spot": 1})
    with pytest.raises(
        DataError, match=r"weak masks \(cam\) show nothing of any training"
    ):
        mixed(classed, p=0.0)


@pytest.mark.parametrize(("weight", "drawn"), [(0.0, [1]), (0.3, [0, 1])])
def test_films_that_teach_no_mask_take_no_place_of_a_batch(
    weight: float, drawn: list[int]
) -> None:
    targets = Targets(8, 1)
    for row, shown in enumerate((False, True)):
        targets.put(row, 0, np.full((8, 8), shown))
    config = configure("chexseg", {"absent_weight": weight})
    assert _teaching(config, targets, [0, 1]) == drawn
    assert _teaching(config, targets, [0]) == [0]


@pytest.mark.parametrize("balance", ["none", "presence", "findings"])
def test_films_are_balanced_by_what_their_masks_show(balance: str) -> None:
    targets = Targets(8, 2)
    full, empty = torch.ones(8, 8).bool().numpy(), torch.zeros(8, 8).bool().numpy()
    for row in range(9):
        targets.put(row, 0, full if row < 4 else empty)
        targets.put(row, 1, full if row == 4 else empty)
    drawn = _masks.pool(balance, targets, range(9))
    shares = [
        sum(row < 4 for row in drawn) / len(drawn),
        sum(row == 4 for row in drawn) / len(drawn),
        sum(row > 4 for row in drawn) / len(drawn),
    ]
    expected = {
        "none": [4 / 9, 1 / 9, 4 / 9],
        "presence": [0.4, 0.1, 0.5],
        "findings": [1 / 3, 1 / 3, 1 / 3],
    }
    assert shares == pytest.approx(expected[balance])


@pytest.mark.parametrize("recipe", ["segmentation", "chexseg"])
@pytest.mark.parametrize("balance", ["none", "presence", "findings"])
def test_a_segmenter_trains_at_every_balance(
    classed: Path, recipe: str, balance: str
) -> None:
    run = train(classed, recipe, labels="cam", balance=balance, epochs=1)
    assert run.folder.info().state == "done"


def test_a_still_encoder_keeps_the_classifiers_weights(classed: Path) -> None:
    run = mixed(classed, p=0.5, encoder_rate=0.0, weight_decay=0.0, average=0.0)
    header, weights = checkpoints.read(run.folder.best)
    source = header["start"].removeprefix("run ")
    _, theirs = checkpoints.read(classed / "runs" / source / "best.safetensors")
    name = "layer1.0.conv1.weight"
    assert torch.equal(weights[f"net.encoder.{name}"], theirs[f"backbone.{name}"])
    assert (
        f"Encoder started from: run {source}"
        in (run.folder.path / "card.md").read_text()
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "resnet34"}, "random weights: it is a resnet18 of 1 channels"),
        ({"channels": 3}, "the encoder a resnet18 of 3"),
        ({"normalisation": "imagenet"}, "normalised as film, not imagenet"),
    ],
)
def test_what_an_encoder_really_starts_from_is_written_down(
    classed: Path, settings: dict[str, Any], message: str
) -> None:
    run = mixed(classed, p=0.5, epochs=1, **settings)
    assert message in checkpoints.read(run.folder.best)[0]["start"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "moco"}, "no run of moco is done.*wsseg train moco"),
        ({"init": "file"}, "init=file needs the file"),
        ({"init": "file", "init_from": "/none.pt"}, "there is no weights file"),
        ({"init_from": "RUN", "encoder": "resnet34"}, "cannot start from .*resnet18"),
    ],
)
def test_a_start_that_cannot_be_had_is_refused(
    classed: Path, settings: dict[str, Any], message: str
) -> None:
    with Project.open(classed) as opened:
        run = opened.adopted("cam")
    if settings.get("init_from") == "RUN":
        settings = {**settings, "init_from": run}
    with pytest.raises(DataError, match=message):
        mixed(classed, p=0.5, **settings)
