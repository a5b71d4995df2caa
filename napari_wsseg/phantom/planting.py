"""Lesions of the generator's kinds planted into films that have none.

A real film that is known to be free of a finding becomes one whose finding is known to
the pixel. Lesions are put into greys, after the vendor's processing: an opacity draws
greys towards those of soft tissue and leaves ribs and vessels to shine through, free
air takes the lung's markings away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.schema import Mask

Grey = NDArray[np.float32]
Planter = Callable[[Grey, Mask, np.random.Generator], tuple[Grey, Mask]]

SMALLEST_LUNG = 0.015
"""Share of the film; what is smaller is no lung to plant into."""

_SPOTS = (0.04, 0.2)  # their radius in sides of the film
_STRAY = 0.04  # how far from its site a spot lies, in sides of the film


def kind_of(finding: str) -> str | None:
    """Return which of `KINDS` a finding's name means, ``None`` if none."""
    return _NAMES.get(re.sub(r"[\W_]+", " ", finding).strip().casefold())


def plant(
    film: Grey, lungs: tuple[Mask, Mask], kind: str, rng: np.random.Generator
) -> tuple[Grey, Mask]:
    """Return a film with one lesion more, and the lesion.

    Parameters
    ----------
    film : (H, W) float32 in [0, 1]
        Bright is dense.
    lungs : (H, W) bool, twice
        Left and right; the lesion is in one of them.
    kind
        One of `KINDS`.
    rng
        What place, size and strength depend on.

    Returns
    -------
    film : (H, W)
    mask : (H, W) bool
        Empty where no lung is large enough to be planted into.

    Raises
    ------
    KeyError
        For another kind.
    """
    planter = KINDS[kind]
    usable = [lung for lung in lungs if lung.mean() > SMALLEST_LUNG]
    if not usable:
        return film, np.zeros(film.shape, bool)
    return planter(film, usable[int(rng.integers(len(usable)))], rng)


def spot(
    film: Grey, site: tuple[float, float], rng: np.random.Generator
) -> tuple[Grey, Mask]:
    """Return a film with a spot of any size, shading and sharpness, and its mask.

    Dense or lucent; what it looks like stands for no finding.

    Parameters
    ----------
    film : (H, W) float32 in [0, 1]
    site
        Row and column near which its middle lies, in shares of the film.
    rng
        What size, shading and sharpness depend on.

    Returns
    -------
    film : (H, W)
    mask : (H, W) bool
    """
    side = max(film.shape)
    size = side * np.exp(rng.uniform(*np.log(_SPOTS)))
    row, column = (
        share * length + rng.normal(0, _STRAY * side)
        for share, length in zip(site, film.shape, strict=True)
    )
    away = _ragged(film.shape, (row, column), size, rng.uniform(0, 0.3), rng)
    shade = np.clip(1.2 - away ** rng.uniform(1.5, 8), 0, 1)
    shade = shade * (1 + rng.uniform(0, 0.25) * _grain(film.shape, 0.1 * size + 1, rng))
    low, high = np.percentile(film, (5, 98))
    depth = (high - low) * rng.uniform(0.1, 0.7) * rng.choice((-1, 1))
    changed = np.clip(film + depth * shade, 0, 1)
    return np.asarray(changed, np.float32), away < 1


def _nodule(film: Grey, lung: Mask, rng: np.random.Generator) -> tuple[Grey, Mask]:
    size = np.sqrt(lung.sum()) * rng.uniform(0.07, 0.2)
    away = _ragged(film.shape, _site(lung, 0.5 * size, rng), size, 0.12, rng)
    opacity = np.clip(1.15 - away**3, 0, 1) * rng.uniform(0.35, 0.85)
    return _denser(film, lung, opacity), (away < 1) & lung


def _consolidation(
    film: Grey, lung: Mask, rng: np.random.Generator
) -> tuple[Grey, Mask]:
    size = np.sqrt(lung.sum()) * rng.uniform(0.22, 0.55)
    away = _ragged(film.shape, _site(lung, 0.25 * size, rng), size, 0.35, rng)
    patchy = 1 + 0.25 * _grain(film.shape, 0.08 * size + 1, rng)
    opacity = np.clip(1.3 - away**1.5, 0, 1) * patchy * rng.uniform(0.4, 0.9)
    inside = _faded(lung, 1.0)  # it ends at the pleura, and hides the heart's border
    return _denser(film, lung, np.clip(opacity, 0, 1) * inside), (away < 0.95) & lung


def _effusion(film: Grey, lung: Mask, rng: np.random.Generator) -> tuple[Grey, Mask]:
    rows, columns = np.nonzero(lung)
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    row, column = np.indices(film.shape, np.float32)
    middle = film.shape[1] / 2
    reach = np.abs(np.percentile(columns, [2, 98]) - middle).max()
    outward = np.clip(np.abs(column - middle) / max(reach, 1), 0, 1)
    level = rows.max() - tall * rng.uniform(0.12, 0.55)
    surface = level - 0.35 * wide * np.clip((outward - 0.5) * 2, 0, 1) ** 2.4
    depth = (row - surface) / (0.10 * tall)
    opacity = np.clip(0.5 + depth, 0, 1) * rng.uniform(0.75, 0.98)
    return _denser(film, lung, opacity * _faded(lung, 1.0)), (depth > 0) & lung


def _pneumothorax(
    film: Grey, lung: Mask, rng: np.random.Generator
) -> tuple[Grey, Mask]:
    """Free air above and beside a lung that has drawn back behind a fine line."""
    inward = ndimage.distance_transform_edt(np.pad(lung, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(lung)
    row, column = np.indices(film.shape, np.float32)
    high = 1 - (row - rows.min()) / (np.ptp(rows) + 1)
    medial = np.sign(film.shape[1] / 2 - columns.mean())
    middle = (columns.max() + columns.min()) / 2
    lateral = np.clip(-medial * (column - middle) / (np.ptp(columns) + 1) + 0.5, 0, 1)
    reach = np.clip((high - rng.uniform(-0.1, 0.5)) * 3, 0, 1) * np.clip(
        3 * lateral - 1.0, 0, 1
    )
    gap = inward.max() * rng.uniform(0.35, 1.1) * reach
    wave = 1 + 0.15 * _grain(film.shape, 0.1 * len(film), rng)
    border = inward - gap * wave
    free = lung & (border < 0)
    sigma = max(1.0, 0.02 * len(film))
    smooth = ndimage.gaussian_filter(film, sigma)
    air = np.percentile(film[lung], 5)
    empty = np.minimum(film, smooth) * 0.4 + 0.6 * (0.5 * smooth + 0.5 * air)
    share = ndimage.gaussian_filter(free.astype(np.float32), 0.6)
    changed = film + share * (empty - film)
    line = np.exp(-((border / max(0.8, 0.004 * len(film))) ** 2)) * lung * (gap > 1)
    tissue = np.percentile(film[lung], 90)
    changed = changed + 0.5 * line * np.clip(tissue - changed, 0, None)
    return np.asarray(changed, np.float32), free


KINDS: Mapping[str, Planter] = {
    "nodule": _nodule,
    "consolidation": _consolidation,
    "pleural effusion": _effusion,
    "pneumothorax": _pneumothorax,
}
"""What can be planted."""

_NAMES = {
    **{kind: kind for kind in KINDS},
    **dict.fromkeys(("lung lesion", "mass"), "nodule"),
    **dict.fromkeys(("lung opacity", "pneumonia", "infiltration"), "consolidation"),
    "effusion": "pleural effusion",
}


def _denser(film: Grey, lung: Mask, opacity: NDArray[np.floating]) -> Grey:
    """Draw greys towards soft tissue's; what is denser already stays."""
    beside = ndimage.binary_dilation(lung, iterations=max(1, len(film) // 20)) & ~lung
    tissue = np.percentile(film[beside], 75) if beside.any() else film.max()
    soft = ndimage.gaussian_filter(opacity.astype(np.float32), 0.5)
    changed = film + soft * np.clip(tissue - film, 0, None)
    return np.asarray(changed, np.float32)


def _site(lung: Mask, margin: float, rng: np.random.Generator) -> tuple[float, float]:
    inward = ndimage.distance_transform_edt(lung)
    rows, columns = np.nonzero(inward >= min(margin, 0.8 * float(inward.max())))
    place = int(rng.integers(len(rows)))
    return float(rows[place]), float(columns[place])


def _ragged(
    shape: tuple[int, int],
    middle: tuple[float, float],
    size: float,
    rough: float,
    rng: np.random.Generator,
) -> NDArray[np.floating]:
    """Distance from `middle`, 1 on the border of an uneven ellipse."""
    row, column = np.indices(shape, np.float32)
    row, column = row - middle[0], column - middle[1]
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(0.65, 1.0)
    along = np.cos(turn) * row + np.sin(turn) * column
    across = (np.cos(turn) * column - np.sin(turn) * row) / stretch
    angle = np.arctan2(across, along)
    waves = sum(
        rng.normal(0, 1 / k) * np.sin(k * angle + rng.uniform(0, 2 * np.pi))
        for k in (2, 3, 5, 7)
    )
    border = max(size, 2.0) * (1 + rough * np.clip(waves, -1.5, 1.5))
    return np.asarray(np.hypot(along, across) / border)


def _grain(
    shape: tuple[int, int], scale: float, rng: np.random.Generator
) -> NDArray[np.floating]:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), scale)
    return np.asarray(noise / (noise.std() + 1e-9))


def _faded(mask: Mask, sigma: float) -> NDArray[np.floating]:
    return np.asarray(ndimage.gaussian_filter(mask.astype(np.float32), sigma))
