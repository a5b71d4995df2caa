"""Films that are free of a finding, with the finding planted: masks without a reader.

Every pixel of a film that is labelled negative is truth. Lesions of the generator are
planted into such films, `COPIES` times each, where the anatomy stage finds lungs; the
films as they are say what a film without the finding looks like.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.film_cache import Films
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.phantom import planting
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference.work import resized
from napari_wsseg.schema import ANATOMY, IGNORE, Case, Mask
from trainers.data.batches import Labels
from trainers.data.targets import Targets
from trainers.engine.recipe import Context
from trainers.tasks.look_alikes import LookAlikes

COPIES = 3
"""How many different lesions a negative film gets, one a copy."""


def planted(
    context: Context,
    films: Films,
    labels: Labels,
    rows: Sequence[int],
    seed: int,
    device: str,
    only: Sequence[str] | None = None,
    alike: LookAlikes | None = None,
) -> Generator[Progress, None, tuple[Films, Labels, Targets]]:
    """Yield progress; return films and labels with planted ones behind, and targets.

    Targets know the negatives of `rows` as they are and with each of their lesions; of
    other findings on a planted film they know what its label says is absent.

    Parameters
    ----------
    context
        The run; progress and cancelling are its.
    films, labels, rows
        All films, their labels, and those that lesions go into.
    seed, device
        What the lesions depend on, and where lungs are looked for.
    only
        Findings to plant; ``None``: all that the generator knows.
    alike
        What judges look-alikes of findings that the generator does not know.

    Raises
    ------
    DataError
        If there is nothing to plant, no film of `rows` is labelled negative, the films
        are in colour, or no lung is found on any.
    """
    spots = set(alike.sites) if alike else set()
    kinds = {} if spots and not only else _kinds(labels.findings)
    if only is not None:
        kinds = {k: v for k, v in kinds.items() if labels.findings[k] in only}
    if films.pixels.ndim != 3:
        raise DataError("planting wants films in greys; these are in colour")
    project = context.project
    run = anatomy.run_in_use(project)
    if kinds:
        yield from infer(project, ANATOMY, run, device=device, cancel=context.cancel)
    targets = Targets(films.size, len(labels.findings))
    made = _Planted(labels, targets)
    for row in rows:
        absent = [k for k in range(len(labels.findings)) if labels.targets[row, k] == 0]
        for k in absent:
            targets.put(row, k, np.zeros((films.size, films.size), bool))
        here = [k for k in absent if k in kinds or k in spots]
        if not here or context.cancel.is_set():
            continue
        case = labels.cases[row]
        film = films.take([case.id])[0].astype(np.float32) / 255
        lungs = _lungs(context, run, case.id, films.size) if kinds else None
        for copy in range(COPIES):
            k = here[(row + copy) % len(here)]
            rng = np.random.default_rng([seed, row, copy])
            if k in kinds and lungs:
                changed, mask = planting.plant(film, lungs, kinds[k], rng)
            elif alike:
                changed, mask = alike.plant(film, k, rng)
            if mask.any():
                made.add(
                    replace(case, id=f"{case.id}+{copy}"), changed, mask, k, absent
                )
    if rows and not made.cases and not context.cancel.is_set():
        raise DataError(
            "no lesion could be planted: no film of the split is labelled 0 for "
            f"{' or '.join(labels.findings[k] for k in {*kinds, *spots})} and shows a "
            "lung, or is taken for one with the finding"
        )
    if not made.cases:
        return films, labels, targets
    yield Progress(0, 0, f"{len(made.cases)} films with planted lesions")
    ids = [case.id for case in made.cases]
    return _longer(films, ids, made.pixels), made.longer_labels(), targets


@dataclass(frozen=True, slots=True)
class _Planted:
    """Films with lesions put into them, which come behind those that there are."""

    labels: Labels
    targets: Targets
    cases: list[Case] = field(default_factory=list)
    pixels: list[NDArray[np.uint8]] = field(default_factory=list)
    known: list[torch.Tensor] = field(default_factory=list)

    def add(
        self,
        case: Case,
        film: NDArray[np.float32],
        mask: Mask,
        finding: int,
        absent: Sequence[int],
    ) -> None:
        """Add a film with one finding; its others that are absent stay so."""
        number = len(self.labels.cases) + len(self.cases)
        self.cases.append(case)
        self.pixels.append(np.round(film.clip(0, 1) * 255).astype(np.uint8))
        target = torch.full((len(self.labels.findings),), float(IGNORE))
        for other in absent:
            target[other] = float(other == finding)
            blank = np.zeros_like(mask)
            self.targets.put(number, other, mask if other == finding else blank)
        self.known.append(target)

    def longer_labels(self) -> Labels:
        return Labels(
            (*self.labels.cases, *self.cases),
            self.labels.findings,
            torch.cat([self.labels.targets, torch.stack(self.known)]),
        )


def _kinds(findings: Sequence[str]) -> dict[int, str]:
    found = {k: planting.kind_of(name) for k, name in enumerate(findings)}
    kinds = {k: kind for k, kind in found.items() if kind is not None}
    if not kinds:
        raise DataError(
            f"the generator plants {', '.join(planting.KINDS)} and knows none of "
            f"{', '.join(findings)}; choose others (labels=spots, labels=irnet)"
        )
    return kinds


def _lungs(context: Context, run: str, case: str, size: int) -> tuple[Mask, Mask]:
    folder = context.project.folder
    maps = stages.read(folder, ANATOMY, run, case)
    settings = stages.read_settings(folder, ANATOMY, run)
    if maps is None or settings is None:
        raise DataError(f"the anatomy of {case} is missing; run wsseg infer anatomy")
    scores = dict(zip(settings.findings, resized(maps.score, size), strict=True))
    return scores["left_lung"] >= 0.5, scores["right_lung"] >= 0.5


def _longer(
    films: Films, ids: Sequence[str], more: Sequence[NDArray[np.uint8]]
) -> Films:
    pixels = np.concatenate([films.pixels, np.stack(more)])
    behind = {name: len(films.pixels) + place for place, name in enumerate(ids)}
    return Films(pixels, {**films.rows, **behind})
