"""Ribs, clavicles, shoulder blades, humeri and spine."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from napari_wsseg.phantom._canvas import (
    Frame,
    Plane,
    Values,
    ball,
    blur,
    bone_shell,
    bowed,
    capsule,
    grain,
    resample,
    smoothstep,
    tube,
)
from napari_wsseg.phantom._patient import Patient, wall_x

RIBS = 12

Point: TypeAlias = tuple[float, float]


def spine_x(patient: Patient, y: Values) -> Values:
    """Sideways position of the vertebrae at height `y`, mm."""
    return patient.scoliosis * np.sin((y - 20) / 95) - 0.4 * patient.turn


def rib_curve(
    patient: Patient, rib: int, side: int, sag: float, shift: float
) -> Values:
    """Return a rib's axis (N, 3) from spine to front, mm."""
    t = np.linspace(0, 1, 160)
    top = (3.0 if rib == 1 else -8.0) + shift
    top += patient.pitch * (rib - 1) * (1 + 0.006 * rib)
    drop = sag * np.interp(
        rib, [1, 2, 3, 5, 8, 10, 12], [46, 74, 96, 122, 138, 128, 96]
    )
    end = np.interp(rib, [1, 6, 8, 10, 11, 12], [0.86, 0.80, 0.73, 0.64, 0.52, 0.42])
    turn = np.pi * (0.045 + t * (end - 0.045))
    y = top + drop * (1 - np.cos(turn)) / 2 - 5 * np.sin(2 * turn) * (turn < np.pi / 2)
    reach = wall_x(patient, np.maximum(y, 6.0)) + 5
    if rib == 1:
        reach = np.full_like(y, 0.47 * patient.width)
    x = side * reach * np.sin(turn) ** 0.82 + np.where(
        turn < np.pi / 2, spine_x(patient, y), patient.turn
    ) * np.abs(np.cos(turn))
    y = y + 0.10 * max(0, rib - 8) * np.abs(x) * np.sin(turn)
    z = -0.5 * patient.depth * np.cos(turn)
    return np.stack([x, y, z], axis=1)


def ribs(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Path length through the cortex of all ribs, mm."""
    total = np.zeros_like(film.x)
    sag = rng.uniform(0.85, 1.15)
    thick = rng.uniform(0.85, 1.1)
    for rib in range(1, RIBS + 1):
        for side in (-1, 1):
            axis = rib_curve(patient, rib, side, sag, rng.normal(0, 1.0))
            axis = resample(axis, film.step)
            t = np.linspace(0, 1, len(axis))
            height = (6.6 if rib > 1 else 6.0) * thick * (1 - 0.18 * np.sin(np.pi * t))
            height = height * (1 + 0.04 * rng.standard_normal())
            tip = (
                smoothstep(1.0, 0.85, t)
                * smoothstep(-0.01, 0.03, t)
                * (1 - 0.5 * smoothstep(0.3, 0.8, t))
            )
            wall = rng.uniform(1.5, 1.9) * (0.45 if rib == 1 else 1) * tip + 1e-6
            total += bone_shell(film, axis, height + 1.2 * t**6, 3.4, wall)
            flat = np.column_stack([axis[:, :2], 0.9 * height])
            total += 0.16 * tip.mean() * tube(film, flat)
    return total


def girdle(
    film: Frame, patient: Patient, rng: np.random.Generator
) -> tuple[Plane, Plane]:
    """Path length through clavicles, shoulder blades and upper arms, mm of cortex.

    Returns
    -------
    all, clavicles : (H, W)
    """
    total = np.zeros_like(film.x)
    clavicles = np.zeros_like(film.x)
    lift = rng.uniform(-12, 14)
    out = rng.uniform(-4, 26)
    for side in (-1, 1):
        clavicle = _clavicle(film, patient, side, lift, rng)
        clavicles += clavicle
        total += clavicle
        total += _scapula(film, patient, side, lift, out + rng.uniform(-5, 5))
    return total, clavicles


def _clavicle(
    film: Frame, patient: Patient, side: int, lift: float, rng: np.random.Generator
) -> Plane:
    start_y = 44 + rng.uniform(-4, 4)
    tip = patient.width + 28
    t = np.linspace(0, 1, 60)
    x = side * (17 + (tip - 17) * t) + patient.turn * (1 - t)
    y = (
        start_y
        + (-34 + lift - start_y * 0.25) * t
        + 9 * np.sin(2 * np.pi * t)
        - 4 * np.sin(np.pi * t)
    )
    radius = 5.8 + 3.4 * (1 - t) ** 6 + 1.0 * t**4
    radius = radius * bowed(2 * t - 1, 40)
    curve = np.stack([x, y, radius], axis=1)
    marrow = tube(film, curve)
    return tube(film, curve, wall=2.3) + 0.28 * marrow


def _scapula(
    film: Frame, patient: Patient, side: int, lift: float, out: float
) -> Plane:
    """Shoulder blade and upper arm of one side; `out` mm is it rolled off the lung."""
    w = patient.width + out - 8
    inferior = (side * (w - 4), 148.0 + lift)
    glenoid = (side * (w + 30), 40.0 + lift)
    superior = (side * (w - 42), 12.0 + lift)
    root, acromion = (side * (w - 30), 42.0 + lift), (side * (w + 42), 4.0 + lift)
    neck, coracoid = (side * (w + 24), 26.0 + lift), (side * (w + 10), 16.0 + lift)
    bone = 3.4 * _blade(film, side, [superior, glenoid, inferior])
    for start, end, radii, bend in (
        (glenoid, inferior, (4.5, 3.2), -7.0),
        (superior, inferior, (1.6, 2.2), -6.0),
        (root, acromion, (2.2, 6.5), 0.0),
        (neck, coracoid, (6.0, 5.0), 0.0),
    ):
        bone = bone + _edge(film, start, end, radii, side * bend)
    head, elbow = (side * (w + 52), 40.0 + lift), (side * (w + 94), 420.0)
    return bone + _humerus(film, head, elbow)


def _blade(film: Frame, side: int, corners: list[Point]) -> Plane:
    """1 inside a triangle with bowed sides, 0 outside, soft between."""
    inside = np.ones_like(film.x)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        long = np.hypot(dx, dy)
        x, y = film.x - x0, film.y - y0
        along = np.clip((x * dx + y * dy) / long**2, 0, 1)
        off = side * (dx * y - dy * x) / long + 5.0 * np.sin(np.pi * along)
        inside = inside * smoothstep(-1.5, 1.5, off)
    return inside


def _edge(
    film: Frame, start: Point, end: Point, radii: tuple[float, float], bend: float
) -> Plane:
    """Cortex of a rounded border from `start` to `end`, bowed sideways by `bend`."""
    t = np.linspace(0, 1, 40)
    line = np.array(start) + t[:, None] * (np.array(end) - np.array(start))
    line[:, 0] += bend * np.sin(np.pi * t)
    radius = (radii[0] + (radii[1] - radii[0]) * t) * bowed(2 * t - 1, 14)
    return tube(film, np.column_stack([line, radius + 0.2]), wall=1.4)


def _humerus(film: Frame, head: Point, elbow: Point) -> Plane:
    marrow = 0.12 * ball(film, *head, 24) + 0.12 * capsule(film, head, elbow, 12)
    s = np.linspace(-24, 380, 200)  # mm from the middle of the head
    shaft = (11 + 7 * np.exp(-np.maximum(s, 0) / 30)) * (s > 0)
    radius = np.maximum(24 * bowed(np.clip(s / 24, -1, 1)), shaft) + 0.3
    way = np.array(elbow) - np.array(head)
    line = np.array(head) + s[:, None] * way / np.linalg.norm(way)
    wall = 1.2 + 2.2 * smoothstep(20, 70, s)
    bone: Plane = marrow + tube(film, np.column_stack([line, radius]), wall=wall)
    return bone


def spine(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Excess path through vertebrae, mm of cortex: bodies, pedicles, processes."""
    y = film.y
    x = film.x - spine_x(patient, y)
    level = (y + 10) / (patient.pitch * 1.02)
    number = np.floor(level)
    v = level - number - 0.5
    long = patient.pitch * 1.02
    half = np.clip(14.5 + 0.022 * np.maximum(y, -60), 13, 22)
    waist = half * (0.93 + 0.28 * v**2)
    inside = bowed(x / waist, 6, 0.6) * smoothstep(0.47, 0.41, np.abs(v))
    bone = (2.0 + 1.2 * smoothstep(40, 160, y)) * inside
    rim = np.exp(-(((np.abs(v) - 0.40) * long / 1.1) ** 2)) * bowed(x / waist, 6)
    side_edge = np.exp(-(((np.abs(x) - waist + 1) / 1.0) ** 2)) * (np.abs(v) < 0.42)
    pedicle = np.hypot((np.abs(x) - 0.66 * half) / 3.6, (v + 0.16) * long / 5.2)
    ring = np.exp(-(((pedicle - 1) / 0.28) ** 2))
    process = np.hypot(x / 2.6, (v - 0.30) * long / 6.0)
    tear = np.exp(-(((process - 1) / 0.35) ** 2)) + 0.5 * (process < 1)
    wing_y = (v + 0.20) * long / 5.0
    wing = np.exp(-(wing_y**2)) * smoothstep(36, 28, np.abs(x)) * (np.abs(x) > half)
    bone = bone + 1.5 * rim + 0.6 * side_edge + 2.2 * ring + 1.2 * tear + 1.1 * wing
    bone = bone * (1 + 0.06 * grain(rng, film, 1.6))
    return blur(bone.astype(np.float32), 0.5 / film.spacing)


def sternum(film: Frame, patient: Patient) -> Plane:
    """Path through the breastbone, faint in front of the spine, mm of cortex."""
    x = film.x - patient.turn
    half = 12 + 14 * smoothstep(62, 38, film.y)
    band = smoothstep(28, 36, film.y) * smoothstep(210, 196, film.y)
    plane: Plane = 1.2 * bowed(x / half, 8) * band
    return plane
