"""Words in a table that a spreadsheet would take for a formula and compute."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """Return a cell that is shown as it is: words that compute get a quote before."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def uncell(text: str) -> str:
    """Return what `cell` was given."""
    quoted = text.startswith("'") and text[1:].startswith(_FORMULA)
    return text[1:] if quoted else text


def path(text: str) -> str:
    """Return a relative path as a cell: the same file, and no formula."""
    return f"./{text}" if text.startswith(_FORMULA) else text
