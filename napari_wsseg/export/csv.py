"""One table of decisions and measurements, a row a finding and film.

Areas are in pixels and, where the spacing is known, in mm². Unless a film is calibrated
its spacing is the detector's, on which a patient throws a larger shadow. The columns
``machine_…`` are measured on what the anatomy stage drew, where it has run.

``seconds`` is the time since the film was shown, ``active_seconds`` the reader's own on
that finding: from one sign of hand or eye to the next while the window has the focus; a
pause of more than 20 s is left out. ``added_px`` and ``removed_px`` are against the
draft that was offered, of ``offered_px``; where none was, against nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from napari_wsseg.export import File, Item, Note, formats, without_masks
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import anatomy
from napari_wsseg.io.external import spreadsheet as _spreadsheet
from napari_wsseg.io.index import effort
from napari_wsseg.io.index.effort import Effort
from napari_wsseg.ops import masks as _masks
from napari_wsseg.ops.chest import ChestMeasures
from napari_wsseg.schema import Annotation, Case, Decision, Mask

COLUMNS = (
    *("film", "split", "finding", "label", "area_px", "area_mm2", "area_share"),
    *("regions", "reader", "version", "made_with", "source_run"),
    *("decision", "decided_by", "confidence", "seconds", "decided_utc", "comment"),
    *("machine_cardiothoracic_ratio", "machine_heart_share"),
    *("machine_left_lung_share", "machine_right_lung_share"),
    *("active_seconds", "active_seconds_film", "strokes", "tools", "started_from"),
    *("offered_px", "added_px", "removed_px", "unedited", "arm", "round"),
)


@formats.register("csv")
@without_masks
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``measurements.csv``."""
    decisions = chosen.project.decisions()
    efforts = effort.newest(chosen.project.work_log.efforts())
    rows: list[list[object]] = []
    for case, masks in chosen.each():
        yield case
        annotations = chosen.annotations(case)
        decision = _decided(decisions.get(case.id))
        chest = _chest(anatomy.measures(chosen.project, case))
        for finding, mask in masks.items():
            label = case.labels.get(finding)
            rows.append(
                [
                    *(case.path, case.split, finding, label),
                    *_measured(case, mask),
                    *_made(annotations[finding]),
                    *decision,
                    *chest,
                    *_cost(_effort_of(efforts, decisions.get(case.id)), finding),
                ]
            )
    yield Note("lost", "the masks themselves: this is a table")
    yield File("measurements.csv", partial(_table, rows))


def _measured(case: Case, mask: Mask) -> Sequence[object]:
    area = int(mask.sum())
    row, column = case.spacing_mm or (0.0, 0.0)
    square = f"{area * row * column:.2f}" if case.spacing_mm else None
    return area, square, f"{area / mask.size:.6f}", _masks.components(mask)[1]


def _made(one: Annotation) -> Sequence[object]:
    return one.reader, one.version, one.tool, one.source_run


def _decided(one: Decision | None) -> Sequence[object]:
    if one is None:
        return (None,) * 6
    seconds = None if one.seconds is None else f"{one.seconds:.1f}"
    who = (one.verdict, one.reader, one.confidence)
    return *who, seconds, one.created, one.comment


def _effort_of(
    efforts: Mapping[tuple[str, str], Effort], decision: Decision | None
) -> Effort | None:
    return efforts.get((decision.case, decision.reader)) if decision else None


def _cost(found: Effort | None, finding: str) -> Sequence[object]:
    if found is None:
        return (None,) * 11
    outcome = found.outcomes.get(finding)
    changed: Sequence[object] = (None,) * 4
    if outcome is not None:
        changed = (outcome.offered_px, outcome.added_px, outcome.removed_px)
        changed = (*changed, int(outcome.unedited))
    return (
        f"{found.by_finding.get(finding, 0.0):.1f}",
        f"{found.seconds:.1f}",
        *(found.strokes(finding), found.tools(finding)),
        outcome.start if outcome else None,
        *(*changed, found.arm or None, found.round),
    )


def _chest(found: ChestMeasures | None) -> Sequence[object]:
    if found is None:
        return (None,) * 4
    ratio = found.cardiothoracic_ratio
    shares = (found.heart, found.left_lung, found.right_lung)
    cells = [f"{share:.4f}" for share in shares]
    return None if ratio is None else f"{ratio:.3f}", *cells


def _table(rows: Sequence[Sequence[object]]) -> bytes:
    return _spreadsheet.table(COLUMNS, rows)
