"""DICOM radiographs: one frame, as a radiologist expects to see it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from napari_wsseg.io.dicom import geometry as _geometry
from napari_wsseg.io.dicom import grey as _grey
from napari_wsseg.io.dicom import guard
from napari_wsseg.io.dicom import header as _header
from napari_wsseg.io.dicom import pixels as _pixels
from napari_wsseg.io.dicom.header import Header, header_text, plain_value
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.io.films import luminance as _luminance
from napari_wsseg.io.films.read import Read, read_film
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.windowing import Values
from napari_wsseg.schema import Radiograph

# Every oddity of a file that pydicom warns of is either mended or refused here in
# words; five thousand films would bury a person in the rest.
warnings.filterwarnings("ignore", module=r"pydicom\b", append=True)
# It logs the same again, with the value, which may be a name.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PARTS = ("CHEST", "THORAX", "LUNG", "PULM", "HEART", "RIB", "TRUNK")
"""Words of body parts that chest films are said to show; others are flagged."""
_OTHER_PARTS = frozenset(("PX", "IO", "MG"))
"""Radiographs of jaws, teeth and breasts."""
_KINDS = frozenset("CR DX RF XA RG PX OT SC DR DF XC IO MG".split())
"""Modalities of projection and of saved screens."""
_OTHER_KINDS = frozenset(
    "CT MR NM US PT BI ES GM SM OP OPT OCT IVUS ECG EPS HD IVOCT LS TG SEG SR PR KO "
    "DOC REG RTIMAGE RTDOSE RTSTRUCT RTPLAN M3D STAIN TEXTUREMAP".split()
)
"""Modalities of other pictures (PS3.3 C.7.3.1.1.1)."""
_BODY_PARTS = frozenset(
    "ABDOMEN ANKLE ARM BREAST CALCANEUS CLAVICLE COCCYX CSPINE ELBOW EXTREMITY FEMUR "
    "FINGER FOOT FOREARM HAND HEAD HIP HUMERUS JAW KNEE LEG LSPINE MANDIBLE NECK "
    "PELVIS SHOULDER SKULL SPINE SSPINE STERNUM THUMB TOE TSPINE WRIST".split()
)
"""Parts of the body as the standard calls them (PS3.16 annex L)."""


def read(path: Path) -> Radiograph:
    """Read one single-frame DICOM file; see `read_noting`."""
    return read_noting(path).radiograph


def read_noting(path: Path) -> Read:
    """Read one single-frame DICOM file, with remarks on what was not as expected.

    Parameters
    ----------
    path
        May lead through a zip archive.

    Raises
    ------
    DataError
        It cannot be read, with the one reason: no pixels, several frames, truncated,
        contradicting itself, too large, a decoder that is missing.
    """
    return read_film(Path(path), read_open)


def read_open(file: BinaryIO) -> Read:
    """Read a file that is open; errors do not say which it is, see `read_film`."""
    dataset = _dataset(file)
    try:
        header = _header.check(dataset)
        stored = _pixels.stored(dataset, header)
        with np.errstate(all="ignore"):
            return _shown(dataset, header, stored)
    except DataError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise DataError(f"damaged DICOM ({_line(error)})") from error


def _shown(dataset: Dataset, header: Header, stored: Values) -> Read:
    remarks = [*_oddities(dataset)]
    colour = None
    if header.samples == 3:
        pixels, coloured = _luminance.luminance(stored)
        if coloured:
            colour, remarks = stored, [_luminance.LUMINANCE, *remarks]
    else:
        pixels, odd = _grey.to_grey(dataset, stored, header)
        remarks += odd
    spacing, kind = _geometry.spacing(dataset)
    radiograph = Radiograph(
        uid=_limits.uid_of(pixels),
        pixels=pixels,
        spacing_mm=spacing,
        spacing_kind=kind,
        bits=max(8, header.bits_stored),
        view=_geometry.view(dataset),
        lateral=_geometry.is_lateral(dataset),
        colour=colour,
    )
    return Read(radiograph, tuple(remarks))


def _oddities(dataset: Dataset) -> list[str]:
    """Say what is worth a look before somebody trains with a film."""
    odd = []
    modality = header_text(dataset, "Modality", 16).upper()
    if modality and modality not in _KINDS:
        named = _named_value("modality", modality, _OTHER_KINDS)
        odd.append(f"{named} is no radiograph's")
    if modality in _OTHER_PARTS:
        odd.append(f"modality {modality}: hardly a chest film; look before training")
    part = header_text(dataset, "BodyPartExamined", 16).upper()
    if part and not any(word in part for word in _PARTS):
        named = _named_value("body part", part, _BODY_PARTS)
        odd.append(f"{named}: hardly a chest film; look before training")
    turned = _geometry.turned(dataset)
    if turned is not None:
        odd.append(turned)
    return odd


def _named_value(what: str, value: str, known: frozenset[str]) -> str:
    """Repeat a value of the standard's list; another may be a name as well."""
    return f"{what} {value}" if value in known else f"its {what}"


def _dataset(file: BinaryIO) -> Dataset:
    try:
        guard.check(file)
        return pydicom.dcmread(file)
    except InvalidDicomError:
        return _without_preamble(file)
    except DataError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise DataError(f"damaged DICOM ({_line(error)})") from error


def _without_preamble(file: BinaryIO) -> Dataset:
    """Read a data set that starts without DICOM's mark, as some archives keep them."""
    try:
        guard.check(file)
        dataset = pydicom.dcmread(file, force=True)
        if "Rows" in dataset and "PixelData" in dataset:
            return dataset
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"not DICOM ({_line(error)})") from error
    raise DataError("not DICOM (no DICM mark, and no image without it)")


def _line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "needs more memory than there is or may be taken"
    return plain_value(str(error)) or type(error).__name__
