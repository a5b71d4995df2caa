"""Fully connected CRF (Krähenbühl & Koltun 2011, arXiv:1210.5644) for radiographs.

Mean field with two Gaussian kernels and the Potts model, as everybody runs it:
``Q ← softmax(log P + Σ_m w_m K̃_m Q)`` with ``K̃ = D^-½ K D^-½``, D the row sums of K,
and K including each pixel's kernel with itself. Three backends mean the same thing by
the same parameters:

- ``"grid"``: a bilateral grid over rows, columns and grey levels; any size, any device.
  Colour has too many coordinates for it and takes a sparse lattice, on the CPU; up to
  64 × 64 pixels the full sum.
- ``"exact"``: the full N × N sum in double precision; the truth, for small images.
- ``"pydensecrf"``: the usual C++ package, optional, always in a process of its own.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_wsseg.ops._tensors import floats
from napari_wsseg.ops.crf_solvers import external, mean_field
from napari_wsseg.ops.crf_solvers.params import DEFAULTS, CrfParams

__all__ = [
    "DEFAULTS",
    "Backend",
    "CrfParams",
    "dense_crf",
    "dense_crf_binary",
]

Array = TypeVar("Array", NDArray[Any], torch.Tensor)
Backend: TypeAlias = Literal["grid", "pydensecrf", "exact"]

_FLOOR = 1e-5
"""Least probability of a label: no pixel is beyond persuasion."""


def dense_crf(
    probabilities: Array,
    image: NDArray[Any] | torch.Tensor,
    *,
    params: CrfParams = DEFAULTS,
    backend: Backend = "grid",
) -> Array:
    """Refine the probabilities of K labels that exclude each other.

    Parameters
    ----------
    probabilities : (K, H, W) float
        K >= 2 labels, of which background is usually the first. They need not sum to
        one; values below 1e-5 count as 1e-5. numpy, or torch on any device.
    image : (H, W)
        float in [0, 1], or uint8; colour is (H, W, 3). ``"pydensecrf"`` rounds it to 8
        bits, the others do not.
    params
        Kernels, see `CrfParams`.
    backend
        See the module.

    Returns
    -------
    (K, H, W)
        Sums to one over K; same kind, device and floating type as `probabilities`.

    Raises
    ------
    ValueError
        If shapes or ranges are off, or the image is too large for ``"exact"``.
    UsageError
        If ``"pydensecrf"`` is asked for and not installed.
    """
    start = _probabilities(probabilities, image)
    if len(start) < 2:
        raise ValueError(
            "one label has no other to lose to; use dense_crf_binary for one finding"
        )
    unary = start.clamp(min=_FLOOR).log()
    if backend == "pydensecrf":
        refined = _external(unary[None], image, params)[0]
    else:
        levels = _levels_for(backend, image, unary.device)
        refined = mean_field.solve(unary, levels, params, backend)
    return _like(refined, probabilities)


def dense_crf_binary(
    foreground: Array,
    image: NDArray[Any] | torch.Tensor,
    *,
    params: CrfParams = DEFAULTS,
    backend: Backend = "grid",
) -> Array:
    """Refine K findings that may overlap, each against its own background.

    K two-label CRFs on one image. They share kernels, and each needs one channel, as
    ``K̃(1 − q) = K̃1 − K̃q``.

    Parameters
    ----------
    foreground : (K, H, W) float in [0, 1]
        Probability of each finding.
    image, params, backend
        As in `dense_crf`.

    Returns
    -------
    (K, H, W)
        Refined probability of each finding; same kind, device and floating type.
    """
    start = _probabilities(foreground, image)
    if not len(start):
        return _like(start, foreground)
    ours, others = start.clamp(min=_FLOOR).log(), (1 - start).clamp(min=_FLOOR).log()
    if backend == "pydensecrf":
        return _like(
            _external(torch.stack([others, ours], 1), image, params)[:, 1], foreground
        )
    levels = _levels_for(backend, image, start.device)
    refined = mean_field.solve_binary(start, ours.sub_(others), levels, params, backend)
    return _like(refined, foreground)


def _external(
    unary: torch.Tensor, image: NDArray[Any] | torch.Tensor, params: CrfParams
) -> torch.Tensor:
    levels = _grey_levels(image, torch.device("cpu"))
    rgb = (levels if levels.ndim == 3 else levels[..., None].expand(-1, -1, 3)).round()
    refined = external.infer(
        (-unary).cpu().numpy(), rgb.to(torch.uint8).numpy(), params
    )
    return torch.from_numpy(refined).to(unary.device)


def _probabilities(
    values: NDArray[Any] | torch.Tensor, image: NDArray[Any] | torch.Tensor
) -> torch.Tensor:
    if values.ndim != 3 or tuple(image.shape[:2]) != tuple(values.shape[1:]):
        raise ValueError(
            f"probabilities are {tuple(values.shape)} but the image is "
            f"{tuple(image.shape)}; give (K, H, W) and (H, W), resized to the same grid"
        )
    start = floats(values)
    if not bool(((start >= 0) & (start <= 1)).all()):
        raise ValueError(
            "probabilities leave [0, 1] or hold NaN; give them after the sigmoid"
        )
    return start


def _grey_levels(
    image: NDArray[Any] | torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Return an (H, W) or (H, W, 3) image in levels of 0 … 255."""
    eight_bit = image.dtype in (np.uint8, torch.uint8)
    levels = floats(image).to(device)
    if not eight_bit:
        if not bool(((levels >= 0) & (levels <= 1)).all()):
            raise ValueError(
                f"the image is {image.dtype} from {float(levels.min()):g} to "
                f"{float(levels.max()):g}; give float in [0, 1] or uint8"
            )
        levels = levels * 255
    if levels.ndim != 2 and levels.shape[2:] != (3,):
        raise ValueError(f"the image is {tuple(image.shape)}; give (H, W) or (H, W, 3)")
    return levels


def _levels_for(
    backend: Backend, image: NDArray[Any] | torch.Tensor, device: torch.device
) -> torch.Tensor:
    levels = _grey_levels(image, device)
    if (
        backend == "grid"
        and levels.ndim == 3
        and bool((levels == levels[..., :1]).all())
    ):
        # Three equal colours are grey, which the grid does better.
        return levels[..., 0]
    return levels


def _like(refined: torch.Tensor, given: Array) -> Array:
    if isinstance(given, np.ndarray):
        kind = np.float64 if given.dtype == np.float64 else np.float32
        return refined.cpu().numpy().astype(kind, copy=False)
    kinds = given.dtype if given.dtype.is_floating_point else torch.float32
    return refined.to(given.device, kinds)
