"""The film plane: pixels in millimetres, and mass projected onto it.

Everything is described in the patient's millimetres: ``x`` to the patient's left (the
right of the image), ``y`` downwards from the lung apices, ``z`` from back to front. The
beam runs along ``z``, so a solid's shadow is what remains when ``z`` is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane: TypeAlias = NDArray[np.float32]
"""(H, W) values over the film."""

Values: TypeAlias = NDArray[np.floating]

_FINEST_MM = 0.3  # solids are never sampled finer: a detector blurs more than that


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where every pixel centre of the film lies in the patient.

    Parameters
    ----------
    spacing
        Millimetres per pixel, the same along both sides.
    centre
        Patient (x, y) at the middle of the film, mm.
    angle
        Turn of the patient in the film plane, radians.
    x, y : (H, W) float32
        Patient coordinates of pixel centres, mm.
    """

    spacing: float
    centre: tuple[float, float]
    angle: float
    x: Plane
    y: Plane

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.x.shape[0], self.x.shape[1]

    @property
    def step(self) -> float:
        """Distance between the samples of a solid, mm."""
        return max(_FINEST_MM, 0.7 * self.spacing)

    def to_pixels(self, x: Values, y: Values) -> tuple[Values, Values]:
        """Return the fractional (rows, columns) of patient points."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        x, y = x - self.centre[0], y - self.centre[1]
        across, down = cos * x + sin * y, -sin * x + cos * y
        rows, columns = self.shape
        return (
            down / self.spacing + (rows - 1) / 2,
            across / self.spacing + (columns - 1) / 2,
        )


def frame(
    shape: tuple[int, int], width_mm: float, centre: tuple[float, float], angle: float
) -> Frame:
    """Lay a film of `shape` pixels and `width_mm` over the patient."""
    spacing = width_mm / shape[1]
    down, across = np.meshgrid(
        (np.arange(shape[0]) - (shape[0] - 1) / 2) * spacing,
        (np.arange(shape[1]) - (shape[1] - 1) / 2) * spacing,
        indexing="ij",
    )
    cos, sin = np.cos(angle), np.sin(angle)
    x = cos * across - sin * down + centre[0]
    y = sin * across + cos * down + centre[1]
    return Frame(spacing, centre, angle, x.astype(np.float32), y.astype(np.float32))


def splat(film: Frame, x: Values, y: Values, mass: Values) -> Plane:
    """Project weighted points: their mass per mm² in each pixel, (H, W)."""
    rows, columns = film.shape
    row, column = film.to_pixels(x.ravel(), y.ravel())
    inside = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1)
    row, column, mass = row[inside], column[inside], mass.ravel()[inside]
    plane = np.zeros(film.shape, np.float32)
    if not mass.size:
        return plane
    top, left = row.astype(np.int64), column.astype(np.int64)
    down, right = row - top, column - left
    first_row, last_row = int(top.min()), int(top.max()) + 2
    band = (last_row - first_row) * columns
    start = (top - first_row) * columns + left
    total = np.zeros(band)
    for step, share in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (columns, down * (1 - right)),
        (columns + 1, down * right),
    ):
        total += np.bincount(start + step, mass * share, band)
    plane[first_row:last_row] = (total / film.spacing**2).reshape(-1, columns)
    return plane


def resample(curve: Values, step: float) -> Values:
    """Return the polyline `curve` (N, D) again with points every `step` mm."""
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, int(np.ceil(along[-1] / step)) + 1)
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, column) for column in curve.T], axis=1)


def tube(film: Frame, curve: Values, *, wall: float | Values | None = None) -> Plane:
    """Path length through a round tube, mm (H, W).

    Parameters
    ----------
    curve : (N, 3)
        Patient x, y and radius along the tube, mm.
    wall
        Thickness of its wall, mm, the same or per point of the curve, when it is
        hollow; a solid wire when ``None``.
    """
    if wall is not None:
        curve = np.column_stack([curve, np.broadcast_to(wall, len(curve))])
    points = resample(curve, film.step)
    slope = np.gradient(points[:, :2], axis=0)
    length = np.linalg.norm(slope, axis=1) + 1e-9
    # a polyline's corners would show as ribs across the tube
    slope = ndimage.gaussian_filter1d(slope, 2.5 / film.step, axis=0, mode="nearest")
    slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-9
    normal = np.stack([-slope[:, 1], slope[:, 0]], axis=1)
    radius = points[:, 2:3]
    count = max(6, int(np.ceil(3.2 * float(radius.max()) / film.step)))
    turn = (np.arange(count) + 0.5) * np.pi / count
    x = points[:, :1] + radius * np.cos(turn) * normal[:, :1]
    y = points[:, 1:2] + radius * np.cos(turn) * normal[:, 1:]
    if wall is None:
        mass = 2 * (radius * np.sin(turn)) ** 2
    else:
        mass = 2 * points[:, 3:] * radius * np.ones_like(turn)
    return splat(film, x, y, mass * (np.pi / count) * length[:, None])


def bone_shell(
    film: Frame, curve: Values, height: Values, depth: float, wall: Values
) -> Plane:
    """Path length through the cortex of a flat, bent bone, mm (H, W).

    Being sampled in space, it is bright where the beam grazes it: at its edges, and
    where it turns along the beam at the side of the chest.

    Parameters
    ----------
    curve : (N, 3)
        Patient x, y, z of its axis, mm; already sampled finely.
    height : (N,)
        Half-height, mm, across the axis and as upright as it can be.
    depth
        Half-thickness, mm.
    wall : (N,)
        Thickness of the cortex, mm.
    """
    slope = np.gradient(curve, axis=0)
    length = np.linalg.norm(slope, axis=1, keepdims=True) + 1e-9
    tangent = slope / length
    upright = np.array([0.0, 1.0, 0.0]) - tangent[:, 1:2] * tangent
    upright /= np.linalg.norm(upright, axis=1, keepdims=True) + 1e-9
    thin = np.cross(tangent, upright)
    count = max(16, int(np.ceil(4.5 * float(height.max()) / film.step)))
    turn = (np.arange(count) + 0.5) * 2 * np.pi / count
    high = height[:, None] * np.cos(turn)
    x = curve[:, :1] + high * upright[:, :1] + depth * np.sin(turn) * thin[:, :1]
    y = curve[:, 1:2] + high * upright[:, 1:2] + depth * np.sin(turn) * thin[:, 1:2]
    arc = np.hypot(height[:, None] * np.sin(turn), depth * np.cos(turn))
    mass = wall[:, None] * arc * (2 * np.pi / count) * length
    return splat(film, x, y, mass)


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur, `sigma` in pixels; a wide one is made on a coarser grid."""
    factor = int(sigma // 6)
    if factor < 2:
        near: Plane = ndimage.gaussian_filter(
            plane, sigma, mode="nearest", truncate=3.0
        )
        return near
    rows, columns = plane.shape
    padded = np.pad(plane, ((0, -rows % factor), (0, -columns % factor)), mode="edge")
    coarse = padded.reshape(
        padded.shape[0] // factor, factor, padded.shape[1] // factor, factor
    ).mean((1, 3))
    coarse = ndimage.gaussian_filter(coarse, sigma / factor, mode="nearest")
    wide: Plane = ndimage.zoom(coarse, factor, order=1, mode="nearest", grid_mode=True)[
        :rows, :columns
    ]
    return wide


def grain(rng: np.random.Generator, film: Frame, scale_mm: float) -> Plane:
    """Smooth noise of mean 0, deviation 1 and grain `scale_mm` (H, W).

    It is drawn on a grid of millimetres, so a film looks alike at every size.
    """
    step = max(scale_mm / 1.5, 0.05)
    rows = int(np.ceil(film.shape[0] * film.spacing / step)) + 4
    columns = int(np.ceil(film.shape[1] * film.spacing / step)) + 4
    coarse = rng.standard_normal((rows, columns), np.float32)
    coarse = ndimage.gaussian_filter(coarse, 1.0, mode="wrap")
    coarse /= coarse.std()
    row = (np.arange(film.shape[0]) + 0.5) * film.spacing / step + 1
    column = (np.arange(film.shape[1]) + 0.5) * film.spacing / step + 1
    across = _stretch(coarse, column, axis=1)
    return _stretch(across, row, axis=0)


def _stretch(values: Plane, at: Values, axis: int) -> Plane:
    low = at.astype(np.int64)
    share = (at - low).astype(np.float32)
    share = share if axis == 1 else share[:, None]
    lower, upper = np.take(values, low, axis), np.take(values, low + 1, axis)
    stretched: Plane = lower + share * (upper - lower)
    return stretched


def smoothstep(edge0: float, edge1: float, values: Values) -> Plane:
    """0 below `edge0`, 1 above `edge1`, smooth between."""
    t = np.clip((values - edge0) / (edge1 - edge0), 0, 1).astype(np.float32)
    step: Plane = t * t * (3 - 2 * t)
    return step


def bowed(values: Values, power: float = 2.0, root: float = 0.5) -> Plane:
    """Thickness of a rounded body, 1 in its middle and 0 where ``values`` = ±1."""
    inside = np.clip(1 - np.abs(values) ** power, 0, 1)
    thickness: Plane = (inside**root).astype(np.float32)
    return thickness


def capsule(
    film: Frame, start: tuple[float, float], end: tuple[float, float], radius: float
) -> Plane:
    """Path length through a round-ended cylinder, mm (H, W)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    x, y = film.x - start[0], film.y - start[1]
    t = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    off = np.hypot(x - t * dx, y - t * dy)
    return 2 * radius * bowed(off / radius)


def ball(film: Frame, x: float, y: float, radius: float) -> Plane:
    """Path length through a sphere, mm (H, W)."""
    return 2 * radius * bowed(np.hypot(film.x - x, film.y - y) / radius)
