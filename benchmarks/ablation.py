"""What each part of the default drafts is worth: taken away one at a time.

    python -m benchmarks.ablation PROJECT -o rows.jsonl [--to crf] [--only NAME …]
    python -m benchmarks.ablation PROJECT -o rows.jsonl --table

PROJECT is one in which `wsseg run` is done and whose films have expert masks. The
classifier's weights serve every row, as only what is read off them differs; IRNet and
segmenter are trained anew where a row reaches them, by the settings of the runs in use
but for what is taken away. No run is adopted. Rows that the file has are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_wsseg.io import atomic, checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, finish
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import networks
from trainers.engine.recipe import configure, recipes, settings_of
from trainers.engine.run import Run
from trainers.settings import classifier as _classifier

STAGES = ("cam", "crf", "irnet", "segmentation")

Changes = Mapping[str, Mapping[str, Any]]

WITHOUT: Mapping[str, Changes] = {
    "nothing": {},
    "cells where they look": {"classifier": {"cam_placement": "grid"}},
    "places": {"classifier": {"places": False}, "segmentation": {"places": False}},
    "soft CRF": {
        "classifier": {
            "crf_odds": "hard",
            "seed_foreground": 0.5,
            "seed_background": 0.2,
        }
    },
    "seeds that leave pairs": {
        "classifier": {"seed_foreground": 0.9, "seed_background": 0.1}
    },
    "a source of its own": {"segmentation": {"labels": "irnet"}},
    "drawing with anatomy": {"segmentation": {"with_anatomy": False}},
    "all evidence in the gate": {"segmentation": {"joint_gate": False}},
}
"""What is taken away, by recipe, as settings."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A project and the settings that its runs in use were trained with."""

    folder: Path
    classifier: str
    settings: Mapping[str, Mapping[str, Any]]

    @classmethod
    def in_use(cls, folder: Path) -> Chain:
        """Read what is in use; SystemExit if a stage has no run."""
        with Project.open(folder) as project:
            used = project.runs_in_use()
        if missing := [stage for stage in STAGES if stage not in used]:
            raise SystemExit(f"no run in use for {', '.join(missing)}; do: wsseg run")
        infos = [runs.find(folder, used[stage]).info() for stage in STAGES]
        settings = {info.recipe: dict(info.config) for info in infos}
        return cls(folder, used["cam"], settings)


def main() -> None:
    """Train and score the rows that are missing, or print the table."""
    options = _options()
    rows = _read(options.out)
    if options.table:
        print(table(rows))
        return
    chain = Chain.in_use(options.project)
    for name in options.only or WITHOUT:
        if not any(row["without"] == name and row["to"] == options.to for row in rows):
            row = {"without": name, "to": options.to}
            row |= scored(chain, WITHOUT[name], options.to)
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def scored(chain: Chain, changes: Changes, to: str) -> dict[str, Any]:
    """Return the figures of every stage up to `to`, by split."""
    used = {"cam": _reread(chain, changes.get("classifier", {}))}
    used["crf"] = used["cam"]
    if to in ("irnet", "segmentation"):
        used["irnet"] = _trained(chain, "irnet", changes, classifier_run=used["cam"])
    if to == "segmentation":
        used["segmentation"] = _trained(
            chain,
            "segmentation",
            changes,
            classifier_run=used["cam"],
            labels_run=used["irnet"],
        )
    used = {stage: used[stage] for stage in STAGES[: STAGES.index(to) + 1]}
    with Project.open(chain.folder) as project:
        for stage, run in used.items():
            finish(infer(project, stage, run))
        found = {
            split: finish(evaluate(project, split, runs=used, n_resamples=0))
            for split in ("val", "test")
        }
    return {
        split: {
            stage: {
                "predicted": one.scores.mean.pos_iou,
                "known": one.label_conditioned.pos_iou,
                "emptiness": one.scores.mean.emptiness,
            }
            for stage, one in each.stages.items()
        }
        for split, each in found.items()
    }


def _reread(chain: Chain, changes: Mapping[str, Any]) -> str:
    """Return a run with the classifier's weights whose maps are read otherwise."""
    if not changes:
        return chain.classifier
    settings = {**chain.settings["classifier"], **changes}
    config = configure("classifier", settings)
    model, header = networks.load(chain.folder, chain.classifier)
    findings = tuple(header["findings"])
    read: Any = _classifier.header(config, model, findings)  # type: ignore[arg-type]
    run = runs.new(
        chain.folder,
        "classifier",
        settings_of(config),
        findings=findings,
        notes={"weights_of": chain.classifier},
        facts=recipes["classifier"],
    )
    run.begin()
    checkpoints.write(
        run.best, Checkpoint({**header, **read}, model.state_dict(), {}, best=True)
    )
    atomic.write_json(run.path / "data.lock.json", [])
    run.end("done", metrics={}, seconds=0.0)
    return run.id


def _trained(chain: Chain, recipe: str, changes: Changes, **upstream: str) -> str:
    settings = {**chain.settings[recipe], **changes.get(recipe, {}), **upstream}
    run = Run.prepare(recipe, chain.folder, settings)
    for _ in run:
        pass
    return run.folder.id


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as Markdown: predicted / labels known, emptiness, by stage."""
    lines = []
    for split in ("val", "test"):
        lines += [
            f"| {split}, without | " + " | ".join(STAGES) + " |",
            "|---" * 5 + "|",
        ]
        for row in rows:
            each = [_cell(row[split].get(stage)) for stage in STAGES]
            lines.append(f"| {row['without']} | " + " | ".join(each) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: Mapping[str, float | None] | None) -> str:
    if found is None:
        return "–"
    each = ["–" if v is None else f"{v:.3f}" for v in found.values()]
    return f"{each[0]} / {each[1]}, {each[2][:-1]}"


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--to", choices=STAGES, default="segmentation")
    parser.add_argument("--only", nargs="+", choices=list(WITHOUT), metavar="NAME")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
