"""A synthetic chest radiograph and its true masks, from a seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.phantom import (
    _bones,
    _devices,
    _exposure,
    _findings,
    _patient,
    _tissue,
)
from napari_wsseg.phantom._canvas import Frame, Plane, blur, frame, tube
from napari_wsseg.phantom._patient import Patient
from napari_wsseg.schema import Mask

FINDINGS = (
    "pneumothorax",
    "pleural_effusion",
    "nodule",
    "consolidation",
    "cardiomegaly",
)
"""Every finding the generator can draw, in the order of masks and labels."""

STRUCTURES = (
    "heart",
    "left_lung",
    "right_lung",
    "mediastinum",
    "diaphragm",
    "abdomen",
    "clavicles",
    "devices",
    "markers",
    "outside",
)
"""What a film shows of everybody, in the order of the network that finds it.

``"diaphragm"`` is a band of 8 mm along the domes, ``"markers"`` are letters of lead
and in the picture, ``"outside"`` is where no body or no beam is.
"""

# Attenuation per mm near 65 keV, as the beam of a chest unit is after filtration.
_SOFT, _LUNG, _CORTEX = 0.0195, 0.0052, 0.048

_STREAMS = ("case", "patient", "frame", "body", "bones", "lungs", "devices",
            "exposure", *FINDINGS)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic film and everything that is true of it.

    Parameters
    ----------
    pixels : (H, W) uint16
        12 bits, 0 to 4095, MONOCHROME2: bright is dense.
    masks
        Finding to (H, W) bool, one for each of `FINDINGS`; empty when absent.
    labels
        Finding to whether it is there.
    anatomy
        Each of `STRUCTURES` to (H, W) bool, on every film. Lungs reach behind the heart
        and the dome as far as the beam meets much of them.
    spacing_mm
        Row and column spacing in the detector plane.
    seed
        What it was made from.
    description
        One line for a person; begins with "synthetic".
    """

    pixels: NDArray[np.uint16]
    masks: Mapping[str, Mask]
    labels: Mapping[str, bool]
    anatomy: Mapping[str, Mask]
    spacing_mm: tuple[float, float]
    seed: int
    description: str


def generate(
    seed: int,
    *,
    size: int | tuple[int, int] = 512,
    findings: Collection[str] | None = None,
    wide: bool = False,
) -> Phantom:
    """Make one frontal chest radiograph of a patient who does not exist.

    The patient, the findings and where they are depend on `seed` alone; noise and
    grain depend on `size` too. Two machines agree to a grey level or two of 4096,
    as long as numpy draws the same random numbers.

    Parameters
    ----------
    seed
        Any whole number, 0 or above.
    size
        Side of a square film, or (rows, columns), in pixels; 64 or more.
    findings
        What is to be found, of `FINDINGS`; ``()`` for a film without findings;
        ``None`` lets the seed draw: none in four films of ten.
    wide
        Draw patients, and how they lie on the film, from far beyond what is usual: for
        networks that are to know a chest wherever they see one.

    Returns
    -------
    Phantom

    Raises
    ------
    ValueError
        If a finding is not one of `FINDINGS`, or the film is smaller than 64 pixels.
    """
    shape = (size, size) if isinstance(size, int) else (size[0], size[1])
    if min(shape) < 64:
        raise ValueError(f"size {shape} is too small for a chest; give 64 or more")
    children = np.random.SeedSequence(seed).spawn(len(_STREAMS))
    streams = {
        name: np.random.Generator(np.random.PCG64(child))
        for name, child in zip(_STREAMS, children, strict=True)
    }
    present = _draw_findings(streams["case"]) if findings is None else set(findings)
    if unknown := present - set(FINDINGS):
        raise ValueError(
            f"findings {sorted(unknown)} are not drawn; choose from {list(FINDINGS)}"
        )
    draw, lay = (
        (_patient.draw_wide, _lay_anyhow) if wide else (_patient.draw, _lay_film)
    )
    patient = draw(streams["patient"], cardiomegaly="cardiomegaly" in present)
    film = lay(shape, patient, streams["frame"])
    return _Scene(film, patient, streams).render(seed, present)


def _draw_findings(rng: np.random.Generator) -> set[str]:
    drawn = rng.random(len(FINDINGS)) < 0.3
    first = int(rng.integers(len(FINDINGS)))
    if rng.random() < 0.4:
        return set()
    drawn[first] = True
    return {name for name, there in zip(FINDINGS, drawn, strict=True) if there}


def _lay_film(
    shape: tuple[int, int], patient: Patient, rng: np.random.Generator
) -> Frame:
    wide = 2 * (patient.width + 0.7 * patient.wall) + rng.uniform(18, 92)
    tall = patient.dome_left + patient.angle_drop + rng.uniform(62, 120)
    # The film's short side must hold the chest.
    width_mm = max(wide, tall * shape[1] / shape[0])
    middle = (
        rng.normal(0, 4),
        0.5 * (patient.dome_left + patient.angle_drop) - rng.uniform(2, 20),
    )
    return frame(shape, width_mm, middle, np.deg2rad(rng.normal(0, 1.4)))


def _lay_anyhow(
    shape: tuple[int, int], patient: Patient, rng: np.random.Generator
) -> Frame:
    """Lay the film so that the lungs fill half of it or all, high, low or aside."""
    high = patient.dome_left + patient.angle_drop
    share = rng.uniform(0.52, 0.98)
    width_mm = max(2 * patient.width / share, high / 0.97 * shape[1] / shape[0])
    height_mm = width_mm * shape[0] / shape[1]
    spare_x, spare_y = width_mm - 2 * patient.width, height_mm - high
    middle = (
        spare_x * rng.uniform(-0.3, 0.3),
        0.5 * high + spare_y * rng.uniform(-0.25, 0.5),
    )
    return frame(shape, width_mm, middle, np.deg2rad(rng.normal(0, 3)))


class _Scene:
    """Everything between the tube and the detector for one film."""

    def __init__(
        self, film: Frame, patient: Patient, streams: dict[str, np.random.Generator]
    ) -> None:
        self.film, self.patient, self.streams = film, patient, streams
        rng = streams["body"]
        self.body = _tissue.body(film, patient, rng)
        wobble = 0.045 if patient.heart_slant else 0.018
        outline = _patient.heart_outline(patient, rng.normal(0, wobble, 15))
        low, high = outline.min(0), outline.max(0)
        rho = _patient.radial(film, outline, 0.45 * low + 0.55 * high)
        self.heart_mask: Mask = rho < 1
        self.heart = _tissue.heart(film, patient, rho)
        self.middle = _tissue.midline(film, patient, rng)
        self.lungs = {side: self._lung(side) for side in (-1, 1)}

    def _lung(self, side: int) -> _findings.Lung:
        cavity = _patient.cavity(self.film, self.patient, side)
        share, below = _patient.above_dome(self.film, self.patient, side)
        displaced = (self.middle**2 + self.heart**2) ** 0.5
        depth = np.maximum(cavity * share - displaced * (below < 0), 0)
        depth = np.where(below < 0, depth, np.maximum(depth - displaced, 0))
        return _findings.Lung(side, depth, (cavity > 4) & (below < 0) & (depth > 10))

    def render(self, seed: int, present: set[str]) -> Phantom:
        """Expose, develop and mark the film; gather what is true of it."""
        shadows = self._shadows(present)
        signal = _exposure.expose(
            self.film, self._optical_depth(shadows), self.streams["exposure"]
        )
        pixels = _exposure.develop(self.film, signal, self.streams["exposure"])
        bare, beam = _exposure.shutters(self.film, pixels, self.streams["exposure"])
        pixels = _devices.burn_in(bare, "SYNTHETIC")
        written = np.abs(pixels - bare) > 0.12
        masks = {name: np.zeros(self.film.shape, bool) for name in FINDINGS}
        for shadow in shadows:
            masks[shadow.finding] |= shadow.mask
        if "cardiomegaly" in present:
            masks["cardiomegaly"] = self.heart_mask
        names = ", ".join(name for name in FINDINGS if name in present)
        return Phantom(
            pixels=_exposure.quantise(pixels),
            masks=masks,
            labels={name: name in present for name in FINDINGS},
            anatomy=self._anatomy(written, beam),
            spacing_mm=(self.film.spacing, self.film.spacing),
            seed=seed,
            description=f"synthetic chest radiograph, {names or 'no finding'}",
        )

    def _anatomy(self, written: Mask, beam: Mask) -> dict[str, Mask]:
        film, patient = self.film, self.patient
        solid = (self.middle**2 + self.heart**2) ** 0.5
        left, right = (
            lung.field & (lung.depth > 0.25 * (lung.depth + solid))
            for lung in (self.lungs[1], self.lungs[-1])
        )
        domes = [_patient.dome_y(patient, film.x, side) for side in (-1, 1)]
        below = film.y - np.where(film.x < 0, *domes)
        chest = np.abs(film.x) < patient.width
        found = {
            "heart": self.heart_mask,
            "left_lung": left,
            "right_lung": right,
            "mediastinum": (self.middle > 10)
            & (film.y > 0)
            & (below < 0)
            & ~(left | right | self.heart_mask),
            "diaphragm": chest & (np.abs(below) < 4),
            "abdomen": (np.abs(film.x) < patient.width + 0.6 * patient.wall)
            & (below > 0)
            & (self.body > 30),
            "clavicles": self.clavicles > 1.5,
            "devices": self.metal > 0.15,
            "markers": (self.marker > 0.3) | written,
            "outside": (self.body < 8) | ~beam,
        }
        return {name: found[name] for name in STRUCTURES}

    def _shadows(self, present: set[str]) -> list[_findings.Shadow]:
        """Return what each finding that is present changes, the heart's size aside."""
        film, patient, lungs = self.film, self.patient, self.lungs
        shadows: list[_findings.Shadow] = []
        for name, make in (
            ("pneumothorax", _findings.pneumothorax),
            ("pleural_effusion", _findings.pleural_effusion),
        ):
            rng = self.streams[name]
            side = int(rng.choice([-1, 1]))
            both = name == "pleural_effusion" and rng.random() < 0.25
            if name in present:
                for each in (side, -side) if both else (side,):
                    shadows.append(make(film, patient, lungs[each], rng))
        for name, place in (
            ("consolidation", _findings.consolidation),
            ("nodule", _findings.nodule),
        ):
            if name in present:
                taken = np.zeros(film.shape, bool)
                for shadow in shadows:
                    taken |= shadow.mask
                rng = self.streams[name]
                shadows.append(place(film, patient, lungs, taken, rng))
        return shadows

    def _optical_depth(self, shadows: list[_findings.Shadow]) -> Plane:
        film, patient = self.film, self.patient
        rng = self.streams["lungs"]
        texture = 1 + _tissue.parenchyma(film, rng)
        tree = _tissue.vessels(film, patient, rng)
        line = tube(film, _tissue.fissure(patient, rng))
        fissure = 2.5 * line * float(rng.random() < 0.5)
        aerated = np.zeros(film.shape, np.float32)
        lost = np.zeros(film.shape, np.float32)  # lung's place taken by air or fluid
        soft = self.body.copy()
        for side, lung in self.lungs.items():
            filled = np.zeros(film.shape, np.float32)
            emptied = np.zeros(film.shape, np.float32)
            for shadow in shadows:
                if shadow.side in (0, side):
                    filled = np.maximum(filled, shadow.filled)
                    emptied = np.maximum(emptied, shadow.emptied)
            emptied = emptied * (1 - filled)
            soft -= lung.depth * (1 - filled)
            aerated += lung.depth * (1 - filled - emptied)
            lost += (lung.depth > 0) * np.clip(filled + emptied, 0, 1)
        room = np.clip(aerated / 45, 0, 1) * (1 - lost) ** 2
        tissue = (2.1 * tree + fissure) * room
        for shadow in shadows:
            tissue = tissue + shadow.added
        depth = _SOFT * np.maximum(soft, 0) + _LUNG * aerated * texture
        depth += (_SOFT - _LUNG) * tissue
        gas = _tissue.airway(film, patient, self.streams["body"])
        gas = gas + _tissue.belly_gas(film, patient, self.streams["body"])
        depth -= 1.15 * _SOFT * gas
        return depth + self._hard()

    def _hard(self) -> Plane:
        """Return what bone and metal add to the optical depth."""
        film, patient, rng = self.film, self.patient, self.streams["bones"]
        ribs = _bones.ribs(film, patient, rng)
        girdle, self.clavicles = _bones.girdle(film, patient, rng)
        bone = blur(ribs + girdle, 0.55) + _bones.spine(film, patient, rng)
        bone = bone + _bones.sternum(film, patient)
        self.marker = _devices.side_marker(film, patient, self.streams["devices"])
        self.metal = _devices.devices(film, patient, self.streams["devices"])
        hard: Plane = (_CORTEX - _SOFT) * bone + self.marker + self.metal
        return hard
