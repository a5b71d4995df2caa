"""Golden films: greys worked out from the standard's formulas, without pydicom.

PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.6.3.1 (pixels), C.7.5.1.1.2 (padding).
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from disk_makers import dicom_film, save_dicom
from jpeg_makers import extended, lossless
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

from napari_wsseg.io import dicom
from napari_wsseg.jobs import DataError

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


def ways() -> list[Film]:
    """Every modality × VOI × depth × sign × photometric interpretation."""
    films = []
    for (bits, allocated, signed), modality, voi, photometric in itertools.product(
        DEPTHS,
        ["none", "rescale", "table"],
        ["LINEAR", "LINEAR_EXACT", "SIGMOID", "table"],
        ["MONOCHROME1", "MONOCHROME2"],
    ):
        low = -(2 ** (bits - 1)) if signed else 0
        high = low + 2**bits - 1
        film = Film(bits, allocated, signed, photometric)
        if modality == "rescale":
            film.rescale = (0.5, -100)
            low, high = round(0.5 * low - 100), round(0.5 * high - 100)
        if modality == "table":
            entries = min(2**bits, 30_000)
            curve = np.linspace(0, 1, entries) ** 2 * 65535
            film.modality_table = (low, np.rint(curve).astype(int).tolist())
            low, high = 0, 65535
        if voi == "table":
            entries = min(high - low + 1, 30_000)
            curve = np.sqrt(np.linspace(0, 1, entries)) * 4095
            film.voi_table = (low, np.rint(curve).astype(int).tolist(), 12)
        else:
            middle, width = round(low + 0.4 * (high - low)), round(0.5 * (high - low))
            film.window = (middle, width, voi)
        films.append(film)
    return films


def name_of(film: Film) -> str:
    modality = "rescale" if film.rescale else "table" if film.modality_table else "none"
    voi = film.window[2] if film.window else "table"
    kind = f"{'s' if film.signed else 'u'}{film.bits}in{film.allocated}"
    return f"{film.photometric}-{modality}-{voi}-{kind}"


@pytest.mark.parametrize("film", ways(), ids=name_of)
def test_greys_are_those_of_the_formulas(tmp_path: Path, film: Film) -> None:
    read = dicom.read(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)
    assert read.bits == max(8, film.bits)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_presentation_shape_and_photometric_invert_once(
    tmp_path: Path, photometric: str, shape: str | None
) -> None:
    film = Film(photometric=photometric, window=(1000, 500, "LINEAR"))
    film.more = {"PresentationLUTShape": shape} if shape else {}
    read = dicom.read(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("signed", "padding"),
    [
        (False, (4095, None)),
        (False, (0, 200)),
        (False, (4095, 3900)),
        (True, (-2048, None)),
        (True, (-2048, -1900)),
    ],
)
def test_padding_and_its_range_are_black(
    tmp_path: Path, photometric: str, signed: bool, padding: tuple[int, int | None]
) -> None:
    window = (0 if signed else 2048, 3000, "LINEAR")
    film = Film(signed=signed, photometric=photometric, window=window, padding=padding)
    read = dicom.read(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


def test_padding_written_with_the_other_sign_is_still_found(tmp_path: Path) -> None:
    film = Film(signed=True, window=(0, 3000, "LINEAR"), padding=(-2048, None))
    dataset = film.dataset()
    dataset.add_new("PixelPaddingValue", "US", 2**16 - 2048)
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


def test_a_voi_table_from_below_zero_is_found_though_no_pixel_is_there(
    tmp_path: Path,
) -> None:
    film = Film(rescale=(1, -1000), voi_table=(-1000, list(range(4096)), 12))
    dataset = film.dataset()
    pixels = np.maximum(film.stored(), 2000)
    dataset.PixelData = pixels.tobytes()
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, pixels / 4095, atol=2e-5)


def test_a_table_of_bytes_two_in_a_word(tmp_path: Path) -> None:
    film = Film(bits=8, allocated=8, voi_table=(0, list(range(256))[::-1], 8))
    dataset = film.dataset()
    packed = np.arange(255, -1, -1, dtype=np.uint8).tobytes()
    dataset.VOILUTSequence[0].LUTData = packed
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


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


def turned(words: bytes) -> bytes:
    return np.frombuffer(words, "<u2").astype(">u2").tobytes()


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda s: s.name)
@pytest.mark.parametrize(("bits", "allocated", "signed"), DEPTHS)
@pytest.mark.parametrize("tables", [False, True])
def test_every_native_encoding_shows_the_same(
    tmp_path: Path,
    syntax: pydicom.uid.UID,
    bits: int,
    allocated: int,
    signed: bool,
    tables: bool,
) -> None:
    film = Film(bits, allocated, signed, "MONOCHROME1", window=(60, 90, "LINEAR"))
    if tables:
        low = -(2 ** (bits - 1)) if signed else 0
        film.modality_table = (low, list(range(0, 510, 2)))
        film.voi_table = (0, list(range(0, 4090, 7)), 12)
    path = save_as(film.dataset(), tmp_path / "film.dcm", syntax)
    np.testing.assert_allclose(dicom.read(path).pixels, film.greys(), atol=2e-5)


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


@pytest.mark.parametrize(
    ("kind", "depth"),
    [(kind, depth) for kind, told in PACKED.items() for depth in told[2]],
)
def test_every_compression_shows_the_same(
    tmp_path: Path, kind: str, depth: tuple[int, int, bool]
) -> None:
    syntax, encode, _, error = PACKED[kind]
    low = -(2 ** (depth[0] - 1)) if depth[2] else 0
    width = 2 ** depth[0]
    film = Film(*depth, window=(low + width / 2, width, "LINEAR_EXACT"))
    dataset = film.dataset()
    stream = encode(film, dataset)
    if stream is not None:
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    assert dataset.file_meta.TransferSyntaxUID == syntax
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(
        read.pixels, film.greys(), atol=(error + 0.01) / width + 2e-5
    )


@pytest.mark.parametrize("modality", ["CR", "DX", "RF", "OT"])
@pytest.mark.parametrize("saved", [False, True])
def test_every_kind_of_film_is_read_without_a_remark(
    tmp_path: Path, modality: str, saved: bool
) -> None:
    film = Film(window=(2000, 2000, "LINEAR"), more={"Modality": modality})
    dataset = film.dataset()
    if saved:
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    read = dicom.read_noting(save_dicom(dataset, tmp_path / "film.dcm"))
    assert read.remarks == ()


def test_a_slice_is_read_with_a_remark(tmp_path: Path) -> None:
    film = Film(window=(2000, 2000, "LINEAR"), more={"Modality": "CT"})
    read = dicom.read_noting(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    assert read.remarks == ("modality CT is no radiograph's",)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("coloured", [False, True])
def test_a_saved_screen_is_read_by_its_luminance(
    tmp_path: Path, photometric: str, coloured: bool
) -> None:
    grey = Film(bits=8, allocated=8).stored()
    colours = np.stack([grey] * 3, axis=-1)
    if coloured:
        colours[:4, :4] = (255, 0, 0)
    pixels = colours
    if photometric == "YBR_FULL":
        pixels = np.asarray(Image.fromarray(colours).convert("YCbCr"))
    dataset = dicom_film(grey)
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = photometric
    dataset.PixelData = pixels.tobytes()
    read = dicom.read_noting(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.radiograph.pixels[5:], grey[5:] / 255, atol=5e-3)
    assert (read.radiograph.colour is not None) is coloured
    assert ("colour was turned into luminance" in read.remarks) is coloured


def test_values_in_the_upper_bits_are_taken_down(tmp_path: Path) -> None:
    film = Film(window=(2048, 4096, "LINEAR_EXACT"))
    dataset = film.dataset()
    dataset.HighBit = 15
    dataset.PixelData = (film.stored() << 4).tobytes()
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


def test_values_in_bits_that_the_header_calls_unused_are_refused(
    tmp_path: Path,
) -> None:
    dataset = Film(window=(2048, 4096, "LINEAR")).dataset()
    dataset.HighBit = 15
    with pytest.raises(DataError, match="lowest 4 are unused"):
        dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))


@pytest.mark.parametrize(
    ("slope", "intercept"), [("nan", "0"), ("1", "inf"), ("1e300", "0"), ("0", "0")]
)
def test_a_rescale_that_no_number_holds_is_none(
    tmp_path: Path, slope: str, intercept: str
) -> None:
    film = Film(window=(2048, 3000, "LINEAR"))
    dataset = film.dataset()
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.pixels, film.greys(), atol=2e-5)


def test_a_second_frame_in_the_offset_table_is_refused(tmp_path: Path) -> None:
    film = Film(bits=8, allocated=8)
    dataset = film.dataset()
    stream = lossless(film.stored(), 8)
    dataset.PixelData = encapsulate([stream, stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(DataError, match="2 frames of pixels"):
        dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))


def test_more_bits_in_the_stream_than_the_header_allots_are_refused(
    tmp_path: Path,
) -> None:
    film = Film(bits=8, allocated=8)
    dataset = film.dataset()
    dataset.PixelData = encapsulate([lossless(Film().stored(), 12)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(DataError, match="12 bits a pixel"):
        dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))


@pytest.mark.parametrize(
    ("elements", "lateral"),
    [
        ({"ViewPosition": "PA"}, False),
        ({"ViewPosition": "AP", "PatientOrientation": ["A", "F"]}, False),
        ({"ViewPosition": "LL"}, True),
        ({"ViewPosition": "RL"}, True),
        ({"ViewPosition": "LLD"}, False),
        ({"PatientOrientation": ["L", "F"]}, False),
        ({"PatientOrientation": ["P", "F"]}, True),
        ({"SeriesDescription": "Chest LAT"}, True),
        ({"SeriesDescription": "Chest PA and lateral"}, False),
        ({"SeriesDescription": "lateral decubitus"}, False),
        ({}, False),
    ],
)
def test_laterals_are_told_apart(
    tmp_path: Path, elements: dict[str, Any], lateral: bool
) -> None:
    dataset = Film(window=(2048, 4096, "LINEAR"), more=elements).dataset()
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    assert read.lateral is lateral


@pytest.mark.parametrize(
    ("value", "words", "lateral"),
    [
        ("399173006", "left lateral", True),
        ("R-10232", "right lateral", True),
        ("399348003", "antero-posterior", False),
        ("260427002", "lateral oblique", False),
    ],
)
def test_the_views_code_is_understood(
    tmp_path: Path, value: str, words: str, lateral: bool
) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", words
    more = {"ViewCodeSequence": Sequence([code])}
    dataset = Film(window=(2048, 4096, "LINEAR"), more=more).dataset()
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    assert (read.view, read.lateral) == (words, lateral)


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (["L", "F"], None),
        (["R", "F"], "mirrored"),
        (["F", "R"], "turned"),
        (["A", "F"], None),
        (["?", "F"], None),
    ],
)
def test_a_film_that_is_stored_turned_is_remarked_not_turned(
    tmp_path: Path, orientation: list[str], words: str | None
) -> None:
    film = Film(window=(2048, 4096, "LINEAR"))
    film.more = {"PatientOrientation": orientation}
    read = dicom.read_noting(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.radiograph.pixels, film.greys(), atol=2e-5)
    assert bool(words) == bool(read.remarks)
    assert all(str(words) in remark for remark in read.remarks)
