"""What the anatomy stage says of a split, and how good it is where that is known."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np

from napari_wsseg.io import anatomy
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from napari_wsseg.ops import metrics
from napari_wsseg.ops.chest import measure
from napari_wsseg.pipeline.evaluation.result import AnatomyScores, MeanIou, Ratios
from napari_wsseg.pipeline.film_workers import HERE, Workers, over_films
from napari_wsseg.schema import Case


def scores(
    project: Project, cases: Sequence[Case], workers: Workers = HERE
) -> Generator[Progress, None, AnatomyScores | None]:
    """Yield progress; return figures of the films it has looked at, ``None`` if none.

    ``cardiothoracic_ratio`` has median and quartiles over the films and, as ``auroc``,
    how well it tells films labelled cardiomegaly from those without; ``iou`` the mean
    over films of what a finding of the same name has been drawn on.

    Parameters
    ----------
    project, cases
        Open; and the films.
    workers
        Who looks at them.
    """
    films = yield from over_films(
        workers, look_at_film, project, cases, "measuring chests"
    )
    known = [film for film in films if film is not None]
    seen = len(known)
    ratios = [(ratio, label) for ratio, label, _ in known if ratio is not None]
    overlaps: dict[str, list[float]] = {}
    for _, _, each in known:
        for name, iou in each.items():
            overlaps.setdefault(name, []).append(iou)
    if not seen:
        return None
    return AnatomyScores(
        run=anatomy.run_in_use(project),
        n_films=seen,
        cardiothoracic_ratio=_ratios(ratios),
        iou={
            name: MeanIou(float(np.mean(each)), len(each))
            for name, each in overlaps.items()
        },
    )


def look_at_film(
    project: Project, case: Case
) -> tuple[float | None, int | None, dict[str, float]] | None:
    """Return ratio, label, and IoU of what is drawn; ``None`` of an unseen film."""
    found = anatomy.masks(project, case)
    if not found:
        return None
    ious = {
        name: metrics.iou(found[name], truth)
        for name, truth in project.expert_masks(case.id).items()
        if name in found
    }
    return measure(found).cardiothoracic_ratio, _cardiomegaly(case), ious


def _cardiomegaly(case: Case) -> int | None:
    named = {name.casefold(): label for name, label in case.labels.items()}
    return named.get("cardiomegaly")


def _ratios(ratios: Sequence[tuple[float, int | None]]) -> Ratios | None:
    if not ratios:
        return None
    low, median, high = np.percentile([ratio for ratio, _ in ratios], [25, 50, 75])
    known = [(ratio, label) for ratio, label in ratios if label in (0, 1)]
    return Ratios(
        n=len(ratios),
        median=float(median),
        quartiles=(float(low), float(high)),
        auroc=metrics.auroc(*zip(*known, strict=True)) if known else None,
    )
