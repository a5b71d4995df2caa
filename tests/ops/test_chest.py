"""The cardiothoracic ratio of masks, whoever drew them and whatever they are called."""

from __future__ import annotations

import numpy as np
import pytest

from napari_wsseg.ops import chest


def bar(low: int, high: int, width: int = 40) -> np.ndarray:
    mask = np.zeros((10, width), bool)
    mask[4, low:high] = True
    return mask


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("heart", "heart"),
        ("Cardiac_Silhouette", "heart"),
        ("left_lung", "left_lung"),
        ("Lung Right", "right_lung"),
        ("lungs", "lungs"),
        ("lung_opacity", None),
        ("cardiomegaly", None),
    ],
)
def test_a_structure_is_known_by_its_usual_names(name: str, part: str | None) -> None:
    assert chest.role(name) == part


def test_the_ratio_is_that_of_widths_and_masks_may_differ_in_size() -> None:
    spans = {
        "heart": chest.span(bar(12, 24)),
        "left_lung": chest.span(bar(48, 76, 80)),
        "right_lung": chest.span(bar(2, 12)),
    }
    assert chest.ratio_of_spans(spans) == pytest.approx(12 / 36)
    assert chest.ratio_of_spans({**spans, "right_lung": spans["heart"]}) != 12 / 36
    del spans["right_lung"]
    assert chest.ratio_of_spans(spans) is None
    assert chest.ratio_of_spans({**spans, "lungs": (0.0, 0.6)}) == pytest.approx(0.5)
    assert chest.span(np.zeros((4, 4), bool)) is None
