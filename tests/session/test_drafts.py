"""What a reader's threshold does to how a stage is cut."""

from __future__ import annotations

import numpy as np
import pytest

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
    plain = drafts().draft(maps, "cam", "b", (20, 20), {})
    tidy = drafts(min_area=0.01).draft(maps, "cam", "b", (20, 20), {})
    assert plain.sum() == 101
    assert tidy.sum() == 100


@pytest.mark.parametrize(
    ("present", "label", "drawn"),
    [(0.1, 1, True), (0.1, None, False), (0.1, 0, False), (0.9, 0, True)],
)
def test_a_finding_that_the_label_says_is_there_is_drawn_whatever_the_gate(
    present: float, label: int | None, drawn: bool
) -> None:
    settings = StageSettings(("a",), (0.5,), (0.5,))
    maps = StageMaps(np.ones((1, 8, 8), np.float32), np.array([present], np.float32))
    found = Drafts(("a",), {"cam": settings})
    assert found.draft(maps, "cam", "a", (8, 8), {"a": label}).any() == drawn
