"""Reading ahead while what is read changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.session.case_loader import Loader
from napari_wsseg.session.open_case import OpenedCase, Shown

FINDING = "nodule"


class Later:
    """Works at once, and hands over when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Callable[[], Any], done: Any, failed: Any) -> None:
        try:
            found = work()
        except DataError as error:
            raised = error
            self.waiting.append(lambda: failed(raised))
        else:
            self.waiting.append(lambda: done(found))

    def drain(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return noise_project.make_project(tmp_path, cases=2)


@pytest.fixture
def shown() -> list[OpenedCase]:
    return []


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
def loader(place: Path, shown: list[OpenedCase], errors: list[str]) -> Loader:
    with Project.open(place) as project:
        cases = {case.id: case for case in project.cases()}
    return Loader(
        place,
        Later(),
        before_read=lambda case_id: None,
        show=shown.append,
        failed=lambda case_id, error: errors.append(case_id),
        shown=lambda _: Shown(),
        case=cases.__getitem__,
        drawing="ann",
    )


def draw(place: Path, case_id: str) -> None:
    mask = np.zeros(noise_project.SHAPE, bool)
    mask[10:30, 10:30] = True
    with Project.open(place, write=True) as project:
        project.put_mask(case_id, FINDING, mask, reader="ann")


@pytest.mark.parametrize("every", [False, True])
def test_a_film_read_ahead_while_it_changed_is_read_again(
    loader: Loader, place: Path, shown: list[OpenedCase], every: bool
) -> None:
    film = noise_project.case_ids(place)[1]
    loader.read(film)
    draw(place, film)
    loader.forget(None if every else film)
    loader.background.drain()
    assert not loader.want(film), "what was read before the change is not ready"
    loader.background.drain()
    assert [FINDING in opened.masks for opened in shown] == [True]


def test_a_film_that_is_waited_for_and_changed_is_shown_once_as_it_is_now(
    loader: Loader, place: Path, shown: list[OpenedCase]
) -> None:
    film = noise_project.case_ids(place)[1]
    loader.want(film)
    draw(place, film)
    loader.forget()
    loader.background.drain()
    assert [FINDING in opened.masks for opened in shown] == [True]


def test_of_two_readings_the_one_after_the_change_is_kept(
    loader: Loader, place: Path, shown: list[OpenedCase]
) -> None:
    film = noise_project.case_ids(place)[1]
    loader.read(film)
    draw(place, film)
    loader.forget(film)
    loader.read(film)
    loader.background.drain()
    assert loader.want(film)
    assert [FINDING in opened.masks for opened in shown] == [True]


def test_an_error_of_before_the_change_is_not_told(
    loader: Loader, place: Path, shown: list[OpenedCase], errors: list[str]
) -> None:
    film = noise_project.case_ids(place)[1]
    picture = place.parent / "films" / "film1.png"
    away = picture.rename(picture.with_suffix(".away"))
    loader.want(film)
    away.rename(picture)
    loader.forget(film)
    loader.background.drain()
    assert errors == []
    assert [opened.case.id for opened in shown] == [film]


def test_a_film_on_screen_while_all_changed_is_not_kept_as_it_was(
    loader: Loader, place: Path, shown: list[OpenedCase]
) -> None:
    film = noise_project.case_ids(place)[1]
    loader.want(film)
    loader.background.drain()
    draw(place, film)
    loader.forget()
    loader.leave(shown[0])
    assert not loader.want(film)
    loader.background.drain()
    assert FINDING in shown[-1].masks
    loader.leave(shown[-1])
    assert loader.want(film), "without a change it is kept"
