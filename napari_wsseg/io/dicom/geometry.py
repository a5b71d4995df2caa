"""Where a film's pixels lie: spacing, view, and which way up."""

from __future__ import annotations

import re
from typing import Literal

from pydicom.dataset import Dataset

from napari_wsseg.io.dicom.header import header_element, header_text

#: PS3.3 C.8.1.1.2 and C.8.11.5; decubitus films (LLD, RLD) are frontal.
_LATERAL = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "ML", "LM"})
_FRONTAL = frozenset({"PA", "AP", "LLD", "RLD", "APL", "LPA", "LAP"})
#: Left and right lateral of CID 4010, and their names in SNOMED RT.
_LATERAL_CODES = frozenset({"399173006", "399198007", "R-10236", "R-10232"})
_NO_LATERAL = re.compile(r"\b(pa|ap|frontal|decub\w*|oblique)\b", re.IGNORECASE)
_LATERAL_WORD = re.compile(r"\b(lateral|lat|ll|seitlich|profil)\b", re.IGNORECASE)

Kind = Literal["pixel", "detector"]


def spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, Kind | None]:
    """Return millimetres between rows and columns, and what they are measured on.

    Pixel Spacing equal to Imager Pixel Spacing is not calibrated (PS3.3 10.7.1.3).
    Nominal Scanned Pixel Spacing is that of the film on the scanner, so of a detector.
    """
    pixel = _pair(dataset, "PixelSpacing")
    imager = _pair(dataset, "ImagerPixelSpacing")
    if imager is None:
        imager = _pair(dataset, "NominalScannedPixelSpacing")
    if pixel is not None and pixel != imager:
        return pixel, "pixel"
    return (imager, "detector") if imager is not None else (None, None)


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    try:
        row, column = (float(value) for value in header_element(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return (row, column) if 0 < row < 100 and 0 < column < 100 else None


def view(dataset: Dataset) -> str | None:
    """Return the view's name: View Position, else the words of its code."""
    named = header_text(dataset, "ViewPosition")
    return named or _code(dataset)[1] or None


def is_lateral(dataset: Dataset) -> bool:
    """Whether a film is known to be a lateral view.

    By View Position, else View Code Sequence, else Patient Orientation, whose rows run
    to front or back on a lateral, else a description that says so.
    """
    named = header_text(dataset, "ViewPosition").upper()
    if named in _LATERAL or named in _FRONTAL:
        return named in _LATERAL
    value, meaning = _code(dataset)
    if value or meaning:
        return value in _LATERAL_CODES or _says_lateral(meaning)
    row = _orientation(dataset)[0]
    if row:
        return row[0] in "AP"
    described = ("SeriesDescription", "ProtocolName")
    texts = (header_text(dataset, keyword, 64) for keyword in described)
    return _says_lateral(next(filter(None, texts), ""))


def turned(dataset: Dataset) -> str | None:
    """Say so if a frontal film is not stored as it is hung: left at right, head up."""
    row, column = _orientation(dataset)
    if not row or not column or row[0] in "AP":
        return None
    if row[0] == "L" and column[0] == "F":
        return None
    if row[0] == "R" and column[0] == "F":
        return "stored mirrored, the patient's left at left (Patient Orientation R\\F)"
    return f"stored turned or mirrored (Patient Orientation {row}\\{column})"


def _orientation(dataset: Dataset) -> tuple[str, str]:
    """Return where rows and columns run to (PS3.3 C.7.6.1.1.1), or nothing."""
    value = header_element(dataset, "PatientOrientation")
    try:
        row, column = (str(part).strip().upper() for part in value)
    except (TypeError, ValueError):
        return "", ""
    known = all(set(part) <= set("APRLHF") for part in (row, column))
    return (row, column) if known else ("", "")


def _code(dataset: Dataset) -> tuple[str, str]:
    """Return value and words of the view's code."""
    try:
        item = header_element(dataset, "ViewCodeSequence")[0]
        return header_text(item, "CodeValue"), header_text(item, "CodeMeaning", 64)
    except (TypeError, IndexError, KeyError, AttributeError):
        return "", ""


def _says_lateral(text: str) -> bool:
    return bool(_LATERAL_WORD.search(text)) and not _NO_LATERAL.search(text)
