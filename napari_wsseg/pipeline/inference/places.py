"""Where a finding can be, from what the anatomy stage finds on its film.

A consolidation is in a lung, whatever a classifier looks at; a side marker is never
part of anything. What a map shows outside a finding's place is dimmed, not cut away,
since anatomy is found by a network that errs. The window asks for places, too, so no
torch is imported here; `kept_places` has what is done to maps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

Map = NDArray[np.float32]

DIMMED = 0.1
"""What a score outside its place is multiplied by."""

_SOFT = 0.02  # of the film's side: how far a place fades out

_NO_CHEST = 0.03  # lungs smaller than this share of the film are not believed


def _lungs(found: Mapping[str, Map]) -> Map:
    return _wider(np.maximum(found["left_lung"], found["right_lung"]), 0.03)


def _pleural_rim(found: Mapping[str, Map]) -> Map:
    """Return the outer part of the lungs, fading to a third in their middle."""
    rim = np.zeros_like(found["left_lung"])
    for lung in (found["left_lung"], found["right_lung"]):
        inward = ndimage.distance_transform_edt(lung >= 0.5)
        depth = inward / max(float(inward.max()), 1.0)
        rim = np.maximum(rim, lung * (1 - 0.67 * np.clip(2 * depth - 0.6, 0, 1)))
    beside = _wider(_lungs(found), 0.02) - found["left_lung"] - found["right_lung"]
    return np.asarray(np.maximum(rim, beside).clip(0, 1), np.float32)


def _costophrenic_angle(found: Mapping[str, Map]) -> Map:
    """Return the lower half of each lung, fading upwards, and a little below it."""
    lower = np.zeros_like(found["left_lung"])
    for lung in (found["left_lung"], found["right_lung"]):
        rows = np.flatnonzero((lung >= 0.5).any(1))
        if rows.size:
            at = (np.arange(len(lung)) - rows[0]) / max(1, np.ptp(rows))
            rise = np.clip((at - 0.25) / 0.25, 0.2, 1)[:, None]
            lower = np.maximum(lower, _wider(lung, 0.05) * rise)
    return lower


def _heart(found: Mapping[str, Map]) -> Map:
    return _wider(found["heart"], 0.01)


def _mediastinum(found: Mapping[str, Map]) -> Map:
    return _wider(np.maximum(found["heart"], found["mediastinum"]), 0.03)


def _anywhere(found: Mapping[str, Map]) -> Map:
    return np.ones_like(found["heart"])


PLACES: Mapping[str, Callable[[Mapping[str, Map]], Map]] = {
    "lungs": _lungs,
    "pleural rim": _pleural_rim,
    "costophrenic angle": _costophrenic_angle,
    "heart": _heart,
    "mediastinum": _mediastinum,
    "anywhere": _anywhere,
}
"""What ``[places]`` in wsseg.toml may say; none is on markers, text or air outside."""

NO_PRIOR = "none"
"""As a project's prior: nothing is kept to a place."""

STRUCTURES: Mapping[str, tuple[str, ...]] = {
    "heart": ("heart",),
    "mediastinum": ("heart", "mediastinum"),
}
"""Places that are organs: a finding there is the organ itself, grown too large."""

DEFAULTS: Mapping[str, str] = {
    **dict.fromkeys(
        ("atelectasis", "consolidation", "edema", "emphysema", "fibrosis",
         "ground glass opacities", "infiltration", "lung lesion", "lung opacity",
         "mass", "nodule", "pneumonia"), "lungs"),
    **dict.fromkeys(
        ("pleural other", "pleural thickening", "pneumothorax"), "pleural rim"),
    **dict.fromkeys(("effusion", "pleural effusion"), "costophrenic angle"),
    "cardiomegaly": "heart",
    **dict.fromkeys(("enlarged cardiomediastinum", "hernia"), "mediastinum"),
    **dict.fromkeys(("fracture", "support devices"), "anywhere"),
}  # fmt: skip
"""Place by finding, as CheXpert and NIH name it; ``_`` and capitals do not matter."""


def project_places(project: Project) -> dict[str, str]:
    """Return the place of every finding that has one.

    It is that of ``[places]`` in wsseg.toml, else the project's prior, else one of
    `DEFAULTS`. Empty where wsseg.toml says ``places = false`` or the prior is
    ``"none"``, and for pictures in colour, which are no chest films.

    Raises
    ------
    DataError
        If wsseg.toml names a place that there is not, or a finding it does not list.
    """
    given = project.places
    if project.prior not in ("", NO_PRIOR, *PLACES):
        raise DataError(
            f"wsseg.toml: prior is {project.prior!r}; there are: {NO_PRIOR}, "
            + ", ".join(PLACES)
        )
    if given is None or project.colour or project.prior == NO_PRIOR:
        return {}
    names = [finding.name for finding in project.findings]
    for finding, place in given.items():
        if place not in PLACES:
            raise DataError(
                f"wsseg.toml, [places]: {finding} = {place!r} is no place; there are: "
                + ", ".join(PLACES)
            )
        if finding not in names:
            raise DataError(
                f"wsseg.toml, [places]: {finding!r} is not a finding of this project; "
                f"there are: {', '.join(names)}"
            )
    by_default = {
        name: project.prior or DEFAULTS[_plain(name)]
        for name in names
        if project.prior or _plain(name) in DEFAULTS
    }
    return {**by_default, **given}


def structures_of(project: Project) -> dict[str, tuple[str, ...]]:
    """Return, of the findings that are a structure grown too large, which it is."""
    where = project_places(project)
    return {
        name: STRUCTURES[place] for name, place in where.items() if place in STRUCTURES
    }


def lesions(project: Project) -> list[str]:
    """Return the findings of a project that are no organ grown too large."""
    organs = structures_of(project)
    return [each.name for each in project.findings if each.name not in organs]


def weight(found: Mapping[str, Map], place: str) -> Map:
    """Return (S, S) in [`DIMMED`, 1]: 1 in a place, `DIMMED` where it cannot be.

    Parameters
    ----------
    found
        Structure to (S, S) probability, as the anatomy stage gives it.
    place
        One of `PLACES`.
    """
    lungs = np.maximum(found["left_lung"], found["right_lung"])
    if float((lungs >= 0.5).mean()) < _NO_CHEST:
        return np.ones_like(lungs)
    never = np.maximum(found["markers"], found["outside"])
    inside = PLACES[place](found) * (1 - never)
    soft = ndimage.gaussian_filter(inside, _SOFT * len(lungs) / 2)
    return np.asarray(DIMMED + (1 - DIMMED) * np.clip(soft, 0, 1), np.float32)


def _wider(found: Map, share: float) -> Map:
    reach = max(1, round(share * len(found)))
    wide: Map = ndimage.maximum_filter(found, 2 * reach + 1)
    return wide


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()
