"""The project: one folder that holds cases, expert masks, decisions and their story.

Pixels of masks are plain files; an SQLite index says whose they are. A mask is on disk
before its row is, so no row ever points at nothing. Images are never copied.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, film_names
from napari_wsseg.io.images import read as read_radiograph
from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index import cases as _cases
from napari_wsseg.io.index import database as _database
from napari_wsseg.io.index import decisions as _decisions
from napari_wsseg.io.index import film_words as _film_words
from napari_wsseg.io.index.cases import CaseColumns, CaseKind
from napari_wsseg.io.index.labels import LabelStore
from napari_wsseg.io.index.readers import ReaderStore
from napari_wsseg.io.index.work import WorkLog
from napari_wsseg.io.project_folder import expert_masks as _expert_masks
from napari_wsseg.io.project_folder import fsck as _fsck
from napari_wsseg.io.project_folder import links as _links
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.io.project_folder import relink as _relink
from napari_wsseg.io.project_folder import settings as _settings
from napari_wsseg.io.project_folder import void_pixels as _void_pixels
from napari_wsseg.io.project_folder.journal import Journal
from napari_wsseg.io.project_folder.writer_lock import ProjectLocked as ProjectLocked
from napari_wsseg.io.project_folder.writer_lock import WriterLock
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import (
    STAGES,
    Annotation,
    Case,
    Decision,
    Mask,
    Radiograph,
    Verdict,
)

INDEX = "index.sqlite"


class Project:
    """An open project, used from the thread that opened it.

    Make one with `create` or `open`, and use it in a ``with`` block or `close` it.
    Every method that writes raises `DataError` when the project is read-only, the disk
    is full or the index damaged; what was there before is then unchanged.
    """

    def __init__(
        self,
        folder: Path,
        settings: _settings.Settings,
        database: _database.Database,
        lock: WriterLock | None,
    ) -> None:
        self.folder = folder
        self.name = settings.name
        self.findings = settings.findings
        self.colour = settings.colour
        self.places = settings.places
        self.prior = settings.prior
        self._settle(settings)
        self.readonly = lock is None
        self._database = database
        self._lock = lock
        self._names = tuple(finding.name for finding in settings.findings)
        self.journal = Journal(database, folder, self._names)
        self.labels = LabelStore(database, self._names)
        self.readers = ReaderStore(database)
        self.work_log = WorkLog(database)

    @functools.cached_property
    def synthetic(self) -> bool:
        """Whether the project's words or a film's path say that it was generated."""
        text = f"{self.name} {self.folder} {self.images}".lower()
        return "synthetic" in text or _cases.any_path_has(self._database, "synthetic")

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        findings: Sequence[str],
        images: Path,
        name: str | None = None,
        colour: bool = False,
        hidden: Mapping[str, str] | None = None,
    ) -> Self:
        """Make a new project in `folder`, which must be new or empty, and open it.

        Parameters
        ----------
        folder, name
            Where, and what it is called; by default as the folder.
        findings
            Their names, in order.
        images
            Folder of the films, which are left where they lie.
        colour
            Let networks see the red, green and blue of a picture instead of its greys.
        hidden
            A film's path to what the project calls it: paths are then kept in a key
            file outside the project; see `napari_wsseg.io.film_names`.

        Raises
        ------
        DataError
            The folder is in use or cannot be written to, or a finding's name is off.
        """
        folder = Path(folder)
        coloured = _settings.coloured(findings)
        try:
            if folder.exists() and any(folder.iterdir()):
                raise DataError(f"{folder}: not empty; name a new folder")
            atomic.make_folder(folder.absolute())
        except OSError as error:
            raise DataError(f"{folder}: cannot be made ({error.strerror})") from error
        stored = _settings.stored_images(folder, Path(images))
        _database.create(folder / INDEX)
        key = "" if hidden is None else film_names.new_key()
        settings = _settings.Settings(
            name or folder.name, "" if key else stored, coloured, colour=colour, key=key
        )
        # The key's name first: a key file that no project names would be an orphan.
        _settings.write(folder, settings)
        if hidden is not None:
            film_names.write(key, stored, {new: old for old, new in hidden.items()})
        return cls.open(folder, write=True)

    @classmethod
    def open(
        cls, folder: Path, *, write: bool = False, plan: Path | None = None
    ) -> Self:
        """Open a project, to read or as its one writer.

        Parameters
        ----------
        folder
            The project's.
        write
            Be its one writer.
        plan
            A `write_plan` to read instead of the index.

        Raises
        ------
        ProjectLocked
            Another writer has it.
        DataError
            Not a project, made by a newer version, or damaged.
        """
        folder = Path(folder)
        settings = _settings.read(folder)
        if write:
            _links.check(folder)
        lock = WriterLock(folder) if write else None
        if lock:
            _mask_store.remove_leftovers(folder)
        try:
            database = _database.Database(
                plan or folder / INDEX,
                readonly=not write,
                frozen=plan is not None,
                check=lock.presence.check if lock else lambda: None,
            )
        except BaseException:
            if lock:
                lock.release()
            raise
        project = cls(folder, settings, database, lock)
        if write and _relink.is_under_way(settings):
            try:
                project._finish_hiding()
            except BaseException:
                project.close()
                raise
        return project

    def close(self) -> None:
        """Close the project and give the right to write back; may be called twice."""
        self._database.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside lands together, or nothing."""
        with self._database.transaction():
            yield

    def write_plan(self, path: Path) -> None:
        """Write what jobs on other machines read of the index: it needs no lock.

        Raises
        ------
        DataError
            The disk is full or gone.
        """
        self._database.copy_to(path)

    # Cases -------------------------------------------------------------------------

    def add_case(self, case: Case) -> None:
        """Enter a new case."""
        _cases.insert(self._database, case, self._names)

    def cases(self, split: str | None = None) -> list[Case]:
        """Return the cases of a split, or all, ordered by path."""
        return _cases.select(self._database, self._names, split)

    def n_cases(self, split: str | None = None) -> int:
        """Count the cases of a split, or all."""
        return _cases.count(self._database, split)

    def case_ids(self, split: str | None = None) -> list[str]:
        """Return the ids of the cases of a split, or all, ordered by path."""
        return _cases.ids(self._database, split)

    def some_cases(self, case_ids: Sequence[str]) -> dict[str, Case]:
        """Return some hundreds of cases by id, those that there are."""
        return _cases.some(self._database, self._names, case_ids)

    def case_columns(self) -> CaseColumns:
        """Return ids, splits and labels of all cases, ordered by path."""
        return _cases.columns(self._database, self._names)

    def case_kinds(self) -> list[CaseKind]:
        """Count the cases by split, labels and whether they have an expert mask."""
        return _cases.kinds(self._database, self._names)

    def search(self, terms: Sequence[str], *, labels: bool = True) -> set[str]:
        """Return the ids of the cases that hold every word, in small letters or large.

        Parameters
        ----------
        terms
            Each anywhere in a path, a split or the name of a finding that is present.
        labels
            Whether findings are looked at.
        """
        found = self.search_numbers(terms, labels=labels)
        return {f"{number:016x}" for number in found.tolist()}

    def search_numbers(
        self, terms: Sequence[str], *, labels: bool = True
    ) -> NDArray[np.uint64]:
        """Return `search` as numbers, rising: an id is 64 bits in hexadecimal."""
        return _film_words.find(self._database, self._names, terms, labels=labels)

    def case(self, case_id: str) -> Case:
        """Return one case; `DataError` if there is none of that id."""
        return _cases.one(self._database, self._names, case_id)

    def image_path(self, case: Case) -> Path:
        """Return where the case's radiograph lies.

        Raises
        ------
        DataError
            Its name is hidden and the key file is not here.
        """
        return self.films.place(case.path)

    def radiograph(self, case: Case) -> Radiograph:
        """Read the case's radiograph.

        Raises
        ------
        DataError
            The file is missing, cannot be read, or no longer holds these pixels.
        """
        try:
            radiograph = read_radiograph(self.image_path(case))
        except DataError as error:
            message = self.films.without(str(error), case.path)
            if isinstance(error.__cause__, FileNotFoundError):
                message += (
                    "; if the films were moved: wsseg names --images FOLDER "
                    f"-p {self.folder}"
                )
            raise DataError(message) from error
        if not radiograph.uid.startswith(case.id):
            raise DataError(
                f"{self.films.shown_path(case.path)}: its pixels are no longer "
                f"those of case {case.id}; put the original file back"
            )
        return radiograph

    def hide_names(self) -> None:
        """Take the films' file names out of the project, into a key file outside.

        Raises
        ------
        DataError
            They are hidden already.
        """
        if self._lock:
            self._lock.presence.check()
        _relink.hide(self._database, self.folder, self.settings, self.cases())
        self._settle(_settings.read(self.folder))

    def texts(self) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield each table of the index with every text in it."""
        tables = self._database.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        )
        for table in (str(row["name"]) for row in tables):
            rows = self._database.rows(f'SELECT * FROM "{table}"')
            yield table, (v for row in rows for v in tuple(row) if isinstance(v, str))

    def _finish_hiding(self) -> None:
        self._settle(
            _relink.finish(self._database, self.folder, self.settings, self.cases())
        )

    def find_films(self, place: Path) -> Generator[Progress, None, list[Case]]:
        """Yield progress while the films are looked for in `place`, by their pixels.

        Returns those that are not there; raises `DataError` if none is.
        """
        if self._lock:
            self._lock.presence.check()
        missing = yield from _relink.find(
            self._database, self.folder, self.settings, self.cases(), place
        )
        self._settle(_settings.read(self.folder))
        return missing

    def set_prior(self, prior: str) -> None:
        """Keep all findings to one place, see `settings.Settings.prior`.

        Raises
        ------
        DataError
            The project cannot be written.
        """
        if self._lock:
            self._lock.presence.check()
        self._settle(_settings.set_prior(self.folder, prior))
        self.prior = prior

    def _settle(self, settings: _settings.Settings) -> None:
        """Take over where the films lie."""
        self.settings = settings
        films = film_names.read(settings.key, self.folder) if settings.key else None
        # Stopped before the key file was written, a hiding has not begun.
        if films is not None and (films.found or not settings.images):
            self.films = films
        else:
            images = Path(os.path.abspath(self.folder / settings.images))
            self.films = film_names.Names(images)
        self.images = self.films.images

    # Expert masks ------------------------------------------------------------------

    def put_mask(
        self,
        case_id: str,
        finding: str,
        mask: Mask,
        *,
        reader: str,
        tool: str = "",
        parent: int | None = None,
        source_run: str | None = None,
    ) -> Annotation:
        """Save a (H, W) bool mask as the next version of this reader's.

        The same pixels as the newest version make no new one.

        Parameters
        ----------
        case_id, finding, reader
            Whose mask, of what, on which film.
        mask : (H, W) bool
            In the film's own pixels.
        tool
            How it was made, e.g. ``"brush"``, ``"import"``, ``"from irnet"``.
        parent
            Row id of the annotation it was made from, or ``None``.
        source_run
            Run whose draft it started from, or ``None``.

        Raises
        ------
        DataError
            Another shape than the film's, an unknown finding, a full disk.
        """
        case = self.case(case_id)
        _expert_masks.check(case, self._names, finding, reader, mask)
        return _expert_masks.save(
            self._database,
            self.folder,
            case,
            finding,
            mask,
            reader=reader,
            tool=tool,
            parent=parent,
            source_run=source_run,
        )

    def withdraw(self, annotation: Annotation, *, actor: str, reason: str) -> None:
        """Take a version out of use; its row and its mask stay on disk.

        Parameters
        ----------
        annotation, actor, reason
            The version, who takes it out and why.
        """
        entry = {"annotation": annotation.id, "reason": reason}
        with self.transaction():
            _annotations.withdraw(self._database, annotation.id, reason)
            self.audit(actor, "withdraw", entry)

    def latest(
        self, case_id: str, finding: str, *, reader: str | None = None
    ) -> Annotation | None:
        """Return the newest version of one reader, or, of all, the one that counts.

        A mask that an adjudicator made final (`settle`) counts before newer ones.

        Parameters
        ----------
        case_id, finding
            The case's 16 hexadecimal digits and the finding's name.
        reader
            Whose version; ``None``: the one that counts.
        """
        return _annotations.latest(self._database, case_id, finding, reader)

    def history(
        self, case_id: str, finding: str, *, reader: str | None = None
    ) -> list[Annotation]:
        """Return every version, oldest first.

        Parameters
        ----------
        case_id, finding
            The case's 16 hexadecimal digits and the finding's name.
        reader
            Whose versions; ``None``: everybody's.
        """
        return _annotations.history(self._database, case_id, finding, reader)

    def read_mask(self, annotation: Annotation) -> Mask:
        """Read an annotation's (H, W) mask; `DataError` if it is lost or damaged."""
        mask = _mask_store.read(
            self.folder, annotation.case, annotation.finding, annotation.mask_sha
        )
        shape = self.case(annotation.case).shape
        if mask.shape != shape:
            raise DataError(
                f"case {annotation.case}: a mask of {annotation.finding!r} is "
                f"{mask.shape}, the film {shape}; restore the mask from a backup"
            )
        return mask

    def expert_annotations(
        self, case_id: str, *, reader: str | None = None
    ) -> dict[str, Annotation]:
        """Return what `latest` returns of each finding, in the project's order."""
        found = _annotations.latest_by_finding(self._database, case_id, reader)
        return {name: found[name] for name in self._names if name in found}

    def expert_masks(
        self, case_id: str, *, reader: str | None = None
    ) -> dict[str, Mask]:
        """Return the mask that counts of each annotated finding, in order.

        With `reader`, the newest of that reader; of the others nothing is read.
        """
        found = self.expert_annotations(case_id, reader=reader)
        return {name: self.read_mask(version) for name, version in found.items()}

    def annotated_findings(
        self, case_id: str, *, reader: str | None = None
    ) -> tuple[str, ...]:
        """Return which findings of a case have an expert mask, of a reader or any."""
        found = _annotations.findings_of_case(self._database, case_id, reader)
        return tuple(name for name in self._names if name in found)

    def annotated(
        self, split: str | None = None, *, reader: str | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Return which findings have an expert mask, of a reader or any, by case id."""
        found = _annotations.findings_of_cases(self._database, split, reader)
        return {
            case_id: tuple(name for name in self._names if name in names)
            for case_id, names in found.items()
        }

    def undeclared(self) -> dict[str, int]:
        """Return findings that have expert masks but are not in ``wsseg.toml``.

        With the number of films; such a finding was taken out of the file by hand.
        """
        found: dict[str, int] = {}
        drawn = _annotations.findings_of_cases(self._database, None)
        for of_case in drawn.values():
            for name in of_case:
                if name not in self._names:
                    found[name] = found.get(name, 0) + 1
        return dict(sorted(found.items()))

    def put_void(self, case_id: str, mask: Mask) -> None:
        """Keep which (H, W) pixels of a case nobody decided about.

        Raises `DataError` for another shape than the film's, or a full disk.
        """
        if self._lock:
            self._lock.presence.check()
        _void_pixels.write(self.folder, self.case(case_id), mask)

    def void(self, case_id: str) -> Mask | None:
        """Return a case's void pixels (H, W), or ``None`` if it has none."""
        return _void_pixels.read(self.folder, case_id)

    # Decisions and adoptions -------------------------------------------------------

    def decide(
        self,
        case_id: str,
        verdict: Verdict,
        *,
        reader: str,
        confidence: int | None = None,
        comment: str = "",
        seconds: float | None = None,
        finding: str | None = None,
    ) -> Decision:
        """Enter a reader's verdict; a later one replaces it without erasing it.

        Parameters
        ----------
        case_id, verdict, reader
            Who says what about which film.
        confidence
            1 (low) to 3 (high), or ``None``.
        comment
            Empty for none.
        seconds
            Since the film was shown, or ``None``.
        finding
            The one finding that it is about; ``None``: the film as a whole.

        Raises
        ------
        DataError
            No such case, verdict or finding.
        """
        self.case(case_id)
        if finding is not None and finding not in self._names:
            known = ", ".join(self._names)
            raise DataError(f"no finding {finding!r}; there are: {known}")
        about = {"finding": finding} if finding else {}
        with self.transaction():
            decision = _decisions.insert(
                self._database,
                case_id=case_id,
                verdict=verdict,
                reader=reader,
                confidence=confidence,
                comment=comment,
                seconds=seconds,
                finding=finding,
            )
            entry = {"case": case_id, "verdict": verdict, **about}
            self.audit(reader, "decision", entry)
        return decision

    def undo_decision(self, decision: Decision, *, actor: str) -> None:
        """Take a decision back: what held before it holds again."""
        entry = {"case": decision.case, "decision": decision.id}
        with self.transaction():
            _decisions.undo(self._database, decision, actor)
            self.audit(actor, "undo decision", entry)

    def decision(self, case_id: str, *, reader: str | None = None) -> Decision | None:
        """Return the decision on a case that holds, of one reader or of any."""
        return _decisions.newest(self._database, case_id, reader)

    def decisions(self, *, reader: str | None = None) -> dict[str, Decision]:
        """Return the decision that holds, of one reader or of any, by case id."""
        return _decisions.newest_of_all(self._database, reader)

    def decided(self, reader: str) -> list[str]:
        """Return the ids of the cases that a reader has decided on and not reopened."""
        return _decisions.decided(self._database, reader)

    def readings(self, *, at_least: int = 1) -> dict[str, dict[str, Decision]]:
        """Return every reader's own decision that holds, by case id and reader.

        Of cases alone on which `at_least` so many readers have decided.
        """
        return _decisions.newest_of_readers(self._database, at_least)

    def finding_decisions(
        self, case_id: str, *, reader: str | None = None
    ) -> dict[str, Decision]:
        """Return the decision that holds on single findings of a case, by finding."""
        return _decisions.newest_of_findings(self._database, case_id, reader)

    def adopt(self, stage: str, run_id: str, *, actor: str) -> None:
        """Let `stage` show `run_id` from now on.

        Parameters
        ----------
        stage
            One of `napari_wsseg.schema.STAGES`, or ``"anatomy"``.
        run_id
            Taken as it is: that the run exists is not checked.
        actor
            Reader or program that decides it.

        Raises
        ------
        DataError
            There is no such stage.
        """
        with self.transaction():
            _decisions.adopt(self._database, stage, run_id, actor)
            self.audit(actor, "adopt", {"stage": stage, "run": run_id})

    def adopted(self, stage: str) -> str | None:
        """Return the run that `stage` shows, or ``None``."""
        return _decisions.adopted(self._database, stage)

    def runs_in_use(self) -> dict[str, str]:
        """Return the run that each stage shows, in the stages' order; none: missing."""
        return {stage: run for stage in STAGES if (run := self.adopted(stage))}

    def adoptions(self) -> list[tuple[str, str, str]]:
        """Return stage, run and time of every adoption, oldest first."""
        return _decisions.adoptions(self._database)

    def runs_used_first(self) -> dict[str, str]:
        """Return the run that each stage showed first, in the stages' order."""
        first: dict[str, str] = {}
        for stage, run, _ in self.adoptions():
            first.setdefault(stage, run)
        return {stage: first[stage] for stage in STAGES if stage in first}

    def adopted_before(self, stage: str) -> str | None:
        """Return the run that `stage` showed before this one, or ``None``."""
        return _decisions.adopted_before(self._database, stage)

    # Trust ---------------------------------------------------------------------------

    def add_reader(self, name: str) -> None:
        """Enter a reader in ``wsseg.toml``; one who is known already is not doubled."""
        if self.readonly:
            raise DataError(f"{self.folder}: opened read-only; open it for writing")
        if self._lock:
            self._lock.presence.check()
        self.settings = _settings.add_reader(self.folder, name)

    def audit(self, actor: str, action: str, payload: Mapping[str, object]) -> None:
        """Add a row to the audit trail.

        Parameters
        ----------
        actor
            Reader or program in whose name it was done.
        action
            In a word or two, e.g. ``"import"``, ``"undo decision"``.
        payload
            JSON values, nobody's identity among them.
        """
        _audit.append(self._database, actor, action, payload)

    @cached_property
    def secret(self) -> str:
        """A number that no one without the index knows, the same at all times.

        It is what the audit trail begins with, which holds the moment at which the
        project was made.
        """
        return _audit.beginning(self._database)

    def verify_audit(self) -> None:
        """Check the audit trail; `DataError` names the first row that is off."""
        _audit.verify(self._database)

    def fsck(self, repair: bool = False) -> list[str]:
        """Return what is wrong with the project, in words; `repair` what can be."""
        return _fsck.problems(
            self._database, self.folder, self.films, self.cases(), repair=repair
        )
