"""Golden films: greys worked out from the standard's formulas, without pydicom.

PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.6.3.1 (pixels), C.7.5.1.1.2 (padding).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLosslessSV1

from helpers.golden_dicom import (
    DEPTHS,
    NATIVE,
    PACKED,
    Film,
    enclose,
    packed,
    save_as,
)
from helpers.jpeg_streams import lossless
from helpers.small_project import dicom_film, save_dicom
from napari_wsseg.io import dicom
from napari_wsseg.jobs import DataError


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


@pytest.mark.parametrize(
    ("kind", "depth"),
    [(kind, depth) for kind, packing in PACKED.items() for depth in packing[2]],
)
def test_every_compression_shows_the_same(
    tmp_path: Path, kind: str, depth: tuple[int, int, bool]
) -> None:
    error = PACKED[kind][3]
    low = -(2 ** (depth[0] - 1)) if depth[2] else 0
    width = 2 ** depth[0]
    film = Film(*depth, window=(low + width / 2, width, "LINEAR_EXACT"))
    dataset = packed(film, kind)
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
    enclose(dataset, [stream, stream], JPEGLosslessSV1)
    with pytest.raises(DataError, match="2 frames of pixels"):
        dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))


def test_more_bits_in_the_stream_than_the_header_allots_are_refused(
    tmp_path: Path,
) -> None:
    film = Film(bits=8, allocated=8)
    dataset = film.dataset()
    enclose(dataset, [lossless(Film().stored(), 12)], JPEGLosslessSV1)
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
    ("value", "message", "lateral"),
    [
        ("399173006", "left lateral", True),
        ("R-10232", "right lateral", True),
        ("399348003", "antero-posterior", False),
        ("260427002", "lateral oblique", False),
    ],
)
def test_the_views_code_is_understood(
    tmp_path: Path, value: str, message: str, lateral: bool
) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
        value,
        "SCT",
        message,
    )
    more = {"ViewCodeSequence": Sequence([code])}
    dataset = Film(window=(2048, 4096, "LINEAR"), more=more).dataset()
    read = dicom.read(save_dicom(dataset, tmp_path / "film.dcm"))
    assert (read.view, read.lateral) == (message, lateral)


@pytest.mark.parametrize(
    ("orientation", "arguments"),
    [
        (["L", "F"], None),
        (["R", "F"], "mirrored"),
        (["F", "R"], "turned"),
        (["A", "F"], None),
        (["?", "F"], None),
    ],
)
def test_a_film_that_is_stored_turned_is_remarked_not_turned(
    tmp_path: Path, orientation: list[str], arguments: str | None
) -> None:
    film = Film(window=(2048, 4096, "LINEAR"))
    film.more = {"PatientOrientation": orientation}
    read = dicom.read_noting(save_dicom(film.dataset(), tmp_path / "film.dcm"))
    np.testing.assert_allclose(read.radiograph.pixels, film.greys(), atol=2e-5)
    assert bool(arguments) == bool(read.remarks)
    assert all(str(arguments) in remark for remark in read.remarks)
