"""Columns of numbers follow the dictionaries that they stand beside."""

from __future__ import annotations

import random

import numpy as np

from napari_wsseg.schema import Decision, Verdict
from napari_wsseg.session.case_list.case_columns import CaseSet, CaseValues
from napari_wsseg.session.case_list.reading_list import STATUSES, CaseList, ReadingList

IDS = [f"{number:016x}" for number in (7, 3, 9, 1, 12, 5)]
PLACES = {case_id: place for place, case_id in enumerate(IDS)}


def decided(case_id: str, verdict: Verdict, seconds: float | None = None) -> Decision:
    return Decision(1, case_id, verdict, "ann", None, "", seconds, "2026")


def test_a_column_says_at_all_times_what_the_dictionary_holds() -> None:
    rng, values = random.Random(0), CaseValues({"elsewhere": 3, IDS[1]: 4}, int, int)
    for step in range(300):
        case_id = rng.choice([*IDS, "elsewhere"])
        if rng.random() < 0.3:
            values.pop(case_id, None)
        elif rng.random() < 0.05:
            values.clear()
        else:
            values.update({case_id: step + 1})
        if rng.random() < 0.5:
            wanted = [values.get(each, 0) for each in IDS]
            assert values.column(PLACES).tolist() == wanted


def test_another_list_of_cases_is_looked_at_anew() -> None:
    values = CaseSet([IDS[2]])
    assert values.column(PLACES).tolist() == [False, False, True, False, False, False]
    assert values.column({IDS[2]: 0}).tolist() == [True]
    values.discard(IDS[2])
    values.add(IDS[0])
    assert values.column(PLACES).tolist() == [True, *[False] * 5]
    assert values == {IDS[0]}


def test_statuses_and_the_next_film_are_those_of_going_through_all() -> None:
    rng = random.Random(1)
    reading = ReadingList(cases=CaseList(IDS))
    verdicts: tuple[Verdict, ...] = (
        *("accept", "accept with edits", "reject", "flag", "reopen"),
    )
    for _ in range(200):
        case_id = rng.choice(IDS)
        reading.decisions[case_id] = decided(case_id, rng.choice(verdicts))
        one = rng.choice(IDS)
        rng.choice((reading.settled.add, reading.settled.discard))(one)
        if rng.random() < 0.3:
            reading.unreadable[one] = "torn"
        else:
            reading.unreadable.pop(one, None)
        if rng.random() < 0.2:
            reading.decisions.pop(one, None)
        statuses = [STATUSES[number] for number in reading.statuses()]
        wanted = [reading.status(each) for each in IDS]
        assert statuses == ["" if word == "to review" else word for word in wanted]
        shown = rng.sample(IDS, rng.randrange(len(IDS) + 1))
        reading.set_order(shown)
        here = rng.choice([*IDS, None])
        start = shown.index(here) + 1 if here in shown else 0
        following = (one for one in shown[start:] + shown[:start] if one != here)
        free = [one for one in following if not reading.is_finished(one)]
        assert reading.unread_after(here) == (free[0] if free else None)
        assert [reading.place(one) for one in shown] == list(range(len(shown)))


def test_what_is_left_goes_by_the_median_of_what_was_timed() -> None:
    reading = ReadingList(cases=CaseList(IDS))
    assert reading.minutes_left() is None
    for case_id, seconds in zip(IDS, (30.0, None, 90.0, 60.0), strict=False):
        reading.decisions[case_id] = decided(case_id, "accept", seconds)
    assert reading.n_finished() == 4
    assert reading.minutes_left() == 2.0


def test_ids_that_are_numbers_are_found_and_others_left_out() -> None:
    cases = CaseList(IDS)
    asked = np.array([1, 2, 5, 99], np.uint64)
    assert [
        one for one, is_in in zip(IDS, cases.among_numbers(asked), strict=True) if is_in
    ] == [IDS[3], IDS[5]]
    assert not CaseList([]).among_numbers(asked).any()
