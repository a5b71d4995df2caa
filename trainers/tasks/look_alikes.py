"""What a finding without a known look may look like: the classifier is asked.

Spots of any size, shading and sharpness, dense or lucent, are put into films that are
labelled free of a finding, where the heat lies on films that have it. Those that turn
the classifier's answer are look-alikes of the finding, and known to the pixel. Where
it takes hardly any for the finding, the finding is no spot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_wsseg.io import stages
from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.phantom import planting
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.pipeline.inference.work import resized
from napari_wsseg.schema import Case, Mask
from trainers.data.batches import Labels

Grey = NDArray[np.float32]
Site = tuple[float, float]

TRIES = 12
"""Spots that are put into a film at a time, of which one at most is kept."""

_SAMPLE = 24
"""Films with and without a finding that the classifier's answer is learnt from."""

_HOT = 0.5  # share of a map's peak


@dataclass(frozen=True, slots=True, eq=False)
class LookAlikes:
    """A classifier that judges spots.

    Parameters
    ----------
    model, header
        Of its run.
    cuts : (K,)
        Log-odds from which a film is more like those with a finding than those without.
    sites
        Finding's number to rows and columns, in shares of the letterboxed film, where
        its heat lies on training films that have it.
    """

    model: nn.Module
    header: dict[str, Any]
    cuts: NDArray[np.float64]
    sites: dict[int, NDArray[np.float64]]

    def plant(self, film: Grey, k: int, rng: np.random.Generator) -> tuple[Grey, Mask]:
        """Return a film with one look-alike of a finding, and its mask.

        Parameters
        ----------
        film : (S, S) float32 in [0, 1]
            Free of the finding.
        k
            The finding's number.
        rng
            What is drawn depends on it.

        Returns
        -------
        film : (S, S)
        mask : (S, S) bool
            Empty where no spot was taken for the finding, or the film already is.
        """
        tried = self._tried(film, k, rng)
        taken = np.flatnonzero(self._taken(film, tried, k))
        if not len(taken):
            return film, np.zeros(film.shape, bool)
        return tried[taken[0]]

    def share(self, films: Sequence[Grey], k: int, rng: np.random.Generator) -> float:
        """Return the share of spots that are taken for a finding.

        Parameters
        ----------
        films
            Each (S, S) in [0, 1], free of the finding; `TRIES` spots are put into each.
        k
            The finding's number.
        rng
            What is drawn depends on it.
        """
        taken = [self._taken(film, self._tried(film, k, rng), k) for film in films]
        return float(np.mean(taken)) if taken else 0.0

    def _tried(
        self, film: Grey, k: int, rng: np.random.Generator
    ) -> list[tuple[Grey, Mask]]:
        return [planting.spot(film, self._site(k, rng), rng) for _ in range(TRIES)]

    def _site(self, k: int, rng: np.random.Generator) -> Site:
        row, column = self.sites[k][int(rng.integers(len(self.sites[k])))]
        if self.header.get("flip", True) and rng.random() < 0.5:
            column = 1 - column
        return float(row), float(column)

    def _taken(
        self, film: Grey, tried: Sequence[tuple[Grey, Mask]], k: int
    ) -> NDArray[np.bool_]:
        """Return (N,): whether each tried film, but not `film`, has the finding."""
        found = self.odds(np.stack([film, *(changed for changed, _ in tried)]))[:, k]
        over = found >= self.cuts[k]
        return np.asarray(over[1:] & ~over[0], bool)

    @torch.no_grad()
    def odds(self, films: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the classifier's log-odds (N, K) of films (N, S, S) in [0, 1]."""
        device = next(self.model.parameters()).device
        sized = resized(films.astype(np.float32), int(self.header["size"]))
        pixels = torch.from_numpy(np.round(sized.clip(0, 1) * 255).astype(np.uint8))
        channels = int(self.header["network"].get("in_channels", 1))
        images = as_input(
            pixels.to(device),
            self.header["normalisation"],
            channels,
            detail=self.header.get("detail", 0),
        )
        return np.asarray(self.model(images).double().cpu().numpy())


def asked(
    project: Project,
    films: Films,
    labels: Labels,
    findings: Sequence[str],
    run: str,
    device: str,
) -> LookAlikes:
    """Return what judges look-alikes of some findings.

    Parameters
    ----------
    project
        Whose stage ``cam`` has seen the films with the run.
    films, labels
        Of all films, in greys.
    findings
        Those that are not learnt, or shown on no training film, are left out.
    run
        A classifier's.
    device
        Where the classifier looks.
    """
    model, header = networks.load(
        project.folder, run, device=networks.device_of(device)
    )
    judge = LookAlikes(model, header, np.zeros(len(labels.findings)), {})
    if header["network"]["kind"] != "classifier":
        return judge
    train = labels.known_in("train")
    for name in findings:
        k = labels.findings.index(name)
        each = [[r for r in train if labels.targets[r, k] == side] for side in (0, 1)]
        sites = _sites(project, [labels.cases[row] for row in each[1]], run, k)
        if not each[0] or not len(sites):
            continue
        middles = []
        for rows in each:
            ids = [labels.cases[row].id for row in rows[:_SAMPLE]]
            greys = films.take(ids).astype(np.float32) / 255
            middles.append(float(np.median(judge.odds(greys)[:, k])))
        judge.cuts[k] = np.mean(middles)
        judge.sites[k] = sites
    return judge


def _sites(
    project: Project, cases: Sequence[Case], run: str, k: int
) -> NDArray[np.float64]:
    """Return (N, 2): the middle of each film's heat, in shares of its square."""
    found = []
    for case in cases:
        maps = stages.read(project.folder, "cam", run, case.id)
        if maps is None or not maps.score[k].any():
            continue
        score = maps.score[k].astype(np.float64)
        hot = np.argwhere(score >= _HOT * score.max())
        found.append((hot.mean(0) + 0.5) / score.shape[-1])
    return np.array(found).reshape(-1, 2)
