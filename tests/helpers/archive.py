"""A real archive on loopback, Orthanc with DICOMweb, and a liar in front of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from helpers.named_dicom import film
from napari_wsseg.io import pacs
from napari_wsseg.io.archives.archive_client import Archive as ArchiveClient

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
NAME, PASSWORD = "wsseg", "only-here"
USER = "Basic " + b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


SETTINGS = Path(__file__).parents[2] / "docs/orthanc.json"
"""Those that docs/pacs.md tells people to try; name and password are in them."""


class Archive:
    """An Orthanc with DICOMweb and DIMSE, spoken to as a client does.

    Parameters
    ----------
    folder
        Where it keeps its films; what it is told lies there, too.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.dicom_port, self.landing_port = (free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self.port}"
        self.web = f"{self.url}/dicom-web"
        self.dimse = f"dimse://ORTHANC@127.0.0.1:{self.dicom_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, with what lies in the folder; return when it answers."""
        program = shutil.which("Orthanc")
        assert program, "Orthanc is not installed: apt-get install orthanc-dicomweb"
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._settings()))
        with (self.folder / "orthanc.log").open("a") as log:
            self._process = subprocess.Popen(
                [program, str(config)], stdout=log, stderr=log
            )
        _wait_for(self, self._process)

    def kill(self) -> None:
        """End at once, in the middle of whatever it does (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads(SETTINGS.read_text())
        store = str(self.folder / "store")
        settings |= {
            "HttpPort": self.port,
            "DicomPort": self.dicom_port,
            "DicomModalities": {"wsseg": ["WSSEG", "127.0.0.1", self.landing_port]},
            "StorageDirectory": store,
            "IndexDirectory": store,
            "Plugins": [place for place in PLUGINS if Path(place).is_dir()],
        }
        return settings

    def ask(
        self, path: str, data: bytes | None = None, method: str | None = None
    ) -> Any:
        request = Request(self.url + path, data, {"Authorization": USER}, method=method)
        request.add_header("Accept", "application/json, application/dicom+json")
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def store(self, path: Path) -> None:
        assert self.ask("/instances", path.read_bytes())["Status"] == "Success"

    def studies(self) -> list[Any]:
        return list(self.ask("/dicom-web/studies?includefield=all"))

    def metadata(self, study: str) -> list[Any]:
        """Return every instance of a study, as a viewer asks for them."""
        return list(self.ask(f"/dicom-web/studies/{study}/metadata"))

    def kinds(self) -> list[list[str]]:
        """Return the modalities of each study; check that it has one patient."""
        found = []
        for study in self.studies():
            instances = self.metadata(study["0020000D"]["Value"][0])
            assert len({one["00100020"]["Value"][0] for one in instances}) == 1
            found.append(sorted(one["00080060"]["Value"][0] for one in instances))
        return sorted(found)

    def put_film(self, path: Path, seed: int, **attributes: object) -> None:
        """Write a film with these attributes, and store it."""
        film(path, seed, **attributes)
        self.store(path)

    def count(self) -> int:
        """Count every instance."""
        return len(self.ask("/instances"))

    def clear(self) -> None:
        for patient in self.ask("/patients"):
            self.ask(f"/patients/{patient}", method="DELETE")


@contextmanager
def running(folder: Path) -> Iterator[Archive]:
    """Start an archive that keeps its films in a folder, and end it.

    An orderly end takes it three seconds, and nobody reads its store any more.
    """
    found = Archive(folder)
    try:
        found.start()
        yield found
    finally:
        found.kill()


def self_signed(folder: Path, name: str = "IP:127.0.0.1") -> Path:
    """Write a key and the certificate that it signs itself with; return their file."""
    key, signed = folder / "key.pem", folder / "signed.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-subj", "/CN=archive", "-addext", f"subjectAltName={name}"]
    subprocess.run(
        [*argv, "-keyout", key, "-out", signed], check=True, capture_output=True
    )
    both = folder / "both.pem"
    both.write_text(key.read_text() + signed.read_text())
    return both


@contextmanager
def filled(folder: Path, films: int) -> Iterator[Archive]:
    """Start an archive that holds chests, the first of them old, and at last a hand."""
    with running(folder) as found:
        for number in range(films):
            found.put_film(
                folder / f"{number}.dcm",
                number,
                PatientID=f"P{number}",
                PatientName=f"Somebody^{number}",
                AccessionNumber=f"00{number}",
                Modality="CR" if number == 1 else "DX",
                StudyDate="20200101" if number == 0 else f"202601{number:02}",
                BodyPartExamined="HAND" if number == films - 1 else "CHEST",
            )
        yield found


def sign_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Give the archive's name and password as a person's environment does."""
    monkeypatch.setenv("WSSEG_PACS_USER", NAME)
    monkeypatch.setenv("WSSEG_PACS_PASSWORD", PASSWORD)
    monkeypatch.setenv("WSSEG_KEYS", str(folder / "keys"))


def connect(url: str, ca: Path | None = None) -> ArchiveClient:
    """Return what speaks to an archive and never waits before it asks again."""
    return pacs.at(url, ca=ca, wait=lambda seconds: None)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(archive: Archive, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "Orthanc ended before it answered"
        try:
            archive.studies()
        except (URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Orthanc does not answer")


class Liar:
    """A server in front of an archive that passes on, or does not, what is asked.

    Parameters
    ----------
    certificate
        A file with the key and certificate that the line is encrypted with, if it is.

    Attributes
    ----------
    fault
        Called for each request with its method, its path and its number; returns
        ``None`` to pass it on, a status to answer with, ``"cut"`` to hang up in the
        middle of the answer, ``"lost"`` to pass it on and hang up instead of an answer,
        ``"short"`` to name a greater size than comes, ``"nonsense"`` to answer with
        bytes that mean nothing, or a function that makes another body of the answer's.
    seen
        Every request: method, path and its Authorization.
    """

    def __init__(self, archive: Archive, certificate: Path | None = None) -> None:
        self.archive = archive
        self.fault: Callable[[str, str, int], Any] = lambda method, path, number: None
        self.seen: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                liar._answer(self)

            do_POST = do_GET

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # Each line shakes hands on its own thread, when it is first read from.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.web = f"{scheme}://127.0.0.1:{self._server.server_port}/dicom-web"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: Any) -> None:
        with self._lock:
            number = len(self.seen)
            signed = handler.headers.get("Authorization", "")
            self.seen.append((handler.command, handler.path, signed))
            fault = self.fault(handler.command, handler.path, number)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.close_connection = True
        if isinstance(fault, int):
            handler.send_response(fault)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        status, kind, data = self._passed_on(handler, body)
        if callable(fault):
            data = fault(data)
        if fault == "lost":
            return
        if fault == "nonsense":
            data = os.urandom(200)
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        more = 1000 if fault == "short" else 0
        handler.send_header("Content-Length", str(len(data) + more))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if fault == "cut" else data)

    def _passed_on(self, handler: Any, body: bytes) -> tuple[int, str, bytes]:
        line = HTTPConnection("127.0.0.1", self.archive.port, timeout=30)
        headers = {
            name: value
            for name, value in handler.headers.items()
            if name.lower() in ("accept", "content-type", "authorization")
        }
        headers["Accept-Encoding"] = "identity"
        try:
            line.request(handler.command, handler.path, body or None, headers)
            answer = line.getresponse()
            kind = answer.getheader("Content-Type") or "text/plain"
            return answer.status, kind, answer.read()
        finally:
            line.close()
