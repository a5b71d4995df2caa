"""A MONAI data set is read by MONAI itself: the same masks, a channel a finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.export_project import make_project
from napari_wsseg.export import writing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")
def test_monai_reads_every_mask_and_split(tmp_path: Path) -> None:
    from monai.data import load_decathlon_datalist
    from monai.transforms import LoadImage

    with make_project(tmp_path, overlap=True) as project:
        writing.export(project, "monai", tmp_path / "out")
        table = str(tmp_path / "out" / "dataset.json")
        load = LoadImage(image_only=True, reader="PILReader", reverse_indexing=False)
        found = 0
        for split, key in (("train", "training"), ("val", "validation")):
            rows = load_decathlon_datalist(table, True, key)
            cases = project.cases(split)
            assert len(rows) == len(cases)
            for row, case in zip(rows, cases, strict=True):
                labels = np.asarray(load(row["label"])).astype(bool)
                masks = project.expert_masks(case.id)
                assert (labels == np.stack([*masks.values()])).all()
                assert np.asarray(load(row["image"])).shape[-2:] == case.shape
                found += 1
        assert found == len(project.cases())
