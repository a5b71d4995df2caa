"""What is known of the run whose draft is shown: how right it was on other films."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_wsseg.io import project_files, runs
from napari_wsseg.jobs import DataError

UNMEASURED = "Never compared with expert masks: how right it is, nobody knows."


def measured_at(project: Path, run: str) -> int:
    """Return when a run was last evaluated, 0 for never; what is told changes then."""
    try:
        path = project / "runs" / project_files.plain(run) / "evaluation.json"
        return path.stat().st_mtime_ns
    except (OSError, DataError, ValueError):
        return 0


def quality_text(project: Path, stage: str, run: str) -> str:
    """Return in a line how a run did on films kept apart, test films first."""
    try:
        folder = runs.RunFolder(project / "runs" / project_files.plain(run))
        found = folder.evaluation()
    except (DataError, ValueError):
        return UNMEASURED
    for split in ("test", "val", "all"):
        result = found.get(split)
        metrics = _metrics_text(result, stage)
        if result is not None and metrics.get("pos_iou") is not None:
            return _line(split, int(result["n_with_expert_masks"]), metrics)
    return UNMEASURED


def _metrics_text(result: Mapping[str, Any] | None, stage: str) -> Mapping[str, Any]:
    return ((result or {}).get("stages") or {}).get(stage) or {}


def _line(split: str, films: int, metrics: Mapping[str, Any]) -> str:
    kind = "" if split == "all" else f"{split} "
    line = f"IoU {metrics['pos_iou']:.2f} on {films} {kind}films"
    empty = metrics.get("emptiness")
    if empty is None:
        return line
    share = _share(1 - float(empty))
    return f"{line}; {share} empty films get{'' if '%' in share else 's'} a mask"


def _share(share: float) -> str:
    """Say a share as one in so many, as far as that is near the truth."""
    if share < 0.005:
        return "none of the"
    if share > 0.9:
        return "nearly every one of the"
    for count in range(2, 21):
        if abs(share - 1 / count) <= 0.15 / count:
            return f"one in {count}"
    return f"{share:.0%} of"
