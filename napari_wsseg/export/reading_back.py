"""Take masks that were made elsewhere as a reader's: the way back of the formats.

All masks of one file are looked at before any is taken, so that two of one film and
finding are united, and names that could mean the same film are refused.
"""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from napari_wsseg.export import Found, Note, importers
from napari_wsseg.export.exporting import external_masks as _external_masks
from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.io.external import film_matching as _film_matching
from napari_wsseg.io.external import mask_values
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError
from napari_wsseg.schema import Case, Mask, without_ending

_UID = re.compile(r"[0-9]+(\.[0-9]+){5,}")
_MOST_CHARACTERS = 600
_CHEXPERT = re.compile(r"patient\d+/study\d+/view\d+_\w+")


@dataclass(frozen=True, slots=True)
class ImportedMasks:
    """What an import took.

    Parameters
    ----------
    masks
        How many.
    rejected
        What fits no film or finding, and why.
    warnings
        What was taken but deserves a look.
    """

    masks: int
    rejected: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def steps(
    project: Project,
    name: str,
    path: Path,
    *,
    reader: str,
    finding: str | None = None,
    choice: Choice = PLAIN,
    accept: bool = False,
) -> Generator[Progress, None, ImportedMasks]:
    """Yield progress while the masks in `path` become versions of `reader`'s.

    Parameters
    ----------
    project
        Open to write.
    name
        One of `napari_wsseg.export.importers`.
    path, reader
        File or folder, and whose the masks become.
    finding
        Of which finding they are, where the file does not say.
    choice
        How values are to be read that do not speak for themselves.
    accept
        Whether the reader accepted these films where the masks were made: each gets
        the decision *accept with edits*.

    Raises
    ------
    DataError
        The file is not of that format, no such finding, or nothing in it fits a film.
    UsageError
        A choice was made of a format that leaves none.
    """
    path = Path(path)
    warnings: list[str] = []
    taken = 0
    drawn: set[str] = set()
    with _opened(name, path, choice) as each:
        located = locate(project, each, finding)
        groups, rejected = located.groups, located.rejected
        for (case_id, named), masks in groups.items():
            case = located.cases[case_id]
            mask = _united(masks, case, named, rejected, warnings)
            if mask is None:
                continue
            warning = mask_values.warn(mask, case.labels.get(named))
            warnings += [f"{case.path}, {named!r}: {word}" for word in warning]
            project.put_mask(case.id, named, mask, reader=reader, tool="import")
            taken += 1
            drawn.add(case.id)
            yield Progress(taken, len(groups), "importing")
    for case_id in sorted(drawn) if accept else ():
        project.decide(case_id, "accept with edits", reader=reader)
    if not taken:
        why = "; ".join(map(_short, rejected[:3])) or "there is none"
        raise DataError(f"no mask in {path} fits a film of this project ({why})")
    return ImportedMasks(taken, *(tuple(map(_short, x)) for x in (rejected, warnings)))


def _short(text: str) -> str:
    """Cut what a message repeats of a file whose names have no end."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[: _MOST_CHARACTERS // 2]} … {text[-_MOST_CHARACTERS // 2 :]}"


@dataclass(frozen=True, slots=True)
class Located:
    """What a file holds, by film and finding of a project.

    Parameters
    ----------
    groups
        By case id and finding, in the file's order.
    rejected
        What fits no film or finding, and why.
    cases
        The project's films by id.
    """

    groups: Mapping[tuple[str, str], list[Found]]
    rejected: list[str]
    cases: Mapping[str, Case]


def locate(
    project: Project,
    items: Iterable[Found | Note],
    finding: str | None,
    names: Sequence[str] | None = None,
) -> Located:
    """Find the film and finding of everything that a reader of a format yields.

    Parameters
    ----------
    project, items
        Open; and what the format's reader yields.
    finding
        Of which finding they are, where the file does not say.
    names
        What there can be masks of; ``None``: the project's findings.

    Raises
    ------
    DataError
        No such finding, or the file is not of its format.
    """
    known = [one.name for one in project.findings] if names is None else [*names]
    findings = _Findings(known, finding)
    found: list[Found] = []
    rejected: list[str] = []
    for one in items:
        if isinstance(one, Note):
            rejected.append(one.text)
        else:
            found.append(one)
    findings.look_at(found)
    films = _Films(project, found)
    groups = _grouped(found, films, findings, rejected)
    return Located(groups, rejected, films.by_id)


def choices(name: str) -> bool:
    """Whether a format's values leave a `Choice`."""
    return "choice" in inspect.signature(importers[name]).parameters


def _opened(
    name: str, path: Path, choice: Choice
) -> AbstractContextManager[Iterator[Found | Note]]:
    if choice != PLAIN and not choices(name):
        raise UsageError(
            f"{name}: says itself what a mask is; there is nothing to --set"
        )
    return _external_masks.opened(name, path, choice)


def _grouped(
    found: Iterable[Found], films: _Films, findings: _Findings, rejected: list[str]
) -> Mapping[tuple[str, str], list[Found]]:
    """Return masks by the id of their film and by finding, in the file's order."""
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in found:
        try:
            groups[films.case_id(one), findings.project_finding(one)].append(one)
        except DataError as error:
            rejected.append(str(error))
    return groups


def _united(
    found: Sequence[Found],
    case: Case,
    finding: str,
    rejected: list[str],
    warnings: list[str],
) -> Mask | None:
    """Return the union of what can be drawn, or ``None`` if nothing can."""
    drawn: list[Mask] = []
    for one in found:
        try:
            drawn.append(one.mask(case.shape))
        except DataError as error:
            text = str(error)
            named = one.film in text or PurePosixPath(one.film).name in text
            rejected.append(text if named else f"{one.film}, {finding!r}: {text}")
        warnings += [f"{one.film}, {finding!r}: {each}" for each in one.remarks]
    if not drawn:
        return None
    if len(drawn) > 1:
        warnings.append(f"{case.path}, {finding!r}: {len(drawn)} masks, united")
    return np.asarray(np.logical_or.reduce(drawn))


class _Findings:
    """Which finding of a project a mask from elsewhere is of.

    Parameters
    ----------
    names
        The project's findings.
    otherwise
        Of which finding masks are whose file names none; also where the file's own
        names are all strange to the project.
    """

    def __init__(self, names: Sequence[str], otherwise: str | None) -> None:
        if otherwise is not None and otherwise not in names:
            raise DataError(f"no finding {otherwise!r}; there are: {[*names]}")
        self._names = names
        self._otherwise = otherwise
        self._all_strange = False

    def look_at(self, found: Iterable[Found]) -> None:
        """Take note of whether a file names any finding of the project."""
        self._all_strange = not any(self._known(one.finding) for one in found)

    def project_finding(self, found: Found) -> str:
        """Return the project's finding; `DataError` if it is not clear which."""
        named = self._known(found.finding)
        if named is None and (not found.finding or self._all_strange):
            named = self._otherwise
        named = named or self._known(found.guess)
        if named is None and not found.finding and len(self._names) == 1:
            named = self._names[0]
        if named is None:
            raise DataError(
                f"{found.film}: finding {found.finding!r} is none of this project's; "
                f"name the finding with --finding; there are: {[*self._names]}"
            )
        return named

    def _known(self, name: str) -> str | None:
        if name in self._names:
            return name
        alike = [each for each in self._names if _folded(each) == _folded(name)]
        return alike[0] if len(alike) == 1 else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()


class _Films:
    """Which film of a project a mask from elsewhere is of."""

    def __init__(self, project: Project, found: Iterable[Found]) -> None:
        self._project = project
        self.by_id = {case.id: case for case in project.cases()}
        names = _film_matching.FilmNames(
            (name, case.id)
            for case in self.by_id.values()
            for name in _names_of(project, case)
        )
        self._found, self._reasons = _film_matching.match(
            (one.film for one in found if not self._of_uid(one.sop_uid)), names
        )

    def case_id(self, found: Found) -> str:
        """Return the film's id; `DataError` if there is none, or more than one."""
        by_uid = self._of_uid(found.sop_uid)
        if not by_uid and found.film not in self._found:
            by_uid = self._of_uid(self._uid_in(found.film))
        if len(by_uid) > 1:
            raise DataError(f"{found.film}: several films have its SOP Instance UID")
        for case_id in by_uid:
            return case_id
        if found.film in self._found:
            self._check_uid(found)
            return self._found[found.film]
        raise DataError(f"{found.film}: {self._reasons[found.film]}")

    def _check_uid(self, found: Found) -> None:
        """Refuse a name that means a film other than the one that was drawn on."""
        own = _identity.sop_uid(self._project, self.by_id[self._found[found.film]])
        if found.sop_uid and own:
            raise DataError(
                f"{found.film}: was drawn on the film with SOP Instance UID "
                f"{found.sop_uid}, which is none of this project's"
            )

    def _of_uid(self, uid: str | None) -> set[str]:
        return set() if uid is None else self._by_uid.get(uid, set())

    @staticmethod
    def _uid_in(name: str) -> str | None:
        """Return the UID that stands for a film's name, as archives have it."""
        last = without_ending(_film_matching.plain(name).rpartition("/")[2])
        return last if _UID.fullmatch(last) else None

    @cached_property
    def _by_uid(self) -> Mapping[str, set[str]]:
        """Return ids by what SOP Instance UIDs films have, or were given."""
        uids: dict[str, set[str]] = defaultdict(set)
        for case in self.by_id.values():
            uids[_identity.sop_uid(self._project, case)].add(case.id)
            uids[_identity.replaced_uid(self._project, case)].add(case.id)
        uids.pop("", None)
        return uids


def _names_of(project: Project, case: Case) -> Iterator[str]:
    # A film whose file name is hidden goes by that, too: whoever made the masks has it.
    for name in {case.path, project.films.films.get(case.path, case.path)}:
        yield name
        # What CheXlocalize calls CheXpert's films.
        last = "/".join(PurePosixPath(without_ending(name)).parts[-3:])
        if _CHEXPERT.fullmatch(last):
            yield last.replace("/", "_")
