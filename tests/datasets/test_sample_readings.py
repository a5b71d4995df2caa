"""The sample project is half read, by two simulated readers who disagree."""

from __future__ import annotations

from pathlib import Path

from napari_wsseg.datasets import _sample_readings as sample
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.pipeline import agreement


def test_the_sample_is_half_read_and_its_readers_disagree(tmp_path: Path) -> None:
    folder = finish(sample.half_read_project(tmp_path, 12))
    assert sample.is_one(folder)
    assert finish(sample.half_read_project(tmp_path, 12)) == folder
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
            for name in (sample.FIRST, sample.SECOND)
        }
        assert len(read[sample.FIRST]) == (len(train) + 1) // 2
        assert 0 < len(read[sample.SECOND]) < len(read[sample.FIRST])
        apart = agreement.disagreement(project)
        assert apart
        assert max(apart.values()) > 1 - agreement.SAME_DICE
