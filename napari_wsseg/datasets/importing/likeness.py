"""Films that are hardly chest films: odd in size, or unlike all the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Look: TypeAlias = tuple[tuple[int, int], str]
"""A film's shape, and its small picture as `napari_wsseg.io.film_facts` keeps it."""

LONG = "much longer than wide: hardly a chest film; look at it before training"
SMALL = "far smaller than the others: hardly a chest film; look at it before training"
STRANGE = "looks unlike the other films: is it a chest film? look before training"

_MOST_ASPECT = 1.9
_LEAST_SIDE = 1 / 3
"""Of the median film's shorter side."""
_LEAST_ALIKE = 0.43
"""Correlation with the median film, in a picture of a few pixels. Of 342 open films of
three sets one lies below, and it is inverted; a jaw beside them has 0.37 to 0.42."""
_ENOUGH = 8
"""Films from which on the median film is one."""


def odd(films: Mapping[str, Look]) -> dict[str, list[str]]:
    """Return remarks, each with the films that deserve it.

    Frontal films of a set look alike when they are made very small: two dark lungs
    about a bright middle. What does not is a tooth, a hand, a lateral or an inverted
    film.
    """
    found: dict[str, list[str]] = {}
    strange = _strange({path: thumb for path, (_, thumb) in films.items() if thumb})
    side = float(np.median([min(shape) for shape, _ in films.values()] or [0]))
    for path, (shape, _) in films.items():
        if max(shape) > _MOST_ASPECT * min(shape):
            found.setdefault(LONG, []).append(path)
        elif min(shape) < _LEAST_SIDE * side:
            found.setdefault(SMALL, []).append(path)
        elif path in strange:
            found.setdefault(STRANGE, []).append(path)
    return found


def _strange(thumbs: Mapping[str, str]) -> set[str]:
    if len(thumbs) < _ENOUGH:
        return set()
    looks = np.stack([_standard(thumb) for thumb in thumbs.values()])
    middle = np.median(looks, axis=0)
    length = np.linalg.norm(middle)
    # Where films have nothing in common, none is the odd one out.
    alike = looks @ middle / length if length > 0 else np.ones(len(looks))
    if np.median(alike) < 0.5:
        return set()
    low = alike < _LEAST_ALIKE
    return {path for path, is_low in zip(thumbs, low, strict=True) if is_low}


def _standard(thumb: str) -> NDArray[np.float64]:
    values = np.frombuffer(bytes.fromhex(thumb), np.uint8).astype(float)
    values -= values.mean()
    length = np.linalg.norm(values)
    return values / length if length > 0 else values
