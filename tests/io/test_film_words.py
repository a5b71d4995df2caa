"""Films are found by any part of a path, a split or a present finding, by an index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from napari_wsseg.cli import _doctor
from napari_wsseg.io import film_names
from napari_wsseg.io.index import migrations
from napari_wsseg.io.project import INDEX, Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

FINDINGS = ("pleural_effusion", "nodule", "a 'quoted' one")
PATHS = (
    "ward 7/DOE^JANE.dcm",
    "ward 7/Ärztin_0012.png",
    "b%c_d/x.png",
    "train/nodule.png",
    "last.png",
)
TEXTS = (
    *(
        "doe",
        "WARD",
        "7",
        "ä",
        "ärz",
        "x.p",
        "%",
        "_d",
        "nodule",
        "no",
        "effu",
        "train",
    ),
    *("val", "va", "'", "'quo", "zzz", "d/x.png", "png dcm", "ward 7", "00 12", "*"),
    *("a AND b", "pleural nodule", "NEAR(x y)", "place:doe", "-", "\0", "\0abc"),
    *("000000", "0000000000000002", "00000", "0000000000000002 last"),
)


def labels_of(number: int) -> dict[str, int | None]:
    values = (1, 0, -1, None)
    return {name: values[(number + k) % 4] for k, name in enumerate(FINDINGS)}


def fill(folder: Path) -> Path:
    place = folder / "project"
    with Project.create(place, findings=FINDINGS, images=folder) as project:
        for number, path in enumerate(PATHS):
            case_id, split = f"{number:016x}", ("train", "val")[number % 2]
            labels = labels_of(number)
            project.add_case(Case(case_id, path, (9, 9), None, split, labels))
    return place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(film_names.VARIABLE, str(tmp_path / "keys"))
    return fill(tmp_path)


def by_reading(project: Project, arguments: list[str], *, labels: bool) -> set[str]:
    found = set()
    for case in project.cases():
        present = (f for f, v in case.labels.items() if v == 1 and labels)
        text = " ".join((case.path, case.split, *present)).lower()
        if all(
            word.lower() in text or (len(word) > 5 and case.id.startswith(word))
            for word in arguments
        ):
            found.add(case.id)
    return found


def check(project: Project) -> None:
    for text in TEXTS:
        for labels in (True, False):
            terms = text.split()
            wanted = by_reading(project, terms, labels=labels)
            # SQLite knows the small letters of ASCII alone, in words of one or two.
            if text != "ä":
                assert project.search(terms, labels=labels) == wanted, text


def test_the_index_finds_what_reading_every_row_would(place: Path) -> None:
    with Project.open(place) as project:
        check(project)
        assert project.search([]) == set(project.case_ids())


def test_the_index_follows_labels_and_names(place: Path) -> None:
    with Project.open(place, write=True) as project:
        last = project.case_ids()[-1]
        project.labels.put(last, {"nodule": 1, "pleural_effusion": 1})
        check(project)
        project.labels.put(last, {"nodule": 0})
        check(project)
    with closing(sqlite3.connect(place / INDEX)) as index, index:
        index.execute("UPDATE cases SET path = 'elsewhere.png' WHERE id = ?", [last])
        index.execute("UPDATE cases SET labels = '{' WHERE path = 'last.png'")
        index.execute("DELETE FROM cases WHERE path LIKE 'b%'")
    with Project.open(place) as project:
        assert project.search(["elsewhere"]) == {last}
        assert project.n_cases() == len(PATHS) - 1
        assert project.search(["x.png"]) == set()


def test_nothing_of_a_hidden_name_is_left_in_the_index(place: Path) -> None:
    with Project.open(place, write=True) as project:
        project.hide_names()
        assert project.search(["doe"]) == project.search(["jane"]) == set()
        assert project.search(["film_"]) == set(project.case_ids())
    with closing(sqlite3.connect(place / INDEX)) as index:
        blocks = index.execute("SELECT block FROM film_words_data").fetchall()
    assert not any(
        part in block.lower() for (block,) in blocks for part in (b"doe", b"^ja")
    )


def test_an_older_project_gets_the_index_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:6])
        place = fill(tmp_path)
    before = (place / INDEX).read_bytes()
    with Project.open(place) as project:
        check(project)
    assert (place / INDEX).read_bytes() == before, "to read is to change nothing"
    for write in (True, False):
        with Project.open(place, write=write) as project:
            check(project)
            assert [p for p in project.fsck() if "missing" not in p] == []


def test_columns_and_counts_are_those_of_the_cases(place: Path) -> None:
    with Project.open(place) as project:
        cases, columns = project.cases(), project.case_columns()
        assert columns.ids == project.case_ids() == [case.id for case in cases]
        assert columns.splits == [case.split for case in cases]
        for case, row in zip(cases, columns.labels, strict=True):
            known = [2 if value is None else value for value in case.labels.values()]
            assert row.tolist() == known
        for split in ("train", "val", "test"):
            chosen = [case.id for case in cases if case.split == split]
            assert project.case_ids(split) == chosen
            assert project.n_cases(split) == len(chosen)
        asked = [cases[2].id, "0" * 15 + "f", cases[0].id]
        assert project.some_cases(asked) == {c.id: c for c in (cases[2], cases[0])}


class WithoutWords(sqlite3.Connection):
    """SQLite as it is built without its full-text index."""

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if "fts5" in sql:
            raise sqlite3.OperationalError("no such module: fts5")
        return super().execute(sql, *values)


def test_an_sqlite_without_a_full_text_index_is_told_and_costs_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (place / INDEX).read_bytes()
    connect = partial(sqlite3.connect, factory=WithoutWords)
    monkeypatch.setattr(sqlite3, "connect", connect)
    text = "needs an SQLite of 3.34 or newer with FTS5"
    for write in (True, False):
        with pytest.raises(DataError, match=text):
            Project.open(place, write=write)
    with pytest.raises(DataError, match=text):
        fill(tmp_path / "second")
    assert (place / INDEX).read_bytes() == before
    found = _doctor._sqlite()
    assert found.ok is False
    assert "neither made nor opened" in found.detail


def test_any_two_letters_are_found_and_signs_of_patterns_are_letters(
    place: Path,
) -> None:
    with Project.open(place) as project:
        for word in ("%c", "c_", "_d", "!", "b%", "%%", "\\", "1", "no", "le", "VA"):
            for labels in (True, False):
                wanted = by_reading(project, [word], labels=labels)
                assert project.search([word], labels=labels) == wanted, word
        numbers = project.search_numbers(["png"])
        assert numbers.tolist() == sorted(
            int(one, 16) for one in project.search(["png"])
        )


def test_a_damaged_id_is_refused_by_name(place: Path) -> None:
    for bad in ("0" * 15 + "g", "0" * 17, b"0" * 16):
        with closing(sqlite3.connect(place / INDEX)) as index, index:
            index.execute("UPDATE cases SET id = ? WHERE path = 'last.png'", [bad])
        with (
            Project.open(place) as project,
            pytest.raises(DataError, match=r"is not 16 digits|holds bytes"),
        ):
            project.case_ids()
        with closing(sqlite3.connect(place / INDEX)) as index, index:
            good = f"{4:016x}"
            index.execute("UPDATE cases SET id = ? WHERE path = 'last.png'", [good])
