"""Headers, lists and rows at the edge of what is read: a value, or one message."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from helpers.small_project import (
    CASE,
    SHAPE,
    blot,
    dicom_film,
    grey,
    new_project,
    save_dicom,
)
from napari_wsseg.export import nifti
from napari_wsseg.io import (
    anatomy,
    film_cache,
    film_facts,
    film_identity,
    film_names,
    images,
    names_left,
    runs,
    stages,
)
from napari_wsseg.io.dicom import dicomdir
from napari_wsseg.io.dicom import pixels as dicom_pixels
from napari_wsseg.io.external import json_masks, mask_values, stated_size
from napari_wsseg.io.external import nifti as _nifti
from napari_wsseg.io.external.mask_values import Choice
from napari_wsseg.io.files import locks, map_shards, row_files
from napari_wsseg.io.films import archive, deep, limits, luminance
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.io.index import film_words, kinds, trail
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import expert_masks, mask_store, writer_lock
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.schema import StageMaps, StageSettings

RUN = "classifier-20261121-000000-aaaa"
SETTINGS = StageSettings(("heart", "left_lung"), (0.5, 0.5), (0.5, 0.5))

pytestmark = pytest.mark.filterwarnings("ignore")


def _film(**elements: Any) -> Dataset:
    values = (grey(1, (24, 20)).astype(np.uint16) * 16).astype(np.uint16)
    return dicom_film(values, **elements)


# DICOM -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PixelRepresentation": 2}, "representation 2 is neither 0 nor 1"),
        ({"Rows": None}, "Rows is missing"),
        ({"HighBit": 3}, "high bit 3 cannot be"),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
            "only 8 are read",
        ),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    path = save_dicom(_film(**elements), tmp_path / "a.dcm")
    with pytest.raises(DataError, match=message):
        images.read(path)


def test_a_film_of_another_part_is_read_with_a_word(tmp_path: Path) -> None:
    path = save_dicom(_film(Modality="MG"), tmp_path / "a.dcm")
    assert any("hardly a chest" in one for one in images.read_noting(path).remarks)


@pytest.mark.parametrize("words", [b"x\\40 ", b"1e999 "])
def test_a_window_that_is_no_number_costs_nothing(tmp_path: Path, words: bytes) -> None:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    dataset = _film(WindowWidth=400)
    tag = Tag("WindowCenter")
    dataset._dict[tag] = RawDataElement(tag, "DS", len(words), words, 0, False, True)
    read = images.read(save_dicom(dataset, tmp_path / "a.dcm"))
    assert read.pixels.shape == (24, 20)


@pytest.mark.parametrize(
    ("descriptor", "signed"), [([4, 65533, 8], 1), ([4, 0, 40], 0), ([4, 0, 8], 0)]
)
def test_a_table_of_greys_counts_from_where_it_begins(
    tmp_path: Path, descriptor: list[int], signed: int
) -> None:
    dataset = dicom_film(np.zeros((24, 20), np.int16 if signed else np.uint16))
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "US", [0, 51, 102, 255])
    dataset.VOILUTSequence = [item]
    read = images.read(save_dicom(dataset, tmp_path / "a.dcm"))
    if descriptor[2] == 40:
        return  # no depth of a table: the film is shown without it
    assert np.allclose(read.pixels, 1.0 if signed else 0.0)


def test_a_decoder_that_returns_another_size_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_dicom(_film(), tmp_path / "a.dcm")
    monkeypatch.setattr(dicom_pixels, "pixel_array", lambda *_, **__: np.ones((3, 3)))
    with pytest.raises(DataError, match=r"decodes to \(3, 3\)"):
        images.read(path)


def test_more_run_lengths_than_a_film_needs_are_not_unpacked(tmp_path: Path) -> None:
    dataset = _film()
    dataset.compress(RLELossless)
    stream = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = pydicom.encaps.encapsulate([stream + bytes(20_000)])
    with pytest.raises(DataError, match="bytes of run lengths, more than"):
        images.read(save_dicom(dataset, tmp_path / "a.dcm"))


def test_memory_that_runs_out_over_a_film_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise MemoryError

    path = save_dicom(_film(), tmp_path / "a.dcm")
    monkeypatch.setattr("napari_wsseg.io.dicom._pixels.stored", no_room)
    with pytest.raises(DataError, match="needs more memory"):
        images.read(path)
    monkeypatch.setattr(film_facts, "read_facts", no_room)
    assert "needs more memory" in film_facts.facts_record(str(path))


def _directory(place: Path, *files: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        "1.2.840.10008.1.3.10"
    )
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    records = []
    for file in files:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        if file is not None:
            record.ReferencedFileID = file
        records.append(record)
    dataset.DirectoryRecordSequence = records
    return save_dicom(dataset, place / "DICOMDIR")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((["..", "A"],), "outside its folder"),
        (("/etc/passwd",), "outside its folder"),
        ((None,), "lists no image"),
        ((), "lists no image"),
    ],
)
def test_a_directory_of_a_disc_leads_to_its_own_images(
    tmp_path: Path, files: tuple[object, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        dicomdir.images(_directory(tmp_path, *files))


def test_a_directory_names_a_file_by_one_word_or_several(tmp_path: Path) -> None:
    path = _directory(tmp_path, "A", ["B", "C"], None)
    assert dicomdir.images(path) == ["A", "B/C"]


# Pictures, tables and values ---------------------------------------------------------


def test_colours_are_weighed_and_a_tint_is_one() -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[..., 0] = 200
    greys, tinted = luminance.luminance(colours)
    assert tinted
    assert np.allclose(greys, 200 * 0.299 / 255, atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_picture_is_turned_as_an_ordinary_one_is(orientation: int) -> None:
    from PIL import ImageOps

    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = Image.fromarray(values)
    picture.getexif()[274] = orientation
    shown = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(deep.upright(values, orientation), shown)


def test_an_archive_that_cannot_be_opened_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    (tmp_path / "a.zip").mkdir()
    assert not archive.is_archive(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as made:
        made.writestr("a.png", bytes(200))
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 100)
    ((_, reason),) = archive.listing(tmp_path / "b.zip").refused
    assert "that one film may have" in reason


def test_values_between_nought_and_one_are_cut_at_one_half() -> None:
    values = np.linspace(0, 1, 64).reshape(8, 8)
    assert np.array_equal(mask_values.drawn(values), values > 0.5)
    noisy = np.where(np.eye(64) > 0, 250, 3).astype(np.uint8)
    noisy[0, 1], noisy[5, 5] = 4, 254
    assert mask_values.drawn(noisy).sum() == 64
    with pytest.raises(DataError, match="not two: what is above"):
        mask_values.drawn(np.linspace(-3, 9, 64).reshape(8, 8))


def test_colours_that_are_cut_are_not_asked_for_one_colour() -> None:
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:2, :, 0], colours[2:4, :, 1] = 255, 255
    with pytest.raises(DataError, match="several colours"):
        mask_values.of_colours(colours)
    assert mask_values.of_colours(colours, Choice(cut=9)).sum() == 32
    assert not mask_values.of_colours(np.zeros((8, 8, 3), np.uint8)).any()


def test_contours_of_a_single_point_draw_nothing() -> None:
    with pytest.raises(DataError, match="hold no pixel"):
        json_masks._outlined([[(3, 4)]], (8, 8), (8, 8))


def test_a_nifti_of_too_many_values_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    whole = nifti.encode(blot(), None)
    path.write_bytes(whole)
    monkeypatch.setattr(_nifti, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="of values; not a single slice"):
        nifti.values(path)


def test_a_table_stated_for_published_films_fits_copies_of_them_alone() -> None:
    sizes = stated_size.StatedSizes(lambda _: [], copies=True)
    assert sizes.size((512, 512)) == stated_size.STATED
    with pytest.raises(DataError, match="is no copy"):
        sizes.size((512, 400))
    assert stated_size.remarks(stated_size.STATED, stated_size.STATED) == []


# Maps, runs and lists ----------------------------------------------------------------


def test_structures_of_a_film_are_drawn_at_the_size_that_is_asked(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        case = project.case(CASE)
        assert anatomy.masks(project, case, RUN) == {}
        score = np.zeros((2, 16, 16), np.float32)
        score[:, 2:8, 2:8], score[:, 14, 14] = 0.9, 0.9
        maps = StageMaps(score, np.ones(2, np.float32), {})
        stages.write(project.folder, "anatomy", RUN, CASE, maps)
        stages.write_settings(project.folder, "anatomy", RUN, SETTINGS)
        found = anatomy.masks(project, case, RUN)
        assert {mask.shape for mask in found.values()} == {SHAPE}
        small = anatomy.masks(project, case, RUN, side=10, names=["heart"])
    assert [*small] == ["heart"]
    assert max(small["heart"].shape) == 10


@pytest.mark.parametrize("text", ["{", '{"drawing": 0}'])
def test_maps_without_a_word_of_how_they_were_drawn_are_made_again(
    tmp_path: Path, text: str
) -> None:
    maps = StageMaps(np.zeros((2, 8, 8), np.float32), np.ones(2, np.float32), {})
    stages.write(tmp_path, "cam", RUN, CASE, maps)
    assert stages.missing(tmp_path, "cam", RUN, [CASE]) == {CASE}
    stages.write_settings(tmp_path, "cam", RUN, SETTINGS)
    assert stages.missing(tmp_path, "cam", RUN, [CASE]) == set()
    assert [case for case, _ in stages.presences(tmp_path, "cam", RUN)] == [CASE]
    stages.keep(tmp_path, "cam", RUN, [CASE])
    assert stages.read(tmp_path, "cam", RUN, CASE) is not None
    (stages.folder(tmp_path, "cam", RUN) / "drawing.json").write_text(text)
    assert [*stages.presences(tmp_path, "cam", RUN)] == []


def test_a_list_that_is_lost_or_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(DataError, match="is missing"):
        [*row_files.read(tmp_path / "none.json")]
    monkeypatch.setattr(row_files.project_files, "opened", broken)
    with pytest.raises(DataError, match="cannot be read"):
        [*row_files.read(tmp_path / "a.json")]


def test_what_a_run_chose_is_kept_with_it(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        run = runs.RunFolder(project.folder / "runs" / RUN)
        run.path.mkdir(parents=True)
        assert run.choices() == {}
        run.keep_choices({"nodule": "brush, for its edges are sharp"})
        assert run.choices() == {"nodule": "brush, for its edges are sharp"}


def test_a_working_size_of_a_few_pixels_makes_no_sense(tmp_path: Path) -> None:
    with (
        new_project(tmp_path) as project,
        pytest.raises(ValueError, match="16 is the smallest"),
    ):
        finish(film_cache.films(project, 8))


# Names, locks and the index ----------------------------------------------------------


def test_a_key_file_that_lacks_a_film_or_is_none_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(film_names.VARIABLE, str(tmp_path))
    key = "0" * 16
    path = film_names.key_file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": ".", "films": {"film_0001.png": "a.png"}}))
    names = film_names.read(key, tmp_path)
    with pytest.raises(DataError, match="has no such film"):
        names.place("film_0002.png")
    path.write_text("{}")
    with pytest.raises(DataError, match="'images' is missing"):
        film_names.read(key, tmp_path)


def test_an_export_is_not_moved_over_another(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "exports").mkdir(parents=True)
    (project / "exports" / "a.csv").write_text("a")
    target = tmp_path / "out" / "exports" / "a.csv"
    target.parent.mkdir(parents=True)
    target.write_text("b")
    with pytest.raises(DataError, match="is there already"):
        names_left.move_out(project, ["exports/a.csv"], tmp_path / "out")
    assert (target.read_text(), (project / "exports" / "a.csv").exists()) == ("b", True)


def test_a_film_that_is_a_picture_has_no_identity(tmp_path: Path) -> None:
    Image.fromarray(grey(1)).save(tmp_path / "a.png")
    assert film_identity.element(tmp_path / "a.png", "PatientID") == ""


def test_the_holder_of_a_project_is_gone_when_its_file_is(tmp_path: Path) -> None:
    holder = tmp_path / "holder"
    assert writer_lock._is_gone(holder)
    holder.write_text("{")
    assert not writer_lock._is_gone(holder)
    old = time.time() - 3600
    os.utime(holder, (old, old))
    assert writer_lock._is_gone(holder)


def test_a_lock_that_fails_for_another_reason_is_no_lock_of_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def broken(*_: object) -> None:
        raise OSError(errno.EBADF, "bad descriptor")

    monkeypatch.setattr(fcntl, "flock", broken)
    with (
        open(tmp_path / "lock", "wb") as file,
        pytest.raises(OSError, match="bad descriptor"),
    ):
        locks._try(file)


def test_a_word_shorter_than_the_index_knows_finds_labels_and_splits() -> None:
    queries = [*film_words._queries(["ab", "mass"], "a", labels=True)]
    assert any("split" in sql for sql, _ in queries)
    assert [*film_words._queries(["ab", "mass"], "b", labels=True)][1][1] == '"ab": 1'


def test_a_number_without_end_in_a_column_is_named() -> None:
    assert kinds.flaw(["seconds"], [(float("inf"),)]) == "column 'seconds' holds inf"


def test_a_mask_that_does_not_read_back_is_said(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        version = project.put_mask(CASE, "nodule", blot(), reader="ann")
        expert_masks.check_kept(project.folder, version, blot())
        with pytest.raises(DataError, match="does not read back"):
            expert_masks.check_kept(project.folder, version, blot(height=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE audit SET payload = '{' WHERE action = 'mask'", "mask None of row"),
        ("UPDATE audit SET payload = '[1]' WHERE action = 'mask'", "mask None of row"),
        ("DELETE FROM audit WHERE action = 'mask'", "is not in the trail"),
        ("DELETE FROM audit WHERE action = 'decision'", "is not in the trail"),
        ("DELETE FROM annotations", "of the trail is missing"),
    ],
)
def test_rows_and_trail_that_differ_are_told_either_way(
    tmp_path: Path, change: str, message: str
) -> None:
    with new_project(tmp_path) as project:
        project.put_mask(CASE, "nodule", blot(), reader="ann")
        project.decide(CASE, "accept", reader="ann")
        folder = project.folder
    with closing(sqlite3.connect(folder / "index.sqlite")) as index, index:
        for (name,) in index.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            index.execute(f"DROP TRIGGER {name}")
        index.execute("PRAGMA foreign_keys = OFF")
        index.execute(change)
    with closing(Database(folder / "index.sqlite", readonly=True)) as database:
        assert any(message in line for line in trail.differences(database))


def test_what_idle_readers_a_fork_left_are_not_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[int] = []
    theirs = SimpleNamespace(close=lambda: closed.append(1))
    monkeypatch.setattr(_reader, "_idle", {object: (1, "", theirs)})
    _reader._close_idle()
    assert closed == []


def test_shards_that_cannot_be_opened_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / map_shards.FOLDER).mkdir()
    (tmp_path / map_shards.FOLDER / "a.zip").write_bytes(b"no archive")
    assert [*map_shards.presences(tmp_path)] == []


def test_a_lost_mask_is_not_made_again_of_what_its_strokes_do_not_lead_to(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        version = project.put_mask(CASE, "nodule", blot(), reader="ann")
        after = blot(height=9)
        project.journal.record(CASE, "nodule", "ann", blot(), after)
        path = mask_store.place(project.folder, CASE, "nodule", version.mask_sha)
        path.unlink()
        with pytest.raises(DataError, match=r"nodule"):
            project.journal.fold(CASE, "nodule", "ann", shown=blot(height=12))
        assert not path.exists()
        project.journal.fold(CASE, "nodule", "ann", shown=after)
        newest = project.latest(CASE, "nodule", reader="ann")
        assert newest is not None
        assert np.array_equal(project.read_mask(newest), after)
        assert path.exists()
