from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.phantom import (
    FINDINGS,
    STRUCTURES,
    Phantom,
    ensure_demo_dataset,
    generate,
    write_dataset,
)
from napari_wsseg.phantom.dataset import plan

SIZE = 160


def everything(seed: int) -> Phantom:
    return generate(seed, size=SIZE, findings=FINDINGS)


def test_the_same_seed_makes_the_same_film() -> None:
    first, second = everything(3), everything(3)
    assert np.array_equal(first.pixels, second.pixels)
    for name in FINDINGS:
        assert np.array_equal(first.masks[name], second.masks[name])


def test_another_seed_makes_another_patient() -> None:
    first, second = (generate(seed, size=SIZE, findings=()) for seed in (1, 2))
    heart = first.anatomy["heart"] != second.anatomy["heart"]
    assert heart.mean() > 0.005


def test_pixels_fill_twelve_bits_of_sixteen() -> None:
    pixels = generate(5, size=SIZE).pixels
    assert pixels.dtype == np.uint16
    assert pixels.max() <= 4095
    assert np.percentile(pixels, 99) > 2800
    assert np.percentile(pixels, 1) < 500


def test_lungs_are_darker_than_the_heart() -> None:
    for seed in range(4):
        film = generate(seed, size=SIZE, findings=())
        heart = film.pixels[film.anatomy["heart"]].mean()
        for side in ("left_lung", "right_lung"):
            assert film.pixels[film.anatomy[side]].mean() < 0.8 * heart


def test_the_patients_left_is_on_the_right_of_the_film() -> None:
    anatomy = generate(1, size=SIZE).anatomy
    left, right = (
        np.nonzero(anatomy[name])[1].mean() for name in ("left_lung", "right_lung")
    )
    assert left > right


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_asked_for_has_a_mask_and_the_others_have_none(name: str) -> None:
    for seed in range(5):
        film = generate(seed, size=SIZE, findings=(name,))
        assert film.labels == {other: other == name for other in FINDINGS}
        for other in FINDINGS:
            assert film.masks[other].shape == film.pixels.shape
            assert film.masks[other].any() == (other == name), (seed, other)


def test_masks_and_labels_agree_when_the_seed_draws() -> None:
    for seed in range(12):
        film = generate(seed, size=96)
        for name in FINDINGS:
            assert film.masks[name].any() == film.labels[name], (seed, name)


def test_about_four_films_in_ten_have_no_finding() -> None:
    from napari_wsseg.phantom import film

    drawn = [
        film._draw_findings(np.random.Generator(np.random.PCG64(seed)))
        for seed in range(2000)
    ]
    assert 0.36 < np.mean([not findings for findings in drawn]) < 0.44
    for name in FINDINGS:
        assert 0.15 < np.mean([name in findings for findings in drawn]) < 0.40


@pytest.mark.parametrize("enlarged", [True, False])
def test_the_heart_is_wider_than_half_the_chest_only_in_cardiomegaly(
    enlarged: bool,
) -> None:
    for seed in range(14):
        film = generate(seed, size=SIZE, findings=("cardiomegaly",) if enlarged else ())
        lungs = film.anatomy["left_lung"] | film.anatomy["right_lung"]
        heart, chest = (
            np.ptp(np.nonzero(mask)[1]) + 1.0 for mask in (film.anatomy["heart"], lungs)
        )
        assert (heart / chest > 0.5) == enlarged, (seed, heart / chest)


@pytest.mark.parametrize("name", ["nodule", "consolidation", "pleural_effusion"])
def test_a_dense_finding_brightens_what_its_mask_covers(name: str) -> None:
    for seed in range(4):
        with_it = generate(seed, size=SIZE, findings=(name,))
        without = generate(seed, size=SIZE, findings=())
        change = with_it.pixels.astype(float) - without.pixels
        mask = with_it.masks[name]
        around = (with_it.anatomy["left_lung"] | with_it.anatomy["right_lung"]) & ~mask
        assert change[mask].mean() > change[around].mean() + 80, seed


def test_free_air_darkens_what_the_mask_of_pneumothorax_covers() -> None:
    for seed in range(4):
        with_it = generate(seed, size=SIZE, findings=("pneumothorax",))
        without = generate(seed, size=SIZE, findings=())
        change = with_it.pixels.astype(float) - without.pixels
        mask = with_it.masks["pneumothorax"]
        assert change[mask].mean() < change[~mask].mean() - 80, seed


def test_a_nodule_is_8_to_30_mm_wide() -> None:
    from skimage.measure import label, regionprops

    for seed in range(8):
        film = generate(seed, size=320, findings=("nodule",))
        for region in regionprops(label(film.masks["nodule"])):
            wide = region.equivalent_diameter_area * film.spacing_mm[0]
            assert 7 < wide < 42, (seed, wide)  # two may touch


def test_devices_and_patient_do_not_know_the_findings() -> None:
    with_them = generate(7, size=SIZE, findings=FINDINGS[:4])
    without = generate(7, size=SIZE, findings=())
    assert np.array_equal(with_them.anatomy["heart"], without.anatomy["heart"])
    assert with_them.spacing_mm == without.spacing_mm
    # the marker and the word in the corner lie outside the chest
    corner = np.s_[-8:, :60]
    difference = np.abs(
        with_them.pixels[corner].astype(int) - without.pixels[corner].astype(int)
    )
    assert np.median(difference) < 200


def test_a_film_of_another_size_shows_the_same_patient() -> None:
    small, large = generate(4, size=128), generate(4, size=256)
    assert small.labels == large.labels
    assert small.spacing_mm[0] == pytest.approx(2 * large.spacing_mm[0])
    halved = large.anatomy["heart"].reshape(128, 2, 128, 2).mean((1, 3)) >= 0.5
    assert (halved != small.anatomy["heart"]).mean() < 0.01


def test_rows_and_columns_may_differ() -> None:
    assert generate(1, size=(200, 160)).pixels.shape == (200, 160)


def test_the_word_synthetic_is_in_the_pixels_of_every_film() -> None:
    for seed in range(4):
        corner = generate(seed, size=512).pixels[-30:, :110]
        assert (corner > 3500).mean() > 0.05
        assert generate(seed, size=96).description.startswith("synthetic")


def test_an_unknown_finding_is_named() -> None:
    with pytest.raises(ValueError, match=r"fracture.*choose from"):
        generate(1, findings=("fracture",))


def test_a_film_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="64 or more"):
        generate(1, size=32)


def test_the_plan_has_four_negatives_in_ten_and_every_finding_in_every_split() -> None:
    films = plan(64)
    assert sum(not film.findings for film in films) == 26
    shares = {s: sum(f.split == s for f in films) for s in ("train", "val", "test")}
    assert shares["train"] in range(36, 41)
    assert shares["val"] in range(8, 12)
    assert shares["test"] in range(14, 18)
    for split in shares:
        there = {name for f in films if f.split == split for name in f.findings}
        assert there == set(FINDINGS)
        assert any(not f.findings for f in films if f.split == split)


def test_file_form_and_split_say_nothing_of_the_findings() -> None:
    films = plan(2000)
    for name in FINDINGS:
        for one in ("dicom", "train"):
            groups: dict[bool, list[bool]] = {True: [], False: []}
            for film in films:
                is_one = (
                    film.image.endswith(".dcm")
                    if one == "dicom"
                    else film.split == "train"
                )
                groups[is_one].append(name in film.findings)
            assert abs(np.mean(groups[True]) - np.mean(groups[False])) < 0.06


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "films"
    return write_dataset(folder, n=8, size=96, seed=11, processes=1)


def test_labels_csv_has_the_columns_that_import_reads(dataset: Path) -> None:
    with (dataset / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["image", *FINDINGS, "split"]
    assert len(rows) == 8
    for row in rows:
        assert row["image"].startswith("synthetic_")
        assert (dataset / "images" / row["image"]).is_file()
        assert row["split"] in {"train", "val", "test"}
        for name in FINDINGS:
            mask = dataset / "masks" / name / f"{Path(row['image']).stem}.png"
            assert mask.is_file() == (row[name] == "1")


def test_mask_files_are_the_masks_of_the_generator(dataset: Path) -> None:
    for film in plan(8, seed=11):
        phantom = generate(film.seed, size=96, findings=film.findings)
        for name in film.findings:
            with Image.open(dataset / "masks" / name / f"{film.stem}.png") as image:
                assert image.mode == "1"
                assert np.array_equal(np.asarray(image), phantom.masks[name])


def test_png_films_keep_all_twelve_bits(dataset: Path) -> None:
    film = next(f for f in plan(8, seed=11) if f.image.endswith(".png"))
    phantom = generate(film.seed, size=96, findings=film.findings)
    with Image.open(dataset / "images" / film.image) as image:
        assert np.array_equal(np.asarray(image), phantom.pixels)
        assert "SYNTHETIC" in image.info["Comment"]


def test_dicom_films_are_dx_of_nobody_with_12_bits_and_spacing(dataset: Path) -> None:
    from pydicom import dcmread

    film = next(f for f in plan(8, seed=11) if f.image.endswith(".dcm"))
    phantom = generate(film.seed, size=96, findings=film.findings)
    file = dcmread(dataset / "images" / film.image)
    assert np.array_equal(file.pixel_array, phantom.pixels)
    assert (file.BitsAllocated, file.BitsStored, file.HighBit) == (16, 12, 11)
    assert (file.Modality, file.PhotometricInterpretation) == ("DX", "MONOCHROME2")
    assert str(file.PatientName).startswith("SYNTHETIC^")
    assert file.ImageType[0] == "DERIVED"
    assert file.BurnedInAnnotation == "YES"
    assert "SYNTHETIC" in file.ImageComments
    assert [float(v) for v in file.PixelSpacing] == pytest.approx(
        phantom.spacing_mm, rel=1e-4
    )
    assert file.ImagerPixelSpacing == file.PixelSpacing


def test_a_data_set_made_twice_is_equal_byte_by_byte(
    dataset: Path, tmp_path: Path
) -> None:
    again = write_dataset(tmp_path / "again", n=8, size=96, seed=11, processes=2)

    def digest(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    assert digest(dataset) == digest(again)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(tmp_path, n=2, size=64)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_data_set_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.phantom import dataset as _dataset

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_dataset, "write_film", stop)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "films", n=2, size=64)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_film_by_film(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_dataset(
        tmp_path / "films",
        n=2,
        size=64,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 2), (2, 2)]


def test_without_further_processes_films_are_made_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.phantom import dataset as module

    def broken(*_: object) -> None:
        raise module.BrokenProcessPool

    monkeypatch.setattr(module, "_write_films_in_parallel", broken)
    with pytest.warns(UserWarning, match="one film at a time"):
        folder = write_dataset(tmp_path / "films", n=2, size=64, processes=2)
    assert len(list((folder / "images").iterdir())) == 2


def test_the_demo_films_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.phantom import dataset as module

    real = module.generate
    monkeypatch.setattr(
        module, "generate", lambda seed, **kw: real(seed, **{**kw, "size": 64})
    )
    folder = ensure_demo_dataset(tmp_path / "demo", n=3)
    made = (folder / "labels.csv").stat().st_mtime_ns
    assert ensure_demo_dataset(folder, n=3) == folder
    assert (folder / "labels.csv").stat().st_mtime_ns == made
    with pytest.raises(FileExistsError, match="another data set"):
        ensure_demo_dataset(folder, n=4)


@pytest.mark.slow
def test_a_full_size_film_can_be_made() -> None:
    film = generate(1, size=(3000, 2500))
    assert film.pixels.shape == (3000, 2500)
    assert 0.1 < film.spacing_mm[0] < 0.2


def test_every_structure_is_on_every_film_and_where_it_belongs() -> None:
    film = generate(3, size=SIZE, findings=(), wide=True)
    assert tuple(film.anatomy) == STRUCTURES
    rows = {
        name: np.nonzero(mask)[0].mean()
        for name, mask in film.anatomy.items()
        if mask.any()
    }
    assert rows["clavicles"] < rows["heart"] < rows["abdomen"]
    assert rows["mediastinum"] < rows["heart"] < rows["diaphragm"] + SIZE / 8
    lungs = film.anatomy["left_lung"] | film.anatomy["right_lung"]
    # A shutter may hide a strip of lung.
    assert (lungs & film.anatomy["outside"]).sum() < 0.05 * lungs.sum()
    assert film.anatomy["markers"].any()


def test_wide_films_are_of_every_build_and_keep_what_cardiomegaly_means() -> None:
    heights = []
    for seed in range(12):
        film = generate(
            seed, size=96, findings=("cardiomegaly",) if seed % 2 else (), wide=True
        )
        heart = np.ptp(np.nonzero(film.anatomy["heart"])[1]) + 1
        lungs = film.anatomy["left_lung"] | film.anatomy["right_lung"]
        down, across = (np.ptp(where) + 1 for where in np.nonzero(lungs))
        heights.append(down / across)
        assert (heart / across > 0.5) == bool(seed % 2) or abs(
            heart / across - 0.5
        ) < 0.06
    assert max(heights) - min(heights) > 0.3
