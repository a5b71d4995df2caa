"""Dense CRFs on a stage's maps: two labels a finding, or one CRF for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.ops import crf, seeds
from napari_wsseg.pipeline.inference.work import Work, resized
from napari_wsseg.schema import Case

Map = NDArray[np.float32]

CERTAINTY = 0.7
"""Probability of the label that a pixel starts with, as the papers have it."""


def params_for(size: int, *, soft: bool = False) -> crf.CrfParams:
    """Return the papers' reach, 50 and 3 px on films of 512 px, for films of `size`.

    Soft odds already know where they are sure: neighbours weigh less beside them.
    """
    plain = crf.CrfParams()
    if soft:
        plain = replace(plain, bilateral_compat=3.0, smooth_compat=1.0)
    return replace(
        plain,
        bilateral_sigma_xy=plain.bilateral_sigma_xy * size / 512,
        smooth_sigma_xy=max(0.5, plain.smooth_sigma_xy * size / 512),
    )


def image_of(work: Work, case: Case) -> Map:
    """Return a film (S, S) or (S, S, 3) in [0, 1], as the CRF wants it."""
    image = work.films.take([case.id])[0].astype(np.float32) / 255
    return np.moveaxis(image, 0, -1) if image.ndim == 3 else image


def contenders(work: Work, case: Case, present: Map) -> list[int]:
    """Return the numbers of the findings that may take a pixel, where one alone can.

    Those that a training film's label says are there; where a label is not known, and
    on films that labels are not to be used of, those that are more likely than not.

    Parameters
    ----------
    work
        Whose header names the K findings.
    case
        The film; only labels of training films are used.
    present : (K,) in [0, 1]
        Probability of each finding on it.

    Returns
    -------
    list
        Places in the header's findings, from 0, in order.
    """
    labels = case.labels if case.split == "train" else {}
    found = []
    for k, finding in enumerate(work.header["findings"]):
        label = labels.get(finding)
        if present[k] >= 0.5 if label not in (0, 1) else label == 1:
            found.append(k)
    return found


def relative(work: Work, case: Case, heat: Map, present: Map) -> Map:
    """Divide a film's heat by its peak: each finding's own, or that of all together.

    Of findings that exclude each other the peak is that of those that may be there, so
    that what is weak beside them stays weak.

    Parameters
    ----------
    work
        Whose header says whether findings are ``exclusive``.
    case
        The film.
    heat : (K, h, w)
        Non-negative, any unit.
    present : (K,) in [0, 1]
        Probability of each finding on it.

    Returns
    -------
    (K, h, w) float32 in [0, 1]
        0 everywhere where the heat is.
    """
    if not work.header.get("exclusive"):
        return seeds.normalise(heat)
    who = contenders(work, case, present) or list(range(len(heat)))
    peak = float(heat[who].max())
    if peak <= 0:
        return np.zeros_like(heat)
    return np.asarray((heat / peak).clip(0, 1), np.float32)


def among(
    heat: Map,
    image: Map,
    who: Sequence[int],
    *,
    cut: float,
    params: crf.CrfParams,
    backend: crf.Backend = "grid",
    soft: bool = False,
) -> Map:
    """Return probabilities behind one CRF of background and some findings.

    Parameters
    ----------
    heat : (K, H, W) in [0, 1]
    image : (H, W) in [0, 1]
        The film, in greys.
    who
        Findings that may take a pixel; of the others nothing is left.
    cut
        What the background is worth: a pixel starts as the finding of the highest
        heat, where that is above it.
    params, backend
        See `napari_wsseg.ops.crf.dense_crf`.
    soft
        Start from the heat as probabilities instead, the background having the rest.

    Returns
    -------
    (K, H, W)
        A pixel's finding is the one above one half, or the highest of those that are
        above the background's share.
    """
    refined = np.zeros_like(heat)
    if not len(who):
        return refined
    some = heat[list(who)]
    if soft:
        start = np.concatenate([1 - some.max(0, keepdims=True), some])
        start /= start.sum(0)
    else:
        background = np.full_like(some[:1], cut)
        first = np.concatenate([background, some]).argmax(0)
        rest = (1 - CERTAINTY) / len(who)
        start = np.full((len(who) + 1, *first.shape), rest, np.float32)
        np.put_along_axis(start, first[None], CERTAINTY, 0)
    found = np.asarray(crf.dense_crf(start, image, params=params, backend=backend))
    refined[list(who)] = found[1:]
    return refined


def alone(
    mask: NDArray[np.bool_],
    image: Map,
    params: crf.CrfParams,
    backend: crf.Backend = "grid",
) -> Map:
    """Run one two-label CRF per finding on masks held with certainty `CERTAINTY`.

    Parameters
    ----------
    mask : (K, H, W) bool
    image : (H, W) or (H, W, 3) in [0, 1]
    params, backend
        As in `napari_wsseg.ops.crf.dense_crf`.

    Returns
    -------
    (K, H, W) float32 in [0, 1]
        Probability of each finding.
    """
    unary = np.where(mask, CERTAINTY, 1 - CERTAINTY).astype(np.float32)
    return np.asarray(
        crf.dense_crf_binary(unary, image, params=params, backend=backend)
    )


def exclusive_seeds(
    heat: Map,
    image: Map,
    who: Sequence[int],
    *,
    cuts: tuple[float, float],
    params: crf.CrfParams,
    backend: crf.Backend = "grid",
) -> tuple[Map, NDArray[np.uint8]]:
    """Make seeds by two CRFs of all findings, as `scorers.crf_seeds` does of each.

    A pixel is a finding's where it wins the strict pass; background where background
    wins both; ignored elsewhere, and for every other finding than its own.

    Parameters
    ----------
    heat : (K, H, W) in [0, 1]
    image : (H, W) or (H, W, 3) in [0, 1]
    who
        Places of the findings that may take a pixel, see `contenders`.
    cuts
        Heat of the background in the strict and in the generous pass, each in [0, 1].
    params, backend
        As in `napari_wsseg.ops.crf.dense_crf`.

    Returns
    -------
    probability : (K, H, W)
        Of each finding, by the strict pass.
    seeds : (K, H, W) uint8
        1 finding, 0 background, `napari_wsseg.schema.IGNORE` between.
    """
    sure, maybe = (
        among(heat, image, who, cut=cut, params=params, backend=backend) for cut in cuts
    )
    strict, generous = _winner(sure), _winner(maybe)
    found = np.stack([strict == k for k in range(len(heat))])
    any_of_them = np.broadcast_to((strict >= 0) | (generous >= 0), heat.shape)
    return sure, seeds.combine(found, any_of_them)


def _winner(probability: Map) -> NDArray[np.int64]:
    """Return each pixel's finding, -1 where the background's share is the highest."""
    highest = probability.argmax(0)
    background = 1 - probability.sum(0)
    return np.where(probability.max(0) > background, highest, -1)


def behind(work: Work, case: Case, score: Map, present: Map) -> Map:
    """Return a stage's maps as its post-processing leaves them.

    Parameters
    ----------
    work
        Whose header says under ``post`` whether there is a CRF, and ``cut``: the score
        from which a pixel starts as finding; without one it starts from its score.
    case
        The film.
    score : (K, h, w) in [0, 1]
    present : (K,) in [0, 1]
        Probability of each finding on it.

    Returns
    -------
    (K, S / 2, S / 2) float32
        S is the side of the run's films; `score` itself where there is no CRF.
    """
    how = work.header.get("post", {})
    if not how.get("crf"):
        return score
    image, cut = image_of(work, case), how.get("cut")
    size = work.films.size
    heat = resized(score, size).clip(0, 1)
    params = params_for(size)
    if work.header.get("exclusive"):
        refined = among(
            heat,
            image,
            contenders(work, case, present),
            cut=cut or 0.5,
            params=params,
            soft=cut is None,
        )
    elif cut is None:
        refined = np.asarray(crf.dense_crf_binary(heat, image, params=params))
    else:
        refined = alone(heat >= cut, image, params)
    refined[score.max((1, 2)) <= 0] = 0  # no heat, whatever its neighbours are
    return resized(refined.astype(np.float32), size // 2)
