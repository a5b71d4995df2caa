"""What an evaluation found, as frozen types; `to_json` writes them as they are printed.

Every field is a key of the JSON, in the same order. A field that is `INLINED` gives its
own keys to the object that holds it; one that is `OPTIONAL` is left out while it is
``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from napari_wsseg.ops.tally import METRICS

T = TypeVar("T")

Interval = tuple[float, float] | None
"""Lower and upper end of a 95 % interval; ``None`` where none is known."""


INLINED = {"inlined": True}
OPTIONAL = {"optional": True}


def to_json(value: Any) -> Any:
    """Return a value of these types as JSON has it: dictionaries, lists and numbers."""
    if isinstance(value, Mapping):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    found: dict[str, Any] = {}
    for each in fields(value):
        part = getattr(value, each.name)
        if each.metadata.get("inlined"):
            found |= to_json(part)
        elif part is not None or not each.metadata.get("optional"):
            found[each.name] = to_json(part)
    return found


@dataclass(frozen=True, slots=True)
class ByMetric(Generic[T]):
    """Something of each metric of masks: its value, its interval, a difference."""

    pos_iou: T
    all_iou: T
    pooled_miou: T
    dice: T
    emptiness: T

    @classmethod
    def from_each(cls, make: Callable[[str], T]) -> ByMetric[T]:
        """Return what `make` says of each metric's name."""
        return cls(*(make(metric) for metric in METRICS))

    def __getitem__(self, metric: str) -> T:
        """Return that of a metric by its name."""
        found: T = getattr(self, metric)
        return found


Metrics = ByMetric[float | None]
"""A value in [0, 1] each; ``None`` where it is not defined."""


@dataclass(frozen=True, slots=True)
class FindingMetrics:
    """How masks of one finding do on the `n` films whose truth is known."""

    metrics: Metrics = field(metadata=INLINED)
    n: int
    n_positive: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics averaged over findings, and of each."""

    mean: Metrics = field(metadata=INLINED)
    per_finding: Mapping[str, FindingMetrics]

    @classmethod
    def from_metrics(cls, found: Mapping[str, Any]) -> Scores:
        """Take what `Tally.metrics` returns."""
        return cls(
            metrics_in(found),
            {
                name: FindingMetrics(metrics_in(row), row["n"], row["n_positive"])
                for name, row in found["per_finding"].items()
            },
        )


@dataclass(frozen=True, slots=True)
class BlankScores:
    """What masks that are empty everywhere score."""

    mean: Metrics = field(metadata=INLINED)
    per_finding: Mapping[str, Metrics]


@dataclass(frozen=True, slots=True)
class Intervals:
    """The interval of each mean, and of each finding's metrics."""

    mean: ByMetric[Interval] = field(metadata=INLINED)
    per_finding: Mapping[str, ByMetric[Interval]]

    @classmethod
    def from_resamples(cls, found: Mapping[str, Any]) -> Intervals:
        """Take what `Resamples.intervals` returns."""
        return cls(
            _intervals_in(found),
            {name: _intervals_in(row) for name, row in found["per_finding"].items()},
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of one less that of another, on the same films."""

    difference: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class StageDifference:
    """A stage less another."""

    stage: str
    against: str
    metrics: ByMetric[Difference] = field(metadata=INLINED)


@dataclass(frozen=True, slots=True)
class SizeScores:
    """A third of the films that have a finding, by its area as a share of the film."""

    size: str
    share: tuple[float, float]
    n: int
    pos_iou: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Cut:
    """How a stage's maps became masks, findings in order."""

    findings: tuple[str, ...]
    thresholds: tuple[float, ...]
    thresholds_from: str
    gates: tuple[float, ...]
    gates_from: str
    rule: str


@dataclass(frozen=True, slots=True)
class StageScores:
    """How good a stage's masks are, and what they come from."""

    scores: Scores = field(metadata=INLINED)
    run: str
    interval: Intervals
    open_gates: Metrics
    label_conditioned: Metrics
    by_size: Mapping[str, tuple[SizeScores, ...]]
    cut: Cut
    miou_with_background: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class CalledIntervals:
    """The intervals of a classifier's AUROC and F1."""

    auroc: Interval
    f1: Interval


@dataclass(frozen=True, slots=True)
class CalledFinding:
    """How a classifier does on one finding, on the `n` films whose label is known."""

    auroc: float | None
    f1: float | None
    n: int
    n_positive: int
    interval: CalledIntervals


@dataclass(frozen=True, slots=True)
class ClassifierScores:
    """How a classifier does on image-level labels; without a run, nothing is known."""

    auroc: float | None
    f1: float | None
    per_finding: Mapping[str, CalledFinding]
    run: str | None = field(default=None, metadata=OPTIONAL)
    interval: CalledIntervals | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals were drawn."""

    draws: int
    seed: int
    level: float
    unit: str = "film"


@dataclass(frozen=True, slots=True)
class TeacherScores:
    """The teacher of the segmenter in use, and the student less it."""

    run: str
    student: str
    scores: Scores = field(metadata=INLINED)
    interval: Intervals
    student_less_teacher: ByMetric[Difference]


@dataclass(frozen=True, slots=True)
class LostTeacher:
    """A teacher that cannot be scored any more, and why."""

    run: str
    message: str


@dataclass(frozen=True, slots=True)
class ReaderScores:
    """Readers against readers, and stages on the same films.

    Parameters
    ----------
    n_left_out
        Pairs of readers of whom one began with what the other, or the same run, drew.
    """

    n_films: int
    n_pairs: int
    n_left_out: int
    scores: Scores = field(metadata=INLINED)
    interval: Intervals
    stages: Mapping[str, Metrics]


@dataclass(frozen=True, slots=True)
class Ratios:
    """Cardiothoracic ratios of the films, and how well they tell cardiomegaly."""

    n: int
    median: float
    quartiles: tuple[float, float]
    auroc: float | None


@dataclass(frozen=True, slots=True)
class MeanIou:
    """The mean IoU over `n` films."""

    mean: float
    n: int


@dataclass(frozen=True, slots=True)
class AnatomyScores:
    """What the anatomy stage says of a split."""

    run: str | None
    n_films: int
    cardiothoracic_ratio: Ratios | None
    iou: Mapping[str, MeanIou]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationWarning:
    """What a person should stop and look at, and the stages it is about."""

    kind: str
    stage: str | None = field(default=None, metadata=OPTIONAL)
    against: str | None = field(default=None, metadata=OPTIONAL)
    stages: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    message: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good every stage is on the films of a split.

    Parameters
    ----------
    n_cases, n_positive, n_with_expert_masks
        Films of the split, those with a finding, and those that stages are scored on.
    stages
        By name, in the stages' order.
    differences
        Every stage less each one before it.
    conventions
        Key to what it means.
    teacher, experts, anatomy
        ``None`` where there is none.
    """

    split: str
    n_cases: int
    n_positive: int
    n_with_expert_masks: int
    blank: BlankScores
    stages: Mapping[str, StageScores]
    classifier: ClassifierScores
    bootstrap: Bootstrap
    conventions: Mapping[str, str]
    differences: tuple[StageDifference, ...]
    teacher: TeacherScores | LostTeacher | None
    experts: ReaderScores | None
    anatomy: AnatomyScores | None
    warnings: tuple[EvaluationWarning, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``wsseg evaluate --json`` prints."""
        found: dict[str, Any] = to_json(self)
        return found


def metrics_in(row: Mapping[str, Any]) -> Metrics:
    """Return the metrics of a row that has more."""
    return ByMetric(*(row[metric] for metric in METRICS))


def span(ends: list[float] | None) -> Interval:
    """Return an interval of a list of two."""
    return None if ends is None else (ends[0], ends[1])


def less(
    ours: float | None, theirs: float | None, ends: list[float] | None
) -> Difference:
    """Return a difference; ``None`` where one of the two is.

    Parameters
    ----------
    ours, theirs
        The metric of the one, and of the other that it is taken from.
    ends
        The interval of the paired difference, if it is known.
    """
    value = None if ours is None or theirs is None else ours - theirs
    return Difference(value, span(ends))


def _intervals_in(row: Mapping[str, Any]) -> ByMetric[Interval]:
    return ByMetric.from_each(lambda metric: span(row[metric]))
