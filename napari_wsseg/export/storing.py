"""Store a choice of expert masks in an archive (STOW-RS), each instance once."""

from __future__ import annotations

import io
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from napari_wsseg.export import (
    File,
    Identity,
    Note,
    Scope,
    formats,
    names_patients,
)
from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.archives.archive_client import Archive
from napari_wsseg.io.archives.replies import Answer, Refused, Unreachable
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, Progress, UsageError
from napari_wsseg.schema import Case


@dataclass(frozen=True, slots=True)
class Sent:
    """What an archive answered to one instance.

    Parameters
    ----------
    name
        The file it would be in a folder, which names the film as the project does.
    answer
        ``None`` in a dry run.
    """

    name: str
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What an export to an archive did, or would do."""

    format: str
    host: str
    identity: Identity
    sent: tuple[Sent, ...]
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False

    def count(self, status: str) -> int:
        """Count the instances of which the archive said this."""
        return sum(
            one.answer is not None and one.answer.status == status for one in self.sent
        )


def steps(
    project: Project,
    name: str,
    archive: Archive,
    scope: Scope | None = None,
    *,
    identity: Identity,
    dry_run: bool = False,
) -> Generator[Progress, None, Stored]:
    """Yield progress while accepted masks are stored; return what was answered.

    The same masks have the same UIDs, and what the archive has is not sent again: a
    store that broke off goes on where the same call is made again. A new version of a
    mask is a new instance that names the one before.

    Parameters
    ----------
    project, archive
        Open; and where masks go.
    name
        One of `napari_wsseg.export.formats` that names patients, i.e. a DICOM one.
    scope
        Films that were accepted are stored alone, whatever it says of that.
    identity
        ``"same-patient"`` stores only what belongs to a film that the archive has.
    dry_run
        Store nothing; say what would be.

    Raises
    ------
    DataError
        Nothing is in scope, or nothing of it can be stored there.
    JobFailed
        The archive stopped answering, lets nobody in, or has no room.
    UsageError
        The format is not one of DICOM.
    """
    if not names_patients(name):
        known = ", ".join(each for each in formats if names_patients(each))
        raise UsageError(f"{name}: an archive takes DICOM alone: {known}")
    scope = scope or Scope()
    chosen = Selection(
        project, Scope(scope.split, scope.reader, accepted=True), identity, archive
    )
    if not chosen.cases:
        raise DataError(
            f"{project.name}: no accepted film is in scope, so there is nothing to "
            "store; accept some, or widen the choice"
        )
    sent: list[Sent] = []
    notes = _identity.warnings(project, chosen.cases)
    notes += [Note("warning", text) for text in chosen.contradictions()]
    done, total = 0, len(chosen.cases)
    try:
        for item in formats[name](chosen):
            match item:
                case Case():
                    yield Progress(done, total, "storing")
                    done += 1
                case Note():
                    notes.append(item)
                case File():
                    answer = None if dry_run else archive.store(_data_set(item))
                    sent.append(Sent(item.path, answer))
    except Unreachable as error:
        raise _broken_off(error, sent) from error
    except Refused as error:
        raise JobFailed(str(error)) from error
    yield Progress(total, total, "storing")
    return _result(chosen, name, sent, notes, dry_run)


def _data_set(file: File) -> Any:
    from pydicom import dcmread

    return dcmread(io.BytesIO(file.data()))


def _broken_off(error: Unreachable, sent: list[Sent]) -> JobFailed:
    there = sum(
        one.answer is not None and one.answer.status != "refused" for one in sent
    )
    return JobFailed(
        f"{error}; {there} instances are stored: the same command stores the rest"
    )


def _result(
    chosen: Selection, name: str, sent: list[Sent], notes: list[Note], dry_run: bool
) -> Stored:
    assert chosen.archive is not None
    host = chosen.archive.host
    skipped = tuple(note.text for note in notes if note.kind == "skipped")
    if not sent:
        lines = "\n".join(f"  {text}" for text in skipped[:10])
        raise DataError(f"{host}: nothing was stored\n{lines}")
    warnings = tuple(note.text for note in notes if note.kind != "skipped")
    who = chosen.identity
    return Stored(name, host, who, tuple(sent), skipped, warnings, dry_run)
