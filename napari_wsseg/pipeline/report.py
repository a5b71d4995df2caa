"""One self-contained page about a project: figures, pictures, settings, limits."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from napari_wsseg.io import atomic, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.pipeline.evaluation.result import Evaluation, Interval
from napari_wsseg.pipeline.evaluation.tables import MetricCell, tables
from napari_wsseg.pipeline.film_workers import HERE, Workers, over_films
from napari_wsseg.pipeline.reporting import html as _html
from napari_wsseg.pipeline.reporting import project as _project
from napari_wsseg.pipeline.reporting import stage_strips
from napari_wsseg.schema import STAGES, Case, StageSettings


def write(
    project: Project,
    out: Path,
    split: str = "test",
    *,
    names: bool = False,
    workers: Workers = HERE,
) -> Generator[Progress, None, Path]:
    """Yield progress while writing ``index.html`` in `out`; return its path.

    Films are named as the window names them where that can name no patient: in a
    project whose file names are hidden, and of synthetic films. Elsewhere by their id,
    which the worklist's search finds.

    Parameters
    ----------
    project
        Open.
    out
        Folder, made if need be.
    split
        ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
    names
        Name films by their file names, whatever these tell.
    workers
        Who looks at the films.

    Raises
    ------
    DataError
        If nothing can be scored, or `out` cannot be written.
    """
    result = yield from evaluate(project, split, workers=workers)
    chosen = yield from _chosen(project, result, split, workers)
    names = names or project.synthetic or bool(project.settings.key)
    strips = []
    for place, (why, finding, case) in enumerate(chosen):
        yield Progress(place, len(chosen), "drawing")
        picture = stage_strips.strip(project, case, finding)
        strips.append(
            {
                "why": why,
                "finding": project.findings[finding].name,
                "case": case.id,
                "name": case.name if names else "",
                "picture": _html.image(picture, "stages of one film"),
            }
        )
    path = out / "index.html"
    page = _page(project, result, strips, names=names)
    atomic.write(path, lambda file: file.write(page.encode()))
    yield Progress(len(chosen), len(chosen), "written")
    return path


def _chosen(
    project: Project, result: Evaluation, split: str, workers: Workers
) -> Generator[Progress, None, list[tuple[str, int, Case]]]:
    """Yield progress; return the films to show, and why.

    Best, median and worst of the last stage per finding, and one without any.
    """
    stage = next((s for s in reversed(STAGES) if s in result.stages), None)
    if stage is None:
        raise DataError(
            "no stage has maps and expert masks to compare; run wsseg run first, and "
            "draw or import masks for some test films"
        )
    run = result.stages[stage].run
    settings = stages.read_settings(project.folder, stage, run)
    scored: dict[int, list[tuple[float, Case]]] = {}
    empty: list[Case] = []
    cases = project.cases(None if split == "all" else split)
    films = yield from over_films(
        workers, overlaps, project, cases, "choosing films", stage, run, settings
    )
    for case, film in zip(cases, films, strict=True):
        for k, iou in (film or {}).items():
            scored.setdefault(k, []).append((iou, case))
        if film == {}:
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


def overlaps(
    project: Project, case: Case, stage: str, run: str, settings: StageSettings | None
) -> dict[int, float] | None:
    """Return IoU by number of each finding that was drawn; ``None`` if none was asked.

    Parameters
    ----------
    project, case
        Open; and a film.
    stage, run, settings
        Whose masks, and how they are cut.
    """
    maps = stages.read(project.folder, stage, run, case.id)
    truths = project.expert_masks(case.id)
    if maps is None or settings is None or not truths:
        return None
    found = stage_masks(maps, settings, case.shape)
    return {
        k: metrics.iou(found[k], truths[finding.name])
        for k, finding in enumerate(project.findings)
        if finding.name in truths and truths[finding.name].any()
    }


_BY_ID = (
    "Films are named by a hash of their pixels, by which the worklist's search finds "
    "them. "
)


def _page(
    project: Project,
    result: Evaluation,
    strips: list[dict[str, Any]],
    *,
    names: bool,
) -> str:
    return _html.page(
        project=project,
        result=result,
        synthetic=project.synthetic,
        blank=MetricCell(result.blank.mean.all_iou),
        tables=(shown := tables(result)),
        plots=_plots(result, shown[0].title),
        about=_project,
        strips=strips,
        limits=_limits(result, names=names),
    )


def _plots(result: Evaluation, stages_title: str) -> dict[str, Markup]:
    """Return plots of pos_iou with its interval, by the title of the table above."""
    drawn = [
        (name, stage.scores.mean.pos_iou, stage.interval.mean.pos_iou)
        for name, stage in result.stages.items()
    ]
    if (experts := result.experts) is not None:
        spans = experts.interval.mean
        drawn.append(("experts", experts.scores.mean.pos_iou, spans.pos_iou))
    findings: dict[str, list[tuple[str, float | None, Interval]]] = {}
    for name, stage in result.stages.items():
        for finding, row in stage.scores.per_finding.items():
            span = stage.interval.per_finding[finding].pos_iou
            dot = (name, row.metrics.pos_iou, span)
            findings.setdefault(finding, []).append(dot)
    each = [
        _html.intervals(f"pos_iou of {name}", dots) for name, dots in findings.items()
    ]
    return {
        stages_title: _html.intervals("pos_iou", drawn),
        "Per finding": Markup().join(each if len(each) > 1 else []),
    }


def _limits(result: Evaluation, *, names: bool) -> list[str]:
    n = result.n_with_expert_masks
    return [
        f"{n} films were compared with expert masks. An interval says what another "
        "choice of such films would have given, not what another hospital's would, "
        "nor what training again would.",
        "The truth is the newest reader's mask. "
        + (
            "How far readers differ is told above."
            if result.experts
            else "How far readers differ is not known here."
        ),
        "Thresholds and gates were chosen on validation films and held fixed. Whoever "
        "looks at these figures and trains again is choosing on these films.",
        ("Films have the names of the window. " if names else _BY_ID)
        + "Text that is burnt into a film is shown as it is in the pictures: look "
        "before you share this page.",
        "Research use only, not a medical device.",
    ]
