"""``wsseg sweep``: every cell once, kept for the next time, nothing adopted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.cli import main
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from trainers.sweep import plan as _plan
from trainers.sweep import results as _results

SMALL = ["size=64", "epochs=1", "batch=4", "labels=cam", "init=random", "device=cpu"]
CLASSIFIER = ["size=64", "epochs=1", "batch=4", "weights=", "device=cpu"]


@pytest.fixture
def ready(spots: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a project whose CAM is in use."""
    assert main(["train", "classifier", "-p", str(spots), "--set", *CLASSIFIER]) == 0
    capsys.readouterr()
    return spots


def sweep_arguments(
    project: Path, values: str, *more: str, trials: int = 1
) -> list[str]:
    given = ["sweep", "chexseg", "-p", str(project), "--values", values, "--json"]
    return [*given, "--trials", str(trials), "--set", *SMALL, *more]


def sweep(
    capsys: pytest.CaptureFixture[str], *given: Any, **more: Any
) -> tuple[int, list[dict[str, Any]]]:
    code = main(sweep_arguments(*given, **more))
    out = capsys.readouterr().out
    return code, [json.loads(line) for line in out.splitlines()]


def test_a_sweep_gives_a_table_and_a_plot_and_goes_on_where_it_was(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = sweep(capsys, ready, "0,1", trials=2)
    last = lines[-1]
    assert code == 0
    assert set(last) >= {"status", "runs", "metrics", "seconds"}
    assert last["status"] == "done"
    assert [len(trained) for trained in last["runs"].values()] == [2, 2]
    cells = [line for line in lines if line.get("event") == "cell"]
    assert [(cell["value"], cell["trial"]) for cell in cells] == [
        *((0.0, 0), (1.0, 0), (0.0, 1), (1.0, 1))
    ]
    assert [cell["done"] for cell in cells] == [1, 2, 3, 4]
    summary = last["metrics"]["1.0"]["pos_iou"]
    values = [c["metrics"]["test"]["pos_iou"] for c in cells if c["value"] == 1.0]
    assert summary["mean"] == pytest.approx(sum(values) / 2)
    assert summary["spread"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)

    folder = Path(last["folder"])
    assert folder.parent == ready / "sweeps"
    with (folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["value"], row["split"], row["finding"]) for row in rows} == {
        (value, split, finding)
        for value in ("0.0", "1.0")
        for split in ("val", "test")
        for finding in ("spot", "mean over findings")
    }
    assert Image.open(folder / "plot.png").size == (900, 540)
    with Project.open(ready) as project:
        assert project.adopted("segmentation") is None
    seeds = {runs.find(ready, run).info().config["seed"] for run in last["runs"]["0.0"]}
    assert seeds == {0, 1}

    # One more value: what is there is kept, down to the scores.
    before = len(runs.listing(ready))
    code, lines = sweep(capsys, ready, "0,0.5", trials=1)
    assert code == 0
    assert lines[-1]["runs"]["0.0"] == last["runs"]["0.0"][:1]
    assert len(runs.listing(ready)) == before + 1
    kept = json.loads((folder / "sweep.json").read_text())
    assert kept["values"] == [0.0, 0.5, 1.0]
    assert len(kept["cells"]) == 5


def test_ctrl_c_leaves_a_sweep_that_goes_on(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "napari_wsseg.cli"]
    command += sweep_arguments(ready, "1", "epochs=8", "checks=1")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    for text in child.stdout:
        line = json.loads(text)
        if line.get("message") == "training" and line["step"] >= 2:
            break
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert child.returncode == 130
    assert last["status"] == "stopped"
    assert "the same command goes on" in errors
    (stopped,) = [run for run in runs.listing(ready) if run.recipe == "chexseg"]
    assert stopped.state == "stopped"

    code, lines = sweep(capsys, ready, "1", "epochs=8", "checks=1")
    last = lines[-1]
    assert code == 0
    assert last["runs"]["1.0"] == [stopped.id]
    assert last["status"] == "done"


@pytest.mark.slow
def test_other_masks_to_compare_with_are_scored_anew(
    ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores against masks that experts have since changed are not kept."""
    _, lines = sweep(capsys, ready, "0")
    state = Path(lines[-1]["folder"]) / "sweep.json"
    was = json.loads(state.read_text())
    with Project.open(ready, write=True) as project:
        without = next(c for c in project.cases("test") if c.labels["spot"] == 0)
        mask = np.ones(without.shape, bool)
        project.put_mask(without.id, "spot", mask, reader="ann")
    sweep(capsys, ready, "0")
    now = json.loads(state.read_text())
    assert now["truth"] != was["truth"]
    found = [each["cells"][0]["test"]["per_finding"]["spot"] for each in (was, now)]
    assert [metrics["n_positive"] for metrics in found] == [2, 3]


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--values", "0,2"], 2, "out of range"),
        (["--values", "0,0.0"], 2, "twice"),
        (["--values", ","], 2, "empty"),
        (["--values", "0", "--trials", "0"], 2, "nothing to train"),
        (["--values", "0", "--key", "nonsense"], 2, "no setting 'nonsense'"),
        (["--values", "0", "--key", "seed"], 2, "trials are seeds"),
        (["--values", "0", "--set", "p=1"], 2, "what is swept"),
        (["--values", "0", "--name", "../x"], 2, "use letters"),
    ],
)
def test_wrong_words_are_told_before_any_training(
    spots: Path,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    code: int,
    message: str,
) -> None:
    assert main(["sweep", "chexseg", "-p", str(spots), *given]) == code
    assert message in capsys.readouterr().err
    assert runs.listing(spots) == []


def test_masks_that_are_missing_are_told_before_any_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from helpers.spot_films import import_films, make_films

    films = make_films(tmp_path / "films")
    bare = import_films(films, tmp_path / "bare", masks=False)
    assert main(["sweep", "chexseg", "-p", str(bare), "--values", "0"]) == 3
    assert "no film in split test has an expert mask" in capsys.readouterr().err
    with Project.open(bare, write=True) as project:
        case = project.cases("test")[0]
        mask = project.radiograph(case).pixels > 0.7
        project.put_mask(case.id, "spot", mask, reader="ann")
    assert main(["sweep", "chexseg", "-p", str(bare), "--values", "0,0.5"]) == 3
    assert "no training film has an expert mask" in capsys.readouterr().err
    assert runs.listing(bare) == []


def test_a_folder_of_another_sweep_is_not_mixed_with_this(tmp_path: Path) -> None:
    one = _plan.plan("chexseg", "p", ["0"], 1, {})
    other = _plan.plan("chexseg", "p", ["0"], 1, {"epochs": 3})
    assert one.name != other.name
    metrics = dict.fromkeys(_results.METRICS, 0.5)
    scores = {"test": {**metrics, "per_finding": {"spot": metrics}}}
    _results.Sheet(tmp_path, one, ["test"], "").put(one.cells[0], "run", scores)
    assert _results.Sheet(tmp_path, one, ["test"], "").known("run")
    assert not _results.Sheet(tmp_path, one, ["test"], "changed").known("run")
    with pytest.raises(UsageError, match="another --name"):
        _results.Sheet(tmp_path, other, ["test"], "")


def test_any_setting_can_be_swept_words_too() -> None:
    plan = _plan.plan("chexseg", "labels", ["cam", "irnet"], 2, {"p": "0.9"})
    assert plan.values == ("cam", "irnet")
    assert [(c.settings["labels"], c.settings["seed"]) for c in plan.cells] == [
        *(("cam", 0), ("irnet", 0), ("cam", 1), ("irnet", 1))
    ]
    assert {c.settings["p"] for c in plan.cells} == {0.9}
