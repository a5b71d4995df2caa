"""Lung lesions with their maps kept to the lungs, beside kept nowhere.

    python -m benchmarks.lung_prior FOLDER [--films 90] [--size 128] [--seeds 0 1]

makes synthetic films in FOLDER, half of them with a consolidation or a nodule or both,
trains a classifier on their labels by preset ``fast``, makes its maps with
``--prior none`` and with ``--prior lungs``, and prints pos_iou on val, predicted and
with labels known. Where the lungs are, the shipped anatomy network says.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.commands import wsseg
from napari_wsseg import phantom

FINDINGS = ("consolidation", "nodule")
PRIORS = ("none", "lungs")


def draw(folder: Path, count: int, size: int) -> None:
    """Write films, masks of what is on them, and the table of labels and splits."""
    for name in ("films", *(f"masks/{finding}" for finding in FINDINGS)):
        (folder / name).mkdir(parents=True)
    kinds = ((), FINDINGS[:1], (), FINDINGS[1:], (), FINDINGS)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", *FINDINGS, "split"])
        for number in range(count):
            wanted = kinds[number % len(kinds)]
            film = phantom.generate(number, size=size, findings=wanted)
            name = f"film{number:04d}.png"
            grey = (film.pixels / 4095 * 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / "films" / name)
            masks = {finding: np.asarray(film.masks[finding]) for finding in FINDINGS}
            for finding, mask in masks.items():
                pixels = np.where(mask > 0, 255, 0).astype(np.uint8)
                Image.fromarray(pixels).save(folder / "masks" / finding / name)
            split = "val" if number // len(kinds) % 3 == 2 else "train"
            labels = [int(mask.any()) for mask in masks.values()]
            table.writerow([name, *labels, split])


def main() -> None:
    """Train, and print what each prior gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=90)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    folder, place = options.folder, options.folder / "project"
    if not place.is_dir():
        draw(folder, options.films, options.size)
        paths = [
            *("--images", str(folder / "films"), "--masks", str(folder / "masks")),
            *("--labels", str(folder / "labels.csv")),
        ]
        wsseg("init", str(place), *paths)
    here = ("-p", str(place))
    for seed in options.seeds:
        settings = ["--set", f"seed={seed}", f"size={options.size}"]
        wsseg("train", "classifier", "--preset", "fast", *settings, *here)
        for prior in PRIORS:
            wsseg("infer", "crf", "--prior", prior, *here)
            found = wsseg("evaluate", "--split", "val", "--draws", "0", *here)
            for stage in ("cam", "crf"):
                scores = found["stages"][stage]
                known = scores["label_conditioned"]["pos_iou"]
                each = ", ".join(
                    f"{name} {row['pos_iou']:.3f}"
                    for name, row in scores["per_finding"].items()
                )
                print(
                    f"seed {seed} prior {prior:6} {stage}: pos_iou predicted "
                    f"{scores['pos_iou']:.3f} ({each}), labels known {known:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
