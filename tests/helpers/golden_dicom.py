"""DICOM films of every kind, with the greys that the standard's formulas give them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from helpers.jpeg_streams import extended, lossless
from helpers.small_project import dicom_film

SHAPE = (32, 40)


@dataclass
class Film:
    """What a header promises, and the greys that follow from it by the formulas."""

    bits: int = 12
    allocated: int = 16
    signed: bool = False
    photometric: str = "MONOCHROME2"
    rescale: tuple[float, float] | None = None
    modality_table: tuple[int, list[int]] | None = None
    voi_table: tuple[int, list[int], int] | None = None
    window: tuple[float, float, str] | None = None
    padding: tuple[int, int | None] | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def stored(self) -> np.ndarray:
        low = -(2 ** (self.bits - 1)) if self.signed else 0
        ramp = np.linspace(low, low + 2**self.bits - 1, SHAPE[0] * SHAPE[1])
        kind = f"{'int' if self.signed else 'uint'}{self.allocated}"
        return np.rint(ramp).astype(kind).reshape(SHAPE)

    def dataset(self) -> Dataset:
        film = dicom_film(self.stored(), BitsStored=self.bits, **self.more)
        film.PhotometricInterpretation = self.photometric
        if self.rescale:
            film.RescaleSlope, film.RescaleIntercept = self.rescale
        if self.modality_table:
            first, entries = self.modality_table
            item = lut(first, entries, 16, signed=self.signed)
            item.ModalityLUTType = "US"
            film.ModalityLUTSequence = Sequence([item])
        if self.voi_table:
            first, entries, depth = self.voi_table
            signed = self.lowest() < 0
            film.VOILUTSequence = Sequence([lut(first, entries, depth, signed=signed)])
        if self.window:
            film.WindowCenter, film.WindowWidth = self.window[:2]
            film.VOILUTFunction = self.window[2]
        if self.padding:
            vr = "SS" if self.signed else "US"
            film.add_new("PixelPaddingValue", vr, self.padding[0])
            if self.padding[1] is not None:
                film.add_new("PixelPaddingRangeLimit", vr, self.padding[1])
        return film

    def lowest(self) -> float:
        if self.modality_table:
            return 0
        low = -(2 ** (self.bits - 1)) if self.signed else 0
        slope, intercept = self.rescale or (1, 0)
        return low * slope + intercept

    def greys(self) -> np.ndarray:
        stored = self.stored()
        values = {int(v): self.grey_of(int(v)) for v in np.unique(stored)}
        grey = np.array([values[int(v)] for v in stored.ravel()]).reshape(SHAPE)
        if self.padding:
            first, last = self.padding
            last = first if last is None else last
            grey[(stored >= min(first, last)) & (stored <= max(first, last))] = 0
        return grey

    def grey_of(self, value: int) -> float:
        shown = self.shown(self.modality(value))
        inverse = "INVERSE" in (self.more.get("PresentationLUTShape"),)
        return 1 - shown if self.photometric == "MONOCHROME1" or inverse else shown

    def modality(self, value: int) -> float:
        if self.modality_table:
            first, entries = self.modality_table
            return entries[min(max(value - first, 0), len(entries) - 1)]
        slope, intercept = self.rescale or (1, 0)
        return slope * value + intercept

    def shown(self, x: float) -> float:
        if self.voi_table:
            first, entries, depth = self.voi_table
            place = min(max(round(x) - first, 0), len(entries) - 1)
            return entries[place] / (2**depth - 1)
        assert self.window
        c, w, function = self.window
        if function == "SIGMOID":  # C.11.2.1.3.1
            return 1 / (1 + np.exp(-4 * (x - c) / w))
        if function == "LINEAR_EXACT":  # C.11.2.1.3.2
            if x <= c - w / 2:
                return 0
            return 1 if x > c + w / 2 else (x - c) / w + 0.5
        if x <= c - 0.5 - (w - 1) / 2:  # C.11.2.1.2.1
            return 0
        if x > c - 0.5 + (w - 1) / 2:
            return 1
        return (x - (c - 0.5)) / (w - 1) + 0.5


def lut(first: int, entries: list[int], depth: int, *, signed: bool) -> Dataset:
    item = Dataset()
    descriptor = [len(entries), first, depth]
    item.add_new("LUTDescriptor", "SS" if signed else "US", descriptor)
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    return item


DEPTHS = [(8, 8, False), (8, 8, True), (10, 16, False), (12, 16, False)]
DEPTHS += [(12, 16, True), (14, 16, False), (16, 16, False), (16, 16, True)]


NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def save_as(dataset: Dataset, path: Path, syntax: pydicom.uid.UID) -> Path:
    """Write in another native encoding; words of bytes are turned by hand."""
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        if dataset.BitsAllocated == 16:
            dataset.PixelData = turned(dataset.PixelData)
        for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
            for item in dataset.get(keyword, []):
                item.LUTData = turned(item.LUTData)
    pydicom.dcmwrite(
        path,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


def turned(arguments: bytes) -> bytes:
    return np.frombuffer(arguments, "<u2").astype(">u2").tobytes()


Encode = Callable[[Film, Dataset], bytes | None]


def by_pydicom(syntax: pydicom.uid.UID, **options: Any) -> Encode:
    def encode(film: Film, dataset: Dataset) -> None:
        dataset.compress(syntax, generate_instance_uid=False, **options)

    return encode


def baseline(film: Film, dataset: Dataset) -> bytes:
    out = io.BytesIO()
    Image.fromarray(film.stored()).save(out, "JPEG", quality=100)
    return out.getvalue()


def lossless_by(predictor: int) -> Encode:
    return lambda film, dataset: lossless(film.stored(), film.bits, predictor)


PACKED: dict[str, tuple[pydicom.uid.UID, Encode, list[tuple[int, int, bool]], int]] = {
    "rle": (RLELossless, by_pydicom(RLELossless), DEPTHS, 0),
    "jpeg-ls": (JPEGLSLossless, by_pydicom(JPEGLSLossless), DEPTHS, 0),
    "jpeg-ls-near": (
        JPEGLSNearLossless,
        by_pydicom(JPEGLSNearLossless, jls_error=2),
        [each for each in DEPTHS if not each[2]],
        2,
    ),
    "jpeg-2000": (JPEG2000Lossless, by_pydicom(JPEG2000Lossless), DEPTHS, 0),
    "jpeg-baseline": (JPEGBaseline8Bit, baseline, [(8, 8, False)], 2),
    "jpeg-extended": (
        JPEGExtended12Bit,
        lambda film, dataset: extended(film.stored()),
        [(12, 16, False)],
        3,
    ),
    "jpeg-lossless-sv1": (
        JPEGLosslessSV1,
        lossless_by(1),
        [each for each in DEPTHS if not each[2]],
        0,
    ),
    "jpeg-lossless-2": (JPEGLossless, lossless_by(2), [(12, 16, False)], 0),
    "jpeg-lossless-7": (
        JPEGLossless,
        lossless_by(7),
        [(8, 8, False), (16, 16, False)],
        0,
    ),
}


def packed(film: Film, kind: str) -> Dataset:
    """Compress a film in one of the ways of `PACKED`."""
    syntax, encode, _, _ = PACKED[kind]
    dataset = film.dataset()
    stream = encode(film, dataset)
    if stream is not None:
        enclose(dataset, [stream], syntax)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    return dataset


def enclose(dataset: Dataset, streams: list[bytes], syntax: pydicom.uid.UID) -> None:
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
