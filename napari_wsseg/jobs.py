"""What a background job says, and how it fails."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a job.

    Parameters
    ----------
    step, total
        Steps done and steps in all; ``total`` is 0 while it is unknown.
    message
        What is being done, in words for a person.
    metrics
        Figures worth drawing, e.g. ``{"loss": 0.31, "val_dice": 0.6}``.
    """

    step: int
    total: int
    message: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A model at one moment of its training.

    Parameters
    ----------
    header
        What is needed to build and feed the network again: recipe, architecture,
        findings, input size, normalisation, thresholds. JSON values only.
    weights
        Tensors by name, ready for safetensors.
    metrics
        Validation figures of this moment.
    resume
        Optimiser, schedule and random state; ``None`` for a final checkpoint.
    best
        Whether this is the best one so far, by the recipe's own criterion.
    """

    header: Mapping[str, Any]
    weights: Mapping[str, Any]
    metrics: Mapping[str, float]
    resume: Mapping[str, Any] | None = None
    best: bool = False


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts: ``1 film``, ``2,310 films``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def finish(job: Generator[object, None, Result]) -> Result:
    """Run a job of progress to its end, telling nobody; return its result."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Result = end.value
            return result


class WssegError(Exception):
    """An error that is told to a person in one message, without a traceback."""

    exit_code = 4


class UsageError(WssegError):
    """The words of a command, or a setting, are off; exit code 2."""

    exit_code = 2


class DataError(WssegError):
    """A file, a label table or a project is off; exit code 3."""

    exit_code = 3


@contextmanager
def naming(what: Path | str) -> Iterator[None]:
    """Begin the message of a `DataError` raised inside with what it is about.

    Whoever finds a fault says what it is; the one who was given the file says which.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{what}: {error}") from (error.__cause__ or error)


def one_line(error: BaseException) -> str:
    """Return what somebody else's error says, in one line of 200 characters at most.

    Decoders quote what they read; an error that says nothing is called by its kind.
    """
    return " ".join(str(error).split())[:200] or type(error).__name__


class JobFailed(WssegError):
    """A job could not be finished; exit code 4."""

    exit_code = 4
