"""Masks into a real archive: each once, to the right patient, whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from helpers.archive import PASSWORD, Archive, Liar, connect, sign_in
from helpers.dicom_project import draw_and_accept
from napari_wsseg.cli import main
from napari_wsseg.datasets import from_archive
from napari_wsseg.export import Identity, storing
from napari_wsseg.io.archives import query
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError, finish

pytestmark = pytest.mark.programs

FILMS = 3

TAGS = (
    *("PatientName", "PatientID", "OtherPatientNames", "PatientAddress"),
    *("PatientMotherBirthName", "PatientTelephoneNumbers", "MilitaryRank"),
    *("PatientComments", "EthnicGroup", "Occupation", "AdditionalPatientHistory"),
    *("AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName"),
    *("ReferringPhysicianAddress", "NameOfPhysiciansReadingStudy", "OperatorsName"),
    *("PhysiciansOfRecord", "PerformingPhysicianName", "RequestingPhysician"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("StationName", "DeviceSerialNumber", "ManufacturerModelName", "Manufacturer"),
    *("SeriesDescription", "ProtocolName", "ImageComments", "RequestedProcedureID"),
    *("RequestedProcedureDescription", "ScheduledProcedureStepID", "AdmissionID"),
    *("PerformedProcedureStepDescription", "PerformedProcedureStepID"),
    *("CurrentPatientLocation", "InsurancePlanIdentification", "CountryOfResidence"),
    *("RegionOfResidence", "PatientReligiousPreference", "CountryOfResidence"),
)
CANARY = "CANARY"


@pytest.fixture
def orthanc(server: Archive, tmp_path: Path) -> Archive:
    """An archive that holds films of three patients, full of names."""
    server.clear()
    for number in range(FILMS):
        named = {
            tag: f"{CANARY} {number}" for tag in TAGS if dictionary_VR(tag) != "SQ"
        }
        named |= {
            "PatientID": f"{CANARY} P{number}",
            "AccessionNumber": f"A{number}",
            "PatientBirthDate": f"196203{number + 1:02}",
        }
        server.put_film(tmp_path / f"{number}.dcm", number, **named)
    return server


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(monkeypatch, tmp_path)


def _store(
    project: Project,
    url: str,
    identity: Identity = "same-patient",
    name: str = "dicom_seg",
) -> storing.Stored:
    return finish(storing.steps(project, name, connect(url), identity=identity))


def _of_kind(orthanc: Archive, modality: str) -> list[Dataset]:
    return [
        Dataset.from_json(each, lambda tag, vr, uri: None)
        for study in orthanc.studies()
        for each in orthanc.metadata(study["0020000D"]["Value"][0])
        if each["00080060"]["Value"] == [modality]
    ]


def test_accepted_masks_join_their_patients_and_the_archive_answers_for_all(
    orthanc: Archive, accepted: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    films = {each.StudyInstanceUID: each for each in _of_kind(orthanc, "DX")}
    argv = ["export", "dicom_sr", "-p", str(accepted.folder), "--to-pacs", orthanc.web]
    assert main([*argv, "--identity", "same-patient", "--json"]) == 0
    output = capsys.readouterr()
    answers = json.loads(output.out.splitlines()[-1])["answers"]
    assert [each["status"] for each in answers] == ["stored"] * 2 * FILMS
    assert "identity: same-patient" in output.err.splitlines()[0]
    assert PASSWORD not in output.out + output.err
    assert len(orthanc.studies()) == FILMS
    for kind in ("SEG", "SR"):
        made = _of_kind(orthanc, kind)
        assert len(made) == FILMS
        for each in made:
            own = films[each.StudyInstanceUID]
            assert (each.PatientID, each.PatientName) == (
                own.PatientID,
                own.PatientName,
            )
            assert each.PatientBirthDate == own.PatientBirthDate


def test_the_archives_own_patient_counts_not_the_one_of_the_file(
    orthanc: Archive, accepted: Project
) -> None:
    """A patient may have got another number there since the film was fetched."""
    for case in accepted.cases():
        path = accepted.image_path(case)
        header = pydicom.dcmread(path)
        header.PatientID = "an older number"
        header.save_as(path)
    _store(accepted, orthanc.web)
    made = _of_kind(orthanc, "SEG")
    assert {each.PatientID for each in made} == {f"{CANARY} P{n}" for n in range(FILMS)}


def test_only_what_was_accepted_is_stored(orthanc: Archive, accepted: Project) -> None:
    first, *rest = accepted.cases()
    accepted.decide(first.id, "reject", reader="ann")
    assert len(_store(accepted, orthanc.web).sent) == len(rest)


def test_the_same_masks_are_stored_once_and_a_new_version_names_the_old(
    orthanc: Archive, accepted: Project
) -> None:
    _store(accepted, orthanc.web)
    again = _store(accepted, orthanc.web)
    assert again.count("already there") == FILMS
    (before,) = (
        each for each in _of_kind(orthanc, "SEG") if each.PatientID == f"{CANARY} P0"
    )
    case = next(
        case
        for case in accepted.cases()
        if pydicom.dcmread(accepted.image_path(case)).PatientID == f"{CANARY} P0"
    )
    draw_and_accept(accepted, case.id, 7)
    third = _store(accepted, orthanc.web)
    assert (third.count("stored"), third.count("already there")) == (1, FILMS - 1)
    made = [x for x in _of_kind(orthanc, "SEG") if x.PatientID == f"{CANARY} P0"]
    (new,) = (each for each in made if each.SOPInstanceUID != before.SOPInstanceUID)
    assert new.SeriesInstanceUID == before.SeriesInstanceUID
    assert (before.InstanceNumber, new.InstanceNumber) == (1, 2)
    (named,) = new.ReferencedImageSequence
    assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert new.SegmentSequence[0].TrackingUID == before.SegmentSequence[0].TrackingUID


def test_of_the_same_patient_nothing_goes_to_an_archive_without_the_film(
    orthanc: Archive, accepted: Project
) -> None:
    orthanc.clear()
    with pytest.raises(DataError, match="not in that archive"):
        _store(accepted, orthanc.web)
    assert orthanc.count() == 0


def test_de_identified_nothing_of_forty_tags_arrives_and_nothing_is_joined(
    orthanc: Archive, accepted: Project
) -> None:
    films = {each.StudyInstanceUID for each in _of_kind(orthanc, "DX")}
    assert len(set(TAGS)) >= 40
    for name in ("dicom_sr", "dicom_gsps"):
        _store(accepted, orthanc.web, "de-identified", name)
    made = [
        each for kind in ("OT", "SEG", "SR", "PR") for each in _of_kind(orthanc, kind)
    ]
    assert len(made) == 4 * FILMS
    for each in made:
        assert each.StudyInstanceUID not in films
        assert CANARY not in str(each)
        assert "1962" not in str(each.get("PatientBirthDate"))
    assert len(orthanc.studies()) == 2 * FILMS


def test_of_the_same_patient_only_what_the_archive_had_comes_back(
    orthanc: Archive, accepted: Project
) -> None:
    films = {each.StudyInstanceUID: each for each in _of_kind(orthanc, "DX")}
    for name in ("dicom_sr", "dicom_gsps"):
        _store(accepted, orthanc.web, "same-patient", name)
    for kind in ("SEG", "SR", "PR"):
        for each in _of_kind(orthanc, kind):
            own = films[each.StudyInstanceUID]
            for element in each:
                if CANARY in str(element.value):
                    assert own[element.tag].value == element.value


def test_nothing_of_forty_tags_is_in_the_project(
    orthanc: Archive, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("AccessionNumber,heart\nA0,1\nA1,1\nA2,1\n")
    job = from_archive.steps(
        tmp_path / "p",
        connect(orthanc.web),
        query.parse("Modality=DX"),
        tmp_path / "films",
        labels=table,
    )
    assert finish(job).imported == FILMS
    found = [path for path in (tmp_path / "p").rglob("*") if path.is_file()]
    assert len(found) > 2
    for path in found:
        assert CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("fault", [401, 507, 503, "lost"])
def test_an_archive_that_goes_away_in_mid_store_loses_and_doubles_nothing(
    liar: Liar, orthanc: Archive, accepted: Project, fault: Any
) -> None:
    posted = [0]

    def second_post(method: str, path: str, number: int) -> Any:
        posted[0] += method == "POST"
        return fault if method == "POST" and posted[0] > 1 else None

    liar.fault = second_post
    if fault == "lost":
        # The archive has it, though its answer never came: asked, not sent again.
        assert _store(accepted, liar.web).count("stored") == FILMS
        assert posted[0] == FILMS
    else:
        with pytest.raises(JobFailed, match=f"{fault}") as raised:
            _store(accepted, liar.web)
        assert "1 instances are stored" in str(raised.value)
        assert len(_of_kind(orthanc, "SEG")) == 1
    liar.fault = lambda *asked: None
    last = _store(accepted, liar.web)
    assert last.count("refused") == 0
    assert len(_of_kind(orthanc, "SEG")) == FILMS


def test_an_instance_that_is_refused_costs_itself_alone_and_is_told(
    liar: Liar, orthanc: Archive, accepted: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    posted = [0]

    def first_post(method: str, path: str, number: int) -> Any:
        posted[0] += method == "POST"
        return 409 if method == "POST" and posted[0] == 1 else None

    liar.fault = first_post
    arguments = [
        "export",
        "dicom_seg",
        "-p",
        str(accepted.folder),
        "--to-pacs",
        liar.web,
    ]
    assert main([*arguments, "--identity", "same-patient", "--json"]) == 4
    output = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert output["status"] == "failed"
    assert sorted(one["status"] for one in output["answers"]) == [
        "refused",
        "stored",
        "stored",
    ]
    assert "409" in next(
        x["words"] for x in output["answers"] if x["status"] == "refused"
    )
    assert main([*arguments, "--identity", "same-patient"]) == 0
    assert len(_of_kind(orthanc, "SEG")) == FILMS


def test_an_archive_that_only_says_that_it_stored_is_not_believed(
    liar: Liar, accepted: Project
) -> None:
    liar.fault = lambda method, path, number: 200 if method == "POST" else None
    stored = _store(accepted, liar.web)
    assert all("look again" in one.answer.message for one in stored.sent if one.answer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dicom_seg"], "-o"),
        (["dicom_seg", "--to-pacs", "http://127.0.0.1:1"], "same-patient"),
        (
            ["png", "--to-pacs", "http://127.0.0.1:1", "--identity", "same-patient"],
            "DICOM",
        ),
        (["dicom_seg", "-o", "x", "--to-pacs", "http://127.0.0.1:1"], "-o"),
        (["dicom_seg", "-o", "x", "--ca", "y"], "--to-pacs"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    accepted: Project,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        main(["export", arguments[0], "-p", str(accepted.folder), *arguments[1:]]) == 2
    )
    assert message in capsys.readouterr().err


def test_a_dry_run_stores_nothing(orthanc: Archive, accepted: Project) -> None:
    job = storing.steps(
        accepted,
        "dicom_seg",
        connect(orthanc.web),
        identity="same-patient",
        dry_run=True,
    )
    assert len(finish(job).sent) == FILMS
    assert _of_kind(orthanc, "SEG") == []


def test_an_archive_takes_dicom_alone(orthanc: Archive, accepted: Project) -> None:
    with pytest.raises(UsageError, match="dicom_seg"):
        _store(accepted, orthanc.web, name="png")
