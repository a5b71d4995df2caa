"""Films of an archive (PACS) become a project: asked for, fetched, imported.

::

    archive = pacs.at("https://pacs.example.org/dicom-web")
    job = steps(project, archive, query.parse("Modality=DX"), films, importer=importer)

yields `Progress`, may be closed at any moment, and returns the import's report; the
same call goes on where one that was stopped broke off.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_wsseg.datasets import folder as _folder
from napari_wsseg.datasets.folder import Names
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.io import atomic, film_identity
from napari_wsseg.io.archives.archive_client import Archive
from napari_wsseg.io.archives.query import Query
from napari_wsseg.io.archives.replies import Instance, Refused, Unreachable
from napari_wsseg.jobs import DataError, JobFailed, Progress, UsageError

_LITTLE_LEFT = 20
"""Characters of a UID that a message shows: enough to find it, from its end."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a query.

    Parameters
    ----------
    paths
        Of the films that are there now, in the folder that they were fetched to.
    new
        How many of them came now; the others had been fetched before.
    left_out
        Films that the archive would not give, or that were not asked for.
    """

    paths: tuple[str, ...]
    new: int
    left_out: tuple[Rejected, ...] = ()


def steps(
    project: Path,
    archive: Archive,
    query: Query,
    films: Path,
    *,
    labels: Path | None = None,
    masks: Path | None = None,
    names: Names = "auto",
    limit: int | None = None,
    importer: Any = _folder.steps,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while films are fetched and a project is made; return the report.

    Parameters
    ----------
    project
        A new folder.
    archive, query
        Where films come from, and which.
    films
        Folder that the films land in, made if need be; it may hold films that were
        fetched before, which are not fetched again.
    labels
        As for a folder of films; its first column may be ``AccessionNumber``,
        ``StudyInstanceUID`` or ``SOPInstanceUID``.
    masks
        As for a folder of films.
    names
        Whether the project has the names of the films' files, which are their SOP
        Instance UIDs, or others; see `napari_wsseg.datasets.folder`.
    limit
        Most films that are fetched.
    importer
        `napari_wsseg.datasets.folder.steps`, or that with choices made.

    Raises
    ------
    DataError
        The query finds nothing, the labels are off, or there is no room; what was
        fetched stays.
    JobFailed
        The archive stopped answering, or lets nobody in; what was fetched stays.
    UsageError
        `films` lies in the project.
    """
    project, films = Path(project).absolute(), Path(films).absolute()
    if films == project or project in films.parents:
        raise UsageError(f"{films}: lies in the project; name a folder outside it")
    _build.check_free(project)
    if labels:
        _guarded.labels(Path(labels))  # mistakes are told before anything is fetched
    elif not masks:
        raise DataError(
            f"{archive.host}: no finding is named; give labels with a column for each"
        )
    fetched = yield from fetch(archive, query, films, limit=limit)
    job = partial(importer, names=names, only=set(fetched.paths))
    report: ImportReport = yield from job(
        project, images=films, labels=labels, masks=masks
    )
    return replace(report, rejected=(*fetched.left_out, *report.rejected))


def fetch(
    archive: Archive, query: Query, films: Path, *, limit: int | None = None
) -> Generator[Progress, None, Fetched]:
    """Yield progress while the films that a query finds come to a folder.

    A film is whole or not there, whenever this is stopped.

    Parameters
    ----------
    archive
        Where the films are.
    query
        Which are asked for.
    films
        Folder that they land in, made if need be; those that are there already are not
        fetched again.
    limit
        Most films that are fetched; any number without.

    Raises
    ------
    DataError, JobFailed
        See `steps`.
    """
    found: list[Instance] = []
    for one in archive.find(query):
        found.append(one)
        yield Progress(len(found), 0, "asking the archive")
        if limit is not None and len(found) >= limit:
            break
    if not found:
        raise DataError(f"{archive.host}: has no film that the query asks for")
    paths: list[str] = []
    left_out: list[Rejected] = []
    new = 0
    for step, one in enumerate(found, start=1):
        name = _name(one)
        try:
            new += _take(archive, one, query, films / name)
            paths.append(name)
        except Refused as error:
            left_out.append(Rejected(_shown(one), str(error)))
        except Unreachable as error:
            raise _broken_off(error, step - 1, len(found), films) from error
        yield Progress(step, len(found), "fetching films")
    if not paths:
        lines = "\n".join(f"  {each.path}: {each.reason}" for each in left_out[:10])
        raise DataError(f"{archive.host}: no film could be fetched\n{lines}")
    return Fetched(tuple(paths), new, tuple(left_out))


def _take(archive: Archive, one: Instance, query: Query, path: Path) -> bool:
    """Fetch a film unless it is there; return whether it came now.

    Raises
    ------
    Refused
        The archive does not give it, or it is not what was asked for.
    """
    if film_identity.element(path, "SOPInstanceUID") == one.uid:
        return False
    film = archive.fetch(one)
    odd = query.contradiction(film.header)
    if odd:
        raise Refused(f"{archive.host}: sent a film that was not asked for: {odd}")
    atomic.write(path, lambda file: file.write(film.data))
    return True


def _name(one: Instance) -> str:
    """Return the file of a film; what is no UID must not lead anywhere."""
    if not all(part.isdigit() for part in one.uid.split(".")) or len(one.uid) > 64:
        raise DataError(f"the archive names a film {one.uid[:80]!r}, which is no UID")
    return f"{one.uid}.dcm"


def _shown(one: Instance) -> str:
    return f"…{one.uid[-_LITTLE_LEFT:]}"


def _broken_off(error: Unreachable, done: int, total: int, films: Path) -> JobFailed:
    return JobFailed(
        f"{error}; {done} of {total} films are in {films}: the same command goes on "
        "from there"
    )
