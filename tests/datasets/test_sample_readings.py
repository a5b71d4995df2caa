"""The sample project is half read, by two simulated readers who disagree."""

from __future__ import annotations

from pathlib import Path

from napari_wsseg.datasets import _sample_readings as sample_readings
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.pipeline import agreement


def test_the_sample_is_half_read_and_its_readers_disagree(tmp_path: Path) -> None:
    folder = finish(sample_readings.half_read_project(tmp_path, 12))
    assert sample_readings.is_one(folder)
    assert finish(sample_readings.half_read_project(tmp_path, 12)) == folder
    with Project.open(folder) as project:
        project.verify_audit()
        assert project.fsck() == []
        assert project.synthetic
        train = project.cases("train")
        read = {
            name: [
                case.id
                for case in train
                if project.decision(case.id, reader=name) is not None
            ]
            for name in (sample_readings.FIRST, sample_readings.SECOND)
        }
        assert len(read[sample_readings.FIRST]) == (len(train) + 1) // 2
        assert 0 < len(read[sample_readings.SECOND]) < len(read[sample_readings.FIRST])
        apart = agreement.disagreement(project)
        assert apart
        assert max(apart.values()) > 1 - agreement.SAME_DICE
