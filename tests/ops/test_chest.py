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


def test_a_fringe_of_the_outline_widens_a_heart_but_makes_it_hardly_broader() -> None:
    lungs = {"left_lung": bar(48, 76, 80), "right_lung": bar(2, 20, 80)}
    heart = np.zeros((10, 80), bool)
    heart[2:9, 20:48] = True
    frayed = heart.copy()
    frayed[8, 48:60] = True
    assert chest.share_of_width(frayed, lungs) == pytest.approx(40 / 74)
    assert chest.share_of_breadth(heart, lungs) == pytest.approx(28 / 74)
    tall = np.repeat(heart, 5, axis=0)
    tall[40, 48:60] = True
    grown = chest.share_of_breadth(tall, lungs) - chest.share_of_breadth(heart, lungs)
    assert 0 <= grown < 12 / 74 / 5
    assert chest.share_of_breadth(np.zeros((10, 80), bool), lungs) is None
    assert chest.share_of_breadth(heart, {**lungs, "left_lung": bar(0, 0)}) is None
