"""Lungs and heart by torchxrayvision's PSPNet, as masks that wsseg takes.

    pip install torchxrayvision            in an environment of its own, if you like
    python docs/pspnet.py FILMS MASKS      PNG or JPEG films; a mask a film and organ
    wsseg infer anatomy -p P --masks MASKS --name pspnet

Its weights are fetched by torchxrayvision, under its terms. Research use only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ORGANS = {"Left Lung": "left_lung", "Right Lung": "right_lung", "Heart": "heart"}
SIDE = 512


def network() -> torch.nn.Module:
    """Return the network with its weights."""
    import torchxrayvision

    return torchxrayvision.baseline_models.chestx_det.PSPNet()


@torch.no_grad()
def masks(model: torch.nn.Module, film: Image.Image) -> dict[str, Image.Image]:
    """Return organ to mask, of the film's size."""
    small = film.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32) / 255 * 2048 - 1024
    found = model(torch.from_numpy(pixels)[None, None])[0].sigmoid().numpy()
    by_name = dict(zip(model.targets, found, strict=True))
    return {
        ours: Image.fromarray(by_name[theirs] > 0.5).resize(film.size)
        for theirs, ours in ORGANS.items()
    }


def main(arguments: list[str]) -> None:
    """Draw every film of a folder."""
    films, out = map(Path, arguments)
    model = network().eval()
    for path in sorted(films.iterdir()):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        with Image.open(path) as film:
            for organ, mask in masks(model, film).items():
                (out / organ).mkdir(parents=True, exist_ok=True)
                mask.save(out / organ / f"{path.stem}.png")
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
