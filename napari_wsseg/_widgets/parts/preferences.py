"""What the window remembers of its user: recent projects, and which parts are open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QByteArray, QSettings

RECENT = 6
"""How many projects are remembered."""


def remember(folder: Path) -> None:
    """Put a project on top of the list of recent ones."""
    path = str(folder.resolve())
    others = [str(other) for other in recent() if str(other) != path]
    _settings().setValue("recent", [path, *others][:RECENT])


def recent() -> list[Path]:
    """Return projects that were opened lately and are still there, newest first."""
    stored = _settings().value("recent", []) or []
    paths = [stored] if isinstance(stored, str) else list(stored)
    return [Path(path) for path in paths if (Path(path) / "wsseg.toml").is_file()]


def fold_is_open(name: str, usual: bool) -> bool:
    """Return whether the reader left a part of a panel open, `usual` at first."""
    return bool(_settings().value(f"open/{name}", usual, type=bool))


def remember_fold(name: str, is_open: bool) -> None:
    """Keep whether a part of a panel is open."""
    _settings().setValue(f"open/{name}", is_open)


def widths() -> dict[int, int]:
    """Return the widths that the reader gave the worklist's columns, by column."""
    stored = str(_settings().value("worklist/widths", "") or "")
    pairs = (pair.partition(":") for pair in stored.split(",") if pair)
    return {int(c): int(w) for c, _, w in pairs if c.isdigit() and w.isdigit()}


def remember_widths(kept: Mapping[int, int]) -> None:
    """Keep the widths of the worklist's columns."""
    text = ",".join(f"{column}:{width}" for column, width in kept.items())
    _settings().setValue("worklist/widths", text)


def window_place() -> QByteArray | None:
    """Return where and how large the window was left, ``None`` at first."""
    kept = _settings().value("window/place")
    return kept if isinstance(kept, QByteArray) else None


def keep_window_place(place: QByteArray) -> None:
    """Keep where and how large the window is."""
    _settings().setValue("window/place", place)


def _settings() -> QSettings:
    return QSettings("napari-wsseg", "window")
