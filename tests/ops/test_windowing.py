"""Windows and tables against the Standard's own words, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from napari_wsseg.ops import windowing


def linear(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.2.1, to the letter, with ymin 0 and ymax 1."""
    if x <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if x > center - 0.5 + (width - 1) / 2:
        return 1.0
    return (x - (center - 0.5)) / (width - 1) + 0.5


def linear_exact(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= center - width / 2:
        return 0.0
    if x > center + width / 2:
        return 1.0
    return (x - center) / width + 0.5


def sigmoid(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is 0, which is right
        return float(1 / (1 + np.exp(-4 * (x - center) / width)))


@pytest.mark.parametrize("function", [linear, linear_exact, sigmoid])
@pytest.mark.parametrize(
    ("center", "width"), [(2048, 4096), (0, 100), (-600, 1500), (50, 2), (10.5, 3.5)]
)
def test_a_window_is_the_standards_formula(
    function: object, center: float, width: float
) -> None:
    values = np.arange(-3000, 5000, dtype=np.int16)
    grey = windowing.apply_window(values, center, width, function.__name__.upper())
    expected = [function(float(x), center, width) for x in values]
    np.testing.assert_allclose(grey, expected, atol=2e-6)
    assert grey.dtype == np.float32


def test_a_linear_window_of_width_one_is_a_step() -> None:
    grey = windowing.apply_window(np.array([9, 10, 11]), 10, 1)
    np.testing.assert_array_equal(grey, [0, 1, 1])


@pytest.mark.parametrize(
    ("width", "function"),
    [(0, "LINEAR"), (0.5, "LINEAR"), (0, "SIGMOID"), (-3, "LINEAR_EXACT")],
)
def test_a_window_without_width_is_refused(width: float, function: str) -> None:
    with pytest.raises(ValueError, match="shows nothing"):
        windowing.apply_window(np.zeros(3), 0, width, function)


def test_far_values_do_not_overflow_the_sigmoid() -> None:
    grey = windowing.apply_window(np.array([-32768, 32767], np.int16), 0, 1, "SIGMOID")
    np.testing.assert_allclose(grey, [0, 1], atol=1e-6)


def test_a_table_holds_its_ends() -> None:
    table = np.array([5, 6, 9], np.uint16)
    values = np.array([-100, 9, 10, 11, 12, 99], np.int16)
    np.testing.assert_array_equal(
        windowing.look_up(values, table, first=10), [5, 5, 5, 6, 9, 9]
    )


def test_percentiles_leave_out_what_does_not_count() -> None:
    values = np.concatenate([np.linspace(100, 200, 1000), np.full(5000, 65535.0)])
    grey = windowing.percentile_window(values, valid=values < 60000)
    assert grey[0] == 0
    assert grey[999] == 1
    np.testing.assert_allclose(grey[500], 0.5, atol=0.01)


@pytest.mark.parametrize("value", [0, 17, -4])
def test_a_constant_image_has_no_percentiles_but_a_grey(value: int) -> None:
    assert not windowing.percentile_window(np.full((3, 3), value)).any()


def test_a_few_bright_pixels_are_seen_though_percentiles_miss_them() -> None:
    values = np.zeros(10_000)
    values[0] = 7
    grey = windowing.percentile_window(values)
    assert grey[0] == 1
    assert grey[1:].max() == 0


def test_inverting_twice_changes_nothing() -> None:
    grey = np.linspace(0, 1, 11, dtype=np.float32)
    np.testing.assert_allclose(
        windowing.invert(windowing.invert(grey)), grey, atol=1e-7
    )


def test_rescaling_is_slope_then_intercept() -> None:
    stored = np.array([0, 1, 4095], np.uint16)
    np.testing.assert_array_equal(
        windowing.rescale(stored, 2, -1024), [-1024, -1022, 7166]
    )
    assert windowing.rescale(stored, 1, 0).dtype == np.float32
