"""Findings as coded concepts, and where a mask came from, for DICOM.

A finding gets the code that ``codes.csv`` in the project's folder gives it, else the
one of our table, else a code of the private scheme ``99WSSEG``: the value is made of
the name, the meaning is the name itself. ``codes.csv`` has the header
``finding,scheme,code,meaning[,category]``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_wsseg.io.external import tables
from napari_wsseg.io.external.spreadsheet import uncell
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation

SCHEME = "99WSSEG"
FILE = "codes.csv"

Algorithm = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]

CATEGORIES = ("abnormality", "anatomy", "object")

#: Our words, folded, to pydicom's keyword of the SNOMED CT concept.
KEYWORDS = {
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "pleural effusion": "PleuralEffusion",
    "effusion": "PleuralEffusion",
    "edema": "PulmonaryEdema",
    "pulmonary edema": "PulmonaryEdema",
    "nodule": "Nodule",
    "mass": "Mass",
    "heart": "Heart",
    "lung": "Lung",
    "lungs": "Lung",
    "clavicle": "Clavicle",
    "trachea": "Trachea",
    "aorta": "Aorta",
    "mediastinum": "Mediastinum",
    "pacemaker": "CardiacPacemaker",
    "catheter": "Catheter",
}
_STRUCTURES = ("Heart", "Lung", "Clavicle", "Trachea", "Aorta", "Mediastinum")
_OBJECTS = ("CardiacPacemaker", "Catheter")

#: Our words, folded, to pydicom's keyword of the standard's own code (PS3.16 annex D).
DICOM_KEYWORDS = {
    "infiltration": "Infiltrate",
    "infiltrate": "Infiltrate",
    "opacity": "Opacity",
    "lung opacity": "Opacity",
}

#: Abnormalities that are in none of the standard's context groups: code and meaning.
#: They agree with public lists of others; no terminology server has been asked.
SNOMED = {
    "atelectasis": ("46621007", "Atelectasis"),
    "consolidation": ("95436008", "Pulmonary consolidation"),
    "pneumonia": ("233604007", "Pneumonia"),
    "emphysema": ("87433001", "Pulmonary emphysema"),
    "fibrosis": ("51615001", "Fibrosis of lung"),
    "hernia": ("84089009", "Hiatal hernia"),
    "hiatal hernia": ("84089009", "Hiatal hernia"),
    "rib fracture": ("33737001", "Fracture of rib"),
}

_HEADER = ("finding", "scheme", "code", "meaning")
_VALUE_LENGTH, _MEANING_LENGTH = 16, 64
"""Characters of SH and LO (PS3.5 6.2)."""


@dataclass(frozen=True, slots=True)
class FindingCode:
    """A finding's code and that of the kind of thing it is, as pydicom has codes."""

    type: Any
    category: Any


class CodeTable:
    """The codes of a project's findings.

    Raises
    ------
    DataError
        The project's ``codes.csv`` is off; names the line.
    """

    def __init__(self, project: Project) -> None:
        self._own = _read(project.folder / FILE)

    def code(self, finding: str) -> FindingCode:
        """Return the codes of a finding."""
        from pydicom.sr.coding import Code

        folded = _folded(finding)
        if folded in self._own:
            scheme, value, meaning, kind = self._own[folded]
            return FindingCode(Code(value, scheme, meaning), _category(kind))
        return FindingCode(_type(finding), _category(_kind(finding)))


def _type(finding: str) -> Any:
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    folded = _folded(finding)
    if folded in KEYWORDS:
        return getattr(codes.SCT, KEYWORDS[folded])
    if folded in DICOM_KEYWORDS:
        return getattr(codes.DCM, DICOM_KEYWORDS[folded])
    if folded in SNOMED:
        value, meaning = SNOMED[folded]
        return Code(value, "SCT", meaning)
    return Code(_private(finding), SCHEME, finding[:_MEANING_LENGTH])


def _kind(finding: str) -> str:
    keyword = KEYWORDS.get(_folded(finding))
    if keyword in _STRUCTURES:
        return "anatomy"
    return "object" if keyword in _OBJECTS else "abnormality"


def _read(path: Path) -> dict[str, tuple[str, str, str, str]]:
    if not path.exists():
        return {}
    lines = tables.rows(path)
    header = [uncell(cell.strip()) for cell in lines[0][1]] if lines else []
    if tuple(header[:4]) != _HEADER or header[4:] not in ([], ["category"]):
        raise DataError(f"{path}: its header is {','.join(_HEADER)}[,category]")
    found: dict[str, tuple[str, str, str, str]] = {}
    for line, cells in lines[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, (uncell(cell.strip()) for cell in cells), strict=False))
        flaws = [*_flaws(row, found)]
        if flaws:
            raise DataError(f"{path}: line {line}: {flaws[0]}")
        kind = row.get("category") or "abnormality"
        found[_folded(row["finding"])] = (
            row["scheme"],
            row["code"],
            row["meaning"],
            kind,
        )
    return found


def _flaws(row: Mapping[str, str], found: Mapping[str, object]) -> Iterator[str]:
    for name in _HEADER:
        if not row.get(name):
            yield f"{name} is blank"
            return
    if _folded(row["finding"]) in found:
        yield f"{row['finding']!r} is there twice"
    if row.get("category") and row["category"] not in CATEGORIES:
        yield f"category is one of {', '.join(CATEGORIES)}, or blank"
    for name, most in (("scheme", 16), ("code", 16), ("meaning", _MEANING_LENGTH)):
        if len(row[name]) > most or "\\" in row[name]:
            yield f"{name} has over {most} characters, or a backslash"


def _private(finding: str) -> str:
    value = re.sub(r"[^A-Z0-9]+", "_", finding.upper()).strip("_")
    if len(value) > _VALUE_LENGTH or not value or not finding.isascii():
        digest = hashlib.sha256(finding.encode()).hexdigest().upper()
        value = f"{value[:7]}_{digest[:8]}"
    return value


def _category(kind: str) -> Any:
    from pydicom.sr.codedict import codes

    return {
        "anatomy": codes.SCT.AnatomicalStructure,
        "object": codes.SCT.PhysicalObject,
        "abnormality": codes.SCT.MorphologicallyAbnormalStructure,
    }[kind]


def item(value: str, scheme: str, meaning: str) -> Any:
    """Return a code as an item of a sequence (PS3.3 8.8).

    Parameters
    ----------
    value
        Code Value (0008,0100).
    scheme
        Coding Scheme Designator (0008,0102), e.g. ``"SCT"``.
    meaning
        Code Meaning (0008,0104), what people read.
    """
    from pydicom.dataset import Dataset

    made = Dataset()
    made.CodeValue = value
    made.CodingSchemeDesignator = scheme
    made.CodeMeaning = meaning
    return made


def declare(dataset: Any) -> None:
    """Say in a data set what the private scheme is (PS3.3 C.12.1.1.7)."""
    from pydicom.dataset import Dataset

    made = Dataset()
    made.CodingSchemeDesignator = SCHEME
    made.CodingSchemeName = "Findings as named in napari-wsseg projects"
    dataset.CodingSchemeIdentificationSequence = [made]


def algorithm(project: Project, one: Annotation) -> tuple[Algorithm, str]:
    """Return DICOM's algorithm type of a mask, and the run it began with.

    ``AUTOMATIC``: a reader accepted a run's draft as it was. ``SEMIAUTOMATIC``: it
    began as a draft and was edited. ``MANUAL``: no run was in it; a mask that a reader
    imported counts as his own.
    """
    if one.source_run and one.tool.startswith("accepted "):
        return "AUTOMATIC", one.source_run
    known = {row.id: row for row in project.history(one.case, one.finding)}
    before: Annotation | None = one
    while before is not None:
        if before.source_run:
            return "SEMIAUTOMATIC", before.source_run
        before = known.get(before.parent or 0)
    return "MANUAL", ""


def _folded(finding: str) -> str:
    return finding.replace("_", " ").casefold().strip()
