"""What masks cost their readers, by what was offered to them and by round of training.

Nobody is named: neither reader nor film.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.index.effort import Effort, newest
from napari_wsseg.io.project import Project
from napari_wsseg.ops.bootstrap import N_RESAMPLES, interval
from napari_wsseg.pipeline import agreement
from napari_wsseg.schema import ACCEPTING

RULE = (
    "Active seconds run from one sign of hand or eye to the next (mouse, key, wheel, a "
    "film that comes) while the window has the focus; a pause of more than 20 s is "
    "left out. Strokes are those that changed the mask, and those of Grow. As offered: "
    "the mask is the draft that was offered. Dice is against other readers of the same "
    "film who did not begin with the same draft or mask. In brackets: 95 % intervals "
    "over films."
)

HEADS = (
    *("arm", "round", "films", "readers", "active s a film, median", "quartiles"),
    *("strokes a film", "pixels changed", "as offered", "Dice to another reader"),
)

_AT_ONCE = 500
"""Resamples drawn together."""


def table(project: Project) -> dict[str, Any]:
    """Return the dictionary that ``wsseg study --json`` prints.

    A row for each arm and round, of each reader's last decision on each film. Medians,
    quartiles and intervals are over films; ``None`` where nothing was measured.
    """
    found = list(newest(project.work_log.efforts()).values())
    groups: dict[tuple[str, int], list[Effort]] = {}
    for one in found:
        groups.setdefault((one.arm, one.round), []).append(one)
    settled = project.readers.settled()
    done = {
        case_id: agreement.done_readers(readings, settled.get(case_id, {}))
        for case_id, readings in project.readings(at_least=2).items()
    }
    rows = [
        _row(project, done, arm, number, groups[arm, number])
        for arm, number in sorted(groups)
    ]
    return {"rule": RULE, "synthetic": project.synthetic, "rows": rows}


def cells(summary: Mapping[str, Any]) -> Iterator[list[object]]:
    """Yield the rows of a table as text, under `HEADS`."""
    for row in summary["rows"]:
        seconds, strokes = row["active_seconds"], row["strokes"]
        yield [
            *(row["arm"] or "none", row["round"], row["n_films"], row["n_readers"]),
            _text(seconds["median"], seconds["interval"], ".1f"),
            f"{seconds['q1']:.1f} to {seconds['q3']:.1f}",
            _text(strokes["median"], strokes["interval"], ".1f"),
            _text(row["changed_px"]["median"], row["changed_px"]["interval"], ".0f"),
            _text(row["unedited"]["share"], row["unedited"]["interval"], ".2f"),
            _text(row["dice"]["mean"], row["dice"]["interval"], ".3f"),
        ]


def films(project: Project) -> Iterator[dict[str, object]]:
    """Yield a row for each reading of a film and finding, readers and films by number.

    Numbers go by the order of deciding, so that they name nobody.
    """
    readers: dict[str, int] = {}
    cases: dict[str, int] = {}
    for one in project.work_log.efforts():
        who = readers.setdefault(one.reader, len(readers) + 1)
        film = cases.setdefault(one.case, len(cases) + 1)
        names = dict.fromkeys([*one.by_finding, *one.outcomes])
        for finding in names:
            outcome = one.outcomes.get(finding)
            yield {
                **{"film": film, "reader": who, "arm": one.arm, "round": one.round},
                **{"verdict": one.decision.verdict, "finding": finding},
                "active_seconds": round(one.by_finding.get(finding, 0.0), 1),
                **{"strokes": one.strokes(finding), "tools": one.tools(finding)},
                "started_from": outcome.start if outcome else None,
                "offered_px": outcome.offered_px if outcome else None,
                "added_px": outcome.added_px if outcome else None,
                "removed_px": outcome.removed_px if outcome else None,
                "unedited": int(outcome.unedited) if outcome else None,
            }


def _row(
    project: Project,
    done: Mapping[str, Sequence[str]],
    arm: str,
    number: int,
    found: Sequence[Effort],
) -> dict[str, Any]:
    seconds = np.array([one.seconds for one in found])
    first, third = np.percentile(seconds, [25, 75])
    dices = [_dice(project, done.get(one.case, ()), one) for one in found]
    return {
        **{"arm": arm, "round": number},
        "n_films": len({one.case for one in found}),
        "n_readers": len({one.reader for one in found}),
        "active_seconds": {
            **_median(seconds),
            **{"q1": float(first), "q3": float(third)},
        },
        "strokes": _median(np.array([one.strokes() for one in found], float)),
        "changed_px": _median(np.array([one.changed_px() for one in found], float)),
        "unedited": _share([_unedited(one) for one in found]),
        "dice": _mean([value for value in dices if value is not None]),
    }


def _unedited(one: Effort) -> tuple[int, int]:
    """Return masks taken as offered, and masks of which a draft was offered."""
    if one.decision.verdict not in ACCEPTING:
        return 0, 0
    offered = one.drafted()
    return sum(each.unedited for each in offered), len(offered)


def _dice(project: Project, done: Sequence[str], one: Effort) -> float | None:
    """Return the mean Dice to other readers who are `done` with the film."""
    if not set(done) - {one.reader}:
        return None
    case = project.case(one.case)
    found = [
        each.dice
        for name in done
        if name != one.reader
        for each in agreement.compare(project, case, one.reader, name).values()
        if each.independent
    ]
    return float(np.mean(found)) if found else None


def _median(values: NDArray[np.float64]) -> dict[str, Any]:
    n_resamples = np.concatenate(
        [np.median(values[p], axis=1) for p in _resamples(values)]
    )
    return {
        "median": float(np.median(values)),
        "interval": _interval(values, n_resamples),
    }


def _mean(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"mean": None, "n": 0, "interval": None}
    each = np.array(values)
    n_resamples = np.concatenate([each[p].mean(1) for p in _resamples(each)])
    summary = {"mean": float(each.mean()), "n": len(each)}
    return {**summary, "interval": _interval(each, n_resamples)}


def _share(pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    each = np.array(pairs, float)
    if not each[:, 1].sum():
        return {"share": None, "n": 0, "interval": None}
    sums = np.concatenate([each[p].sum(1) for p in _resamples(each)])
    with np.errstate(invalid="ignore", divide="ignore"):
        n_resamples = sums[:, 0] / sums[:, 1]
    summary = {"share": float(each[:, 0].sum() / each[:, 1].sum())}
    return {
        **summary,
        "n": int(each[:, 1].sum()),
        "interval": _interval(each, n_resamples),
    }


def _resamples(values: NDArray[np.float64]) -> Iterator[NDArray[np.int64]]:
    """Yield (B, n) places of values drawn with replacement, `DRAWS` in all."""
    rng = np.random.default_rng(0)
    for _ in range(N_RESAMPLES // _AT_ONCE):
        yield rng.integers(0, len(values), (_AT_ONCE, len(values)))


def _interval(
    values: NDArray[np.float64], n_resamples: NDArray[np.float64]
) -> list[float] | None:
    return interval(n_resamples) if len(values) > 1 else None


def _text(value: float | None, span: Sequence[float] | None, form: str) -> str:
    if value is None:
        return "–"
    if span is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{span[0]:{form}}, {span[1]:{form}}]"
