"""Drills: what a full disk, a damaged file or the future does to a project."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from helpers.small_project import CASE, SHAPE, blot, new_project, write_png
from helpers.training_project import make_run
from napari_wsseg.io import checkpoints, stages
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index import database as _database
from napari_wsseg.io.index import migrations as _migrations
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError
from napari_wsseg.schema import Annotation, Decision, StageMaps
from napari_wsseg.session.decisions import finding_state


def mask_path(project: Project, sha: str) -> Path:
    return project.folder / "masks" / CASE / "nodule" / f"{sha}.png"


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_harms_nothing_that_was_saved(
    project: Project, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    first = project.put_mask(CASE, "nodule", blot(), reader="ann")
    with monkeypatch.context() as full:
        full.setattr(os, call, refuse)
        with pytest.raises(DataError, match="No space left"):
            project.put_mask(CASE, "nodule", blot(20), reader="ann")
    assert project.latest(CASE, "nodule") == first
    np.testing.assert_array_equal(project.read_mask(first), blot())
    assert project.fsck() == [
        f"{project.images}/a/film.png: radiograph is missing; put it back"
    ]
    assert project.put_mask(CASE, "nodule", blot(20), reader="ann").version == 2


def decide_often(project: Project) -> None:
    for _ in range(2000):
        project.decide(CASE, "accept", reader="ann", comment="x" * 500)


def test_an_index_without_room_to_grow_says_so(tmp_path: Path) -> None:
    with new_project(tmp_path) as project:
        pages = project._database.row("PRAGMA page_count")
        assert pages is not None
        project._database.row(f"PRAGMA max_page_count = {pages[0]}")
        with pytest.raises(DataError, match="disk is full"):
            decide_often(project)
        held = len(project._database.rows("SELECT id FROM decisions"))
        project.verify_audit()
        rows = project._database.rows("SELECT 1 FROM audit WHERE action = 'decision'")
        assert len(rows) == held


def test_a_lost_mask_is_told_and_repair_falls_back(project: Project) -> None:
    first = project.put_mask(CASE, "nodule", blot(), reader="ann")
    second = project.put_mask(CASE, "nodule", blot(20), reader="ann")
    mask_path(project, second.mask_sha).unlink()
    with pytest.raises(DataError, match="fsck --repair"):
        project.expert_masks(CASE)
    assert any(second.mask_sha in problem for problem in project.fsck(repair=True))
    assert project.latest(CASE, "nodule") == first
    np.testing.assert_array_equal(project.expert_masks(CASE)["nodule"], blot())
    assert project.put_mask(CASE, "nodule", blot(20), reader="ann").version == 3


def test_a_damaged_mask_is_never_shown(project: Project) -> None:
    annotation = project.put_mask(CASE, "nodule", blot(), reader="ann")
    path = mask_path(project, annotation.mask_sha)
    write_png(path, blot(20))
    with pytest.raises(DataError, match="damaged"):
        project.read_mask(annotation)


def test_files_that_no_row_knows_are_told_and_kept_in_the_trash(
    project: Project,
) -> None:
    stray = write_png(mask_path(project, "0" * 12), blot())
    half = stray.with_name(".x.png.abcd.tmp")
    half.write_bytes(b"\x89PNG")
    problems = "\n".join(project.fsck(repair=True))
    assert "no row knows" in problems
    assert "half written" in problems
    assert not stray.exists()
    assert not half.exists()
    assert len(list((project.folder / ".trash").rglob("*.png"))) == 1


def test_a_trail_that_was_tampered_with_is_told(project: Project) -> None:
    project.decide(CASE, "accept", reader="ann")
    project.decide(CASE, "reject", reader="ann")
    project.verify_audit()
    project.close()
    with sqlite3.connect(project.folder / "index.sqlite") as connection:
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            connection.execute("UPDATE audit SET actor = 'eve' WHERE seq = 1")
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("UPDATE audit SET actor = 'eve' WHERE seq = 1")
    connection.close()
    with (
        Project.open(project.folder) as again,
        pytest.raises(DataError, match="row 1 was changed"),
    ):
        again.verify_audit()


@pytest.mark.parametrize("seq", [1, 2])
def test_a_trail_with_a_row_cut_out_is_told(project: Project, seq: int) -> None:
    project.decide(CASE, "accept", reader="ann")
    project.decide(CASE, "reject", reader="ann")
    project.close()
    with sqlite3.connect(project.folder / "index.sqlite") as connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE seq = ?", (seq,))
    connection.close()
    with (
        Project.open(project.folder) as again,
        pytest.raises(DataError, match=f"row {seq} is missing"),
    ):
        again.verify_audit()


def set_version(folder: Path) -> None:
    with sqlite3.connect(folder / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def set_schema(folder: Path) -> None:
    path = folder / "wsseg.toml"
    path.write_text(path.read_text().replace("schema = 1", "schema = 7"))


@pytest.mark.parametrize("age", [set_version, set_schema])
@pytest.mark.parametrize("write", [False, True])
def test_a_project_from_the_future_is_refused_untouched(
    project: Project, age: Callable[[Path], None], write: bool
) -> None:
    project.close()
    age(project.folder)
    before = (project.folder / "index.sqlite").read_bytes()
    with pytest.raises(DataError, match=r"newer napari-wsseg.*update"):
        Project.open(project.folder, write=write)
    assert (project.folder / "index.sqlite").read_bytes() == before


def test_an_older_index_is_migrated_after_a_backup(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.close()
    steps = [
        *_migrations.MIGRATIONS,
        lambda connection: connection.execute("CREATE TABLE later (x)"),
    ]
    monkeypatch.setattr(_migrations, "MIGRATIONS", steps)
    index = project.folder / "index.sqlite"
    before = index.read_bytes()
    with Project.open(project.folder) as reading:
        assert reading.case(CASE).shape == SHAPE
    assert index.read_bytes() == before, "to read is to change nothing"
    with Project.open(project.folder, write=True) as writing:
        assert writing.case(CASE).shape == SHAPE
        assert writing._database.rows("SELECT * FROM later") == []
    backup = f"index.sqlite.v{len(steps) - 1}.backup"
    assert (project.folder / backup).is_file()


def test_a_migration_that_fails_changes_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.close()

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE strokes")
        connection.execute("SELECT nonsense")

    steps = [*_migrations.MIGRATIONS, fail]
    with monkeypatch.context() as future:
        future.setattr(_migrations, "MIGRATIONS", steps)
        with pytest.raises(DataError):
            Project.open(project.folder, write=True)
    with Project.open(project.folder, write=True) as again:
        assert again.journal.pending() == []


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_foreign_index_is_refused(project: Project, content: bytes) -> None:
    project.close()
    for side in project.folder.glob("index.sqlite*"):
        side.unlink()
    (project.folder / "index.sqlite").write_bytes(content)
    for write in (False, True):
        with pytest.raises(DataError, match=r"not the index|damaged"):
            Project.open(project.folder, write=write)


def test_a_damaged_page_never_ends_in_a_traceback(project: Project) -> None:
    for number in range(50):
        project.decide(CASE, "accept", reader="ann", comment=str(number) * 100)
    project.close()
    index = project.folder / "index.sqlite"
    data = bytearray(index.read_bytes())
    rng = np.random.default_rng(0)
    for place in range(4096, len(data), 4096):
        broken = data.copy()
        broken[place : place + 4096] = rng.bytes(4096)
        index.write_bytes(broken)
        with suppress(DataError), Project.open(project.folder) as again:
            again.decisions()
            again.fsck()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "not valid TOML"),
        ("schema = 'one'", "schema is 'one'"),
        ("schema = 1\nname = 'x'", "findings"),
        ("schema = 1\nname = 'x'\nimages = '.'\nfindings = 3", "mend it"),
        (
            "schema = 1\nname = 'x'\nimages = '.'\n"
            "findings = [{name = 'a', colour = 'red'}]",
            "#RRGGBB",
        ),
        (
            "schema = 1\nname = 'x'\nimages = '.'\nfindings = [{name = '../../a'}]",
            "rename",
        ),
    ],
)
def test_a_toml_that_is_off_is_refused_in_words(
    project: Project, text: str, message: str
) -> None:
    project.close()
    (project.folder / "wsseg.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        Project.open(project.folder)


def test_a_folder_that_is_no_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wsseg init"):
        Project.open(tmp_path)


def test_a_copy_that_nobody_may_write_to_can_be_read(
    project: Project, tmp_path: Path
) -> None:
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    project.close()
    copy = tmp_path / "copy"
    shutil.copytree(project.folder, copy)
    for path in [*copy.rglob("*"), copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with Project.open(copy) as reading:
            np.testing.assert_array_equal(reading.expert_masks(CASE)["nodule"], blot())
    finally:
        copy.chmod(0o755)
        for path in copy.rglob("*"):
            path.chmod(0o755)


def test_a_damaged_page_costs_only_what_stood_on_it(project: Project) -> None:
    """Whatever page is lost, each mask that can still be read is right."""
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    project.put_mask(CASE, "effusion", blot(20), reader="ann")
    project.close()
    index = project.folder / "index.sqlite"
    data = index.read_bytes()
    masks = {p: p.read_bytes() for p in project.folder.rglob("masks/**/*.png")}
    n_noticed, n_complete = 0, 0
    for place in range(0, len(data), 4096):
        index.write_bytes(data[:place] + b"\xa5" * 4096 + data[place + 4096 :])
        try:
            with Project.open(project.folder) as again:
                found = again.expert_masks(CASE)
                problems = [p for p in again.fsck() if "radiograph is" not in p]
        except DataError:
            n_noticed += 1
            continue
        finally:
            for side in project.folder.glob("index.sqlite-*"):
                side.unlink()
        for name, mask in found.items():
            np.testing.assert_array_equal(mask, blot(20 if name == "effusion" else 5))
        n_noticed += bool(problems)
        n_complete += len(found) == 2
    assert n_noticed >= len(data) // 4096 // 2
    assert n_complete
    assert {p: p.read_bytes() for p in masks} == masks, "the pixels are never touched"
    index.write_bytes(data)
    with Project.open(project.folder) as again:
        assert len(again.expert_masks(CASE)) == 2


def test_a_clock_that_goes_backwards_changes_no_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter(range(28, 0, -1))
    monkeypatch.setattr(
        _clock, "now", lambda: f"2026-02-{next(days):02}T00:00:00.000+00:00"
    )
    for top in (1, 5, 9):
        newest = project.put_mask(CASE, "nodule", blot(top), reader="ann")
        project.decide(CASE, "reject", reader="ann")
    last = project.decide(CASE, "accept", reader="ann")
    project.journal.record(CASE, "nodule", "ann", blot(9), blot(12))
    project.journal.record(CASE, "nodule", "ann", blot(12), blot(15))
    assert project.latest(CASE, "nodule") == newest
    assert project.decision(CASE) == last
    project.verify_audit()
    folded = project.journal.fold(CASE, "nodule", "ann")
    assert folded is not None
    assert folded.version == newest.version + 1
    np.testing.assert_array_equal(project.read_mask(folded), blot(15))


@pytest.mark.parametrize("keep", [0, 1, 30, 0.5, 0.99])
def test_maps_cut_short_are_told_and_made_again_by_deleting_them(
    project: Project, keep: float
) -> None:
    maps = StageMaps(np.ones((2, 8, 8), np.float32), np.ones(2, np.float32), {})
    stages.write(project.folder, "cam", "run", CASE, maps)
    path = stages.folder(project.folder, "cam", "run") / f"{CASE}.npz"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(DataError, match="delete it and run the stage again"):
        stages.read(project.folder, "cam", "run", CASE)
    path.unlink()
    assert stages.read(project.folder, "cam", "run", CASE) is None


def test_what_a_killed_writer_left_half_written_is_swept_at_the_next_opening(
    project: Project,
) -> None:
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    left = project.folder / "masks" / ".new" / ".0123456789ab.png.0123abcd.tmp"
    left.write_bytes(b"\x89PNG")
    with Project.open(project.folder):
        assert left.exists(), "to read is to change nothing"
    project.close()
    with Project.open(project.folder, write=True) as again:
        assert not left.exists()
        assert len(again.fsck()) == 1, "but for the film, which this project lacks"


def test_a_transaction_that_could_not_end_leaves_none_of_the_next_undone(
    project: Project,
) -> None:
    database = project._database

    def break_rules_at_the_end() -> None:
        with database.transaction():
            database.row("PRAGMA defer_foreign_keys = ON")
            database.run(
                "INSERT INTO undone (decision, actor, created) VALUES (99, 'ann', '')"
            )

    with pytest.raises(DataError, match="rules"):
        break_rules_at_the_end()
    project.decide(CASE, "accept", reader="ann")
    with Project.open(project.folder) as beside:
        held = beside.decision(CASE)
        assert held is not None
        assert held.verdict == "accept"


def test_what_is_written_after_sqlite_rolled_back_does_not_land_by_itself(
    project: Project,
) -> None:

    def go_on() -> None:
        with project.transaction():
            project._database.row("ROLLBACK")
            project.decide(CASE, "accept", reader="ann")

    with pytest.raises(DataError):
        go_on()
    assert project.decision(CASE) is None
    project.decide(CASE, "reject", reader="ann")
    assert project.decision(CASE) is not None


def test_the_trash_overwrites_nothing(project: Project) -> None:
    stray = mask_path(project, "0" * 12)
    for number in range(3):
        write_png(stray, blot(number))
        project.fsck(repair=True)
    kept = {path.read_bytes() for path in (project.folder / ".trash").rglob("*.png*")}
    assert len(kept) == 3


@pytest.mark.parametrize("days", [-28, 0, 28])
def test_what_a_finding_is_called_follows_rows_not_the_clock(
    project: Project, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    held = project.decide(CASE, "accept with edits", reader="ann")
    state = partial(finding_state, own=None, film=held, drawn=True)
    assert state(project.latest(CASE, "nodule")) == "edited"
    then = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(_clock, "now", then.isoformat)
    again = project.put_mask(CASE, "nodule", blot(20), reader="ann")
    assert state(again) == "drawn"
    project.put_mask(CASE, "nodule", blot(9), reader="ann")
    held = project.decide(CASE, "accept with edits", reader="ann")
    newest = project.latest(CASE, "nodule")
    assert finding_state(newest, None, held, drawn=True) == "edited"


def test_decisions_of_older_projects_are_still_ordered_by_their_time() -> None:
    version = Annotation(
        9, CASE, "nodule", "ann", 1, None, "0", "brush", None, 1, "2026-11-30T02"
    )
    held = Decision(1, CASE, "accept", "ann", None, "", None, "2026-11-30T01")
    assert finding_state(version, None, held, drawn=True) == "drawn"
    later = replace(held, created="2026-11-30T03")
    assert finding_state(version, None, later, drawn=True) == "edited"


def test_an_index_that_opens_to_read_alone_is_told_at_opening(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.close()
    real = _database._connect
    monkeypatch.setattr(
        _database,
        "_connect",
        lambda path, query: real(path, query.replace("mode=rw", "mode=ro")),
    )
    with pytest.raises(DataError, match="readonly"):
        Project.open(project.folder, write=True)


@pytest.mark.parametrize("left", ["{torn", "", "[1]", "{}"])
def test_a_run_folder_that_cannot_be_read_is_found_and_left_as_it_is(
    project: Project, left: str
) -> None:
    make_run(project.folder, "classifier", "done")
    damaged = make_run(project.folder, "irnet", "done")
    config = project.folder / "runs" / damaged / "config.json"
    config.write_text(left)
    for repair in (False, True):
        found = [line for line in project.fsck(repair=repair) if "left out" in line]
        assert len(found) == 1
        assert found[0].startswith(f"run {damaged} is left out: ")
        assert "config.json" in found[0]
    assert config.read_text() == left


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def garbled(data: bytes) -> bytes:
    """Change a byte of a large tensor, which lies in the middle of either file."""
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("best.safetensors", cut),
        ("best.safetensors", lambda data: b""),
        ("best.safetensors", lambda data: b"<html>not found</html>"),
        ("best.safetensors", lambda data: data + bytes(9)),
        ("best.safetensors", lambda data: save({"a": torch.zeros(3)})),
        ("last.pt", cut),
        ("last.pt", lambda data: b""),
        ("last.pt", garbled),
    ],
)
def test_weights_that_are_damaged_are_found_and_left_as_they_are(
    project: Project, name: str, damage: Callable[[bytes], bytes]
) -> None:
    run = project.folder / "runs" / make_run(project.folder, "classifier", "done")
    weights = {"large": torch.arange(9999.0)}
    checkpoints.write(run / "best.safetensors", Checkpoint({}, weights, {}))
    checkpoints.write_resume(run / "last.pt", weights)

    def about_the_run() -> list[str]:
        return [line for line in project.fsck(repair=True) if run.name in line]

    assert about_the_run() == []
    damaged = damage((run / name).read_bytes())
    (run / name).write_bytes(damaged)
    (found,) = about_the_run()
    assert found.startswith(f"runs/{run.name}/{name}: ")
    assert "damaged" in found
    assert (run / name).read_bytes() == damaged


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
@pytest.mark.parametrize("linked", ["", "best.safetensors", "last.pt"])
def test_weights_behind_a_link_are_not_looked_at(
    project: Project, tmp_path: Path, linked: str
) -> None:
    run = project.folder / "runs" / make_run(project.folder, "classifier", "done")
    (run / "best.safetensors").write_bytes(b"torn")
    (run / "last.pt").write_bytes(b"torn")
    place = run / linked
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    about = [line for line in project.fsck() if run.name in line]
    told = [line for line in about if "damaged" in line]
    assert any("is a link" in line for line in about)
    assert len(told) == (1 if linked else 0)
    assert not any(f"{run.name}/{linked}:" in line for line in told)
