"""Nobody paints on the wrong ground: saved mask and strokes are shown, or neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.io.project_folder import rescue as _rescue
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session
from napari_wsseg.session.expert_masks import RETRY_SECONDS


def garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9] + b"not a mask")


def swap(path: Path) -> None:
    path.write_bytes(_mask_store.encode(np.ones(noise_project.SHAPE, bool)))


DAMAGES: tuple[Callable[[Path], None], ...] = (Path.unlink, garble, swap)


def mask_file(place: Path, case: str, finding: str = "nodule") -> Path:
    with Project.open(place) as project:
        version = project.latest(case, finding)
    assert version is not None
    return _mask_store.place(place, case, finding, version.mask_sha)


def leave_strokes(place: Path, case: str, *masks: np.ndarray) -> None:
    """Leave a saved mask with strokes on it in the journal, as a kill does."""
    with Project.open(place, write=True) as project:
        before, *after = (mask.astype(bool) for mask in masks)
        project.put_mask(case, "nodule", before, reader="ann")
        for mask in after:
            project.journal.record(case, "nodule", "ann", before, mask)
            before = mask


def held(place: Path, case: str, finding: str = "nodule") -> np.ndarray:
    with Project.open(place) as project:
        assert project.journal.pending() == []
        return project.expert_masks(case)[finding]


def opened(place: Path, messages: list[str] | None = None) -> Session:
    session = Session(reader="ann", clock=Clock())
    if messages is not None:
        session.message.connect(messages.append)
        session.save_failed.connect(messages.append)
    session.open_project(place)
    return session


def refuse(*_: object, **__: object) -> str:
    raise DataError("the disk is full")


@pytest.mark.parametrize("film", [0, 2])
def test_strokes_that_cannot_be_folded_yet_are_shown_and_painted_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, film: int
) -> None:
    case = noise_project.case_ids(place)[film]
    left = blob() | blob(at=30)
    leave_strokes(place, case, blob(), left)
    messages: list[str] = []
    with monkeypatch.context() as full:
        full.setattr(_mask_store, "write", refuse)
        session = opened(place, messages)
        assert any("disk is full" in message for message in messages)
        session.go_to(case)
        np.testing.assert_array_equal(session.experts.masks["nodule"], left)
        session.edit("nodule", left | blob(at=60))
    session.edit("nodule", left | blob(at=60) | blob(at=45))
    session.close()
    drawn = left | blob(at=60) | blob(at=45)
    np.testing.assert_array_equal(held(place, case), drawn.astype(bool))


def test_what_could_not_be_folded_is_folded_by_itself_when_there_is_room(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_, last = noise_project.case_ids(place)
    leave_strokes(place, last, blob(), blob(at=30))
    with monkeypatch.context() as full:
        full.setattr(_mask_store, "write", refuse)
        session = opened(place)
        session.go_to(first)
        assert session.experts.unrecovered
    session.tick()
    assert session.experts.unrecovered, "not at every tick"
    session.experts.clock.now += RETRY_SECONDS
    session.tick()
    np.testing.assert_array_equal(held(place, last), blob(at=30).astype(bool))
    session.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_film_that_lost_its_mask_harms_no_other(
    place: Path, damage: Callable[[Path], None]
) -> None:
    lost, intact, *_ = noise_project.case_ids(place)
    leave_strokes(place, lost, blob(), blob(at=30))
    leave_strokes(place, intact, blob(), blob() | blob(at=40))
    damage(mask_file(place, lost))
    session = opened(place)
    assert session.case.id == intact, "its strokes were recovered"
    session.edit("nodule", blob() | blob(at=40) | blob(at=60))
    session.close()
    with Project.open(place) as project:
        assert [row[0] for row in project.journal.pending()] == [lost]
        drawn = project.expert_masks(intact)["nodule"]
    np.testing.assert_array_equal(
        drawn, (blob() | blob(at=40) | blob(at=60)).astype(bool)
    )


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("turn", [False, True])
def test_a_mask_damaged_under_open_strokes_is_mended_by_what_is_on_screen(
    place: Path, damage: Callable[[Path], None], turn: bool
) -> None:
    case = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        project.put_mask(case, "nodule", blob().astype(bool), reader="ann")
    messages: list[str] = []
    session = opened(place, messages)
    session.edit("nodule", blob() | blob(at=30))
    damage(mask_file(place, case))
    session.edit("nodule", blob() | blob(at=30) | blob(at=60))
    if turn:
        session.step(1)
        session.step(-1)
    session.close()
    drawn = blob() | blob(at=30) | blob(at=60)
    np.testing.assert_array_equal(held(place, case), drawn.astype(bool))
    with Project.open(place) as project:
        assert project.fsck() == [], "the version before, too, is whole again"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("owner", ["ann", "ben"])
def test_a_mask_damaged_while_it_is_shown_can_be_painted_on(
    place: Path, damage: Callable[[Path], None], owner: str
) -> None:
    case = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        project.put_mask(case, "nodule", blob().astype(bool), reader=owner)
    session = opened(place)
    damage(mask_file(place, case))
    session.edit("nodule", blob() | blob(at=30))
    session.step(1)
    session.close()
    drawn = blob() | blob(at=30)
    np.testing.assert_array_equal(held(place, case), drawn.astype(bool))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_finding_whose_ground_is_lost_is_shown_said_and_not_drawn_on(
    place: Path, damage: Callable[[Path], None]
) -> None:
    case = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        project.put_mask(case, "nodule", blob(at=70).astype(bool), reader="ann")
    leave_strokes(place, case, blob(), blob() | blob(at=30))
    damage(mask_file(place, case))
    messages: list[str] = []
    session = opened(place, messages)
    session.go_to(case)
    assert not session.may_draw("nodule")
    assert any("cannot be drawn on" in message for message in messages)
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=70))
    session.edit("nodule", blob(at=50))
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=70))
    assert not session.decide("accept")
    assert session.decide("flag")
    session.edit("effusion", blob(at=40))
    session.step(1)
    session.step(-1)
    session.close()
    with Project.open(place, write=True) as project:
        assert len(project.journal.pending()) == 1
        assert any("no mask to lie on" in message for message in project.fsck())
        project.fsck(repair=True)
        assert project.fsck() == []
        assert project.journal.pending() == []
        alone, newest = project.history(case, "nodule")[-2:]
        assert (alone.tool, newest.tool) == (_rescue.ALONE, _rescue.ON_EARLIER)
        np.testing.assert_array_equal(
            project.read_mask(alone), blob(at=30).astype(bool)
        )
        np.testing.assert_array_equal(
            project.read_mask(newest), (blob(at=30) | blob(at=70)).astype(bool)
        )
    assert list((place / ".trash" / "strokes").iterdir()), "the rows are kept, too"
    session = opened(place)
    session.go_to(case)
    assert session.may_draw("nodule")
    session.close()


def test_restoring_a_version_settles_a_lost_ground_and_keeps_the_strokes(
    place: Path,
) -> None:
    case = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        project.put_mask(case, "nodule", blob(at=70).astype(bool), reader="ann")
    leave_strokes(place, case, blob(), blob() | blob(at=30))
    mask_file(place, case).unlink()
    session = opened(place)
    session.go_to(case)
    session.restore(session.versions("nodule")[-1])
    assert session.may_draw("nodule")
    session.edit("nodule", blob(at=70) | blob(at=50))
    session.close()
    drawn = blob(at=70) | blob(at=50)
    np.testing.assert_array_equal(held(place, case), drawn.astype(bool))
    with Project.open(place) as project:
        tools = [version.tool for version in project.history(case, "nodule")]
    assert _rescue.ALONE in tools


def test_strokes_are_not_forgotten_before_their_mask_was_read_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = noise_project.case_ids(place)[0]
    leave_strokes(place, case, blob(), blob(at=30))
    with Project.open(place, write=True) as project:
        with monkeypatch.context() as lying:
            lying.setattr(_mask_store, "write", lambda *_: "0" * _mask_store.SHA_DIGITS)
            with pytest.raises(DataError):
                project.journal.fold(case, "nodule", "ann")
        assert len(project.journal.pending()) == 1
        assert len(project.history(case, "nodule")) == 1
        project.journal.fold(case, "nodule", "ann")
    np.testing.assert_array_equal(held(place, case), blob(at=30).astype(bool))


def test_a_saved_mask_whose_file_is_lost_is_no_reason_not_to_save_it_again(
    place: Path,
) -> None:
    case = noise_project.case_ids(place)[0]
    with Project.open(place, write=True) as project:
        first = project.put_mask(case, "nodule", blob().astype(bool), reader="ann")
        mask_file(place, case).unlink()
        again = project.put_mask(case, "nodule", blob().astype(bool), reader="ann")
        assert again == first
        np.testing.assert_array_equal(project.read_mask(again), blob().astype(bool))


def test_what_was_drawn_after_a_decision_outlives_its_undoing(place: Path) -> None:
    session = opened(place)
    case = session.case.id
    session.decide("reject", finding="nodule")
    session.edit("nodule", blob(at=30))
    session.undo_decision()
    np.testing.assert_array_equal(session.experts.masks["nodule"], blob(at=30))
    session.close()
    np.testing.assert_array_equal(held(place, case), blob(at=30).astype(bool))
