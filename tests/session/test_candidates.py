"""What a mask could begin with: what differs, in the stated order, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg.io import stages
from napari_wsseg.io.project_folder import mask_store
from napari_wsseg.schema import StageSettings
from napari_wsseg.session import Session
from napari_wsseg.session.effort import candidates
from napari_wsseg.session.effort.candidates import Candidate

SHAPE = (40, 40)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    place = noise_project.make_project(tmp_path)
    for stage, value in (("cam", 0.9), ("irnet", 0.8)):
        noise_project.add_stage(place, stage, value=value)
        noise_project.adopt(place, stage)
    session = Session(reader="ann")
    session.open_project(place)
    yield session
    session.close()


def square(size: int, name: str = "") -> Candidate:
    def draw(shape: tuple[int, int]) -> np.ndarray:
        mask = np.zeros(shape, bool)
        mask[:size, :size] = True
        return mask

    return Candidate(name or str(size), draw)


def test_a_later_stage_comes_before_an_earlier_one(session: Session) -> None:
    names = [one.name for one in session.candidates()]
    assert names[:2] == ["irnet", "cam"]
    assert {"irnet lower cut", "cam higher cut"} <= set(names)


def test_candidates_that_are_alike_are_shown_once_and_empty_ones_never() -> None:
    given = [square(20, "a"), square(20, "again"), square(0), square(5, "b")]
    names = [one.name for one, _ in candidates.differing(given, SHAPE)]
    assert names == ["a", "b"]


def test_of_many_those_that_differ_most_are_shown_in_the_order_they_came() -> None:
    given = [square(size) for size in (20, 21, 22, 40, 2, 23, 10, 30, 24)]
    names = [one.name for one, _ in candidates.differing(given, SHAPE)]
    assert len(names) == candidates.MOST
    assert names[0] == "20"
    assert {"40", "2", "10", "30"} < set(names)
    assert names == [
        str(s) for s in (20, 21, 22, 40, 2, 23, 10, 30, 24) if str(s) in names
    ]


def test_nothing_of_the_machine_is_a_candidate_where_it_is_hidden(
    session: Session, tmp_path: Path
) -> None:
    session.read_as("ann", arm="blank")
    assert session.candidates() == []
    session.read_as("ann", arm="", stages=False)
    assert session.candidates() == []


def test_what_was_picked_is_kept_with_the_decision(session: Session) -> None:
    irnet = session.candidates()[0]
    mask = irnet.draw(session.case.shape)
    session.edit("effusion", mask, tool=f"picked {irnet.name}", source_run=irnet.run)
    session.looking.set_view("expert")
    session.work.signal()
    session.decide("accept with edits")
    (found,) = session.project.work_log.efforts()
    assert found.outcomes["effusion"].start == "irnet"
    assert found.outcomes["effusion"].unedited
    assert found.gestures["effusion"] == {"picked irnet": 1}
    assert found.strokes() == 0


def test_the_run_before_is_a_candidate_until_its_maps_are_gone(
    session: Session, tmp_path: Path
) -> None:
    place = tmp_path / "project"
    runs = ("segmenter-20261121-000000-aaaa", "segmenter-20261122-000000-bbbb")
    for run, value in zip(runs, (0.9, 0.1), strict=True):
        noise_project.add_stage(place, "segmentation", run=run, value=value)
        settings = StageSettings(noise_project.FINDINGS, (0.5, 0.5), (0.5, 0.5))
        stages.write_settings(place, "segmentation", run, settings)
        session.adopt("segmentation", run)
    found = {one.name: one for one in session.candidates()}
    before = found[candidates.RUN_BEFORE]
    assert before.run == runs[0]
    assert before.draw(session.case.shape).any()
    for path in (place / "stages" / "segmentation" / runs[0]).glob("*.npz"):
        path.unlink()
    assert not before.draw(session.case.shape).any()


def test_the_version_before_is_a_candidate_while_it_can_be_read(
    session: Session,
) -> None:
    finding = session.looking.finding.name
    for size in (8, 9):
        session.edit(finding, noise_project.blob(size=size))
        session.experts.fold()
    (earlier,) = (one for one in session.candidates() if one.name == "version 1")
    assert earlier.draw(session.case.shape).sum() == 64
    first = session.project.history(session.case.id, finding)[0]
    folder = session.project.folder
    mask_store.place(folder, first.case, first.finding, first.mask_sha).unlink()
    assert "version 1" not in [one.name for one in session.candidates()]
