"""The parts of a report that tell of the project: its data, runs and sweeps."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from markupsafe import Markup

from napari_wsseg.io import project_files, runs
from napari_wsseg.io import sweeps as _sweeps
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline import study
from napari_wsseg.pipeline.evaluation.tables import MetricCell
from napari_wsseg.pipeline.reporting.html import image, part, table
from napari_wsseg.schema import SPLITS, STAGES, Annotation, Case

_PACKAGES = ("napari-wsseg", "torch", "numpy", "segmentation-models-pytorch")

#: Figures of a sweep that the page shows.
_SWEPT = ("pos_iou", "all_iou", "pooled_miou", "emptiness")


def snapshot(project: Project) -> Markup:
    """Return what data the figures are of: counts, and hashes to know it again."""
    cases, annotated = project.cases(), project.annotated()
    latest = {
        (case, finding): newest
        for case, findings in sorted(annotated.items())
        for finding in findings
        if (newest := project.latest(case, finding)) is not None
    }
    rows: list[list[object]] = []
    for finding in project.findings:
        for split in SPLITS:
            here = [case for case in cases if case.split == split]
            labels = [case.labels.get(finding.name) for case in here]
            drawn = sum(finding.name in annotated.get(case.id, ()) for case in here)
            rows.append(
                [
                    f"{finding.name} · {split}",
                    len(here),
                    *(labels.count(value) for value in (1, 0, -1)),
                    sum(label is None for label in labels),
                    drawn,
                    sum(_denied(c, finding.name, latest) for c in here),
                ]
            )
    head = ["finding · split", "films", "present", "absent", "uncertain", "unknown"]
    films = [(c.id, c.split, sorted(c.labels.items(), key=str)) for c in cases]
    masks = [(*key, newest.mask_sha) for key, newest in latest.items()]
    drafts = sum(
        any(version.source_run for version in project.history(case, finding))
        for case, finding, _ in masks
    )
    return part(
        "snapshot",
        table([*head, "expert masks", "drawn, yet absent"], rows),
        len(masks),
        drafts,
        len(project.decisions()),
        _hash(films),
        _hash(masks),
    )


def _denied(
    case: Case, finding: str, latest: Mapping[tuple[str, str], Annotation]
) -> bool:
    """Whether a film is labelled without what an expert drew on it."""
    newest = latest.get((case.id, finding))
    drawn = newest is not None and newest.area_px > 0
    return drawn and case.labels.get(finding) == 0


def runs_in_use(project: Project) -> Markup:
    """Return every stage's run with all its settings.

    Of a setting that is a path only the last part is shown: a folder may name a
    person.
    """
    rows: list[list[object]] = []
    for stage in STAGES:
        run = project.adopted(stage)
        if run:
            info = runs.find(project.folder, run).info()
            settings = ", ".join(f"{k}={_bare(v)}" for k, v in info.config.items())
            rows.append([stage, run, info.recipe, round(info.seconds), settings])
    return table(["stage", "run", "recipe", "seconds", "settings"], rows)


def made_with() -> Markup:
    """Return versions of what computed the figures, and when."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue  # An optional part that is not installed computed nothing.
    now = datetime.now(UTC)
    versions = f"{', '.join(found)}, Python {platform.python_version()}"
    return part("said", f"{versions}; {now:%Y-%m-%d %H:%M} UTC.", "note")


def sweeps(project: Project) -> Markup:
    """Return the table and the plot of every sweep of the project."""
    parts = []
    for path in sorted((project.folder / "sweeps").glob("*/sweep.json")):
        state = _sweeps.read(path.parent)
        rows = [
            [
                str(row["value"]),
                row["finding"],
                row["trials"],
                *(_mean(row[metric]) for metric in _SWEPT),
            ]
            for row in state["summary"]
            if row["split"] == "test"
        ]
        plot = path.with_name("plot.png")
        title = f"{state['recipe']}: {state['key']}"
        shown = table([state["key"], "finding", "trials", *_SWEPT], rows)
        drawn: Markup | str = ""
        if plot.is_file():
            drawn = image(project_files.read_bytes(plot, 2**26), title)
        parts.append(part("sweep", title, shown, drawn))
    if not parts:
        return Markup()
    note = part("said", "Test films; mean ± standard deviation over trials.", "note")
    return part("section", "Sweeps", note + Markup().join(parts))


def effort(project: Project) -> Markup:
    """Return what masks cost their readers; nothing where no work was recorded."""
    summary = study.table(project)
    if not summary["rows"]:
        return Markup()
    note = part("said", study.RULE, "note")
    shown = table(study.HEADS, study.cells(summary))
    return part("section", "Readers' time", note + shown)


def _mean(cell: dict[str, Any]) -> object:
    if cell["spread"] is None:
        return MetricCell(cell["mean"])
    return f"{cell['mean']:.3f} ± {cell['spread']:.3f}"


def _bare(value: object) -> str:
    text = str(value)
    return re.split(r"[/\\]", text)[-1] if isinstance(value, str) else text


def _hash(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
