"""Where a session ends: no project, the last film, the moment a pause is one."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.export import writing
from napari_wsseg.io import stages
from napari_wsseg.io.anatomy import SHIPPED
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import StageMaps, StageSettings
from napari_wsseg.session import Session
from napari_wsseg.session.case_list import reading_order
from napari_wsseg.session.expert_masks import IDLE_SECONDS, RETRY_SECONDS
from napari_wsseg.session.label_commands import LabelCommands
from napari_wsseg.session.open_case import Shown
from napari_wsseg.session.shown_runs import Showing, read_every_map


def test_without_a_project_no_command_does_anything() -> None:
    session = Session(reader="ann")
    messages: list[str] = []
    session.message.connect(messages.append)
    for command in (
        session.tick,
        session.close,
        session.prefetch,
        session.read_again,
        session.keep_work,
        session.measure_pace,
        session.undo_decision,
        session.refresh_maps,
    ):
        command()
    session.step(1)
    session.decide("accept")
    session.edit("nodule", blob())
    assert session.case is None
    assert session.candidates() == []
    assert not session.may_draw("nodule")
    assert not session.synthetic
    assert session.seen_seconds == 0


def test_a_pause_is_one_from_its_second_on(session: Session, clock: Clock) -> None:
    experts = session.experts
    assert experts is not None
    assert experts.fold_if_idle() is False
    assert experts.seconds_since_saved is None
    clock.now = began = 100.0
    session.edit("nodule", blob())
    clock.now = began + IDLE_SECONDS - 0.01
    assert experts.fold_if_idle() is False
    assert experts.seconds_since_saved == pytest.approx(IDLE_SECONDS - 0.01)
    clock.now = began + IDLE_SECONDS
    assert experts.fold_if_idle() is True
    assert experts.fold_if_idle() is False


def test_strokes_that_were_open_before_are_folded_after_a_pause_too(
    session: Session, clock: Clock
) -> None:
    experts, case = session.experts, session.case
    assert experts is not None
    assert case is not None
    clock.now = 100.0
    experts.show(case, noise_project.FINDINGS, {})
    assert experts.last_edit is None
    experts.show(case, noise_project.FINDINGS, {}, open_strokes={"nodule"})
    assert experts.last_edit == 100.0


def test_what_could_not_be_recovered_is_tried_again_after_a_while(
    session: Session, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    experts = session.experts
    assert experts is not None
    tried: list[float] = []
    monkeypatch.setattr(experts, "recover", lambda: tried.append(clock.now))
    experts.unrecovered = {("a film", "nodule", "ann"): "lost"}
    experts._tried_at = clock.now = 100.0
    assert experts.fold_if_idle() is False
    clock.now = 100.0 + RETRY_SECONDS
    assert experts.fold_if_idle() is True
    assert tried == [clock.now]


def test_strokes_of_a_film_that_was_left_are_folded_at_once(session: Session) -> None:
    experts = session.experts
    assert experts is not None
    session.edit("nodule", blob())
    session.step(1)
    assert experts.fold_if_idle() is True
    assert experts.fold_if_idle() is False


def test_one_film_that_was_left_is_folded_and_no_other(session: Session) -> None:
    experts, first = session.experts, session.case
    assert experts is not None
    assert first is not None
    session.edit("nodule", blob())
    session.step(1)
    second = session.case
    assert second is not None
    session.edit("nodule", blob())
    session.step(1)
    experts.fold_waiting(second.id)
    assert [row[0] for row in experts.project.journal.pending()] == [first.id]
    experts.fold_waiting()
    assert experts.project.journal.pending() == []


def test_a_stroke_that_the_disk_refused_is_folded_with_the_others(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    experts, case = session.experts, session.case
    assert experts is not None
    assert case is not None

    def refuse(*_: object) -> None:
        raise DataError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(experts.project.journal, "record", refuse)
        with pytest.raises(DataError, match="full"):
            experts.edit("nodule", blob().astype(bool))
    assert experts.unsaved == ["nodule"]
    experts.fold()
    assert experts.unsaved == []
    kept = experts.project.expert_masks(case.id)["nodule"]
    np.testing.assert_array_equal(kept, blob().astype(bool))


def test_either_end_of_the_list_is_told_and_so_is_that_all_are_read(
    session: Session, place: Path
) -> None:
    messages: list[str] = []
    session.message.connect(messages.append)
    session.step(-1)
    assert "the first film" in messages[-1]
    for _ in range(9):
        session.step(1)
    assert "the last film" in messages[-1]
    session.close()
    with Project.open(place, write=True) as project:
        for case in project.cases():
            project.decide(case.id, "accept", reader="ann")
    session.open_project(place)
    session.go_to_unread()
    assert "every film" in messages[-1].lower()


def test_every_order_has_every_film_once(session: Session, place: Path) -> None:
    ids = noise_project.case_ids(place)
    scores = {ids[2]: 0.9, ids[1]: 0.4}
    now = datetime(2026, 11, 30, tzinfo=UTC)
    found = {
        order: reading_order.ordered(
            session.list, ids, order, reader="ann", scores=scores, now=now
        )
        for order in (*reading_order.ORDERS, "as they are")
    }
    assert all(sorted(each) == sorted(ids) for each in found.values())
    assert found["as they are"] == ids
    assert found[reading_order.READERS][:2] == [ids[2], ids[1]]
    again = reading_order.ordered(
        session.list, ids, reading_order.RANDOM, reader="ann", scores={}, now=now
    )
    assert found[reading_order.RANDOM] == again


def test_a_brush_leaves_what_an_earlier_tool_said(
    session: Session, place: Path
) -> None:
    assert session.case is not None
    case = session.case.id
    session.edit("nodule", blob(), tool="from cam", source_run="run-1")
    session.edit("nodule", blob() | blob(at=40))
    session.close()
    with Project.open(place) as project:
        newest = project.history(case, "nodule")[-1]
    assert (newest.tool, newest.source_run) == ("from cam", "run-1")


def test_a_mask_that_is_put_back_is_one_and_none_is_none(session: Session) -> None:
    experts = session.experts
    assert experts is not None
    experts.replace("nodule", blob().astype(bool))
    assert "nodule" in experts.annotated
    experts.replace("nodule", None)
    assert "nodule" not in experts.annotated
    assert not experts.masks["nodule"].any()


def test_strokes_of_somebody_else_are_recovered_and_those_in_hand_are_not(
    session: Session,
) -> None:
    experts, project, case = session.experts, session.project, session.case
    assert experts is not None
    assert project is not None
    assert case is not None
    session.edit("nodule", blob())
    blank = np.zeros(noise_project.SHAPE, bool)
    project.journal.record(case.id, "nodule", "ben", blank, blob().astype(bool))
    recovered = experts.recover()
    assert [(one.reader, one.finding) for one in recovered] == [("ben", "nodule")]
    assert [row[2] for row in project.journal.pending()] == ["ann"]


def test_a_list_of_films_is_its_ids_in_their_order(session: Session) -> None:
    ids = session.list.order
    assert [*ids] == ids[:]
    assert ids == [*ids]


def test_films_that_another_draft_contradicts_are_scored_by_their_place(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = noise_project.case_ids(place)
    looks = [SimpleNamespace(case=one) for one in (ids[2], ids[0], ids[2], ids[1])]
    monkeypatch.setattr(reading_order.look_again, "accepted", lambda _: looks)
    found = reading_order.accepted_again(place, "cam", noise_project.RUN)
    assert found == {ids[2]: 1.0, ids[0]: 0.75, ids[1]: 0.25}


def test_a_finding_without_a_clear_ground_takes_no_stroke(session: Session) -> None:
    experts = session.experts
    assert experts is not None
    experts.unclear["nodule"] = "its mask cannot be read"
    with pytest.raises(DataError, match="cannot be read"):
        experts.edit("nodule", blob().astype(bool))
    assert not experts.masks["nodule"].any()


def test_a_label_is_asked_about_where_a_mask_contradicts_it(session: Session) -> None:
    asked: list[bool] = []
    session.contradictions_changed.connect(lambda: asked.append(True))
    labels, first = LabelCommands(session), session.case
    assert first is not None
    assert first.labels["effusion"] == 0
    labels.check_area("not a film", "effusion", 9)
    assert not session.contradictions
    labels.check_area(first.id, "effusion", 9)
    labels.check_area(first.id, "effusion", 9)
    assert (len(session.contradictions), len(asked)) == (1, 1)
    labels.leave_label(first.id, "effusion")
    labels.leave_label(first.id, "effusion")
    labels.check_area(first.id, "effusion", 9)
    assert (len(session.contradictions), len(asked)) == (0, 2)


def test_nothing_is_asked_nor_brought_back_without_a_film(session: Session) -> None:
    nothing = Session(reader="ann")
    LabelCommands(nothing).check_label("nodule")
    LabelCommands(nothing).check_open()
    assert not nothing.contradictions
    told: list[str] = []
    nothing.message.connect(told.append)
    session.edit("nodule", blob())
    experts = session.experts
    assert experts is not None
    experts.fold()
    nothing.restore(session.versions("nodule")[0])
    assert "reopen the film first" in told[-1]


def test_every_map_that_a_run_can_give_is_read(place: Path) -> None:
    (first, *_) = noise_project.case_ids(place)
    showing = Showing()
    assert read_every_map(place, first, showing) == {}
    showing.shown, showing.maps = Shown({"cam": noise_project.RUN}), ("grad", "layer")
    noise_project.add_stage(place, "cam~layer")
    assert [*read_every_map(place, first, showing)] == ["layer"]
    noise_project.add_stage(place, "cam")
    assert [*read_every_map(place, first, showing)] == ["grad", "layer"]
    assert showing.with_map("grad").maps_name("cam") == "cam"
    assert showing.map == "grad"
    assert showing.with_runs({"cam": "another"}).maps == {}


def test_what_a_film_cost_and_what_its_chest_measures_is_in_the_table(
    session: Session, place: Path, tmp_path: Path, clock: Clock
) -> None:
    assert session.case is not None
    names = ("heart", "left_lung", "right_lung")
    score = np.zeros((3, 16, 16), np.float32)
    score[0, 6:9, 6:9] = score[1, 2:12, 9:13] = score[2, 2:12, 2:6] = 0.9
    maps = StageMaps(score, np.ones(3, np.float32), {})
    stages.write(place, "anatomy", SHIPPED, session.case.id, maps)
    settings = StageSettings(names, (0.5,) * 3, (0.5,) * 3)
    stages.write_settings(place, "anatomy", SHIPPED, settings)
    session.work.signal()
    session.edit("nodule", blob(), tool="brush")
    session.decide("accept with edits")
    session.close()
    with Project.open(place) as project:
        writing.export(project, "csv", tmp_path / "out")
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["finding"], row["started_from"]) == ("nodule", "blank")
    assert 0 < float(row["machine_cardiothoracic_ratio"]) < 1
    assert float(row["machine_heart_share"]) > 0
