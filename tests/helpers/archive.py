"""A real archive on loopback, Orthanc with DICOMweb, and a liar in front of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
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

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
NAME, PASSWORD = "wsseg", "only-here"
USER = "Basic " + b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


class Archive:
    """An Orthanc with DICOMweb, spoken to as a client does."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.web = f"{self.url}/dicom-web"

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

    def count(self) -> int:
        """Count every instance."""
        return len(self.ask("/instances"))

    def clear(self) -> None:
        for patient in self.ask("/patients"):
            self.ask(f"/patients/{patient}", method="DELETE")


@contextmanager
def running(folder: Path) -> Iterator[Archive]:
    """Start an archive that keeps its films in a folder, and end it."""
    program = shutil.which("Orthanc")
    assert program, "Orthanc is not installed: apt-get install orthanc-dicomweb"
    ports = [free_port(), free_port()]
    settings = {
        "HttpPort": ports[0],
        "DicomPort": ports[1],
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {NAME: PASSWORD},
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "Plugins": [place for place in PLUGINS if Path(place).is_dir()],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("w") as log:
        process = subprocess.Popen([program, str(config)], stdout=log, stderr=log)
        try:
            found = Archive(ports[0])
            _wait_for(found, process)
            yield found
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.fault: Callable[[str, str, int], Any] = lambda method, path, number: None
        self.seen: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                liar._answer(self)

            do_POST = do_GET

            def log_message(self, *words: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.web = f"http://127.0.0.1:{self._server.server_port}/dicom-web"
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
