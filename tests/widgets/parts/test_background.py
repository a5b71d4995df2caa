"""Slow work: in a thread, told on the main thread, and never swallowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from napari_wsseg._widgets.parts.worker_thread import Latest, QtBackground

pytestmark = pytest.mark.gui


@pytest.fixture
def background(qtbot: QtBot) -> Iterator[QtBackground]:
    background = QtBackground()
    yield background
    background.close()


def test_work_is_done_in_a_thread_and_handed_over_on_the_main_one(
    background: QtBackground,
) -> None:
    seen = []
    background.submit(
        threading.get_ident,
        lambda worker: seen.append((worker, threading.get_ident())),
        lambda error: None,
    )
    background.drain()
    [(worker, receiver)] = seen
    assert worker != threading.main_thread().ident
    assert receiver == threading.main_thread().ident


def test_a_runtime_error_is_told_and_the_next_work_is_done(
    background: QtBackground,
) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    results: list[object] = []
    background.submit(fail, results.append, lambda error: results.append(str(error)))
    background.submit(lambda: "next", results.append, results.append)
    background.drain()
    assert results == ["out of memory", "next"]


def test_only_the_newest_of_many_requests_is_answered(
    background: QtBackground,
) -> None:
    answers: list[int] = []
    latest = Latest(background)
    for number in range(20):

        def work(number: int = number) -> int:
            time.sleep(0.01)
            return number

        latest.submit(work, answers.append, lambda error: None)
    for _ in range(3):
        background.drain()
    assert answers == [19]


def test_nothing_is_handed_over_after_closing(background: QtBackground) -> None:
    answers: list[int] = []
    background.submit(lambda: 1, answers.append, lambda error: None)
    background.close()
    background.submit(lambda: 2, answers.append, lambda error: None)
    assert answers == []
