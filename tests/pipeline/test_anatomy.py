"""Heart and lungs on any film at once, and findings kept to their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError, finish
from napari_wsseg.ops import metrics
from napari_wsseg.ops.chest import measure
from napari_wsseg.phantom import STRUCTURES, generate
from napari_wsseg.phantom.dataset import write_dataset
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import places
from napari_wsseg.schema import ANATOMY, StageMaps


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of four synthetic chests whose anatomy has been looked at."""
    from napari_wsseg.cli import main

    folder = tmp_path_factory.mktemp("chests")
    films = write_dataset(folder / "films", n=4, size=160, form="png", processes=1)
    words = ["init", str(folder / "p"), "--images", str(films / "images")]
    words += ["--labels", str(films / "labels.csv"), "--masks", str(films / "masks")]
    assert main(words) == 0
    assert main(["infer", "anatomy", "-p", str(folder / "p")]) == 0
    return folder / "p"


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
        limits = places.Places(
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
            assert places.of_project(project)["nodule"] == "lungs"
            assert places.of_project(project)["cardiomegaly"] == "heart"
        toml.write_text(before + '\n[places]\nnodule = "anywhere"\n')
        with Project.open(chests) as project:
            assert places.of_project(project)["nodule"] == "anywhere"
        toml.write_text("places = false\n" + before)
        with Project.open(chests) as project:
            assert places.of_project(project) == {}
        toml.write_text(before + '\n[places]\nnodule = "liver"\n')
        with (
            Project.open(chests) as project,
            pytest.raises(DataError, match="'liver' is no place; there are: lungs"),
        ):
            places.of_project(project)
        toml.write_text(before + '\n[places]\nwart = "lungs"\n')
        with (
            Project.open(chests) as project,
            pytest.raises(DataError, match="'wart' is not a finding"),
        ):
            places.of_project(project)
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
