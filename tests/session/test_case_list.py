"""A reading list reads the rows of films that are shown, and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from helpers import noise_project
from napari_wsseg._widgets.worklist.model import WorklistModel
from napari_wsseg.io.project import INDEX, Project
from napari_wsseg.schema import Case
from napari_wsseg.session import Session
from napari_wsseg.session.case_list import reading_list
from napari_wsseg.session.case_list.reading_list import CaseList
from napari_wsseg.session.reading_mode import Mode


def case(number: int) -> Case:
    return Case(f"{number:016x}", f"{number}.png", (9, 9), None, "train", {})


class Rows:
    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def __call__(self, ids: Sequence[str]) -> Mapping[str, Case]:
        self.asked.append(ids)
        return {one: case(int(one, 16)) for one in ids}


def test_a_row_is_read_once_and_a_page_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_list, "_KEPT", 3)
    rows, ids = Rows(), [case(number).id for number in range(1200)]
    cases = CaseList(ids, rows)
    assert len(cases) == 1200
    assert ids[7] in cases
    assert list(cases) == ids
    assert rows.asked == [], "nothing of that is in a row"
    for number in (1, 2, 3, 1):
        assert cases[ids[number]] == case(number)
    assert rows.asked == [[ids[1]], [ids[2]], [ids[3]]]
    for number in (4, 3, 1):
        assert cases[ids[number]] == case(number)
    assert rows.asked[3:] == [[ids[4]], [ids[1]]], "the oldest of three gave way"
    rows.asked.clear()
    assert [one.id for one in cases.many(ids)] == ids
    assert [len(one) for one in rows.asked] == [500, 500, 200]
    with pytest.raises(KeyError):
        cases["f" * 16]


def test_what_changed_of_a_film_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_list, "_KEPT", 1)
    cases = CaseList([case(n).id for n in range(3)], Rows())
    changed = Case(case(1).id, "1.png", (9, 9), None, "train", {"nodule": 1})
    cases.put(changed)
    assert all(cases[one].id == one for one in cases)
    assert cases[changed.id] is changed
    assert list(cases.many([changed.id])) == [changed]


def test_a_damaged_row_is_shown_with_its_reason_and_costs_no_other(
    tmp_path: Path,
) -> None:
    place = noise_project.make_project(tmp_path)
    ids = noise_project.case_ids(place)
    bad, good = ids[:2]
    with closing(sqlite3.connect(place / INDEX)) as index, index:
        index.execute("UPDATE cases SET labels = '{' WHERE id = ?", [bad])
    session = Session(reader="ann")
    session.open_project(place)
    model = WorklistModel(session)
    model.refresh()
    texts = [
        model.data(model.index(row, column))
        for row in range(model.rowCount())
        for column in range(model.columnCount())
    ]
    assert any("unreadable" in text for text in texts)
    assert "labels are damaged" in session.list.unreadable[bad]
    model.sort_by(1)
    model.refresh()
    assert sorted(model.shown) == sorted(ids)
    session.go_to(good)
    assert session.case is not None
    assert session.case.id == good
    session.close()


def test_a_blind_reader_finds_no_film_by_a_label_that_is_hidden(tmp_path: Path) -> None:
    place = noise_project.make_project(tmp_path)
    ids = noise_project.case_ids(place)
    with Project.open(place, write=True) as project:
        for case_id in ids:
            project.labels.put(case_id, {"nodule": 1}, reader="bea")
        project.labels.put(ids[1], {"nodule": 1}, reader="ann")
    session = Session(reader="ann")
    session.open_project(place)
    model = WorklistModel(session)
    modes: dict[Mode, set[str]] = {"open": set(ids), "blind": {ids[1]}}
    for mode, wanted in modes.items():
        session.read_as("ann", mode)
        for search in ("nodule", "no", "nodule train"):
            model.terms = search
            model.refresh()
            assert set(model.shown) == wanted, (mode, search)
    session.close()
