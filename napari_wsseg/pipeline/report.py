"""One self-contained page about a project: figures, pictures, settings, limits."""

from __future__ import annotations

import base64
from collections.abc import Generator
from html import escape
from pathlib import Path
from typing import Any

from napari_wsseg.io import atomic, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline import pictures, stage_masks
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.schema import STAGES, Case

_FIGURES = ("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto;
       padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .8rem 0; }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
td:first-child, th:first-child { text-align: left; }
img { max-width: 100%; } .note { color: #555; } .warn { background: #fff3cd;
padding: .5rem .8rem; } code { background: #f3f3f3; padding: 0 .2rem; }
"""


def write(
    project: Project, out: Path, split: str = "test"
) -> Generator[Progress, None, Path]:
    """Yield progress while writing ``index.html`` in `out`; return its path.

    Cases are named by their id, never by file name, which may name a patient.

    Raises
    ------
    DataError
        If nothing can be scored, or `out` cannot be written.
    """
    result = yield from evaluate(project, split)
    chosen = _chosen(project, result, split)
    strips = []
    for place, (why, finding, case) in enumerate(chosen):
        yield Progress(place, len(chosen), "drawing")
        picture = base64.b64encode(pictures.strip(project, case, finding)).decode()
        name = escape(project.findings[finding].name)
        strips.append(
            f"<p><b>{escape(why)}</b> · {name} · case <code>{case.id}</code><br>"
            f'<img alt="stages of one film" src="data:image/png;base64,{picture}"></p>'
        )
    path = out / "index.html"
    page = _page(project, result, "\n".join(strips))
    atomic.write(path, lambda file: file.write(page.encode()))
    yield Progress(len(chosen), len(chosen), "written")
    return path


def _chosen(
    project: Project, result: dict[str, Any], split: str
) -> list[tuple[str, int, Case]]:
    """Return the films to show, and why.

    Best, median and worst of the last stage per finding, and one without any.
    """
    stage = next((s for s in reversed(STAGES) if s in result["stages"]), None)
    if stage is None:
        raise DataError(
            "no stage has maps and expert masks to compare; run wsseg run first, and "
            "draw or import masks for some test films"
        )
    run = result["stages"][stage]["run"]
    settings = stages.read_settings(project.folder, stage, run)
    scored: dict[int, list[tuple[float, Case]]] = {}
    empty: list[Case] = []
    for case in project.cases(None if split == "all" else split):
        maps = stages.read(project.folder, stage, run, case.id)
        if maps is None or settings is None:
            continue
        found = stage_masks(maps, settings, case.shape)
        truths = project.expert_masks(case.id)
        for k, finding in enumerate(project.findings):
            truth = truths.get(finding.name)
            if truth is not None and truth.any():
                scored.setdefault(k, []).append((metrics.iou(found[k], truth), case))
        if truths and not any(mask.any() for mask in truths.values()):
            empty.append(case)
    chosen = []
    for k, rows in scored.items():
        rows.sort(key=lambda row: row[0])
        places = {"best": -1, "median": len(rows) // 2, "worst": 0}
        for why, place in places.items():
            value, case = rows[place]
            chosen.append((f"{why} of {len(rows)}, {stage} IoU {value:.2f}", k, case))
    if empty:
        chosen.append(("a film without any finding", 0, empty[0]))
    return chosen


def _page(project: Project, result: dict[str, Any], strips: str) -> str:
    synthetic = any("synthetic" in case.path.lower() for case in project.cases())
    warning = (
        '<p class="warn">These films are synthetic, not of patients. Nothing '
        "here says how the method does on patients.</p>"
        if synthetic
        else ""
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{escape(project.name)}</title>
<style>{_STYLE}</style>
<h1>{escape(project.name)}</h1>
<p class="note">Research use only; not a medical device.</p>
{warning}
<h2>Masks, split {escape(result["split"])}</h2>
<p>{result["n_cases"]} films, {result["n_positive"]} with a finding,
{result["n_with_expert_masks"]} with expert masks to compare with.</p>
{_stage_table(result)}
<p class="note">pos_iou: mean IoU of films that have the finding. all_iou, dice: mean of
all films, empty against empty counts 1; blank masks score
{_cell(result["blank"]["all_iou"])} in all_iou, so that figure means little by itself.
pooled_miou: intersections over unions, summed over films. emptiness: share of films
without the finding that were left empty. Each per finding, then averaged. No
image-level label of these films was used.</p>
<h2>Classifier</h2>
{_classifier_table(result["classifier"])}
<h2>Per finding</h2>
{_finding_table(result)}
<h2>Stage by stage</h2>
{strips}
<h2>Runs in use</h2>
{_run_table(project)}
<h2>Limits</h2>
<p>{_limits(result)}</p>
</html>
"""


def _table(rows: list[list[object]]) -> str:
    head, *body = rows
    lines = [
        "<tr>" + "".join(f"<th>{escape(str(cell))}</th>" for cell in head) + "</tr>"
    ]
    lines += [
        "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"
        for row in body
    ]
    return "<table>" + "\n".join(lines) + "</table>"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _stage_table(result: dict[str, Any]) -> str:
    rows: list[list[object]] = [["stage", *_FIGURES]]
    for stage, figures in result["stages"].items():
        rows.append([stage, *(figures[name] for name in _FIGURES)])
    rows.append(["blank masks", None, result["blank"]["all_iou"], None, None, None])
    return _table(rows)


def _finding_table(result: dict[str, Any]) -> str:
    rows: list[list[object]] = [["finding · stage", "films", "with it", *_FIGURES]]
    for stage, figures in result["stages"].items():
        for finding, row in figures["per_finding"].items():
            rows.append(
                [
                    f"{finding} · {stage}",
                    row["n"],
                    row["n_positive"],
                    *(row[name] for name in _FIGURES),
                ]
            )
    return _table(rows)


def _classifier_table(result: dict[str, Any]) -> str:
    rows: list[list[object]] = [["finding", "films", "with it", "AUROC", "F1"]]
    for finding, row in result["per_finding"].items():
        rows.append([finding, row["n"], row["n_positive"], row["auroc"], row["f1"]])
    rows.append(["mean", None, None, result["auroc"], result["f1"]])
    return _table(rows)


def _run_table(project: Project) -> str:
    rows: list[list[object]] = [["stage", "run", "seconds", "settings"]]
    for stage in STAGES:
        run = project.adopted(stage)
        if run:
            info = runs.find(project.folder, run).info()
            settings = ", ".join(f"{key}={value}" for key, value in info.config.items())
            rows.append([stage, run, round(info.seconds), settings])
    return _table(rows)


def _limits(result: dict[str, Any]) -> str:
    n = result["n_with_expert_masks"]
    return (
        f"{n} films were compared with expert masks; differences between stages of a "
        "few hundredths are within chance at such numbers. The masks are those of the "
        "newest reader of each film; how far readers differ is not known here. Weak "
        "stages are cut at fixed thresholds; a segmenter that learnt from expert masks "
        "is cut where the validation films did best."
    )
