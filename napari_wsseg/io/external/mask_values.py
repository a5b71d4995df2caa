"""What in a picture is a mask: two values, as a viewer would show them.

Black is nothing and the brighter value is the finding. Probabilities are cut at one
half. Noise about two values, as JPEG leaves it, is cut between them and told. Whatever
else there is, soft edges or the numbers of several labels, is refused with its values:
only who made the file knows what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import Mask

COVERED = 0.95
"""Share of a film beyond which a mask is told: it is rarely meant."""

NOISY = "values {} were cut at {:g}: noise about two values"

_SHOWN = 8
_NEAR = 0.25
"""Share of the range that noise may lie beside one of two values."""
_SAME = 0.01
"""The same for what rounding leaves of two real values."""
_ROUNDING = 1e-3
"""How far a probability may lie outside 0 to 1 by rounding."""
_LABELS = 32
"""Whole values up to here are the numbers of labels rather than shades."""
_FLAT = 0.2
"""Share of noise that may lie in flat regions; labels do throughout."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How the values of a mask are to be read, where they do not speak for themselves.

    Parameters
    ----------
    cut
        What is above is the finding.
    value
        What has it is the finding: one label of several.
    soft
        What is no mask is probabilities, which stay what they are: for drafts, whose
        cut can move.
    """

    cut: float | None = None
    value: float | None = None
    soft: bool = False


PLAIN = Choice()
SOFT = Choice(soft=True)


def chosen(choice: Choice, word: str) -> Choice:
    """Return a choice with ``cut=NUMBER`` or ``value=NUMBER`` added.

    Raises
    ------
    UsageError
        It is something else, or there is a choice already.
    """
    name, _, number = word.partition("=")
    try:
        level = float(number.replace(",", "."))
    except ValueError:
        level = math.nan
    if name not in ("cut", "value") or not math.isfinite(level):
        raise UsageError(f"{word!r}: say cut=NUMBER or value=NUMBER")
    if choice != PLAIN:
        raise UsageError("choose a cut or a value, and one of them once")
    return replace(choice, cut=level) if name == "cut" else replace(choice, value=level)


def drawn(
    values: NDArray[Any], choice: Choice = PLAIN, remarks: list[str] | None = None
) -> NDArray[Any]:
    """Return the (H, W) mask in (H, W) values; float32 where the choice is soft.

    Parameters
    ----------
    values
        Numbers; what is not a number is nothing.
    choice
        How values are to be read that do not speak for themselves.
    remarks
        Gets a line for what deserves a look.

    Raises
    ------
    DataError
        They are not those of a mask; says them and how to choose.
    """
    values = np.asarray(values)
    if choice.soft:
        return probabilities(values)
    if values.dtype == bool and choice == PLAIN:
        return values.copy()
    numbers = _numbers(values)
    if choice.value is not None:
        return _having(numbers, choice.value)
    if choice.cut is not None:
        return np.asarray(numbers > choice.cut)
    found = np.unique(numbers)
    low, high = float(found[0]), float(found[-1])
    if values.dtype.kind == "f" and 0 < low < 1 and high <= 1:
        return _likely(numbers, high)
    if low == high:
        _check_lit(found, high)
        return np.full(numbers.shape, high > 0)
    if len(found) == 2 or (values.dtype.kind == "f" and _are_two(found, _SAME)):
        _check_dark(found, low, high)
        return np.asarray(numbers > (low + high) / 2)
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return _likely(numbers, high)
    if _are_two(found, _NEAR) and not _is_label_map(numbers, low, high):
        _check_dark(found, low, high)
        middle = (low + high) / 2
        if remarks is not None:
            remarks.append(NOISY.format(_listed(found), middle))
        return np.asarray(numbers > middle)
    raise DataError(_refusal(found))


def labels(values: NDArray[Any]) -> list[int]:
    """Return the labels of a label map that begins with 1; empty if it is none.

    Its values are whole, few, and lie in flat regions, on a ground of 0.
    """
    numbers = _numbers(np.asarray(values))
    found = np.unique(numbers)
    if found[0] != 0 or not 2 < len(found) <= _LABELS or 1 not in found:
        return []
    if found[-1] > _LABELS or not np.array_equal(found, np.rint(found)):
        return []
    if not _is_label_map(numbers, float(found[0]), float(found[-1])):
        return []
    return [int(label) for label in found[1:]]


def unnamed(values: NDArray[Any], names: Iterable[int], table: str) -> list[str]:
    """Return a line on the values of a label map that a table does not name.

    Parameters
    ----------
    values
        Whole numbers.
    names
        What the table names; 0 is the background in any case.
    table
        What it is called.

    Raises
    ------
    DataError
        It names not one of them: the map is another table's, and nothing in it tells
        that a finding is absent.
    """
    present = {*np.unique(values).tolist()} - {0}
    strange = sorted(present - {*names})
    listed = ", ".join(map(str, strange[:_SHOWN]))
    if strange and len(strange) == len(present):
        raise DataError(f"{table} names none of its values, {listed}")
    return [f"values that {table} does not name were left out: {listed}"] * bool(
        strange
    )


def label_numbers(values: NDArray[Any]) -> list[int]:
    """Return the values but 0, in order; empty if any is no number of a label."""
    found = np.unique(_numbers(np.asarray(values)))
    if found[0] < 0 or len(found) > 256 or not np.array_equal(found, np.rint(found)):
        return []
    return [int(label) for label in found if label]


def probabilities(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return (H, W) values as probabilities in [0, 1].

    A mask is 0 and 1. Real values are what they are; whole ones are shares of the
    highest that their kind of image holds.

    Raises
    ------
    DataError
        They lie outside 0 to 1, or are the numbers of several labels.
    """
    numbers = _numbers(values)
    found = np.unique(numbers)
    low, high = float(found[0]), float(found[-1])
    if values.dtype.kind == "f":
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise DataError(
                f"values from {low:.3g} to {high:.3g} are no probabilities; apply the "
                "sigmoid or softmax first"
            )
        return np.asarray(np.clip(numbers, 0, 1), np.float32)
    if len(found) <= 2:
        return np.asarray(drawn(values), np.float32)
    if low < 0 or high <= _LABELS:
        raise DataError(_refusal(found))
    return np.asarray(numbers / (255 if high <= 255 else 65535), np.float32)


def of_colours(
    colours: NDArray[Any], choice: Choice = PLAIN, remarks: list[str] | None = None
) -> NDArray[Any]:
    """Return the (H, W) mask in (H, W, 3 or 4) colours, the fourth being opacity.

    Colours are laid on black; where all that is seen has one colour, opacity is the
    mask.

    Parameters
    ----------
    colours : (H, W, 3 or 4) uint8 or uint16
        Red, green, blue and, if there is a fourth, opacity.
    choice
        How values are read; by default as they speak for themselves.
    remarks
        Gets a line for what deserves a look.

    Raises
    ------
    DataError
        More than black and one colour, or soft edges.
    """
    seen = np.asarray(colours[..., :3])
    if colours.shape[-1] == 4 and np.ptp(colours[..., 3]):
        opacity = colours[..., 3]
        visible = seen[opacity > 0]
        if len(visible) and (visible == visible[0]).all():
            return drawn(opacity, choice, remarks)
        depth = np.iinfo(colours.dtype).max
        seen = np.rint(seen * (opacity[..., None] / depth)).astype(colours.dtype)
    brightest = seen.max(axis=2)
    mask = drawn(brightest, choice, remarks)
    if choice == PLAIN:
        _check_one_colour(seen, mask)
    return mask


def check_key(colours: NDArray[Any]) -> None:
    """Refuse black beside white that a file says is to be transparent.

    It is black ink on nothing, or black around a mask that was made transparent.

    Parameters
    ----------
    colours : (H, W, 4) uint8
        Red, green, blue and opacity.
    """
    seen, opaque = colours[..., :3], colours[..., 3] > 0
    black, white = seen[opaque], seen[~opaque]
    if black.size and white.size and not black.any() and (white == 255).all():
        raise DataError(
            "its black is opaque and its white transparent, so brightness and opacity "
            "say opposite things; --set value=255 takes what is opaque, --set value=0 "
            "what is transparent"
        )


def warn(mask: Mask, label: int | None) -> list[str]:
    """Return what deserves a look in a mask of a film with a label."""
    warnings = []
    share = float(mask.mean()) if mask.size else 0.0
    if share > COVERED:
        warnings.append(f"its mask covers {share:.0%} of the film")
    if label == 0 and mask.any():
        warnings.append("labelled absent, but its mask is not empty")
    if label == 1 and not mask.any():
        warnings.append("labelled present, but its mask is empty")
    return warnings


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind not in "biuf":
        raise DataError(f"values of kind {values.dtype} are not those of a mask")
    if not values.size:
        raise DataError("has no pixels")
    if values.dtype.kind != "f":
        return values
    known = np.isfinite(values)
    if not known.any() or np.isinf(values).any():
        raise DataError("holds values without end, or none that is a number")
    return np.where(known, values, 0)


def _having(numbers: NDArray[Any], value: float) -> Mask:
    mask = np.asarray(numbers == value)
    if not mask.any():
        raise DataError(
            f"no pixel has the value {value:g}; {_values_text(np.unique(numbers))}"
        )
    return mask


def _likely(numbers: NDArray[Any], high: float) -> Mask:
    if high <= 0.5:
        raise DataError(
            f"no probability is above one half, the highest is {high:.3g}; for "
            "another cut give --set cut=NUMBER"
        )
    return np.asarray(numbers > 0.5)


def _are_two(found: NDArray[Any], near: float) -> bool:
    """Whether all values lie near the lowest or the highest."""
    low, high = float(found[0]), float(found[-1])
    margin = near * (high - low)
    between = (found > low + margin) & (found < high - margin)
    return not between.any()


def _check_dark(found: NDArray[Any], low: float, high: float) -> None:
    """Refuse two values of which neither is dark: nothing says which is the finding."""
    if high <= 0 or (low > 0 and 4 * low > high):
        raise DataError(f"{_values_text(found)}, and neither is black; {_ADVICE}")


def _check_lit(found: NDArray[Any], only: float) -> None:
    """Refuse one value below 0: it is neither what is there nor what is not."""
    if only < 0:
        raise DataError(f"{_values_text(found)} throughout; {_ADVICE}")


def _is_label_map(numbers: NDArray[Any], low: float, high: float) -> bool:
    """Whether what is neither the lowest nor the highest lies in flat regions."""
    from scipy import ndimage  # takes longer to import than most masks to read

    other = (numbers != low) & (numbers != high)
    centre = ndimage.maximum_filter(numbers, 3) == ndimage.minimum_filter(numbers, 3)
    flat = ndimage.binary_dilation(centre & other, np.ones((3, 3), bool))
    return bool((flat & other).sum() > _FLAT * other.sum())


def _check_one_colour(seen: NDArray[Any], mask: Mask) -> None:
    inside = seen[mask].astype(np.int64)
    if not len(inside):
        return
    value_range = np.ptp(inside, axis=0)
    if (value_range > _NEAR * np.iinfo(seen.dtype).max).any():
        colours = np.unique(inside, axis=0)
        listed = ", ".join(str(tuple(map(int, one))) for one in colours[:_SHOWN])
        raise DataError(
            f"has several colours, as {listed}: one file for each finding is a mask"
        )


_ADVICE = "what is above a number is taken with --set cut=NUMBER"


def _refusal(found: NDArray[Any]) -> str:
    labels = ""
    if len(found) <= 64 and np.array_equal(found, np.rint(found)):
        labels = "one label of several with --set value=NUMBER; "
    return f"{_values_text(found)}, not two: {labels}{_ADVICE}"


def _values_text(found: NDArray[Any]) -> str:
    return f"its values are {_listed(found)}"


def _listed(found: NDArray[Any]) -> str:
    shown = [f"{float(value):.6g}" for value in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown += ["…", f"{float(found[-1]):.6g}"]
    return ", ".join(shown)
