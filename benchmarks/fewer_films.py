"""Write a labels table with fewer films to learn from.

    python -m benchmarks.fewer_films DATA 2000 -o labels-2000.csv [--seed 0]

`DATA` is a folder as `wsseg init` reads it, with a column ``split`` in ``labels.csv``.
Films of val and test, and training films with a mask, all stay; of the other training
films as many as are asked for, drawn by `--seed`. ``10%`` is a share of them.
"""

from __future__ import annotations

import argparse
import csv
import random
from pathlib import Path


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("count")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with (options.data / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = fewer(rows, drawn(options.data / "masks"), options.count, options.seed)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)


def drawn(masks: Path) -> set[str]:
    """Return the names, without ending, of the films that have a mask of anything."""
    return {path.stem for path in masks.glob("*/*.png")}


def fewer(
    rows: list[dict[str, str]], expert: set[str], count: str, seed: int
) -> list[dict[str, str]]:
    """Return the rows that stay, in their order."""
    if not rows or "split" not in rows[0]:
        raise SystemExit("labels.csv needs a column split to draw training films from")
    weak = [
        place
        for place, row in enumerate(rows)
        if row["split"] == "train" and Path(row["image"]).stem not in expert
    ]
    share = count.endswith("%")
    wanted = round(float(count[:-1]) / 100 * len(weak)) if share else int(count)
    kept = set(random.Random(seed).sample(weak, min(wanted, len(weak))))
    left_out = set(weak) - kept
    return [row for place, row in enumerate(rows) if place not in left_out]


if __name__ == "__main__":
    main()
