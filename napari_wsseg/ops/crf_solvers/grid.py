"""The CRF's messages on a bilateral grid (Chen, Paris & Durand 2007).

A grey image needs three coordinates only, row, column and grey level, so the kernel is
a plain Gaussian blur on a small dense grid: every pixel is shared out over the cells
around it, the cells are blurred along each axis, and every pixel reads its cells back.
Both linear interpolations blur by themselves; the Gaussian is narrowed by as much.

The grid and its weights are made once for an image and serve every finding and every
iteration. Both normalisations and the kernels' weights are folded into them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from scipy import sparse

from napari_wsseg.ops.crf_solvers import lattice

if TYPE_CHECKING:
    from napari_wsseg.ops.crf_solvers.params import CrfParams

PER_SIGMA = 2.0
"""Least number of cells of the grid per standard deviation."""

_FINE, _AFFORDABLE = 4.0, 28
"""Up to `_FINE` cells, as long as the film is no more than `_AFFORDABLE` cells long."""

_CELLS = 1 << 26
"""Most cells of one grid: 268 MB."""

_REACH = 4.5
"""Standard deviations after which a Gaussian counts as zero."""

_PARTS = 8
"""Most parts of the pixels; each has a grid of its own to add into."""

Apply: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Strips: TypeAlias = Sequence[tuple[slice, torch.Tensor]]


class Axis(NamedTuple):
    """Where the pixels lie along one axis of the grid.

    Parameters
    ----------
    low
        Lower cell of each pixel.
    share
        Share in [0, 1) that goes to the next cell; ``None`` where all pixels lie on
        cells.
    blur : (n, n)
        Gaussian between cells.
    sigma
        Its standard deviation in cells.
    """

    low: torch.Tensor
    share: torch.Tensor | None
    blur: torch.Tensor
    sigma: float

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.blur)

    def corners(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the cells a pixel is shared over, with its weights there."""
        if self.share is None:
            yield self.low, torch.ones_like(self.low, dtype=torch.float32)
        else:
            yield self.low, 1 - self.share
            yield self.low + 1, self.share


def messages(levels: torch.Tensor, params: CrfParams, *, parts: int = 1) -> Apply:
    """Return Q ↦ Σ_m w_m K̃_m Q for (C, H, W) maps on one image.

    Parameters
    ----------
    levels : (H, W) or (H, W, 3)
        Image in grey levels of 0 … 255; colour goes by `lattice`.
    params
        Widths and weights of the kernels.
    parts
        Threads that share the pixels of one map, on a CPU.
    """
    kernels: list[Apply] = []
    if params.smooth_compat:
        kernels.append(_smoothness(levels, params))
    if params.bilateral_compat:
        grey = levels.ndim == 2
        kernels.append(
            _appearance(levels, params, parts)
            if grey
            else lattice.appearance(levels, params)
        )

    # One map after the other stays in a CPU's cache; a GPU wants them all at once.
    at_once = 1 if levels.device.type == "cpu" else None

    def send(beliefs: torch.Tensor) -> torch.Tensor:
        total = torch.zeros_like(beliefs, dtype=torch.float32)
        step = at_once or len(beliefs)
        for some in range(0, len(beliefs), step):
            maps = beliefs[some : some + step].float()
            for kernel in kernels:
                total[some : some + step] += kernel(maps)
        return total

    return send


def axis(positions: torch.Tensor, sigma: float, per_cell: float) -> Axis:
    """Lay pixels on the cells of one axis, and make the blur between cells.

    Parameters
    ----------
    positions
        Row, column or grey level of every pixel, of any shape.
    sigma
        Standard deviation of the kernel, in the unit of `positions`.
    per_cell
        Width of a cell in that unit, below √3 times `sigma`.
    """
    cells = (positions - positions.min()) / per_cell
    # Grey levels that came through float arithmetic are still whole levels.
    rounded = cells.round()
    on_cells = bool((cells - rounded).abs().max() < 1e-3)
    low = rounded if on_cells else cells.floor()
    count = int(low.max()) + (1 if on_cells else 2)
    # Sharing out and reading back each blur by a variance of 1/6 cell².
    variance = (sigma / per_cell) ** 2 - (0 if on_cells else 1 / 3)
    steps = torch.arange(count, device=cells.device, dtype=torch.float64)
    blur = (-((steps[:, None] - steps) ** 2) / (2 * variance)).exp().float()
    share = None if on_cells else (cells - low).float()
    return Axis(low.to(torch.int32), share, blur, math.sqrt(variance))


def _appearance(levels: torch.Tensor, params: CrfParams, parts: int) -> Apply:
    height, width = levels.shape
    axes = _axes(levels, params)
    y, x, grey = axes
    index, weight = _shares(axes, height, width)
    shape = (y.cells, x.cells, grey.cells)
    pixels = _Pixels(index, weight, math.prod(shape), parts)

    greys = _strips(grey.blur, grey.sigma)

    def through(beliefs: torch.Tensor) -> torch.Tensor:
        cells = pixels.share_out(beliefs.flatten(1)).reshape(-1, *shape)
        cells = y.blur @ cells.flatten(2)
        cells = _along_last(x.blur @ cells.reshape(-1, *shape), greys)
        return pixels.read_back(cells.flatten(1)).reshape(beliefs.shape)

    sums = through(torch.ones_like(levels[None], dtype=torch.float32))
    pixels.scale(sums.flatten().rsqrt())
    y.blur.mul_(params.bilateral_compat)
    return through


def _axes(levels: torch.Tensor, params: CrfParams) -> tuple[Axis, Axis, Axis]:
    height, width = levels.shape
    reach = params.bilateral_sigma_xy
    rows = torch.arange(height, device=levels.device, dtype=torch.float64)
    columns = torch.arange(width, device=levels.device, dtype=torch.float64)
    affordable = _AFFORDABLE * reach / max(height, width)
    cell = reach / min(max(PER_SIGMA, affordable), _FINE)
    y, x = axis(rows, reach, cell), axis(columns, reach, cell)
    # Whole levels, so that 8-bit images lie on cells: half the work, and exact.
    sigma = params.bilateral_sigma_grey
    level = 1 / math.ceil(PER_SIGMA / sigma)
    span = float(levels.max() - levels.min())
    if y.cells * x.cells * (span / level + 2) > _CELLS:
        level = sigma / PER_SIGMA
    if y.cells * x.cells * (span / level + 2) > _CELLS:
        raise ValueError(
            f"a bilateral reach of {reach:g} px and {sigma:g} grey levels on "
            f"{height} × {width} pixels needs too large a grid; make either longer"
        )
    return y, x, axis(levels.double(), sigma, level)


def _shares(
    axes: tuple[Axis, Axis, Axis], height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cell index and weight, (H * W, corners), of what each pixel gives."""
    y, x, grey = axes
    corners = [
        (rows, columns, greys)
        for rows in y.corners()
        for columns in x.corners()
        for greys in grey.corners()
    ]
    size = (height, width, len(corners))
    index = torch.empty(size, dtype=torch.int32, device=y.low.device)
    weight = torch.empty(size, dtype=torch.float32, device=y.low.device)
    for place, ((v, by_row), (u, by_column), (g, by_grey)) in enumerate(corners):
        index[..., place] = (v[:, None] * x.cells + u) * grey.cells + g
        weight[..., place] = by_row[:, None] * by_column * by_grey
    return index.flatten(0, 1), weight.flatten(0, 1)


class _Pixels:
    """The way between pixels and cells; its two directions are each other's adjoint.

    On the CPU the weights are a sparse matrix, read by rows one way and by columns the
    other, so that nothing is sorted or stored twice. It is cut into as many parts as
    threads shall share it: scipy lets go of the interpreter lock.
    """

    def __init__(
        self, index: torch.Tensor, weight: torch.Tensor, cells: int, parts: int = 1
    ) -> None:
        self._index, self._weight, self._cells = index, weight, cells
        self._parts: list[sparse.csr_matrix] = []
        if index.device.type == "cpu":
            pieces = index.chunk(min(parts, _PARTS)), weight.chunk(min(parts, _PARTS))
            self._parts = [_rows(*piece, cells) for piece in zip(*pieces, strict=True)]
            self._adjoints = [part.T for part in self._parts]
            self._pool = ThreadPoolExecutor(len(self._parts))

    def scale(self, factor: torch.Tensor) -> None:
        """Multiply what each pixel gives and gets by `factor`, (N,), for good."""
        self._weight *= factor[:, None]  # the parts see the same memory

    def share_out(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the (C, cells) that (C, N) pixels add up to."""
        if self._parts:
            return torch.stack([self._share_out(one) for one in maps])
        cells = maps.new_zeros((len(maps), self._cells))
        flat = self._index.flatten()
        for one, pixels in zip(cells, maps, strict=True):
            one.index_add_(0, flat, (self._weight * pixels[:, None]).flatten())
        return cells

    def read_back(self, cells: torch.Tensor) -> torch.Tensor:
        """Return the (C, N) pixels that read (C, cells)."""
        if self._parts:
            return torch.stack([self._read_back(one) for one in cells])
        return torch.stack([(one[self._index] * self._weight).sum(1) for one in cells])

    def _share_out(self, pixels: torch.Tensor) -> torch.Tensor:
        if len(self._parts) == 1:
            return torch.from_numpy(self._adjoints[0] @ pixels.numpy())
        given = (part.numpy() for part in pixels.chunk(len(self._parts)))
        sums = self._pool.map(operator.matmul, self._adjoints, given)
        return torch.from_numpy(np.sum(list(sums), 0))

    def _read_back(self, cells: torch.Tensor) -> torch.Tensor:
        if len(self._parts) == 1:
            return torch.from_numpy(self._parts[0] @ cells.numpy())
        read = list(self._pool.map(lambda part: part.dot(cells.numpy()), self._parts))
        return torch.from_numpy(np.concatenate(read))


def _rows(index: torch.Tensor, weight: torch.Tensor, cells: int) -> sparse.csr_matrix:
    """Return a sparse matrix over the same memory: one row a pixel."""
    count, corners = index.shape
    ends = np.arange(0, index.numel() + 1, corners, dtype=np.int32)
    parts = (weight.numpy().ravel(), index.numpy().ravel(), ends)
    return sparse.csr_matrix(parts, shape=(count, cells), copy=False)


def _smoothness(levels: torch.Tensor, params: CrfParams) -> Apply:
    """Return the spatial kernel: rows and columns apart, and so their sums too."""
    height, width = levels.shape[:2]
    sigma = params.smooth_sigma_xy
    down = _normalised(height, sigma) * params.smooth_compat
    along = _normalised(width, sigma)
    blur_down = _strips(down.to(levels.device), sigma)
    blur_along = _strips(along.to(levels.device), sigma)

    def blur(beliefs: torch.Tensor) -> torch.Tensor:
        rows = [band @ beliefs[:, source] for source, band in blur_down]
        return _along_last(torch.cat(rows, 1), blur_along)

    return blur


def _normalised(size: int, sigma: float) -> torch.Tensor:
    places = torch.arange(size, dtype=torch.float64)
    kernel = (-((places[:, None] - places) ** 2) / (2 * sigma**2)).exp()
    scale = kernel.sum(1).rsqrt()
    return kernel * scale * scale[:, None]


def _strips(kernel: torch.Tensor, sigma: float) -> Strips:
    """Cut a banded (n, n) matrix into strips, with the inputs that each one needs."""
    size, reach = len(kernel), math.ceil(_REACH * sigma)
    step = max(64, reach)
    strips = []
    for top in range(0, size, step):
        source = slice(max(0, top - reach), min(size, top + step + reach))
        strips.append((source, kernel[top : top + step, source].float().contiguous()))
    return strips


def _along_last(maps: torch.Tensor, strips: Strips) -> torch.Tensor:
    return torch.cat([maps[..., source] @ band.T for source, band in strips], -1)
