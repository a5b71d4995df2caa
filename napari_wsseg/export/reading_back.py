"""Take masks that were made elsewhere as a reader's: the way back of the formats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from napari_wsseg.export import Found, Note, importers
from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Case


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import took.

    Parameters
    ----------
    masks
        How many.
    rejected
        What fits no film or finding, and why.
    """

    masks: int
    rejected: tuple[str, ...]


def steps(
    project: Project, name: str, path: Path, *, reader: str, finding: str | None = None
) -> Generator[Progress, None, Taken]:
    """Yield progress while the masks in `path` become versions of `reader`'s.

    Parameters
    ----------
    project
        Open to write.
    name
        One of `napari_wsseg.export.importers`.
    finding
        Of which finding they are, where the file does not say.

    Raises
    ------
    DataError
        The file is not of that format, no such finding, or nothing in it fits a film.
    """
    films = _Films(project, finding)
    rejected: list[str] = []
    taken = 0
    for found in importers[name](Path(path)):
        if isinstance(found, Note):
            rejected.append(found.text)
            continue
        try:
            case, named = films.case(found), films.finding(found)
            mask = found.mask(case.shape)
        except DataError as error:
            rejected.append(str(error))
            continue
        project.put_mask(case.id, named, mask, reader=reader, tool="import")
        taken += 1
        yield Progress(taken, 0, "importing")
    if not taken:
        why = "; ".join(rejected[:3]) or "there is none"
        raise DataError(f"no mask in {path} fits a film of this project ({why})")
    return Taken(taken, tuple(rejected))


class _Films:
    """Which film and finding of a project a mask from elsewhere is of."""

    def __init__(self, project: Project, finding: str | None) -> None:
        self._project = project
        self._names = [one.name for one in project.findings]
        if finding is not None and finding not in self._names:
            raise DataError(f"no finding {finding!r}; there are: {self._names}")
        self._finding = finding

    def finding(self, found: Found) -> str:
        """Return the project's finding; `DataError` if it is not clear which."""
        if self._finding:
            return self._finding
        known = {name.casefold(): name for name in self._names}
        named = known.get(found.finding.casefold(), known.get(found.guess.casefold()))
        if named is None and not found.finding and len(self._names) == 1:
            named = self._names[0]
        if named is None:
            raise DataError(
                f"{found.film}: finding {found.finding!r} is none of this project's; "
                f"name the finding with --finding; there are: {self._names}"
            )
        return named

    def case(self, found: Found) -> Case:
        """Return the film; `DataError` if there is none, or more than one."""
        if found.sop_uid is not None and found.sop_uid in self._by_uid:
            return self._by_uid[found.sop_uid]
        for key in (found.film, PurePosixPath(found.film).name):
            alike = self._by_name.get(key, {})
            if len(alike) == 1:
                return next(iter(alike.values()))
        raise DataError(f"{found.film}: no film of that name, or more than one")

    @cached_property
    def _by_name(self) -> Mapping[str, dict[str, Case]]:
        """Return cases by every name that a file may call them."""
        named: dict[str, dict[str, Case]] = defaultdict(dict)
        for case in self._project.cases():
            for name in _names_of(self._project, case):
                named[name][case.id] = case
        return named

    @cached_property
    def _by_uid(self) -> Mapping[str, Case]:
        """Return cases by what SOP Instance UIDs their films have, or were given."""
        uids: dict[str, Case] = {}
        for case in self._project.cases():
            uids[_identity.sop_uid(self._project, case)] = case
            uids[_identity.replaced_uid(self._project, case)] = case
        uids.pop("", None)
        return uids


def _names_of(project: Project, case: Case) -> Iterator[str]:
    # A film whose file name is hidden goes by that, too: whoever made the masks has it.
    for name in {case.path, project.films.films.get(case.path, case.path)}:
        path = PurePosixPath(name)
        bare = path.with_suffix("")
        # The last is what CheXlocalize calls CheXpert's films.
        last = "_".join(bare.parts[-3:])
        yield from {path.as_posix(), bare.as_posix(), path.name, path.stem, last}
