"""The session, without any window: nothing that a reader does gets lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import FINDINGS, RUN, Clock, blob
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session


def saved_mask(place: Path, case_id: str, finding: str) -> np.ndarray | None:
    with Project.open(place) as project:
        return project.expert_masks(case_id).get(finding)


def test_opening_shows_the_first_case_that_nobody_has_read(place: Path) -> None:
    ids = noise_project.case_ids(place)
    with Project.open(place, write=True) as project:
        project.decide(ids[0], "accept", reader="ann")
    session = Session()
    session.open_project(place)
    assert session.case is not None
    assert session.case.id == ids[1]
    session.close()


def test_a_stroke_is_on_disk_before_edit_returns(session: Session, place: Path) -> None:
    case_id = session.case.id
    session.edit("nodule", blob())
    with Project.open(place) as other:
        assert [row[:2] for row in other.journal.pending()] == [(case_id, "nodule")]
        np.testing.assert_array_equal(
            other.journal.recover(case_id, "nodule", "ann"), blob().astype(bool)
        )


def test_masks_are_bool_from_the_disk_to_the_screen_and_back(
    session: Session, place: Path
) -> None:
    case_id = session.case.id

    def kinds() -> set[str]:
        return {mask.dtype.name for mask in session.experts.masks.values()}

    assert kinds() == {"bool"}
    session.edit("nodule", blob().view(np.uint8))
    assert kinds() == {"bool"}
    session.step(1)
    assert kinds() == {"bool"}
    session.step(-1)
    assert kinds() == {"bool"}
    assert session.experts.masks["nodule"].any()
    session.experts.fold_all()
    assert saved_mask(place, case_id, "nodule").dtype == bool
    session.restore(session.versions("nodule")[-1])
    assert kinds() == {"bool"}


def test_a_stroke_that_changes_nothing_is_no_edit(session: Session) -> None:
    session.edit("nodule", blob())
    edited: list[str] = []
    session.edited.connect(edited.append)
    session.edit("nodule", blob())
    assert edited == []
    session.edit("nodule", blob(at=40))
    assert edited == ["nodule"]


def test_strokes_are_folded_after_two_quiet_seconds(
    session: Session, place: Path, clock: Clock
) -> None:
    case_id = session.case.id
    session.edit("nodule", blob())
    clock.now = 1.9
    session.tick()
    assert saved_mask(place, case_id, "nodule") is None
    clock.now = 2.1
    session.tick()
    np.testing.assert_array_equal(
        saved_mask(place, case_id, "nodule"), blob().astype(bool)
    )


def test_going_back_shows_what_was_drawn_even_before_it_is_folded(
    session: Session,
) -> None:
    session.edit("nodule", blob())
    session.step(1)
    assert not session.experts.masks["nodule"].any()
    session.step(-1)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob())


def test_closing_folds_strokes_of_every_case(session: Session, place: Path) -> None:
    first = session.case.id
    session.edit("nodule", blob())
    session.step(1)
    second = session.case.id
    session.edit("effusion", blob(at=30))
    session.close()
    assert saved_mask(place, first, "nodule").sum() == 64
    assert saved_mask(place, second, "effusion").sum() == 64


def test_strokes_of_a_killed_session_are_applied_and_counted(place: Path) -> None:
    ids = noise_project.case_ids(place)
    with Project.open(place, write=True) as project:
        zero, one = np.zeros_like(blob(), bool), blob().astype(bool)
        project.journal.record(ids[2], "nodule", "ann", zero, one)
    found = []
    session = Session(reader="ann")
    session.recovered.connect(found.extend)
    session.open_project(place)
    assert [(row.case, row.strokes) for row in found] == [(ids[2], 1)]
    assert session.case.id == ids[2]
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob())
    session.close()


def test_a_full_disk_keeps_strokes_in_memory_until_it_has_room(
    session: Session, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    troubles: list[str] = []
    session.save_failed.connect(troubles.append)
    case_id = session.case.id

    def full(*args: object) -> None:
        raise DataError("no space left on the disk")

    with monkeypatch.context() as broken:
        broken.setattr(session.project.journal, "record", full)
        session.edit("nodule", blob())
        assert session.problem == "no space left on the disk"
        session.step(1)
        assert session.case.id == case_id, "the case with unsaved strokes stays open"
        session.tick()
        assert len(troubles) >= 3
    session.tick()
    assert session.problem == ""
    session.step(1)
    session.close()
    np.testing.assert_array_equal(
        saved_mask(place, case_id, "nodule"), blob().astype(bool)
    )


def test_a_mask_folder_that_refuses_harms_neither_strokes_nor_versions(
    session: Session, monkeypatch: pytest.MonkeyPatch, place: Path, clock: Clock
) -> None:
    case_id = session.case.id

    def refuse(*args: object) -> str:
        raise DataError("read-only")

    session.edit("nodule", blob())
    with monkeypatch.context() as broken:
        broken.setattr(_mask_store, "write", refuse)
        clock.now = 3
        session.tick()
        assert session.problem
    session.tick()
    assert saved_mask(place, case_id, "nodule").sum() == 64


def test_an_unreadable_film_leaves_the_case_before_on_screen(
    session: Session, place: Path
) -> None:
    before, other = session.case.id, session.list.order[1]
    failed: list[str] = []
    session.case_failed.connect(lambda case_id, why: failed.append(case_id))
    film = session.project.image_path(session.list.cases[other])
    content = film.read_bytes()
    film.unlink()
    session.go_to(other)
    assert failed == [other]
    assert session.case.id == before
    assert session.list.status(other) == "unreadable"
    film.write_bytes(content)
    session.go_to(other)
    assert session.case.id == other
    assert session.list.status(other) == "to review"


def test_a_project_whose_first_film_is_lost_opens_on_the_next(place: Path) -> None:
    ids = noise_project.case_ids(place)
    with Project.open(place) as project:
        project.image_path(project.case(ids[0])).unlink()
    session = Session()
    session.open_project(place)
    assert session.case.id == ids[1]
    assert session.list.n_finished() == 0
    session.close()


def test_a_long_list_of_unreadable_films_is_told_film_by_film(
    place: Path,
) -> None:
    with Project.open(place, write=True) as project:
        case = project.cases()[0]
        for number in range(400):
            lost = f"{number:016x}"
            project.add_case(replace(case, id=lost, path=f"lost/{lost}.png"))
        for case in project.cases():
            project.image_path(case).unlink(missing_ok=True)
        everything = {case.id for case in project.cases()}
    session = Session()
    failed: list[str] = []
    session.case_failed.connect(lambda case_id, why: failed.append(case_id))
    session.open_project(place)
    assert session.case is None
    assert len(failed) == len(everything)
    assert set(failed) == set(session.list.unreadable) == everything
    session.close()


def test_a_second_window_opens_read_only_and_says_so(
    session: Session, place: Path
) -> None:
    notes: list[str] = []
    second = Session(reader="bob")
    second.message.connect(notes.append)
    second.open_project(place)
    assert second.readonly
    assert "Read-only" in notes[0]
    assert "read-only" not in notes[0], "no advice to do what has been done"
    second.edit("nodule", blob())
    second.decide("accept")
    assert not second.experts.masks["nodule"].any()
    assert second.list.decisions == {}
    second.close()


def test_accepting_makes_the_drafts_shown_expert_masks(staged: Path) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    assert session.looking.view == "cam"
    session.edit("nodule", blob(at=60))
    case_id, draft = session.case.id, session.draft("cam", "effusion", (96, 80))
    assert draft.any()
    session.decide("accept")
    session.close()
    np.testing.assert_array_equal(saved_mask(staged, case_id, "effusion"), draft)
    np.testing.assert_array_equal(
        saved_mask(staged, case_id, "nodule"), blob(at=60).astype(bool)
    )
    with Project.open(staged) as project:
        assert project.latest(case_id, "effusion").source_run == RUN
        assert project.decision(case_id).verdict == "accept"


@pytest.mark.parametrize("verdict", ["reject", "flag"])
def test_other_verdicts_approve_no_draft(staged: Path, verdict: str) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    case_id = session.case.id
    session.decide(verdict)
    session.close()
    assert saved_mask(staged, case_id, "effusion") is None


def test_a_decision_taken_back_takes_its_drafts_back(staged: Path) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    case_id = session.case.id
    session.decide("accept")
    session.step(1)
    assert session.can_undo_decision()
    session.undo_decision()
    assert session.case.id == case_id
    assert session.list.status(case_id) == "to review"
    assert not session.experts.annotated
    session.close()
    assert saved_mask(staged, case_id, "effusion") is None


def test_a_decision_is_final_after_ten_seconds(session: Session, clock: Clock) -> None:
    session.decide("flag")
    clock.now += 10.5
    assert not session.can_undo_decision()


def test_an_adopted_run_changes_stages_but_not_the_readers_edits(
    session: Session, place: Path
) -> None:
    session.edit("nodule", blob())
    assert session.stages() == ()
    noise_project.add_stage(place)
    session.adopt("cam", RUN)
    assert session.stages() == ("cam",)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob())


def test_a_moved_threshold_moves_the_draft(staged: Path) -> None:
    session = Session()
    session.open_project(staged)
    session.looking.set_threshold("cam", "nodule", 0.95)
    assert not session.draft("cam", "nodule", (96, 80)).any()
    assert session.draft("cam", "effusion", (96, 80)).any()
    session.close()


def test_painting_over_another_readers_mask_makes_a_version_of_ones_own(
    place: Path,
) -> None:
    case_id = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        project.put_mask(case_id, "nodule", blob().astype(bool), reader="import")
    session = Session(reader="ann")
    session.open_project(place)
    drawn = blob() | blob(at=40)
    session.edit("nodule", drawn)
    session.close()
    with Project.open(place) as project:
        assert [a.reader for a in project.history(case_id, "nodule")] == [
            "import",
            "ann",
        ]
        mine = project.read_mask(project.latest(case_id, "nodule", reader="ann"))
    np.testing.assert_array_equal(mine, drawn.astype(bool))


def test_progress_counts_final_decisions_and_tells_the_time_left(
    session: Session, clock: Clock
) -> None:
    for _ in range(2):
        clock.now += 60
        session.decide("accept")
        session.step(1)
    assert session.list.n_finished() == 2
    assert session.list.minutes_left() == pytest.approx(2.0)
    assert FINDINGS == session.looking.names


def test_opening_something_else_keeps_the_open_project_open(
    session: Session, tmp_path: Path
) -> None:
    case_id = session.case.id
    with pytest.raises(DataError):
        session.open_project(tmp_path / "nothing")
    assert session.case.id == case_id


def test_snapped_drafts_follow_the_film_and_say_so(place: Path) -> None:
    """A film of two greys, heat that is off by a few pixels: the outline moves."""
    noise_project.add_stage(place)
    noise_project.adopt(place)
    session = Session(reader="ann")
    session.open_project(place)
    finding = session.looking.findings[0].name
    pixels = session.opened.radiograph.pixels
    pixels[:] = 0.1
    pixels[:52] = 0.9  # the heat covers rows 0 to 48
    plain = session.draft("cam", finding, (96, 80))
    session.looking.set_snap(True)
    snapped = session.draft("cam", finding, (96, 80))
    edge = snapped[:, 20].argmin()
    assert abs(plain[:, 20].argmin() - 48) <= 3
    assert 51 <= edge <= 53, "drawn to the film's edge"
    session.looking.set_view("cam")
    session.decide("accept")
    kept = session.project.latest(session.case.id, finding)
    assert kept.tool == "accepted cam snapped"
    np.testing.assert_array_equal(session.project.read_mask(kept), snapped)
    session.close()
