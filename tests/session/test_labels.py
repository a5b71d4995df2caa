"""Image-level labels are data: versions of who said what, asked about, never lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import blob
from napari_wsseg import cli
from napari_wsseg.export import formats, writing
from napari_wsseg.io.index import migrations
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a project whose first film is labelled without nodule."""
    folder = noise_project.make_project(tmp_path)
    with Project.open(folder, write=True) as project:
        case = project.cases()[0]
        project.labels.put(case.id, {"nodule": 0, "effusion": 1})
    return folder


@pytest.fixture
def session(place: Path) -> Session:
    session = Session(reader="ann")
    session.open_project(place)
    return session


def labels_of(place: Path, case_id: str) -> dict[str, int | None]:
    with Project.open(place) as project:
        return dict(project.case(case_id).labels)


def test_a_label_is_changed_as_a_version_and_taken_back(
    session: Session, place: Path
) -> None:
    case = session.case
    assert session.set_label("nodule", 1)
    assert session.case.labels["nodule"] == 1
    assert labels_of(place, case.id)["nodule"] == 1
    versions = session.label_versions("nodule")
    assert [(v.value, v.reader) for v in versions[:2]] == [(1, "ann"), (0, "")]
    session.undo_label()
    assert session.case.labels["nodule"] == 0
    assert labels_of(place, case.id)["nodule"] == 0
    session.close()
    with Project.open(place) as project:
        project.verify_audit()


def test_saying_the_same_twice_is_one_version(session: Session) -> None:
    assert session.set_label("nodule", 0)
    assert not session.set_label("nodule", 0)
    assert len([v for v in session.label_versions("nodule") if v.reader == "ann"]) == 1


def test_the_trail_shows_a_label_version_that_was_changed(
    place: Path, session: Session
) -> None:
    session.set_label("nodule", 1)
    session.close()
    with Project.open(place, write=True) as project:
        connection = project._database._connection
        trigger = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'labels_no_update'"
        ).fetchone()[0]
        connection.execute("DROP TRIGGER labels_no_update")
        connection.execute("UPDATE labels SET reader = 'eve' WHERE reader = 'ann'")
        connection.execute(trigger)
        with pytest.raises(DataError, match=r"version .* of a label"):
            project.verify_audit()


def test_a_stroke_on_a_film_labelled_absent_asks_for_present(session: Session) -> None:
    case_id = session.case.id
    session.edit("nodule", blob())
    (asked,) = session.contradictions.values()
    assert (asked.finding, asked.label, asked.wanted) == ("nodule", 0, 1)
    session.set_label(asked.finding, asked.wanted, case_id=asked.case)
    assert not session.contradictions
    assert session.list.cases[case_id].labels["nodule"] == 1


def test_clearing_the_mask_of_a_present_finding_asks_for_absent(
    session: Session,
) -> None:
    session.edit("effusion", blob())
    assert not session.contradictions
    session.edit("effusion", np.zeros_like(blob()))
    (asked,) = session.contradictions.values()
    assert (asked.finding, asked.wanted) == ("effusion", 0)
    session.edit("effusion", blob())
    assert not session.contradictions


def test_what_is_left_as_it_is_is_not_asked_again(session: Session) -> None:
    session.edit("nodule", blob())
    session.leave_label(session.case.id, "nodule")
    session.edit("nodule", blob(at=20))
    assert not session.contradictions
    assert session.case.labels["nodule"] == 0


def test_a_draft_accepted_on_a_film_labelled_absent_is_asked_about(
    tmp_path: Path,
) -> None:
    folder = noise_project.make_project(tmp_path)
    noise_project.add_stage(folder)
    noise_project.adopt(folder)
    session = Session(reader="ann")
    session.open_project(folder)
    first = session.case
    with_draft = [
        name
        for name in session.looking.names
        if (draft := session.draft("cam", name, first.shape)) is not None
        and draft.any()
    ]
    for name in with_draft:
        session.set_label(name, 0)
    session.looking.set_view("cam")
    session.decide("accept")
    session.step(1)
    assert with_draft
    assert {c.finding for c in session.contradictions.values()} == {*with_draft}
    assert {c.case for c in session.contradictions.values()} == {first.id}
    session.undo_decision()
    assert not session.contradictions
    session.close()


def test_a_blind_reader_sees_no_label_but_the_own_one(place: Path) -> None:
    session = Session(reader="bob")
    session.read_as("bob", "blind")
    session.open_project(place)
    assert session.labels_hidden
    assert {v for c in session.list.cases.values() for v in c.labels.values()} == {None}
    session.go_to(noise_project.case_ids(place)[0])
    assert set(session.case.labels.values()) == {None}
    session.edit("nodule", blob())
    assert not session.contradictions, "a question would tell the label"
    session.set_label("nodule", 1)
    assert session.case.labels["nodule"] == 1
    assert [v.reader for v in session.label_versions("nodule")] == ["bob"]
    session.undo_label()
    assert session.case.labels["nodule"] is None
    session.close()


def test_a_study_may_show_labels_to_blind_readers(place: Path) -> None:
    path = place / "wsseg.toml"
    text = path.read_text().replace("[defaults]", "[defaults]\nblind_labels = true")
    path.write_text(text)
    session = Session(reader="bob")
    session.read_as("bob", "blind")
    session.open_project(place)
    labels = session.list.cases[noise_project.case_ids(place)[0]].labels
    assert labels == {"nodule": 0, "effusion": 1}
    session.close()
    path.write_text(text.replace("= true", '= "yes"'))
    with pytest.raises(DataError, match="blind_labels"):
        Project.open(place)


@pytest.mark.parametrize("name", ["png", "csv"])
def test_no_export_denies_a_mask_that_it_writes(
    place: Path, tmp_path: Path, name: str
) -> None:
    with Project.open(place, write=True) as project:
        case = project.cases()[0]
        project.put_mask(case.id, "nodule", blob().astype(bool), reader="ann")
        found = writing.export(project, name, tmp_path / "out")
    assert any("labelled absent" in text for text in found.warnings)
    table = next(path for path in found.files if path.suffix == ".csv")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    if name == "png":
        row = next(row for row in rows if row["image"] == case.path)
        assert row["nodule"] == "1"
    else:
        assert [row["label"] for row in rows] == ["1"]


def test_every_format_is_given_labels_that_agree(place: Path, tmp_path: Path) -> None:
    """A format of ours or of an outside package: its films come with such labels."""
    seen = []

    def spying(chosen: object) -> object:
        for case, masks in chosen.each():
            seen.append((case.labels, masks))
            yield case

    with (
        pytest.MonkeyPatch.context() as patch,
        Project.open(place, write=True) as project,
    ):
        case = project.cases()[0]
        project.put_mask(case.id, "nodule", blob().astype(bool), reader="ann")
        patch.setitem(formats._entries, "png", spying)
        writing.export(project, "png", tmp_path / "out")
    ((labels, masks),) = seen
    assert masks["nodule"].any()
    assert labels["nodule"] == 1


def test_an_older_project_opens_and_keeps_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as past:
        past.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:4])
        folder = noise_project.make_project(tmp_path)
    with Project.open(folder) as project:
        case = project.cases()[0]
        assert project.labels.history(case.id, "nodule") == []
    with Project.open(folder, write=True) as project:
        project.labels.put(case.id, {"nodule": -1}, reader="ann")
        assert project.case(case.id).labels["nodule"] == -1
        project.verify_audit()


# The command line


def table(tmp_path: Path, rows: dict[str, str]) -> Path:
    path = tmp_path / "new.csv"
    lines = [f"{image},{cells}" for image, cells in rows.items()]
    path.write_text("\n".join(["image,nodule,effusion,fracture", *lines]))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert cli.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_importing_labels_shows_conflicts_and_applies_when_told(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = noise_project.case_ids(place)[:2]
    with Project.open(place, write=True) as project:
        paths = [project.case(case).path for case in (first, second)]
        project.labels.put(second, {"nodule": None, "effusion": None})
    file = table(tmp_path, {paths[0]: "1,1,", paths[1]: "1,,1", "none.png": "0,0,"})
    arguments = ("import", "labels", str(file), "-p", str(place))
    shown = run(capsys, *arguments)
    assert shown["status"] == "preview"
    assert [c["finding"] for c in shown["conflicts"]] == ["nodule"]
    assert len(shown["changes"]) == 2
    assert shown["same"] == 1
    assert "none.png" in shown["rejected"][0]
    assert "fracture" in shown["warnings"][0]
    assert labels_of(place, second)["nodule"] is None
    assert cli.main([*arguments, "--apply"]) == 2, "whose labels they are must be said"
    done = run(capsys, *arguments, "--apply", "--reader", "ann")
    assert done["imported"] == 1
    assert labels_of(place, second)["nodule"] == 1
    assert labels_of(place, first)["nodule"] == 0
    run(capsys, *arguments, "--apply", "--reader", "ann", "--conflicts", "take")
    assert labels_of(place, first)["nodule"] == 1
    assert cli.main(["audit", "verify", "-p", str(place)]) == 0


def test_labels_that_deny_a_mask_are_a_conflict(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(place, write=True) as project:
        case = project.cases()[1]
        project.labels.put(case.id, {"nodule": None})
        project.put_mask(case.id, "nodule", blob().astype(bool), reader="ann")
    file = table(tmp_path, {case.path: "0,,"})
    shown = run(capsys, "import", "labels", str(file), "-p", str(place))
    assert "expert mask of ann" in shown["conflicts"][0]["conflict"]


@pytest.mark.parametrize(
    "text", ["", "film,nodule\na,1\n", "image,nodule\na.png,yes\n", "image,x\na.png,1"]
)
def test_a_table_that_is_none_is_refused_in_one_message(
    place: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(text)
    assert cli.main(["import", "labels", str(file), "-p", str(place)]) == 3
    assert "Traceback" not in capsys.readouterr().err
