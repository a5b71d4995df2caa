"""What lies on, in or beside a patient: lines, tubes, leads, markers, letters.

They are drawn from their own random stream and know nothing of the findings.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from napari_wsseg.phantom._canvas import (
    Frame,
    Plane,
    Values,
    ball,
    blur,
    bowed,
    frame,
    smoothstep,
    tube,
)
from napari_wsseg.phantom._patient import Patient, dome_y

_METAL = 0.11  # per mm, as hard as a detector still tells apart
_PLASTIC = 0.035

# Strokes of the letters on a grid 4 wide and 6 high, y downwards.
_LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "A": [[(0, 6), (2, 0), (4, 6)], [(0.8, 4), (3.2, 4)]],
    "C": [[(4, 1), (3, 0), (1, 0), (0, 1), (0, 5), (1, 6), (3, 6), (4, 5)]],
    "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3, 3)]],
    "H": [[(0, 0), (0, 6)], [(4, 0), (4, 6)], [(0, 3), (4, 3)]],
    "I": [[(2, 0), (2, 6)]],
    "L": [[(0, 0), (0, 6), (4, 6)]],
    "N": [[(0, 6), (0, 0), (4, 6), (4, 0)]],
    "P": [[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)]],
    "R": [[(0, 6), (0, 0), (3, 0), (4, 1), (4, 2), (3, 3), (0, 3)], [(2, 3), (4, 6)]],
    "S": [
        [(4, 1), (3, 0), (1, 0), (0, 1), (0, 2), (1, 3), (3, 3), (4, 4), (4, 5),
         (3, 6), (1, 6), (0, 5)]
    ],
    "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "Y": [[(0, 0), (2, 3), (4, 0)], [(2, 3), (2, 6)]],
}  # fmt: skip


def letters(
    film: Frame, text: str, x: float, y: float, height: float, weight: float
) -> Plane:
    """Path through letters as round wires, mm; (x, y) is the top left corner."""
    unit = height / 6
    total = np.zeros(film.shape, np.float32)
    for place, letter in enumerate(text):
        for stroke in _LETTERS[letter]:
            points = np.array(stroke) * unit + (x + 5.6 * unit * place, y)
            radius = np.full((len(points), 1), weight)
            total = np.maximum(total, tube(film, np.hstack([points, radius])))
    return total


def _curve(points: list[tuple[float, float]], radius: float) -> Values:
    knots = np.array(points)
    t = np.linspace(0, len(knots) - 1, 40 * len(knots))
    line = CubicSpline(np.arange(len(knots)), knots)(t)
    return np.column_stack([line, np.full(len(line), radius)])


def side_marker(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Lead letter beside the neck or the shoulder, as optical depth."""
    side = int(rng.choice([-1, 1]))
    rows, columns = film.shape
    wide, tall = columns * film.spacing, rows * film.spacing
    height = rng.uniform(10, 15)
    x = film.centre[0] + side * wide * rng.uniform(0.33, 0.42) - 5
    y = film.centre[1] - tall * rng.uniform(0.36, 0.45)
    # The image's left is the patient's right.
    total = letters(film, "L" if side > 0 else "R", x, y, height, 1.2)
    if rng.random() < 0.3:
        total = total + letters(film, "PA", x - 4, y + height + 4, 6, 0.6)
    lead: Plane = np.minimum(total, 2.0) * np.float32(1.1)
    return lead


def devices(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Draw a set of devices, often none; as optical depth."""
    total = np.zeros(film.shape, np.float32)
    for chance, make in (
        (0.26, _leads),
        (0.16, _central_line),
        (0.10, _pacemaker),
        (0.10, _breathing_tube),
        (0.10, _feeding_tube),
        (0.12, _clips),
    ):
        if rng.random() < chance:
            total = total + make(film, patient, rng)
    return blur(total, 0.35 / film.spacing)


def _leads(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    total = np.zeros(film.shape, np.float32)
    for side, y in ((-1, 38.0), (1, 42.0), (1, 205.0), (-1, 215.0)):
        x = side * rng.uniform(0.6, 0.95) * patient.width
        y = y + rng.uniform(-14, 14)
        away = np.hypot(film.x - x, film.y - y)
        pad = 0.05 * smoothstep(9.5, 8.5, away)
        snap = 0.8 * smoothstep(4.0, 3.4, away) - 0.4 * smoothstep(2.2, 1.8, away)
        wire = _curve(
            [
                (x, y),
                (x + side * rng.uniform(-22, 8), y + rng.uniform(25, 45)),
                (x + rng.uniform(-30, 30), y + rng.uniform(85, 110)),
                (x + rng.uniform(-60, 60), 400.0),
            ],
            0.55,
        )
        total = total + pad + snap + _METAL * 3 * tube(film, wire)
    return total


def _central_line(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    tip = (-16.0 + rng.uniform(-5, 5), patient.hilum + rng.uniform(-8, 32))
    if rng.random() < 0.5:
        path = [(-48.0, -75.0), (-36.0, -20.0), (-24.0, 30.0), tip]
    else:
        path = [(-118.0, -12.0), (-80.0, 24.0), (-34.0, 34.0), tip]
    return _PLASTIC * 4 * tube(film, _curve(path, 0.95))


def _pacemaker(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    x, y = 0.68 * patient.width + rng.uniform(-8, 10), 42 + rng.uniform(-8, 14)
    case = np.hypot((film.x - x) / 23, (film.y - y) / 20)
    total = 1.5 * bowed(case, 9, 0.5) + 0.5 * smoothstep(
        9, 6, np.abs(film.x - x + 4)
    ) * (case < 0.85)
    total = total + 0.25 * np.exp(-(((case - 0.8) / 0.05) ** 2))
    apex = (0.55 * patient.heart_left, patient.heart_bottom - 24)
    atrium = (-0.65 * patient.heart_right, patient.heart_bottom - 70)
    for end in (apex, atrium):
        start = (x - 12, y + 14)
        path = [start, (30.0, 36.0), (-14.0, 62.0), (-20.0, end[1] - 30), end]
        total = total + _METAL * 3 * tube(film, _curve(path, 0.75))
    return total


def _breathing_tube(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    tip = patient.hilum - rng.uniform(38, 66)
    y = np.linspace(-100, tip, 30)
    x = rng.normal(0, 1.5) + 2.5 * np.sin(y / 40)
    wall = _PLASTIC * tube(film, np.column_stack([x, y, np.full(30, 5.2)]), wall=0.9)
    stripe = _METAL * 2 * tube(film, np.column_stack([x + 3.4, y, np.full(30, 0.5)]))
    return wall + stripe


def _feeding_tube(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    roof = float(dome_y(patient, np.array([60.0]), 1)[0])
    path = [
        (1.0, -110.0), (3.0, -20.0), (6.0, 90.0), (9.0, roof - 30),
        (22.0, roof + 12), (58.0, roof + 45), (40.0, roof + 95),
    ]  # fmt: skip
    return _PLASTIC * 5 * tube(film, _curve(path, 0.9 + 0.4 * rng.random()))


def _clips(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Sternal wires: loops down the midline."""
    total = np.zeros(film.shape, np.float32)
    turn = np.linspace(0, 2 * np.pi, 40)
    for y in np.arange(62, 190, 22.0):
        x, y = patient.turn + rng.normal(0, 1.5), y + rng.normal(0, 2)
        loop = np.column_stack(
            [x + 8 * np.cos(turn), y + 3.6 * np.sin(turn), np.full(40, 0.45)]
        )
        total = total + _METAL * 5 * tube(film, loop)
        total = total + 0.3 * ball(film, x + 2, y + 5, 1.0)
    return total


def burn_in(pixels: Plane, text: str) -> Plane:
    """Write `text` into the lower left corner of `pixels` (H, W) in [0, 1]."""
    rows, columns = pixels.shape
    height = max(9.0, 0.021 * min(rows, columns))
    plane = frame((rows, columns), float(columns), (columns / 2, rows / 2), 0.0)
    ink = letters(plane, text, 0.8 * height, rows - 1.8 * height, height, height / 11)
    ink = np.clip(ink / (0.12 * height), 0, 1)
    halo = np.clip(1.6 * blur(ink, height / 5), 0, 1)
    marked: Plane = pixels * (1 - 0.7 * halo) * (1 - ink) + 0.93 * ink
    return marked
