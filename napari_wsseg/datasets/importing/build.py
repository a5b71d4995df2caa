"""Make a project of films, labels and masks: all of it, or nothing.

The project grows in a folder beside its place and takes its name at the end, so that
an import that is stopped, killed or out of disk leaves no half project behind. What a
long one had read by then is kept beside it, and the same import goes on from there.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import likeness
from napari_wsseg.datasets.importing.decoding import decoded
from napari_wsseg.datasets.importing.plan import Film as Film
from napari_wsseg.datasets.importing.plan import MaskSource as MaskSource
from napari_wsseg.datasets.importing.plan import NotedMask as NotedMask
from napari_wsseg.datasets.importing.plan import Plan, Shape, announce, count
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.datasets.importing.resume import Resumed
from napari_wsseg.io import film_names
from napari_wsseg.io import images as _images
from napari_wsseg.io.external import mask_files, mask_values
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.film_facts import Facts, reason
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import follow_ups, settings
from napari_wsseg.io.project_folder.writer_lock import WriterLock
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Case, Mask

READER = "import"
"""Whose expert masks those of the data set are."""

_SHOWN = 5
"""Films that a remark names one by one; of more it names the first."""


def build(
    folder: Path,
    *,
    images: Path,
    findings: Sequence[str],
    films: Sequence[Film],
    rejected: Sequence[Rejected] = (),
    warnings: Sequence[str] = (),
    colour: bool = False,
    lateral: bool = True,
    hide: bool = False,
    choice: Choice = PLAIN,
    how_split: str = "as the data set has it",
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while the project is made; return the report.

    Before anything is made the plan is told, see `plan.hearing`.

    Parameters
    ----------
    folder
        A new folder, for the project.
    images
        Folder or archive of the films.
    findings
        Names, in the project's order.
    films
        What to import, in order: of two with the same pixels the first stays.
    rejected, warnings
        What the report says beside what is found here: files left out, and remarks.
    colour
        Networks are to see the pictures' red, green and blue.
    lateral
        Take films that say they are lateral views; without it they are left out.
    hide
        The project has other names for the films, see `napari_wsseg.io.film_names`.
    choice
        How mask files are read that do not speak for themselves.
    how_split
        Who says which film is in which split, in words.

    Raises
    ------
    DataError
        The folder is in use, the disk is full, or no film can be read.
    """
    folder = Path(folder).absolute()
    check_free(folder)
    plan = Plan(
        images,
        findings,
        films,
        rejected,
        warnings,
        colour=colour,
        lateral=lateral,
        hide=hide,
        choice=choice,
        how_split=how_split,
    )
    announce(plan)
    return (yield from _made(plan, folder))


def _made(plan: Plan, folder: Path) -> Generator[Progress, None, ImportReport]:
    _remove_leftovers(folder)
    growing = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    hidden = film_names.hide([film.path for film in plan.films]) if plan.hide else None
    key = ""
    resumed = Resumed(folder)
    stopped = True
    try:
        with Project.create(
            growing,
            findings=plan.findings,
            images=plan.images,
            name=folder.name,
            colour=plan.colour,
            hidden=hidden,
        ) as project:
            key = project.films.key
            growth = _Growth(plan, project, hidden or {})
            with project.transaction():
                yield from growth.run(resumed)
                project.audit(READER, "import", {"cases": growth.imported})
            follow_ups.write(
                growing, [(one, *film.taken) for one, film in growth.known.items()]
            )
        _take_place(growing, folder)
        stopped = False
        key_file = film_names.key_file(key) if key else None
    except Exception:
        stopped = False
        raise
    finally:
        _forget_key(growing)
        resumed.close(keep=stopped)
        shutil.rmtree(growing, ignore_errors=True)
    return replace(growth.report(folder), key_file=key_file)


def check(plan: Plan, folder: Path) -> Generator[Progress, None, ImportReport]:
    """Yield progress while films and masks are read and nothing is made of them.

    What was read is kept beside `folder`, so that the import itself is quick.

    Raises
    ------
    DataError
        No film can be read.
    """
    resumed = Resumed(Path(folder).absolute())
    growth = _Growth(plan, _Nowhere())
    try:
        yield from growth.run(resumed)
    finally:
        resumed.close(keep=True)
    return growth.report(folder)


def _remove_leftovers(folder: Path) -> None:
    """Delete what imports to this place left that were killed, not those that run."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        try:
            WriterLock(left).release()
        except DataError:
            continue
        _forget_key(left)
        shutil.rmtree(left, ignore_errors=True)


def _forget_key(growing: Path) -> None:
    """Delete the key file of a project that did not come to be, if it has one."""
    with suppress(DataError, OSError):
        if key := settings.read(growing).key:
            film_names.forget(key)


def check_free(folder: Path) -> None:
    """Refuse a place where something is.

    Raises
    ------
    DataError
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(f"{folder}: exists and is not empty; name a new folder")
    except OSError as error:
        raise DataError(f"{folder}: cannot be used ({error.strerror})") from error


def _take_place(growing: Path, folder: Path) -> None:
    try:
        if folder.exists():
            folder.rmdir()
        os.replace(growing, folder)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror})") from error


class _Store(Protocol):
    """What keeps the films and masks that are taken: a project."""

    def add_case(self, case: Case) -> object: ...

    def put_mask(
        self, case_id: str, finding: str, mask: Mask, *, reader: str, tool: str
    ) -> object: ...

    def put_void(self, case_id: str, mask: Mask) -> object: ...


class _Nowhere:
    """Keeps nothing."""

    def add_case(self, case: Case) -> None: ...

    def put_mask(
        self, case_id: str, finding: str, mask: Mask, *, reader: str, tool: str
    ) -> None: ...

    def put_void(self, case_id: str, mask: Mask) -> None: ...


@dataclass(slots=True)
class _Growth:
    """A project while films are put into it."""

    plan: Plan
    store: _Store
    hidden: Mapping[str, str] = field(default_factory=dict)
    rejected: list[Rejected] = field(init=False)
    warnings: list[str] = field(init=False)
    known: dict[str, Film] = field(default_factory=dict)
    remarked: dict[str, list[str]] = field(default_factory=dict)
    looks: dict[str, likeness.Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rejected = list(self.plan.rejected)
        self.warnings = list(self.plan.warnings)

    @property
    def imported(self) -> int:
        return len(self.known)

    def report(self, folder: Path) -> ImportReport:
        """Return what was taken and what was not."""
        plan = self.plan
        summary = count(self.known.values(), plan.findings, plan.how_split)
        return ImportReport(
            folder,
            self.imported,
            tuple(self.rejected),
            tuple(self.warnings),
            summary=summary,
        )

    def run(self, resumed: Resumed) -> Generator[Progress, None, None]:
        by_path = {film.path: film for film in self.plan.films}
        results = decoded(self.plan.images, list(by_path), resumed)
        with closing(results):
            for step, (path, facts) in enumerate(results, start=1):
                self._take(by_path[path], facts)
                yield Progress(step, len(by_path), "reading films")
        for remark, paths in likeness.odd(self.looks).items():
            self.remarked.setdefault(remark, []).extend(paths)
        self.warnings += [
            _remark(remark, paths) for remark, paths in self.remarked.items()
        ]
        if not self.known:
            raise DataError(_nothing_left(self.plan.images, self.rejected))

    def _take(self, film: Film, facts: Facts | str) -> None:
        if isinstance(facts, str):
            self.rejected.append(Rejected(film.path, facts))
            return
        if facts.lateral and not self.plan.lateral:
            reason = "a lateral view, left out; --set lateral=yes takes them"
            self.rejected.append(Rejected(film.path, reason))
            return
        case_id = facts.uid[:16]
        twin = self.known.get(case_id)
        if twin is not None:
            same = f"the same pixels as {twin.path}, which was imported"
            drawn = [name for name, source in film.masks.items() if source is not None]
            if drawn:
                same += f"; its masks of {', '.join(drawn)} were not taken"
            self.rejected.append(Rejected(film.path, same))
            return
        self.known[case_id] = film
        shown = self.hidden.get(film.path, film.path)
        self.store.add_case(
            Case(
                id=case_id,
                path=shown,
                shape=facts.shape,
                spacing_mm=facts.spacing_mm,
                split=film.split,
                labels=film.labels,
            )
        )
        self.looks[shown] = facts.shape, facts.thumb
        for remark in facts.remarks:
            if not (self.plan.colour and remark == _images.LUMINANCE):
                self.remarked.setdefault(remark, []).append(shown)
        self._take_masks(film, case_id, facts.shape)
        if film.void is not None:
            self._take_void(film, case_id, film.void, facts.shape)

    def _take_masks(self, film: Film, case_id: str, shape: Shape) -> None:
        for finding, source in film.masks.items():
            mask = self._mask(film, finding, source, shape)
            if mask is not None:
                self.store.put_mask(
                    case_id, finding, mask, reader=READER, tool="import"
                )
                shown = self.hidden.get(film.path, film.path)
                warning = mask_values.warn(mask, film.labels.get(finding))
                self.warnings += [f"{shown}, {finding!r}: {each}" for each in warning]

    def _take_void(
        self,
        film: Film,
        case_id: str,
        source: Callable[[Shape], Mask],
        shape: Shape,
    ) -> None:
        try:
            void = source(shape)
        except DataError as error:  # told with the masks of the same file
            shown = self.hidden.get(film.path, film.path)
            self.warnings.append(f"{shown}: its void is unknown ({error})")
            return
        if void.any():
            self.store.put_void(case_id, void)

    def _mask(
        self, film: Film, finding: str, source: MaskSource, shape: Shape
    ) -> Mask | None:
        if source is None:
            return mask_files.blank(shape)
        if isinstance(source, Path):
            source = (source,)
        if not callable(source):
            return self._of_files(film, finding, source, shape)
        name = f"{film.path}, mask of {finding!r}"
        try:
            mask = source(shape)
        except DataError as error:
            message = str(error)
        else:
            if isinstance(source, NotedMask):
                shown = self.hidden.get(film.path, film.path)
                for remark in source.remarks:
                    self.remarked.setdefault(remark, []).append(shown)
            return mask
        before = self.rejected[-1] if self.rejected else None
        # One file that is off may hold the masks of many findings.
        if before is None or (before.path.partition(", ")[0], before.reason) != (
            film.path,
            message,
        ):
            self.rejected.append(Rejected(name, message))
        return None

    def _of_files(
        self, film: Film, finding: str, files: Sequence[Path], shape: Shape
    ) -> Mask | None:
        """Return the union of mask files; one that is off costs that one alone."""
        shown = self.hidden.get(film.path, film.path)
        drawn: list[Mask] = []
        remarks: list[str] = []
        for file in files:
            try:
                mask = _guarded.mask(
                    file, shape, choice=self.plan.choice, remarks=remarks
                )
            except DataError as error:
                message = reason(file, error)
                self.rejected.append(Rejected(f"{finding}/{file.name}", message))
            else:
                drawn.append(mask)
        if len(drawn) > 1:
            remarks.append(f"{len(drawn)} masks, united")
        self.warnings += [f"{shown}, {finding!r}: {each}" for each in remarks]
        return np.asarray(np.logical_or.reduce(drawn)) if drawn else None


def _remark(remark: str, paths: Sequence[str]) -> str:
    if len(paths) <= _SHOWN:
        return f"{', '.join(paths)}: {remark}"
    return f"{paths[0]} and {len(paths) - 1} more: {remark}"


def _nothing_left(images: Path, rejected: Sequence[Rejected]) -> str:
    lines = [f"{images}: no film could be imported; nothing was made"]
    lines += [f"  {entry.path}: {entry.reason}" for entry in rejected[:10]]
    if len(rejected) > 10:
        lines.append(f"  and {len(rejected) - 10} more")
    return "\n".join(lines)
