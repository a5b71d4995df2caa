"""Pictures of 16 bits a channel keep what Pillow would cut off."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_wsseg.io import images

GREY = np.add.outer(np.arange(40) * 70, np.arange(30) * 40).astype(np.uint16)


def deep(channels: int) -> np.ndarray:
    opaque = np.full(GREY.shape, 65535, np.uint16)
    colours = [GREY] * (channels if channels in (1, 3) else channels - 1)
    return np.stack([*colours, *([opaque] if channels in (2, 4) else [])], -1)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_png_keeps_its_bits(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(imagecodecs.png_encode(deep(channels)))
    film, remarks = images.read_noting(path)
    np.testing.assert_allclose(film.pixels, GREY / 4095, atol=1e-6)
    assert (film.bits, remarks) == (12, ())


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_tiff_keeps_its_bits(tmp_path: Path, planar: str) -> None:
    values = deep(3) if planar == "contig" else np.moveaxis(deep(3), -1, 0)
    file = BytesIO()
    tifffile.imwrite(file, values, photometric="rgb", planarconfig=planar)
    (tmp_path / "film.tif").write_bytes(file.getvalue())
    film = images.read(tmp_path / "film.tif")
    np.testing.assert_allclose(film.pixels, GREY / 4095, atol=1e-6)
