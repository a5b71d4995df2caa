"""A project, run or map that somebody forged is refused, and nothing happens."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from helpers.small_project import CASE, blot, new_project
from napari_wsseg import cli
from napari_wsseg.io import atomic, checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import pretrained
from napari_wsseg.pipeline.inference import networks

RUN = "classifier-20261121-000000-aaaa"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with new_project(tmp_path) as made:
        made.put_mask(CASE, "nodule", blot(), reader="ann")
        return made.folder


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[Path]:
    """Make a folder of the user's that has nothing to do with it, and watch it."""
    place = tmp_path / "documents"
    (place / "letters").mkdir(parents=True)
    (place / "letters" / "0123456789ab.png").write_text("dear")
    yield place
    assert (place / "letters" / "0123456789ab.png").read_text() == "dear"
    assert len(list(place.rglob("*"))) == 2


@pytest.mark.parametrize("name", ["masks", "stages", "runs", "cache", ".trash"])
@pytest.mark.parametrize("command", [["fsck", "--repair"], ["gc"]])
def test_a_project_that_links_elsewhere_is_not_written_to(
    folder: Path,
    bystander: Path,
    name: str,
    command: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if (folder / name).exists():
        (folder / name).rename(folder.parent / "aside")
    (folder / name).symlink_to(bystander)
    assert cli.main([*command, "-p", str(folder)]) == 3
    assert "is a link" in capsys.readouterr().err


def test_a_link_deep_in_the_maps_is_not_cleared(folder: Path, bystander: Path) -> None:
    (folder / "stages" / "cam").mkdir(parents=True)
    (folder / "stages" / "cam" / "run").symlink_to(bystander)
    cli.main(["gc", "-p", str(folder)])
    (folder / "masks" / CASE / "effusion").symlink_to(bystander)
    cli.main(["fsck", "--repair", "-p", str(folder)])


def forge(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "index.sqlite") as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "sha", ["../../../../documents/letters/0123456789ab", "a/b", "..", "c:x"]
)
def test_a_forged_row_moves_no_file_of_the_user(
    folder: Path, bystander: Path, sha: str
) -> None:
    forge(
        folder,
        "DROP TRIGGER annotations_no_update",
        f"UPDATE annotations SET mask_sha = '{sha}'",
    )
    with Project.open(folder, write=True) as project:
        with pytest.raises(DataError, match="no name of a file"):
            project.expert_masks(CASE)
    assert cli.main(["fsck", "--repair", "-p", str(folder)]) == 3


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret.png"])
def test_a_forged_path_is_not_followed(
    folder: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(folder, f"UPDATE cases SET path = '{path}'")
    with Project.open(folder) as project:
        with pytest.raises(DataError, match="leads out"):
            project.radiograph(project.case(CASE))
    assert cli.main(["fsck", "-p", str(folder)]) == 3
    assert "leads out" in capsys.readouterr().err


def test_a_forged_case_names_no_folder(folder: Path) -> None:
    forge(folder, "UPDATE cases SET id = '../../../tmp/x'")
    with Project.open(folder) as project:
        with pytest.raises(DataError, match="16 digits"):
            project.cases()


@pytest.mark.parametrize("labels", ["[", "[" * 100_000, "3", '{"a":'])
def test_forged_labels_are_told_in_words(folder: Path, labels: str) -> None:
    forge(folder, f"UPDATE cases SET labels = '{labels}'")
    with Project.open(folder) as project:
        with pytest.raises(DataError, match="labels are damaged"):
            project.cases()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON decisions BEGIN DELETE FROM strokes; END",
        "CREATE VIEW v AS SELECT load_extension('evil')",
        "CREATE TABLE extra (x)",
    ],
)
def test_what_wsseg_never_made_in_the_index_is_refused(
    folder: Path, statement: str
) -> None:
    forge(folder, statement)
    for write in (False, True):
        with pytest.raises(DataError, match="did not make"):
            Project.open(folder, write=write)


def test_a_table_that_is_a_view_without_end_is_refused(folder: Path) -> None:
    forge(
        folder,
        "DROP TABLE strokes",
        "CREATE VIEW strokes AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    )
    with pytest.raises(DataError, match="did not make"):
        Project.open(folder)


@pytest.mark.parametrize(
    "text", ["x = 1\n" * 300_000, "a = " + "[" * 50_000], ids=["huge", "deep"]
)
def test_a_settings_file_that_is_a_bomb_is_refused(folder: Path, text: str) -> None:
    (folder / "wsseg.toml").write_text(text)
    with pytest.raises(DataError, match="not valid TOML"):
        Project.open(folder)


def test_json_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        atomic.read_json(deep)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(2**33)  # sparse: eight GiB that take no room
    with pytest.raises(DataError, match="over 64 MiB"):
        atomic.read_json(huge)


def map_file(folder: Path, content: Callable[[zipfile.ZipFile], object]) -> None:
    path = stages.folder(folder, "cam", RUN) / f"{CASE}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        content(archive)


def npy(shape: tuple[int, ...], descr: str = "<f2", data: bytes = b"") -> bytes:
    out = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + data


def a_bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("score.npy", "w", force_zip64=True) as member:
        member.write(npy((1, 2**12, 2**12)))
        member.write(bytes(2**25))


def a_boast(archive: zipfile.ZipFile) -> None:
    archive.writestr("score.npy", npy((1, 2**20, 2**20)))
    archive.writestr("present.npy", npy((1,), "<f4", bytes(4)))


def an_object(archive: zipfile.ZipFile) -> None:
    archive.writestr("score.npy", npy((1,), "|O", b"\x80\x04N."))


def a_mismatch(archive: zipfile.ZipFile) -> None:
    archive.writestr("score.npy", npy((1, 2, 2), "<f2", bytes(8)))
    archive.writestr("present.npy", npy((3,), "<f4", bytes(12)))


@pytest.mark.parametrize("content", [a_bomb, a_boast, an_object, a_mismatch])
def test_maps_that_are_a_bomb_or_a_lie_are_refused(
    tmp_path: Path,
    content: Callable[[zipfile.ZipFile], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stages, "MAX_BYTES", 2**24)
    map_file(tmp_path, content)
    with pytest.raises(DataError, match="is damaged"):
        stages.read(tmp_path, "cam", RUN, CASE)


def test_maps_that_are_bare_bytes_are_refused(tmp_path: Path) -> None:
    path = stages.folder(tmp_path, "cam", RUN) / f"{CASE}.npz"
    path.parent.mkdir(parents=True)
    for content in (b"", b"\x80\x04N.", npy((1,), "<f4", bytes(4))):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            stages.read(tmp_path, "cam", RUN, CASE)
        assert stages.read_present(tmp_path, "cam", RUN, CASE) is None


def png_of(height: int, width: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        sealed = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sealed

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body)


@pytest.mark.parametrize("side", [8_000, 20_000, 2**31 - 1])
def test_a_mask_that_would_fill_the_memory_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match=r"too many|exceeds|decompression"):
        _mask_store.decode(png_of(side, side))


def test_a_mask_of_another_films_shape_is_refused(folder: Path) -> None:
    forge(folder, "UPDATE cases SET height = 41")
    with Project.open(folder) as project:
        with pytest.raises(DataError, match="restore the mask"):
            project.expert_masks(CASE)


class Evil:
    """What runs code as soon as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_a_weights_file_with_code_in_it_is_refused(tmp_path: Path, name: str) -> None:
    mark, path = tmp_path / "was here", tmp_path / name
    for legacy in (False, True):
        torch.save(
            {"weight": Evil(mark)}, path, _use_new_zipfile_serialization=not legacy
        )
        with pytest.raises(DataError):
            pretrained.read(path)
        with pytest.raises(DataError):
            checkpoints.read_resume(path)
        with pytest.raises(DataError):
            checkpoints.read(path)
    assert not mark.exists()


def test_a_weights_file_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    plain, packed = tmp_path / "whole.pt", tmp_path / "packed.pt"
    torch.save({"weight": torch.zeros(2**20)}, plain)
    with (
        zipfile.ZipFile(plain) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    for read in (pretrained.read, checkpoints.read_resume):
        assert read(plain)
        with pytest.raises(DataError, match="compressed"):
            read(packed)


def forged_run(project: Path, header: object) -> None:
    run = runs.RunFolder(project / "runs" / RUN)
    atomic.write_json(run.path / "config.json", {"recipe": "classifier"})
    weights = {"weight": torch.zeros(2)}
    data = save(weights, metadata={"wsseg": json.dumps(header)})
    run.best.write_bytes(data)


NETWORK = {"kind": "classifier", "arch": "resnet18", "findings": ["a"]}


@pytest.mark.parametrize(
    "header",
    [
        [],
        "text",
        {},
        {"network": 3},
        {"network": {}},
        {"network": {"kind": "shell"}},
        {"network": NETWORK},
        {"network": {**NETWORK, "in_channels": 2**40}},
        {"network": {**NETWORK, "findings": "many"}, "size": 10**9},
        {"network": {**NETWORK, "command": "rm"}},
    ],
)
def test_a_run_that_describes_another_network_is_refused(
    tmp_path: Path, header: object
) -> None:
    forged_run(tmp_path, header)
    with pytest.raises((DataError, JobFailed)):
        networks.load(tmp_path, RUN)
