"""Write a choice of expert masks, or a run's weights, in a format; or only say what."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

from napari_wsseg.export import (
    File,
    Identity,
    Item,
    Note,
    Scope,
    Summary,
    formats,
    holds_masks,
    models,
    names_patients,
)
from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import atomic
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError, finish
from napari_wsseg.schema import Case

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")
"""Of an archive or a site, of which a path keeps one slash; a drive is one letter."""


def steps(
    project: Project,
    name: str,
    out: Path,
    scope: Scope | None = None,
    *,
    identity: Identity | None = None,
    dry_run: bool = False,
) -> Generator[Progress, None, Summary]:
    """Yield progress while expert masks are written; return the summary.

    Parameters
    ----------
    project
        Open.
    name
        One of `napari_wsseg.export.formats`.
    out
        Folder, made if need be; files of the same name are replaced.
    scope
        Which masks; ``None``: all.
    identity
        Whose the files are, for formats that can say it; ``"de-identified"`` unless
        said otherwise.
    dry_run
        Write nothing; the summary says what would be written.

    Raises
    ------
    DataError
        Nothing is in scope, the format cannot hold it, or `out` cannot be written to.
    UsageError
        An identity is asked of a format that names no patient.
    """
    if identity is not None and not names_patients(name):
        raise UsageError(f"{name}: names no patient, so it has no identity to choose")
    chosen = Selection(project, scope, identity or "de-identified")
    cases = chosen.cases
    if not cases:
        raise DataError(
            f"{project.name}: no expert mask is in scope, so there is nothing to "
            "export; draw or accept some, or widen the choice"
        )
    notes = _identity.warnings(project, cases) if holds_masks(name) else []
    notes += [Note("warning", text) for text in chosen.contradictions()]
    out = _folder(out)
    files: list[Path] = []
    masks = sum(len(chosen.annotations(case)) for case in cases)
    yield from _pump(formats[name](chosen), out, dry_run, files, notes, len(cases))
    return _summary(name, files, notes, cases=len(cases), masks=masks, dry_run=dry_run)


def model_steps(
    project: Project, name: str, out: Path, run: str, *, dry_run: bool = False
) -> Generator[Progress, None, Summary]:
    """Yield progress while a run's weights are written; return the summary.

    Parameters
    ----------
    project
        Open.
    name
        One of `napari_wsseg.export.models`.
    out
        Folder, made if need be; files of the same name are replaced.
    run
        The run's id.
    dry_run
        Write nothing; the summary says what would be written.

    Raises
    ------
    DataError
        The run is not finished, not of a kind that the format holds, or `out` cannot
        be written to.
    """
    files: list[Path] = []
    notes: list[Note] = []
    items = models[name](project, run)
    yield from _pump(items, _folder(out), dry_run, files, notes, 1)
    return _summary(name, files, notes, dry_run=dry_run)


def export(
    project: Project,
    name: str,
    out: Path,
    scope: Scope | None = None,
    *,
    identity: Identity | None = None,
    dry_run: bool = False,
) -> Summary:
    """Write expert masks in one go; see `steps`.

    Parameters
    ----------
    project, name, out, scope, identity, dry_run
        As in `steps`.

    Raises
    ------
    DataError, UsageError
        As `steps`.
    """
    return finish(steps(project, name, out, scope, identity=identity, dry_run=dry_run))


def _folder(out: Path) -> Path:
    out = Path(out)
    if _ADDRESS.match(str(out)):
        raise DataError(
            f"{out}: is an address; name a folder to export to, or an archive by "
            "--to-pacs (in the window: Where to)"
        )
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; name a folder to export to")
    return out


def _pump(
    items: Iterator[Item],
    out: Path,
    dry_run: bool,
    files: list[Path],
    notes: list[Note],
    total: int,
) -> Generator[Progress, None, None]:
    """Write what comes, and put it down in `files` and `notes`."""
    done = 0
    for item in items:
        match item:
            case Case():
                yield Progress(done, total, "exporting")
                done += 1
            case Note():
                notes.append(item)
            case File():
                path = out / item.path
                if not dry_run:
                    data = item.data()
                    atomic.write(path, lambda file, data=data: file.write(data))  # type: ignore[misc]
                files.append(path)
    yield Progress(total, total, "exporting")


def _summary(
    name: str,
    files: list[Path],
    notes: list[Note],
    *,
    cases: int = 0,
    masks: int = 0,
    dry_run: bool,
) -> Summary:
    def texts(kind: str) -> tuple[str, ...]:
        return tuple(note.text for note in notes if note.kind == kind)

    return Summary(
        name,
        tuple(files),
        cases,
        masks,
        texts("lost"),
        texts("skipped"),
        texts("warning"),
        dry_run,
    )
