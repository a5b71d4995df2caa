"""DICOM films against an independent way through the same file."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from helpers.small_project import dicom_film, save_dicom
from napari_wsseg.io import dicom
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

SHAPE = (64, 96)
TAGS = [
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelData"),
    *("PixelRepresentation", "PhotometricInterpretation", "SamplesPerPixel"),
    *("WindowCenter", "WindowWidth", "Modality", "SOPClassUID", "ViewPosition"),
    *("PixelSpacing", "PatientOrientation", "SOPInstanceUID"),
]


def stored(bits: int, signed: bool) -> np.ndarray:
    low = -(2 ** (bits - 1)) if signed else 0
    width = "int" if signed else "uint"
    dtype = np.dtype(f"{width}{8 if bits == 8 else 16}")
    ramp = np.linspace(low, low + 2**bits - 1, SHAPE[0] * SHAPE[1])
    return ramp.round().astype(dtype).reshape(SHAPE)


def table(first: int, values: np.ndarray, bits: int, *, signed: bool) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(values), first, bits])
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


def expected(path: Path) -> np.ndarray:
    """The greys by pydicom's own functions, scaled to [0, 1] and inverted last."""
    dataset = pydicom.dcmread(path)
    # In 32 bits, because pydicom's tables overflow on 8 signed ones.
    values = apply_modality_lut(dataset.pixel_array.astype(np.int32), dataset)
    if "VOILUTSequence" in dataset:
        shown = apply_voi_lut(values, dataset)
        bits = dataset.VOILUTSequence[0].LUTDescriptor[2]
        grey = shown / (2**bits - 1)
    elif "WindowCenter" in dataset:
        shown = apply_voi_lut(np.asarray(values, np.float64), dataset)
        # pydicom spreads the window over the range that the stored bits can reach.
        lowest = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        highest = lowest + 2**dataset.BitsStored - 1
        slope = dataset.get("RescaleSlope", 1)
        shift = dataset.get("RescaleIntercept", 0)
        if "ModalityLUTSequence" in dataset:
            lowest, slope, shift = 0, 1, 0
            highest = 2 ** dataset.ModalityLUTSequence[0].LUTDescriptor[2] - 1
        low, high = lowest * slope + shift, highest * slope + shift
        grey = (shown - low) / (high - low)
    else:
        low, high = np.percentile(values, (0.5, 99.5))
        grey = np.clip((values - low) / (high - low), 0, 1)
    inverse = (
        dataset.PhotometricInterpretation == "MONOCHROME1"
        or dataset.get("PresentationLUTShape") == "INVERSE"
    )
    return 1 - grey if inverse else grey


def modality(kind: str, pixels: np.ndarray) -> dict[str, Any]:
    if kind == "none":
        return {}
    if kind == "rescale":
        slope = 2 if pixels.max() < 5000 else 1  # VOI tables reach 16 bits far
        return {"RescaleSlope": slope, "RescaleIntercept": -100, "RescaleType": "US"}
    first = int(pixels.min())
    curve = np.linspace(0, 1, int(pixels.max()) - first + 1) ** 2 * 65535
    item = table(first, curve, 16, signed=pixels.dtype.kind == "i")
    return {"ModalityLUTSequence": Sequence([item])}


def voi(kind: str, low: float, high: float) -> dict[str, Any]:
    if kind == "percentile":
        return {}
    if kind == "table":
        first = max(int(low), -32768)
        entries = min(int(high) - first + 1, 32767 if low < 0 else 65535)
        curve = np.sqrt(np.linspace(0, 1, entries)) * 4095
        item = table(first, curve, 12, signed=low < 0)
        del item.ModalityLUTType
        return {"VOILUTSequence": Sequence([item])}
    middle, width = round(low + 0.4 * (high - low)), round(0.5 * (high - low))
    return {"WindowCenter": middle, "WindowWidth": width, "VOILUTFunction": kind}


KINDS = [
    kind
    for kind in itertools.product(
        ["MONOCHROME1", "MONOCHROME2"],
        ["none", "rescale", "table"],
        ["LINEAR", "LINEAR_EXACT", "SIGMOID", "table", "percentile"],
        [8, 12, 16],
        [False, True],
    )
    # A descriptor of signed values cannot count 65535 entries.
    if kind[1] != "table" or kind[3:] != (16, True)
]


@pytest.mark.parametrize(("photometric", "mod", "look", "bits", "signed"), KINDS)
def test_every_way_to_a_grey_is_the_standards(
    tmp_path: Path, photometric: str, mod: str, look: str, bits: int, signed: bool
) -> None:
    pixels = stored(bits, signed)
    before = modality(mod, pixels)
    if mod == "table" and bits == 16:
        pixels = np.minimum(pixels, 65534)
        before = modality(mod, pixels)
    low, high = float(pixels.min()), float(pixels.max())
    if mod == "rescale":
        slope = before["RescaleSlope"]
        low, high = slope * low - 100, slope * high - 100
    if mod == "table":
        low, high = 0, 65535
    film = dicom_film(
        pixels,
        BitsStored=bits,
        PhotometricInterpretation=photometric,
        **before,
        **voi(look, low, high),
    )
    path = save_dicom(film, tmp_path / "film.dcm")
    radiograph = dicom.read(path)
    assert radiograph.pixels.dtype == np.float32
    assert 0 <= radiograph.pixels.min()
    assert radiograph.pixels.max() <= 1
    assert radiograph.bits == bits
    np.testing.assert_allclose(radiograph.pixels, expected(path), atol=2e-4)


def test_a_table_with_65536_entries_says_zero(tmp_path: Path) -> None:
    pixels = stored(16, False)
    item = table(0, np.zeros(1), 16, signed=False)
    item.LUTDescriptor = [0, 0, 16]
    item.LUTData = np.arange(65535, -1, -1).astype("<u2").tobytes()
    film = dicom_film(pixels, ModalityLUTSequence=Sequence([item]))
    film.WindowCenter, film.WindowWidth = 32768, 65536
    path = save_dicom(film, tmp_path / "film.dcm")
    ours = dicom.read(path).pixels
    np.testing.assert_allclose(ours, 1 - pixels / 65535, atol=1e-4)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
    ],
)
def test_what_says_inverse_twice_inverts_once(
    tmp_path: Path, photometric: str, shape: str | None, inverted: bool
) -> None:
    film = dicom_film(stored(12, False), BitsStored=12)
    film.PhotometricInterpretation = photometric
    if shape:
        film.PresentationLUTShape = shape
    pixels = dicom.read(save_dicom(film, tmp_path / "a.dcm")).pixels
    assert (pixels[0, 0] > pixels[-1, -1]) is np.bool_(inverted)


def test_inversion_comes_after_the_window(tmp_path: Path) -> None:
    film = dicom_film(stored(12, False), BitsStored=12, WindowCenter=500)
    film.WindowWidth = 200
    plain = dicom.read(save_dicom(film, tmp_path / "a.dcm")).pixels
    film.PhotometricInterpretation = "MONOCHROME1"
    inverted = dicom.read(save_dicom(film, tmp_path / "b.dcm")).pixels
    np.testing.assert_allclose(inverted, 1 - plain, atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_does_not_count(tmp_path: Path, photometric: str) -> None:
    pixels = np.random.default_rng(0).integers(1000, 2000, SHAPE).astype(np.uint16)
    pixels[:, :8] = 4095
    film = dicom_film(pixels, BitsStored=12, PixelPaddingValue=4095)
    film.PhotometricInterpretation = photometric
    grey = dicom.read(save_dicom(film, tmp_path / "a.dcm")).pixels
    assert not grey[:, :8].any()
    assert grey[:, 8:].std() > 0.2


def test_a_window_beside_all_values_is_not_believed(tmp_path: Path) -> None:
    film = dicom_film(stored(12, False), BitsStored=12, WindowCenter=60000)
    film.WindowWidth = 10
    assert dicom.read(save_dicom(film, tmp_path / "a.dcm")).pixels.std() > 0.2


def test_the_first_of_several_windows_is_taken(tmp_path: Path) -> None:
    film = dicom_film(stored(12, False), BitsStored=12)
    film.WindowCenter, film.WindowWidth = [2048, 100], [4096, 10]
    many = dicom.read(save_dicom(film, tmp_path / "a.dcm")).pixels
    film.WindowCenter, film.WindowWidth = 2048, 4096
    one = dicom.read(save_dicom(film, tmp_path / "b.dcm")).pixels
    np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize(
    ("elements", "spacing", "kind"),
    [
        ({}, None, None),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "pixel"),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector"),
        (
            {"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]},
            (0.2, 0.1),
            "detector",
        ),
        (
            {"PixelSpacing": [0.18, 0.09], "ImagerPixelSpacing": [0.2, 0.1]},
            (0.18, 0.09),
            "pixel",
        ),
        ({"PixelSpacing": [0, 0]}, None, None),
    ],
)
def test_spacing_says_what_it_was_measured_on(
    tmp_path: Path,
    elements: dict[str, list[float]],
    spacing: tuple[float, float] | None,
    kind: str | None,
) -> None:
    film = dicom_film(stored(8, False), ViewPosition="PA", **elements)
    radiograph = dicom.read(save_dicom(film, tmp_path / "a.dcm"))
    assert (radiograph.spacing_mm, radiograph.spacing_kind) == (spacing, kind)
    assert radiograph.view == "PA"


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_native_syntaxes_show_the_same_film(tmp_path: Path, syntax: str) -> None:
    film = dicom_film(stored(12, False), BitsStored=12)
    plain = dicom.read(save_dicom(film, tmp_path / "plain.dcm"))
    if syntax == ExplicitVRBigEndian:
        film.PixelData = stored(12, False).astype(">u2").tobytes()
    film.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "other.dcm"
    pydicom.dcmwrite(
        path,
        film,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    assert dicom.read(path).uid == plain.uid


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_shows_the_same_film(tmp_path: Path, syntax: str) -> None:
    film = dicom_film(stored(12, False), BitsStored=12)
    plain = dicom.read(save_dicom(film, tmp_path / "plain.dcm"))
    film.compress(syntax)
    path = save_dicom(film, tmp_path / "packed.dcm")
    assert dicom.read(path).uid == plain.uid
    assert plain.uid == dicom.read(tmp_path / "plain.dcm").uid


OFF: dict[str, tuple[dict[str, Any], str]] = {
    "frames": ({"NumberOfFrames": 7}, "7 frames"),
    "colour": ({"PhotometricInterpretation": "RGB"}, "RGB with 1 samples a pixel"),
    "no_rows": ({"Rows": 0}, "there is no image"),
    "truncated": ({"PixelData": b"\0" * 100}, "truncated"),
    "empty": ({"PixelData": b""}, "no pixel data"),
    "longer": ({"PixelData": b"\1" * 20000}, "header promises"),
    "vast": ({"Rows": 65535, "Columns": 65535}, "over the cap"),
    "bits": ({"BitsStored": 17}, "17 bits stored"),
    "deep": ({"BitsAllocated": 32}, "in 32"),
    "high_bit": ({"HighBit": 20}, "high bit 20"),
    "low_high_bit": ({"HighBit": 3}, "high bit 3"),
    "wide": ({"BitsStored": 10}, "promises 10 bits"),
}


@pytest.mark.parametrize("flaw", OFF)
def test_a_film_that_is_off_is_refused_in_one_line(tmp_path: Path, flaw: str) -> None:
    elements, message = OFF[flaw]
    film = dicom_film(stored(16, False), **elements)
    path = save_dicom(film, tmp_path / "film.dcm")
    with pytest.raises(DataError, match=message) as refusal:
        dicom.read(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_what_a_reason_quotes_of_a_file_is_one_short_line(tmp_path: Path) -> None:
    film = dicom_film(stored(8, False))
    del film.PixelData
    film.Modality = "X\n\x1b[2J" + 300 * "Y"
    path = save_dicom(film, tmp_path / "film.dcm")
    with pytest.raises(DataError, match="no pixel data") as refusal:
        dicom.read(path)
    reason = str(refusal.value).removeprefix(str(path))
    assert reason.isprintable()
    assert len(reason) < 80


def test_a_stream_larger_than_its_header_is_refused_unopened(tmp_path: Path) -> None:
    film = dicom_film(stored(12, False), BitsStored=12)
    film.compress(JPEG2000Lossless)
    data = bytearray(film.PixelData)
    size = data.index(b"\xff\x4f\xff\x51") + 8
    data[size : size + 4] = (60_000).to_bytes(4, "big")
    film.PixelData = bytes(data)
    path = save_dicom(film, tmp_path / "film.dcm")
    with pytest.raises(DataError, match="60000"):
        dicom.read(path)


def test_a_deflated_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_limits, "MAX_FILE_BYTES", 2**20)
    film = dicom_film(stored(8, False))
    film.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    film.add_new(0x00091010, "OB", bytes(8 * 2**20))
    path = save_dicom(film, tmp_path / "film.dcm")
    assert path.stat().st_size < 2**18
    with pytest.raises(DataError, match="inflates"):
        dicom.read(path)
    assert zlib.crc32(path.read_bytes())


def test_a_transfer_syntax_nobody_reads_is_named(tmp_path: Path) -> None:
    film = dicom_film(stored(8, False))
    film.compress(RLELossless)
    film.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    path = tmp_path / "film.dcm"
    pydicom.dcmwrite(path, film, implicit_vr=False, little_endian=True)
    with pytest.raises(DataError, match="MPEG2"):
        dicom.read(path)


@settings(max_examples=150, deadline=2000)
@given(
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    packed=st.booleans(),
)
def test_any_damage_ends_in_a_film_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory,
    cut: float,
    flips: list[tuple[float, int]],
    packed: bool,
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "film.dcm"
    film = dicom_film(stored(12, False), BitsStored=12, WindowCenter=2000)
    film.WindowWidth = 3000
    if packed:
        film.compress(RLELossless)
    save_dicom(film, path)
    data = bytearray(path.read_bytes())
    for place, byte in flips:
        data[int(place * (len(data) - 1))] = byte
    if cut < 0.5:
        data = data[: int(2 * cut * len(data))]
    path.write_bytes(data)
    try:
        radiograph = dicom.read(path)
    except DataError:
        return
    assert np.isfinite(radiograph.pixels).all()
    assert 0 <= radiograph.pixels.min()
    assert radiograph.pixels.max() <= 1


@pytest.mark.data
def test_every_real_film_is_shown_as_pydicom_would(shared_data: Path) -> None:
    films = sorted((shared_data / "dicom_real").glob("*.dcm"))
    assert len(films) == 8
    for path in films:
        np.testing.assert_allclose(
            dicom.read(path).pixels, expected(path), atol=2e-3, err_msg=path.name
        )


MEASURE = """
import json, sys, time
from pathlib import Path
from napari_wsseg.io import film_facts as facts
for path in sys.argv[1:]:
    start = time.monotonic()
    found = facts.read_facts(Path(path))
    told = found if isinstance(found, str) else ""
    print(json.dumps([path, time.monotonic() - start, told]))
# ru_maxrss would count what the process that started this one held.
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.data
def test_every_hostile_file_is_a_film_or_a_reason_in_bounds(shared_data: Path) -> None:
    paths = sorted(map(str, (shared_data / "dicom_hostile").rglob("*.dcm")))
    arguments = [sys.executable, "-c", MEASURE, *paths]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    *lines, peak = done.stdout.splitlines()
    outcomes = [json.loads(line) for line in lines]
    assert [path for path, _, _ in outcomes] == paths
    assert max(seconds for _, seconds, _ in outcomes) < 10
    assert int(peak) < 2**30
    refusals = [arguments for _, _, arguments in outcomes if arguments]
    assert (len(paths), len(refusals)) == (108, 52)
    assert all("\n" not in arguments and len(arguments) < 300 for arguments in refusals)


@pytest.mark.data
def test_two_encodings_of_one_exposure_are_nearly_one_film(shared_data: Path) -> None:
    folder = shared_data / "dicom_real"
    one = dicom.read(folder / "cr_mono1_10bit_explicit_440.dcm")
    two = dicom.read(folder / "cr_mono1_10bit_implicit_440.dcm")
    assert np.abs(one.pixels - two.pixels).max() < 1 / 255


@settings(max_examples=60, deadline=None)
@given(gone=st.sets(st.sampled_from(TAGS), min_size=1, max_size=6))
def test_any_missing_elements_end_in_a_film_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, gone: set[str]
) -> None:
    film = dicom_film(stored(12, False), BitsStored=12, WindowCenter=2000)
    film.WindowWidth, film.ViewPosition = 3000, "PA"
    film.PixelSpacing, film.PatientOrientation = [0.1, 0.1], ["L", "F"]
    for keyword in gone:
        del film[keyword]
    path = tmp_path_factory.mktemp("gone") / "film.dcm"
    pydicom.dcmwrite(path, film)
    needed = {"Rows", "Columns", "BitsAllocated", "BitsStored", "PixelData"}
    needed |= {"PhotometricInterpretation", "PixelRepresentation"}
    if gone & needed:
        with pytest.raises(DataError) as refusal:
            dicom.read(path)
        assert "\n" not in str(refusal.value)
    else:
        assert dicom.read(path).pixels.shape == SHAPE
