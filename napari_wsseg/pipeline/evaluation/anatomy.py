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
from napari_wsseg.schema import Case


def scores(
    project: Project, cases: Sequence[Case]
) -> Generator[Progress, None, AnatomyScores | None]:
    """Yield progress; return figures of the films it has looked at, ``None`` if none.

    ``cardiothoracic_ratio`` has median and quartiles over the films and, as ``auroc``,
    how well it tells films labelled cardiomegaly from those without; ``iou`` the mean
    over films of what a finding of the same name has been drawn on.
    """
    ratios: list[tuple[float, int | None]] = []
    overlaps: dict[str, list[float]] = {}
    seen = 0
    for done, case in enumerate(cases, 1):
        found = anatomy.masks(project, case)
        if not found:
            continue
        seen += 1
        ratio = measure(found).cardiothoracic_ratio
        if ratio is not None:
            ratios.append((ratio, _cardiomegaly(case)))
        for name, truth in project.expert_masks(case.id).items():
            if name in found:
                overlaps.setdefault(name, []).append(metrics.iou(found[name], truth))
        yield Progress(done, len(cases), "measuring chests")
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
