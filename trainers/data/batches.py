"""From a project to tensors: labels, targets and batches of films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.nn import ranks
from napari_wsseg.nn.losses import UNSURE
from napari_wsseg.nn.normalise import (
    as_channels,
    as_input,
    as_planes,
    normalise,
    soften,
)
from napari_wsseg.schema import IGNORE, Case
from trainers.data.augment import augment


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Image-level labels of every film of a project.

    Parameters
    ----------
    cases
        In the project's order; a film's number is its place here.
    targets : (N, K) float32
        1 present, 0 absent, `IGNORE` where no loss counts; `losses.UNSURE` where an
        uncertain label is a class of its own.
    """

    cases: tuple[Case, ...]
    findings: tuple[str, ...]
    targets: Tensor

    @classmethod
    def from_project(cls, project: Project, *, uncertain: str = "ignore") -> Labels:
        """Read a project's labels; -1 becomes what `uncertain` says."""
        taken_for = {"ignore": IGNORE, "zeros": 0, "ones": 1, "class": UNSURE}[
            uncertain
        ]
        findings = tuple(finding.name for finding in project.findings)
        cases = tuple(project.cases())

        def value(label: int | None) -> int:
            return IGNORE if label is None else taken_for if label == -1 else label

        table = np.empty((len(cases), len(findings)), np.float32)
        known: dict[int, list[int]] = {}
        for row, case in enumerate(cases):
            # Films with the same labels share them.
            line = known.get(id(case.labels))
            if line is None:
                line = [value(case.labels.get(name)) for name in findings]
                known[id(case.labels)] = line
            table[row] = line
        return cls(cases, findings, torch.from_numpy(table))

    @property
    def ids(self) -> list[str]:
        """Case ids by film number."""
        return [case.id for case in self.cases]

    def split(self, name: str) -> list[int]:
        """Return the numbers of the films of a split."""
        return [row for row, case in enumerate(self.cases) if case.split == name]

    def known_in(self, name: str) -> list[int]:
        """Return the films of a split with at least one known label."""
        known = (self.targets != IGNORE).any(1)
        return [row for row in self.split(name) if known[row]]

    def lock(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return what a run learns from these films' labels, for data.lock.json."""
        return [
            {
                "case": self.cases[row].id,
                "source": "label",
                "labels": self.cases[row].labels,
            }
            for row in rows
        ]


class Feeding(Protocol):
    """The settings that say how films become input."""

    @property
    def batch(self) -> int:
        """Films a batch."""
        ...

    @property
    def seed(self) -> int:
        """What every draw depends on."""
        ...

    @property
    def augment(self) -> float:
        """Strength of changes of geometry, 0 to 1."""
        ...

    @property
    def tone(self) -> float:
        """Strength of changes of grey, 0 to 1."""
        ...

    @property
    def flip(self) -> bool:
        """Whether films are mirrored."""
        ...

    @property
    def normalisation(self) -> str:
        """How greys become input."""
        ...

    @property
    def channels(self) -> int:
        """Planes of a film: 1 or 3."""
        ...

    @property
    def detail(self) -> int:
        """Side in pixels to which films are softened; 0 leaves them as they are."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """Batches of films as network input.

    Parameters
    ----------
    films
        Decoded films.
    ids
        Case ids by film number.
    config
        A recipe's settings.
    """

    films: Films
    ids: Sequence[str]
    config: Feeding

    def training(
        self,
        rows: Sequence[int],
        step: int,
        device: torch.device,
        targets: Tensor | None = None,
        *,
        stream: int = 0,
        every_rank: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return augmented (B, C, S, S) input and its (B, K, S, S) targets.

        What is drawn depends on the seed, the step and the stream alone. Targets are
        moved along, see `augment`. Where several processes learn together, those of
        this one's `ranks.share` are returned, changed as in one process.

        Parameters
        ----------
        rows
            Film numbers of the batch that all processes have together.
        step, stream
            Number of the batch, and which of several that are drawn side by side.
        device
            Where the result is wanted.
        targets
            Of this process's share.
        every_rank
            Return all of the batch, to be shared out later.
        """
        generator = self.generator(step, stream)
        part = slice(None) if every_rank else slice(ranks.number(), None, ranks.count())
        ids = [self.ids[row] for row in rows[part]]
        pixels = torch.from_numpy(self.films.take(ids))
        greys = as_planes(pixels.to(device), self.config.channels)
        if targets is not None:
            targets = targets.to(device)
        greys, targets = augment(
            greys,
            targets,
            strength=self.config.augment,
            tone=self.config.tone,
            flip=self.config.flip,
            generator=generator,
            part=part,
            batch=len(rows),
        )
        return self._normalised(greys), targets

    def generator(self, step: int, stream: int = 0) -> torch.Generator:
        """Return the generator of a step; `stream` sets independent ones apart."""
        seed = np.random.SeedSequence([self.config.seed, step, stream])
        return torch.Generator().manual_seed(int(seed.generate_state(1)[0]))

    def viewing(
        self, rows: Sequence[int], device: torch.device, batch: int = 8
    ) -> Iterator[Tensor]:
        """Yield batches of input without augmentation, in order.

        Parameters
        ----------
        rows
            Film numbers.
        device
            Where the input is wanted.
        batch
            Films at a time, 1 or more; the last may be fewer.

        Yields
        ------
        (B, C, S, S) float32
        """
        for start in range(0, len(rows), batch):
            ids = [self.ids[row] for row in rows[start : start + batch]]
            pixels = torch.from_numpy(self.films.take(ids)).to(device)
            yield as_input(
                pixels,
                self.config.normalisation,
                self.config.channels,
                detail=self.config.detail,
            )

    def _normalised(self, greys: Tensor) -> Tensor:
        greys = soften(greys, self.config.detail)
        images = normalise(greys, self.config.normalisation)
        return as_channels(images, self.config.channels)
