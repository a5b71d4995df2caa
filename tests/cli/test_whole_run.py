"""What a training of several stages says of the whole, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers import noise_project
from napari_wsseg.cli import _training, main
from napari_wsseg.cli._whole_run import WholeRun
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from trainers import presets


@dataclass
class Named:
    name: str
    stages: tuple[str, ...]


ORDER: Any = [
    Named("classifier", ("cam", "crf")),
    Named("irnet", ("irnet",)),
    Named("segmentation", ("segmentation",)),
]


def whole_run(took: dict[str, float], times: list[float]) -> WholeRun:
    clock: Callable[[], float] = lambda: times[0]  # noqa: E731
    return WholeRun(ORDER, took, clock)


def line(eta: float | None, message: str = "training") -> dict[str, Any]:
    event = {"event": "progress", "step": 1, "total": 2}
    return {**event, "message": message, "eta_s": eta}


def test_stages_are_counted_and_the_time_is_of_all_of_them() -> None:
    times = [0.0]
    lines = whole_run({"classifier": 10.0, "irnet": 4.0, "segmentation": 20.0}, times)
    lines.begin("classifier")
    times[0] = 10.0
    events = lines(line(10.0))  # twice as long as last time
    assert events["place"] == "stages 1 and 2 of 4"
    assert events["whole_eta_s"] == pytest.approx(10 + 2 * (4 + 20))
    lines.begin("segmentation")
    events = lines(line(7.0))
    assert events["place"] == "stage 4 of 4"
    assert events["whole_eta_s"] == 7.0


def test_films_that_are_made_first_say_nothing_of_the_time_of_a_training() -> None:
    times = [0.0]
    lines = whole_run({}, times)
    lines.begin("classifier")
    making = line(3.0, "making synthetic films")
    assert "whole_eta_s" not in lines(making)
    assert "whole_eta_s" in lines(line(3.0))
    assert "whole_eta_s" in lines(line(3.0, "validating"))
    again = whole_run({"classifier": 30.0, "irnet": 4.0, "segmentation": 20.0}, times)
    again.begin("classifier")
    times[0] = 10.0
    assert again(making)["whole_eta_s"] == pytest.approx(30 - 10 + 4 + 20)


def test_without_an_earlier_run_the_time_is_judged_by_usual_shares() -> None:
    lines = whole_run({}, [0.0])
    lines.begin("classifier")
    assert lines(line(100.0))["whole_eta_s"] > 200
    assert "whole_eta_s" not in lines(line(None))
    assert lines({"event": "heartbeat"}) == {"event": "heartbeat"}


def test_evaluate_with_nothing_to_score_is_an_error_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = noise_project.make_project(tmp_path)
    assert main(["evaluate", "-p", str(project), "--split", "all"]) == 3
    output = capsys.readouterr().err
    assert "nothing to score" in output
    assert "wsseg open" in output


def test_a_training_that_its_checks_refuse_leaves_no_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = noise_project.make_project(tmp_path)
    code = main(["train", "segmentation", "-p", str(project)])
    assert code == 3
    assert capsys.readouterr().err
    runs = project / "runs"
    assert not runs.exists() or not [p for p in runs.iterdir() if p.is_dir()]


@pytest.mark.parametrize("preset", ["fast", "wsmis", "chexseg"])
def test_training_goes_on_by_the_preset_of_the_runs_in_use(
    tmp_path: Path, preset: str
) -> None:
    folder = noise_project.make_project(tmp_path)
    assert _training.preset_in_use(folder) == "fast"
    with Project.open(folder, write=True) as project:
        for recipe, stage in (("classifier", "cam"), ("irnet", "irnet")):
            settings = {**presets[preset][recipe], "seed": 7, "epochs": 3}
            run = runs.new(folder, recipe, settings)
            run.begin()
            run.end("done", metrics={}, seconds=1.0)
            project.adopt(stage, run.id, actor="ann")
    assert _training.preset_in_use(folder) == preset


def test_a_project_of_lesions_goes_on_by_the_preset_that_chose_for_it(
    tmp_path: Path,
) -> None:
    folder = noise_project.make_project(tmp_path)
    assert _training.lesions(folder)
    stages = {"classifier": "cam", "irnet": "irnet", "segmentation": "segmentation"}
    with Project.open(folder, write=True) as project:
        for recipe, stage in stages.items():
            settings = _training.suited_settings(folder, "auto", recipe)
            run = runs.new(folder, recipe, settings)
            run.begin()
            run.end("done", metrics={}, seconds=1.0)
            project.adopt(stage, run.id, actor="ann")
    assert _training.preset_in_use(folder) == "auto"
