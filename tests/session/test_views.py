"""What is looked at, without a window: views, thresholds, orders, states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.schema import Annotation, Decision, Finding, StageMaps, StageSettings
from napari_wsseg.session import Session
from napari_wsseg.session.case_list import reading_order
from napari_wsseg.session.decisions import finding_state
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.effort import contested
from napari_wsseg.session.effort.active_time import ActiveTime
from napari_wsseg.session.effort.starts import start_before, start_of
from napari_wsseg.session.grey_window import Toning
from napari_wsseg.session.view import Departure, Looking

BOTH = ("effusion", "nodule")


@pytest.fixture
def looking() -> Looking:
    made = Looking()
    settings = StageSettings(BOTH, (0.3, 0.4), (0.0, 0.0))
    findings = tuple(Finding(name, "#ff0000") for name in BOTH)
    made.start(findings, Drafts(BOTH, {"cam": settings, "crf": settings}))
    return made


def test_views_are_turned_round_and_blended_where_both_are_stages(
    looking: Looking,
) -> None:
    assert looking.view == "crf"
    seen = []
    for _ in range(4):
        looking.step_view(("cam", "crf"))
        seen.append(looking.view)
    assert seen == ["expert", "film", "cam", "crf"]
    looking.set_view("irnet")
    looking.step_view(())  # whose maps went meanwhile
    assert looking.view == "film"
    looking.set_view("cam", compared="cam")
    assert looking.compared is None
    looking.set_view("cam", compared="crf")
    assert (looking.can_blend, looking.comparing) == (True, "blend")
    looking.set_view("cam", compared="expert")
    assert looking.comparing == "swipe"
    looking.compare_by("blend")  # of which one is no stage
    assert looking.comparing == "swipe"
    looking.compare_by("beside")
    assert looking.comparing == "beside"
    with pytest.raises(UsageError, match="no view 'cma'"):
        looking.set_view("cma")


def test_findings_are_turned_round_and_a_strange_one_is_none(looking: Looking) -> None:
    looking.set_finding("heart")
    assert looking.finding is not None
    assert looking.finding.name == "effusion"
    looking.step_finding(-1)
    assert looking.finding.name == "nodule"
    nothing = Looking()
    nothing.step_finding(1)
    assert nothing.finding is None
    nothing.set_alone(True)
    assert nothing.shows("nodule")
    assert nothing.departures() == ()


def test_all_that_departs_from_the_run_is_named_and_put_back(looking: Looking) -> None:
    looking.set_threshold("cam", "nodule", 0.7)
    looking.set_blend(9)
    looking.set_view("cam", compared="crf")
    looking.set_snap(True)
    looking.set_alone(True)
    looking.step_drawing()
    looking.put(["effusion"], away=True)
    assert looking.departures() == (
        Departure("threshold", "cam", "nodule", 0.7, 0.4),
        Departure("blend", "crf", value=1.0, usual=0.5)
        if looking.view == "crf"
        else Departure("blend", "cam", value=1.0, usual=0.5),
        Departure("comparison", "crf"),
        Departure("snap"),
        Departure("alone", finding="effusion"),
        Departure("drawing"),
        Departure("hidden", finding="effusion"),
    )
    assert looking.shows("effusion")  # alone goes before put away
    looking.forget_departures()
    assert looking.departures() == ()
    assert looking.shows("nodule")


def test_saying_the_same_again_changes_nothing(looking: Looking) -> None:
    looking.view_changed.connect(lambda: pytest.fail("nothing changed"))
    looking.threshold_changed.connect(lambda: pytest.fail("nothing changed"))
    looking.set_snap(False)
    looking.set_numbers(True)
    looking.set_alone(False)
    looking.set_drawing("filled")
    looking.put([], away=True)
    looking.drafts.reset_threshold("cam", "nodule")


def test_each_switch_is_told_once(looking: Looking) -> None:
    switches: list[None] = []
    looking.view_changed.connect(lambda: switches.append(None))
    looking.threshold_changed.connect(lambda: switches.append(None))
    for number, change in enumerate(
        (
            lambda: looking.set_snap(True),
            lambda: looking.set_numbers(False),
            lambda: looking.set_alone(True),
            lambda: looking.set_drawing("off"),
            lambda: looking.put(["nodule"], away=True),
            lambda: looking.put(["nodule"], away=False),
            lambda: looking.reset_threshold("cam", "nodule"),
        ),
        start=1,
    ):
        change()
        assert len(switches) == number


# Thresholds -------------------------------------------------------------------------


def test_a_threshold_goes_back_to_the_runs_own() -> None:
    settings = StageSettings(BOTH, (0.3, 0.4), (0.0, 0.0), rule="otsu")
    drafts = Drafts(BOTH, {"cam": settings})
    assert drafts.threshold("crf", "nodule") == 0.5
    assert drafts.threshold("cam", "heart") == 0.5
    assert drafts.own_threshold("cam", "nodule") is None
    drafts.set_threshold("cam", "nodule", 0.7)
    drafts.set_threshold("cam", "effusion", 0.6)
    assert drafts.own_threshold("cam", "nodule") == 0.4
    assert drafts.own_threshold("cam", "heart") is None
    assert len(drafts.moved()) == 2
    drafts.reset_threshold("cam", "nodule")
    assert drafts.moved() == (("cam", "effusion", 0.6, 0.3),)
    assert drafts.settings["cam"].rule == "threshold"
    drafts.reset_threshold("cam", "effusion")
    assert drafts.settings["cam"] == settings  # Otsu's rule, too
    assert drafts.moved() == ()


def test_settings_that_come_late_are_taken_and_those_that_were_moved_stay() -> None:
    late = StageSettings(BOTH, (0.2, 0.2), (0.0, 0.0))
    drafts = Drafts(BOTH, {"cam": late, "crf": late}, frozenset({"crf"}))
    drafts.set_threshold("cam", "nodule", 0.9)
    drafts.set_threshold("crf", "nodule", 0.9)
    drafts.take_new(Drafts(BOTH, {"cam": late, "crf": late}))
    assert drafts.threshold("cam", "nodule") == 0.9
    assert drafts.threshold("crf", "nodule") == 0.2
    assert drafts.unset == frozenset()


def test_a_finding_that_a_run_does_not_know_has_no_score_and_no_draft() -> None:
    score = np.linspace(0, 1, 2 * 8 * 8, dtype=np.float32).reshape(2, 8, 8)
    maps = StageMaps(score, np.ones(2, np.float32))
    settings = StageSettings(BOTH, (0.5, 0.5), (0.0, 0.0))
    drafts = Drafts(("heart", *BOTH), {"cam": settings})
    found = drafts.score(maps, "cam", "nodule")
    np.testing.assert_array_equal(found, score[1], strict=True)
    assert drafts.score(maps, "cam", "heart") is None
    assert drafts.score(maps, "crf", "nodule") is None
    assert not drafts.draft(maps, "cam", "heart", (8, 8), {}).any()
    assert not drafts.draft(maps, "crf", "nodule", (8, 8), {}).any()


def test_of_findings_that_exclude_each_other_a_pixel_has_the_likeliest() -> None:
    score = np.full((2, 8, 8), 0.6, np.float32)
    score[1, :4] = 0.9
    maps = StageMaps(score, np.ones(2, np.float32))
    settings = StageSettings(BOTH, (0.5, 0.5), (0.0, 0.0), exclusive=True)
    drafts = Drafts(BOTH, {"cam": settings})
    drawn = {one: drafts.draft(maps, "cam", one, (8, 8), {"nodule": 1}) for one in BOTH}
    assert drawn["nodule"][:4].all()
    assert not (drawn["nodule"] & drawn["effusion"]).any()


# Findings and their states ----------------------------------------------------------


def version(number: int, tool: str = "brush", created: str = "") -> Annotation:
    return Annotation(
        *(number, "c", "nodule", "ann", 1, None, "sha", tool, None, 9, created)
    )


def decision(verdict: str, *, after: int | None = 5, **more: object) -> Decision:
    values = {"finding": None, "id": 1, **more}
    return Decision(
        *(values["id"], "c", verdict, "ann", None, "", 1.0, "2026-11-30"),  # type: ignore[arg-type]
        *(values["finding"], after),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("saved", "own", "film", "drawn", "state"),
    [
        (None, None, None, False, "—"),
        (None, None, None, True, "drawn"),
        (None, None, decision("reject"), False, "rejected"),
        (None, None, decision("accept"), False, "—"),
        (None, None, decision("accept"), True, "edited"),
        (version(3), None, decision("accept"), True, "edited"),
        (version(3, "accepted cam"), None, decision("accept"), True, "accepted"),
        (version(6), None, decision("accept"), True, "drawn"),
        (version(3), decision("accept", finding="nodule"), None, True, "accepted"),
        (
            version(3),
            decision("accept with edits", finding="nodule"),
            None,
            True,
            "edited",
        ),
        (version(3), None, decision("flag"), True, "drawn"),
        (
            version(3, created="2026-12-01"),
            None,
            decision("accept", after=None),
            True,
            "drawn",
        ),
        (
            version(3, created="2026-11-01"),
            None,
            decision("accept", after=None),
            True,
            "edited",
        ),
    ],
)
def test_what_a_finding_is_called(
    saved: Annotation | None,
    own: Decision | None,
    film: Decision | None,
    state: str,
    *,
    drawn: bool,
) -> None:
    assert finding_state(saved, own, film, drawn=drawn) == state


def test_what_a_mask_began_with() -> None:
    mask = blob() > 0
    cleared = start_of("clear", mask, None)
    assert cleared is not None
    assert cleared.name == "blank"
    assert start_of("brush", mask, None) is None
    history = [version(1, "from cam"), version(2, "clear"), version(3)]
    assert start_before(history, drawn=True).name == "blank"
    assert start_before(history[:1], drawn=True).name == "cam"


def test_time_goes_to_nobody_without_a_film_and_focus_comes_once() -> None:
    clock = Clock()
    work = ActiveTime(clock)
    work.gesture("brush")
    work.turn("film", "nodule")
    work.focus(True)
    work.focus(True)
    clock.now = 4
    work.signal()
    assert sum(spell.seconds for spell in work.take()) == 4


def test_a_film_can_be_inverted_and_that_is_told_once() -> None:
    toning, changes = Toning(), []
    toning.changed.connect(lambda: changes.append(toning.inverted))
    for inverted in (True, True, False):
        toning.set_inverted(inverted)
    toning.carry(False)
    assert changes == [True, False]


# Orders -----------------------------------------------------------------------------


def test_a_filtered_list_keeps_the_order_by_chance_and_todays_films_come_last(
    session: Session, place: Path
) -> None:
    ids = noise_project.case_ids(place)
    now = datetime.now(UTC)
    everything = reading_order.ordered(
        session.list, ids, reading_order.RANDOM, reader="ann", scores={}, now=now
    )
    part = reading_order.ordered(
        session.list, ids[1:], reading_order.RANDOM, reader="ann", scores={}, now=now
    )
    assert part == [one for one in everything if one in ids[1:]]
    session.decide("accept with edits")
    newest = reading_order.ordered(
        session.list, ids, reading_order.DATE, reader="ann", scores={}, now=now
    )
    assert newest[0] == session.case.id
    unsure = reading_order.ordered(
        session.list, ids, reading_order.UNCERTAIN, reader="ann", scores={}, now=now
    )
    assert unsure[-1] == session.case.id
    weeks = now + timedelta(days=21)
    assert ids == reading_order.ordered(
        session.list, ids, reading_order.UNCERTAIN, reader="ann", scores={}, now=weeks
    )


def test_films_are_ordered_by_what_readers_and_the_machine_said(staged: Path) -> None:
    ids = noise_project.case_ids(staged)
    assert reading_order.machine_against_expert(staged, "crf", noise_project.RUN) == {}
    run, alone = noise_project.RUN, StageSettings(BOTH[1:], (0.5,), (0.0,))
    maps = StageMaps(np.full((1, 16, 16), 0.9, np.float32), np.ones(1, np.float32))
    for case_id in ids[:2]:
        stages.write(staged, "irnet", run, case_id, maps)
    stages.write_settings(staged, "irnet", run, alone)
    hot = np.zeros(noise_project.SHAPE, bool)
    with Project.open(staged, write=True) as project:
        project.put_mask(ids[0], "nodule", hot, reader="ann")
        project.put_mask(ids[1], "effusion", hot, reader="ann")
        project.put_mask(ids[2], "nodule", hot, reader="ann")
    found = reading_order.machine_against_expert(staged, "irnet", run)
    assert found == {ids[0]: 1.0}
    assert reading_order.between_readers(staged) == {}
    assert reading_order.accepted_again(staged, "cam", noise_project.RUN) == {}
    first = next(iter(reading_order.NEXT))
    places, _ = reading_order.next_films(staged, first)
    assert sorted(places) == sorted(ids)
    assert max(places.values()) == 1


def test_a_film_that_left_the_project_is_told_and_costs_no_other(
    session: Session, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, ids = session.list.cases, noise_project.case_ids(place)
    read = cases._read
    monkeypatch.setattr(
        cases,
        "_read",
        lambda page: {c: v for c, v in read(page).items() if c != ids[3]},
    )
    cases._kept.clear()
    found = [*cases.many(ids)]
    assert [case.id for case in found] == ids
    assert found[3].path == ids[3]
    assert "no longer in the project" in cases._damaged[ids[3]]


# Drafts that are contested ----------------------------------------------------------


def test_places_where_the_other_views_say_otherwise(session: Session) -> None:
    draft, other = np.zeros((2, 40, 40), bool)
    draft[2:12, 2:12] = other[20:30, 20:30] = other[2, 30] = True
    found = contested.contested(draft, [other])
    assert (found == contested.TOO_MUCH).sum() == 100
    assert (found == contested.MISSING).sum() == 100  # the speck is left out
    assert not contested.contested(draft, []).any()
    assert contested.on_screen(session) is None


def test_a_draft_is_contested_by_another_stage_and_by_the_run_before(
    staged: Path,
) -> None:
    session = Session(reader="ann")
    session.open_project(staged)
    assert contested.on_screen(session) is None  # nothing to compare it with
    before, newest = "segmenter-20261121-000000-aaaa", "segmenter-20261122-000000-bbbb"
    for run, value in ((before, 0.9), (newest, 0.1)):
        noise_project.add_stage(staged, "segmentation", run=run, value=value)
        session.adopt("segmentation", run)
    session.looking.set_view("segmentation")
    found = contested.on_screen(session)
    assert found is not None
    assert (found == contested.MISSING).any()
    names = [one.name for one in session.candidates()]
    assert "segmentation" in names
    session.close()
