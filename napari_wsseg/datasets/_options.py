"""What a data set leaves open: an importer's keywords that are bools or numbers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial

from napari_wsseg.datasets import Importer
from napari_wsseg.jobs import UsageError

_NUMBER = "float | None"
_ANSWERS = {
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
}


def option_names(importer: Importer) -> tuple[str, ...]:
    """Return the names of an importer's choices."""
    parameters = inspect.signature(importer).parameters.values()
    return tuple(
        each.name
        for each in parameters
        if isinstance(each.default, bool) or each.annotation == _NUMBER
    )


def with_options(name: str, importer: Importer, settings: Sequence[str]) -> Importer:
    """Return the importer with its choices made.

    Parameters
    ----------
    name
        Of the data set.
    settings
        ``choice=yes`` or ``choice=no``, or ``choice=NUMBER`` where that is asked.

    Raises
    ------
    UsageError
        There is no such choice, or it is neither yes nor no, or no number.
    """
    known = option_names(importer)
    choices: dict[str, bool | float] = {}
    for word in settings:
        choice, _, answer = word.partition("=")
        if choice not in known:
            rest = f"it has: {', '.join(known)}" if known else "it has none"
            raise UsageError(f"data set {name!r} has no choice {choice!r}; {rest}")
        if inspect.signature(importer).parameters[choice].annotation == _NUMBER:
            choices[choice] = _number(word, answer)
            continue
        if answer.lower() not in _ANSWERS:
            raise UsageError(f"{word!r}: say {choice}=yes or {choice}=no")
        choices[choice] = _ANSWERS[answer.lower()]
    chosen: Importer = partial(importer, **choices)  # type: ignore[arg-type]
    return chosen


def _number(word: str, answer: str) -> float:
    try:
        return float(answer.replace(",", "."))
    except ValueError as error:
        raise UsageError(f"{word!r}: say a number") from error
