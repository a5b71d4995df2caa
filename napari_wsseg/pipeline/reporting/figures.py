"""The parts of a report that are made of an evaluation's figures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from markupsafe import Markup

from napari_wsseg.ops.tally import FIGURES
from napari_wsseg.pipeline.evaluation.by_size import SIZES
from napari_wsseg.pipeline.reporting.html import Figure, intervals, part, table

Result = dict[str, Any]


def stages(result: Result) -> Markup:
    """Return the figures of every stage, of readers and of blank masks, with a plot."""
    rows: list[list[object]] = []
    for stage, figures in result["stages"].items():
        rows.append([stage, *_figures(figures)])
    if result["experts"]:
        rows.append(["experts against each other", *_figures(result["experts"])])
    blank = result["blank"]
    rows.append(["blank masks", *(Figure(blank[name]) for name in FIGURES)])
    drawn = [
        (stage, figures["pos_iou"], figures["interval"]["pos_iou"])
        for stage, figures in result["stages"].items()
    ]
    if result["experts"]:
        experts = result["experts"]
        drawn.append(("experts", experts["pos_iou"], experts["interval"]["pos_iou"]))
    return table(["stage", *FIGURES], rows) + intervals("pos_iou", drawn)


def differences(result: Result) -> Markup:
    """Return each stage less the one before it, and less the first."""
    names = list(result["stages"])
    shown = {(stage, before) for before, stage in pairwise(names)}
    shown |= {(names[-1], names[0])} if len(names) > 2 else set()
    rows = [
        [
            f"{pair['stage']} less {pair['against']}",
            *(
                Figure(pair[name]["difference"], pair[name]["interval"], "+")
                for name in FIGURES
            ),
        ]
        for pair in result["differences"]
        if (pair["stage"], pair["against"]) in shown
    ]
    return (
        table(["difference", *FIGURES], rows)
        if rows
        else part("said", "One stage alone.")
    )


def findings(result: Result) -> Markup:
    """Return the figures per finding, with a plot of each."""
    rows: list[list[object]] = []
    plots: dict[str, list[tuple[str, float | None, list[float] | None]]] = {}
    for stage, figures in result["stages"].items():
        for finding, row in figures["per_finding"].items():
            spread = figures["interval"]["per_finding"][finding]
            cells = [Figure(row[name], spread[name]) for name in FIGURES]
            label = f"{finding} · {stage}"
            rows.append([label, row["n"], row["n_positive"], *cells])
            drawn = plots.setdefault(finding, [])
            drawn.append((stage, row["pos_iou"], spread["pos_iou"]))
    rows.sort(key=lambda row: str(row[0]).partition(" · ")[0])
    shown = [intervals(f"pos_iou of {name}", of) for name, of in plots.items()]
    head = ["finding · stage", "films", "with it", *FIGURES]
    return table(head, rows) + Markup().join(shown if len(shown) > 1 else [])


def sizes(result: Result) -> Markup:
    """Return pos_iou of small, middle and large findings."""
    rows: list[list[object]] = []
    for stage, figures in result["stages"].items():
        for finding, parts in figures["by_size"].items():
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
                    Figure(part["pos_iou"], part["interval"]),
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
    rows: list[list[object]] = [["experts against each other", *_figures(found)]]
    for stage, figures in found["stages"].items():
        cells = [Figure(figures[name]) for name in FIGURES]
        rows.append([f"{stage}, same films", *cells])
    return part("experts", found, table(["", *FIGURES], rows))


def gates(result: Result) -> Markup:
    """Return thresholds and gates, and what the gates do."""
    rows: list[list[object]] = []
    for stage, figures in result["stages"].items():
        cut, opened = figures["cut"], figures["open_gates"]
        known = figures["label_conditioned"]
        rows.append(
            [
                stage,
                cut["rule"],
                ", ".join(f"{value:.2f}" for value in cut["thresholds"]),
                cut["thresholds_from"],
                ", ".join(f"{value:.2f}" for value in cut["gates"]),
                Figure(opened["pos_iou"]),
                Figure(opened["emptiness"]),
                Figure(known["pos_iou"]),
                Figure(known["all_iou"]),
            ]
        )
    head = ["stage", "rule", "thresholds", "from", "gates (from labels of val)"]
    shown = [
        f"{figure}, {mode}"
        for mode, figures in (
            ("gates open", ("pos_iou", "emptiness")),
            ("labels known", ("pos_iou", "all_iou")),
        )
        for figure in figures
    ]
    return table([*head, *shown], rows)


def classifier(result: Result) -> Markup:
    """Return AUROC and F1 against image-level labels."""
    found = result["classifier"]
    if not found["per_finding"]:
        return part("said", "No classifier is in use.")
    rows: list[list[object]] = []
    for finding, row in found["per_finding"].items():
        cells = [Figure(row[name], row["interval"][name]) for name in ("auroc", "f1")]
        rows.append([finding, row["n"], row["n_positive"], *cells])
    cells = [Figure(found[name], found["interval"][name]) for name in ("auroc", "f1")]
    rows.append(["mean", None, None, *cells])
    return table(["finding", "films", "with it", "AUROC", "F1"], rows)


def teacher(result: Result) -> Markup:
    """Return student and teacher, where the segmenter in use has one."""
    found = result["teacher"]
    if not found:
        return Markup()
    if "message" in found:
        # The message may name a film's file, which this page never does.
        told = "The teacher cannot be scored any more; wsseg evaluate says why."
        return part("section", "Student and teacher", part("said", told))
    student = result["stages"]["segmentation"]
    less = found["student_less_teacher"]
    rows: list[list[object]] = [
        ["student", *_figures(student)],
        ["teacher", *_figures(found)],
        [
            "student less teacher",
            *(
                Figure(less[name]["difference"], less[name]["interval"], "+")
                for name in FIGURES
            ),
        ],
    ]
    return part("section", "Student and teacher", table(["", *FIGURES], rows))


def _figures(figures: Result) -> list[Figure]:
    return [Figure(figures[name], figures["interval"][name]) for name in FIGURES]
