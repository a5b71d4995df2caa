"""Lesions planted into films that have none, and hearts as weak masks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from helpers.chest_project import make_chests, use_classifier
from helpers.training import train
from napari_wsseg.io import film_cache
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.phantom import generate, planting
from napari_wsseg.phantom.planting import KINDS, kind_of, plant, spot
from napari_wsseg.schema import Mask
from trainers.data.batches import Labels
from trainers.sweep.plan import pinned
from trainers.tasks import look_alikes, source_choice
from trainers.tasks.look_alikes import LookAlikes
from trainers.tasks.weak_masks import organ


@pytest.fixture(scope="module")
def film() -> tuple[NDArray[np.float32], tuple[Mask, Mask]]:
    made = generate(11, size=160, findings=())
    greys = np.asarray(made.pixels / 4095, np.float32)
    heart = made.anatomy["heart"]
    return greys, (
        made.anatomy["left_lung"] & ~heart,
        made.anatomy["right_lung"] & ~heart,
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_lesion_is_inside_one_lung_and_seen_where_its_mask_says(
    film: tuple[NDArray[np.float32], tuple[Mask, Mask]], kind: str
) -> None:
    greys, lungs = film
    for seed in range(5):
        changed, mask = plant(greys, lungs, kind, np.random.default_rng(seed))
        assert mask.any()
        sides = [float((mask & lung).sum()) for lung in lungs]
        assert max(sides) == mask.sum()
        difference = changed - greys
        sign = -1 if kind == "pneumothorax" else 1
        assert sign * difference[mask].mean() > 0.01
        away = np.abs(difference[~(lungs[0] | lungs[1])])
        assert away.mean() < 0.1 * np.abs(difference[mask]).mean()


def test_the_same_seed_plants_the_same_lesion(
    film: tuple[NDArray[np.float32], tuple[Mask, Mask]],
) -> None:
    greys, lungs = film
    for kind in KINDS:
        once, twice, other = (
            plant(greys, lungs, kind, np.random.default_rng(seed)) for seed in (1, 1, 2)
        )
        assert np.array_equal(once[0], twice[0])
        assert np.array_equal(once[1], twice[1])
        assert not np.array_equal(once[1], other[1])


def test_a_film_without_lungs_is_left_as_it_is() -> None:
    greys, none = np.full((64, 64), 0.5, np.float32), np.zeros((64, 64), bool)
    changed, mask = plant(greys, (none, none), "nodule", np.random.default_rng(0))
    assert np.array_equal(changed, greys)
    assert not mask.any()


def test_a_spot_is_dense_or_lucent_and_seen_where_its_mask_says(
    film: tuple[NDArray[np.float32], tuple[Mask, Mask]],
) -> None:
    greys, signs = film[0], set()
    for seed in range(12):
        changed, mask = spot(greys, (0.4, 0.3), np.random.default_rng(seed))
        again, _ = spot(greys, (0.4, 0.3), np.random.default_rng(seed))
        assert np.array_equal(changed, again)
        difference = changed - greys
        inside = difference[mask].mean()
        signs.add(float(np.sign(inside)))
        assert np.abs(difference[~mask]).mean() < 0.2 * abs(inside)
        middle = np.argwhere(mask).mean(0) / 160
        assert np.abs(middle - (0.4, 0.3)).max() < 0.2
        assert 0.002 < mask.mean() < 0.2
    assert signs == {-1.0, 1.0}


class _Brightness(torch.nn.Module):
    """A classifier for which what is bright in the middle has the finding."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(20.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = images[:, 0, 20:44, 20:44]
        return self.scale * (inner.mean((1, 2)) - images.mean((1, 2, 3)))[:, None]


def test_spots_are_kept_that_the_classifier_takes_for_the_finding() -> None:
    header = {"size": 64, "normalisation": "film", "network": {}, "flip": False}
    rng = np.random.default_rng(0)
    film = np.asarray(0.5 + 0.1 * rng.standard_normal((64, 64)), np.float32)
    sites = {0: np.array([[0.5, 0.5]])}
    judge = LookAlikes(_Brightness(), header, np.array([3.0]), sites)
    kept = [judge.plant(film, 0, np.random.default_rng(seed)) for seed in range(6)]
    assert all(mask.any() for _, mask in kept)
    assert all((changed - film)[mask].mean() > 0 for changed, mask in kept)
    share = judge.share([film] * 8, 0, rng)
    assert 0.1 < share <= 0.55  # dense ones alone
    blind = replace(judge, cuts=np.array([1e6]))
    assert not blind.plant(film, 0, rng)[1].any()
    bright = film.copy()
    bright[20:44, 20:44] += 0.4  # has the finding before anything is planted
    assert judge.share([bright], 0, rng) == 0


def test_names_of_data_sets_are_known() -> None:
    assert kind_of("Pleural_Effusion") == "pleural effusion"
    assert kind_of("Lung Lesion") == "nodule"
    assert kind_of("Cardiomegaly") is None


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of synthetic chests with a classifier in use."""
    folder = tmp_path_factory.mktemp("planted")
    made = make_chests(folder, n=16, size=96)
    use_classifier(made)
    return made


@pytest.mark.parametrize("recipe", ["segmentation", "chexseg"])
def test_a_segmenter_learns_planted_lesions_beside_the_negatives(
    chests: Path, recipe: str
) -> None:
    run = train(
        chests, recipe, labels="planted", size=64, epochs=1, batch=4,
        **({"p": 0.5, "n_expert": 4} if recipe == "chexseg" else {}),
    )  # fmt: skip
    assert run.folder.info().state == "done"
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    with Project.open(chests) as project:
        train_ids = {case.id for case in project.cases("train")}
    assert {row["case"] for row in locked} <= train_ids
    assert any(row["source"] == "planted" for row in locked)


def test_hearts_teach_a_segmenter_on_every_film(chests: Path) -> None:
    run = train(chests, "segmentation", labels="anatomy", size=64, epochs=1, batch=4)
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    with Project.open(chests) as project:
        train_ids = {case.id for case in project.cases("train")}
    assert {row["case"] for row in locked} == train_ids
    assert {row["finding"] for row in locked} == {"cardiomegaly"}


def test_findings_that_the_generator_does_not_know_are_said(
    chests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planting, "_NAMES", {})
    with pytest.raises(
        DataError, match=r"the generator plants nodule, .*knows none of"
    ):
        train(chests, "segmentation", labels="planted", size=64, epochs=1, batch=4)


def test_an_unknown_finding_is_learnt_from_spots_taken_for_it(
    chests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dense(
        _judge: LookAlikes, film: Mask, tried: list[tuple[Mask, Mask]], _k: int
    ) -> Mask:
        return np.array([changed.mean() > film.mean() for changed, _ in tried])

    monkeypatch.setattr(planting, "_NAMES", {})
    monkeypatch.setattr(LookAlikes, "_taken", dense)
    monkeypatch.setattr(source_choice, "_auroc_of_classifier", lambda *_: 0.9)
    run = train(chests, "segmentation", labels="auto", size=64, epochs=1, batch=4)
    choices = run.folder.choices()
    assert choices["nodule"].startswith("spots: the classifier takes")
    assert not choices["cardiomegaly"].startswith("spots")
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    assert {row["source"] for row in locked if row["finding"] == "nodule"} == {"spots"}


def test_another_network_judges_no_spots(
    chests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {"network": {"kind": "tied_deconv"}}
    network = torch.nn.Identity(), header
    with Project.open(chests) as project, monkeypatch.context() as patched:
        patched.setattr(look_alikes.networks, "load", lambda *_, **__: network)
        labels = Labels.from_project(project)
        films = finish(film_cache.films(project, 64))
        judge = look_alikes.asked(project, films, labels, ["nodule"], "some", "cpu")
    assert not judge.sites
    monkeypatch.setattr(look_alikes, "asked", lambda *_: judge)
    with pytest.raises(DataError, match="spots want a classifier that has maps"):
        train(chests, "segmentation", labels="spots", size=64, epochs=1, batch=4)


def test_spots_that_are_taken_for_nothing_teach_nothing(
    chests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_alikes.LookAlikes, "share", lambda *_: 0.02)
    monkeypatch.setattr(planting, "_NAMES", {})
    monkeypatch.setattr(source_choice, "_auroc_of_classifier", lambda *_: 0.9)
    run = train(chests, "segmentation", labels="auto", size=64, epochs=1, batch=4)
    assert not run.folder.choices()["nodule"].startswith(("spots", "planted"))


@pytest.mark.parametrize("labels", ["auto", "planted", "spots", "anatomy", "cam"])
def test_a_sweep_pins_the_runs_that_any_weak_masks_go_back_to(
    chests: Path, labels: str
) -> None:
    empty = {"labels": labels, "classifier_run": "", "labels_run": ""}
    with Project.open(chests) as project:
        named = pinned(project, "chexseg", empty)
        used = project.adopted("cam")
    assert used
    assert named["classifier_run"] == used
    assert named["labels_run"] == (used if labels == "cam" else "")


def test_labels_auto_chooses_for_each_finding_and_says_why(chests: Path) -> None:
    run = train(chests, "segmentation", labels="auto", size=64, epochs=1, batch=4)
    with Project.open(chests) as project:
        findings = {finding.name for finding in project.findings}
    choices = run.folder.choices()
    assert set(choices) == findings
    assert choices["nodule"].startswith("planted")
    card = (run.folder.path / "card.md").read_text()
    assert all(why in card for why in choices.values())
    locked = json.loads((run.folder.path / "data.lock.json").read_text())
    sources = {row["finding"]: row["source"] for row in locked}
    assert all(choices[name].startswith(source) for name, source in sources.items())


@pytest.mark.parametrize(("each", "source"), [(4, "anatomy"), (8, "irnet")])
def test_a_few_films_do_not_speak_against_the_organ_that_a_finding_is(
    chests: Path, monkeypatch: pytest.MonkeyPatch, each: int, source: str
) -> None:
    monkeypatch.setattr(source_choice, "_overlaps", lambda *_: {})
    monkeypatch.setattr(source_choice, "_auroc_of_width", lambda *_: 0.58)
    with Project.open(chests) as project:
        cases = tuple(project.cases()) * 2
        labels = Labels(
            tuple(replace(case, split="train") for case in cases[: 2 * each]),
            ("cardiomegaly",),
            torch.tensor([[0.0], [1.0]] * each),
        )
        runs = {"irnet": "some", "cam": "some"}
        chosen = source_choice._chosen(project, labels, 0, runs, ("heart",), 0.0)
    assert chosen.source == source
    assert "0.58" in chosen.why


def test_an_organ_has_no_dents_and_takes_no_lung() -> None:
    heart = np.zeros((40, 40), bool)
    heart[10:30, 10:30] = True
    heart[10:20, 18:22] = False  # a dent
    lung = np.zeros_like(heart)
    lung[10:14, 18:22] = True
    found = {"heart": heart, "left_lung": lung, "right_lung": np.zeros_like(lung)}
    drawn = organ(found, ["heart"])
    assert drawn[15:20, 18:22].all()
    assert not drawn[lung].any()
    assert drawn[heart].all()
    nothing = dict.fromkeys(found, np.zeros_like(heart))
    assert not organ(nothing, ["heart"]).any()
