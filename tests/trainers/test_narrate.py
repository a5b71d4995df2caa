"""What is told of a run opens a project for itself and closes it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from trainers.engine import narrate


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note each project that is opened, and whether it has been closed since."""
    seen: list[bool] = []
    open_it, close = Project.open, Project.close
    numbers: dict[int, int] = {}

    def opened(*given: Any, **more: Any) -> Project:
        project = open_it(*given, **more)
        numbers[id(project)] = len(seen)
        seen.append(False)
        return project

    def closing(project: Project) -> None:
        close(project)
        seen[numbers[id(project)]] = True

    monkeypatch.setattr(Project, "open", opened)
    monkeypatch.setattr(Project, "close", closing)
    return seen


def _maps(project: Project, *_: object, **__: object) -> Iterator[Progress]:
    for number in range(2):
        assert project.case_ids()
        yield Progress(number, 2, "cam")


def _run(project: Path) -> Any:
    cancel = threading.Event()
    folder = SimpleNamespace(id="classifier-1")
    return SimpleNamespace(
        name="classifier", project=project, folder=folder, cancel=cancel
    )


def test_after_the_maps_the_index_is_closed(
    place: Path, closed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrate.infer, "infer", _maps)
    lines = [*narrate._maps(_run(place), narrate.Eta())]
    assert [line["step"] for line in lines] == [0, 1] * 2  # CAM and CRF
    assert closed == [True]


def test_maps_that_are_given_up_midway_leave_no_open_index(
    place: Path, closed: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrate.infer, "infer", _maps)
    told = narrate._maps(_run(place), narrate.Eta())
    next(told)
    assert closed == [False]
    told.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_unfinished_maps_are_counted_with_the_index_closed(
    place: Path, closed: list[bool]
) -> None:
    run = _run(place)
    run.cancel.set()
    assert "0 of 4 films (cam)" in narrate._unfinished_maps(run)
    assert closed == [True]
