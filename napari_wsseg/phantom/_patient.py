"""Who is on the table: one draw of body, chest and heart, and their outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from napari_wsseg.phantom._canvas import Frame, Plane, Values, bowed, smoothstep

APEX_X = 46.0  # mm from the midline to the top of a lung


@dataclass(frozen=True, slots=True)
class Patient:
    """The sizes that every part of the anatomy agrees on; millimetres.

    Parameters
    ----------
    female
        Breasts, and a slighter frame.
    width
        Half the inner width of the chest at its widest.
    depth
        Depth of the chest cavity, back to front.
    wall
        Soft tissue around the cage.
    dome_right, dome_left
        Height of the diaphragm domes below the lung apices.
    angle_drop
        How far the costophrenic angles lie below the domes.
    turn
        How far a structure at the front is shifted sideways by rotation.
    scoliosis
        Sideways swing of the spine.
    heart_right, heart_left
        Reach of the heart to either side of the midline.
    heart_top, heart_bottom
        Its extent along y.
    hilum
        Height of the hila.
    pitch
        Distance from rib to rib along the spine.
    arch
        Radius of the aortic arch.
    bell
        How slowly the chest widens below the apices, 0.45 to 0.65.
    heart_slant
        0: an upright heart; 1: one that lies on the diaphragm, narrow above and with
        its apex out to the left; what is between is between.
    """

    female: bool
    width: float
    depth: float
    wall: float
    dome_right: float
    dome_left: float
    angle_drop: float
    turn: float
    scoliosis: float
    heart_right: float
    heart_left: float
    heart_top: float
    heart_bottom: float
    hilum: float
    pitch: float
    arch: float
    bell: float
    heart_slant: float = 0.0


def draw(rng: np.random.Generator, *, cardiomegaly: bool) -> Patient:
    """Draw a patient; the heart is wider than half the chest iff `cardiomegaly`."""
    female = bool(rng.random() < 0.48)
    frame = (0.93 if female else 1.02) * rng.normal(1.0, 0.035)
    habitus = float(np.clip(rng.normal(0.0, 1.0), -1.8, 2.2))
    inspiration = float(np.clip(rng.normal(0.0, 1.0), -2.0, 1.6))
    width = frame * float(np.clip(rng.normal(136, 6), 122, 150))
    dome = frame * (226 + 11 * inspiration)
    share = rng.uniform(0.28, 0.36)
    size = rng.random()
    ratio = 0.53 + 0.13 * size if cardiomegaly else 0.39 + 0.085 * size
    heart = ratio * 2 * width
    dome_left = dome + rng.uniform(4, 20)
    bottom = dome_left + rng.uniform(0, 10)
    tall = 0.30 * heart + frame * rng.uniform(68, 92)
    return Patient(
        female=female,
        width=width,
        depth=frame * (186 + 12 * habitus),
        wall=frame * (30 + 11 * habitus),
        dome_right=dome,
        dome_left=dome_left,
        angle_drop=frame * rng.uniform(40, 58),
        turn=float(np.clip(rng.normal(0, 4.5), -10, 10)),
        scoliosis=float(np.clip(rng.normal(0, 4), -10, 10)),
        heart_right=heart * share,
        heart_left=heart * (1 - share),
        heart_top=bottom - tall,
        heart_bottom=bottom,
        hilum=0.46 * dome + rng.uniform(-5, 5),
        pitch=frame * 22.8,
        arch=float(rng.uniform(12.0, 18.0)),
        bell=float(rng.uniform(0.46, 0.64)),
    )


def draw_wide(rng: np.random.Generator, *, cardiomegaly: bool) -> Patient:
    """Draw a patient of every build and breath; as `draw`, but nothing is usual.

    Chests are from half as high as they are wide to higher than wide, hearts from
    lying to upright and anywhere from a third to three quarters of the chest's width.
    """
    frame = float(np.clip(rng.normal(1.0, 0.05), 0.85, 1.15))
    habitus = float(rng.uniform(-1.8, 3.0))
    width = frame * rng.uniform(116, 156)
    tall = 2 * width * rng.uniform(0.54, 1.12)  # from apices to costophrenic angles
    drop = tall * rng.uniform(0.13, 0.27)
    lower = rng.uniform(-14, 24)  # how far the left dome is below the right one
    dome_right = tall - drop - max(0.0, lower)
    size = rng.random()
    ratio = 0.51 + 0.22 * size if cardiomegaly else 0.33 + 0.165 * size
    heart = ratio * 2 * width
    share = rng.uniform(max(0.18, 1 - 0.95 / (2 * ratio)), 0.42)
    heart_tall = float(
        np.clip(heart * rng.uniform(0.56, 0.98), 0.3 * tall, 0.68 * tall)
    )
    bottom = dome_right + drop * rng.uniform(-0.05, 0.9)
    return Patient(
        female=bool(rng.random() < 0.5),
        width=width,
        depth=frame * (186 + 14 * habitus),
        wall=frame * (30 + 11 * habitus),
        dome_right=dome_right,
        dome_left=dome_right + lower,
        angle_drop=drop,
        turn=float(np.clip(rng.normal(0, 8), -20, 20)),
        scoliosis=float(np.clip(rng.normal(0, 8), -20, 20)),
        heart_right=heart * share,
        heart_left=heart * (1 - share),
        heart_top=bottom - heart_tall,
        heart_bottom=bottom,
        hilum=rng.uniform(0.36, 0.5) * tall,
        pitch=22.8 * frame * float(np.clip(tall / 275, 0.72, 1.15)),
        arch=float(rng.uniform(10.0, 24.0)),
        bell=float(rng.uniform(0.35, 0.75)),
        heart_slant=float(rng.uniform(0.0, 1.15)),
    )


def wall_x(patient: Patient, y: Values) -> Values:
    """Distance of the inner chest wall from the midline at height `y`."""
    s = np.clip(y / 160, 0, 1)
    rise = np.clip(1 - (1 - s) ** 2.3, 0, 1) ** patient.bell
    flare = 1 - 0.05 * np.clip((y - 190) / 120, 0, 1) ** 2
    return (APEX_X + (patient.width - APEX_X) * rise) * flare


def medial_x(y: Values) -> Values:
    """Distance of a lung's inner border from the midline, were there no heart."""
    s = np.clip(y / 50, 0, 1)
    return APEX_X - 32 * np.clip(1 - (1 - s) ** 2, 0, 1) ** 0.55


def dome_y(patient: Patient, x: Values, side: int) -> Values:
    """Height of the top of the diaphragm; `side` is -1 on the right, 1 on the left."""
    top = patient.dome_right if side < 0 else patient.dome_left
    crest = 0.47 * patient.width
    reach = np.abs(x) - crest
    out = np.clip(reach / (patient.width - crest), 0, 1)
    inward = np.clip(-reach / crest, 0, 1)
    fall = 0.42 * out**2 + 0.58 * (1 - np.sqrt(1 - out**2))
    return top + patient.angle_drop * fall + 16 * inward**2


def cavity(film: Frame, patient: Patient, side: int) -> Plane:
    """Depth of one pleural cavity along the beam, mm, above and below the dome."""
    x, y = side * film.x, film.y
    outer, inner = wall_x(patient, y), medial_x(y)
    middle = 0.5 * (outer + inner)
    lateral = (x - middle) / np.maximum(outer - middle, 1)
    medial = (middle - x) / np.maximum(middle - inner, 1)
    sharp = 2.2 + 2.2 * smoothstep(15, 80, y)
    across = np.where(
        x > middle,
        bowed(np.maximum(lateral, 0), 2.5),
        np.clip(1 - np.clip(medial, 0, 1) ** sharp, 0, 1) ** 0.7,
    )
    deep = patient.depth * (0.30 + 0.70 * smoothstep(-45, 165, y))
    top = np.sqrt(np.clip(y / 28, 0, 1))
    plane: Plane = (across * deep * top).astype(np.float32)
    return plane


def above_dome(film: Frame, patient: Patient, side: int) -> tuple[Plane, Plane]:
    """Return the share of the beam that meets lung, and the height below the dome.

    Behind the dome the lung reaches further down, so the share does not fall to zero
    at its edge.
    """
    below = film.y - dome_y(patient, film.x, side)
    behind = 0.27 * (1 - np.sqrt(np.clip(below / 62, 0, 1)))
    behind = behind * smoothstep(18, 62, np.abs(film.x))
    crest = 0.62 * (1 - np.sqrt(np.clip(below / 5, 0, 1)))
    share = np.where(below < 0, 1.0, behind + crest)
    return share.astype(np.float32), below.astype(np.float32)


_HEART = np.array(
    # share of the reach to that side, share of the height from top to bottom
    [
        (-0.62, 0.05), (-0.90, 0.30), (-1.00, 0.58), (-0.90, 0.82), (-0.55, 0.97),
        (0.05, 1.02), (0.50, 1.02), (0.84, 0.98), (1.00, 0.84), (0.93, 0.64),
        (0.74, 0.42), (0.53, 0.22), (0.38, 0.04), (0.10, -0.07), (-0.32, -0.06),
    ]
)  # fmt: skip


_LYING_HEART = np.array(
    [
        (-0.52, 0.16), (-0.80, 0.38), (-0.98, 0.63), (-0.98, 0.84), (-0.58, 0.98),
        (0.02, 1.02), (0.50, 1.01), (0.88, 0.97), (1.00, 0.88), (0.86, 0.68),
        (0.62, 0.46), (0.40, 0.25), (0.22, 0.06), (-0.02, -0.04), (-0.30, 0.01),
    ]
)  # fmt: skip


def heart_outline(patient: Patient, wobble: NDArray[np.float64]) -> Values:
    """Return the heart's outline (N, 2) in mm, exactly as wide as the patient says.

    `wobble` (15,) moves each control point in or out by that share.
    """
    points = _HEART + patient.heart_slant * (_LYING_HEART - _HEART)
    points *= 1 + wobble[:, None] * np.array([1.0, 0.0])
    closed = np.vstack([points, points[:1]])
    spline = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")
    outline: Values = spline(np.linspace(0, len(points), 361))
    x, y = outline[:, 0], outline[:, 1]
    x = np.where(
        x < 0, x / -x.min() * patient.heart_right, x / x.max() * patient.heart_left
    )
    tall = patient.heart_bottom - patient.heart_top
    return np.stack([x + 0.6 * patient.turn, patient.heart_top + y * tall], axis=1)


def radial(film: Frame, outline: Values, middle: Values) -> Plane:
    """Distance from `middle` over the outline's distance that way: 1 on the outline."""
    away = outline - middle
    angle = np.arctan2(away[:, 1], away[:, 0])
    order = np.argsort(angle)
    reach = np.hypot(away[:, 0], away[:, 1])[order]
    x, y = film.x - middle[0], film.y - middle[1]
    at = np.interp(np.arctan2(y, x), angle[order], reach, period=2 * np.pi)
    plane: Plane = (np.hypot(x, y) / at).astype(np.float32)
    return plane
