"""The arms of a study: what each offers, who is in which, and what is kept of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import noise_project
from helpers.noise_project import Clock, blob
from napari_wsseg.cli import main
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline import study
from napari_wsseg.session import Session
from napari_wsseg.session.effort.arms import assigned

FIRST, LATER = "classifier-20261121-000000-aaaa", "classifier-20261122-000000-bbbb"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = noise_project.make_project(tmp_path, cases=6)
    for run in (FIRST, LATER):
        noise_project.add_stage(folder, run=run)
        noise_project.adopt(folder, run=run)
    return folder


@pytest.fixture
def session(clock: Clock) -> Iterator[Session]:
    session = Session(reader="ann", clock=clock)
    yield session
    session.close()


def test_the_blank_arm_reads_no_map_and_offers_none(
    session: Session, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(stages, "read", lambda *a, **k: read.append(a))
    monkeypatch.setattr(stages, "read_settings", lambda *a, **k: read.append(a))
    session.read_as("ann", arm="blank")
    session.open_project(place)
    for _ in range(3):
        session.step(1)
        session.prefetch()
    session.reload_stages()
    assert session.stages() == ()
    assert session.looking.view == "expert"
    assert session.draft("cam", "nodule", session.case.shape) is None
    assert read == []


@pytest.mark.parametrize(("arm", "run"), [("draft", FIRST), ("loop", LATER)])
def test_a_draft_is_of_the_first_run_and_the_loop_of_the_one_in_use(
    session: Session, place: Path, arm: str, run: str
) -> None:
    session.read_as("ann", arm=arm)
    session.open_project(place)
    assert session.opened.shown.runs == {"cam": run}
    assert session.looking.view == "cam"
    assert session.draft("cam", "nodule", session.case.shape).any()


def test_a_run_that_is_adopted_reaches_the_later_films_of_the_loop_alone(
    session: Session, place: Path
) -> None:
    newest = "classifier-20261123-000000-cccc"
    noise_project.add_stage(place, run=newest)
    for arm, run in (("loop", newest), ("draft", FIRST)):
        session.read_as("ann", arm=arm)
        session.open_project(place)
        session.adopt("cam", newest)
        session.step(1)
        assert session.opened.shown.runs == {"cam": run}


def test_films_are_shared_out_evenly_always_alike_and_unlike_for_two_readers() -> None:
    films = [f"{n:016x}" for n in range(30)]
    ann, bea = (assigned(films, "a secret", name) for name in ("ann", "bea"))
    assert Counter(ann.values()) == {"blank": 10, "draft": 10, "loop": 10}
    assert ann == assigned(films[::-1], "a secret", "ann")
    assert ann != assigned(films, "another secret", "ann")
    shifts = {tuple(assigned(films, "a secret", str(n)).values()) for n in range(20)}
    assert len(shifts) == 3
    assert set(bea) == set(films)


def test_by_chance_each_film_is_offered_what_its_arm_allows(
    session: Session, place: Path
) -> None:
    session.read_as("ann", arm="random")
    session.open_project(place)
    found = {}
    for case_id in session.list.cases:
        session.go_to(case_id)
        found[case_id] = session.opened.shown.runs.get("cam")
        session.work.gesture("paint")
        session.decide("reject")
    wanted = {"blank": None, "draft": FIRST, "loop": LATER}
    arms = session.arms.by_film
    assert found == {case_id: wanted[arms[case_id]] for case_id in found}
    with Project.open(place) as project:
        kept = {one.case: one.arm for one in project.work_log.efforts()}
    assert kept == arms


def test_an_arm_that_there_is_not_is_refused(session: Session) -> None:
    with pytest.raises(UsageError, match="blank, draft, loop, random"):
        session.read_as("ann", arm="half")


def read_all(place: Path, reader: str, arm: str, seconds: float) -> None:
    clock = Clock()
    session = Session(reader=reader, clock=clock)
    session.read_as(reader, "blind", arm=arm)
    session.open_project(place)
    for number, case_id in enumerate(session.list.cases):
        session.go_to(case_id)
        clock.now += seconds + number
        session.work.signal()
        if arm == "blank":
            session.edit("nodule", blob(), gesture="paint")
            session.edit("effusion", blob(), gesture="paint")
        session.decide("accept" if session.stages() else "accept with edits")
    session.close()


def test_the_study_tells_arms_apart_and_names_nobody(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read_all(place, "Dr Ann Example", "draft", 4)
    read_all(place, "Dr Bea Example", "blank", 10)
    with Project.open(place) as project:
        table = study.table(project)
        films = [case.name for case in project.cases()]
    blank, draft = table["rows"]
    assert (blank["arm"], draft["arm"]) == ("blank", "draft")
    assert blank["active_seconds"]["median"] == pytest.approx(12.5)
    assert draft["active_seconds"]["median"] == pytest.approx(6.5)
    low, high = draft["active_seconds"]["interval"]
    assert low < 6.5 < high
    assert draft["unedited"]["share"] == 1
    assert blank["unedited"]["share"] is None
    assert (blank["strokes"]["median"], draft["strokes"]["median"]) == (2, 0)
    assert draft["dice"]["mean"] == blank["dice"]["mean"] is not None
    assert 0 < draft["dice"]["mean"] < 1
    out = tmp_path / "study.csv"
    assert main(["study", "-p", str(place), "--json", "-o", str(out)]) == 0
    printed = capsys.readouterr()
    for text in (printed.out, printed.err, out.read_text()):
        assert not any(name in text for name in ("Ann", "Bea", "Example", *films))
    assert len(out.read_text().splitlines()) == 1 + 6 * 2 * 2


def test_a_study_of_nothing_says_what_to_do(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "-p", str(place)]) == 0
    assert "--arm blank|draft|loop|random" in capsys.readouterr().err


def test_drafts_that_a_study_began_with_are_no_waste(place: Path) -> None:
    maps = place / "stages" / "cam" / FIRST
    read_all(place, "ann", "draft", 4)
    assert main(["gc", "-p", str(place)]) == 0
    assert maps.is_dir()
