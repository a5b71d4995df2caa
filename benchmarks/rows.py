"""Rows of results, a JSON object a line, so that what broke off goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; none if it is not there yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a file."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
