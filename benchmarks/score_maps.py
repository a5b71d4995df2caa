"""Score maps of one run other than its own, e.g. the stages of a tied network.

    python -m benchmarks.score_maps PROJECT --run RUN --maps tdn-0 tdn-1 --split val

Computes what is missing of them, then prints one line of JSON like `wsseg evaluate`'s,
its ``stages`` named by map.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_wsseg import jobs
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import find
from napari_wsseg.pipeline import infer
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.pipeline.inference import variants


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--maps", nargs="+", required=True)
    parser.add_argument("--split", default="test")
    print(json.dumps(scores(**vars(parser.parse_args()))))


def scores(project: Path, run: str, maps: list[str], split: str) -> dict[str, Any]:
    """Return what `evaluate` says of these maps."""
    own = variants.default(find(project, run).config())
    with Project.open(project) as opened:
        for name in maps:
            jobs.finish(infer.infer(opened, "cam", run, variant=name))
        stages = {"cam" if name == own else f"cam~{name}": run for name in maps}
        result: dict[str, Any] = jobs.finish(
            evaluate(opened, split, runs=stages, n_resamples=0)
        ).to_json()
    named = dict(zip(stages, maps, strict=True))
    result["stages"] = {named[key]: row for key, row in result["stages"].items()}
    return result


if __name__ == "__main__":
    main()
