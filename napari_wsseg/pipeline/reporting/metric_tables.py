"""The parts of a report that are made of an evaluation's figures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from markupsafe import Markup

from napari_wsseg.ops.tally import METRICS
from napari_wsseg.pipeline.evaluation.by_size import SIZES
from napari_wsseg.pipeline.reporting.html import MetricCell, intervals, part, table

Result = dict[str, Any]


def stages(result: Result) -> Markup:
    """Return the figures of every stage, of readers and of blank masks, with a plot."""
    rows: list[list[object]] = []
    for stage, metrics in result["stages"].items():
        rows.append([stage, *_metric_cells(metrics)])
    if result["experts"]:
        rows.append(["experts against each other", *_metric_cells(result["experts"])])
    blank = result["blank"]
    rows.append(["blank masks", *(MetricCell(blank[name]) for name in METRICS)])
    drawn = [
        (stage, metrics["pos_iou"], metrics["interval"]["pos_iou"])
        for stage, metrics in result["stages"].items()
    ]
    if result["experts"]:
        experts = result["experts"]
        drawn.append(("experts", experts["pos_iou"], experts["interval"]["pos_iou"]))
    return table(["stage", *METRICS], rows) + intervals("pos_iou", drawn)


def differences(result: Result) -> Markup:
    """Return each stage less the one before it, and less the first."""
    names = list(result["stages"])
    shown = {(stage, before) for before, stage in pairwise(names)}
    shown |= {(names[-1], names[0])} if len(names) > 2 else set()
    rows = [
        [
            f"{pair['stage']} less {pair['against']}",
            *(
                MetricCell(pair[name]["difference"], pair[name]["interval"], "+")
                for name in METRICS
            ),
        ]
        for pair in result["differences"]
        if (pair["stage"], pair["against"]) in shown
    ]
    return (
        table(["difference", *METRICS], rows)
        if rows
        else part("said", "One stage alone.")
    )


def findings(result: Result) -> Markup:
    """Return the figures per finding, with a plot of each."""
    rows: list[list[object]] = []
    plots: dict[str, list[tuple[str, float | None, list[float] | None]]] = {}
    for stage, metrics in result["stages"].items():
        for finding, row in metrics["per_finding"].items():
            bounds = metrics["interval"]["per_finding"][finding]
            cells = [MetricCell(row[name], bounds[name]) for name in METRICS]
            label = f"{finding} · {stage}"
            rows.append([label, row["n"], row["n_positive"], *cells])
            drawn = plots.setdefault(finding, [])
            drawn.append((stage, row["pos_iou"], bounds["pos_iou"]))
    rows.sort(key=lambda row: str(row[0]).partition(" · ")[0])
    shown = [intervals(f"pos_iou of {name}", of) for name, of in plots.items()]
    head = ["finding · stage", "films", "with it", *METRICS]
    return table(head, rows) + Markup().join(shown if len(shown) > 1 else [])


def sizes(result: Result) -> Markup:
    """Return pos_iou of small, middle and large findings."""
    rows: list[list[object]] = []
    for stage, metrics in result["stages"].items():
        for finding, parts in metrics["by_size"].items():
            found = {part["size"]: part for part in parts}
            cells: list[object] = []
            for size in SIZES:
                part = found.get(size)
                if part is None:
                    cells += [None, None]
                    continue
                low, high = part["share"]
                cells += [
                    f"{part['n']} of {low:.2%}–{high:.2%}",
                    MetricCell(part["pos_iou"], part["interval"]),
                ]
            rows.append([f"{finding} · {stage}", *cells])
    head = [name for size in SIZES for name in (f"{size}: films, area", "pos_iou")]
    return table(["finding · stage", *head], rows)


def experts(result: Result) -> Markup:
    """Return how far readers agree, and how stages do on the same films."""
    found = result["experts"]
    if not found:
        return part(
            "said",
            "No film has masks of two independent readers of the same finding, so "
            "how far experts would agree, the ceiling for any stage, is not known.",
        )
    rows: list[list[object]] = [["experts against each other", *_metric_cells(found)]]
    for stage, metrics in found["stages"].items():
        cells = [MetricCell(metrics[name]) for name in METRICS]
        rows.append([f"{stage}, same films", *cells])
    return part("experts", found, table(["", *METRICS], rows))


def gates(result: Result) -> Markup:
    """Return thresholds and gates, and what the gates do."""
    rows: list[list[object]] = []
    for stage, metrics in result["stages"].items():
        cut, opened = metrics["cut"], metrics["open_gates"]
        known = metrics["label_conditioned"]
        rows.append(
            [
                stage,
                cut["rule"],
                ", ".join(f"{value:.2f}" for value in cut["thresholds"]),
                cut["thresholds_from"],
                ", ".join(f"{value:.2f}" for value in cut["gates"]),
                MetricCell(opened["pos_iou"]),
                MetricCell(opened["emptiness"]),
                MetricCell(known["pos_iou"]),
                MetricCell(known["all_iou"]),
            ]
        )
    head = ["stage", "rule", "thresholds", "from", "gates (from labels of val)"]
    shown = [
        f"{metric}, {mode}"
        for mode, metrics in (
            ("gates open", ("pos_iou", "emptiness")),
            ("labels known", ("pos_iou", "all_iou")),
        )
        for metric in metrics
    ]
    return table([*head, *shown], rows)


def classifier(result: Result) -> Markup:
    """Return AUROC and F1 against image-level labels."""
    found = result["classifier"]
    if not found["per_finding"]:
        return part("said", "No classifier is in use.")
    rows: list[list[object]] = []
    for finding, row in found["per_finding"].items():
        cells = [
            MetricCell(row[name], row["interval"][name]) for name in ("auroc", "f1")
        ]
        rows.append([finding, row["n"], row["n_positive"], *cells])
    cells = [
        MetricCell(found[name], found["interval"][name]) for name in ("auroc", "f1")
    ]
    rows.append(["mean", None, None, *cells])
    return table(["finding", "films", "with it", "AUROC", "F1"], rows)


def teacher(result: Result) -> Markup:
    """Return student and teacher, where the segmenter in use has one."""
    found = result["teacher"]
    if not found:
        return Markup()
    if "message" in found:
        # The message may name a film's file, which this page never does.
        message = "The teacher cannot be scored any more; wsseg evaluate says why."
        return part("section", "Student and teacher", part("said", message))
    student = result["stages"]["segmentation"]
    less = found["student_less_teacher"]
    rows: list[list[object]] = [
        ["student", *_metric_cells(student)],
        ["teacher", *_metric_cells(found)],
        [
            "student less teacher",
            *(
                MetricCell(less[name]["difference"], less[name]["interval"], "+")
                for name in METRICS
            ),
        ],
    ]
    return part("section", "Student and teacher", table(["", *METRICS], rows))


def _metric_cells(metrics: Result) -> list[MetricCell]:
    return [MetricCell(metrics[name], metrics["interval"][name]) for name in METRICS]
