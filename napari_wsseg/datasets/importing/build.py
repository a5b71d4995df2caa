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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from napari_wsseg.datasets.importing.decoding import decoded
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.datasets.importing.resume import Resumed
from napari_wsseg.io import film_names as names
from napari_wsseg.io import images as image_files
from napari_wsseg.io.external import mask_files, mask_values
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.film_facts import Facts, reason
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import settings
from napari_wsseg.io.project_folder.writer_lock import WriterLock
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Case, Mask, Split

READER = "import"
"""Whose expert masks those of the data set are."""

_SHOWN = 5
"""Films that a remark names one by one; of more it names the first."""

Shape: TypeAlias = tuple[int, int]

MaskSource: TypeAlias = Path | Sequence[Path] | Callable[[Shape], Mask] | None
"""A mask file, or several that are united; what draws the mask of a film of a shape, or
``None``, known to be absent in every pixel."""


@dataclass(frozen=True, slots=True)
class Film:
    """One film to import.

    Parameters
    ----------
    path
        Relative to the image folder, POSIX.
    masks
        By finding.
    void
        Pixels that the source leaves to nobody: no loss and no figure counts them.
    """

    path: str
    labels: Mapping[str, int | None]
    split: Split
    masks: Mapping[str, MaskSource] = field(default_factory=dict)
    void: Callable[[Shape], Mask] | None = None


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
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while the project is made; return the report.

    With `colour`, networks are to see the pictures' red, green and blue. Without
    `lateral`, films that say they are lateral views are left out. With `hide`, the
    project has other names for the films, see `napari_wsseg.io.film_names`. `choice`
    says how mask files are read that do not speak for themselves.

    Raises
    ------
    DataError
        The folder is in use, the disk is full, or no film can be read.
    """
    folder = Path(folder).absolute()
    check_free(folder)
    _sweep(folder)
    growing = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    left_out, remarks = list(rejected), list(warnings)
    hidden = names.hide([film.path for film in films]) if hide else None
    key = ""
    resumed = Resumed(folder)
    stopped = True
    try:
        with Project.create(
            growing,
            findings=findings,
            images=images,
            name=folder.name,
            colour=colour,
            hidden=hidden,
        ) as project:
            key = project.films.key
            growth = _Growth(
                project,
                left_out,
                remarks,
                lateral=lateral,
                hidden=hidden or {},
                choice=choice,
            )
            with project.transaction():
                yield from growth.run(films, resumed)
                project.audit(READER, "import", {"cases": growth.imported})
        _take_place(growing, folder)
        stopped = False
        key_file = names.key_file(key) if key else None
    except Exception:
        stopped = False
        raise
    finally:
        _forget_key(growing)
        resumed.close(keep=stopped)
        shutil.rmtree(growing, ignore_errors=True)
    return ImportReport(
        folder,
        growth.imported,
        tuple(left_out),
        tuple(remarks),
        key_file=key_file,
    )


def _sweep(folder: Path) -> None:
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
            names.forget(key)


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


@dataclass(slots=True)
class _Growth:
    """A project while films are put into it."""

    project: Project
    rejected: list[Rejected]
    warnings: list[str]
    lateral: bool = True
    hidden: Mapping[str, str] = field(default_factory=dict)
    choice: Choice = PLAIN
    known: dict[str, str] = field(default_factory=dict)
    remarked: dict[str, list[str]] = field(default_factory=dict)

    @property
    def imported(self) -> int:
        return len(self.known)

    def run(
        self, films: Sequence[Film], resumed: Resumed
    ) -> Generator[Progress, None, None]:
        by_path = {film.path: film for film in films}
        results = decoded(self.project.images, list(by_path), resumed)
        with closing(results):
            for step, (path, facts) in enumerate(results, start=1):
                self._take(by_path[path], facts)
                yield Progress(step, len(films), "reading films")
        self.warnings += [
            _remark(remark, paths) for remark, paths in self.remarked.items()
        ]
        if not self.known:
            raise DataError(_nothing_left(self.project.images, self.rejected))

    def _take(self, film: Film, facts: Facts | str) -> None:
        if isinstance(facts, str):
            self.rejected.append(Rejected(film.path, facts))
            return
        if facts.lateral and not self.lateral:
            words = "a lateral view, left out; --set lateral=yes takes them"
            self.rejected.append(Rejected(film.path, words))
            return
        case_id = facts.uid[:16]
        twin = self.known.get(case_id)
        if twin is not None:
            same = f"the same pixels as {twin}, which was imported"
            self.rejected.append(Rejected(film.path, same))
            return
        self.known[case_id] = film.path
        shown = self.hidden.get(film.path, film.path)
        self.project.add_case(
            Case(
                id=case_id,
                path=shown,
                shape=facts.shape,
                spacing_mm=facts.spacing_mm,
                split=film.split,
                labels=film.labels,
            )
        )
        for remark in facts.remarks:
            if not (self.project.colour and remark == image_files.LUMINANCE):
                self.remarked.setdefault(remark, []).append(shown)
        self._take_masks(film, case_id, facts.shape)
        if film.void is not None:
            self._take_void(film, case_id, film.void, facts.shape)

    def _take_masks(self, film: Film, case_id: str, shape: Shape) -> None:
        for finding, source in film.masks.items():
            mask = self._mask(film, finding, source, shape)
            if mask is not None:
                self.project.put_mask(
                    case_id, finding, mask, reader=READER, tool="import"
                )
                shown = self.hidden.get(film.path, film.path)
                words = mask_values.warn(mask, film.labels.get(finding))
                self.warnings += [f"{shown}, {finding!r}: {each}" for each in words]

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
            self.project.put_void(case_id, void)

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
            return source(shape)
        except DataError as error:
            words = str(error)
        before = self.rejected[-1] if self.rejected else None
        # One file that is off may hold the masks of many findings.
        if before is None or (before.path.partition(", ")[0], before.reason) != (
            film.path,
            words,
        ):
            self.rejected.append(Rejected(name, words))
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
                mask = mask_files.read(file, shape, choice=self.choice, remarks=remarks)
            except DataError as error:
                words = reason(file, error)
                self.rejected.append(Rejected(f"{finding}/{file.name}", words))
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
