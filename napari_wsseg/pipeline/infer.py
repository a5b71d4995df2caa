"""Computing a stage's maps for every film of a project."""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from napari_wsseg._registry import find_group
from napari_wsseg.io import film_cache, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError
from napari_wsseg.pipeline.inference import (
    anatomy,
    kept_places,
    networks,
    serving,
    thresholds,
    variants,
)
from napari_wsseg.pipeline.inference import scorers as _scorers
from napari_wsseg.pipeline.inference import tied_deconv as _tied_deconv
from napari_wsseg.pipeline.inference.work import Scorer, Work
from napari_wsseg.schema import ANATOMY, Case, StageMaps

T = TypeVar("T")

BATCH = 8
"""Films that a network sees at once."""

PACKED_EVERY = 512
"""Films after which those of a packed store are joined in one file."""

_HALVED = ("cam", "segmentation")
"""Stages whose maps are a network's alone, which may be computed in bf16."""

_FEW = 64
"""Films that are computed again without asking whether it pays."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares of a project's films.

    Parameters
    ----------
    number
        0 to `count`; the last is the first again, so that shards may be counted from 0
        or from 1.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.number <= self.count:
            raise UsageError(
                f"there is no shard {self.number}/{self.count}; they go from 1/N to "
                "N/N, e.g. 1/4"
            )

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Return this shard's of all films or batches of them, every `count`-th."""
        return items[self.number % self.count :: self.count]


def infer(
    project: Project,
    stage: str,
    run: str,
    *,
    variant: str | None = None,
    first: str | None = None,
    only: bool = False,
    device: str = "auto",
    cancel: threading.Event | None = None,
    again: bool = False,
    deep: bool = False,
    shard: Shard | None = None,
    packed: bool | None = None,
    precision: serving.Precision = "fp32",
) -> Generator[Progress, None, None]:
    """Yield progress while computing the maps of `stage` by `run`, where missing.

    A stage that this one builds on is computed first where it is missing. Default
    thresholds and gates are set once every film is seen.

    Parameters
    ----------
    project, run
        Open to write; and the run's id.
    stage
        ``"cam"`` and ``"crf"`` of a run of a classifier or of a tied deconvolution
        network, ``"irnet"`` of an IRNet's, ``"segmentation"`` of a segmenter's,
        ``"anatomy"`` of an anatomy network's or, with the run ``"shipped"``, of the one
        that comes with the program.
    variant
        Which map of the stage ``"cam"``, see
        `napari_wsseg.pipeline.inference.variants`; ``None`` for the run's own.
        Each is kept in a folder of its own.
    first
        Id of the case that is done before all others, alone, for whoever waits.
    only
        Leave it at the case `first`.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    cancel
        Set it, from any thread: films that are done stay done.
    again
        Compute what is there already, too.
    deep
        With `again`, the stages that this one builds on as well, but for the anatomy.
    shard
        See only its films, decode them without keeping them, and leave the thresholds
        to a call without a shard, once all of them are done.
    packed
        Whether maps are kept in files of many films; ``None``: as the project has it.
    precision
        Of networks' maps by ``"cam"`` and ``"segmentation"``; ``"bf16"`` takes half
        the time or less where it is native, and maps depend on the machine.

    Raises
    ------
    UsageError
        If the run has no such variant, or the stage has none at all, or the device no
        bf16 of its own.
    DataError
        If the run does not make that stage, there is no case `first`, or a film
        cannot be read.
    """
    if stage not in _STAGES:
        raise DataError(f"no stage {stage!r}; there are: {', '.join(_STAGES)}")
    variant, kept = _variant(project, stage, run, variant)
    if not again and _needs_no_weights(project, kept, run):
        return
    model, header = _loaded(project, run, device)
    score = _scorer(stage, header["network"]["kind"], run)
    before = partial(
        infer,
        project,
        first=first,
        only=only,
        device=device,
        cancel=cancel,
        shard=shard,
        packed=packed,
        precision=precision,
    )
    if below := _STAGES[stage].below:
        source = str(header.get("classifier", run))
        yield from before(below, source, again=again and deep, deep=deep)
    limits = kept_places.for_stage(project, header)
    for anatomy_run in _anatomy_runs(header, limits):
        if not _all_seen(project, anatomy_run):
            yield from before(ANATOMY, anatomy_run)
    films = yield from _films(project, header["size"], shard)
    groups = _groups(project.case_ids())
    mine = groups if shard is None else shard.share(groups)
    seen = set() if again else stages.cases_with_maps(project.folder, kept, run)
    missing = {
        one
        for group in mine
        for one in group
        if one not in seen and (not only or one == first)
    }
    waited = project.case(first).id if first else None
    done = yield from _score_missing(
        _Scoring(
            Work(project, run, model, header, films, variant, again),
            *(stage, score, limits),
            precision if stage in _HALVED else "fp32",
        ),
        _Store(
            *(project.folder, kept, run),
            packed=project.settings.packed if packed is None else packed,
            films=[one for group in mine for one in group],
        ),
        _batches(mine, missing, waited, again=shard is not None),
        missing,
        cancel or threading.Event(),
    )
    if shard is not None or (cancel is not None and cancel.is_set()):
        return
    if done or stages.read_settings(project.folder, kept, run) is None:
        settings = thresholds.defaults(project, kept, run, header)
        stages.write_settings(project.folder, kept, run, settings)


@dataclass(frozen=True, slots=True)
class _Scoring:
    """How a stage's maps come to be: by a network, and kept to places if at all."""

    work: Work
    stage: str
    score: Scorer
    limits: kept_places.Places | None
    precision: serving.Precision

    def maps(
        self, batch: list[Case], missing: Collection[str]
    ) -> Iterator[tuple[Case, StageMaps]]:
        """Yield the maps of those films of a batch that are missing."""
        with serving.computing(self.work.model, self.precision):
            for case, maps in zip(batch, self.score(self.work, batch), strict=True):
                if case.id not in missing:
                    continue
                if self.limits is not None:
                    maps = self.limits.apply(self.stage, case, maps)
                yield case, maps


@dataclass(frozen=True, slots=True)
class _Store:
    """Where a stage's maps are kept: a file for each film, or, packed, for many."""

    project: Path
    stage: str
    run: str
    packed: bool
    films: Sequence[str]

    def write(self, case: Case, maps: StageMaps) -> None:
        wanted = [k for k, label in enumerate(case.labels.values()) if label == 1]
        stages.write(
            *(self.project, self.stage, self.run, case.id, maps),
            packed=self.packed,
            wanted=wanted,
        )

    def join(self, least: int = 1) -> None:
        """Put the films of a packed store in files of many, no fewer than `least`."""
        if self.packed:
            stages.pack(*(self.project, self.stage, self.run, self.films), least=least)


def _score_missing(
    scoring: _Scoring,
    store: _Store,
    batches: Iterator[Sequence[str]],
    missing: set[str],
    cancel: threading.Event,
) -> Generator[Progress, None, int]:
    """Write the maps of all that is missing, until cancelled; return how many were."""
    done = 0
    for chosen in batches:
        if cancel.is_set():
            break
        found = scoring.work.project.some_cases(chosen)
        batch = [found[case_id] for case_id in chosen]
        for case, maps in scoring.maps(batch, missing):
            store.write(case, maps)
            missing.discard(case.id)
            done += 1
        if done % PACKED_EVERY < BATCH:
            store.join(least=PACKED_EVERY)
        title = f"scoring films: {store.stage.replace('~', ' ')}"
        yield Progress(done, done + len(missing), title)
    if done:
        store.join()
    return done


def _films(
    project: Project, size: int, shard: Shard | None
) -> Generator[Progress, None, film_cache.Films | film_cache.DecodedFilms]:
    if shard is not None:
        return film_cache.DecodedFilms(project, size)
    return (yield from film_cache.films(project, size))


def _needs_no_weights(project: Project, kept: str, run: str) -> bool:
    """Whether a run's weights are gone, and all that they would compute is there."""
    if run == anatomy.SHIPPED:
        return False
    folder = runs.find(project.folder, run)
    if folder.best.is_file() or folder.info().is_draft:
        return False  # of another program's drafts it is said that none can be made
    films = (case.id for case in project.cases())
    return stages.read_settings(
        project.folder, kept, run
    ) is not None and not stages.missing(project.folder, kept, run, films)


def _loaded(
    project: Project, run: str, device: str
) -> tuple[nn.Module, dict[str, Any]]:
    where = networks.device_of(device)
    if run == anatomy.SHIPPED:
        model, header = anatomy.shipped(where)
    else:
        model, header = networks.load(project.folder, run, device=where)
    return serving.prepared(model), header


def _anatomy_runs(
    header: dict[str, Any], limits: kept_places.Places | None
) -> set[str]:
    """Return the runs whose anatomy a run's maps are limited, gated or joined by."""
    by_gate = str(header.get("presence", {}).get("anatomy", ""))
    joined = str(header.get("organs", ""))
    runs = {by_gate, joined, limits.run if limits else ""}
    return {run for run in runs if run}


def _all_seen(project: Project, run: str) -> bool:
    """Whether a run of the anatomy has seen every film; masks cannot see more."""
    seen = set(stages.cases_with_maps(project.folder, ANATOMY, run))
    settled = stages.read_settings(project.folder, ANATOMY, run) is not None
    return settled and seen >= {case.id for case in project.cases()}


def _variant(
    project: Project, stage: str, run: str, variant: str | None
) -> tuple[str, str]:
    """Return the variant's name and the stage that it is kept under."""
    if stage != "cam":
        if variant is not None:
            raise UsageError(
                f"stage {stage} has one map, not a map {variant!r}; only cam has more"
            )
        return "", stage
    config = runs.find(project.folder, run).config()
    name = variants.resolve(variant, config)
    return name, variants.stage_name(name, config)


def _groups(ids: Sequence[str]) -> list[Sequence[str]]:
    """Return all films in batches that are the same whoever computes them."""
    return [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]


def _batches(
    groups: Sequence[Sequence[str]],
    missing: Collection[str],
    first: str | None,
    *,
    again: bool,
) -> Iterator[Sequence[str]]:
    """Yield batches with films that are missing; of `first`, if it is, before, alone.

    A network's last digit depends on the films beside a film. So, with `again`, a batch
    that a job was stopped in is computed whole again, unless that were most of the
    work, as where films were added to a project.
    """
    if first is not None and first in missing:
        yield [first]
    open_ = [group for group in groups if any(one in missing for one in group)]
    count = sum(map(len, open_))
    complete = again and count <= max(2 * len(missing), _FEW)
    for group in open_:
        left = [one for one in group if one in missing]
        if left:
            yield group if complete else left


@dataclass(frozen=True, slots=True)
class _Stage:
    """The stage that one builds on, and how each kind of network makes it."""

    below: str | None
    scorers: dict[str, Scorer]


def _scorer(stage: str, kind: str, run: str) -> Scorer:
    scorers = _STAGES[stage].scorers
    if kind not in scorers:
        find_group("napari_wsseg.recipes")
    if kind not in scorers:
        raise DataError(
            f"run {run} trained a {kind}, but stage {stage} needs a "
            f"{' or a '.join(scorers)}"
        )
    return scorers[kind]


def add_scorer(stage: str, kind: str, scorer: Scorer) -> None:
    """Let a kind of network of a recipe's own make a stage.

    Parameters
    ----------
    stage, scorer
        The stage, and what makes its maps with such a network.
    kind
        As its header names it, see `napari_wsseg.pipeline.inference.networks.BUILDERS`.
    """
    _STAGES[stage].scorers[kind] = scorer


_STAGES = {
    "cam": _Stage(None, {"classifier": _scorers.cam, "tied_deconv": _tied_deconv.maps}),
    "crf": _Stage("cam", {"classifier": _scorers.crf, "tied_deconv": _scorers.crf}),
    "irnet": _Stage("cam", {"irnet": _scorers.irnet}),
    "segmentation": _Stage("cam", {"segmenter": _scorers.segmentation}),
    "anatomy": _Stage(None, {"anatomy": anatomy.maps}),
}
