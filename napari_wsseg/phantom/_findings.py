"""What can be wrong with a chest: each finding's shadow, and its true mask.

Masks come from the geometry that casts the shadow, never from the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_wsseg.phantom._canvas import (
    Frame,
    Plane,
    Values,
    blur,
    bowed,
    frame,
    grain,
    smoothstep,
    tube,
)
from napari_wsseg.phantom._patient import (
    Patient,
    dome_y,
    medial_x,
    radial,
    wall_x,
)
from napari_wsseg.phantom._tissue import segments_depth
from napari_wsseg.schema import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Lung:
    """One lung as the beam meets it.

    Parameters
    ----------
    side
        -1 is the patient's right, 1 the left.
    depth : (H, W)
        Aerated lung along the beam, mm.
    field : (H, W) bool
        Where the cavity is seen above the diaphragm, behind the heart too.
    """

    side: int
    depth: Plane
    field: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """What a finding changes along the beam.

    Parameters
    ----------
    finding
        What it belongs to.
    side
        The lung it changes, -1 or 1; 0 for both.
    mask : (H, W) bool
    filled, emptied : (H, W) in [0, 1]
        Share of the lung that is now fluid, and that is now free air.
    added : (H, W)
        Soft tissue put in the place of air, mm; may be negative: air in tissue.
    """

    finding: str
    side: int
    mask: Mask
    filled: Values | float = 0.0
    emptied: Values | float = 0.0
    added: Values | float = 0.0


def pneumothorax(
    film: Frame, patient: Patient, lung: Lung, rng: np.random.Generator
) -> Shadow:
    """Free air over the apex and the side of a lung that has drawn back."""
    side = lung.side
    y = np.linspace(0.5, patient.dome_left + patient.angle_drop, 160)
    outer = np.stack([side * wall_x(patient, y), y], axis=1)
    inner = np.stack([side * medial_x(y), y], axis=1)[::-1]
    outline = np.concatenate([outer, inner[:-1]])
    pivot = np.array([side * 26.0, patient.hilum + 18.0])
    rho = radial(film, outline, pivot)
    # 0 points to the apex, 90 to the side, 180 to the diaphragm; < 0 to the midline
    turn = np.degrees(np.arctan2(side * (film.x - pivot[0]), pivot[1] - film.y))
    collapse = rng.uniform(0.13, 0.42)
    reach = rng.uniform(115, 165)
    waves = rng.uniform(0, 2 * np.pi, 2)

    def edge(angle: Values) -> Values:
        gap = collapse * smoothstep(reach, 25, angle) * smoothstep(-50, -15, angle)
        wave = np.sin(angle / 17 + waves[0]) + 0.6 * np.sin(angle / 9 + waves[1])
        border: Values = 1 - gap * (1 + 0.06 * wave)
        return border

    border = edge(turn)
    free = smoothstep(-0.6, 0.6, (rho - border) * 105 / film.spacing)
    thick = bowed(np.clip(rho / border, 0, 1), 7, 0.5)
    gap = smoothstep(0.01, 0.04, 1 - border)
    emptied = gap * np.maximum(free, 0.75 * (1 - thick))
    mask = lung.field & (rho > border) & ((1 - border) > 0.02)
    angles = np.linspace(-34, reach - 12, 240)
    line = _pleura(outline, pivot, side, angles, edge(angles))
    added = 12 * tube(film, np.column_stack([line, np.full(240, 0.55)]))
    added = np.minimum(added, 14.0) * lung.field
    return Shadow("pneumothorax", side, mask, emptied=emptied, added=added)


def _pleura(
    outline: Values, pivot: Values, side: int, angles: Values, border: Values
) -> Values:
    """Return the visceral pleura (N, 2), mm, at `angles` degrees from the apex."""
    away = outline - pivot
    turn = np.degrees(np.arctan2(side * away[:, 0], -away[:, 1]))
    order = np.argsort(turn)
    reach = np.interp(angles, turn[order], np.hypot(away[:, 0], away[:, 1])[order])
    angle, radius = np.radians(angles), reach * border
    return np.stack(
        [pivot[0] + side * radius * np.sin(angle), pivot[1] - radius * np.cos(angle)],
        axis=1,
    )


def pleural_effusion(
    film: Frame, patient: Patient, lung: Lung, rng: np.random.Generator
) -> Shadow:
    """Fluid that blunts the costophrenic angle and climbs the side of the chest."""
    top = patient.dome_right if lung.side < 0 else patient.dome_left
    lowest = top + patient.angle_drop
    level = lowest - rng.choice([rng.uniform(24, 50), rng.uniform(50, 115)])
    climb = rng.uniform(20, 42)
    outward = np.abs(film.x) / patient.width
    lateral = np.clip((outward - 0.42) / 0.58, 0, 1)
    surface = level - climb * lateral**2.4 + 3.0 * grain(rng, film, 45)
    surface = surface + 9 * (1 - lateral) * (lowest - level < 50)
    soft = rng.uniform(18, 32)
    filled = smoothstep(-5, soft, film.y - surface) ** 0.8
    filled = np.maximum(filled, smoothstep(-4, 10, film.y - surface) * lateral**3)
    mask = lung.field & (film.y > surface + 0.12 * soft)
    return Shadow("pleural_effusion", lung.side, mask, filled=filled)


def nodule(
    film: Frame,
    patient: Patient,
    lungs: dict[int, Lung],
    taken: Mask,
    rng: np.random.Generator,
) -> Shadow:
    """One to three round opacities of 8 to 30 mm."""
    mask = np.zeros(film.shape, bool)
    added = np.zeros(film.shape, np.float32)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
        diameter = 8 + 22 * rng.beta(2.0, 1.9)
        lobes = rng.uniform(0, 2 * np.pi, 3)
        x, y = _site(film, patient, lungs, taken | mask, 0.5 * diameter + 5, rng)
        angle = np.arctan2(film.y - y, film.x - x)
        rough = sum(
            a * np.sin(k * angle + p)
            for k, a, p in zip((2, 3, 5), (0.06, 0.04, 0.025), lobes, strict=True)
        )
        rho = np.hypot(film.x - x, film.y - y) / (0.5 * diameter * (1 + rough))
        added += ((6 + diameter * rng.uniform(1.2, 1.7)) * bowed(rho, 2.4, 0.6)).astype(
            np.float32
        )
        mask |= rho < 1
    return Shadow("nodule", 0, mask, added=blur(added, 0.7 / film.spacing))


def consolidation(
    film: Frame,
    patient: Patient,
    lungs: dict[int, Lung],
    taken: Mask,
    rng: np.random.Generator,
) -> Shadow:
    """Airspace filling with soft edges, in which bronchi stay open."""
    size = rng.uniform(27, 56)
    x, y = _site(film, patient, lungs, taken, 14, rng)
    side = -1 if x < 0 else 1
    tilt = rng.uniform(-0.8, 0.8)
    across = np.cos(tilt) * (film.x - x) + np.sin(tilt) * (film.y - y)
    down = -np.sin(tilt) * (film.x - x) + np.cos(tilt) * (film.y - y)
    stretch = rng.uniform(0.75, 1.0)
    away = np.hypot(across / size, down / (size * stretch))
    ragged = 0.30 * grain(rng, film, 24) + 0.08 * grain(rng, film, 9)
    level = 1.25 - away**1.5 + ragged * smoothstep(0.1, 0.7, away)
    lung = lungs[side]
    patchy = 1 + 0.10 * grain(rng, film, 9) + 0.06 * grain(rng, film, 3)
    filled = rng.uniform(0.34, 0.62) * smoothstep(-0.1, 1.0, level) * patchy
    filled = np.clip(filled, 0, 0.95)
    mask = lung.field & (level > 0.36)
    air = _bronchi(film, patient, (x, y), size, rng)
    dark = -0.95 * np.minimum(air, 6.0) * smoothstep(0.25, 0.8, level) * lung.field
    return Shadow("consolidation", side, mask, filled=filled, added=dark)


def _bronchi(
    film: Frame,
    patient: Patient,
    middle: tuple[float, float],
    size: float,
    rng: np.random.Generator,
) -> Plane:
    """Path length through open bronchi around `middle`, mm."""
    side = -1 if middle[0] < 0 else 1
    hilum = (side * 22.0, patient.hilum + 8)
    toward = np.arctan2(middle[1] - hilum[1], middle[0] - hilum[0])
    segments = []
    for _ in range(4):
        angle = toward + rng.normal(0, 0.3)
        x = middle[0] - 0.9 * size * np.cos(toward) + rng.normal(0, 0.22 * size)
        y = middle[1] - 0.9 * size * np.sin(toward) + rng.normal(0, 0.22 * size)
        branches = [(x, y, angle, rng.uniform(1.5, 2.4))]
        while branches:
            x, y, angle, radius = branches.pop()
            for _ in range(4):
                angle += rng.normal(0, 0.07)
                x1, y1 = x + 4 * np.cos(angle), y + 4 * np.sin(angle)
                segments.append((x, y, radius, x1, y1, radius * 0.97))
                x, y, radius = x1, y1, radius * 0.97
            if radius > 0.9:
                fork = rng.uniform(0.25, 0.5)
                branches.append((x, y, angle + fork, radius * 0.8))
                branches.append((x, y, angle - fork, radius * 0.72))
    return segments_depth(film, np.array(segments))


def _site(
    film: Frame,
    patient: Patient,
    lungs: dict[int, Lung],
    taken: Mask,
    margin: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Draw a place in aerated lung, `margin` mm from its border and in the film.

    It is drawn on a chart of fixed millimetres, so that a film of another size has
    its findings in the same places.
    """
    chart = frame((90, 90), 360.0, (0.0, 120.0), 0.0)
    row, column = film.to_pixels(chart.x, chart.y)
    rows, columns = film.shape
    edge = (margin + 6) / film.spacing
    seen = (row > edge) & (row < rows - edge)
    seen &= (column > edge) & (column < columns - edge)
    at = (
        np.clip(row, 0, rows - 1).astype(np.intp),
        np.clip(column, 0, columns - 1).astype(np.intp),
    )
    depth = np.maximum(lungs[-1].depth, lungs[1].depth)[at]
    depth = np.where(seen & ~taken[at], depth, 0.0)
    away = np.abs(chart.x)
    inset = (wall_x(patient, chart.y) - away > margin) & (chart.y > 22 + margin)
    inset &= (
        np.where(chart.x < 0, dome_y(patient, chart.x, -1), dome_y(patient, chart.x, 1))
        - chart.y
        > margin
    )
    good = inset & (depth > 70)
    if not good.any():
        good = depth >= depth.max()
    place = rng.random() * (int(good.sum()) - 1)
    index = np.flatnonzero(good)[int(place)]
    return float(chart.x.flat[index]), float(chart.y.flat[index])
