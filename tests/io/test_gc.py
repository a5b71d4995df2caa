"""``wsseg gc``: only what can be made again goes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from helpers.small_project import CASE, blot, new_project
from napari_wsseg import cli
from napari_wsseg.io import runs
from napari_wsseg.io.files import locks
from napari_wsseg.io.project import Project

OLD = 10_000.0


def put(path: Path, *, old: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 100)
    if old:
        then = path.stat().st_mtime - OLD
        os.utime(path, (then, then))
    return path


def test_gc_clears_what_can_be_made_again_and_nothing_else(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        project.put_mask(CASE, "nodule", blot(), reader="ann")
        project.adopt("cam", "used", actor="ann")
        folder = project.folder
    done = runs.new(folder, "distillation", {})
    going = runs.new(folder, "distillation", {})
    going.begin()
    stays = [
        put(folder / "stages" / "cam" / "used" / f"{CASE}.npz"),
        put(folder / "stages" / "cam~layer-cam" / "used" / f"{CASE}.npz"),
        put(done.best),
        put(done.last),
        put(going.path / "cache" / "teacher.npy"),
        put(folder / "index.sqlite.v1.backup"),
        put(folder / "masks" / ".new.png.0123abcd.tmp"),
        put(folder / "masks" / "mine.tmp", old=True),
        *(folder / "masks").rglob("*.png"),
    ]
    goes = [
        put(folder / "stages" / "cam" / "earlier" / f"{CASE}.npz"),
        put(folder / "stages" / "cam~layer-cam" / "earlier" / f"{CASE}.npz"),
        put(folder / "stages" / "irnet" / "earlier" / f"{CASE}.npz"),
        put(done.path / "cache" / "teacher.npy"),
        put(folder / "masks" / ".old.png.0123abcd.tmp", old=True),
        put(folder / "cache" / "films-64-0123.u8", old=True),
    ]
    assert cli.main(["gc", "-p", str(folder), "--dry-run"]) == 0
    assert all(path.exists() for path in [*stays, *goes])
    assert cli.main(["gc", "-p", str(folder)]) == 0
    assert [path for path in stays if not path.exists()] == []
    assert [path for path in goes if path.exists()] == []
    with Project.open(folder) as project:
        assert project.expert_masks(CASE)["nodule"].any()
        project.verify_audit()


def test_gc_leaves_a_project_alone_that_somebody_writes_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_project(tmp_path) as project:
        maps = put(project.folder / "stages" / "cam" / "earlier" / "x.npz")
        assert cli.main(["gc", "-p", str(project.folder)]) == 3
        assert maps.exists()
    assert "already open for writing" in capsys.readouterr().err


def test_gc_clears_films_half_decoded_by_a_dead_process_and_no_others(
    tmp_path: Path,
) -> None:
    with new_project(tmp_path) as project:
        folder = project.folder
    dead = put(folder / "cache" / "films-64-dead.u8")
    growing = put(folder / "cache" / "films-64-grow.u8")
    with growing.open("rb+") as file:
        locks.hold(file)
        assert cli.main(["gc", "-p", str(folder)]) == 0
        assert growing.exists()
        assert not dead.exists()


def test_a_disk_that_fails_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with new_project(tmp_path) as project:
        folder = project.folder
    put(folder / "stages" / "cam" / "earlier" / f"{CASE}.npz")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "earlier")

    monkeypatch.setattr(os, "rmdir", refuse)
    assert cli.main(["gc", "-p", str(folder)]) == 3
    assert "earlier: Input/output error" in capsys.readouterr().err
