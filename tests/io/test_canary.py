"""Names that were planted everywhere come out nowhere."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from helpers.small_project import dicom_film, save_dicom
from helpers.spot_films import make_films
from napari_wsseg import cli
from napari_wsseg.export import formats
from napari_wsseg.io import dicom, film_names
from napari_wsseg.io.project import Project
from trainers import __main__ as main__

WORD = "canary"
TEXT = """PatientName PatientID PatientBirthName PatientMotherBirthName PatientAddress
PatientTelephoneNumbers PatientComments OtherPatientNames PatientReligiousPreference
AdditionalPatientHistory Occupation EthnicGroup MilitaryRank IssuerOfPatientID
ReferringPhysicianName PerformingPhysicianName OperatorsName PhysiciansOfRecord
RequestingPhysician NameOfPhysiciansReadingStudy InstitutionName InstitutionAddress
InstitutionalDepartmentName StationName StudyDescription SeriesDescription
ProtocolName AccessionNumber StudyID ImageComments DeviceSerialNumber RequestingService
AdmissionID CurrentPatientLocation ResponsiblePerson TextComments""".split()


def planted(film: Dataset) -> Dataset:
    """Write the word into every tag that may hold a name, private ones, an overlay."""
    for tag in TEXT:
        value = f"CANARY^{tag[:8]}" if tag.endswith(("Name", "Names")) else "CANARY"
        setattr(film, tag, value)
    assert sum(WORD in str(element.value).lower() for element in film) >= 30
    block = film.private_block(0x0011, "CANARY MAKER", create=True)
    block.add_new(1, "LO", "CANARY private")
    block.add_new(2, "UN", b"CANARY unknown")
    request = Dataset()
    request.RequestedProcedureDescription = "CANARY nested"
    film.RequestAttributesSequence = [request]
    film.add_new(0x60000010, "US", 8)
    film.add_new(0x60000011, "US", 8)
    film.add_new(0x60000022, "LO", "CANARY overlay")
    film.add_new(0x60000040, "CS", "G")
    film.add_new(0x60000050, "SS", [1, 1])
    film.add_new(0x60000100, "US", 1)
    film.add_new(0x60000102, "US", 0)
    film.add_new(0x60001500, "LO", "CANARY label")
    film.add_new(0x60003000, "OW", b"CANARY__")
    film.PatientBirthDate = "CANARY"  # not a date: what reads it may complain aloud
    return film


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project of films with names in tags, file names and folders."""
    place = tmp_path_factory.mktemp("ward")
    source = make_films(place / "made", n=16)
    clinic = place / "CANARY clinic"
    (clinic / "masks").mkdir(parents=True)
    table = (source / "labels.csv").read_text()
    for path in sorted((source / "images").iterdir()):
        film = planted(dicom_film(np.array(Image.open(path))))
        new = f"CANARY^{path.stem}/CANARY_{path.stem}.dcm"
        (clinic / "images" / new).parent.mkdir(parents=True)
        save_dicom(film, clinic / "images" / new)
        table = table.replace(path.name, new)
        mask = source / "masks" / "spot" / path.name
        if mask.exists():
            folder = clinic / "masks" / "spot" / f"CANARY^{path.stem}"
            folder.mkdir(parents=True)
            shutil.copy(mask, folder / f"CANARY_{path.stem}.png")
    (clinic / "labels.csv").write_text(table)
    shutil.rmtree(source)
    return place


def mentions(data: bytes, where: str) -> list[str]:
    """Return where the word is, packed parts unpacked."""
    found = []
    for form in (WORD, "".join(f"{letter}\0" for letter in WORD)):
        for hit in re.finditer(re.escape(form.encode()), data.lower()):
            found.append(f"{where} @{hit.start()}: {data[hit.start() :][:60]!r}")
    if data[:2] == b"\x1f\x8b":
        found += mentions(gzip.decompress(data), f"{where}!")
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                found += mentions(archive.read(member), f"{where}!{member}")
    return found


def test_an_overlay_is_no_part_of_the_film(tmp_path: Path) -> None:
    """Names drawn into an overlay's pixels reach no picture and no network."""
    rng = np.random.default_rng(0)
    film = dicom_film(rng.integers(0, 255, (64, 64), np.uint8))
    save_dicom(film, tmp_path / "plain.dcm")
    film = planted(film)
    film[0x60000010].value = film[0x60000011].value = 64
    film[0x60003000].value = bytes([255]) * (64 * 64 // 8)
    save_dicom(film, tmp_path / "over.dcm")
    plain, over = (dicom.read(tmp_path / f"{name}.dcm") for name in ("plain", "over"))
    np.testing.assert_array_equal(plain.pixels, over.pixels)


def in_files(folder: Path) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        found += mentions(name.encode(), f"name {name}")
        if path.is_file():
            found += mentions(path.read_bytes(), name)
    return found


def no_network(*_: object, **__: object) -> None:
    raise AssertionError("somebody called the network")


@pytest.mark.filterwarnings("ignore")
def test_no_planted_name_comes_out_of_anything_that_is_written(
    clinic: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the whole loop needs no network, which is refused here."""
    monkeypatch.setenv(film_names.VARIABLE, str(tmp_path / "keys"))
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.chdir(clinic / "CANARY clinic")
    out = tmp_path / "out"
    place = str(out / "project")
    out.mkdir()

    def wsseg(*arguments: str, code: int = 0) -> None:
        assert cli.main([*arguments, "-v"]) == code, (arguments, capfd.readouterr())

    init = ["init", place, "--images", "images", "--labels", "labels.csv"]
    wsseg(*init, "--masks", "masks", "--json")
    settings = ["size=64", "epochs=1", "batch=8", "arch=resnet18", "device=cpu"]
    arguments = ["classifier", "-p", place, "--infer", "--json", "--set", *settings]
    assert main__.main(arguments) == 0, capfd.readouterr()
    with Project.open(Path(place), write=True) as opened:
        run = next((opened.folder / "runs").iterdir()).name
        for stage in ("cam", "crf", "classifier"):
            opened.adopt(stage, run, actor="ann")
        opened.decide(opened.cases()[0].id, "accept", reader="ann", comment="clear")
    wsseg("evaluate", "-p", place, "--split", "all")
    wsseg("report", "-p", place, "-o", str(out / "report"))
    for name in formats.names():
        wsseg("export", name, "-p", place, "-o", str(out / name))
    wsseg("export", "model", "-p", place, "-o", str(out / "model"), "--run", run)
    wsseg("import", "png", str(out / "png"), "-p", place, "--reader", "bob")
    wsseg("fsck", "-p", place)
    wsseg("audit", "verify", "-p", place)
    wsseg("gc", "-p", place)
    (next(Path().glob("images/*/*_f03.dcm"))).unlink()
    wsseg("fsck", "-p", place, code=3)
    output = capfd.readouterr()
    assert mentions((output.out + output.err + caplog.text).encode(), "said") == []
    assert in_files(out) == []
    assert b"CANARY" in next((tmp_path / "keys").iterdir()).read_bytes()
