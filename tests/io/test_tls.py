"""A line that is encrypted: whose certificate is believed, and how it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.archive import NAME, PASSWORD, Liar, connect, running, self_signed
from napari_wsseg.io.archives import query
from napari_wsseg.jobs import JobFailed

pytestmark = pytest.mark.programs


QUERY = query.parse("Modality=DX")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a certificate that nobody but itself vouches for."""
    folder = tmp_path_factory.mktemp("signed")
    self_signed(folder)
    return folder


@pytest.fixture(scope="module")
def archive(signed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Liar]:
    """What speaks TLS in front of an archive, as in most hospitals."""
    folder = tmp_path_factory.mktemp("archive")
    with running(folder) as found:
        found.put_film(folder / "film.dcm", 0)
        before = Liar(found, signed / "both.pem")
        yield before
        before.close()


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)


def _films(archive: Liar, ca: Path | None = None) -> int:
    line = connect(archive.web, ca)
    return len([line.fetch(one) for one in line.find(QUERY)])


def test_a_certificate_that_signs_itself_is_refused_in_words(archive: Liar) -> None:
    with pytest.raises(JobFailed, match="not believed") as raised:
        _films(archive)
    assert "--ca" in str(raised.value)
    assert "WSSEG_PACS_CA" in str(raised.value)


def test_it_is_believed_where_the_environment_names_it(
    archive: Liar, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSEG_PACS_CA", str(signed / "signed.pem"))
    assert _films(archive) == 1


def test_what_is_named_for_the_archive_counts_before_the_machines_own_setting(
    archive: Liar,
    signed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "signed.pem"))
    assert _films(archive, signed / "signed.pem") == 1
    with pytest.raises(JobFailed, match="not believed"):
        _films(archive)


def test_anothers_certificate_vouches_for_nothing(
    archive: Liar, tmp_path: Path
) -> None:
    self_signed(tmp_path)
    with pytest.raises(JobFailed, match="not believed"):
        _films(archive, tmp_path / "signed.pem")


def test_a_certificate_of_another_machine_is_refused(
    archive: Liar, tmp_path: Path
) -> None:
    both = self_signed(tmp_path, "DNS:elsewhere.example.org")
    elsewhere = Liar(archive.archive, both)
    with pytest.raises(JobFailed, match="not believed"):
        _films(elsewhere, tmp_path / "signed.pem")
    elsewhere.close()
