"""The tied deconvolution network on a project's own films: stages 0 to 3, all seeds.

    python -m benchmarks.tdn_table PROJECT -o rows.jsonl
    python -m benchmarks.tdn_table PROJECT -o rows.jsonl --table

The first line trains what `rows.jsonl` does not hold yet, with the preset ``fast``, one
line a training; the second prints mean and spread over seeds as Markdown. Every stage's
maps are those that the pipeline makes, and are scored as in `stage1_table`: on the test
split, in predicted mode, gated by that stage's own probability (gate from val labels),
cut at one half and at the threshold that does best on val's expert masks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import rows as _rows
from benchmarks import stage1_table
from napari_wsseg import jobs
from napari_wsseg.io import film_cache
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline.inference import networks, variants
from napari_wsseg.pipeline.inference import tied_deconv as _tied_deconv
from napari_wsseg.pipeline.inference.work import Work
from napari_wsseg.schema import StageMaps
from trainers.engine.recipe import configure
from trainers.engine.run import Run
from trainers.settings import presets as _presets

#: Pairs of maps are peaked, so lower cuts are tried than for other maps.
CUTS = (0.02, 0.05, *stage1_table.GRID)


def main() -> None:
    """Train what is missing, or print the table."""
    options = _options()
    rows = _rows.read(options.out)
    if options.table:
        print(_table(rows))
        return
    for seed in options.seeds:
        if seed not in {row["seed"] for row in rows}:
            row = _row(options, seed)
            _rows.append(options.out, row)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def _row(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train one network and score the maps of every stage."""
    given = dict(each.split("=", 1) for each in options.set)
    settings = {**_presets.presets["fast"]["tied_deconv"], **given, "seed": seed}
    began = time.monotonic()
    run = Run.prepare(
        "tied_deconv", options.project, configure("tied_deconv", settings)
    )
    for _ in run:
        pass
    trained = time.monotonic() - began
    with Project.open(options.project) as project:
        stages = _scored(project, run.folder.id)
    return {"seed": seed, "seconds": round(trained), "set": given, "stages": stages}


def _scored(project: Project, run: str) -> list[dict[str, Any]]:
    model, header = networks.load(project.folder, run)
    films = jobs.finish(film_cache.films(project, header["size"]))
    cases = [*project.cases("val"), *project.cases("test")]
    found = []
    for stage in range(header["network"]["stages"] + 1):
        name = f"{variants.TDN}{stage}"
        work = Work(project, run, model, header, films, name)
        maps = {case.id: next(_tied_deconv.maps(work, [case])) for case in cases}
        found.append(_metrics(project, maps, tuple(header["findings"])))
    return found


def _metrics(
    project: Project, maps: dict[str, StageMaps], findings: tuple[str, ...]
) -> dict[str, Any]:
    """Return AUROC and overlap on test, of one stage."""
    val, test = project.cases("val"), project.cases("test")
    present = {id_: each.present for id_, each in maps.items()}
    gates = tuple(
        stage1_table._gate(val, present, finding, k)
        for k, finding in enumerate(findings)
    )
    areas = [
        stage1_table._auroc(test, present, finding, k)
        for k, finding in enumerate(findings)
    ]
    open_ = (0.0,) * len(findings)

    def score(split: Any, cut: float, gates: tuple[float, ...]) -> dict[str, float]:
        return stage1_table._score(project, split, maps, findings, cut, gates)

    best = max(CUTS, key=lambda cut: score(val, cut, open_)["pos_iou"])
    return {
        "auroc": float(np.mean(areas)),
        "half": score(test, 0.5, gates),
        "tuned": score(test, best, gates),
        "threshold": best,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| stage | seeds | AUROC | pos_iou, cut at ½ | pos_iou, cut tuned on val |",
        "|---" * 5 + "|",
    ]
    for stage in range(min(len(row["stages"]) for row in rows)):
        members = [row["stages"][stage] for row in rows]
        cells = [
            stage1_table._mean_and_std(values)
            for values in (
                [one["auroc"] for one in members],
                [one["half"]["pos_iou"] for one in members],
                [one["tuned"]["pos_iou"] for one in members],
            )
        ]
        lines.append(f"| {stage} | {len(rows)} | {' | '.join(cells)} |")
    seconds = round(np.mean([row["seconds"] for row in rows]))
    return "\n".join([*lines, "", f"One training: {seconds} s, all stages."])


if __name__ == "__main__":
    main()
