"""Several processes that train one model: what they learn is what one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers import training
from helpers.spot_films import import_films, make_films
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline import infer
from trainers.engine import processes
from trainers.engine.recipe import configure

TOGETHER = (
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node", "2"),
)
TINY = ("size=64", "batch=4", "device=cpu", "precision=fp32", "weights=")


@pytest.fixture(scope="module")
def classed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose classifier is in use, its maps computed."""
    folder = tmp_path_factory.mktemp("together")
    project = import_films(make_films(folder / "films"), folder / "project")
    run = training.train(
        project, "classifier", size=64, epochs=3, batch=4, device="cpu", weights=""
    )
    with Project.open(project, write=True) as opened:
        for stage in ("cam", "crf"):
            opened.adopt(stage, run.folder.id, actor="test")
            for _ in infer.infer(opened, stage, run.folder.id, device="cpu"):
                pass
    return project


def environment() -> Mapping[str, str]:
    tests = Path(__file__).resolve().parents[1]
    paths = [str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "OMP_NUM_THREADS": "1",
    }


def scores(command: tuple[str, ...], project: Path, out: Path) -> dict[str, Any]:
    arguments = ("-m", "helpers.learn_together", str(project), str(out))
    subprocess.run(
        [*command, *arguments, "classifier", "chexseg", "irnet", "tied_deconv"],
        check=True,
        env=environment(),
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_learn_what_one_learns(classed: Path, tmp_path: Path) -> None:
    alone = scores((sys.executable,), classed, tmp_path / "alone.json")
    together = scores(TOGETHER, classed, tmp_path / "together.json")
    assert alone.keys() == together.keys()
    for recipe, steps in alone.items():
        assert len(steps) >= 20, recipe
        for one, two in zip(steps, together[recipe], strict=True):
            assert two["loss"] == pytest.approx(one["loss"], rel=1e-10), recipe
            assert two.get("expert_share") == one.get("expert_share")


def run_ids(project: Path) -> set[str]:
    return {info.id for info in runs.listing(project)}


def trained(project: Path, *more: str, command: tuple[str, ...] = TOGETHER) -> Any:
    arguments = ("-m", "trainers", "classifier", "-p", str(project), *more)
    return subprocess.Popen(
        [*command, *arguments], env=environment(), text=True, stdout=subprocess.PIPE
    )


def reported(child: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in child.stdout if line.startswith("{")]


def until(child: Any, event: str) -> Iterator[dict[str, Any]]:
    for line in child.stdout:
        if line.startswith("{"):
            found = json.loads(line)
            yield found
            if found["event"] == event and (event != "progress" or found["step"] > 2):
                return


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_stop_a_lost_process_and_a_resume(classed: Path) -> None:
    before = run_ids(classed)
    child = trained(classed, "--set", *TINY, "epochs=500")
    started = next(until(child, "started"))
    list(until(child, "progress"))
    folder = runs.find(classed, started["run"])
    folder.stop_file.touch()
    last = reported(child)[-1]
    child.wait()
    assert (last["event"], last["status"]) == ("finished", "stopped")
    assert run_ids(classed) - before == {started["run"]}, "one folder for both"
    # It goes on in two processes, of which one is then killed.
    child = trained(classed, "--resume", started["run"])
    list(until(child, "progress"))
    victim = _helper_of(child.pid)
    victim.kill()
    last = reported(child)[-1]
    child.wait()
    assert (last["event"], last["status"]) == ("finished", "stopped")
    assert runs.find(classed, started["run"]).info().state == "stopped"
    steps = [row["step"] for row in folder.metrics() if "loss" in row]
    assert steps == sorted(set(steps))
    # And in one.
    child = trained(classed, "--resume", started["run"], command=(sys.executable,))
    list(until(child, "progress"))
    folder.stop_file.touch()
    assert reported(child)[-1]["status"] == "stopped"
    child.wait()
    assert run_ids(classed) - before == {started["run"]}


def _helper_of(parent: int) -> Any:
    import psutil

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in psutil.Process(parent).children():
            if process.environ().get("RANK") == "1":
                return process
        time.sleep(0.1)
    raise AssertionError("there is no second process")


def test_a_batch_that_cannot_be_shared_evenly_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    processes.check(configure("classifier", {"batch": 6}))
    with pytest.raises(UsageError, match="set batch=6 or batch=9"):
        processes.check(configure("classifier", {"batch": 8}))
    with pytest.raises(UsageError, match=r"set batch=3$"):
        processes.check(configure("classifier", {"batch": 2}))
