"""Heart and lungs on any film at once, and findings kept to their places."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.chest_project import make_chests
from napari_wsseg.cli import main
from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError, finish
from napari_wsseg.ops import metrics
from napari_wsseg.ops.chest import measure
from napari_wsseg.phantom import STRUCTURES, generate
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import kept_places, places
from napari_wsseg.schema import ANATOMY, StageMaps


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of four synthetic chests whose anatomy has been looked at."""
    folder = tmp_path_factory.mktemp("chests")
    made = make_chests(folder, n=4, size=160)
    assert main(["infer", "anatomy", "-p", str(made)]) == 0
    return made


def test_heart_and_lungs_are_found_without_any_training(chests: Path) -> None:
    with Project.open(chests) as project:
        for case in project.cases():
            found = anatomy.masks(project, case)
            assert tuple(found) == STRUCTURES
            lungs = found["left_lung"] | found["right_lung"]
            assert found["heart"].shape == case.shape
            assert 0.1 < lungs.mean() < 0.7
            # The patient's left is on the right of the film.
            middle = {n: np.nonzero(m)[1].mean() for n, m in found.items() if m.any()}
            assert middle["right_lung"] < middle["heart"] < middle["left_lung"]


def test_the_heart_on_unseen_usual_films_is_the_one_that_casts_the_shadow(
    chests: Path,
) -> None:
    with Project.open(chests) as project:
        overlaps = []
        for case in project.cases():
            drawn = project.expert_masks(case.id).get("cardiomegaly")
            if drawn is not None and drawn.any():
                overlaps.append(
                    metrics.iou(anatomy.masks(project, case)["heart"], drawn)
                )
    assert overlaps
    assert min(overlaps) > 0.6


def test_the_ratio_is_the_hearts_width_over_the_chests() -> None:
    masks = {name: np.zeros((20, 40), bool) for name in STRUCTURES}
    masks["heart"][8:15, 12:24] = True
    masks["left_lung"][2:18, 24:38] = True
    masks["right_lung"][2:18, 2:12] = True
    found = measure(masks)
    assert found.cardiothoracic_ratio == pytest.approx(12 / 36)
    assert found.heart == pytest.approx(7 * 12 / 800)
    masks["heart"][:] = False
    assert measure(masks).cardiothoracic_ratio is None


def test_maps_are_dimmed_where_a_finding_cannot_be_and_nowhere_else(
    chests: Path,
) -> None:
    film = generate(5, size=128, findings=())
    found = {name: film.anatomy[name].astype(np.float32) for name in STRUCTURES}
    for place in places.PLACES:
        weight = places.weight(found, place)
        assert weight.min() >= places.DIMMED - 1e-6
        assert weight.max() <= 1 + 1e-6
        assert weight[film.anatomy["markers"]].mean() < 0.5
    heart = places.weight(found, "heart")
    assert heart[film.anatomy["heart"]].mean() > 0.85
    lungs = places.weight(found, "lungs")
    both = film.anatomy["left_lung"] | film.anatomy["right_lung"]
    assert lungs[both].mean() > 0.85
    assert lungs[100:, :].mean() < lungs[both].mean() / 2


def test_where_no_chest_is_found_nothing_is_dimmed() -> None:
    nothing = {name: np.zeros((32, 32), np.float32) for name in STRUCTURES}
    for place in places.PLACES:
        assert (places.weight(nothing, place) == 1).all()


def test_a_finding_without_a_place_keeps_its_map(chests: Path) -> None:
    with Project.open(chests) as project:
        case = project.cases()[0]
        limits = kept_places.Places(
            project, anatomy.SHIPPED, ("nodule", "riddle"), {"nodule": "lungs"}
        )
        maps = StageMaps(np.ones((2, 64, 64), np.float32), np.ones(2, np.float32))
        placed = limits.apply("irnet", case, maps)
    assert (placed.score[1] == 1).all()
    assert placed.score[0].min() < 0.2 < 0.9 < placed.score[0].max()


def test_wsseg_toml_says_where_findings_can_be_and_turns_it_off(chests: Path) -> None:
    toml = chests / "wsseg.toml"
    before = toml.read_text()
    try:
        with Project.open(chests) as project:
            assert places.project_places(project)["nodule"] == "lungs"
            assert places.project_places(project)["cardiomegaly"] == "heart"
        toml.write_text(before + '\n[places]\nnodule = "anywhere"\n')
        with Project.open(chests) as project:
            assert places.project_places(project)["nodule"] == "anywhere"
        toml.write_text("places = false\n" + before)
        with Project.open(chests) as project:
            assert places.project_places(project) == {}
        toml.write_text(before + '\n[places]\nnodule = "liver"\n')
        with (
            Project.open(chests) as project,
            pytest.raises(DataError, match="'liver' is no place; there are: lungs"),
        ):
            places.project_places(project)
        toml.write_text(before + '\n[places]\nwart = "lungs"\n')
        with (
            Project.open(chests) as project,
            pytest.raises(DataError, match="'wart' is not a finding"),
        ):
            places.project_places(project)
        toml.write_text('places = "lungs"\n' + before)
        with pytest.raises(DataError, match="write false, or a table"):
            Project.open(chests)
    finally:
        toml.write_text(before)


def test_every_default_names_a_place_there_is() -> None:
    assert set(places.DEFAULTS.values()) <= set(places.PLACES)


def test_looking_again_changes_nothing_and_one_map_is_all_there_is(
    chests: Path,
) -> None:
    with Project.open(chests) as project:
        case = project.cases()[0].id
        first = stages.read(chests, ANATOMY, anatomy.SHIPPED, case)
        finish(infer(project, ANATOMY, anatomy.SHIPPED, again=True, device="cpu"))
        second = stages.read(chests, ANATOMY, anatomy.SHIPPED, case)
        assert first is not None
        assert second is not None
        assert np.array_equal(first.score, second.score)
        with pytest.raises(UsageError, match="one map"):
            finish(infer(project, ANATOMY, anatomy.SHIPPED, variant="cam@5"))


def test_a_table_of_measurements_has_the_ratio(chests: Path, tmp_path: Path) -> None:
    import csv

    from napari_wsseg.cli import main

    assert main(["export", "csv", "-p", str(chests), "-o", str(tmp_path / "o")]) == 0
    with (tmp_path / "o" / "measurements.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert all(0.2 < float(row["machine_cardiothoracic_ratio"]) < 0.9 for row in rows)


def _toml(project: Path, **more: object) -> None:
    path = project / "wsseg.toml"
    lines = "".join(f'{key} = "{value}"\n' for key, value in more.items())
    path.write_text(lines + path.read_text())


def test_a_prior_is_the_place_of_every_finding_that_has_none_of_its_own(
    chests: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "p"
    shutil.copytree(chests, copy)
    (copy / "wsseg.toml").write_text(
        (copy / "wsseg.toml").read_text() + '# mine\n[places]\nnodule = "heart"\n'
    )
    findings = ("nodule", "cardiomegaly", "consolidation")
    for prior, expected in (
        ("lungs", {"nodule": "heart", "cardiomegaly": "lungs"}),
        ("none", {}),
        ("", {"nodule": "heart", "cardiomegaly": "heart"}),
    ):
        with Project.open(copy, write=True) as project:
            project.set_prior(prior)
            found = places.project_places(project)
            assert {k: v for k, v in found.items() if k in expected} == expected
            assert bool(found) == bool(expected)
            # A run that was trained without places is kept to a prior all the same.
            limits = kept_places.for_stage(project, {"findings": findings})
            assert (limits is not None) == (prior == "lungs")
        text = (copy / "wsseg.toml").read_text()
        assert "# mine" in text
        assert text.count("prior") == (prior != "")
    _toml(copy, prior="moon")
    with Project.open(copy) as project, pytest.raises(DataError, match="moon"):
        places.project_places(project)


@pytest.mark.slow
def test_maps_are_made_anew_from_the_lowest_stage_on_when_a_prior_is_set(
    tmp_path: Path,
) -> None:
    copy = make_chests(tmp_path, n=16, size=96, masks=False)
    on = ["-p", str(copy)]
    tiny = ["size=64", "epochs=1", "batch=4", "device=cpu"]
    assert main(["train", "classifier", *on, "--set", *tiny]) == 0

    def heat(stage: str) -> np.ndarray:
        with Project.open(copy) as project:
            run = project.adopted(stage)
            assert run
            read = [stages.read(copy, stage, run, c.id) for c in project.cases()]
        return np.stack([maps.score for maps in read if maps is not None])

    free = {stage: heat(stage) for stage in ("cam", "crf")}
    assert main(["infer", "crf", *on, "--prior", "lungs"]) == 0
    kept = {stage: heat(stage) for stage in ("cam", "crf")}
    assert not np.allclose(free["cam"], kept["cam"])
    assert not np.allclose(free["crf"], kept["crf"])
    assert main(["infer", "crf", *on, "--prior", "auto"]) == 0
    np.testing.assert_allclose(heat("cam"), free["cam"], atol=1e-3)
    assert main(["infer", "anatomy", *on, "--processes", "2", "--prior", "lungs"]) == 2


def test_masks_from_elsewhere_take_the_place_of_what_our_network_finds(
    chests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, drawn = tmp_path / "p", tmp_path / "masks"
    shutil.copytree(chests, copy)
    with Project.open(copy) as project:
        first, second, *_ = project.cases()
    (drawn / "lungs").mkdir(parents=True)
    mask = np.zeros(first.shape, bool)
    mask[20:90, 20:140] = True
    Image.fromarray(mask).save(drawn / "lungs" / f"{Path(first.path).stem}.png")
    (drawn / "riddle").mkdir()
    Image.fromarray(mask).save(drawn / "riddle" / f"{Path(first.path).stem}.png")
    arguments = ["infer", "anatomy", "-p", str(copy), "--masks", str(drawn)]
    assert main([*arguments, "--name", "pspnet"]) == 0
    output = capsys.readouterr().err
    assert "rejected" in output
    assert "riddle" in output
    with Project.open(copy) as project:
        run = anatomy.run_in_use(project)
        assert run.startswith("pspnet")
        ours = anatomy.masks(project, second, anatomy.SHIPPED)
        for name, found in anatomy.masks(project, second).items():
            assert (found == ours[name]).all(), name
        found = anatomy.masks(project, first)
        for lung in ("left_lung", "right_lung"):
            assert metrics.iou(found[lung], mask) > 0.9
        limits = kept_places.Places(project, run, ("a",), {"a": "lungs"})
        weight = limits.weights(first)[0]
        assert weight.max() > 0.9
        assert weight[-5:].max() < 0.2
    assert main(["infer", "cam", "-p", str(copy), "--masks", str(drawn)]) == 2
    shutil.rmtree(drawn)
    drawn.mkdir()
    assert main(arguments) == 3


def test_the_example_writes_the_masks_of_torchxrayvisions_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in answers as the package's network does; its weights lie on a server."""
    for number in range(2):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 255, (96, 80), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"film{number}.png")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    pspnet = importlib.import_module("pspnet")
    targets = ["Left Lung", "Right Lung", "Heart", "Spine"]

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.targets = targets

        def forward(self, films: torch.Tensor) -> torch.Tensor:
            assert films.shape == (1, 1, 512, 512)
            assert films.min() >= -1024
            assert films.max() <= 1024
            logits = torch.full((1, 4, 512, 512), -5.0)
            logits[:, :, 128:256, :] = 5.0
            return logits

    monkeypatch.setattr(pspnet, "network", Network)
    pspnet.main([str(tmp_path), str(tmp_path / "out")])
    found = sorted(p.relative_to(tmp_path / "out") for p in tmp_path.rglob("out/*/*"))
    names = ("heart", "left_lung", "right_lung")
    assert found == [Path(n) / f"film{k}.png" for n in names for k in range(2)]
    mask = np.asarray(Image.open(tmp_path / "out/heart/film0.png"))
    assert mask.shape == (96, 80)
    assert mask[24:48].all()
    assert not mask[60:].any()
