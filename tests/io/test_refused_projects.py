"""Settings, index and masks of a project that are not what they should be."""

from __future__ import annotations

import errno
import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from helpers.small_project import CASE, SHAPE, blot, grey, new_project
from napari_wsseg.io import film_names, pacs
from napari_wsseg.io.index import database as _database
from napari_wsseg.io.index import effort
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store, rescue
from napari_wsseg.io.project_folder import settings as _settings
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import Case


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
