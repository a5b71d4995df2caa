"""What a sweep has found so far: ``sweep.json``, ``table.csv`` and ``plot.png``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_wsseg.io import atomic, sweeps
from napari_wsseg.io.external import spreadsheet
from napari_wsseg.jobs import UsageError
from napari_wsseg.ops.tally import METRICS
from napari_wsseg.pipeline.evaluation.conventions import CONVENTIONS
from napari_wsseg.pipeline.reporting.plots import MEAN, sweep_plot
from trainers.sweep.plan import Cell, Plan


class Sheet:
    """The cells of a sweep, on disk anew after every one.

    Cells of an earlier call with the same settings stay in the table.

    Parameters
    ----------
    splits
        Splits that cells are scored on.
    stamp
        Which expert masks they are scored against; scores against others are made
        again.

    Raises
    ------
    UsageError
        If the folder holds a sweep of other settings.
    """

    def __init__(
        self, folder: Path, plan: Plan, splits: Sequence[str], stamp: str
    ) -> None:
        self.folder, self.plan = folder, plan
        self.splits, self.stamp = tuple(splits), stamp
        self.done: dict[str, dict[str, Any]] = {}
        self.rows: list[dict[str, Any]] = []
        self._earlier: dict[str, dict[str, Any]] = {}
        path = folder / "sweep.json"
        if not path.exists():
            return
        was = sweeps.read(folder)
        ours = json.loads(json.dumps([plan.recipe, plan.key, plan.base]))
        if [was["recipe"], was["key"], was["settings"]] != ours:
            raise UsageError(
                f"{folder.name} is a sweep of {was['key']} of {was['recipe']} with "
                "other settings; give this one another --name"
            )
        if was["truth"] == stamp and tuple(was["splits"]) == self.splits:
            self._earlier = {_key(cell): cell for cell in was["cells"]}

    def known(self, run: str) -> Mapping[str, Any] | None:
        """Return a run's scores if it was scored against these very masks."""
        cells = self._earlier.values()
        return next((cell for cell in cells if cell["run"] == run), None)

    def put(self, cell: Cell, run: str, scores: Mapping[str, Any]) -> dict[str, Any]:
        """Add a cell, write everything anew, and return the cell's row.

        Parameters
        ----------
        cell
            The training.
        run
            Id of the run that it made.
        scores
            Figures by split, of each of `splits`.

        Returns
        -------
        dict
            ``value``, ``trial``, ``seed``, ``run`` and the figures by split.
        """
        row = {
            "value": cell.value,
            "trial": cell.trial,
            "seed": cell.settings["seed"],
            "run": run,
            **{split: scores[split] for split in self.splits},
        }
        self.done[_key(row)] = row
        cells = [*{**self._earlier, **self.done}.values()]
        values = _in_order([one["value"] for one in cells], self.plan.values)
        cells.sort(key=lambda one: (values.index(one["value"]), one["trial"]))
        self.rows = [row for split in self.splits for row in summary(cells, split)]
        state = {
            "schema": 1,
            "recipe": self.plan.recipe,
            "key": self.plan.key,
            "settings": self.plan.base,
            "values": values,
            "planned": list(dict.fromkeys([*self.plan.values, *values])),
            "trials": self.plan.trials,
            "splits": self.splits,
            "truth": self.stamp,
            "cells": cells,
            "summary": self.rows,
            "spread": "sample standard deviation over trials",
            "conventions": CONVENTIONS,
        }
        write(self.folder, state)
        sweep_plot(self.folder / "plot.png", state)
        return row

    def runs(self) -> dict[str, list[str]]:
        """Return the runs of each value of this call, trial by trial."""
        rows = self.done.values()
        return {
            str(value): [row["run"] for row in rows if row["value"] == value]
            for value in self.plan.values
        }


def summary(cells: Sequence[Mapping[str, Any]], split: str) -> list[dict[str, Any]]:
    """Return mean and spread over trials by value and finding, in the cells' order.

    The spread is the sample standard deviation over trials, ``None`` of fewer than
    two. A figure is ``None`` where no trial defines it.
    """
    values = list(dict.fromkeys(cell["value"] for cell in cells))
    table = []
    for value in values:
        scored = [cell[split] for cell in cells if cell["value"] == value]
        findings = dict.fromkeys(f for one in scored for f in one["per_finding"])
        opened = [one.get("open_gates", {}) for one in scored]
        for finding in (MEAN, *findings):
            rows = [
                one if finding == MEAN else one["per_finding"].get(finding, {})
                for one in scored
            ]
            table.append(
                {
                    "value": value,
                    "split": split,
                    "finding": finding,
                    "trials": len(scored),
                    **{metric: _mean_and_std(rows, metric) for metric in METRICS},
                }
            )
            if finding == MEAN:
                table[-1]["open_gates"] = {
                    metric: _mean_and_std(opened, metric) for metric in METRICS
                }
    return table


def means(rows: Sequence[Mapping[str, Any]], split: str) -> dict[str, Any]:
    """Return the figures averaged over findings, by value as text.

    Under ``"open_gates"`` they stand once more, with every gate open.
    """
    return {
        str(row["value"]): {
            **{metric: row[metric] for metric in METRICS},
            "open_gates": row.get("open_gates", {}),
        }
        for row in rows
        if row["finding"] == MEAN and row["split"] == split
    }


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Write ``sweep.json`` and ``table.csv``, each whole or not at all."""
    atomic.write_json(folder / "sweep.json", dict(state))
    metrics = [f"{metric}_{what}" for metric in METRICS for what in ("mean", "spread")]
    rows = []
    for row in state["summary"]:
        summaries = [row[metric] for metric in METRICS]
        cells = [each[what] for each in summaries for what in ("mean", "spread")]
        rows.append([row["value"], row["split"], row["finding"], row["trials"], *cells])
    data = spreadsheet.table(["value", "split", "finding", "trials", *metrics], rows)
    atomic.write(folder / "table.csv", lambda file: file.write(data))


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['value']}/{row['trial']}"


def _in_order(found: Sequence[Any], planned: Sequence[Any]) -> list[Any]:
    """Return values once: numbers by size, words as planned and then as found."""
    values = list(dict.fromkeys([*(v for v in planned if v in found), *found]))
    numbers = all(isinstance(v, (int, float)) for v in values)
    return sorted(values) if numbers else values


def _mean_and_std(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    known = [row[metric] for row in rows if row.get(metric) is not None]
    return {
        "mean": float(np.mean(known)) if known else None,
        "spread": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "n": len(known),
    }
