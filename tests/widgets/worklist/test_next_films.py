"""The worklist in an order of films to read next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers import noise_project
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline import film_orders
from napari_wsseg.session.case_list import reading_order

pytestmark = pytest.mark.gui


def test_films_that_wait_come_in_the_order_chosen_and_those_read_last(
    open_bench: Any, place: Path, qtbot: Any
) -> None:
    done = noise_project.case_ids(place)[1]
    with Project.open(place, write=True) as project:
        project.decide(done, "accept", reader="ann", seconds=3)
    bench = open_bench(place)
    worklist = bench.main_window.findChild(Worklist)
    with Project.open(place) as project:
        waiting = film_orders.unread(project, None)
        orders = {
            title: film_orders.ranked(project, name, case_ids=waiting)
            for title, name in reading_order.NEXT.items()
        }
    for title, wanted in orders.items():
        worklist.order.setCurrentText(title)
        qtbot.waitUntil(lambda: bool(worklist.model.places), timeout=9000)
        bench.scoring.drain()
        assert bench.session.list.order == [*wanted, done], title


def test_why_films_come_by_chance_is_said(
    open_bench: Any, tmp_path: Path, qtbot: Any
) -> None:
    bench = open_bench(noise_project.make_project(tmp_path))
    messages: list[str] = []
    bench.session.message.connect(messages.append)
    worklist = bench.main_window.findChild(Worklist)
    worklist.order.setCurrentText("Next: stages disagree")
    qtbot.waitUntil(lambda: bool(messages), timeout=9000)
    assert "by chance" in messages[-1]


def test_who_reads_in_a_study_is_offered_no_order(open_bench: Any, place: Path) -> None:
    bench = open_bench(place)
    worklist = bench.main_window.findChild(Worklist)
    worklist.order.setCurrentText("Next: unsure at the outline")
    bench.session.read_as("ann", arm="blank")
    assert worklist.order.currentText() == reading_order.RANDOM
    assert not worklist.order.isEnabled()
