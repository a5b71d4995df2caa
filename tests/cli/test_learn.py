"""``wsseg learn``: learning that waits for films, is killed, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import learning_project as ward
from napari_wsseg.cli import main
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project

COMMAND = [sys.executable, "-m", "napari_wsseg.cli", "learn", "--json", "-p"]


@pytest.fixture
def project(tmp_path: Path, one_thread: None) -> Path:
    return ward.make_project(tmp_path)


def test_once_learns_what_was_accepted_and_puts_the_run_in_use(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ward.accept(project, ward.films_of(project)[0])
    words = ["learn", "-p", str(project), "--once", "--json", "--set", *ward.TINY]
    assert main([*words, "tolerance=1"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["status"] == "done"
    assert last["recipe"] == "live"
    info = runs.find(project, last["run"]).info()
    assert info.config["size"] == 64  # as the segmenter that it began from
    with Project.open(project) as opened:
        assert opened.adopted("segmentation") == last["run"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "steps=0"], 2, "steps=0 is out of range"),
        (["--set", "steps"], 2, "has no value"),
        ([], 3, "wsseg train"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(
    spots: Path,
    words: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["learn", "-p", str(spots), "--once", *words]) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_a_segmenter_without_weights_is_refused_and_leaves_no_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(project) as opened:
        start = opened.adopted("segmentation")
    assert start is not None
    (project / "runs" / start / "best.safetensors").unlink()
    before = sorted((project / "runs").iterdir())
    assert main(["learn", "-p", str(project), "--once"]) == 3
    assert f"({start}) has no weights here" in capsys.readouterr().err
    assert sorted((project / "runs").iterdir()) == before


class Learning:
    """A process that learns, and what it says."""

    def __init__(self, project: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, str(project), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def hear(self, films: int) -> dict[str, Any]:
        """Return the first line by which so many films are learnt."""
        for line in self.lines():
            if line.get("metrics", {}).get("films_learnt") == films:
                return line
        raise AssertionError(self.process.communicate()[1])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_it_goes_on_from_what_it_had_learnt(project: Path) -> None:
    first, second = ward.films_of(project)[:2]
    settings = ["--set", *ward.TINY, "tolerance=1", "least_agreement=0"]
    learning = Learning(project, *settings)
    run = next(line["run"] for line in learning.lines() if line["event"] == "started")
    assert learning.hear(0)["message"] == "waits"
    ward.accept(project, first)
    heard = learning.hear(1)
    assert heard["message"] == "learnt from 1 film; drafts renewed"
    assert heard["metrics"]["drafts"] == 3
    learning.process.send_signal(signal.SIGKILL)
    learning.process.wait()
    again = Learning(project)
    began = next(line["run"] for line in again.lines() if line["event"] == "started")
    assert began == run
    assert again.hear(1)["metrics"]["drafts"] == 3  # from what was kept
    ward.accept(project, second)
    assert again.hear(2)
    (project / "runs" / run / "stop").touch()
    last = list(again.lines())[-1]
    assert last["status"] == "stopped"
    assert again.process.wait() == 130
    assert "wsseg learn" in again.process.communicate()[1]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_it_ends_by_sigterm_while_it_waits(project: Path) -> None:
    learning = Learning(project, "--set", *ward.TINY)
    assert learning.hear(0)
    began = time.monotonic()
    learning.process.terminate()
    assert learning.process.wait(timeout=30) == 130
    assert time.monotonic() - began < 30
