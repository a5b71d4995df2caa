"""The lines between a job and whoever watches it, for both ends.

A job that runs in a process of its own writes one JSON object a line on its standard
output; what kind it is stands under ``"event"``. Here is what each kind holds: the
functions that make a line, and the records that a line is read as. Programs of others
read these lines, too (``--json``), so a key is added, never renamed or taken away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Line: TypeAlias = dict[str, Any]


# Making lines -------------------------------------------------------------------------


def started(*, run: str, recipe: str, pid: int, device: str, threads: int) -> Line:
    """Return the line of a training that has its run folder and begins.

    Parameters
    ----------
    run
        Id of the run, the name of its folder.
    recipe
        The recipe's name.
    pid
        Of the process that trains.
    device
        What torch calls the device that it trains on, e.g. ``"cpu"``.
    threads
        How many threads torch computes with there.
    """
    return {
        "event": "started",
        "run": run,
        "recipe": recipe,
        "pid": pid,
        "device": device,
        "threads": threads,
    }


def progress(step: int, total: int, message: str, **more: Any) -> Line:
    """Return the line of a step.

    Parameters
    ----------
    step, message
        Steps done, and what is being done in words.
    total
        0 while it is unknown.
    **more
        ``metrics``, figures by name; ``eta_s``, seconds left or ``None``.
    """
    return {
        "event": "progress",
        "step": step,
        "total": total,
        "message": message,
        **more,
    }


def checkpoint(*, best: bool, metrics: Mapping[str, float]) -> Line:
    """Return the line of a state that lies on disk."""
    return {"event": "checkpoint", "best": best, "metrics": dict(metrics)}


def cell(
    *,
    key: str,
    value: Any,
    trial: int,
    run: str,
    metrics: Mapping[str, Any],
    done: int,
    total: int,
    folder: str,
) -> Line:
    """Return the line of a training of a sweep that is done and scored.

    Parameters
    ----------
    key, value
        The setting that is swept, and its value here.
    trial
        Number of the trial, from 0.
    run
        Id of the run that was trained.
    metrics
        Figures by name, by split.
    done, total
        Trainings of the sweep that are done, this one included, and all of them.
    folder
        Of the sweep, in which ``sweep.json`` is whole at this moment.
    """
    return {
        "event": "cell",
        "key": key,
        "value": value,
        "trial": trial,
        "run": run,
        "metrics": metrics,
        "done": done,
        "total": total,
        "folder": folder,
    }


def heartbeat() -> Line:
    """Return the line of a process that lives."""
    return {"event": "heartbeat"}


def finished(status: str | None = None, **more: Any) -> Line:
    """Return a job's last line.

    Parameters
    ----------
    status
        ``"done"``, ``"stopped"`` or ``"failed"``; ``None`` for a job that says
        otherwise how it ended, as an export does.
    **more
        Of a training: ``run`` or ``runs``, ``metrics``, ``seconds``, ``message`` and
        ``exit_code``.
    """
    record = {} if status is None else {"status": status}
    return {"event": "finished", **record, **more}


def failed(message: str) -> Line:
    """Return the last line of an export that went wrong."""
    return {"event": "failed", "message": message}


def formats(cards: Sequence[Mapping[str, Any]]) -> Line:
    """Return the line that tells which export formats there are."""
    return {"event": "formats", "formats": list(cards)}


# Reading lines ------------------------------------------------------------------------


def is_a(kind: str, line: Mapping[str, Any]) -> bool:
    """Whether a line is of a kind, e.g. ``"progress"``."""
    return line.get("event") == kind


def is_last(line: Mapping[str, Any]) -> bool:
    """Whether nothing comes after a line of an export."""
    return any(is_a(kind, line) for kind in ("finished", "failed", "formats"))


@dataclass(frozen=True, slots=True)
class Started:
    """The process has made its run folder and begins."""

    run: str
    recipe: str
    pid: int
    device: str


@dataclass(frozen=True, slots=True)
class Step:
    """Progress; `total` is 0 while unknown, `eta_s` in seconds or ``None``.

    `place` says which stage of how many, `whole_eta_s` the seconds left of all of them.
    """

    step: int
    total: int
    message: str
    metrics: Mapping[str, float]
    eta_s: float | None
    place: str = ""
    whole_eta_s: float | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint lies on disk."""

    best: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CellDone:
    """A training of a sweep is done and scored, `done` of `total`.

    Parameters
    ----------
    folder
        Of the sweep, in which ``sweep.json`` is whole at this moment.
    """

    value: str
    trial: int
    run: str
    done: int
    total: int
    folder: str


@dataclass(frozen=True, slots=True)
class Beat:
    """The process lives."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The process' last word."""

    status: Literal["done", "stopped", "failed"]
    run: str | None
    runs: Mapping[str, str]
    metrics: Mapping[str, Any]
    seconds: float
    message: str


Record: TypeAlias = Started | Step | Saved | CellDone | Beat | Finished


def read(record: Mapping[str, Any]) -> Record:
    """Return the record of a training's line.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is none of a training's, or does not hold what its kind holds.
    """
    return _READERS[record["event"]](record)


def _started(record: Mapping[str, Any]) -> Started:
    return Started(
        run=str(record["run"]),
        recipe=str(record["recipe"]),
        pid=int(record.get("pid", 0)),
        device=str(record.get("device", "")),
    )


def _step(record: Mapping[str, Any]) -> Step:
    return Step(
        step=int(record["step"]),
        total=int(record["total"]),
        message=str(record.get("message", "")),
        metrics=numbers(record.get("metrics", {})),
        eta_s=_seconds(record.get("eta_s")),
        place=str(record.get("place", "")),
        whole_eta_s=_seconds(record.get("whole_eta_s")),
    )


def _seconds(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _saved(record: Mapping[str, Any]) -> Saved:
    return Saved(bool(record.get("best")), numbers(record.get("metrics", {})))


def _cell(record: Mapping[str, Any]) -> CellDone:
    return CellDone(
        value=str(record["value"]),
        trial=int(record["trial"]),
        run=str(record["run"]),
        done=int(record["done"]),
        total=int(record["total"]),
        folder=str(record["folder"]),
    )


def _finished(record: Mapping[str, Any]) -> Finished:
    if record["status"] not in ("done", "stopped", "failed"):
        raise ValueError(f"status is {record['status']!r}; done, stopped or failed")
    run = record.get("run")
    return Finished(
        status=record["status"],
        run=str(run) if run else None,
        runs={
            str(k): v
            for k, v in dict(record.get("runs") or {}).items()
            # A sweep has several runs of each value; its table tells of them.
            if isinstance(v, str)
        },
        metrics=dict(record.get("metrics") or {}),
        seconds=float(record.get("seconds") or 0.0),
        message=str(record.get("message") or ""),
    )


_BESIDE = ("_low", "_high", "_films")


def metrics_alone(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures without what stands beside one: its bounds, and on how many films.

    Of ``val_auroc`` these are ``val_auroc_low``, ``val_auroc_high`` and
    ``val_auroc_films``.
    """
    beside = {f"{name}{what}" for name in metrics for what in _BESIDE}
    return {name: value for name, value in metrics.items() if name not in beside}


def bounds_in_words(metrics: Mapping[str, Any], name: str) -> str:
    """Return `` [0.86, 1.00] on 25 films`` of a figure, or nothing if not known."""
    low, high, films = (metrics.get(f"{name}{what}") for what in _BESIDE)
    if low is None or high is None or films is None:
        return ""
    return f" [{low:.2f}, {high:.2f}] on {films:.0f} films"


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Keep what can be drawn: finite numbers."""
    return {
        str(name): float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Record]] = {
    "started": _started,
    "progress": _step,
    "checkpoint": _saved,
    "cell": _cell,
    "heartbeat": lambda record: Beat(),
    "finished": _finished,
}
