"""Seconds at work, by a clock that the test turns: what counts, and once only."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.io.index import effort
from napari_wsseg.io.index.work import WorkLog
from napari_wsseg.io.project import Project
from napari_wsseg.session import Session
from napari_wsseg.session.effort.active_time import PAUSE_SECONDS, ActiveTime

pytestmark = pytest.mark.usefixtures("staged")


def pass_time(session: Session, clock: Clock, *gaps: float) -> None:
    """Let the hand move after each of so many seconds."""
    for gap in gaps:
        clock.now += gap
        session.work.signal()


def efforts(place: Path) -> list[effort.Effort]:
    with Project.open(place) as project:
        project.verify_audit()
        return project.work_log.efforts()


@pytest.mark.parametrize(
    ("gaps", "seconds"),
    [
        ([3, 4, 5], 12),
        ([PAUSE_SECONDS], PAUSE_SECONDS),
        ([5, PAUSE_SECONDS + 0.1, 5], 10),
        ([600], 0),
        ([], 0),
    ],
)
def test_pauses_of_more_than_twenty_seconds_are_left_out(
    gaps: list[float], seconds: float
) -> None:
    clock = Clock()
    work = ActiveTime(clock)
    work.turn("film", "nodule")
    for gap in gaps:
        clock.now += gap
        work.signal()
    clock.now += 100
    assert sum(spell.seconds for spell in work.take()) == pytest.approx(seconds)


def test_a_window_without_focus_does_not_count() -> None:
    clock = Clock()
    work = ActiveTime(clock)
    work.turn("film", "nodule")
    clock.now = 4
    work.focus(False)
    for clock.now in (6, 9, 12):
        work.signal()  # a pointer that passes over a window behind another
    clock.now = 15
    work.focus(True)
    clock.now = 17
    work.signal()
    assert sum(spell.seconds for spell in work.take()) == pytest.approx(4 + 2)


def test_what_was_taken_is_not_taken_again_and_what_is_given_back_is() -> None:
    clock = Clock()
    work = ActiveTime(clock)
    work.turn("film", "nodule")
    clock.now = 5
    work.gesture("paint")
    spells = work.take()
    assert work.take() == []
    work.give_back(spells)
    clock.now = 6
    work.signal()
    (spell,) = work.take()
    assert (spell.seconds, spell.gestures) == (6, {"paint": 1})


def test_seconds_and_strokes_go_to_the_film_and_the_finding_in_hand(
    session: Session, clock: Clock, place: Path
) -> None:
    case_id = session.case.id
    pass_time(session, clock, 2, 3)
    session.edit("effusion", blob(), gesture="paint")
    session.looking.set_finding("nodule")
    pass_time(session, clock, 4, 40, 1)
    session.decide("accept with edits")
    session.step(1)
    pass_time(session, clock, 7)
    session.decide("reject")
    first, second = efforts(place)
    assert first.case == case_id
    assert first.by_finding == pytest.approx({"effusion": 5, "nodule": 5})
    assert first.strokes("effusion") == first.strokes() == 1
    assert second.seconds == pytest.approx(7)


def test_turning_away_and_coming_back_adds_up(
    session: Session, clock: Clock, place: Path
) -> None:
    pass_time(session, clock, 6)
    session.step(1)
    pass_time(session, clock, 9)
    session.step(-1)
    pass_time(session, clock, 2)
    session.decide("reject")
    (found,) = efforts(place)
    assert found.seconds == pytest.approx(8)


def test_a_decision_taken_back_gives_its_time_to_the_next(
    session: Session, clock: Clock, place: Path
) -> None:
    pass_time(session, clock, 6)
    session.decide("reject")
    session.undo_decision()
    pass_time(session, clock, 3)
    session.decide("accept")
    (found,) = efforts(place)
    assert found.decision.verdict == "accept"
    # The way back to the film is a sign too: nothing between the two is lost.
    assert found.seconds == pytest.approx(6 + 3, abs=0.1)


def test_killed_and_opened_again_nothing_is_counted_twice(
    place: Path, clock: Clock
) -> None:
    killed = Session(reader="ann", clock=clock)
    killed.open_project(place)
    pass_time(killed, clock, 5)
    killed.edit("nodule", blob(), gesture="paint")
    clock.now += 3
    killed.tick()  # the stroke is folded, and the time so far kept
    pass_time(killed, clock, 1)
    assert killed.project is not None
    killed.project.close()  # as a kill leaves it: nothing more is written
    again = Session(reader="ann", clock=clock)
    again.open_project(place)
    pass_time(again, clock, 2)
    again.decide("accept with edits")
    again.close()
    (found,) = efforts(place)
    # What came after the last stroke went to disk is lost with the window.
    assert 5 + 2 <= found.seconds <= 5 + 4 + 2
    assert found.strokes() == 1


def test_a_draft_taken_as_offered_is_told_from_one_that_was_changed(
    session: Session, clock: Clock, place: Path
) -> None:
    pass_time(session, clock, 1)
    session.looking.set_view("cam")
    shape = session.case.shape
    draft = session.draft("cam", "effusion", shape)
    changed = draft.copy()
    changed[0, :3] = False
    changed[-1, -5:] = True
    session.edit("effusion", draft, tool="from cam", source_run=noise_project.RUN)
    session.edit("effusion", changed, gesture="paint")
    session.decide("accept")
    (found,) = efforts(place)
    edited, offered = found.outcomes["effusion"], found.outcomes["nodule"]
    assert (edited.start, edited.unedited) == ("cam", False)
    assert (edited.added_px, edited.removed_px) == (5, 3)
    assert edited.offered_px == draft.sum()
    assert edited.source_run == noise_project.RUN
    assert (offered.start, offered.unedited) == ("cam", True)
    assert offered.mask_px == offered.offered_px > 0


def test_what_a_mask_began_with_is_known_in_the_next_sitting(
    place: Path, clock: Clock
) -> None:
    with closing(Session(reader="ann", clock=clock)) as first:
        first.open_project(place)
        draft = first.draft("cam", "nodule", first.case.shape)
        first.edit("nodule", draft, tool="from cam", source_run=noise_project.RUN)
        first.experts.fold()
    with closing(Session(reader="ann", clock=clock)) as second:
        second.open_project(place)
        second.looking.set_view("expert")
        pass_time(second, clock, 1)
        second.edit("effusion", blob())
        second.decide("accept with edits")
    (found,) = efforts(place)
    assert found.outcomes["nodule"].start == "cam"
    assert found.outcomes["effusion"].start == "blank"
    assert found.outcomes["effusion"].offered_px is None


def test_a_disk_that_refuses_keeps_the_time_for_later(
    session: Session, clock: Clock, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.jobs import DataError

    def full(*_: object, **__: object) -> None:
        raise DataError("the disk is full")

    pass_time(session, clock, 4)
    with monkeypatch.context() as patch:
        patch.setattr(WorkLog, "enter", full)
        session.keep_work()
    pass_time(session, clock, 1)
    session.decide("reject")
    (found,) = efforts(place)
    assert found.seconds == pytest.approx(5)


def test_the_day_is_told_in_a_line(session: Session, clock: Clock, place: Path) -> None:
    for seconds in (4, 10, 18):
        pass_time(session, clock, seconds)
        session.decide("accept")
        session.step(1)
    session.measure_pace()
    assert session.pace == "median 10 s a film today; 100% as offered"


def test_an_empty_mask_where_nothing_was_offered_is_no_outcome(
    session: Session, place: Path
) -> None:
    session.looking.set_view("expert")
    session.work.signal()
    session.edit("nodule", blob())
    session.edit("nodule", np.zeros_like(blob()))
    session.decide("accept with edits")
    assert [one for each in efforts(place) for one in each.outcomes] == []
