"""`wsseg init` on a folder: what is imported, what is refused, and in which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import dataset_trees
from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.datasets.importing.splits import assign
from napari_wsseg.io import atomic
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress

SHAPE = (24, 18)


def picture(path: Path, seed: int, shape: tuple[int, int] = SHAPE) -> Path:
    return dataset_trees.picture(path, seed, shape)


def mask(path: Path, shape: tuple[int, int] = SHAPE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(shape, np.uint8)
    pixels[4:9, 3:8] = 255
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Make four films, labels for two findings, and masks for one of them."""
    for number in range(4):
        picture(tmp_path / "images" / f"f{number}.png", number)
    (tmp_path / "labels.csv").write_text(
        "image,nodule,effusion,split\n"
        "f0.png,1,0,train\nf1.png,0,,val\nf2.png,-1,1,test\nf3.png,1,1,train\n"
    )
    mask(tmp_path / "masks" / "nodule" / "f0.png")
    return tmp_path


def run(source: Path, **changes: Path | None) -> tuple[list[tuple[str, str]], Project]:
    given = {"labels": source / "labels.csv", "masks": source / "masks", **changes}
    report = import_folder(source / "project", source / "images", **given)
    rejected = [(entry.path, entry.reason) for entry in report.rejected]
    return rejected, Project.open(report.project)


def test_films_labels_splits_and_masks_arrive(source: Path) -> None:
    rejected, project = run(source)
    with project:
        by_name = {case.name: case for case in project.cases()}
        assert rejected == []
        assert [case.split for case in by_name.values()] == [
            "train",
            "val",
            "test",
            "train",
        ]
        assert by_name["f1"].labels == {"nodule": 0, "effusion": None}
        assert by_name["f2"].labels == {"nodule": -1, "effusion": 1}
        film = project.radiograph(by_name["f0"])
        assert film.pixels.shape == by_name["f0"].shape == SHAPE
        annotation = project.latest(by_name["f0"].id, "nodule", reader="import")
        assert annotation is not None
        assert annotation.area_px == 25
        project.verify_audit()
        assert project.fsck() == []


def test_a_negative_gets_an_empty_mask_where_the_finding_has_masks(
    source: Path,
) -> None:
    _, project = run(source)
    with project:
        ids = {case.name: case.id for case in project.cases()}
        assert project.annotated() == {ids["f0"]: ("nodule",), ids["f1"]: ("nodule",)}
        assert not project.expert_masks(ids["f1"])["nodule"].any()


def test_without_labels_the_mask_folders_are_the_findings(source: Path) -> None:
    (source / "masks" / "effusion").mkdir()
    _, project = run(source, labels=None)
    with project:
        assert [finding.name for finding in project.findings] == ["effusion", "nodule"]
        assert set(project.cases()[0].labels.values()) == {None}


def test_a_missing_image_is_listed_and_the_rest_imported(source: Path) -> None:
    (source / "images" / "f2.png").unlink()
    rejected, project = run(source)
    with project:
        assert len(project.cases()) == 3
    assert [path for path, _ in rejected] == ["f2.png"]
    assert "line 4" in rejected[0][1]


def test_words_in_a_label_column_are_refused_and_nothing_is_made(source: Path) -> None:
    text = (source / "labels.csv").read_text()
    (source / "labels.csv").write_text(text.replace("f2.png,-1", "f2.png,maybe"))
    with pytest.raises(DataError, match=r"line 4, column 'nodule': 'maybe' is not 1"):
        run(source)
    assert sorted(p.name for p in source.iterdir()) == ["images", "labels.csv", "masks"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("film,nodule\nf0.png,1\n", "first column is 'film'"),
        ("image;nodule\nf0.png;1\n", "save it with commas"),
        ("image\tnodule\nf0.png\t1\n", "save it with commas"),
        ("image|nodule\nf0.png|1\n", "save it with commas"),
        ("sep=;\nimage;nodule\nf0.png;1\n", "remove this line, and save"),
        ("SEP=,\nimage,nodule\nf0.png,1\n", "remove this line, and save"),
        ('image,nodule\nf0.png,"1,0"\n', "'1,0' is not 1"),
        ("image,nodule\nf0.png,TRUE\n", "'TRUE' is not 1"),
        ("image,nodule\nf0.png,ja\n", "'ja' is not 1"),
        ("image,nodule,nodule\nf0.png,1,1\n", "twice"),
        ("image,nodule\nf0.png\n", "1 cells, not 2"),
        ("image,nodule,split\nf0.png,1,maybe\n", "not train, val, test"),
        ("image,nodule\nf0.png,1\nf0.png,1\n", "line 2 already"),
        ("image,nodule\n../f0.png,1\n", "inside the image folder"),
        ("image,nodule\n/f0.png,1\n", "inside the image folder"),
        ("image,nodule\n", "no rows"),
        ("image,split\nf0.png,train\n", "no finding is named"),
        ("image,a/b\nf0.png,1\n", "rename"),
    ],
)
def test_a_label_table_that_is_off_is_refused(
    source: Path, text: str, message: str
) -> None:
    (source / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        run(source, masks=None)
    assert not (source / "project").exists()


def test_a_folder_without_films_is_told_before_anything_of_findings(
    source: Path,
) -> None:
    for film in (source / "images").iterdir():
        film.unlink()
    with pytest.raises(DataError, match="holds no film"):
        run(source, labels=None, masks=None)


def test_every_mistake_of_a_table_is_listed(source: Path) -> None:
    rows = "".join(f"f{n}.png,x\n" for n in range(12))
    (source / "labels.csv").write_text(f"image,nodule\n{rows}")
    with pytest.raises(DataError, match="12 mistakes") as refusal:
        run(source)
    assert "line 11" in str(refusal.value)
    assert "and 2 more" in str(refusal.value)


def test_a_column_that_is_no_finding_is_named_with_what_to_do(source: Path) -> None:
    rows = "".join(f"f{n}.png,{n % 2},{40 + n},\n" for n in range(12))
    (source / "labels.csv").write_text(f"image,nodule,age,mass\n{rows}")
    with pytest.raises(DataError, match="12 mistakes") as refusal:
        run(source)
    said = str(refusal.value).splitlines()[-1]
    assert (
        said
        == "  no label at all is in 'age': take out of the table what is no finding"
    )


def test_a_spreadsheets_table_is_read(source: Path) -> None:
    text = "image,nodule,split\r\nf0.png,1.0,Train\r\n\r\nf1.png, 0 ,VAL\r\n"
    (source / "labels.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    _, project = run(source)
    with project:
        assert [c.labels["nodule"] for c in project.cases()] == [1, 0, None, None]


def test_a_mask_of_another_size_is_rejected_but_not_its_film(source: Path) -> None:
    mask(source / "masks" / "nodule" / "f3.png", (9, 9))
    rejected, project = run(source)
    with project:
        assert len(project.cases()) == 4
        assert "f3" not in [project.case(c).name for c in project.annotated()]
    assert rejected[0][0] == "nodule/f3.png"
    assert "9 × 9, its film 24 × 18" in rejected[0][1]


def test_a_mask_without_a_film_is_listed(source: Path) -> None:
    mask(source / "masks" / "nodule" / "nobody.png")
    rejected, project = run(source)
    project.close()
    assert rejected == [("nodule/nobody.png", "no film is called nobody")]


def test_masks_follow_their_films_into_sub_folders(source: Path) -> None:
    picture(source / "images" / "a" / "x.png", 20)
    picture(source / "images" / "b" / "x.png", 21)
    mask(source / "masks" / "nodule" / "a" / "x.png")
    mask(source / "masks" / "nodule" / "x.png")
    rejected, project = run(source)
    with project:
        annotated = [project.case(case_id).path for case_id in project.annotated()]
        assert "a/x.png" in annotated
        assert "b/x.png" not in annotated
    assert rejected[0][0] == "nodule/x.png"
    assert "2 films are called x" in rejected[0][1]


def test_the_same_pixels_twice_name_the_first(source: Path) -> None:
    picture(source / "images" / "again.png", 0)
    rejected, project = run(source)
    project.close()
    assert rejected == [("again.png", "the same pixels as f0.png, which was imported")]


def test_litter_is_silent_and_other_files_are_listed(source: Path) -> None:
    images = source / "images"
    for name in (".DS_Store", "._f0.png", "Thumbs.db", "desktop.ini"):
        (images / name).write_bytes(b"litter")
    (images / "__MACOSX").mkdir()
    (images / "__MACOSX" / "x.png").write_bytes(b"litter")
    (images / "notes.txt").write_text("dear diary")
    (images / "cut.png").write_bytes((images / "f0.png").read_bytes()[:120])
    rejected, project = run(source)
    with project:
        assert len(project.cases()) == 4
    assert [path for path, _ in rejected] == ["cut.png", "notes.txt"]
    assert "not a PNG" in rejected[1][1]


def test_no_film_that_survives_leaves_no_project(source: Path) -> None:
    for path in (source / "images").iterdir():
        path.write_text("not an image")
    with pytest.raises(DataError, match="no film could be imported") as refusal:
        run(source)
    assert "f0.png: not a PNG" in str(refusal.value)
    assert sorted(p.name for p in source.iterdir()) == ["images", "labels.csv", "masks"]


def test_a_full_disk_leaves_no_half_project(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = atomic.write
    calls: list[Path] = []

    def fill(path: Path, write: Callable[..., object], **_: object) -> None:
        calls.append(path)
        if len(calls) > 2:
            raise DataError(f"{path} could not be written (No space left on device)")
        real(path, write)

    monkeypatch.setattr(atomic, "write", fill)
    with pytest.raises(DataError, match="No space"):
        run(source)
    assert sorted(p.name for p in source.iterdir()) == ["images", "labels.csv", "masks"]


def test_an_import_that_is_stopped_leaves_nothing(source: Path) -> None:
    job = datasets["folder"](
        source / "project", images=source / "images", labels=source / "labels.csv"
    )
    step = next(job)
    assert isinstance(step, Progress)
    assert (step.step, step.total) == (1, 4)
    job.close()
    assert sorted(p.name for p in source.iterdir()) == ["images", "labels.csv", "masks"]


def test_a_folder_that_is_in_use_is_refused_before_any_work(source: Path) -> None:
    (source / "project").mkdir()
    (source / "project" / "thesis.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty"):
        run(source)
    assert (source / "project" / "thesis.txt").read_text() == "dear"


def test_an_empty_folder_may_become_the_project(source: Path) -> None:
    (source / "project").mkdir()
    _, project = run(source)
    project.close()


@pytest.mark.parametrize("what", ["images", "labels", "masks"])
def test_what_is_not_there_is_told(source: Path, what: str) -> None:
    given = {"images": source / "images", what: source / "nowhere"}
    with pytest.raises(DataError, match="nowhere"):
        import_folder(source / "project", **given)


def test_splits_are_dealt_out_evenly_and_always_the_same() -> None:
    labels = {f"{n}.png": {"nodule": int(n % 4 == 0)} for n in range(200)}
    splits = assign(labels)
    assert splits == assign(dict(reversed(labels.items())))
    assert Counter(splits.values()) == {"train": 140, "val": 30, "test": 30}
    sick = Counter(splits[image] for image, own in labels.items() if own["nodule"])
    assert abs(sick["val"] - 7.5) <= 1.5
    assert abs(sick["test"] - 7.5) <= 1.5


@pytest.mark.data
def test_wingspan_is_imported_as_its_readme_says(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "wingspan"
    report = import_folder(
        tmp_path / "p", folder / "images", folder / "labels.csv", folder / "masks"
    )
    assert (report.imported, report.rejected, report.warnings) == (156, (), ())
    with Project.open(report.project) as project:
        counts = Counter(case.split for case in project.cases())
        assert counts == {"train": 100, "val": 25, "test": 31}
        assert len(project.annotated()) == 156
        for case in project.cases("val"):
            drawn = project.latest(case.id, "cardiomegaly", reader="import")
            assert drawn is not None
            assert (drawn.area_px > 0) == (case.labels["cardiomegaly"] == 1)


@pytest.mark.data
def test_overlapping_findings_of_real_films_stay_apart(
    shared_data: Path, tmp_path: Path
) -> None:
    folder = shared_data / "covid_lesions"
    report = import_folder(
        tmp_path / "p", folder / "images", folder / "labels.csv", folder / "masks"
    )
    assert (report.imported, report.rejected) == (26, ())
    with Project.open(report.project) as project:
        case = project.cases()[0]
        masks = project.expert_masks(case.id)
        assert (masks["ground_glass_opacities"] & masks["left_lung"]).any()
        assert case.labels["consolidation"] == 0
        assert not masks["consolidation"].any()


@pytest.mark.data
def test_a_folder_of_good_and_hostile_dicom_gives_all_the_good(
    shared_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "masks" / "nodule").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    for name in ("dicom_real", "dicom_hostile/pydicom", "dicom_hostile/fodicom"):
        for path in (shared_data / name).iterdir():
            (tmp_path / "images" / path.name).symlink_to(path)
    report = import_folder(
        tmp_path / "p", tmp_path / "images", masks=tmp_path / "masks"
    )
    reasons = {entry.path: entry.reason for entry in report.rejected}
    assert report.imported + len(reasons) == len(list((tmp_path / "images").iterdir()))
    assert "truncated" in reasons["MR_truncated.dcm"]
    assert "the same pixels" in reasons["cr_mono1_10bit_implicit_440.dcm"]
    assert "dx_mono1_12bit_j2klossless.dcm" not in reasons
