"""The stages, one radiograph or one project at a time.

Only what cuts maps into masks is imported with the package: the window needs it at
once, and it needs no torch. There are two modes. *Predicted*, `stage_masks`, knows
nothing of a film but its pixels: the classifier's probability is the gate that keeps
a negative film empty. *Label-conditioned*, `label_conditioned_masks`, is for films
whose image-level labels are known: they open the gate or shut it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.ops import geometry, masks, seeds
from napari_wsseg.schema import Mask, StageMaps, StageSettings

Key = TypeVar("Key")


def stage_masks(
    maps: StageMaps, settings: StageSettings, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Cut a stage's maps into masks of the film, in *predicted* mode.

    Parameters
    ----------
    maps
        Of one film.
    settings
        A finding whose ``present`` is under its gate stays empty.
    shape
        Rows and columns of the film.

    Returns
    -------
    (K, H, W) bool
    """
    gates = np.asarray(settings.gates)
    return _masks(maps, settings, shape, [*(maps.present >= gates)])


def label_conditioned_masks(
    maps: StageMaps,
    settings: StageSettings,
    shape: tuple[int, int],
    labels: Sequence[int | None],
    *,
    size: int | None = None,
) -> NDArray[np.bool_]:
    """Cut a stage's maps into masks of the film, in *label-conditioned* mode.

    Parameters
    ----------
    maps, settings
        Of one film, and where the stage is cut.
    shape
        Rows and columns of the film.
    labels
        Per finding: 1, whose gate is open whatever the classifier says; 0, which
        stays empty; anything else is not known and left to the classifier.
    size
        Side of the letterboxed square that masks are wanted on instead of the film.

    Returns
    -------
    (K, H, W) bool
        (K, size, size) with `size`, empty in the margins.
    """
    gates = label_gates(dict(enumerate(labels)))
    predicted = maps.present >= np.asarray(settings.gates)
    is_open = [gates.get(k, bool(gate)) for k, gate in enumerate(predicted)]
    return _masks(maps, settings, shape, is_open, size)


def label_gates(labels: Mapping[Key, int | None]) -> dict[Key, bool]:
    """Return which gates image-level labels open (1) or shut (0), where they do."""
    return {key: bool(label) for key, label in labels.items() if label in (0, 1)}


def _masks(
    maps: StageMaps,
    settings: StageSettings,
    shape: tuple[int, int],
    is_open: Sequence[bool],
    size: int | None = None,
) -> NDArray[np.bool_]:
    # Cut on the film alone: shares of it, and its own Otsu, know of no margins.
    seen, box = (shape, np.s_[:, :]) if size is None else _on_square(shape, size)
    found = np.zeros((len(maps.score), *seen), bool)
    highest = _highest(maps, seen, is_open) if settings.exclusive else None
    for k, score in enumerate(maps.score):
        if is_open[k]:
            film = geometry.unletterbox(score, seen)
            if highest is not None:
                film = np.where(highest == k, film, np.float32(-1))
            found[k][box] = cut(film[box], settings, settings.thresholds[k])
    return found


def _highest(
    maps: StageMaps, shape: tuple[int, int], is_open: Sequence[bool]
) -> NDArray[np.int16]:
    """Return the number of the highest map at every pixel, of those that are open."""
    best = np.full(shape, -np.inf, np.float32)
    number = np.full(shape, -1, np.int16)
    for k, score in enumerate(maps.score):
        if is_open[k]:
            film = geometry.unletterbox(score, shape)
            higher = film > best
            best[higher], number[higher] = film[higher], k
    return number


def _on_square(
    shape: tuple[int, int], size: int
) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """Return a letterboxed square's shape, and the pixels in it that are the film's."""
    top, left, height, width = geometry.content_box(shape, size)
    return (size, size), np.s_[top : top + height, left : left + width]


def cut(score: NDArray[np.float32], settings: StageSettings, threshold: float) -> Mask:
    """Cut one finding's map into a mask of the film, by the rule of its stage.

    Parameters
    ----------
    score : (H, W) in [0, 1]
        On the film's own grid.
    settings
        Rule, `top`, `min_area` and `fill_holes`; their thresholds and gates are left
        aside.
    threshold
        Score from which a pixel is the finding; the triplet's bottom. Otsu's rule takes
        the map's own instead.

    Returns
    -------
    (H, W) bool
    """
    if settings.rule == "triplet":
        mask = masks.triplet_mask(
            score,
            # Whoever moves the threshold above the top means both.
            top=max(settings.top, threshold),
            min_area=settings.min_area,
            bottom=threshold,
        )
    elif settings.rule == "otsu":
        mask = score > seeds.otsu(score)
    else:
        mask = score >= threshold
    if settings.fill_holes:
        mask = masks.fill_holes(mask)
    if settings.min_area > 0 and settings.rule != "triplet":
        mask = masks.remove_small(mask, min_area=settings.min_area)
    return mask
