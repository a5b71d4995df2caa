"""Masks, verdicts and names of several readers in one project."""

from __future__ import annotations

import sqlite3
import tomllib
from pathlib import Path

import numpy as np
import pytest

from helpers.small_project import CASE, SHAPE, blot, new_project
from napari_wsseg.io.index import migrations as _migrations
from napari_wsseg.io.project import INDEX, Project
from napari_wsseg.jobs import DataError


def test_an_adjudicated_mask_counts_before_a_newer_one_until_it_is_taken_back(
    project: Project,
) -> None:
    final = project.put_mask(CASE, "nodule", blot(1), reader="cleo")
    project.readers.settle(CASE, "nodule", final, actor="cleo")
    newer = project.put_mask(CASE, "nodule", blot(9), reader="ann")
    assert project.latest(CASE, "nodule") == final
    assert project.expert_annotations(CASE) == {"nodule": final}
    np.testing.assert_array_equal(project.expert_masks(CASE)["nodule"], blot(1))
    assert project.readers.settled() == {CASE: {"nodule": "cleo"}}
    project.readers.settle(CASE, "nodule", None, actor="ann")
    assert project.latest(CASE, "nodule") == newer
    assert project.readers.settled() == {}
    project.verify_audit()


def test_a_final_mask_that_is_lost_gives_way_to_the_newest(project: Project) -> None:
    first = project.put_mask(CASE, "nodule", blot(1), reader="ann")
    final = project.put_mask(CASE, "nodule", blot(2), reader="cleo")
    project.readers.settle(CASE, "nodule", final, actor="cleo")
    project.withdraw(final, actor="cleo", reason="damaged")
    assert project.latest(CASE, "nodule") == first
    assert project.readers.settled() == {}


def test_masks_of_one_reader_are_read_without_those_of_others(
    project: Project,
) -> None:
    mine = project.put_mask(CASE, "nodule", blot(1), reader="ann")
    theirs = project.put_mask(CASE, "nodule", blot(2), reader="bea")
    project.put_mask(CASE, "effusion", blot(3), reader="bea")
    path = project.folder / "masks" / CASE / "nodule" / f"{theirs.mask_sha}.png"
    path.unlink()
    found = project.expert_masks(CASE, reader="ann")
    assert list(found) == ["nodule"]
    np.testing.assert_array_equal(found["nodule"], blot(1))
    assert project.expert_annotations(CASE, reader="ann") == {"nodule": mine}
    assert project.annotated(reader="ann") == {CASE: ("nodule",)}


def test_each_reader_has_a_verdict_of_her_own(project: Project) -> None:
    project.decide(CASE, "accept", reader="ann")
    project.decide(CASE, "reject", reader="bea")
    assert project.decision(CASE, reader="ann").verdict == "accept"
    assert project.decisions(reader="bea")[CASE].verdict == "reject"
    assert project.decisions()[CASE].reader == "bea"
    found = project.readings()[CASE]
    assert project.readings(at_least=2) == {CASE: found}
    assert project.readings(at_least=3) == {}
    assert project.decided("ann") == [CASE]
    project.decide(CASE, "reopen", reader="ann")
    assert project.decided("ann") == []
    assert project.decided("bea") == [CASE]
    project.decide(CASE, "accept", reader="ann")
    found = project.readings()[CASE]
    assert {name: one.verdict for name, one in found.items()} == {
        "ann": "accept",
        "bea": "reject",
    }


def test_a_verdict_on_a_finding_is_none_on_the_film(project: Project) -> None:
    project.decide(CASE, "reject", reader="ann", finding="nodule")
    assert project.decision(CASE) is None
    assert project.decisions() == {}
    assert project.readings() == {}
    held = project.finding_decisions(CASE, reader="ann")
    assert held["nodule"].verdict == "reject"
    assert project.finding_decisions(CASE, reader="bea") == {}
    with pytest.raises(DataError, match="fracture"):
        project.decide(CASE, "reject", reader="ann", finding="fracture")


def test_who_saw_a_film_last_is_kept_for_each_reader(project: Project) -> None:
    project.readers.see(CASE, "ann")
    first = project.readers.seen("ann")[CASE]
    project.readers.see(CASE, "ann")
    assert project.readers.seen("ann")[CASE] >= first
    assert project.readers.seen("bea") == {}


@pytest.mark.parametrize(
    "written", ["readers = []\n", "", 'readers = [{name = "ann"}]\n']
)
def test_a_reader_is_entered_where_people_write_and_their_words_stay(
    project: Project, written: str
) -> None:
    path = project.folder / "wsseg.toml"
    before = path.read_text().replace("readers = []\n", written)
    if "ann" not in written:
        before = f"# ask Dr. Doe before changing\n{before}\n[other]\nsize = 64\n"
    path.write_text(before)
    for name in ("ann", "bea", 'c"leo', "bea"):
        project.add_reader(name)
    assert project.settings.readers == ("ann", "bea", 'c"leo')
    after = path.read_text()
    entered, was = tomllib.loads(after), tomllib.loads(before)
    assert {**entered, "readers": 0} == {**was, "readers": 0}
    assert ("# ask Dr. Doe" in after) == ("# ask Dr. Doe" in before)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 65])
def test_a_name_that_is_none_is_refused(project: Project, name: str) -> None:
    with pytest.raises(DataError, match="one line"):
        project.add_reader(name)


def test_an_index_of_one_reader_becomes_one_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(_migrations, "MIGRATIONS", _migrations.MIGRATIONS[:1])
        with new_project(tmp_path) as project:
            index = project.folder / INDEX
            project.put_mask(CASE, "nodule", blot(), reader="ann")
        with sqlite3.connect(index) as old:
            old.execute(
                "INSERT INTO decisions (case_id, verdict, reader, comment, created) "
                "VALUES (?, 'accept', 'ann', '', '2026')",
                (CASE,),
            )
        old.close()
        with Project.open(project.folder, write=True) as project:
            project.audit("ann", "decision", {"case": CASE, "verdict": "accept"})
    with Project.open(project.folder, write=True) as project:
        assert project.decision(CASE).verdict == "accept"
        assert project.decision(CASE).finding is None
        assert project.expert_masks(CASE)["nodule"].shape == SHAPE
        assert project.readers.settled() == {}
        assert [problem for problem in project.fsck() if "missing" not in problem] == []
