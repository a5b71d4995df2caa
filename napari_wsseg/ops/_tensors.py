"""Arrays and tensors of callers as tensors to compute on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def floats(values: NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """Return a floating-point tensor that shares no memory that must not change.

    Double precision stays so; everything else becomes single.
    """
    if isinstance(values, torch.Tensor):
        kind = torch.float64 if values.dtype == torch.float64 else torch.float32
        values = values.detach()
        # Apple's GPU knows neither double precision, which the CRF's kernels are made
        # in, nor sparse products.
        return (values.cpu() if values.device.type == "mps" else values).to(kind)
    # A copy: torch wants writable arrays with positive strides.
    wide = np.float64 if values.dtype == np.float64 else np.float32
    return torch.from_numpy(np.array(values, wide))
