"""Findings as coded concepts, and where a mask came from, for DICOM.

A finding gets its SNOMED CT code where pydicom's copy of the standard's context groups
has one of that meaning. Every other gets a code of the private scheme ``99WSSEG``: the
value is made of the name, the meaning is the name itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

from napari_wsseg.io.project import Project
from napari_wsseg.schema import Annotation

SCHEME = "99WSSEG"

Algorithm = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]

#: Our words, folded, to pydicom's keyword of the SNOMED CT concept.
KEYWORDS = {
    "pneumothorax": "Pneumothorax",
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
_VALUE_LENGTH = 16


def property_type(finding: str) -> Any:
    """Return the code of what is segmented."""
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    keyword = KEYWORDS.get(_folded(finding))
    if keyword is not None:
        return getattr(codes.SCT, keyword)
    value = re.sub(r"[^A-Z0-9]+", "_", finding.upper()).strip("_")
    if len(value) > _VALUE_LENGTH or not value or not finding.isascii():
        digest = hashlib.sha256(finding.encode()).hexdigest().upper()
        value = f"{value[:7]}_{digest[:8]}"
    return Code(value, SCHEME, finding)


def category(finding: str) -> Any:
    """Return the code of the kind of thing that is segmented."""
    from pydicom.sr.codedict import codes

    keyword = KEYWORDS.get(_folded(finding))
    if keyword in _STRUCTURES:
        return codes.SCT.AnatomicalStructure
    if keyword in _OBJECTS:
        return codes.SCT.PhysicalObject
    return codes.SCT.MorphologicallyAbnormalStructure


def declare(dataset: Any) -> None:
    """Say in a data set what the private scheme is (PS3.3 C.12.1.1.7)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "Findings as named in napari-wsseg projects"
    dataset.CodingSchemeIdentificationSequence = [item]


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
