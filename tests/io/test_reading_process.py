"""Processes known by number and beginning; one that reads, and may end or be killed."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from napari_wsseg.io import processes
from napari_wsseg.io.guarded import answers
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.io.guarded.answers import Answer, Ended
from napari_wsseg.io.guarded.reader import GuardedReader
from napari_wsseg.io.project_folder import writer_lock


def test_a_process_is_known_by_its_number_and_when_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psutil

    child = subprocess.Popen(["sleep", "60"])
    began = psutil.Process(child.pid).create_time()
    assert processes.is_alive(child.pid, began)
    assert not processes.is_alive(child.pid, began - 60)  # its number was given again
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "Process", _denied)
        assert processes.is_alive(child.pid, began)  # somebody else's, so it lives
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_alive(child.pid, began)  # not yet waited for
    child.wait()
    assert not processes.is_alive(child.pid, began)
    assert not processes.is_alive("1", began)
    assert processes.is_alive(os.getpid(), 0)


def _denied(pid: int) -> Any:
    import psutil

    raise psutil.AccessDenied(pid)


def test_a_holder_of_the_lock_that_cannot_be_read_is_another_process(
    tmp_path: Path,
) -> None:
    assert writer_lock._named_holder(tmp_path / "none") == "another process"
    (tmp_path / "torn").write_text('{"pid": 1')
    assert writer_lock._named_holder(tmp_path / "torn") == "another process"


def test_where_no_reading_process_starts_this_one_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reader.sys, "executable", "/bin/true")
    reader = GuardedReader()
    assert reader.ask("os.path:basename", "/a/b") == "b"
    reader.close()


def test_a_reading_process_that_heeds_no_request_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_reader, "_GRACE", 0.2)
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
        stdout=subprocess.PIPE,
    )
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == b"ready\n"
    _reader._ended(stubborn)
    assert stubborn.returncode == -9
    stubborn.stdout.close()


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = io.BytesIO()
    answers.write(whole, Answer("value", [1], b"12345"))
    with pytest.raises(Ended):
        answers.received(io.BytesIO(whole.getvalue()[:-2]))
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(Ended):
        answers.send(closed, {"ask": "x"})


def test_memory_that_runs_out_over_a_question_is_a_refusal() -> None:
    from napari_wsseg.io.guarded.serve import answers_to

    question = {"ask": f"{__name__}:hungry", "with": [], "in": None}
    (answer,) = answers_to(question)
    assert answer.kind == "refused"
    assert "more memory" in answer.value


def hungry() -> None:
    raise MemoryError
