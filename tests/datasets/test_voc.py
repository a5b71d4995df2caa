"""PASCAL VOC 2012: colours stay, 20 classes, void, lists of both kinds."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.dataset_trees import cases, initialised, masks, run, text
from helpers.training import LEARNING, train_colours
from napari_wsseg.datasets.voc import CLASSES
from napari_wsseg.io import film_cache, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.pipeline import infer
from trainers.data.batches import Labels
from trainers.data.targets import expert

SHAPE = (30, 40)
NAMES = ("2007_000032", "2007_000039", "2007_000063", "2008_000002")


def annotation(path: Path, *objects: str) -> None:
    """Write objects as VOC does; a person's parts have names of their own."""
    parts = "<part><name>head</name><bndbox/></part>"
    inside = "".join(
        f"<object><name>{name}</name>{parts if name == 'person' else ''}"
        "<pose>Left</pose></object>"
        for name in objects
    )
    text(path, f"<annotation><folder>VOC2012</folder>{inside}</annotation>")


def classes(seed: int = 0) -> np.ndarray:
    """Draw an aeroplane over a person, with void between them and nothing."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:20, 4:30] = 255
    mask[5:18, 6:28] = 15
    mask[8 + seed : 14, 10:20] = 1
    return mask


def indexed(path: Path, mask: np.ndarray, *, palette: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette:
        # Index 1 is shown black, as background would be: only the index counts.
        image.putpalette([0, 0, 0, 0, 0, 0, 128, 128, 0] + [7] * 759)
    image.save(path)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Make two training pictures, one of the augmented list alone, and one of val."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for number, name in enumerate(NAMES):
        pixels = np.random.default_rng(number).integers(0, 256, (*SHAPE, 3), np.uint8)
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
        annotation(root / "Annotations" / f"{name}.xml", "person", "aeroplane")
    for name in (NAMES[0], NAMES[1], NAMES[3]):
        path = root / "SegmentationClass" / f"{name}.png"
        indexed(path, classes(), palette=True)
    lists = root / "ImageSets" / "Segmentation"
    text(lists / "train.txt", *NAMES[:2])
    text(lists / "val.txt", f"{NAMES[3]} ")
    text(lists / "trainval.txt", NAMES[0], NAMES[1], NAMES[3])
    return root


@pytest.fixture
def augmented(voc: Path) -> Path:
    for name in NAMES[:3]:
        path = voc / "SegmentationClassAug" / f"{name}.png"
        indexed(path, classes(1), palette=False)
    lines = [f"/JPEGImages/{n}.jpg /SegmentationClassAug/{n}.png" for n in NAMES[:3]]
    text(voc / "ImageSets" / "Segmentation" / "trainaug.txt", *lines)
    return voc


def test_classes_void_labels_and_splits_are_the_sources(
    voc: Path, tmp_path: Path
) -> None:
    report = run("voc", tmp_path, images=voc)
    found = cases(report)
    assert report.rejected == ()
    split = {name: case.split for name, case in found.items()}
    assert split == {NAMES[0]: "train", NAMES[1]: "train", NAMES[3]: "val"}
    case = found[NAMES[0]]
    present = {name for name, label in case.labels.items() if label}
    assert present == {"aeroplane", "person"}
    assert set(case.labels) == set(CLASSES)
    drawn = masks(report, case)
    assert tuple(drawn) == CLASSES
    np.testing.assert_array_equal(drawn["aeroplane"], classes() == 1)
    np.testing.assert_array_equal(drawn["person"], classes() == 15)
    assert not drawn["bicycle"].any()
    with Project.open(report.project) as project:
        np.testing.assert_array_equal(project.void(case.id), classes() == 255)
    assert report.warnings == ("no film is in test, as in the source",)


def test_the_augmented_list_is_taken_where_it_is(
    augmented: Path, tmp_path: Path
) -> None:
    report = run("voc", tmp_path, images=augmented)
    found = cases(report)
    assert [case.split for case in found.values()].count("train") == 3
    drawn = masks(report, found[NAMES[2]])
    np.testing.assert_array_equal(drawn["aeroplane"], classes(1) == 1)
    # Val is not of the augmented masks.
    drawn = masks(report, found[NAMES[3]])
    np.testing.assert_array_equal(drawn["aeroplane"], classes() == 1)


def test_the_plain_list_may_be_named(augmented: Path, tmp_path: Path) -> None:
    lists = augmented / "ImageSets" / "Segmentation"
    report = run("voc", tmp_path, images=augmented, labels=lists / "train.txt")
    assert report.imported == 3


def test_augmented_pictures_without_masks_keep_their_labels(
    augmented: Path, tmp_path: Path
) -> None:
    (augmented / "SegmentationClassAug" / f"{NAMES[2]}.png").unlink()
    report = run("voc", tmp_path, images=augmented)
    case = cases(report)[NAMES[2]]
    assert case.labels["person"] == 1
    assert masks(report, case) == {}
    assert "1 pictures have no class mask: labels alone" in report.warnings


def test_without_annotations_the_masks_classes_are_the_labels(
    voc: Path, tmp_path: Path
) -> None:
    (voc / "Annotations").rename(tmp_path / "elsewhere")
    case = cases(run("voc", tmp_path, images=voc))[NAMES[1]]
    assert {n for n, label in case.labels.items() if label} == {"aeroplane", "person"}


def test_colours_reach_the_cache_that_networks_read(voc: Path, tmp_path: Path) -> None:
    report = run("voc", tmp_path, images=voc)
    with Project.open(report.project) as project:
        assert project.colour
        films = finish(film_cache.films(project, 40))
        case = next(case for case in project.cases() if case.name == NAMES[0])
        (taken,) = films.take([case.id])
    with Image.open(voc / "JPEGImages" / f"{NAMES[0]}.jpg") as image:
        rgb = np.asarray(image)
    assert taken.shape == (3, 40, 40)
    np.testing.assert_array_equal(taken[:, 5:35], np.moveaxis(rgb, -1, 0))


def test_a_mask_that_is_off_costs_one_line_and_no_picture(
    voc: Path, tmp_path: Path
) -> None:
    strange = classes()
    strange[0, 0] = 77
    path = voc / "SegmentationClass" / f"{NAMES[0]}.png"
    indexed(path, strange, palette=True)
    report = run("voc", tmp_path, images=voc)
    assert report.imported == 3
    assert len(report.rejected) == 1
    assert "value 77 is no class" in report.rejected[0].reason


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GIF89a", "not a PNG"),
        (b"", "empty"),
        (8_000, "over the cap"),
        (20_000, "exceeds limit"),
    ],
)
def test_a_mask_that_is_none_or_too_large_costs_its_picture_nothing_else(
    voc: Path, tmp_path: Path, data: bytes | int, message: str
) -> None:
    path = voc / "SegmentationClass" / f"{NAMES[0]}.png"
    if isinstance(data, int):  # a side that it says, where it is 30 × 40
        lying = bytearray(path.read_bytes())
        lying[16:24] = struct.pack(">II", data, data)
        lying[29:33] = struct.pack(">I", zlib.crc32(lying[12:29]))
        data = bytes(lying)
    path.write_bytes(data)
    report = run("voc", tmp_path, images=voc)
    assert report.imported == 3
    assert len(report.rejected) == 1
    assert message in report.rejected[0].reason


def test_a_picture_that_is_listed_and_missing_is_told(
    voc: Path, tmp_path: Path
) -> None:
    (voc / "JPEGImages" / f"{NAMES[3]}.jpg").unlink()
    report = run("voc", tmp_path, images=voc)
    assert [entry.path for entry in report.rejected] == [NAMES[3]]
    assert "line 1 of" in report.rejected[0].reason


def test_an_object_of_no_class_is_refused(voc: Path, tmp_path: Path) -> None:
    annotation(voc / "Annotations" / f"{NAMES[0]}.xml", "unicorn")
    with pytest.raises(DataError, match="'unicorn' is none of the 20 classes"):
        run("voc", tmp_path, images=voc)
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("what", ["JPEGImages", "ImageSets"])
def test_another_folder_than_voc2012_is_refused(
    voc: Path, tmp_path: Path, what: str
) -> None:
    (voc / what).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=what):
        run("voc", tmp_path, images=voc)


def test_one_command_imports_voc(augmented: Path, tmp_path: Path) -> None:
    assert initialised("voc", tmp_path, augmented) == 4


@pytest.mark.slow
def test_twenty_classes_of_colour_go_through_every_stage(
    augmented: Path, tmp_path: Path
) -> None:
    report = run("voc", tmp_path, images=augmented)
    with Project.open(report.project, write=True) as project:
        # A classifier wants a picture without the class, too.
        project.labels.put(cases(report)[NAMES[1]].id, {"aeroplane": 0})
    made = train_colours(report.project, "classifier", **LEARNING, epochs=1)
    with Project.open(report.project, write=True) as project:
        project.adopt("cam", made.folder.id, actor="test")
        for stage in ("cam", "crf"):
            finish(infer.infer(project, stage, made.folder.id, device="cpu"))
        case = project.cases()[0]
        maps = stages.read(project.folder, "crf", made.folder.id, case.id)
        assert maps is not None
        assert maps.score.shape == (20, 32, 32)
        assert np.isfinite(maps.score).all()
    drawn = train_colours(report.project, "chexseg", p=1.0, epochs=1, untested=True)
    with Project.open(report.project, write=True) as project:
        finish(infer.infer(project, "segmentation", drawn.folder.id, device="cpu"))
        maps = stages.read(project.folder, "segmentation", drawn.folder.id, case.id)
        assert maps is not None
        assert maps.score.shape[0] == 20


def test_no_loss_counts_the_pixels_that_nobody_decided_about(
    voc: Path, tmp_path: Path
) -> None:
    report = run("voc", tmp_path, images=voc)
    with Project.open(report.project) as project:
        labels = Labels.from_project(project)
        targets = expert(project, labels, range(3), 40)
    (taken,) = targets.take([0]).numpy()
    void = classes() == 255
    assert (taken[:, 5:35][:, void] == 255).all()
    assert not (taken[:, 5:35][:, ~void] == 255).any()
    np.testing.assert_array_equal(taken[0, 5:35] == 1, classes() == 1)
