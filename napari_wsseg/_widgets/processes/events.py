"""What a training process says, line by line, as frozen records.

One JSON object per line on its standard output. A line that is not one of ours is
kept as `Noise`, because what a library prints just before it dies is often the only
explanation there is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

EndState: TypeAlias = Literal["done", "stopped", "failed", "killed", "lost"]


@dataclass(frozen=True, slots=True)
class Started:
    """The process has made its run folder and begins."""

    run: str
    recipe: str
    pid: int
    device: str


@dataclass(frozen=True, slots=True)
class Step:
    """Progress; `total` is 0 while unknown, `eta_s` in seconds or ``None``."""

    step: int
    total: int
    message: str
    metrics: Mapping[str, float]
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint lies on disk."""

    best: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cell:
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
class Noise:
    """A line that is not of the protocol, or one of standard error."""

    text: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was heard for `seconds`, longer than a living process keeps still."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The process' last word."""

    status: Literal["done", "stopped", "failed"]
    run: str | None
    runs: Mapping[str, str]
    metrics: Mapping[str, Any]
    seconds: float
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended; the one event that is always sent, and always last.

    Parameters
    ----------
    state
        ``"done"``, ``"stopped"``, ``"failed"`` as the process said, ``"killed"``
        when it was ended from outside, ``"lost"`` when it went without a word.
    runs
        Recipe to run id, for a job that trained several.
    message
        For a person, without a traceback; empty when there is nothing to say.
    """

    state: EndState
    message: str = ""
    run: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


Event: TypeAlias = (
    Started | Step | Saved | Cell | Beat | Noise | Silent | Finished | Ended
)


def parse(line: bytes) -> Event:
    """Return the event of one line, `Noise` when it is none of ours."""
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    try:
        said = json.loads(text)
        return _READERS[said["event"]](said)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        # Foreign, half-written or malformed: the text itself is kept for the log.
        return Noise(text[:2000])


def thin(events: Sequence[Event], most: int = 40) -> tuple[Event, ...]:
    """Keep at most about `most` steps with the same metrics, evenly, and `most` noises.

    A recipe that reports every batch would make a curve of points nobody can tell
    apart; validation points, whose metrics differ, are thinned on their own. The last
    step is always kept. Heartbeats are dropped.
    """
    kinds: dict[object, list[int]] = {}
    for index, event in enumerate(events):
        if isinstance(event, Step):
            kinds.setdefault(frozenset(event.metrics), []).append(index)
        elif isinstance(event, Noise):
            kinds.setdefault(Noise, []).append(index)
    dropped: set[int] = set()
    for kind, indices in kinds.items():
        if kind is Noise:
            dropped.update(indices[:-most])
        elif len(indices) > most:
            stride = math.ceil(len(indices) / most)
            dropped.update(set(indices) - set(indices[::-stride]))
    return tuple(
        event
        for index, event in enumerate(events)
        if index not in dropped and not isinstance(event, Beat)
    )


def _started(said: Mapping[str, Any]) -> Started:
    return Started(
        run=str(said["run"]),
        recipe=str(said["recipe"]),
        pid=int(said.get("pid", 0)),
        device=str(said.get("device", "")),
    )


def _step(said: Mapping[str, Any]) -> Step:
    eta = said.get("eta_s")
    return Step(
        step=int(said["step"]),
        total=int(said["total"]),
        message=str(said.get("message", "")),
        metrics=numbers(said.get("metrics", {})),
        eta_s=float(eta) if eta is not None and math.isfinite(eta) else None,
    )


def _saved(said: Mapping[str, Any]) -> Saved:
    return Saved(bool(said.get("best")), numbers(said.get("metrics", {})))


def _cell(said: Mapping[str, Any]) -> Cell:
    return Cell(
        value=str(said["value"]),
        trial=int(said["trial"]),
        run=str(said["run"]),
        done=int(said["done"]),
        total=int(said["total"]),
        folder=str(said["folder"]),
    )


def _finished(said: Mapping[str, Any]) -> Finished:
    if said["status"] not in ("done", "stopped", "failed"):
        raise ValueError(f"status is {said['status']!r}; done, stopped or failed")
    run = said.get("run")
    return Finished(
        status=said["status"],
        run=str(run) if run else None,
        runs={
            str(k): v
            for k, v in dict(said.get("runs") or {}).items()
            # A sweep has several runs of each value; its table tells of them.
            if isinstance(v, str)
        },
        metrics=dict(said.get("metrics") or {}),
        seconds=float(said.get("seconds") or 0.0),
        message=str(said.get("message") or ""),
    )


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Keep what can be drawn: finite numbers."""
    return {
        str(name): float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "started": _started,
    "progress": _step,
    "checkpoint": _saved,
    "cell": _cell,
    "heartbeat": lambda said: Beat(),
    "finished": _finished,
}
