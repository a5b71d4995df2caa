"""The nouns: what a radiograph, a case, an annotation is. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
"""Value of a seed pixel that training must not count."""

STAGES = ("cam", "crf", "irnet", "segmentation")
"""The stages of a mask, in the order in which they are made."""

ANATOMY = "anatomy"
"""What is beside the stages of a mask: heart, lungs and the rest, on every film."""

SPLITS = ("train", "val", "test")

STORES = ("npz", "packed")
"""How stage maps are kept: a file for each film, or for many."""

RULES = ("threshold", "triplet", "otsu")
"""The ways in which a map is cut into a mask, see `StageSettings`."""

Mask: TypeAlias = NDArray[np.bool_]
Split: TypeAlias = Literal["train", "val", "test"]
Rule: TypeAlias = Literal["threshold", "triplet", "otsu"]
Verdict: TypeAlias = Literal["accept", "accept with edits", "reject", "flag", "reopen"]

ACCEPTING: tuple[Verdict, ...] = ("accept", "accept with edits")
"""Verdicts that let a film's masks count."""

LABEL_NAMES = {1: "present", 0: "absent", -1: "uncertain", None: "unknown"}
"""What a label of a film is called."""

#: Okabe and Ito's colour-blind-safe palette (https://jfly.uni-koeln.de/color/),
#: without black, in the order in which findings take them; then thirteen more, each as
#: far as could be from all before it, also without red, green or blue cones.
PALETTE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#BFFFDF",
    "#00FFFF",
    "#BF2040",
    "#BF0080",
    "#6080FF",
    "#661AFF",
    "#FFFF99",
    "#80CC66",
    "#006666",
    "#CC0000",
    "#FFCC99",
    "#CC1AB3",
    "#FF6680",
)

GROUPS = ("lesions", "devices", "anatomy")
"""In the order in which findings are listed under them."""

_ANATOMY = (
    *("lung", "heart", "clavicle", "rib", "spine", "aorta", "trachea", "diaphragm"),
    *("mediastin", "hilum", "hilar", "scapula", "carina", "airway", "anatomy"),
    *("abdomen", "stomach", "oesophag", "esophag", "humerus", "sternum", "shoulder"),
)
_DEVICES = (
    *("tube", "line", "catheter", "pacemaker", "device", "wire", "lead", "clip"),
    *("stent", "valve", "port", "drain", "ecg", "electrode", "prosthes", "tubing"),
    *("probe", "monitor", "sensor", "implant"),
)
_LESIONS = (
    *("cardiomegaly", "enlarged", "opacit", "lesion", "pneumo", "effusion", "lung_"),
    *("lung ", "fracture", "edema", "oedema"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One decoded film.

    Parameters
    ----------
    uid
        SHA-256 of shape and displayed pixels, hexadecimal.
    pixels : (H, W) float32
        Values in [0, 1] after modality LUT, VOI LUT or window and inversion of
        MONOCHROME1: bright is dense.
    spacing_mm
        Row and column spacing in millimetres, or ``None`` when unknown.
    spacing_kind
        ``"pixel"`` (calibrated, DICOM Pixel Spacing), ``"detector"`` (Imager Pixel
        Spacing, not corrected for magnification) or ``None``.
    bits
        Bits stored in the file, 8 to 16.
    view
        ``"PA"``, ``"AP"``, ``"LL"`` … as the file says, or ``None``.
    path
        Where it was read, or ``None`` for a film that was made.
    colour : (H, W, 3) uint8, optional
        Red, green and blue of a photograph; `pixels` is its luminance. ``None`` for
        greys.
    lateral
        Whether the file says that it is a lateral view.
    """

    uid: str
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float] | None = None
    spacing_kind: Literal["pixel", "detector"] | None = None
    bits: int = 8
    view: str | None = None
    path: Path | None = None
    colour: NDArray[np.uint8] | None = None
    lateral: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One pathology or structure, with the colour it is shown in (``#RRGGBB``).

    Parameters
    ----------
    display
        What it is called on screen; empty: its name with blanks.
    group
        What it is listed under; empty: `kind` guesses by its name.
    """

    name: str
    colour: str
    display: str = ""
    group: str = ""

    @property
    def title(self) -> str:
        """What it is called on screen."""
        return self.display or self.name.replace("_", " ")

    @property
    def kind(self) -> str:
        """The group it is listed under, of `GROUPS` or one of the project's own."""
        return self.group or _kind(self.name.casefold())


def _kind(name: str) -> str:
    """Guess a group by words in a name: ``left_lung`` is anatomy, ``lung_opacity`` not.

    A name that is two things is what may be wrong: a lesion.
    """
    if any(word in name for word in _LESIONS) and not name.endswith(("lung", "lungs")):
        return "lesions"
    if any(part.startswith(_DEVICES) for part in name.replace("_", " ").split()):
        return "devices"
    return "anatomy" if any(word in name for word in _ANATOMY) else "lesions"


IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2"),
    *(".dcm", ".dicom", ".dic", ".ima", ".img", ".nii.gz", ".nii", ".seg.nrrd"),
    *(".nrrd", ".mha"),
)
"""Of files that hold images; whatever else follows a dot is part of the name."""


def without_ending(name: str) -> str:
    """Return a name or path without the ending of a known kind of image.

    The dots of ``1.2.826.0.1`` are no ending.
    """
    low = name.lower()
    ending = next((each for each in IMAGE_ENDINGS if low.endswith(each)), "")
    kept = name[: len(name) - len(ending)]
    return kept if kept and not kept.endswith("/") else name


@dataclass(frozen=True, slots=True)
class Case:
    """One radiograph of a project with its image-level labels.

    Parameters
    ----------
    id
        First 16 hexadecimal digits of the radiograph's uid.
    path
        POSIX path relative to the project's image folder.
    shape
        Rows and columns.
    spacing_mm
        Row and column spacing, or ``None``.
    split
        ``"train"``, ``"val"`` or ``"test"``.
    labels
        Finding name to 1 (present), 0 (absent), -1 (uncertain) or None (unknown).
    """

    id: str
    path: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    split: Split
    labels: Mapping[str, int | None]

    @property
    def name(self) -> str:
        """File name without its ending, the words a list shows."""
        return without_ending(PurePosixPath(self.path).name)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One version of one finding's expert mask on one case; never changed.

    Parameters
    ----------
    version
        1, 2, 3 … per case, finding and reader.
    parent
        Row id of the annotation it was made from, or ``None``.
    mask_sha
        First 12 hexadecimal digits of the SHA-256 of the mask file.
    tool
        How it was made, e.g. ``"brush"``, ``"import"``, ``"from irnet"``.
    source_run
        Run whose draft it started from, or ``None``.
    area_px
        Pixels of the finding.
    created
        UTC, ISO 8601.
    """

    id: int
    case: str
    finding: str
    reader: str
    version: int
    parent: int | None
    mask_sha: str
    tool: str
    source_run: str | None
    area_px: int
    created: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A reader's verdict on a case; a later row replaces an earlier one.

    Parameters
    ----------
    finding
        The one finding that it is about; ``None``: the film as a whole.
    after
        Row id of the newest annotation at that time: later ones came after it, whatever
        the clock says. ``None`` for decisions of older projects.
    """

    id: int
    case: str
    verdict: Verdict
    reader: str
    confidence: int | None
    comment: str
    seconds: float | None
    created: str
    finding: str | None = None
    after: int | None = None


ORIGINAL_LABEL = "original"
"""Source of the label that a film came with."""


@dataclass(frozen=True, slots=True)
class LabelVersion:
    """What one reader said of one finding on one film; never changed.

    Parameters
    ----------
    value
        1 (present), 0 (absent), -1 (uncertain) or ``None`` (unknown).
    reader
        Empty for the label that the film came with.
    source
        How it was given, e.g. ``"window"``, ``"import"``.
    undoes
        Row id of the label that this one takes back, or ``None``.
    """

    id: int
    case: str
    finding: str
    value: int | None
    reader: str
    source: str
    created: str
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A spell of one reader's work on a film, as it is kept beside decisions.

    Parameters
    ----------
    finding
        The finding in hand; ``None`` where the project has none.
    arm
        What the reader was offered, one of `ARMS`; empty outside of a study.
    seconds
        Active seconds: window in focus, pauses of more than 20 s left out.
    gestures
        How often each tool changed the mask or was moved: ``{"paint": 3, "undo": 1}``.
    earlier
        Row id of the newest decision at that time: the work belongs to the reader's
        next decision on the film.
    """

    id: int
    case: str
    finding: str | None
    reader: str
    arm: str
    seconds: float
    gestures: Mapping[str, int]
    earlier: int
    created: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one finding's draft, as it is kept with a decision.

    Parameters
    ----------
    decision
        Row id of the decision.
    start
        What the mask began with: a stage (``"irnet"``, ``"cam~layer-cam@4 snapped"``),
        ``"version 2"``, ``"mask"`` for one that was there before, or ``"blank"``.
    source_run
        Run of that stage.
    offered_px
        Area of the draft that was offered; ``None`` where none was, as in the arm
        ``"blank"``.
    added_px, removed_px
        Pixels that the mask has beyond that draft, and lacks of it.
    mask_px
        Area of the mask.
    unedited
        Whether the mask is the draft as it was offered.
    """

    decision: int
    finding: str
    start: str
    source_run: str | None
    offered_px: int | None
    added_px: int
    removed_px: int
    mask_px: int
    unedited: bool


@dataclass(frozen=True, slots=True, eq=False)
class StageMaps:
    """What one stage says of one case: float maps, thresholds still movable.

    Every map covers the letterboxed square of the radiograph (see
    `napari_wsseg.ops.geometry`), K findings in the project's order.

    Parameters
    ----------
    score : (K, h, w) float32 in [0, 1]
        What is thresholded to make a mask.
    present : (K,) float32 in [0, 1]
        Probability that the finding is present at all: the gate that keeps a
        negative film empty.
    extra
        Other maps of the stage by name: ``seed`` (K, h, w) uint8, ``boundary``
        (1, h, w) float32.
    """

    score: NDArray[np.float32]
    present: NDArray[np.float32]
    extra: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How a stage's maps become masks by default, per finding, in order.

    Parameters
    ----------
    thresholds
        Finding where ``score >= threshold``; the triplet's bottom.
    gates
        Finding present only where ``present >= gate``; 0 opens the gate.
    rule
        ``"threshold"``; ``"triplet"`` (`napari_wsseg.ops.masks.triplet_mask`), which
        wants `min_area` of the film above `top` before it takes what is above the
        threshold; ``"otsu"``, which finds each film's own threshold in its map and
        leaves `thresholds` aside.
    top
        The triplet's upper cut.
    min_area
        Share of the film in [0, 1]. Regions below it are dropped, or, with the
        triplet, films with less than that above `top` are left empty; 0: neither.
    fill_holes
        Fill what a region encloses.
    exclusive
        A pixel belongs to the finding of the highest score, of those whose gate is
        open, and to no other.

    Raises
    ------
    ValueError
        If `rule` is none of `RULES`, or `top` or `min_area` is not in [0, 1].
    """

    findings: tuple[str, ...]
    thresholds: tuple[float, ...]
    gates: tuple[float, ...]
    rule: Rule = "threshold"
    top: float = 0.75
    min_area: float = 0.0
    fill_holes: bool = False
    exclusive: bool = False

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"no rule {self.rule!r}; there are: {', '.join(RULES)}")
        for name, value in (("top", self.top), ("min_area", self.min_area)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}; it goes from 0 to 1")
