"""Files of a project and of others that are not what they should be: said so."""

from __future__ import annotations

import errno
import io
import json
import os
import sqlite3
import struct
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from helpers.small_project import CASE, SHAPE, blot, grey, new_project
from napari_wsseg.io import (
    atomic,
    checkpoints,
    film_identity,
    film_names,
    images,
    masks,
    pacs,
    processes,
    project_files,
    runs,
    stages,
    values,
)
from napari_wsseg.io.dicom import codestream
from napari_wsseg.io.external import json_masks, mask_files, mask_values, tables
from napari_wsseg.io.external import nifti as _nifti
from napari_wsseg.io.external.mask_values import SOFT, Choice
from napari_wsseg.io.files import map_codec, map_shards
from napari_wsseg.io.films import archive, jsrt, limits, source
from napari_wsseg.io.guarded import answers
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.io.guarded.answers import Answer, Ended
from napari_wsseg.io.guarded.reader import GuardedReader
from napari_wsseg.io.index import database as _database
from napari_wsseg.io.index import effort
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import gc, mask_store, rescue, writer_lock
from napari_wsseg.io.project_folder import settings as _settings
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import Case, StageMaps

RUN = "classifier-20261121-000000-aaaa"


# What lies in a run's folder ---------------------------------------------------------


@pytest.mark.parametrize("header", [None, "[1]", "{", '"x"'])
def test_weights_without_our_header_are_no_weights_of_ours(
    tmp_path: Path, header: str | None
) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "best.safetensors"
    more = {} if header is None else {"wsseg": header}
    save_file({"a": np.zeros(3, np.float32)}, path, metadata=more or None)
    with pytest.raises(DataError, match="wsseg"):
        checkpoints.read(path)


def test_a_state_that_is_lost_or_none_is_not_resumed_from(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "last.pt"
    with pytest.raises(DataError, match="stopped before its first save"):
        checkpoints.read_resume(path)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="holds a list, not a training state"):
        checkpoints.read_resume(path)


def test_a_file_that_should_hold_json_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        atomic.read_json(tmp_path / "state.json")
    for text in ('{"a": NaN}', '{"a": ' + "9" * 5000 + "}", '{"a": "\\ud800"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - words are the caller's
            values.parse(text)
    with pytest.raises(DataError, match="refused"):
        project_files.checked(Path("a\0b"))
    (tmp_path / "long").write_bytes(b"x" * 9)
    with pytest.raises(DataError, match="over 0 MiB; refused"):
        project_files.read_bytes(tmp_path / "long", 8)


def test_maps_of_a_stage_that_there_is_not_are_asked_for_in_vain(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="no stage 'cma'; there are: cam"):
        stages.folder(tmp_path, "cma", RUN)
    with pytest.raises(ValueError, match="name it with"):
        stages.folder(tmp_path, "cam~../x", RUN)
    assert stages.read_settings(tmp_path, "cam", RUN) is None
    short = {"findings": ["a", "b"], "thresholds": [0.5, 0.5], "gates": [0.5]}
    atomic.write_json(stages.folder(tmp_path, "cam", RUN) / "stage.json", short)
    with pytest.raises(DataError, match="a gate for each finding"):
        stages.read_settings(tmp_path, "cam", RUN)


# Processes ---------------------------------------------------------------------------


def test_a_process_is_known_by_its_number_and_when_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psutil

    child = subprocess.Popen(["sleep", "60"])
    began = psutil.Process(child.pid).create_time()
    assert processes.is_alive(child.pid, began)
    assert not processes.is_alive(child.pid, began - 60)  # its number was given again
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "Process", _denied)
        assert processes.is_alive(child.pid, began)  # somebody else's, so it lives
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_alive(child.pid, began)  # not yet waited for
    child.wait()
    assert not processes.is_alive(child.pid, began)
    assert not processes.is_alive("1", began)
    assert processes.is_alive(os.getpid(), 0)


def _denied(pid: int) -> Any:
    import psutil

    raise psutil.AccessDenied(pid)


def test_a_holder_of_the_lock_that_cannot_be_read_is_another_process(
    tmp_path: Path,
) -> None:
    assert writer_lock._named_holder(tmp_path / "none") == "another process"
    (tmp_path / "torn").write_text('{"pid": 1')
    assert writer_lock._named_holder(tmp_path / "torn") == "another process"


# The reading process -----------------------------------------------------------------


def test_where_no_reading_process_starts_this_one_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reader.sys, "executable", "/bin/true")
    reader = GuardedReader()
    assert reader.ask("os.path:basename", "/a/b") == "b"
    reader.close()


def test_a_reading_process_that_heeds_no_request_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reader, "_GRACE", 0.2)
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
        stdout=subprocess.PIPE,
    )
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == b"ready\n"
    _reader._ended(stubborn)
    assert stubborn.returncode == -9
    stubborn.stdout.close()


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = io.BytesIO()
    answers.write(whole, Answer("value", [1], b"12345"))
    with pytest.raises(Ended):
        answers.received(io.BytesIO(whole.getvalue()[:-2]))
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(Ended):
        answers.send(closed, {"ask": "x"})


def test_memory_that_runs_out_over_a_question_is_a_refusal() -> None:
    from napari_wsseg.io.guarded.serve import answers_to

    question = {"ask": f"{__name__}:hungry", "with": [], "in": None}
    (answer,) = answers_to(question)
    assert answer.kind == "refused"
    assert "more memory" in answer.value


def hungry() -> None:
    raise MemoryError


# Films -------------------------------------------------------------------------------


def test_a_film_of_jsrt_has_its_size_and_twelve_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.IMG"
    path.write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match="not a film of the JSRT database"):
        images.read(path)
    grey = np.zeros((jsrt.SIDE, jsrt.SIDE), ">u2")
    grey[0, 0] = 4095
    path.write_bytes(grey.tobytes())
    pixels = images.read(path).pixels
    assert (pixels[0, 0], pixels[0, 1]) == (0, 1)  # dense is stored dark
    grey[0, 0] = 4096
    path.write_bytes(grey.tobytes())
    with pytest.raises(DataError, match="values up to 4096"):
        images.read(path)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_values_that_are_no_greys_are_refused(tmp_path: Path, kind: type) -> None:
    odd = np.full((20, 20), 70000 if kind is np.int32 else 2, kind)
    odd[0, 0] = 0
    Image.fromarray(odd).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"0 to 65535 are read|scale them first"):
        images.read(tmp_path / "a.tif")
    if kind is np.float32:
        Image.fromarray(odd / 2).save(tmp_path / "a.tif")
        assert images.read(tmp_path / "a.tif").pixels.max() == 1


def test_a_film_that_cannot_be_opened_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"film")

    def broken(*arguments: object, **more: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(source, "open", broken, raising=False)
    with pytest.raises(DataError, match="cannot be read"), source.opened(path):
        pass
    monkeypatch.setattr(archive, "open", broken, raising=False)
    assert not archive.is_archive(path)
    assert film_identity.read_owner(path) is None


def test_a_member_of_an_archive_is_read_once_and_never_empty(tmp_path: Path) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", b"old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("a.png", b"new")
        packed.writestr("b.png", b"")
    listing = archive.listing(path)
    assert listing.refused == [("a.png", "is there twice; the last one is read")]
    with pytest.raises(DataError, match="empty file"):
        archive.read(path, "b.png")
    assert archive.split_archive_path(path / "b.png") == (path, "b.png")
    assert archive.split_archive_path(tmp_path / "none" / "b.png") is None
    assert archive.split_archive_path(Path(".")) is None
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        archive.read(path, "b.png")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\nftyp", "without a JPEG 2000 stream"),
        (b"\xff\xd8\xff\xda\0\0", "before the JPEG frame header"),
        (b"\xff\xd8\xff\xc0\0", "ends in its header"),
        (b"GIF89a", "neither JPEG"),
    ],
)
def test_a_stream_without_a_size_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        codestream.describe(data)


def test_markers_before_the_size_of_a_jpeg_are_passed_over() -> None:
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, 30, 20, 1)
    found = codestream.describe(b"\xff\xd8" + b"\xff" + b"\xff\x01" + frame + bytes(9))
    assert (found.rows, found.columns, found.bits) == (30, 20, 8)


# Masks and tables of others ----------------------------------------------------------


def nifti_header(size: int = 348, begin: float = 352.0, kind: int = 2) -> bytes:
    data = bytearray(352)
    struct.pack_into("<i", data, 0, size)
    struct.pack_into("<8h", data, 40, 3, 4, 4, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", data, 70, kind, 8)
    struct.pack_into("<f", data, 108, begin)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nifti_header(7), "no header"),
        (nifti_header(kind=3), "values of kind 3"),
        (nifti_header(begin=3e9), "begin at byte 3000000000"),
        (b"\x1f\x8b" + b"x" * 40, "not NIfTI"),
        (b"\x1f", "not NIfTI"),
    ],
)
def test_a_nifti_header_that_is_none_is_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        _nifti.bounded(path)


def test_probabilities_are_what_they_are_or_refused() -> None:
    def soft(*numbers: float, kind: str) -> np.ndarray:
        return mask_values.drawn(np.array([numbers], kind), SOFT)

    np.testing.assert_array_equal(soft(0, 0.25, 1.0005, kind="f4"), [[0, 0.25, 1]])
    np.testing.assert_array_equal(soft(0, 255, kind="u1"), [[0, 1]])
    np.testing.assert_allclose(soft(0, 51, 255, kind="u1"), [[0, 0.2, 1]])
    np.testing.assert_allclose(soft(0, 13107, 65535, kind="u2"), [[0, 0.2, 1]])
    with pytest.raises(DataError, match="apply the sigmoid"):
        soft(-3, 4, kind="f4")
    with pytest.raises(DataError, match="its values are 0, 1, 2"):
        soft(0, 1, 2, kind="u1")


@pytest.mark.parametrize(
    ("given", "message"),
    [(np.zeros((2, 2), complex), "values of kind"), (np.zeros((0, 3)), "no pixels")],
)
def test_what_are_no_numbers_is_no_mask(given: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mask_values.drawn(given)


def test_numbers_of_labels_are_whole_few_and_lie_in_flat_regions() -> None:
    flat = np.zeros((30, 30))
    flat[2:9, 2:9], flat[20:28, 20:28] = 1, 2
    noise = np.random.default_rng(0).integers(0, 3, (30, 30))
    assert mask_values.labels(flat) == [1, 2]
    assert mask_values.labels(flat * 0.5) == mask_values.labels(flat * 40) == []
    assert mask_values.labels(noise) == []
    assert mask_values.label_numbers(flat) == [1, 2]
    assert mask_values.label_numbers(flat / 3) == []
    assert mask_values.label_numbers(flat - 1) == []
    assert mask_values.chosen(Choice(), "value=2") == Choice(value=2)
    assert mask_values.chosen(Choice(), "cut=0,5") == Choice(cut=0.5)


def test_a_palette_of_one_colour_shows_its_indices(tmp_path: Path) -> None:
    drawn = np.zeros((12, 9), np.uint8)
    drawn[2:5, 2:5] = 1
    image = Image.fromarray(drawn)
    image.putpalette([7, 7, 7] * 2)
    image.save(tmp_path / "a.png")
    found = mask_files.read(tmp_path / "a.png", (12, 9))
    np.testing.assert_array_equal(found, drawn > 0)
    assert masks.read is mask_files.read  # the former name


def test_masks_of_a_film_in_json_are_of_the_two_forms(tmp_path: Path) -> None:
    square = [[2, 2], [5, 2], [5, 5], [2, 5]]
    entry: dict[str, Any] = {"img_size": [9, 9], "nodule": [square], "mass": []}
    drawn = {name: draw((9, 9)) for name, draw in json_masks.localised(*_of(entry))}
    assert (drawn["nodule"].sum(), drawn["mass"].sum()) == (16, 0)
    for odd, message in (
        ({"nodule": 3}, "neither run lengths"),
        ({"img_size": [9, 9], "nodule": [[["x", 1]]]}, r"lists of \[x, y\]"),
        ({"img_size": [9, 9], "nodule": [[[50, 50], [60, 60]]]}, "no pixel"),
        ({"img_size": [9.5, 9], "nodule": [square]}, "not rows and columns"),
        ({"nodule": {"size": [9, 9], "counts": "x"}}, "not COCO's"),
    ):
        with pytest.raises(DataError, match=message):
            [draw((9, 9)) for _, draw in json_masks.localised(*_of(odd))]
    with pytest.raises(DataError, match="no counts"):
        json_masks.decoded({"size": [9, 9]}, (9, 9))
    with pytest.raises(DataError, match="cannot be read"):
        json_masks.load(tmp_path / "none.json", "COCO")


def _of(entry: object) -> tuple[Path, str, object]:
    return Path("gt_x.json"), "a", entry


def test_a_table_that_is_none_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match="cannot be read"):
        tables.rows(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not a UTF-8 csv"):
        tables.rows(path)
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr(tables, "MAX_CELLS", 3)
    with pytest.raises(DataError, match="over 3 cells"):
        tables.rows(path)


# The project's own -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": "a\nb"}, "prior"),
        ({"prior": "x" * 65}, "64 characters"),
        ({"defaults": 3}, "write a table"),
        ({"defaults": {"secnds": 3}}, "has no 'secnds'"),
        ({"defaults": {"seen_seconds": -1}}, "before a verdict counts"),
        ({"defaults": {"seen_seconds": True}}, "before a verdict counts"),
        ({"defaults": {"blind_labels": 3}}, "blind_labels is 3"),
        ({"places": 3}, "places is 3"),
        ({"places": {"nodule": 3}}, "places is"),
    ],
)
def test_settings_that_mean_nothing_are_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    new_project(tmp_path).close()
    path = tmp_path / "project" / "wsseg.toml"
    whole = tomllib.loads(path.read_text())
    path.write_text(tomli_w.dumps(whole | change))
    with pytest.raises(DataError, match=message):
        _settings.read(path.parent)
    path.write_text(tomli_w.dumps(whole | {"places": False}))
    assert _settings.read(path.parent).places is None


def test_a_project_needs_a_finding_and_a_folder_that_can_be_made(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match="at least one"):
        Project.create(tmp_path / "p", findings=[], images=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be made|not a folder|Not a directory"):
        Project.create(tmp_path / "file" / "p", findings=["a"], images=tmp_path)


def test_a_prior_is_kept_beside_the_comments_of_the_file(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        path = project.folder / "wsseg.toml"
        path.write_text(path.read_text() + "\n# my own words\n")
        project.set_prior("lungs")
        assert project.prior == _settings.read(project.folder).prior == "lungs"
        assert "# my own words" in path.read_text()
        project.set_prior("lungs")
        project.set_prior("")
        assert _settings.read(project.folder).prior == ""


def test_a_film_that_is_there_already_or_in_no_split_is_refused(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        known = project.case(CASE)
        with pytest.raises(DataError, match="already in the project"):
            project.add_case(known)
        odd = Case("f" * 16, "odd.png", SHAPE, None, "dev", {})  # type: ignore[arg-type]
        with pytest.raises(DataError, match="not train, val or test"):
            project.add_case(odd)
        with pytest.raises(DataError, match="has no case"):
            project.case("e" * 16)
        with pytest.raises(DataError, match="void"):
            project.put_void(CASE, np.zeros((2, 2), bool))
        assert project.readers.drawn_by() == []
        project.put_mask(CASE, "nodule", blot(), reader="ann")
        assert project.readers.drawn_by() == ["ann"]


def test_read_only_means_that_nobody_is_entered(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.add_reader("ann")
    with (
        Project.open(project.folder) as beside,
        pytest.raises(DataError, match="read-only"),
    ):
        beside.add_reader("bea")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EROFS, "Read-only file system"), "could not be written"),
        (sqlite3.OperationalError("no such module: fts5"), "SQLite"),
        (sqlite3.OperationalError("disk I/O error"), "full or failing"),
        (sqlite3.OperationalError("database is locked"), "another process"),
    ],
)
def test_what_sqlite_says_is_said_in_words(error: Exception, message: str) -> None:
    assert message in _database._message(Path("p/index.sqlite"), error)


def test_a_copy_of_the_index_is_whole_and_needs_no_log(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.put_mask(CASE, "nodule", blot(), reader="ann")
        project.write_plan(tmp_path / "backup" / "index.sqlite")
    copy = sqlite3.connect(tmp_path / "backup" / "index.sqlite")
    assert copy.execute("SELECT count(*) FROM annotations").fetchone() == (1,)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()


def test_a_key_file_that_is_none_or_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(film_names.VARIABLE, str(tmp_path / "file" / "keys"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        film_names.write("0" * 16, str(tmp_path), {})
    monkeypatch.delenv(film_names.VARIABLE)
    assert film_names.key_file("0" * 16).parent.name == "keys"


def test_no_certificate_is_asked_for_where_none_counts() -> None:
    with pytest.raises(UsageError, match="DIMSE has no certificates"):
        pacs.at("dimse://A@localhost:1", ca=Path("ca.pem"))


def test_the_day_is_said_in_a_line() -> None:
    assert effort.Day(3, 12.4, 0.5).line() == (
        "median 12 s a film today; 50% as offered"
    )
    assert effort.Day(3, 12.4, None).line() == "median 12 s a film today"
    assert effort.day([], "2026-11-30") is None
    assert effort.share_unedited([]) is None


def test_a_torn_row_of_metrics_is_none() -> None:
    assert runs._row('{"step": 1}') == {"step": 1}
    assert runs._row('{"step": 1{"step": 2}') == {"step": 2}
    assert runs._row("[1]") is None
    assert runs._row('{"st') is None


def test_limits_of_a_film_are_said_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty file"):
        limits.check_file(path)


# Maps of many films ------------------------------------------------------------------


def _shard(place: Path, cases: object, rows: np.ndarray, **more: int) -> None:
    """Make a shard of one film whose directory says what it likes."""
    film = map_codec.encode(
        StageMaps(np.ones((1, 4, 4), np.float32), np.ones(1, np.float32), {})
    )
    folder = stages.folder(place, "cam", RUN) / map_shards.FOLDER
    folder.mkdir(parents=True)
    present = io.BytesIO()
    np.save(present, rows)
    with zipfile.ZipFile(folder / "0-a.zip", "w", **more) as packed:
        packed.writestr("cases.json", json.dumps(cases))
        packed.writestr("present.npy", present.getvalue())
        packed.writestr(f"{CASE}.npz.zst", film)


@pytest.mark.parametrize(
    ("cases", "rows", "more"),
    [
        ([CASE], np.ones((1, 1)), {}),
        ({"../x": 9}, np.ones((1, 1)), {}),
        ({CASE: "9"}, np.ones((1, 1)), {}),
        ({CASE: -1}, np.ones((1, 1)), {}),
        ({CASE: 9}, np.ones((2, 1)), {}),
        ({CASE: 9}, np.ones(1), {}),
        ({CASE: 9}, np.ones((1, 1)), {"compression": zipfile.ZIP_DEFLATED}),
        ({CASE: 9}, np.ones((2**22, 1)), {}),
    ],
)
def test_a_shard_whose_directory_means_nothing_has_no_films(
    tmp_path: Path, cases: object, rows: np.ndarray, more: dict[str, int]
) -> None:
    _shard(tmp_path, cases, rows, **more)
    place = stages.folder(tmp_path, "cam", RUN)
    assert len([*map_shards.flaws(place)]) == 1
    assert [*map_shards.presences(place)] == []


def test_maps_of_another_kind_come_back_as_they_were() -> None:
    extra = {"label": np.arange(16, dtype=np.int16).reshape(1, 4, 4)}
    maps = StageMaps(np.ones((1, 4, 4), np.float32), np.ones(1, np.float32), extra)
    found = map_codec.decode(map_codec.encode(maps)).extra["label"]
    np.testing.assert_array_equal(found, extra["label"], strict=True)


def test_a_plan_of_jobs_that_broke_off_is_swept_when_it_is_old(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        cache = project.folder / "cache"
        cache.mkdir(exist_ok=True)
        for name, age in (("plan-1.sqlite", 10**6), ("plan-2.sqlite", 0)):
            (cache / name).write_bytes(b"plan")
            stamp = (cache / name).stat().st_mtime - age
            os.utime(cache / name, (stamp, stamp))
        (project.folder / "stages" / "camera").mkdir(parents=True)
        found = [one.path.name for one in gc.waste(project.folder, {})]
    assert found == ["plan-1.sqlite"]


def test_a_mask_file_of_another_kind_is_told_by_fsck_and_not_shown(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        kept = project.put_mask(CASE, "nodule", blot(), reader="ann")
        path = mask_store.place(project.folder, CASE, "nodule", kept.mask_sha)
        Image.fromarray(grey(1)).save(path)
        with pytest.raises(DataError, match="damaged"):
            project.read_mask(kept)
        with pytest.raises(ValueError, match="not 1 bit"):
            mask_store.decode(path.read_bytes())
        assert project.put_mask(CASE, "nodule", blot(), reader="ann") == kept
        np.testing.assert_array_equal(project.read_mask(kept), blot())


def test_strokes_without_their_mask_are_found_and_kept_as_versions(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        first = project.put_mask(CASE, "nodule", blot(), reader="ann")
        second = project.put_mask(CASE, "nodule", blot(12), reader="ann")
        both = blot(12) | blot(25)
        project.journal.record(CASE, "nodule", "ann", blot(12), both)
        path = mask_store.place(project.folder, CASE, "nodule", second.mask_sha)
        path.unlink()
        assert any("no mask to lie on" in line for line in project.fsck())
        project.fsck(repair=True)
        left = [one for one in project.fsck() if "radiograph is missing" not in one]
        assert left == []
        tools = [one.tool for one in project.history(CASE, "nodule")]
        assert tools[-2:] == [rescue.ALONE, rescue.ON_EARLIER]
        assert first.id < project.history(CASE, "nodule")[-1].id
        assert project.journal.rescue(CASE, "nodule", "ann") == []
        kept = [*(project.folder / ".trash" / "strokes").iterdir()]
        assert len(kept) == 1
