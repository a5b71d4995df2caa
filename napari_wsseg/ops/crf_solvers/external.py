"""pydensecrf, in a child process: it never lets go of the interpreter's lock.

Run as ``python -m napari_wsseg.ops.crf_solvers.external`` it is that child: arrays in
on standard input, one array out on standard output. It must not import torch.
"""

from __future__ import annotations

import importlib.util
import io
import math
import subprocess
import sys
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.jobs import JobFailed, UsageError

if TYPE_CHECKING:
    from napari_wsseg.ops.crf_solvers.params import CrfParams

# No black window flashes up on Windows.
_HIDDEN = getattr(subprocess, "CREATE_NO_WINDOW", 0)


def infer(
    unary: NDArray[np.float32], rgb: NDArray[np.uint8], params: CrfParams
) -> NDArray[np.float32]:
    """Solve P problems of K labels on one image.

    Parameters
    ----------
    unary : (P, K, H, W)
        −log probability.
    rgb : (H, W, 3)
    params
        Widths, weights and iterations.

    Returns
    -------
    (P, K, H, W) float32
        Sums to one over K.

    Raises
    ------
    UsageError
        If pydensecrf is not installed.
    JobFailed
        If the child dies.
    """
    if importlib.util.find_spec("pydensecrf") is None:
        raise UsageError(
            "the CRF backend 'pydensecrf' is not installed; pip install pydensecrf2 "
            "(needs a C++ compiler), or use backend='grid'"
        )
    # Its colours each count once: grey thrice repeated needs a √3 longer reach.
    settings = np.array(
        [
            params.smooth_sigma_xy,
            params.smooth_compat,
            params.bilateral_sigma_xy,
            params.bilateral_sigma_grey * math.sqrt(3),
            params.bilateral_compat,
            params.iterations,
        ]
    )
    request = io.BytesIO()
    for part in (settings, unary.astype(np.float32), rgb):
        np.save(request, part, allow_pickle=False)
    child = subprocess.run(
        [sys.executable, "-m", __name__],
        input=request.getvalue(),
        capture_output=True,
        check=False,
        creationflags=_HIDDEN,
    )
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise JobFailed(
            f"pydensecrf ended with code {child.returncode}: "
            f"{lines[-1] if lines else 'it said nothing'}; use backend='grid'"
        )
    answer = np.load(io.BytesIO(child.stdout), allow_pickle=False)
    return cast("NDArray[np.float32]", answer)


def _serve(request: IO[bytes], answer: IO[bytes]) -> None:
    from pydensecrf.densecrf import DenseCRF2D

    arrays = io.BytesIO(request.read())
    settings, unary, rgb = (np.load(arrays, allow_pickle=False) for _ in range(3))
    smooth_xy, smooth, near_xy, near_rgb, near, iterations = settings.tolist()
    refined = np.empty_like(unary)
    for place, energies in enumerate(unary):
        labels, height, width = energies.shape
        crf = DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(np.ascontiguousarray(energies.reshape(labels, -1)))
        if smooth:
            crf.addPairwiseGaussian(sxy=smooth_xy, compat=smooth)
        if near:
            crf.addPairwiseBilateral(
                sxy=near_xy, srgb=near_rgb, rgbim=np.ascontiguousarray(rgb), compat=near
            )
        beliefs = np.asarray(crf.inference(int(iterations)))
        refined[place] = beliefs.reshape(labels, height, width)
    np.save(answer, refined, allow_pickle=False)


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
