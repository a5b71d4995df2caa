"""An evaluation as tables, for the command line and the report alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from napari_wsseg.ops.tally import METRICS
from napari_wsseg.pipeline.evaluation.by_size import SIZES
from napari_wsseg.pipeline.evaluation.result import (
    ByMetric,
    Difference,
    Evaluation,
    Interval,
    Intervals,
    LostTeacher,
    Metrics,
)

Cells = tuple[object, ...]
"""A row: `MetricCell`, numbers, text, or ``None`` for a dash."""


@dataclass(frozen=True, slots=True)
class MetricCell:
    """A number with its interval, as one cell of a table."""

    value: float | None
    span: Interval = None
    sign: str = ""

    @property
    def text(self) -> str:
        """The number, or a dash."""
        return "–" if self.value is None else f"{self.value:{self.sign}.3f}"

    @property
    def interval(self) -> str:
        """The interval in brackets, or nothing."""
        if self.value is None or self.span is None:
            return ""
        low, high = self.span
        return f"[{low:{self.sign}.3f}, {high:{self.sign}.3f}]"

    def __str__(self) -> str:
        """Return both."""
        return f"{self.text} {self.interval}".rstrip()


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title; `note` stands above it, or alone where it has no rows."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[Cells, ...] = ()
    note: str = ""


def tables(found: Evaluation) -> tuple[Table, ...]:
    """Return an evaluation's tables, in the order in which they are read."""
    return (
        _stages(found),
        _differences(found),
        _findings(found),
        _sizes(found),
        _experts(found),
        _gates(found),
        _classifier(found),
        *_teacher(found),
    )


def _stages(found: Evaluation) -> Table:
    rows = [
        (name, *_metric_cells(stage.scores.mean, stage.interval))
        for name, stage in found.stages.items()
    ]
    if found.experts:
        rows.append(_readers(found))
    rows.append(("blank masks", *_metric_cells(found.blank.mean)))
    note = (
        f"{found.n_cases} films, {found.n_positive} with a finding, "
        f"{found.n_with_expert_masks} with expert masks to compare with. "
        "In brackets: 95 % intervals."
    )
    title = f"Masks, split {found.split}"
    return Table(title, ("stage", *METRICS), tuple(rows), note)


def _differences(found: Evaluation) -> Table:
    """Each stage less the one before it, and the last less the first."""
    names = list(found.stages)
    shown = {(stage, before) for before, stage in pairwise(names)}
    shown |= {(names[-1], names[0])} if len(names) > 2 else set()
    rows = tuple(
        (f"{pair.stage} less {pair.against}", *_signed_cells(pair.metrics))
        for pair in found.differences
        if (pair.stage, pair.against) in shown
    )
    title = "Stage against stage"
    if not rows:
        return Table(title, note="One stage alone." if names else "No stage is scored.")
    return Table(title, ("difference", *METRICS), rows)


def _findings(found: Evaluation) -> Table:
    rows: list[Cells] = [
        (
            *(f"{finding} · {name}", row.n, row.n_positive),
            *_metric_cells(row.metrics, stage.interval, finding),
        )
        for name, stage in found.stages.items()
        for finding, row in stage.scores.per_finding.items()
    ]
    rows.sort(key=lambda row: str(row[0]).partition(" · ")[0])
    head = ("finding · stage", "films", "with it", *METRICS)
    return Table("Per finding", head, tuple(rows))


def _sizes(found: Evaluation) -> Table:
    rows = []
    for name, stage in found.stages.items():
        for finding, thirds in stage.by_size.items():
            by_size = {third.size: third for third in thirds}
            cells: list[object] = []
            for size in SIZES:
                third = by_size.get(size)
                if third is None:
                    cells += [None, None]
                    continue
                low, high = third.share
                cells += [
                    f"{third.n} of {low:.2%}–{high:.2%}",
                    MetricCell(third.pos_iou, third.interval),
                ]
            rows.append((f"{finding} · {name}", *cells))
    head = (name for size in SIZES for name in (f"{size}: films, area", "pos_iou"))
    return Table("By size", ("finding · stage", *head), tuple(rows))


def _experts(found: Evaluation) -> Table:
    """How far readers agree, and how stages do on the same films."""
    title, experts = "Experts", found.experts
    if experts is None:
        return Table(
            title,
            note="No film has masks of two independent readers of the same finding, so "
            "how far experts would agree, the ceiling for any stage, is not known.",
        )
    same_films = [
        (f"{stage}, same films", *_metric_cells(metrics))
        for stage, metrics in experts.stages.items()
    ]
    note = (
        f"{experts.n_pairs} comparisons on {experts.n_films} films; "
        f"{experts.n_left_out} were left out because one reader began with what the "
        "other, or the same machine, had drawn."
    )
    return Table(title, ("", *METRICS), (_readers(found), *same_films), note)


def _gates(found: Evaluation) -> Table:
    """Thresholds and gates, and what the gates do."""
    rows = tuple(
        (
            name,
            stage.cut.rule,
            ", ".join(f"{value:.2f}" for value in stage.cut.thresholds),
            stage.cut.thresholds_from,
            ", ".join(f"{value:.2f}" for value in stage.cut.gates),
            MetricCell(stage.open_gates.pos_iou),
            MetricCell(stage.open_gates.emptiness),
            MetricCell(stage.label_conditioned.pos_iou),
            MetricCell(stage.label_conditioned.all_iou),
        )
        for name, stage in found.stages.items()
    )
    head = (
        *("stage", "rule", "thresholds", "from", "gates (from labels of val)"),
        *("pos_iou, gates open", "emptiness, gates open"),
        *("pos_iou, labels known", "all_iou, labels known"),
    )
    return Table("Thresholds and gates", head, rows)


def _classifier(found: Evaluation) -> Table:
    """AUROC and F1 against image-level labels."""
    title, scores = "Classifier", found.classifier
    if not scores.per_finding:
        return Table(title, note="No classifier is in use.")
    rows: list[Cells] = [
        (
            *(finding, row.n, row.n_positive),
            MetricCell(row.auroc, row.interval.auroc),
            MetricCell(row.f1, row.interval.f1),
        )
        for finding, row in scores.per_finding.items()
    ]
    spans = scores.interval
    rows.append(
        (
            *("mean", None, None),
            MetricCell(scores.auroc, spans.auroc if spans else None),
            MetricCell(scores.f1, spans.f1 if spans else None),
        )
    )
    return Table(title, ("finding", "films", "with it", "AUROC", "F1"), tuple(rows))


def _teacher(found: Evaluation) -> Iterator[Table]:
    """Student and teacher, where the segmenter in use has one."""
    title, teacher = "Student and teacher", found.teacher
    if teacher is None:
        return
    if isinstance(teacher, LostTeacher):
        # The message may name a film's file, which a table never does.
        message = (
            "The teacher cannot be scored any more; wsseg evaluate --json says why."
        )
        yield Table(title, note=message)
        return
    student = found.stages["segmentation"]
    rows = (
        ("student", *_metric_cells(student.scores.mean, student.interval)),
        ("teacher", *_metric_cells(teacher.scores.mean, teacher.interval)),
        ("student less teacher", *_signed_cells(teacher.student_less_teacher)),
    )
    yield Table(title, ("", *METRICS), rows)


def _readers(found: Evaluation) -> Cells:
    experts = found.experts
    assert experts is not None
    cells = _metric_cells(experts.scores.mean, experts.interval)
    return ("experts against each other", *cells)


def _metric_cells(
    metrics: Metrics, intervals: Intervals | None = None, finding: str = ""
) -> Cells:
    """Return a cell for each metric, with its interval, of the mean or of a finding."""
    if intervals is None:
        return tuple(MetricCell(metrics[name]) for name in METRICS)
    spans = intervals.per_finding[finding] if finding else intervals.mean
    return tuple(MetricCell(metrics[name], spans[name]) for name in METRICS)


def _signed_cells(pairs: ByMetric[Difference]) -> Cells:
    return tuple(
        MetricCell(pairs[name].difference, pairs[name].interval, "+")
        for name in METRICS
    )
