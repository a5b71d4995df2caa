"""Who reads, and how much of what others did this reader is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from napari_wsseg.jobs import UsageError

Mode: TypeAlias = Literal["open", "blind", "adjudicate"]
MODES: tuple[Mode, ...] = ("open", "blind", "adjudicate")

ARMS = ("blank", "draft", "loop")
"""What a study offers a reader on a film; see `napari_wsseg.session.effort.arms`."""

RANDOM = "random"
"""Every film in an arm of its own, which the reader is not told."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's way through a project.

    Parameters
    ----------
    reader
        In whose name masks and decisions are kept.
    mode
        ``"open"``: the mask that counts is shown, whoever drew it. ``"blind"``:
        nothing that other readers drew or decided is read from disk, and films come
        in an order of this reader's own. ``"adjudicate"``: only films that two others
        are done with; their masks are shown beside the one that will be final.
    stages
        Whether what the machine found is shown.
    arm
        One of `ARMS` or `RANDOM`; empty: no study.

    Raises
    ------
    UsageError
        The name is empty, or there is no such mode or arm.
    """

    reader: str = "reader"
    mode: Mode = "open"
    stages: bool = True
    arm: str = ""

    def __post_init__(self) -> None:
        if not self.reader.strip():
            raise UsageError("a reader needs a name; give one")
        if self.mode not in MODES:
            raise UsageError(f"no mode {self.mode!r}; there are: {', '.join(MODES)}")
        if self.arm and self.arm not in (*ARMS, RANDOM):
            known = ", ".join((*ARMS, RANDOM))
            raise UsageError(f"no arm {self.arm!r}; there are: {known}")

    @property
    def scope(self) -> str | None:
        """Whose masks and decisions are read; ``None``: everybody's."""
        return None if self.mode == "open" else self.reader
