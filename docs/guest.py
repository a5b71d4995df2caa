"""A guest of napari-wsseg in forty lines: it grows a region around each click.

Put your own model where `proposed` is. Protocol: docs/guests.md.
"""

import json
import sys

import numpy as np
from PIL import Image
from scipy import ndimage


def proposed(film, points, boxes):
    """Return a (H, W) bool mask: what is as grey as the clicks, and touches one."""
    mask = np.zeros(film.shape, bool)
    for x0, y0, x1, y1 in boxes:
        mask[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
    for x, y, there in points:
        grey = float(film[int(y), int(x)])
        alike, _ = ndimage.label(np.abs(film - grey) < 20)
        region = alike == alike[int(y), int(x)]
        mask = mask | region if there else mask & ~region
    return mask


def main():
    """Answer a line with a line, until there are no more."""
    print(json.dumps({"wsseg": 1, "name": "region growing"}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        film = np.asarray(Image.open(asked["film"]), float)
        try:
            mask = proposed(film, asked["points"], asked["boxes"])
        except IndexError:
            answer = {"wsseg": 1, "error": "a click is not on the film"}
        else:
            Image.fromarray(mask.astype(np.uint8) * 255).save(asked["answer"])
            answer = {"wsseg": 1, "mask": asked["answer"]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
