"""What a training process says, line by line, as frozen records.

The lines are those of `napari_wsseg.protocol`. A line that is not one of ours is
kept as `Noise`, because what a library prints just before it dies is often the only
explanation there is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from napari_wsseg import protocol
from napari_wsseg.protocol import (
    Beat,
    CellDone,
    Finished,
    Saved,
    Started,
    Step,
    numbers,
)

__all__ = [
    "Beat",
    "CellDone",
    "EndState",
    "Ended",
    "Event",
    "Finished",
    "Noise",
    "Saved",
    "Silent",
    "Started",
    "Step",
    "numbers",
    "parse",
    "thin",
]

EndState: TypeAlias = Literal["done", "stopped", "failed", "killed", "lost"]


@dataclass(frozen=True, slots=True)
class Noise:
    """A line that is not of the protocol, or one of standard error."""

    text: str


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was heard for `seconds`, longer than a living process keeps still."""

    seconds: float


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
    Started | Step | Saved | CellDone | Beat | Noise | Silent | Finished | Ended
)


def parse(line: bytes) -> Event:
    """Return the event of one line, `Noise` when it is none of ours."""
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    try:
        return protocol.read(json.loads(text))
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
