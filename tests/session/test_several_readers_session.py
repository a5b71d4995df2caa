"""Blind reading, adjudication, versions and verdicts taken back, without a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline import agreement
from napari_wsseg.session import Session
from napari_wsseg.session.versions import difference

pytestmark = pytest.mark.usefixtures("staged")


@pytest.fixture
def session(place: Path) -> Iterator[Session]:
    session = Session(reader="ann", clock=Clock())
    session.open_project(place)
    session.looking.set_view("expert")
    yield session
    session.close()


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hashes of the mask files that have been read so far."""
    found: list[str] = []
    own = _mask_store.read

    def noted(folder: Path, case_id: str, finding: str, sha: str) -> np.ndarray:
        found.append(sha)
        return own(folder, case_id, finding, sha)

    monkeypatch.setattr(_mask_store, "read", noted)
    return found


def read_all(session: Session, at: Callable[[int], int | None]) -> None:
    """Let the reader draw a nodule on every film, or nothing, and accept it."""
    for number, case_id in enumerate(noise_project.case_ids(session.project.folder)):
        session.go_to(case_id)
        where = at(number)
        if where is not None:
            session.edit("nodule", blob(at=where))
        assert session.decide("accept with edits")


def two_readers(session: Session) -> list[str]:
    """Let ann and bea read four films and differ on the first two."""
    read_all(session, lambda n: 10)
    session.read_as("bea", "blind", stages=False)
    session.looking.set_view("expert")
    read_all(session, lambda n: (None, 14, 10, 10)[n])
    return noise_project.case_ids(session.project.folder)


def test_a_blind_reader_is_given_nothing_of_anybody_else(
    session: Session, loaded: list[str]
) -> None:
    read_all(session, lambda n: 10)
    session.decide("reject", finding="effusion")
    theirs = {a.mask_sha for a in everything(session)}
    loaded.clear()
    session.read_as("bea", "blind", stages=False)
    for case_id in session.list.order:
        session.go_to(case_id)
        session.prefetch()
        assert session.experts.annotated == set()
        assert not any(mask.any() for mask in session.experts.masks.values())
        assert session.opened.versions == session.opened.others == {}
        assert session.opened.verdicts == session.opened.maps == {}
        assert session.versions("nodule") == ()
        assert session.stages() == ()
        assert session.list.status(case_id) == "to review"
    assert len(theirs) == 2
    assert theirs.isdisjoint(loaded)
    assert session.list.decisions == session.list.annotated == {}
    assert session.list.mine == session.list.settled == set()
    assert session.comparing.now is None


def everything(session: Session) -> list:
    ids = noise_project.case_ids(session.project.folder)
    return [
        one
        for case_id in ids
        for finding in noise_project.FINDINGS
        for one in session.project.history(case_id, finding)
    ]


def test_stages_can_stay_in_sight_of_a_blind_reader(session: Session) -> None:
    session.read_as("bea", "blind", stages=True)
    assert session.stages() == ("cam",)
    assert session.experts.annotated == set()


def test_no_run_shows_itself_to_a_reader_who_is_to_see_no_stages(
    session: Session,
) -> None:
    session.read_as("bea", "blind", stages=False)
    session.adopt("crf", noise_project.RUN)
    session.reload_stages()
    assert session.stages() == ()
    assert session.showing.shown.runs == {}


def test_strokes_are_saved_in_the_name_of_who_drew_them(
    session: Session, place: Path
) -> None:
    case_id = session.case.id
    session.edit("nodule", blob(at=10))
    session.read_as("bea", "blind")
    session.go_to(case_id)
    session.edit("nodule", blob(at=20))
    session.close()
    with Project.open(place) as project:
        for reader, at in (("ann", 10), ("bea", 20)):
            mask = project.expert_masks(case_id, reader=reader)["nodule"]
            np.testing.assert_array_equal(mask, blob(at=at).astype(bool))
        assert project.settings.readers == ("ann", "bea")
        assert project.latest(case_id, "nodule", reader="bea").parent is None
        assert project.journal.pending() == []


def test_a_mask_drawn_on_another_readers_says_so(session: Session) -> None:
    session.edit("nodule", blob(at=10))
    session.read_as("bea", "open")
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=10))
    session.edit("nodule", blob(at=11))
    session.experts.fold()
    ann, bea = everything(session)
    assert (bea.reader, bea.parent) == ("bea", ann.id)


def test_a_reader_needs_a_name(session: Session) -> None:
    with pytest.raises(UsageError, match="name"):
        session.read_as("  ")
    assert session.reader == "ann"


def test_a_third_reader_ends_a_disagreement_and_her_mask_is_what_counts(
    session: Session,
) -> None:
    ids = two_readers(session)
    session.read_as("cleo", "adjudicate")
    assert set(session.list.cases) == set(ids)
    messages: list[str] = []
    session.message.connect(messages.append)

    session.go_to(ids[0])
    assert list(session.opened.others) == ["ann", "bea"]
    assert session.comparing.now.names == ("ann", "bea")
    assert not session.decide("accept")
    assert "ann and bea differ on nodule" in messages[-1]
    session.looking.set_finding("nodule")
    session.take_reader_mask(1)
    assert session.experts.annotated == {"nodule"}
    assert not session.experts.masks["nodule"].any()
    session.take_reader_mask(0)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=10))
    assert session.decide("accept with edits")
    assert session.list.status(ids[0]) == "adjudicated"

    session.go_to(ids[1])
    session.edit("nodule", blob(at=12))
    assert session.decide("accept with edits")
    session.go_to(ids[2])
    assert session.decide("accept"), "both drew the same"
    project = session.project
    for case_id, at in zip(ids[:3], (10, 12, 10), strict=True):
        final = project.latest(case_id, "nodule")
        assert final.reader == "cleo"
        np.testing.assert_array_equal(project.read_mask(final), blob(at=at))
    # What bea draws later does not count until somebody reopens the film.
    session.read_as("bea", "blind")
    session.go_to(ids[0])
    session.edit("nodule", blob(at=40))
    session.experts.fold()
    assert project.latest(ids[0], "nodule").reader == "cleo"
    assert agreement.report(project)["n_adjudicated"] == 3


def test_a_final_mask_is_changed_only_after_the_film_was_reopened(
    session: Session,
) -> None:
    ids = two_readers(session)
    session.read_as("cleo", "adjudicate")
    session.go_to(ids[1])
    session.edit("nodule", blob(at=12))
    session.decide("accept")
    session.read_as("ann", "open")
    session.go_to(ids[1])
    assert session.locked
    session.edit("nodule", blob(at=50))
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=12))
    assert not session.decide("accept")
    session.reopen()
    assert not session.locked
    assert session.list.status(ids[1]) in ("to review", "has mask")
    session.edit("nodule", blob(at=50))
    session.experts.fold()
    assert session.project.latest(ids[1], "nodule").reader == "ann"


def test_undoing_an_adjudication_lets_the_newest_count_again(session: Session) -> None:
    ids = two_readers(session)
    session.read_as("cleo", "adjudicate")
    session.go_to(ids[2])
    session.decide("accept")
    assert session.project.readers.settled()[ids[2]] == {"nodule": "cleo"}
    session.undo_decision()
    assert session.project.readers.settled() == {}
    assert session.project.latest(ids[2], "nodule").reader == "bea"
    assert session.experts.annotated == set()


def test_only_films_that_two_others_are_done_with_are_adjudicated(
    session: Session,
) -> None:
    session.read_as("cleo", "adjudicate")
    assert session.list.cases == {}
    assert session.case is None
    session.read_as("ann", "open")
    ids = two_readers(session)
    session.project.decide(ids[3], "reopen", reader="ann")
    session.read_as("cleo", "adjudicate")
    assert set(session.list.cases) == set(ids[:3])
    session.read_as("bea", "adjudicate")
    assert session.list.cases == {}, "bea is one of the two"


def test_a_restored_version_is_a_new_one_and_none_is_lost(session: Session) -> None:
    for at in (10, 20, 30):
        session.edit("nodule", blob(at=at))
        session.experts.fold()
    newest, _, first = session.versions("nodule")
    assert (newest.version, first.version) == (3, 1)
    session.compare_version(first)
    now = session.comparing.now
    assert now.names == ("ann 1", "now")
    change = difference(
        now.first["nodule"], session.experts.masks["nodule"].astype(bool)
    )
    assert (change == 1).sum() == (change == 2).sum() == 64
    session.restore(first)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=10))
    found = session.versions("nodule")
    assert [one.version for one in found] == [4, 3, 2, 1]
    assert (found[0].parent, found[0].tool) == (first.id, "restored ann 1")
    session.compare_version(None)
    assert session.comparing.now is None


def test_each_finding_has_a_state_of_its_own(session: Session) -> None:
    assert session.finding_states() == {"effusion": "—", "nodule": "—"}
    assert not session.decide("accept", finding="effusion"), "nothing to accept"
    session.looking.set_view("cam")
    assert session.decide("accept", finding="effusion")
    assert session.experts.masks["effusion"].any()
    session.edit("nodule", blob())
    assert session.finding_states() == {"effusion": "accepted", "nodule": "drawn"}
    assert session.decide("accept with edits", finding="nodule")
    assert session.finding_states()["nodule"] == "edited"
    assert session.decide("reject", finding="nodule")
    assert session.finding_states()["nodule"] == "rejected"
    assert not session.experts.masks["nodule"].any()
    assert session.list.status(session.case.id) == "has mask", "the film is still open"
    session.undo_decision()
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob())
    assert session.finding_states()["nodule"] == "edited"
    session.decide("accept")
    assert session.finding_states() == {"effusion": "accepted", "nodule": "edited"}


def test_undo_gives_back_what_another_reader_had_decided(session: Session) -> None:
    case_id = session.case.id
    session.edit("nodule", blob())
    session.decide("accept with edits", confidence=3, comment="clear")
    session.read_as("bea", "open")
    session.go_to(case_id)
    session.decide("reject")
    assert session.list.status(case_id) == "rejected"
    session.undo_decision()
    held = session.list.decisions[case_id]
    assert (held.reader, held.verdict, held.comment) == (
        "ann",
        "accept with edits",
        "clear",
    )
    assert session.project.readings()[case_id].keys() == {"ann"}


def test_every_film_can_be_reopened_and_nothing_drawn_is_lost(session: Session) -> None:
    case_id = session.case.id
    session.edit("nodule", blob())
    session.decide("accept with edits")
    session.step(1)
    session.go_to(case_id)
    session.reopen()
    assert session.list.status(case_id) == "has mask"
    assert not session.list.is_finished(case_id)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob())
    assert session.project.fsck() == []


def test_when_a_film_was_seen_is_remembered_for_its_reader(
    session: Session, place: Path
) -> None:
    first, second = session.list.order[:2]
    session.go_to(second)
    session.tick()
    assert set(session.project.readers.seen("ann")) == {first, second}
    session.read_as("bea")
    assert set(session.list.seen) == {session.case.id}
