"""Stage 1 on a project's own films: networks, DropBlock, map methods, several seeds.

    python -m benchmarks.stage1_table PROJECT -o rows.jsonl
    python -m benchmarks.stage1_table PROJECT -o rows.jsonl --table

The first line trains what `rows.jsonl` does not hold yet, one line a training; the
second prints mean and spread over seeds as Markdown. Every training uses the preset
``fast`` but for what the table compares, and for what ``--set`` says. Maps are scored
on the test split in predicted mode: gated by the classifier's own probability (gate
from val labels), cut at one half (no pixel of truth seen) and at the threshold that
does best on val's expert masks.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import rows as _rows
from napari_wsseg import cam, jobs
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.io import film_cache
from napari_wsseg.io.project import Project
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.ops import metrics, seeds
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.schema import Case, StageMaps, StageSettings
from trainers.engine.recipe import configure
from trainers.engine.run import Run
from trainers.settings import presets as _presets

ARCHS = ("resnet18", "resnet50", "vgg16", "densenet121")
MAPS = (
    ("cam", 5),
    ("grad-cam", 5),
    ("grad-cam++", 5),
    ("layer-cam", 5),
    ("grad-cam", 4),
    ("grad-cam++", 4),
    ("layer-cam", 4),
)
GRID = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))


def main() -> None:
    """Train what is missing, or print the table."""
    options = _options()
    rows = _rows.read(options.out)
    if options.table:
        print(_table(rows))
        return
    known = {(row["arch"], row["dropblock"], row["seed"]) for row in rows}
    wanted = product(options.seeds, options.archs, options.dropblock)
    for seed, arch, dropblock in wanted:
        if (arch, dropblock, seed) in known:
            continue
        row = _row(options, arch, dropblock, seed)
        _rows.append(options.out, row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--archs", nargs="+", default=list(ARCHS))
    parser.add_argument("--dropblock", nargs="+", type=float, default=[0.0, 0.1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def _row(
    options: argparse.Namespace, arch: str, dropblock: float, seed: int
) -> dict[str, Any]:
    """Train one classifier and score every map read off it."""
    settings = {
        **_presets.presets["fast"]["classifier"],
        "arch": arch,
        "size": options.size,
        "dropblock": dropblock,
        "dropblock_size": 3,
        "seed": seed,
        **dict(each.split("=", 1) for each in options.set),
    }
    began = time.monotonic()
    run = Run.prepare("classifier", options.project, configure("classifier", settings))
    for _ in run:
        pass
    trained = time.monotonic() - began
    with Project.open(options.project) as project:
        scored = _scored(project, run.folder.id)
    return {
        "arch": arch,
        "dropblock": dropblock,
        "seed": seed,
        "size": options.size,
        "seconds": round(trained),
        "peak_gib": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
        ),
        **scored,
    }


def _scored(project: Project, run: str) -> dict[str, Any]:
    model, header = networks.load(project.folder, run)
    if not isinstance(model, Classifier):
        raise TypeError(f"{run} is a {type(model).__name__}, not a Classifier")
    findings = tuple(header["findings"])
    val, test = project.cases("val"), project.cases("test")
    images = {case.id: image for case, image in _images(project, header, val + test)}
    present = {id_: _present(model, image) for id_, image in images.items()}
    gates = tuple(_gate(val, present, finding, k) for k, finding in enumerate(findings))
    areas = [_auroc(test, present, finding, k) for k, finding in enumerate(findings)]
    scores: dict[str, Any] = {"auroc": float(np.mean(areas)), "maps": {}}
    for method, level in MAPS:
        maps = {
            id_: StageMaps(_heat(model, image, method, level), present[id_])
            for id_, image in images.items()
        }
        open_ = (0.0,) * len(findings)
        best = max(
            GRID,
            key=lambda cut: _score(project, val, maps, findings, cut, open_)["pos_iou"],
        )
        scores["maps"][f"{method}@{level}"] = {
            "half": _score(project, test, maps, findings, 0.5, gates),
            "tuned": _score(project, test, maps, findings, best, gates),
            "threshold": best,
        }
    return scores


def _images(
    project: Project, header: dict[str, Any], cases: list[Case]
) -> Iterator[tuple[Case, torch.Tensor]]:
    films = jobs.finish(film_cache.films(project, header["size"]))
    for case in cases:
        pixels = torch.from_numpy(films.take([case.id]))
        yield (
            case,
            as_input(
                pixels,
                header["normalisation"],
                header["network"]["in_channels"],
                detail=header["detail"],
            ),
        )


@torch.no_grad()
def _present(model: Classifier, image: torch.Tensor) -> NDArray[np.float32]:
    return model(image)[0].sigmoid().numpy()


def _heat(
    model: Classifier, image: torch.Tensor, method: str, level: int
) -> NDArray[np.float32]:
    heat = cam.methods[method](AtLevel(model, level), image)
    return seeds.normalise(heat[0].detach().float().numpy())


def _known(
    cases: list[Case], present: dict[str, NDArray[np.float32]], finding: str, k: int
) -> tuple[list[float], list[int]]:
    rows = [
        (float(present[case.id][k]), int(label))
        for case in cases
        if (label := case.labels.get(finding)) in (0, 1)
    ]
    scores, labels = zip(*rows, strict=True)
    return list(scores), list(labels)


def _gate(
    cases: list[Case], present: dict[str, NDArray[np.float32]], finding: str, k: int
) -> float:
    cut = metrics.best_threshold(
        *_known(cases, present, finding, k), criterion="youden"
    )
    return 0.5 if cut is None else cut


def _auroc(
    cases: list[Case], present: dict[str, NDArray[np.float32]], finding: str, k: int
) -> float:
    area = metrics.auroc(*_known(cases, present, finding, k))
    return float("nan") if area is None else area


def _score(
    project: Project,
    cases: list[Case],
    maps: dict[str, StageMaps],
    findings: tuple[str, ...],
    threshold: float,
    gates: tuple[float, ...],
) -> dict[str, float]:
    settings = StageSettings(findings, (threshold,) * len(findings), gates)
    truths = [project.expert_masks(case.id) for case in cases]
    masks = [
        dict(
            zip(findings, stage_masks(maps[case.id], settings, case.shape), strict=True)
        )
        for case in cases
    ]
    scores = metrics.evaluate(masks, truths)
    return {name: scores[name] for name in ("pos_iou", "all_iou", "emptiness")}


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | DropBlock | seeds | AUROC | "
        + " | ".join(f"{method}@{level}" for method, level in MAPS)
        + " | s |",
        "|---" * (len(MAPS) + 5) + "|",
    ]
    groups: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["arch"], row["dropblock"]), []).append(row)
    for (arch, dropblock), members in groups.items():
        cells = [_mean_and_std([row["auroc"] for row in members])]
        for method, level in MAPS:
            name = f"{method}@{level}"
            cells.append(
                " / ".join(
                    _mean_and_std(
                        [row["maps"][name][cut]["pos_iou"] for row in members]
                    )
                    for cut in ("half", "tuned")
                )
            )
        seconds = round(np.mean([row["seconds"] for row in members]))
        lines.append(
            f"| {arch} | {dropblock} | {len(members)} | "
            + " | ".join(cells)
            + f" | {seconds} |"
        )
    return "\n".join(lines)


def _mean_and_std(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


if __name__ == "__main__":
    main()
