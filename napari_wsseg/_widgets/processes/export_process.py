"""Exports, or says what would be exported; one JSON object a line.

Run as a process of its own, with what to export as a JSON object on the command line:
some formats import much, and the window must not wait for any.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from napari_wsseg import protocol
from napari_wsseg.jobs import Progress, WssegError


def main(argv: list[str] | None = None) -> int:
    """Do what the first word asks for: ``formats``, or an export as JSON."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        if arguments[0] == "formats":
            _say(protocol.formats(describe()))
        else:
            _export(json.loads(arguments[0]))
    except WssegError as error:
        _say(protocol.failed(str(error)))
        return error.exit_code
    except OSError as error:
        _say(protocol.failed(f"The files cannot be written: {error}"))
        return 3
    except ImportError as error:
        message = f"A part of the installation is missing ({error.name}): run “wsseg "
        _say(protocol.failed(message + "doctor” in a terminal."))
        return 4
    return 0


def describe() -> list[dict[str, Any]]:
    """Return name, kind and summary of every format."""
    from napari_wsseg import export

    return [
        {
            "name": name,
            "kind": kind,
            "summary": export.summary(name),
            "identities": export.IDENTITIES if export.names_patients(name) else (),
        }
        for kind, registry in (("masks", export.formats), ("model", export.models))
        for name in registry.names()
    ]


def _export(wanted: Mapping[str, Any]) -> None:
    from napari_wsseg.io.project import Project

    with Project.open(Path(wanted["project"])) as project:
        job = _job(project, wanted)
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                _say(protocol.finished(**_as_record(end.value)))
                return
            _say(protocol.progress(progress.step, progress.total, progress.message))


def _job(project: Any, wanted: Mapping[str, Any]) -> Generator[Progress, None, Any]:
    from napari_wsseg.export import Scope, writing

    name, out, dry_run = wanted["format"], Path(wanted["out"]), wanted["dry_run"]
    if wanted["kind"] == "model":
        run = wanted["run"]
        return writing.model_steps(project, name, out, run, dry_run=dry_run)
    scope = Scope(wanted["split"], wanted["reader"], wanted["accepted"])
    identity = wanted["identity"]
    if wanted.get("archive"):
        return _store(project, wanted, scope)
    return writing.steps(project, name, out, scope, identity=identity, dry_run=dry_run)


def _store(
    project: Any, wanted: Mapping[str, Any], scope: Any
) -> Generator[Progress, None, Any]:
    from napari_wsseg.export import storing
    from napari_wsseg.io import pacs

    archive = pacs.at(wanted["archive"])
    return storing.steps(
        project,
        wanted["format"],
        archive,
        scope,
        identity=wanted["identity"],
        dry_run=wanted["dry_run"],
    )


def _as_record(found: Any) -> dict[str, Any]:
    from napari_wsseg.export.storing import Stored

    if isinstance(found, Stored):
        return _as_answers(found)
    names = ("cases", "masks", "dry_run")
    lists = ("lost", "skipped", "warnings")
    return {
        "files": len(found.files),
        "existing": sum(path.exists() for path in found.files),
        **{name: getattr(found, name) for name in names},
        **{name: list(getattr(found, name)) for name in lists},
    }


def _as_answers(found: Any) -> dict[str, Any]:
    """Return what an archive answered, or would be sent, as a record."""
    refused = [
        f"{one.name}: {one.answer.message}"
        for one in found.sent
        if one.answer is not None and one.answer.status == "refused"
    ]
    return {
        "host": found.host,
        "identity": found.identity,
        "instances": len(found.sent),
        "stored": found.count("stored"),
        "already_there": found.count("already there"),
        "refused": refused,
        "dry_run": found.dry_run,
        "lost": [],
        "skipped": list(found.skipped),
        "warnings": list(found.warnings),
    }


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
