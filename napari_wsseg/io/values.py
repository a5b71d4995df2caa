"""What a project's own files may hold: values of the kinds that the program writes.

Anybody can edit a project, and a disk can damage it. A file is checked against a form
when it is read, so that what comes after can rely on it. A form is a type; a tuple of
forms, one of which is to fit; ``[form]`` for a list; ``{str: form}`` for an object of
any names; or an object of names and forms, ``"name?"`` being one that may be left out.
Names that a form does not know are let pass: a newer program may have written them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeAlias

Form: TypeAlias = Any

NUMBER: Form = (int, float)

_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DIGITS = 18
"""Longer whole numbers fit neither into a float's precision nor into SQLite."""


def parse(text: str) -> Any:
    """Return the value of a JSON text, whose numbers are finite and its text UTF-8.

    Raises
    ------
    ValueError
        Not JSON; ``NaN``, ``1e999``, a whole number of over 18 digits, half a
        character.
    RecursionError
        Nested too deep.
    """
    value = json.loads(
        text, parse_float=_float, parse_int=_int, parse_constant=_constant
    )
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def flaw(value: object, form: Form, place: str = "it") -> str | None:
    """Return what does not fit, in words, or ``None``.

    Parameters
    ----------
    value, form
        What was read, and the form that it should have.
    place
        What the value is called.
    """
    if isinstance(form, tuple):
        flaws = [flaw(value, one, place) for one in form]
        return None if None in flaws else f"{place} is {_kind(value)}"
    if isinstance(form, list):
        return _flaw_of_list(value, form[0], place)
    if isinstance(form, dict):
        return _flaw_of_object(value, form, place)
    fits = isinstance(value, form) and (form in (bool, object) or value is not True)
    if isinstance(value, bool):
        fits = form in (bool, object)
    if isinstance(value, float):
        fits &= math.isfinite(value)
    return None if fits else f"{place} is {_kind(value)}, not {_NAMES.get(form, form)}"


def _flaw_of_list(value: object, form: Form, place: str) -> str | None:
    if not isinstance(value, list):
        return f"{place} is {_kind(value)}, not a list"
    flaws = (flaw(one, form, f"{place}[{n}]") for n, one in enumerate(value))
    return next(filter(None, flaws), None)


def _flaw_of_object(value: object, form: dict[Any, Form], place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place} is {_kind(value)}, not an object"
    if str in form:
        named = ((name, one, form[str]) for name, one in value.items())
        return next(filter(None, (flaw(v, f, repr(n)) for n, v, f in named)), None)
    for name, one in form.items():
        bare = name.removesuffix("?")
        if bare in value:
            found = flaw(value[bare], one, repr(bare))
            if found:
                return found
        elif bare == name:
            return f"{name!r} is missing"
    return None


def _kind(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    return _NAMES.get(type(value), type(value).__name__)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise ValueError(f"a whole number of over {_DIGITS} digits")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")
