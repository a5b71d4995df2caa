"""Soft tissue and air: body wall, mediastinum, heart, airways, belly, lung vessels."""

from __future__ import annotations

import math

import numpy as np
from scipy.interpolate import CubicSpline

from napari_wsseg.phantom._canvas import (
    Frame,
    Plane,
    Values,
    ball,
    blur,
    bowed,
    capsule,
    grain,
    smoothstep,
    splat,
    tube,
)
from napari_wsseg.phantom._patient import Patient, dome_y, wall_x


def body(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Depth of the whole body along the beam, mm: trunk, neck, shoulders, arms."""
    x, y = film.x, film.y
    away = np.abs(x)
    thick = patient.depth + 1.15 * patient.wall + 10
    trunk = patient.width + patient.wall + rng.uniform(-4, 8)
    shoulder = patient.width + 74 + 0.6 * patient.wall
    axilla = rng.uniform(78, 100)
    waist = trunk - rng.uniform(-4, 10) * smoothstep(140, 260, y)
    half = waist + (shoulder - waist) * smoothstep(axilla + 35, axilla - 45, y)
    slope = rng.uniform(0.22, 0.42)
    top = -62 + rng.uniform(-6, 8) + slope * np.maximum(away - 40, 0)
    top = top + 0.004 * np.maximum(away - 130, 0) ** 2
    upper = np.clip((y - top) / 80, 0, 1)
    square = 3.2 + 1.6 * smoothstep(axilla + 20, axilla - 50, y)
    across = np.clip(1 - np.clip(away / half, 0, 1) ** square, 0, 1) ** 0.5
    deep = thick * (0.5 + 0.5 * smoothstep(-60, 140, y))
    chest = deep * across * (upper * (2 - upper)) ** 0.4
    neck_x = rng.normal(0, 2)
    neck = 118 * bowed((x - neck_x) / (52 + 0.25 * patient.wall), 2.2)
    neck = neck * smoothstep(40, -30, y)
    arms = np.zeros_like(x)
    arm_spread = rng.uniform(18, 36)
    for side in (-1, 1):
        start = (side * (patient.width + 56), 42.0)
        end = (side * (patient.width + 66 + 1.6 * arm_spread), 430.0)
        arms = np.maximum(arms, capsule(film, start, end, 45 + 0.3 * patient.wall))
    thickness = (chest**5 + neck**5 + (0.9 * arms) ** 5) ** 0.2
    thickness = (
        thickness + _breasts(film, patient, rng) + _pectorals(film, patient, rng)
    )
    uneven = 1 + 0.018 * grain(rng, film, 28) + 0.007 * grain(rng, film, 7)
    plane: Plane = blur((thickness * uneven).astype(np.float32), 1.2 / film.spacing)
    return plane


def _breasts(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    total = np.zeros_like(film.x)
    height = rng.uniform(175, 225)
    radius = rng.uniform(52, 72) + 0.25 * patient.wall
    deep = rng.uniform(22, 46) + 0.35 * patient.wall
    if not patient.female:
        return total
    for side in (-1, 1):
        x = side * film.x - (0.64 * patient.width + rng.uniform(-6, 6))
        y = film.y - height - rng.uniform(-8, 8)
        y = np.where(y < 0, y * 0.55, y * 1.12)
        total = np.maximum(total, deep * bowed(np.hypot(x, y) / radius, 2.2, 0.62))
    return total


def _pectorals(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    total = np.zeros_like(film.x)
    deep = rng.uniform(4, 12) * (0.5 if patient.female else 1.0)
    for side in (-1, 1):
        x = side * film.x
        edge = 95 + 0.28 * (patient.width + 15 - x) + rng.uniform(-8, 8)
        total = total + deep * smoothstep(6, -25, film.y - edge) * smoothstep(
            25, 95, x
        ) * smoothstep(-20, 40, film.y)
    return total


def midline(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Depth of lung displaced by great vessels, aorta and spine muscles, mm."""
    x, y = film.x, film.y
    turn = 0.5 * patient.turn
    arch_y = patient.hilum - rng.uniform(32, 42)
    radius = patient.arch
    knob_x = rng.uniform(20, 28) + turn
    age = rng.uniform(0.0, 1.0)
    upper = smoothstep(75, 10, y)
    right = 24 + 7 * upper + 4 * np.sin(y / 23) * upper + rng.uniform(-2, 4)
    left = 21 + 9 * upper + 4 * np.sin(y / 19 + 2) * upper + rng.uniform(-2, 3)
    side = np.where(x < turn, (turn - x) / right, (x - turn) / left)
    column = (52 + 50 * smoothstep(110, 20, y)) * bowed(side, 2.2, 0.75)
    aorta_x = knob_x + 0.25 * radius - (0.35 - 0.3 * age) * 0.1 * (y - arch_y)
    down = 1.6 * radius * bowed((x - aorta_x) / (0.85 * radius))
    down = down * smoothstep(arch_y - 6, arch_y + 12, y)
    arch = 2.1 * ball(film, knob_x, arch_y, radius)
    cava_x = -(17 + rng.uniform(0, 6)) + turn
    cava = 46 * bowed((x - cava_x) / 13) * smoothstep(20, 45, y)
    cava = cava * smoothstep(patient.hilum + 60, patient.hilum + 20, y)
    bulge = np.hypot((x - 15 - turn) / 22, (y - patient.hilum + 1) / 30)
    trunk = 44 * bowed(bulge, 2.0, 0.7)
    ascending = 0.9 * capsule(
        film, (-12 + turn, patient.hilum - 25), (-10 + turn, patient.hilum + 40), 21
    )
    for lung in (-1, 1):  # nodes, bronchi and fat around the hila
        off = np.hypot(
            (lung * x - 33) / 17, (y - patient.hilum - (9 if lung < 0 else 1)) / 26
        )
        trunk = trunk + 20 * bowed(off, 1.6, 0.9)
    vessels = (down**3 + arch**3 + cava**3 + trunk**3 + ascending**3) ** (1 / 3)
    plane: Plane = (column + vessels).astype(np.float32)
    return plane


def heart(film: Frame, patient: Patient, rho: Plane) -> Plane:
    """Depth of the heart along the beam, mm; `rho` is 1 on its outline."""
    deep = min(1.15 * (patient.heart_left + patient.heart_right), 0.95 * patient.depth)
    return deep * bowed(rho, 2.6, 0.55)


def airway(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Depth of air in trachea and main bronchi, mm."""
    carina = patient.hilum - rng.uniform(8, 14)
    bend = -rng.uniform(0, 5) + 0.3 * patient.turn
    y = np.linspace(-95, carina, 40)
    middle = bend * np.exp(-(((y - carina + 30) / 32) ** 2)) + 0.25 * patient.turn
    radius = np.full_like(y, rng.uniform(7.2, 9.0))
    air = tube(film, np.stack([middle, y, radius], axis=1))
    start = (middle[-1], carina - 4)
    for side, tilt, long in ((-1, 1.25, 40), (1, 0.78, 52)):
        t = np.linspace(0, 1, 20)
        x = start[0] + side * long * t
        down = start[1] + long * tilt * t**0.9
        air = np.maximum(air, tube(film, np.stack([x, down, 6.4 - 2.4 * t], axis=1)))
    return blur(air, 0.6 / film.spacing)


def belly_gas(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Depth of gas in stomach and bowel below the left dome, mm."""
    x0 = rng.uniform(45, 85)
    roof = float(dome_y(patient, np.array([x0]), 1)[0])
    wide, tall = rng.uniform(16, 38), rng.uniform(10, 20)
    y0 = roof + tall + rng.uniform(7, 14)
    warp = 0.12 * grain(rng, film, 22)
    bubble = np.hypot((film.x - x0) / wide, (film.y - y0) / tall) + warp
    level = y0 + tall * rng.uniform(0.1, 0.9)
    gas = 34 * bowed(bubble) * smoothstep(level + 1, level - 1, film.y)
    gas = gas * float(rng.random() < 0.85)
    for _ in range(int(rng.integers(0, 9))):
        x, y = rng.uniform(-40, 120), roof + rng.uniform(45, 110)
        size = rng.uniform(8, 17)
        near = np.hypot(film.x - x, (film.y - y) * 1.25) / size + warp
        gas = np.maximum(gas, rng.uniform(8, 22) * bowed(near))
    return blur(gas.astype(np.float32), 0.8 / film.spacing)


def _grow(
    patient: Patient, side: int, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Return the segments (x0, y0, r0, x1, y1, r1) of one lung's vessels."""
    segments: list[tuple[float, ...]] = []
    hilum = patient.hilum + (5.0 if side < 0 else -4.0)
    roots = []
    for angle in (-82, -58, -30, -2, 22, 44, 62, 80):
        radius = rng.uniform(3.4, 5.2) * (1.15 if angle > 30 else 0.9)
        radius *= 0.6 if abs(angle) > 70 else 1.0
        begin = (side * rng.uniform(24, 34), hilum + 0.22 * angle + rng.normal(0, 3))
        roots.append((*begin, np.deg2rad(angle + rng.normal(0, 7)), radius))
    for angle in (8, 24, 38):  # lower veins run flatter, to the left atrium
        begin = (side * rng.uniform(18, 26), hilum + 34 + rng.normal(0, 4))
        roots.append((*begin, np.deg2rad(angle), rng.uniform(2.8, 4.0)))
    lowest, step = patient.dome_left + 50, 3.5
    wall = (wall_x(patient, np.arange(-2.0, lowest + 2)) - 3).tolist()
    while roots:
        x, y, angle, radius = roots.pop()
        left = (7 + 6 * rng.random()) * radius**0.6 + 5
        bend = 0.012 * rng.standard_normal()
        while left > 0:
            angle += bend * step + 0.04 * rng.standard_normal()
            x1, y1 = x + side * step * math.cos(angle), y + step * math.sin(angle)
            r1 = radius * 0.975
            segments.append((x, y, radius, x1, y1, r1))
            x, y, radius, left = x1, y1, r1, left - step
        inside = -2 < y < lowest and abs(x) < wall[int(y) + 2]
        if radius > 0.32 and inside:
            fork = 0.25 + 0.4 * rng.random()
            sign = 1.0 if rng.random() < 0.5 else -1.0
            roots.append((x, y, angle + sign * fork * 0.4, radius * 0.86))
            roots.append(
                (x, y, angle - sign * fork, radius * (0.5 + 0.22 * rng.random()))
            )
    return segments


def vessels(film: Frame, patient: Patient, rng: np.random.Generator) -> Plane:
    """Path length through pulmonary vessels, mm, of both lungs."""
    table = np.array(_grow(patient, -1, rng) + _grow(patient, 1, rng))
    thick = table[:, 2] > 1.2
    wide = blur(segments_depth(film, table[thick]), 0.9 / film.spacing)
    return 0.75 * wide + segments_depth(film, table[~thick])


def segments_depth(film: Frame, table: Values) -> Plane:
    """Path length through many short round segments (x0, y0, r0, x1, y1, r1), mm."""
    start, end = table[:, :3], table[:, 3:]
    along = end[:, :2] - start[:, :2]
    length = np.hypot(along[:, 0], along[:, 1])
    count = max(3, int(np.ceil(float(length.max()) / film.step)))
    t = ((np.arange(count) + 0.5) / count)[None, :, None]
    points = start[:, None] + t * (end - start)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / length[:, None]
    across = max(5, int(np.ceil(3.5 * float(start[:, 2].max()) / film.step)))
    turn = (np.arange(across) + 0.5) * np.pi / across
    radius = points[..., 2:]
    off = radius * np.cos(turn)
    x = points[..., :1] + off * normal[:, None, :1]
    y = points[..., 1:2] + off * normal[:, None, 1:]
    share = (np.pi / across) * (length / count)[:, None, None]
    return splat(film, x, y, 2 * (radius * np.sin(turn)) ** 2 * share)


def parenchyma(film: Frame, rng: np.random.Generator) -> Plane:
    """Relative unevenness of aerated lung, mean 0 (H, W)."""
    fine = grain(rng, film, 1.3)
    middle = grain(rng, film, 3.2)
    coarse = grain(rng, film, 14)
    plane: Plane = 0.028 * fine + 0.022 * middle + 0.04 * coarse
    return plane


def fissure(patient: Patient, rng: np.random.Generator) -> Values:
    """Return the minor fissure (N, 3) of the right lung: x, y and radius, mm."""
    y = patient.hilum + rng.uniform(0, 14)
    knots = np.array([-40.0, -80.0, -patient.width + 4])
    spline = CubicSpline([0, 1, 2], [y, y - rng.uniform(-2, 5), y + rng.uniform(2, 9)])
    t = np.linspace(0, 2, 40)
    x = np.interp(t, [0, 1, 2], knots)
    return np.stack([x, spline(t), np.full_like(t, 0.45)], axis=1)
