"""Words in a table that a spreadsheet would take for a formula and compute.

One guard for every table that is written: headers as well as cells, at the start and
behind whatever a spreadsheet may cut a line at (``;`` is the separator of half of
Europe, and a line break in a comment starts a line), full-width signs as well, which
some spreadsheets take for the plain ones (OWASP, CSV injection). What the guard adds,
`uncell` takes away.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
_BREAKS = r"[;,|\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
_FORMULA = rf"((?:^|{_BREAKS})[ \u00a0\u3000\"]*)('*)(?={_SIGNS})"
_CELL = re.compile(_FORMULA)
_GUARDED = re.compile(_FORMULA.replace("('*)", "'('*)"))
#: A break at the very start is dropped by some, and what follows is then the start.
_BROKEN = re.compile(rf"'*{_BREAKS}")


def cell(value: object) -> object:
    """Return a cell that is shown as it is: words that compute get a quote before."""
    if not isinstance(value, str):
        return value
    text = _CELL.sub(r"\1\2'", value)
    return f"'{text}" if _BROKEN.match(text) else text


def uncell(text: str) -> str:
    """Return what `cell` was given."""
    if text.startswith("'") and _BROKEN.match(text):
        text = text[1:]
    return _GUARDED.sub(r"\1\2", text)


def path(text: str) -> str:
    """Return a relative path that is no formula at its start: the same file still."""
    return f"./{text}" if _CELL.match(text) else text


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a csv file in which nothing computes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([cell(value) for value in row])
    return text.getvalue().encode()
