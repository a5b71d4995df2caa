"""A step that hurts is said at the end of a run, where val can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_wsseg.cli import _output, _training
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.schema import StageMaps, StageSettings

RUNS = {"classifier": "c", "irnet": "i"}


@pytest.fixture
def computed(spots: Path) -> Path:
    """Every stage of two runs that nobody uses; IRNet is the worst."""
    with Project.open(spots) as project:
        for stage, run, shift in (("cam", "c", 2), ("crf", "c", 1), ("irnet", "i", 6)):
            for case in project.cases():
                mask = project.expert_masks(case.id).get("spot")
                score = np.zeros((72, 72), np.float32)
                if mask is not None:
                    score[4:68] = np.roll(mask, shift, 0)
                present = np.array([float(case.labels["spot"] == 1)], np.float32)
                maps = StageMaps(score[None], present)
                stages.write(spots, stage, run, case.id, maps)
            settings = StageSettings(("spot",), (0.5,), (0.5,))
            stages.write_settings(spots, stage, run, settings)
    return spots


def test_the_stage_that_hurts_is_named_on_val(computed: Path) -> None:
    (found,) = _training.warnings(computed, RUNS, _output.Reporter(False))
    assert (found["kind"], found["stage"], found["against"], found["split"]) == (
        *("below-the-stage-before", "irnet", "crf"),
        "val",
    )
    assert found["message"].startswith("IRNet scores below the CRF")


def test_without_expert_masks_on_val_nothing_is_said(computed: Path) -> None:
    with Project.open(computed, write=True) as project:
        for case_id in project.annotated("val"):
            latest = project.latest(case_id, "spot")
            assert latest is not None
            project.withdraw(latest, actor="test", reason="test")
    assert _training.warnings(computed, RUNS, _output.Reporter(False)) == []


def test_a_map_that_is_missing_does_not_undo_a_run(
    computed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(computed) as project:
        (case, *_) = project.annotated("val")
    (stages.folder(computed, "irnet", "i") / f"{case}.npz").unlink()
    assert _training.warnings(computed, RUNS, _output.Reporter(False)) == []
    assert "could not be compared on val" in capsys.readouterr().err
