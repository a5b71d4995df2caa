"""What a table of labels would change in a project, and doing it.

A cell that is blank says nothing. A label conflicts where it would replace another that
somebody was sure of, or says the contrary of an expert mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing.labels_csv import LabelTable
from napari_wsseg.io.external import film_matching
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case


@dataclass(frozen=True, slots=True)
class Change:
    """One label that would change.

    Parameters
    ----------
    case, path
        The film's id and path.
    before, after
        1 (present), 0 (absent), -1 (uncertain) or ``None`` (unknown).
    conflict
        Why it is not taken unless asked for; empty where it is.
    """

    case: str
    path: str
    finding: str
    before: int | None
    after: int
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file says that the project does not.

    Parameters
    ----------
    changes
        In the file's order.
    same
        How many labels the file and the project share.
    rejected
        Lines that fit no film, and why.
    warnings
        Columns that are left aside.
    """

    changes: tuple[Change, ...]
    same: int
    rejected: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def conflicts(self) -> tuple[Change, ...]:
        """The changes that are not taken unless asked for."""
        return tuple(change for change in self.changes if change.conflict)


def preview(project: Project, path: Path) -> Preview:
    """Return what the labels in `path` would change; nothing is written.

    Parameters
    ----------
    path
        A table as ``labels.csv`` of `wsseg init`: ``image,<finding>…[,split]``.

    Raises
    ------
    DataError
        The file is no such table, or none of its columns or lines fits the project.
    """
    table = _guarded.labels(path)
    names = [finding.name for finding in project.findings]
    columns = [name for name in table.findings if name in names]
    if not columns:
        raise DataError(
            f"{path}: no column is a finding of this project; there are: "
            f"{', '.join(names)}"
        )
    strange = [name for name in table.findings if name not in names]
    films, reasons = _films(project, table)
    if not films:
        first = next(iter(reasons.items()))
        raise DataError(
            f"{path}: no line fits a film of this project ({first[0]}: {first[1]})"
        )
    listed = list(_changes(project, table, films, columns))
    changes = tuple(change for change in listed if change.before != change.after)
    return Preview(
        changes,
        len(listed) - len(changes),
        tuple(f"{image}: {why}" for image, why in reasons.items()),
        (
            (f"not findings of this project, left aside: {', '.join(strange)}",)
            if strange
            else ()
        ),
    )


def apply(project: Project, found: Preview, *, reader: str, conflicts: bool) -> int:
    """Take a preview's labels over; return how many.

    All or none; each film's labels become versions of `reader`'s.

    Parameters
    ----------
    project
        Open for writing.
    found
        What `preview` returned of the same project.
    reader
        Whose labels they become.
    conflicts
        Take the changes that conflict, too.

    Returns
    -------
    int
        Labels that were taken.
    """
    taken = [one for one in found.changes if conflicts or not one.conflict]
    labels: dict[str, dict[str, int | None]] = {}
    for one in taken:
        labels.setdefault(one.case, {})[one.finding] = one.after
    with project.transaction():
        for case_id, of_case in labels.items():
            project.labels.put(case_id, of_case, reader=reader, source="file")
    return len(taken)


def _films(
    project: Project, table: LabelTable
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the case id of each line's image, and why others have none."""
    hidden = project.films.films
    names = film_matching.FilmNames(
        (name, case.id)
        for case in project.cases()
        for name in {case.path, hidden.get(case.path, case.path)}
    )
    return film_matching.match(table.rows, names)


def _changes(
    project: Project, table: LabelTable, films: Mapping[str, str], columns: list[str]
) -> Iterator[Change]:
    cases = {case.id: case for case in project.cases()}
    for image, case_id in films.items():
        case, row = cases[case_id], table.rows[image]
        drawn = project.expert_annotations(case_id)
        for finding in columns:
            after = row.labels[finding]
            if after is not None:
                yield _change(project, case, finding, after, drawn.get(finding))


def _change(
    project: Project, case: Case, finding: str, after: int, drawn: Annotation | None
) -> Change:
    before = case.labels.get(finding)
    conflict = ""
    if before != after:
        conflict = _against_mask(after, drawn) or _against_label(
            project, case, finding, before
        )
    return Change(case.id, case.path, finding, before, after, conflict)


def _against_mask(after: int, drawn: Annotation | None) -> str:
    if drawn is None or after not in (0, 1) or bool(drawn.area_px) == bool(after):
        return ""
    what = "draws it" if drawn.area_px else "is empty"
    return f"the expert mask of {drawn.reader} {what}"


def _against_label(
    project: Project, case: Case, finding: str, before: int | None
) -> str:
    if before not in (0, 1):
        return ""
    history = project.labels.history(case.id, finding)
    who = history[-1].reader if history else ""
    return f"{who or 'the project'} says otherwise"
