"""Foreign files are parsed by a process of their own, bounded in memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from helpers.dataset_trees import initialised, picture, text
from helpers.noise_dicom import film
from helpers.small_project import save_dicom
from napari_wsseg import cli
from napari_wsseg.datasets.importing import chexpert_tables
from napari_wsseg.export import importers
from napari_wsseg.io.external import json_masks, tables
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.io.guarded.drawings import GuardedMasks
from napari_wsseg.io.guarded.reader import GuardedReader, Lost
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

LIMITED = pytest.mark.skipif(os.name == "nt", reason="the system sets no limits")

HOSTILE = """
import os
import numpy as np
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.jobs import DataError

def drawings(bad):
    for number in range(6):
        remarks = []
        def draw(shape, number=number, remarks=remarks):
            if number in bad:
                os.abort()
            if number == 5:
                raise DataError("holds nothing")
            remarks.append(f"the {number}th")
            return np.arange(12).reshape(3, 4) == number
        yield Drawing({"film": str(number)}, draw, remarks)

def endless(length):
    yield "a" * length

def refused():
    yield "one"
    raise DataError("damaged after the first")
"""


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardedReader]:
    (tmp_path / "hostile_masks.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = GuardedReader(computing=1, most_bytes=2**29)
    yield made
    made.close()


@LIMITED
def test_what_takes_too_much_is_refused_and_the_next_is_answered(
    reader: GuardedReader,
) -> None:
    with pytest.raises(Lost, match="after 1 s of computing"):
        reader.ask("builtins:pow", 3, 10**9)
    with pytest.raises(DataError, match="more memory than one file may take"):
        reader.ask("numpy:ones", 2**28)
    with pytest.raises(Lost, match="decoder crash"):
        reader.ask("os:abort")
    assert reader.ask("builtins:pow", 3, 4) == 81


def test_who_does_not_answer_is_given_up() -> None:
    reader = GuardedReader(seconds=1)
    with pytest.raises(Lost, match="could not be read in 1 s"):
        reader.ask("time:sleep", 60)
    reader.close()
    with pytest.raises(Lost, match="stopped"):
        reader.ask("builtins:pow", 3, 4)


def test_what_is_yielded_before_a_refusal_is_heard(reader: GuardedReader) -> None:
    answers = reader.each("hostile_masks:refused")
    assert next(answers) == "one"
    with pytest.raises(DataError, match="damaged after"):
        next(answers)
    with pytest.raises(DataError, match="a name in it is longer"):
        list(reader.each("hostile_masks:endless", 2**24))


def test_a_mask_that_crashes_costs_that_one_alone(reader: GuardedReader) -> None:
    masks = GuardedMasks(reader, "hostile_masks:drawings", [1, 3])
    listed = [value["film"] for value in masks.listed()]
    assert listed == ["0", "1", "2", "3", "4", "5"]
    remarks: list[str] = []
    n_resamples = [masks.drawing(number, remarks) for number in range(6)]
    for number, draw in enumerate(n_resamples):
        if number in (1, 3):
            with pytest.raises(Lost, match="crash"):
                draw((3, 4))
        elif number == 5:
            with pytest.raises(DataError, match="holds nothing"):
                draw((3, 4))
        else:
            expected = np.arange(12).reshape(3, 4) == number
            assert np.array_equal(draw(None), expected)
            with pytest.raises(DataError, match="3 × 4"):
                draw((4, 3))
    assert set(remarks) == {"the 0th", "the 2th", "the 4th"}


def test_a_file_whose_masks_keep_crashing_is_given_up(reader: GuardedReader) -> None:
    masks = GuardedMasks(reader, "hostile_masks:drawings", [0, 1, 2, 3])
    n_resamples = [masks.drawing(number, []) for number, _ in enumerate(masks.listed())]
    for draw in n_resamples[:3]:
        with pytest.raises(Lost):
            draw((3, 4))
    with pytest.raises(DataError, match="others of the same file"):
        n_resamples[3]((3, 4))


def test_without_a_process_the_answer_is_the_same(
    reader: GuardedReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setattr(_reader.sys, "executable", nowhere)
    masks = GuardedMasks(reader, "hostile_masks:drawings", [])
    n_resamples = [masks.drawing(number, []) for number, _ in enumerate(masks.listed())]
    assert np.array_equal(n_resamples[2]((3, 4)), np.arange(12).reshape(3, 4) == 2)
    with pytest.raises(DataError, match="damaged after"):
        list(reader.each("hostile_masks:refused"))


NONSENSE = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    print(sys.argv[1], flush=True)
"""


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "[1, 2]",
        '["value", null, -1]',
        '["value", null, 1e99]',
        '["value", null, 0]',
        '["value", [["x", 4], []], 0]',
        '["value", [[3, 4], []], 0]',
        '["value", [[3, 4, 8], []], 0]',
        '["value", [[99999999, 99999999], []], 0]',
        "[" * 100_000,
    ],
)
def test_a_process_that_answers_nonsense_is_not_believed(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def fake(arguments: list[str], **options: Any) -> Any:
        return real([arguments[0], "-c", NONSENSE, answer], **options)

    monkeypatch.setattr(_reader.subprocess, "Popen", fake)
    reader = GuardedReader()
    with pytest.raises(DataError):
        reader.draw(0, (3, 4))
    reader.close()


def _never(*arguments: Any, **more: Any) -> Any:
    raise AssertionError("parsed in the process of the command")


def test_commands_parse_no_foreign_file_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    for number in range(2):
        save_dicom(film(number, PatientIdentityRemoved="YES"), images / f"{number}.dcm")
    with zipfile.ZipFile(images / "more.zip", "w") as archive:
        archive.write(save_dicom(film(5), tmp_path / "five.dcm"), "five.dcm")
    shape = film(0).pixel_array.shape
    Image.fromarray(np.arange(4800, dtype=np.uint8).reshape(60, 80)).save(
        images / "picture.png"
    )
    drawn = tmp_path / "masks" / "nodule"
    drawn.mkdir(parents=True)
    Image.fromarray(np.tri(60, 80) > 0).save(drawn / "picture.png")
    (images / "disc").mkdir()
    (images / "disc" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(50))
    (tmp_path / "labels.csv").write_text("image,nodule\n0.dcm,1\n1.dcm,0\n")
    mask = np.zeros(shape, np.uint8)
    mask[3:9, 4:12] = 255
    files = _foreign_files(tmp_path / "foreign", mask)
    for place, name in (
        (pydicom, "dcmread"),
        (json_masks, "load"),
        (tables, "each"),
        (zipfile.ZipFile, "infolist"),
        (nibabel.Nifti1Image, "from_bytes"),
        (Image, "open"),
    ):
        monkeypatch.setattr(place, name, _never)
    project = str(tmp_path / "project")
    arguments = ["init", project, "--images", str(images), "--names", "keep"]
    arguments += ["--labels", str(tmp_path / "labels.csv"), "--json"]
    assert cli.main([*arguments, "--masks", str(tmp_path / "masks")]) == 0
    for name, path in files.items():
        arguments = ["import", name, str(path), "-p", project, "--reader", name]
        assert cli.main([*arguments, "--finding", "nodule"]) == 0, name
    monkeypatch.undo()
    with Project.open(tmp_path / "project") as opened:
        by_path = {case.path: case for case in opened.cases()}
        kept = opened.expert_masks(by_path["picture.png"].id, reader="import")
        assert np.array_equal(kept["nodule"], np.tri(60, 80) > 0)
        case = by_path["0.dcm"]
        for name in files:
            drawn = opened.expert_masks(case.id, reader=name)["nodule"]
            assert np.array_equal(drawn, mask > 0), name


def test_tables_of_public_sets_are_parsed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "nih" / "a_000.png", 1)
    picture(tmp_path / "siim" / "b.png", 2)
    picture(tmp_path / "chexpert" / "train" / "patient1/study1/view1_frontal.jpg", 3)
    text(
        tmp_path / "nih" / "Data_Entry_2017.csv",
        "Image Index,Finding Labels",
        "a_000.png,Mass",
    )
    text(tmp_path / "siim" / "train-rle.csv", "ImageId, EncodedPixels", "b, -1")
    findings = ",".join(chexpert_tables.FINDINGS)
    row = "CheXpert-v1.0/train/patient1/study1/view1_frontal.jpg"
    text(tmp_path / "chexpert" / "train.csv", f"Path,{findings}", row)
    voc = tmp_path / "voc"
    picture(voc / "JPEGImages" / "c.jpg", 4, (24, 20, 3))
    text(voc / "Annotations" / "c.xml", "<annotation></annotation>")
    text(voc / "ImageSets" / "Segmentation" / "train.txt", "c")
    (voc / "SegmentationClass").mkdir()
    Image.fromarray(np.zeros((24, 20), np.uint8)).save(voc / "SegmentationClass/c.png")
    monkeypatch.setattr(tables, "each", _never)
    monkeypatch.setattr(ElementTree, "parse", _never)
    monkeypatch.setattr(Image, "open", _never)
    for name in ("siim", "nih14", "chexpert", "voc"):
        dataset = name.removesuffix("14")
        films = tmp_path / dataset
        assert initialised(name, tmp_path / name, films) == 1
        project = str(tmp_path / name / "project")
        assert cli.main(["names", "-p", project, "--images", str(films)]) == 0


def _foreign_files(folder: Path, mask: np.ndarray) -> dict[str, Path]:
    folder.mkdir()
    rows, columns = mask.shape
    corners = [4, 3, 12, 3, 12, 9, 4, 9]
    Image.fromarray(mask).save(folder / "0.png")
    document = {
        "images": [{"id": 1, "file_name": "0.dcm", "height": rows, "width": columns}],
        "categories": [{"id": 1, "name": "nodule"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [corners]}
        ],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    image = nibabel.Nifti1Image(mask.T[:, :, None], np.diag([-1, -1, 1, 1]))
    nibabel.save(image, folder / "0.nii.gz")
    return {
        "png": folder / "0.png",
        "coco": folder / "coco.json",
        "nifti": folder / "0.nii.gz",
    }


def test_a_reading_process_imports_no_more_than_it_reads_with() -> None:
    """DICOM, SciPy's filters and networks cost more than most files take to read."""
    code = (
        "import napari_wsseg.datasets.importing.guarded, sys;"
        "from napari_wsseg.export import importers;"
        "importers.alone('png'); importers.alone('siim_rle');"
        "print([n for n in ('pydicom', 'scipy', 'torch', 'nibabel') "
        "if n in sys.modules], 'coco' in importers, 'pydicom' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] True True\n"


def test_an_entry_alone_is_the_one_among_all() -> None:
    assert importers.alone("siim_rle") is importers["siim_rle"]
    with pytest.raises(KeyError, match=r"no import format 'os\.path'"):
        importers.alone("os.path")
    with pytest.raises(KeyError, match="no import format 'writing'"):
        importers.alone("writing")


def test_a_path_is_as_seen_from_the_folder_of_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = GuardedReader()
    try:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            monkeypatch.chdir(tmp_path / name)
            assert reader.ask("os:getcwd") == str(tmp_path / name)
    finally:
        reader.close()
