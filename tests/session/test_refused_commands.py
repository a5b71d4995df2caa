"""Commands at the wrong moment, or with a disk that refuses: said, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.session import Session, case_loader


class Later:
    """A background whose work is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Any, done: Any, failed: Any) -> None:
        def turn() -> None:
            try:
                value = work()
            except DataError as error:
                failed(error)
            else:
                done(value)

        self.waiting.append(turn)

    def drain(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def messages(session: Session) -> list[str]:
    heard: list[str] = []
    session.message.connect(heard.append)
    session.save_failed.connect(heard.append)
    return heard


@pytest.fixture
def later(place: Path) -> Iterator[Session]:
    """Return a session whose background waits; its first film is on screen."""
    noise_project.add_stage(place)
    noise_project.adopt(place)
    made = Session(reader="ann", background=Later(), clock=Clock())
    made.open_project(place)
    made.background.drain()
    yield made
    made.close()


def full(*arguments: object, **more: object) -> None:
    raise DataError("no room on the disk")


def test_another_project_waits_until_the_strokes_of_this_one_are_safe(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = noise_project.make_project(tmp_path / "other")
    with monkeypatch.context() as patch:
        patch.setattr(session.project.journal, "record", full)
        session.edit("nodule", blob())
        with pytest.raises(DataError, match="no room"):
            session.open_project(other)
    assert session.project.folder != other
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob() > 0)
    session.open_project(other)
    assert session.project.folder == other


def test_a_project_whose_shown_maps_are_damaged_is_not_left_half_open(
    staged: Path,
) -> None:
    settings = stages.folder(staged, "cam", noise_project.RUN) / "stage.json"
    settings.write_text("[1]")
    session = Session(reader="ann")
    for _ in range(2):  # the same words again, not silence
        with pytest.raises(DataError):
            session.open_project(staged)
    assert session.project is None
    settings.unlink()
    session.open_project(staged)
    assert session.case is not None
    session.close()


def test_strokes_that_cannot_be_folded_at_closing_are_said_and_wait(
    session: Session, place: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session.edit("nodule", blob())
    monkeypatch.setattr(session.project.journal, "fold", full)
    session.close()
    assert messages == ["no room on the disk"]
    with Project.open(place) as project:
        assert [row[3] for row in project.journal.pending()] == [1]


def test_another_reader_takes_over_where_nothing_can_be_written(
    session: Session, place: Path
) -> None:
    beside = Session(reader="bea")
    beside.open_project(place)
    assert beside.readonly
    beside.read_as("cay")
    assert (beside.reader, beside.case is not None) == ("cay", True)
    for command in (beside.tick, beside.keep_work, beside.reopen, beside.undo_label):
        command()
    assert not beside.decide("accept")
    assert not beside.set_label("nodule", 1)
    beside.close()


def test_a_film_read_ahead_that_cannot_be_is_marked_and_no_more(
    session: Session, place: Path
) -> None:
    shown, lost = session.case.id, session.list.order[1]
    failed: list[str] = []
    session.case_failed.connect(lambda case_id, why: failed.append(case_id))
    Path(session.project.image_path(session.list.cases[lost])).unlink()
    session.prefetch()
    assert session.list.status(lost) == "unreadable"
    assert (session.case.id, failed) == (shown, [])
    session.go_to_unread()
    assert session.case.id not in (shown, lost)


def test_what_arrives_after_closing_is_nobodys(later: Session) -> None:
    loader, background = later.loader, later.background
    first, second = later.list.order[:2]
    later.prefetch()
    assert len(background.waiting) == 1
    loader.close()
    background.drain()
    Path(later.project.image_path(later.list.cases[second])).unlink()
    loader.read(second)
    background.drain()
    assert later.case.id == first
    assert later.list.unreadable == {}


def test_only_a_few_films_are_kept_in_memory(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_loader, "_KEPT", 1)
    for by in (1, 1, -1, -1):
        session.step(by)
    assert len(session.loader._ready) == 1


def test_no_verdict_falls_while_another_film_is_on_its_way(later: Session) -> None:
    messages: list[str] = []
    later.message.connect(messages.append)
    later.step(1)
    assert later.turning
    assert not later.decide("accept")
    assert "on its way" in messages[-1]


def test_a_mask_that_was_drawn_while_a_verdict_was_under_way_stays(
    later: Session,
) -> None:
    later.looking.set_view("cam")
    assert later.decide("accept")
    later.edit("nodule", blob())
    later.background.drain()
    np.testing.assert_array_equal(later.experts.masks["nodule"], blob() > 0)
    assert later.experts.masks["effusion"].any()


@pytest.mark.parametrize("step", ["fold", "decide", "undo_decision"])
def test_a_verdict_that_the_disk_refuses_is_none(
    session: Session, messages: list[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    session.edit("nodule", blob())
    if step == "undo_decision":
        assert session.decide("accept with edits")
    owner = session.project.journal if step == "fold" else session.project
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, full)
        if step == "undo_decision":
            session.undo_decision()
        else:
            session.decide("accept with edits")
    assert messages[-1] == "no room on the disk"
    held = session.project.decision(session.case.id)
    assert (held is None) == (step != "undo_decision")


def test_a_film_is_reopened_only_where_there_is_one_and_room(
    session: Session, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session.decide("accept with edits")
    with monkeypatch.context() as patch:
        patch.setattr(session.project, "decide", full)
        session.reopen()
    assert messages[-1] == "no room on the disk"
    assert session.list.status(session.case.id) == "edited"
    session.reopen()
    assert session.list.status(session.case.id) == "to review"
    assert session.deciding.undo() is None


def test_a_blind_reader_reopens_a_film_for_herself_alone(place: Path) -> None:
    session = Session(reader="ann")
    session.read_as("ann", "blind")
    session.open_project(place)
    case = session.case.id
    mask = session.project.put_mask(case, "nodule", blob() > 0, reader="zoe")
    session.project.readers.settle(case, "nodule", mask, actor="zoe")
    session.decide("accept with edits")
    session.reopen()
    assert "nodule" in session.project.readers.settled(case)[case]
    session.close()


def test_without_a_project_there_is_nothing_to_show_or_change() -> None:
    session = Session(reader="ann")
    messages: list[str] = []
    session.message.connect(messages.append)
    assert session.finding_states() == {}
    assert session.versions("nodule") == ()
    assert session.label_versions("nodule") == ()
    assert session.readers() == ("ann",)
    assert session.draft("cam", "nodule", (8, 8)) is None
    assert session.list.stepped(None, 1) is None
    for command in (
        session.undo_label,
        session.reload_stages,
        session.maps_came,
        session.reopen,
    ):
        command()
    session.compare_version(None)
    session.take_reader_mask(0)
    assert not session.set_label("nodule", 1)
    assert "Read-only" in messages[-1]
    with pytest.raises(UsageError, match="open a project first"):
        session.adopt("cam", noise_project.RUN)
    with pytest.raises(UsageError, match="no mode"):
        session.read_as("ann", "asleep")


# Labels -----------------------------------------------------------------------------


def test_a_label_that_the_disk_refuses_is_not_shown(
    session: Session, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(session.case.labels)
    with monkeypatch.context() as patch:
        patch.setattr(session.project.labels, "put", full)
        assert not session.set_label("nodule", 1)
    assert dict(session.case.labels) == before
    assert session.set_label("nodule", 1)
    with monkeypatch.context() as patch:
        patch.setattr(session.project.labels, "undo", full)
        session.undo_label()
    assert session.can_undo_label()
    assert messages == ["no room on the disk"] * 2


def test_a_label_of_another_film_leaves_the_one_on_screen(session: Session) -> None:
    here, there = session.list.order[:2]
    session.set_label("nodule", 0)
    session.edit("nodule", blob())
    assert [*session.contradictions] == [(here, "nodule")]
    session.leave_label(there, "nodule")  # of which nothing is asked
    assert session.set_label("nodule", 1, case_id=there)
    assert session.case.labels["nodule"] == 0
    session.step(1)
    assert session.case.labels["nodule"] == 1
    session.step(-1)
    assert [*session.contradictions] == [(here, "nodule")]
    session.leave_label(here, "nodule")
    session.contradictions_changed.connect(lambda: pytest.fail("was left"))
    session.edit("nodule", blob() | blob(at=40))


# Versions ---------------------------------------------------------------------------


def test_a_version_that_is_lost_is_not_compared_nor_restored(
    session: Session, place: Path, messages: list[str]
) -> None:
    for at in (10, 40):
        session.edit("nodule", blob(at=at))
        session.decide("accept with edits")
    newest, oldest = session.versions("nodule")
    session.compare_version(oldest)
    assert session.comparing.now is not None
    session.compare_version(None)
    assert session.comparing.now is None
    for file in place.glob(f"masks/*/nodule/*{oldest.mask_sha}*"):
        file.unlink()
    session.compare_version(oldest)
    assert "cannot be read" in messages[-1]
    session.restore(oldest)
    assert "cannot be read" in messages[-1]
    assert session.versions("nodule")[0] == newest
    assert [one.name for one in session.candidates()] == []


def test_a_film_that_two_did_not_read_has_no_masks_to_take(session: Session) -> None:
    session.take_reader_mask(0)
    assert session.experts.annotated == set()


# Stages -----------------------------------------------------------------------------


def test_maps_that_come_in_the_background_leave_what_is_drawn(staged: Path) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    session.edit("nodule", blob())
    changed: list[None] = []
    session.stages_changed.connect(lambda: changed.append(None))
    session.maps_came()
    assert changed == [None]
    noise_project.add_stage(staged, "crf")
    session.adopt("crf", noise_project.RUN)
    assert session.stages() == ("cam", "crf")
    for file in stages.folder(staged, "crf", noise_project.RUN).glob("*.npz"):
        file.unlink()
    session.refresh_maps()
    assert session.stages() == ("cam",)
    session.maps_came()
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob() > 0)
    session.close()


def test_a_damaged_map_is_said_and_the_one_on_screen_stays(staged: Path) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    messages: list[str] = []
    session.message.connect(messages.append)
    maps = stages.folder(staged, "cam", noise_project.RUN)
    (maps / f"{session.case.id}.npz").write_bytes(b"damaged")
    session.refresh_maps()
    assert len(messages) == 1
    assert session.stages() == ("cam",)
    session.close()


def test_the_maps_that_were_chosen_last_are_shown(later: Session) -> None:
    first = later.opened
    later.refresh_maps()
    later.showing.start(later.project.folder, replace(later.showing.shown))
    later.background.drain()  # of what is shown no longer
    assert later.opened is first
    later.refresh_maps()
    later.step(1)
    later.background.drain()  # of the film that was left
    assert later.opened.case.id == later.list.order[1]


def test_a_run_without_its_folder_has_no_maps_to_choose(staged: Path) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    assert (session.showing.maps, session.showing.map) == ((), "")
    with pytest.raises(UsageError, match="no map 'x'; there are: none"):
        session.choose_map("x")
    session.close()


def test_a_study_follows_new_runs_on_its_later_films(staged: Path) -> None:
    session = Session(reader="ann")
    messages: list[str] = []
    session.message.connect(messages.append)
    session.read_as("ann", arm="loop")
    session.open_project(staged)
    session.maps_came()
    assert session.stages() == ("cam",)
    for case_id in session.list.order[1:]:
        (stages.folder(staged, "cam", noise_project.RUN) / f"{case_id}.npz").unlink()
    session.step(1)
    assert "No draft has been computed" in messages[-1]
    assert stages.read(staged, "cam", noise_project.RUN, session.case.id) is None
    session.close()
