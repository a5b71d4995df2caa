"""Whole radiographs go through, uncropped, in the memory of a small machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

GIB = 2**30

CRF = """
import numpy as np
from napari_wsseg.ops import crf
y, x = np.mgrid[:{height}, :{width}].astype(np.float32) / {width}
film = (90 + 80 * np.sin(9 * x) * np.cos(7 * y)).astype(np.uint8)
heat = np.exp(-((y - 0.4) ** 2 + (x - 0.6) ** 2) / 0.05)[None].astype(np.float32)
del y, x
params = crf.CrfParams(bilateral_sigma_xy=50 * {width} / 512)
found = crf.dense_crf_binary(heat.repeat({findings}, 0), film, params=params)
shape, corner = found.shape[1:], found[0, -1, -1]
"""

IRNET = """
import torch
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.ops import affinity
net = IRNet(Classifier("resnet18", 1)).eval()
boundary = net.boundary(torch.rand(1, 1, {height}, {width}))[0, 0]
heat = torch.rand({findings}, *boundary.shape)
found = affinity.random_walk(heat, boundary)
shape, corner = found.shape[1:], found[0, -1, -1]
"""

REPORT = """
import json, resource, sys
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
print(json.dumps([list(shape), float(corner), peak]))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [(1024, 1024), (2500, 3000)])
@pytest.mark.parametrize(
    ("stage", "stride"), [(CRF, 1), (IRNET, 4)], ids=["crf", "irnet"]
)
def test_a_large_film_is_neither_cropped_nor_too_much(
    size: tuple[int, int], stage: str, stride: int, record_property
) -> None:
    code = stage.format(height=size[0], width=size[1], findings=2) + REPORT
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    shape, corner, peak = json.loads(child.stdout)
    record_property("peak_bytes", peak)
    assert shape == [-(-side // stride) for side in size]
    assert corner == corner
    assert peak < 4 * GIB
