"""The work of readers in the index: only added, sealed, absent in older projects."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from helpers.small_project import CASE, blot, forge, new_project
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index import migrations as _migrations
from napari_wsseg.io.project import INDEX, Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Outcome


def read_a_film(project: Project) -> None:
    """Enter work, a verdict and what became of a draft."""
    project.work_log.enter(
        CASE, "nodule", reader="ann", seconds=12.345, gestures={"paint": 2}, arm="draft"
    )
    decision = project.decide(CASE, "accept", reader="ann")
    outcome = Outcome(decision.id, "nodule", "cam", "run-1", 40, 3, 0, 43, False)
    project.work_log.enter_outcome(outcome, actor="ann")


def test_work_comes_back_as_it_was_entered(project: Project) -> None:
    read_a_film(project)
    (found,) = project.work_log.efforts()
    assert (found.arm, found.strokes()) == ("draft", 2)
    assert found.seconds == pytest.approx(12.345, abs=0.01)
    assert found.outcomes["nodule"].added_px == 3
    project.verify_audit()
    assert project.fsck() == [] or all("missing" in one for one in project.fsck())


@pytest.mark.parametrize(
    "forged",
    [
        "UPDATE work SET seconds = 1",
        "DELETE FROM work",
        "UPDATE outcomes SET unedited = 1",
        "DELETE FROM outcomes",
    ],
)
def test_work_only_grows_and_a_forger_is_found(tmp_path: Path, forged: str) -> None:
    with new_project(tmp_path) as project:
        read_a_film(project)
        folder = project.folder
    with closing(sqlite3.connect(folder / INDEX)) as index:
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            index.execute(forged)
        forge(index, forged)
    with (
        Project.open(folder) as project,
        pytest.raises(DataError, match=r"work|outcome"),
    ):
        project.verify_audit()


def test_an_index_from_before_work_was_counted_opens_and_counts_from_now_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_migrations, "MIGRATIONS", _migrations.MIGRATIONS[:5])
        with new_project(tmp_path) as project:
            project.put_mask(CASE, "nodule", blot(), reader="ann")
            project.decide(CASE, "accept", reader="ann", seconds=30.0)
    with Project.open(project.folder) as old:
        assert old.work_log.efforts() == []
        old.verify_audit()
    with Project.open(project.folder, write=True) as now:
        read_a_film(now)
        now.verify_audit()
        assert [one.decision.id for one in now.work_log.efforts()] == [2]
        assert now.decision(CASE).verdict == "accept"


@pytest.mark.parametrize("gestures", ["[]", "{", '{"paint": "many"}', '{"paint": 1.5}'])
def test_gestures_that_are_no_counts_are_refused_in_words(
    tmp_path: Path, gestures: str
) -> None:
    with new_project(tmp_path) as project:
        folder = project.folder
    with closing(sqlite3.connect(folder / INDEX)) as index:
        index.execute(
            "INSERT INTO work (case_id, reader, arm, seconds, gestures, earlier, "
            "created) VALUES (?, 'ann', '', 1.0, ?, 0, '2026')",
            (CASE, gestures),
        )
        index.commit()
    with Project.open(folder) as project, pytest.raises(DataError, match="gestures"):
        project.work_log.spells()


def test_a_day_has_all_the_work_on_films_that_were_decided_on_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_clock, "now", lambda: "2026-11-29T23:00:00.000000+00:00")
    read_a_film(project)
    before = project.work_log.efforts()
    project.work_log.enter(CASE, None, reader="ann", seconds=3.0, gestures={})
    monkeypatch.setattr(_clock, "now", lambda: "2026-11-30T01:00:00.000000+00:00")
    assert project.work_log.efforts(since="2026-11-30") == []
    project.decide(CASE, "accept", reader="ann")
    today = project.work_log.efforts(reader="ann", since="2026-11-30")
    assert today == project.work_log.efforts()
    assert [one.seconds for one in today] == [before[0].seconds, 3.0]
    assert project.work_log.efforts(since="2026-12-01") == []


def test_a_mask_that_was_there_before_is_no_drafts(project: Project) -> None:
    project.work_log.enter(CASE, None, reader="ann", seconds=3.0, gestures={})
    decision = project.decide(CASE, "accept", reader="ann")
    outcome = Outcome(decision.id, "nodule", "mask", None, 900, 0, 800, 100, False)
    project.work_log.enter_outcome(outcome, actor="ann")
    (found,) = project.work_log.efforts()
    assert found.drafted() == []
    assert found.changed_px() == 0
