"""What an import is about to do, before any film has been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from napari_wsseg.datasets.importing.report import Rejected, Summary
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.schema import LABEL_NAMES, SPLITS, Mask, Split

Shape: TypeAlias = tuple[int, int]

MaskSource: TypeAlias = Path | Sequence[Path] | Callable[[Shape], Mask] | None
"""A mask file, or several that are united; what draws the mask of a film of a shape, or
``None``, known to be absent in every pixel."""

"""What a label is called."""


@dataclass(frozen=True, slots=True)
class NotedMask:
    """What draws a mask; `remarks` gets a line meanwhile for what deserves a look."""

    draw: Callable[[Shape], Mask]
    remarks: list[str] = field(default_factory=list)

    def __call__(self, shape: Shape) -> Mask:
        """Return the mask of a film of a shape; raises as `draw`."""
        return self.draw(shape)


@dataclass(frozen=True, slots=True)
class Film:
    """One film to import.

    Parameters
    ----------
    path
        Relative to the image folder, POSIX.
    masks
        By finding.
    void
        Pixels that the source leaves to nobody: no loss and no figure counts them.
    taken
        Whose film it is and when it was taken, in words of which the later sorts after
        the earlier; neither is kept, see `follow_ups`. Empty: not known.
    """

    path: str
    labels: Mapping[str, int | None]
    split: Split
    masks: Mapping[str, MaskSource] = field(default_factory=dict)
    void: Callable[[Shape], Mask] | None = None
    taken: tuple[str, str] = ("", "")


def count(films: Iterable[Film], findings: Sequence[str], how_split: str) -> Summary:
    """Count films that are imported, or are to be.

    Parameters
    ----------
    films
        With labels, masks and splits.
    findings
        Names, in the project's order.
    how_split
        Who says which film is in which split, in words; handed on.
    """
    films = list(films)
    labels = {
        finding: Counter(LABEL_NAMES[film.labels.get(finding)] for film in films)
        for finding in findings
    }
    masks = Counter(
        finding
        for film in films
        for finding, source in film.masks.items()
        if source is not None
    )
    splits: Counter[str] = Counter(film.split for film in films)
    return Summary(
        len(films),
        {name: _ordered(counts) for name, counts in labels.items()},
        {finding: masks[finding] for finding in findings if masks[finding]},
        {split: splits[split] for split in SPLITS},
        how_split,
    )


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {word: counts[word] for word in LABEL_NAMES.values() if counts.get(word)}


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is known before films are read.

    Parameters
    ----------
    colour
        Networks are to see the pictures' red, green and blue.
    lateral
        Films that say they are lateral views are taken, too.
    hide
        The project has other names for the films, see `napari_wsseg.io.film_names`.
    choice
        How mask files are read that do not speak for themselves.
    how_split
        Who says which film is in which split.
    """

    images: Path
    findings: Sequence[str]
    films: Sequence[Film]
    rejected: Sequence[Rejected] = ()
    warnings: Sequence[str] = ()
    colour: bool = False
    lateral: bool = True
    hide: bool = False
    choice: Choice = PLAIN
    how_split: str = "as the data set has it"

    def summary(self) -> Summary:
        """Count what is to be imported."""
        return count(self.films, self.findings, self.how_split)


_heard: ContextVar[Callable[[Plan], None] | None] = ContextVar("_heard", default=None)


@contextmanager
def hearing(listener: Callable[[Plan], None]) -> Iterator[None]:
    """Let `listener` hear the plan of an import that runs meanwhile, of any data set.

    Nothing has been made at that moment; what it raises ends the import.
    """
    token = _heard.set(listener)
    try:
        yield
    finally:
        _heard.reset(token)


def announce(plan: Plan) -> None:
    """Tell whoever hears what is about to be done."""
    listener = _heard.get()
    if listener is not None:
        listener(plan)
