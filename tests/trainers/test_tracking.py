"""Trackers get the figures of a run, and cost nothing but themselves when they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_wsseg.cli import main
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from trainers.engine import tracking
from trainers.engine.fingerprint import fingerprint
from trainers.engine.recipe import configure, settings_of

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = (
    *("--set", "size=64", "--set", "epochs=1", "--set", "checks=1"),
    *("--set", "arch=resnet18", "--set", "batch=4", "--set", "device=cpu"),
)


def test_tensorboard_has_the_curves_of_a_run(spots: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = ["train", "classifier", "-p", str(spots), *SMALL]
    assert main([*arguments, "--set", "tracker=tensorboard"]) == 0
    (info,) = runs.listing(spots)
    assert info.state == "done"
    folder = spots / "runs" / info.id / tracking.FOLDER / info.id
    found = EventAccumulator(str(folder))
    found.Reload()
    logged = [row for row in runs.find(spots, info.id).metrics() if "loss" in row]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx(
        [row["loss"] for row in logged]
    )


def test_a_tracker_that_is_not_installed_is_told_before_a_run_begins(
    spots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import accelerate.utils

    monkeypatch.setattr(accelerate.utils, "is_wandb_available", lambda: False)
    from napari_wsseg.jobs import UsageError

    with pytest.raises(UsageError, match="pip install wandb"):
        tracking.check("wandb")
    assert main(["train", "classifier", "-p", str(spots), "--set", "tracker=x"]) == 2
    assert "tensorboard, mlflow, wandb" in capsys.readouterr().err
    assert runs.listing(spots) == []


def test_a_tracker_that_breaks_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[Any] = []

    def broken(self: tracking.Tracking) -> Any:
        messages.append(self)
        raise ConnectionError("the server is away")

    monkeypatch.setattr(tracking.Tracking, "_begun", broken)
    made = tracking.Tracking("wandb", "run", tmp_path, {})
    for step in range(3):
        made.log(step, {"loss": 1.0})
    made.close()
    assert len(messages) == 1
    assert "the run goes on: the server is away" in caplog.text


def test_no_tracker_is_the_rule_and_none_changes_what_a_run_learns(
    spots_project: Project,
) -> None:
    plain = settings_of(configure("classifier", {}))
    assert plain["tracker"] == tracking.NONE
    other = settings_of(configure("classifier", {"tracker": "tensorboard"}))
    del plain["tracker"]
    alike = {fingerprint(spots_project, "classifier", each) for each in (plain, other)}
    assert len(alike) == 1
