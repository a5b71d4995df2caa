"""Learning while a reader reads: a few steps after each film that is accepted."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any

import torch
from torch import nn

from napari_wsseg.io import film_cache
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import Checkpoint, DataError, JobFailed, Progress
from napari_wsseg.pipeline import drafting
from napari_wsseg.pipeline.inference import networks
from trainers.data import batches as _batches
from trainers.data import targets as _targets
from trainers.data.samplers import NewestSampler
from trainers.engine.loop import fit
from trainers.engine.recipe import Context, Events, recipe
from trainers.tasks import masks as _masks
from trainers.tasks import preflight as _preflight
from trainers.tasks import weak_masks as _weak_masks
from trainers.tasks.accepted_films import AcceptedFilms, learnt_by
from trainers.tasks.held_out import HeldOut

_LOOK_S = 0.5
_SETTLED = 1000
"""Updates after which a mean of weights no longer warms up: it began from a run's."""


@dataclass(frozen=True, kw_only=True)
class LiveConfig(_masks.MaskConfig):
    """Settings of learning while a reader reads."""

    start_run: Annotated[
        str, {"tooltip": "Segmenter to begin from; empty: the one in use"}
    ] = ""
    reader: Annotated[
        str,
        {
            "label": "Masks of",
            "tooltip": "Reader whose accepted masks are learnt; empty: those that "
            "count, whoever drew them",
        },
    ] = ""
    wait: Annotated[
        bool,
        {
            "label": "Wait for more",
            "tooltip": "Go on until it is stopped, as films are accepted; off: end "
            "once all are learnt",
        },
    ] = False
    steps: Annotated[
        int,
        {
            "min": 1,
            "max": 1000,
            "basic": True,
            "label": "Steps a film",
            "tooltip": "Batches that are learnt after a film was accepted",
        },
    ] = 20
    newest: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "label": "Share of the newest",
            "tooltip": "Share of every batch that are the films accepted last",
        },
    ] = 0.5
    films: Annotated[
        int,
        {
            "min": 1,
            "max": 64,
            "label": "Newest films",
            "tooltip": "How many films count as the newest",
        },
    ] = 4
    p: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "label": "Expert share p",
            "tooltip": "Share of expert films in the rest of every batch",
        },
    ] = 0.8
    tolerance: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.01,
            "label": "Tolerance",
            "tooltip": "Steps are undone that make Dice on held-out films worse than "
            "the best so far by more than this",
        },
    ] = 0.02
    least_agreement: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "label": "Least agreement",
            "tooltip": "Where no expert has drawn on a held-out film: steps are undone "
            "after which masks agree less (Dice) with those of the start",
        },
    ] = 0.7
    ahead: Annotated[
        int,
        {
            "min": 0,
            "max": 256,
            "label": "Drafts ahead",
            "tooltip": "Films whose drafts are renewed after each step",
        },
    ] = 8
    learning_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 3e-4
    average: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.9999,
            "step": 0.001,
            "label": "Weight averaging",
            "tooltip": "Decay of the running mean of the weights that draws; 0: none",
        },
    ] = 0.95


@recipe(
    "live",
    config=LiveConfig,
    stages=("segmentation",),
    summary="Go on learning from films as a reader accepts them, some steps at a time",
    title="6 · Learn while films are read",
    order=95,
    network="segmenter",
    needs=("expert masks",),
    judged_by="val_dice",
    builds_on={"start_run": "segmentation"},
)
def live(context: Context, config: LiveConfig) -> Events:
    """Learn some steps from every film that is accepted; undo those that do harm.

    Half of each batch are the newest films, the rest earlier expert films and weak
    masks at the share p. After each round the averaged weights draw the next drafts.
    A round after which held-out films get worse leaves no trace but its entry in the
    card. Test films are never learnt.

    Raises
    ------
    DataError
        If no segmenter is in use, it is of other findings, or no film is held out.
    """
    learner = yield from _Learner.prepare(context, config)
    yield from learner.begin()
    while not context.cancel.is_set():
        waiting = learner.waiting()
        if waiting:
            yield from learner.learn(waiting)
        elif not config.wait:
            return
        else:
            context.cancel.wait(_LOOK_S)
            yield from learner.follow_wishes()


_OWN = {
    *("epochs", "start_run", "labels_run", "learning_rate", "average", "schedule"),
    *("checks", "check_every", "p", "init", "init_from", "tracker"),
}
"""Settings that are not those of the segmenter that is begun from."""


def inherited(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a segmenter's run that hold while it goes on learning.

    Parameters
    ----------
    settings
        As the run was trained by; of a run of another recipe or program, what fits.
    """
    known = {each.name for each in fields(LiveConfig)} - _OWN
    own = {each.name for each in fields(_masks.MaskConfig)}
    return {key: settings[key] for key in sorted(known & own) if key in settings}


@dataclass(slots=True)
class _Story:
    """What was learnt and what was undone; kept with the weights, as JSON values."""

    start: str
    learnt: dict[str, str] = field(default_factory=dict)
    since: list[str] = field(default_factory=list)
    undone: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    judged_by: str = ""


@dataclass(eq=False)
class _Learner:
    """A segmenter that learns, its films, and where it stands.

    `kept` is the state that `fit` goes on from: nothing is in it but rounds that were
    not undone.
    """

    context: Context
    config: LiveConfig
    model: nn.Module
    header: dict[str, Any]
    labels: _batches.Labels
    films: film_cache.Films
    feed: _batches.Feed
    weak: _targets.Targets
    source: str
    accepted: AcceptedFilms
    held_out: HeldOut
    story: _Story
    kept: dict[str, Any]
    partial: dict[str, Any] | None = None
    score: dict[str, float] = field(default_factory=dict)
    best: float = 0.0
    wishes: list[str] = field(default_factory=list)

    @classmethod
    def prepare(
        cls, context: Context, config: LiveConfig
    ) -> Generator[Progress, None, _Learner]:
        """Read films, weak masks and the network to begin from, or to go on from."""
        project, state = context.project, dict(context.resume or {})
        _preflight.findings_exist(project)
        story = _Story(**state.pop("live", {"start": ""}))
        start = story.start or _targets.in_use(
            project, "segmentation", config.start_run
        )
        model, header = networks.load(project.folder, start)
        networks.require(header, "segmenter", start)
        labels = _batches.Labels.from_project(project)
        if tuple(header["findings"]) != labels.findings:
            raise DataError(
                f"run {start} draws {', '.join(header['findings'])}, the project has "
                f"{', '.join(labels.findings)}; train its segmenter again first"
            )
        config = replace(config, **_fixed_by(header))
        films = yield from film_cache.films(project, config.size)
        weak, source = _targets.Targets(config.size, len(labels.findings)), ""
        if config.p < 1:
            films, labels, weak, source = yield from _weak(
                context, films, labels, config, header
            )
        feed = _batches.Feed(films, labels.ids, config)
        reader = config.reader or None
        model = model.to(networks.device_of(config.device))
        learner = cls(
            context,
            config,
            model,
            {key: value for key, value in header.items() if key not in _NOT_KEPT},
            labels,
            films,
            feed,
            weak,
            source,
            AcceptedFilms(project, labels, reader),
            HeldOut(project, labels, feed, deepcopy(model), reader, config.size),
            story,
            state,
        )
        learner.partial = state.pop("partial", None)
        if not story.start:
            story.start = start
            told = learnt_by(project.folder, start, labels)
            story.learnt = {labels.ids[row]: name for row, name in told.items()}
        return learner

    # Rounds -------------------------------------------------------------------------

    def begin(self) -> Events:
        """Say where it stands, keep that, and offer drafts."""
        context, project = self.context, self.context.project
        if self.source:
            drawn = set(self.accepted.versions())
            weak = self.weak.only(self.weak.rows() - drawn)
            context.lock.extend(
                _targets.lock_rows(project, self.labels, weak, self.source)
            )
        numbers = {case_id: row for row, case_id in enumerate(self.labels.ids)}
        self._lock([numbers[one] for one in self.story.since if one in numbers])
        if self.kept:
            self.model.load_state_dict(self.kept["average"])
        else:
            weights = _plain(self.model)
            self.kept = {
                "step": 0,
                "model": weights,
                "average": weights,
                "updates": _SETTLED,
                "best": None,
            }
        self._judge_anew()
        yield Progress(0, 0, f"judged by {self.story.judged_by}")
        if self.partial is None:
            yield self._checkpoint()
        yield from self._renew()

    def waiting(self) -> list[int]:
        """Return accepted films that were not learnt yet, the oldest first, a few."""
        found = [
            row
            for row, name in self.accepted.versions().items()
            if self.story.learnt.get(self.labels.ids[row]) != name
        ]
        return found[: self.config.films]

    def learn(self, fresh: Sequence[int]) -> Events:
        """Learn a round of steps from new films, and keep it unless it does harm."""
        if self.partial:
            numbers = {case_id: row for row, case_id in enumerate(self.labels.ids)}
            fresh = [numbers[one] for one in self.partial["films"]]
        self._judge_anew()
        versions = self.accepted.versions()
        found: Checkpoint | None = None
        failure = ""
        try:
            found = yield from self._round(fresh, versions)
        except JobFailed as error:  # a loss that is no number
            failure = str(error)
        if self.context.cancel.is_set():
            if found is not None and found.resume is not None:
                # As far as it came; the films are learnt when it goes on.
                ids = [self.labels.ids[row] for row in fresh]
                partial = {"films": ids, "state": dict(found.resume)}
                yield self._checkpoint(partial)
            return
        self.partial = None
        self._lock(fresh)
        self._judge(fresh, versions, found, failure)
        yield self._checkpoint()
        yield from self._renew()

    def _round(
        self, fresh: Sequence[int], versions: dict[int, str] | Any
    ) -> Generator[Progress | Checkpoint, None, Checkpoint | None]:
        """Yield progress of some steps; return the state behind them."""
        config, ends = self.config, self.kept["step"] + self.config.steps
        newest = _newest(list(versions), fresh, config.films)
        earlier = [row for row in versions if row not in newest]
        learnt = _targets.expert(
            self.context.project,
            self.labels,
            list(versions),
            config.size,
            reader=config.reader or None,
        )
        known = learnt.rows()
        targets = _targets.Targets(config.size, len(self.labels.findings))
        targets.add(self.weak, over=True)
        targets.add(learnt, over=True)
        weak = [row for row in sorted(self.weak.rows()) if row not in known]
        task = _masks.task(
            config,
            model=deepcopy(self.model),  # type: ignore[arg-type]
            feed=self.feed,
            labels=self.labels,
            targets=targets,
            validation=learnt,
            sampler=NewestSampler(
                [row for row in newest if row in known],
                [row for row in earlier if row in known],
                weak,
                config.newest,
                config.p,
                config.batch,
                config.seed,
            ),
            steps=ends,
            classifier_run=str(self.header.get("classifier", "")),
            tuned=True,
            start=self.story.start,
            source=self.source,
        )
        task = replace(task, validate=self.held_out.score, header=self.header)
        state = self.partial["state"] if self.partial else self.kept
        context = replace(self.context, resume={**state, "best": None})
        found = None
        for event in fit(task, config, context, alone=True):
            if isinstance(event, Checkpoint):
                found = event
            else:
                yield event
        return found

    def _judge(
        self,
        fresh: Sequence[int],
        versions: Any,
        found: Checkpoint | None,
        failure: str,
    ) -> None:
        """Keep a round, or leave all as it was before it."""
        ids = [self.labels.ids[row] for row in fresh]
        self.story.learnt.update(
            {self.labels.ids[row]: versions[row] for row in fresh if row in versions}
        )
        self.kept["step"] += self.config.steps
        self.story.steps += self.config.steps
        score = dict(found.metrics) if found else {}
        # Of a network that draws nothing held out there is nothing to be lost.
        value = score.get("val_dice", 1.0 if found else 0.0)
        if found is None or found.resume is None or value < self._floor:
            self.story.undone.append(
                {
                    "films": ids,
                    "before": self.score.get("val_dice", 0.0),
                    "after": value,
                    **({"why": failure} if failure else {}),
                }
            )
            return
        self.story.since += [one for one in ids if one not in self.story.since]
        self.kept = dict(found.resume)
        self.model.load_state_dict(self.kept["average"])
        self.score = score
        self.best = max(self.best, score.get("val_dice", 0.0))

    @property
    def _floor(self) -> float:
        if self.held_out.by_experts:
            return self.best - self.config.tolerance
        return self.config.least_agreement

    def _judge_anew(self) -> None:
        """Score what is kept once more where held-out films have got new masks."""
        if not self.held_out.refresh():
            return
        self.model.eval()
        device = next(self.model.parameters()).device
        self.score = dict(self.held_out.score(self.model, device))
        self.best = self.score.get("val_dice", 0.0)
        self.story.judged_by = self.held_out.words

    def _lock(self, rows: Sequence[int]) -> None:
        reader = self.config.reader or None
        project = self.context.project
        found = _targets.expert(
            project, self.labels, rows, self.config.size, reader=reader
        )
        self.context.lock.extend(
            _targets.lock_rows(project, self.labels, found, "expert", reader=reader)
        )

    def _checkpoint(self, partial: dict[str, Any] | None = None) -> Checkpoint:
        story = {name: getattr(self.story, name) for name in _Story.__slots__}
        told = {
            "start": self.story.start,
            "steps": self.story.steps,
            "learnt": list(self.story.since),
            "undone": list(self.story.undone),
            "judged_by": self.story.judged_by,
        }
        more = {"partial": partial} if partial else {}
        return Checkpoint(
            header={**self.header, "live": told},
            weights=self.kept["average"],
            metrics=dict(self.score),
            resume={**self.kept, "live": story, **more},
            best=True,
        )

    # Drafts -------------------------------------------------------------------------

    @property
    def run(self) -> str:
        """Id of the run; empty where it has no folder."""
        return self.context.cache.parent.name if self.context.cache else ""

    def follow_wishes(self) -> Iterator[Progress]:
        """Draw films that are wanted now and were not before."""
        if self.run and set(self._wanted()) - set(self.wishes):
            yield from self._renew()

    def _renew(self) -> Iterator[Progress]:
        """Draw the next films with the weights that are kept, and say so."""
        drawn: list[str] = []
        if self.run and self.config.ahead:
            self.wishes = self._wanted()
            self.model.eval()
            drawn = drafting.draw(
                self.context.project,
                self.run,
                self.model,
                self.header,
                self.films,
                self.wishes,
                self.story.start,
            )
        done = self.kept["step"]
        yield Progress(
            done,
            0,
            self._words(bool(drawn)),
            {
                "films_learnt": len(self.story.since),
                "rounds_undone": len(self.story.undone),
                "drafts": len(drawn),
            },
        )

    def _words(self, drawn: bool) -> str:
        n = len(self.story.since)
        learnt = f"learnt from {n} film{'' if n == 1 else 's'}" if n else "waits"
        drafts = "; drafts renewed" if drawn and n else ""
        undone = self.story.undone
        if not undone:
            return learnt + drafts
        count = f"{len(undone)} round{'' if len(undone) == 1 else 's'} undone"
        return f"{learnt}{drafts}; {count}: held-out films got worse"

    def _wanted(self) -> list[str]:
        assert self.context.cache is not None
        wished = RunFolder(self.context.cache.parent).wishes()
        known = set(self.films.rows)
        found = [one for one in wished if one in known]
        if not found:
            done = self.context.project.decisions(reader=self.config.reader or None)
            every = self.context.project.case_ids()
            found = [one for one in every if one not in done and one in known]
        return found[: self.config.ahead]


_NOT_KEPT = ("metrics", "weak", "live", "chosen")
"""Of the header of the run that was begun from."""


def _fixed_by(header: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the network to go on with leaves no choice of."""
    return {
        "size": int(header["size"]),
        "normalisation": header["normalisation"],
        "detail": int(header.get("detail", 0)),
        "flip": bool(header.get("flip", True)),
        "channels": int(header["network"].get("in_channels", 1)),
        "exclusive": bool(header.get("exclusive", False)),
        "schedule": "constant",
        "checks": 1,
        "check_every": 0,
    }


def _weak(
    context: Context,
    films: film_cache.Films,
    labels: _batches.Labels,
    config: LiveConfig,
    header: dict[str, Any],
) -> Generator[
    Progress, None, tuple[film_cache.Films, _batches.Labels, _targets.Targets, str]
]:
    """Return weak masks of training films; none where no weak stage is in use."""
    none = _targets.Targets(config.size, len(labels.findings))
    chosen = {name: one["source"] for name, one in header.get("chosen", {}).items()}
    if config.labels == "auto" and not chosen:
        config = replace(config, labels="irnet")
    rows = labels.known_in("train")
    try:
        source = _weak_masks.source(context.project, config)
        films, labels, weak = yield from _weak_masks.weak_targets(
            context, films, labels, rows, config, source, chosen
        )
    except DataError as error:
        yield Progress(0, 0, f"no weak film to mix: {error}")
        return films, labels, none, ""
    return films, labels, weak, config.labels


def _newest(accepted: Sequence[int], fresh: Sequence[int], most: int) -> Sequence[int]:
    """Return new films, and those accepted last before them, `most` in all."""
    others = [row for row in accepted if row not in set(fresh)]
    return [*others[len(others) - max(0, most - len(fresh)) :], *fresh]


def _plain(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
