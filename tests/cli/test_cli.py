"""The command line's promises: words, JSON, exit codes, one clear message."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.spot_films import make_films
from napari_wsseg.cli import main

FAST = [
    "classifier.size=64",
    "classifier.epochs=8",
    "classifier.batch=4",
    "classifier.learning_rate=1e-3",
    "classifier.mixup=0",
    "classifier.weights=",
    "irnet.epochs=2",
    "irnet.batch=4",
    "irnet.radius=4",
    "segmentation.size=64",
    "segmentation.epochs=3",
    "segmentation.batch=4",
]


def wsseg(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        **more,
    )


def init(films: Path, project: Path) -> subprocess.CompletedProcess[str]:
    return wsseg(
        "init",
        project,
        "--images",
        films / "images",
        "--labels",
        films / "labels.csv",
        "--masks",
        films / "masks",
        "--json",
    )


def test_the_whole_loop_headless(tmp_path: Path) -> None:
    """init → run → run again → evaluate → chexseg → evaluate → report → export."""
    films, project = make_films(tmp_path / "films"), tmp_path / "project"
    end = init(films, project)
    assert end.returncode == 0, end.stderr
    assert json.loads(end.stdout.splitlines()[-1])["imported"] == 20

    end = wsseg("run", "-p", project, "--json", "--set", *FAST)
    assert end.returncode == 0, end.stderr
    lines = [json.loads(line) for line in end.stdout.splitlines()]
    last = lines[-1]
    assert set(last) >= {"status", "runs", "metrics", "seconds", "warnings"}
    assert last["status"] == "done"
    assert list(last["runs"]) == ["classifier", "irnet", "segmentation"]
    assert {"started", "progress", "finished"} <= {line.get("event") for line in lines}

    began = time.monotonic()
    again = wsseg("run", "-p", project, "--json", "--set", *FAST)
    assert json.loads(again.stdout.splitlines()[-1])["runs"] == last["runs"]
    assert again.stderr.count("same inputs; kept") == 3
    assert time.monotonic() - began < 60

    end = wsseg("evaluate", "-p", project, "--split", "test", "--json")
    assert end.returncode == 0, end.stderr
    scored = json.loads(end.stdout.splitlines()[-1])
    assert set(scored["stages"]) == {"cam", "crf", "irnet", "segmentation"}
    for scores in scored["stages"].values():
        assert set(scores) >= {
            "pos_iou",
            "all_iou",
            "pooled_miou",
            "dice",
            "emptiness",
        }
        assert set(scores["per_finding"]) == {"spot"}
    assert scored["blank"]["all_iou"] == pytest.approx(0.5)
    assert scored["n_cases"] == 4
    assert set(scored["classifier"]) >= {"auroc", "f1", "per_finding"}

    weak = scored["stages"]["segmentation"]["run"]
    end = wsseg(
        *("train", "chexseg", "-p", project, "--json", "--set", "size=64", "epochs=20"),
        *("batch=4", "p=0.9", "labels=cam"),
    )
    assert end.returncode == 0, end.stderr
    trained = json.loads(end.stdout.splitlines()[-1])
    assert set(trained) >= {"status", "run", "metrics", "seconds"}
    end = wsseg("evaluate", "-p", project, "--json")
    after = json.loads(end.stdout.splitlines()[-1])["stages"]["segmentation"]
    assert after["run"] == trained["run"] != weak

    end = wsseg("adopt", weak, "-p", project)
    assert end.returncode == 0, end.stderr
    end = wsseg("report", "-p", project, "-o", tmp_path / "report")
    assert end.returncode == 0, end.stderr
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Research use only" in page
    assert page.count("data:image/png;base64,") >= 3
    # Cases are shown by id, never by file name, which may name a patient.
    text = re.sub(r'src="data:[^"]*"|<code>[0-9a-f]{16}</code>', "", page)
    assert not re.search(r"\bf\d\d\b", text)

    end = wsseg("export", "png", "-p", project, "-o", tmp_path / "out", "--json")
    assert end.returncode == 0, end.stderr
    before = np.asarray(Image.open(films / "masks" / "spot" / "f01.png")) > 0
    after_mask = np.asarray(Image.open(tmp_path / "out" / "spot" / "f01.png")) > 0
    np.testing.assert_array_equal(after_mask, before)
    assert wsseg("fsck", "-p", project).returncode == 0
    assert wsseg("audit", "verify", "-p", project).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["frobnicate"], 2, "invalid choice"),
        (["train", "nonsense", "-p", "{project}"], 2, "no recipe 'nonsense'"),
        (["train", "classifier", "-p", "{project}", "--set", "epochs"], 2, "key=value"),
        (["train", "classifier", "-p", "{project}", "--set", "x=1"], 2, "no setting"),
        (["run", "-p", "{project}", "--preset", "slow"], 2, "no preset 'slow'"),
        (["train", "irnet", "-p", "{project}"], 3, "wsseg train classifier"),
        (["infer", "cam", "-p", "{project}"], 3, "no run is in use"),
        (["evaluate", "-p", "{nowhere}"], 3, "nowhere"),
        (
            ["train", "classifier", "-p", "{project}", "--resume", "no"],
            3,
            "no run 'no'",
        ),
    ],
)
def test_a_wrong_word_ends_with_its_code_and_one_message(
    spots: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    known = {"project": str(spots), "nowhere": str(tmp_path / "nowhere")}
    try:
        ended = main([word.format(**known) for word in arguments])
    except SystemExit as stop:  # argparse's own way out
        ended = int(stop.code or 0)
    output = capsys.readouterr()
    assert ended == code
    assert message in output.err
    assert "Traceback" not in output.err
    assert output.out == ""


# A sweep is stopped so, too, and that is quick.
@pytest.mark.slow
def test_ctrl_c_leaves_a_run_that_resumes(spots: Path) -> None:
    argv = ["train", "classifier", "-p", str(spots), "--json", "--no-adopt", "--set"]
    argv += ["size=64", "epochs=30", "batch=4", "device=cpu", "weights="]
    child = _start(argv)
    run = _wait_for_step(child, 3)
    child.send_signal(signal.SIGINT)
    lines, _ = child.communicate(timeout=60)
    last = json.loads(lines.splitlines()[-1])
    assert last["status"] == "stopped"
    assert child.returncode == 130
    assert (spots / "runs" / run / "last.pt").exists()
    resumed = wsseg("train", "classifier", "-p", spots, "--resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    steps = [
        line["step"]
        for line in map(json.loads, resumed.stdout.splitlines())
        if line["event"] == "progress" and line["message"] == "training"
    ]
    assert steps[0] > 3


def test_a_kill_leaves_a_project_that_opens_and_a_run_that_resumes(spots: Path) -> None:
    argv = ["train", "classifier", "-p", str(spots), "--json", "--no-adopt", "--set"]
    argv += ["size=64", "epochs=30", "batch=4", "device=cpu", "checks=10", "weights="]
    child = _start(argv)
    run = _wait_for_step(child, 20)
    child.kill()
    child.communicate(timeout=60)
    assert wsseg("fsck", "-p", spots).returncode == 0
    resumed = wsseg("train", "classifier", "-p", spots, "--resume", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout.splitlines()[-1])["status"] == "done"


def _start(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "napari_wsseg.cli", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _wait_for_step(child: subprocess.Popen[str], step: int) -> str:
    run = ""
    assert child.stdout is not None
    for text in child.stdout:
        line = json.loads(text)
        run = line.get("run", run)
        if line["event"] == "progress" and line["message"] == "training":
            if line["step"] >= step:
                return run
    raise AssertionError(f"the run ended before step {step}")


def test_an_image_that_is_missing_is_named_and_the_rest_imported(
    tmp_path: Path,
) -> None:
    films = make_films(tmp_path / "films")
    (films / "images" / "f05.png").unlink()
    end = init(films, tmp_path / "project")
    assert end.returncode == 0
    assert "f05.png" in end.stderr
    assert json.loads(end.stdout.splitlines()[-1])["imported"] == 19


def test_a_label_with_words_in_it_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    films = make_films(tmp_path / "films")
    text = (films / "labels.csv").read_text().replace("f03.png,1", "f03.png,maybe")
    (films / "labels.csv").write_text(text)
    end = init(films, tmp_path / "project")
    assert end.returncode == 3
    assert "maybe" in end.stderr
    assert "spot" in end.stderr
    assert "Traceback" not in end.stderr
    assert not (tmp_path / "project").exists()


def test_a_mask_of_another_size_is_rejected_and_the_film_kept(tmp_path: Path) -> None:
    films = make_films(tmp_path / "films")
    Image.new("1", (10, 10), 1).save(films / "masks" / "spot" / "f01.png")
    end = init(films, tmp_path / "project")
    assert end.returncode == 0
    last = json.loads(end.stdout.splitlines()[-1])
    assert last["imported"] == 20
    assert "f01.png" in end.stderr
    assert "10" in end.stderr


def test_a_project_from_the_future_is_refused_in_words(spots: Path) -> None:
    import sqlite3

    with sqlite3.connect(spots / "index.sqlite") as database:
        database.execute("PRAGMA user_version = 999")
    end = wsseg("evaluate", "-p", spots)
    assert end.returncode == 3
    assert "newer" in end.stderr
    assert "Traceback" not in end.stderr


def test_a_full_disk_stops_a_run_in_words(
    spots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.fsync

    def full(file: int) -> None:
        if "best.safetensors" in os.readlink(f"/proc/self/fd/{file}"):
            raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    argv = ["train", "classifier", "-p", str(spots), "--set", "size=64", "epochs=1"]
    argv += ["weights="]
    assert main(argv) == 3
    output = capsys.readouterr().err
    assert "No space left on device" in output
    assert "free some space" in output
    monkeypatch.undo()
    assert main(["fsck", "-p", str(spots)]) == 0


def test_doctor_says_what_was_found() -> None:
    end = wsseg("doctor", "--json")
    checks = {each["name"]: each for each in json.loads(end.stdout)["checks"]}
    assert set(checks) >= {"machine", "packages", "Qt", "OpenGL", "torch", "GPU"}
    assert checks["torch"]["ok"] is True
    for each in checks.values():
        assert each["ok"] is True or each["advice"] or each["ok"] is None


def test_help_and_wrong_words_do_not_wait_for_torch() -> None:
    script = (
        "import sys; from napari_wsseg.cli import parser; parser([]); "
        "print('torch' in sys.modules)"
    )
    seen = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == "False"


def test_a_preset_without_a_classifier_runs_what_it_has() -> None:
    from napari_wsseg.cli import _run

    assert [one.name for one in _run._order("tdn")] == ["tied_deconv"]
    usual = ["classifier", "irnet", "segmentation"]
    for preset in ("fast", "no such preset"):
        assert [one.name for one in _run._order(preset)] == usual
