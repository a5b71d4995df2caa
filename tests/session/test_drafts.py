"""What a reader's threshold does to how a stage is cut."""

from __future__ import annotations

import numpy as np

from napari_wsseg.schema import StageMaps, StageSettings
from napari_wsseg.session.drafts import Drafts


def drafts(**how: object) -> Drafts:
    names = ("a", "b")
    settings = StageSettings(names, (0.3, 0.4), (0.0, 0.0), **how)  # type: ignore[arg-type]
    return Drafts(names, {"cam": settings})


def test_a_moved_threshold_leaves_the_rest_of_the_cut_as_it_was() -> None:
    found = drafts(rule="triplet", top=0.8, min_area=0.01, fill_holes=True)
    found.set_threshold("cam", "b", 0.6)
    settings = found.settings["cam"]
    assert settings.thresholds == (0.3, 0.6)
    assert (settings.rule, settings.top) == ("triplet", 0.8)
    assert (settings.min_area, settings.fill_holes) == (0.01, True)


def test_a_moved_threshold_counts_from_then_on_where_otsu_cut_before() -> None:
    found = drafts(rule="otsu")
    found.set_threshold("cam", "a", 0.6)
    assert found.settings["cam"].rule == "threshold"


def test_a_draft_is_tidied_as_its_stage_is() -> None:
    score = np.zeros((2, 20, 20), np.float32)
    score[:, 2:12, 2:12] = 0.9
    score[:, 16, 16] = 0.9
    maps = StageMaps(score, np.ones(2, np.float32))
    plain = drafts().draft(maps, "cam", "b", (20, 20))
    tidy = drafts(min_area=0.01).draft(maps, "cam", "b", (20, 20))
    assert plain.sum() == 101
    assert tidy.sum() == 100
