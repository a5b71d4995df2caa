"""What archives say, and what they send, in words."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from napari_wsseg.io.archives import closed_line, query, replies
from napari_wsseg.io.archives.replies import NotWhole, Passing, Refused, Unreachable
from napari_wsseg.io.dicomweb import access, dicomweb_archive, sessions
from napari_wsseg.io.dimse import dimse_archive, receiving
from napari_wsseg.io.dimse.dimse_archive import DimseArchive
from napari_wsseg.io.dimse.place import place
from napari_wsseg.jobs import JobFailed, UsageError

NO_ROOM, WRONG = 0xA700, 0xC001


def _failed(reason: int, keyword: str = "FailedSOPSequence") -> Dataset:
    made, item = Dataset(), Dataset()
    item.FailureReason = reason
    setattr(made, keyword, [item])
    return made


def _warned() -> Dataset:
    made, item = Dataset(), Dataset()
    item.WarningReason = 0xB000
    made.ReferencedSOPSequence = [item]
    return made


@pytest.mark.parametrize(
    ("response", "status", "words"),
    [
        (Dataset(), "stored", ""),
        (_warned(), "stored", "0xB000"),
        (_failed(WRONG), "refused", "0xC001"),
        (_failed(WRONG, "OtherFailuresSequence"), "refused", "0xC001"),
    ],
)
def test_the_web_answers_to_a_store(response: Dataset, status: str, words: str) -> None:
    answer = dicomweb_archive._answer("1.2", response)
    assert answer.status == status
    assert words in answer.message


@pytest.mark.parametrize(
    ("status", "expected"), [(0, "stored"), (0xB000, "stored"), (WRONG, "refused")]
)
def test_a_line_answers_to_a_store(status: int, expected: str) -> None:
    assert dimse_archive._answer("1.2", status).status == expected


def test_reasons_in_a_refusal_are_repeated_where_it_has_any() -> None:
    said = SimpleNamespace(json=lambda: [_failed(WRONG).to_json_dict()])
    assert "0xC001" in dicomweb_archive._failures(said)
    assert dicomweb_archive._failures(SimpleNamespace()) == ""
    with pytest.raises(TypeError, match="no rows"):
        dicomweb_archive._search(lambda: [1, 2])


def _sent(
    uid: str = "1.2", *, pixels: bytes | None = bytes(16), **more: Any
) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = more.pop("syntax", ExplicitVRLittleEndian)
    made.SOPInstanceUID, made.Rows, made.Columns, made.BitsAllocated = uid, 4, 4, 8
    if pixels is not None:
        made.PixelData = pixels
    return made


@pytest.mark.parametrize(
    ("film", "message"),
    [
        (_sent("1.3"), "another film"),
        (_sent(pixels=None), "without pixels"),
        (_sent(pixels=bytes(9)), "break off"),
    ],
)
def test_a_film_that_is_not_the_one_or_not_whole_is_asked_for_again(
    film: Dataset, message: str
) -> None:
    with pytest.raises(NotWhole, match=message):
        replies.check_whole(film, "1.2")


def test_a_whole_film_is_one_packed_or_not() -> None:
    replies.check_whole(_sent(), "1.2")
    replies.check_whole(_sent(pixels=b"x", syntax=JPEG2000Lossless), "1.2")
    with pytest.raises(NotWhole, match="damaged"):
        dimse_archive._read(b"no film")


def test_what_was_not_asked_for_is_named_and_what_is_not_there_is_not() -> None:
    asked = query.parse("BodyPartExamined=CHEST;PatientSex=F")
    assert not any("ModalitiesInStudy" in one for one in asked.of_studies())
    assert asked.contradiction({"BodyPartExamined": "CHEST"}) == ""
    assert "HAND" in asked.contradiction({"BodyPartExamined": "HAND"})
    assert asked.contradiction({"PatientSex": "M"}) == "its PatientSex is another"
    assert closed_line.is_here("localhost")
    assert not closed_line.is_here("pacs.example.org")


def test_a_token_and_a_certificate_are_shown_to_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    for file in (certificate, key):
        file.write_text("x")
    monkeypatch.setenv(access.TOKEN, "secret")
    monkeypatch.setenv(access.CERTIFICATE, str(certificate))
    url = "https://pacs.example.org/dicom-web"
    with sessions.Session(access.to(url)) as session:
        assert session.cert == str(certificate)
        request = requests.Request("GET", url, auth=session.auth).prepare()
    assert request.headers["Authorization"] == "Bearer secret"
    monkeypatch.setenv(access.KEY, str(key))
    with sessions.Session(access.to(url)) as session:
        assert session.cert == (str(certificate), str(key))
    key.unlink()
    with pytest.raises(UsageError, match=r"k\.pem is not a file"):
        access.to(url)


def _without(name: str) -> Callable[..., Any]:
    real = builtins.__import__

    def imported(module: str, *arguments: Any, **options: Any) -> Any:
        if module.partition(".")[0] == name:
            raise ImportError(f"No module named {name!r}", name=name)
        return real(module, *arguments, **options)

    return imported


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = access.Access("https://pacs.example.org")
    for name, extra, make in (
        ("pynetdicom", "dimse", lambda: DimseArchive(place("dimse://A@127.0.0.1:1"))),
        ("dicomweb_client", "pacs", lambda: dicomweb_archive.DicomWebArchive(entered)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "__import__", _without(name))
            with pytest.raises(JobFailed, match=rf"{name} is not.*\[{extra}\]"):
                make()
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", _without("keyring"))
        assert access._from_keyring("pacs.example.org", "ann") == ("ann", "")


def _line(*, result: int = 0, accepted: bool = False, there: bool = True) -> Any:
    primitive = SimpleNamespace(result=result, reason_str="title not known")
    return SimpleNamespace(
        is_rejected=bool(result),
        acceptor=SimpleNamespace(primitive=primitive if there else None),
        accepted_contexts=[1] if accepted else [],
    )


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        (_line(result=2), Passing, "busy"),
        (_line(result=1), Unreachable, "does not speak with us"),
        (_line(), Refused, "does not take this kind"),
        (_line(there=False), Passing, "no connection"),
    ],
)
def test_a_line_that_is_not_had_is_said(
    line: Any, kind: type[Exception], message: str
) -> None:
    refusal = DimseArchive(place("dimse://A@127.0.0.1:1"))._refusal(line)
    assert isinstance(refusal, kind)
    assert message in str(refusal)


def _store(received: receiving.Received, uid: str) -> None:
    request = SimpleNamespace(AffectedSOPInstanceUID=uid)
    received._store(SimpleNamespace(request=request, encoded_dataset=lambda: b"film"))


def test_of_what_comes_in_only_the_film_that_was_asked_for_counts() -> None:
    received, aborted = receiving.Received(), []
    with pytest.raises(Refused, match="sent no film"):
        received.film("host", "1.2", [])
    _store(received, "1.3")
    with pytest.raises(NotWhole, match="another film"):
        received.film("host", "1.2", [0])
    _store(received, "1.2")
    assert received.film("host", "1.2", [0]) == b"film"
    large = SimpleNamespace(
        data=memoryview(b"x").cast("B"),
        assoc=SimpleNamespace(abort=lambda: aborted.append(1)),
    )
    received._bytes = 2**40
    received._count(large)
    received._count(large)
    assert aborted == [1]
    with pytest.raises(Refused, match="sent over"):
        received.film("host", "1.2", [0])
