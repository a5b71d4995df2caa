"""DICOM files as scanners and converters in use write them, valid or nearly so."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.tag import Tag
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from helpers.small_project import dicom_film, grey
from napari_wsseg.io import images
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Radiograph

SHAPE = (64, 48)

pytestmark = pytest.mark.filterwarnings("ignore")


def shown(path: Path) -> Radiograph:
    return images.read_noting(path).radiograph


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def with_text(path: Path, **texts: str) -> Radiograph:
    """Read a film whose decimal strings are written as they are given."""
    values = (grey(1, SHAPE).astype(np.uint16) * 16).astype(np.uint16)
    dataset = dicom_film(values, BitsStored=12)
    for keyword, text in texts.items():
        data = text.encode()
        data += b" " * (len(data) % 2)
        tag = Tag(keyword)
        dataset._dict[tag] = RawDataElement(tag, "DS", len(data), data, 0, False, True)
    return shown(save(dataset, path))


def test_decimal_commas_are_decimal_points(tmp_path: Path) -> None:
    point, comma = (
        with_text(
            tmp_path / f"{ord(sign)}.dcm",
            RescaleSlope=f"0{sign}5",
            RescaleIntercept=f"-1024{sign}0",
            WindowCenter=f"0{sign}5\\40",
            WindowWidth=f"1000{sign}25\\400",
            ImagerPixelSpacing=f"0{sign}143\\0{sign}2",
        )
        for sign in ".,"
    )
    assert np.array_equal(point.pixels, comma.pixels)
    assert 0 < np.ptp(point.pixels)
    assert comma.spacing_mm == pytest.approx((0.143, 0.2))


def jpeg(values: np.ndarray, kind: str) -> bytes:
    file = BytesIO()
    options = {"quality": 95} if kind == "JPEG" else {}
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def packed(kind: str, syntax: str, data: bytes) -> Dataset:
    dataset = dicom_film(grey(3, SHAPE))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = data
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize(
    ("kind", "syntax"), [("JPEG", JPEGBaseline8Bit), ("JPEG2000", JPEG2000Lossless)]
)
@pytest.mark.parametrize("fragments", [1, 2, 7])
@pytest.mark.parametrize("offsets", [True, False])
def test_a_stream_in_several_fragments_is_one_film(
    kind: str, syntax: str, fragments: int, offsets: bool, tmp_path: Path
) -> None:
    stream = jpeg(grey(3, SHAPE), kind)
    one_fragment = shown(
        save(packed(kind, syntax, encapsulate([stream])), tmp_path / "a.dcm")
    )
    data = encapsulate([stream], fragments_per_frame=fragments, has_bot=offsets)
    parted = shown(save(packed(kind, syntax, data), tmp_path / "b.dcm"))
    assert np.array_equal(one_fragment.pixels, parted.pixels)
    assert one_fragment.uid == parted.uid


def test_an_extended_offset_table_is_read(tmp_path: Path) -> None:
    stream = jpeg(grey(3, SHAPE), "JPEG")
    plain = save(
        packed("JPEG", JPEGBaseline8Bit, encapsulate([stream])), tmp_path / "a.dcm"
    )
    data, offsets, lengths = encapsulate_extended([stream])
    dataset = packed("JPEG", JPEGBaseline8Bit, data)
    dataset.NumberOfFrames = 1
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
    found = shown(save(dataset, tmp_path / "b.dcm"))
    assert np.array_equal(found.pixels, shown(plain).pixels)


def test_two_frames_are_not_two_fragments(tmp_path: Path) -> None:
    stream = jpeg(grey(3, SHAPE), "JPEG")
    dataset = packed("JPEG", JPEGBaseline8Bit, encapsulate([stream, stream]))
    dataset.NumberOfFrames = 2
    path = save(dataset, tmp_path / "a.dcm")
    with pytest.raises(DataError, match="frames"):
        images.read_noting(path)


@pytest.mark.parametrize("tail", [b"\xff", b" ", b"\0" * 3, bytes(range(1, 66))])
def test_what_fills_the_last_block_is_no_pixel(tail: bytes, tmp_path: Path) -> None:
    values = grey(2, (63, 47))
    plain = dicom_film(values)
    plain.PixelData = values.tobytes() + b"\0"
    expected = shown(save(plain, tmp_path / "a.dcm"))
    odd = dicom_film(values)
    odd.PixelData = values.tobytes() + tail
    assert np.array_equal(shown(save(odd, tmp_path / "b.dcm")).pixels, expected.pixels)


@pytest.mark.parametrize("frames", [None, 0, 1, "1 "])
def test_no_frames_or_one_is_a_film(frames: object, tmp_path: Path) -> None:
    dataset = dicom_film(grey(2, SHAPE))
    if frames is not None:
        dataset.NumberOfFrames = frames
    assert shown(save(dataset, tmp_path / "a.dcm")).pixels.shape == SHAPE


def test_run_lengths_in_one_fragment_are_a_film(tmp_path: Path) -> None:
    dataset = dicom_film(grey(2, SHAPE))
    expected = shown(save(dataset, tmp_path / "a.dcm"))
    dataset.compress(RLELossless)
    found = shown(save(dataset, tmp_path / "b.dcm"))
    assert np.array_equal(found.pixels, expected.pixels)
    assert (
        pydicom.dcmread(tmp_path / "b.dcm").file_meta.TransferSyntaxUID == RLELossless
    )


@pytest.mark.parametrize("modality", ["CT", "DOE^JANE", "PAT 123", "ZZ"])
def test_a_modality_is_repeated_if_it_is_one_of_the_standard(
    modality: str, tmp_path: Path
) -> None:
    dataset = dicom_film(grey(2, SHAPE))
    pydicom.config.settings.writing_validation_mode = 0
    dataset.add_new("Modality", "LO", modality)
    remarks = images.read_noting(save(dataset, tmp_path / "a.dcm")).remarks
    (remark_line,) = [remark for remark in remarks if "radiograph's" in remark]
    assert (modality in remark_line) == (modality == "CT")
