"""Somebody else's predictions as the maps of a stage, made by a run without weights.

They are drafts, as a network's of ours are: shown, compared, evaluated, never an
expert's. Probabilities stay what they are, so that thresholds can move; masks are
probabilities of 0 and 1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg import recipe_facts
from napari_wsseg.export import Found, Note, importers, reading_back
from napari_wsseg.export.exporting import external_masks
from napari_wsseg.io import runs, stages
from napari_wsseg.io.external.mask_values import PLAIN, SOFT, Choice
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError
from napari_wsseg.ops import geometry
from napari_wsseg.recipe_facts import RecipeFacts
from napari_wsseg.schema import ANATOMY, STAGES, Case, StageMaps, StageSettings

NPZ = "npz"
"""The format that only drafts come in: arrays of probabilities, a file a film."""

SIDE = 1024
"""Longest side at which maps are kept; films that are smaller keep every pixel."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,39}")
_ASPECT = 0.02
_ARRAYS = "napari_wsseg.export.exporting.npz_drafts:drawings"


@dataclass(frozen=True, slots=True)
class TakenDraft:
    """What an import of drafts took.

    Parameters
    ----------
    run
        Id of the run that stands for them.
    films, findings
        How many films have a draft, and of which findings.
    without
        Paths of films that the file says nothing of.
    """

    run: str
    films: int
    findings: tuple[str, ...]
    without: tuple[str, ...]
    rejected: tuple[str, ...]
    warnings: tuple[str, ...]


def formats() -> list[str]:
    """Return what drafts can come in."""
    return sorted({*importers.names(), NPZ})


def steps(
    project: Project,
    name: str,
    path: Path,
    *,
    called: str,
    stage: str = "segmentation",
    finding: str | None = None,
    outputs: Sequence[str] = (),
    choice: Choice | None = None,
    missing_is_empty: bool = False,
) -> Generator[Progress, None, TakenDraft]:
    """Yield progress while predictions become maps of a run; nothing is adopted.

    Parameters
    ----------
    project, path
        Open to write; and the file or folder of predictions.
    name
        One of `formats`.
    called
        What the other program is called: letters, digits, ``_`` and ``.``.
    stage
        The stage that the maps stand for.
    finding
        Of which finding they are, where the file does not say.
    outputs
        What each channel of an array stands for, ``-`` for one that is not wanted.
    choice
        How values become masks; ``None``: what are no masks are probabilities.
    missing_is_empty
        Whether films that the file says nothing of are drafts without a finding.

    Raises
    ------
    UsageError
        The name cannot be a run's, or is a recipe's of ours.
    DataError
        Nothing in the file fits a film, or its values are no probabilities.
    """
    check_name(called, stage)
    with _read(project, name, path, outputs, choice) as each:
        located = reading_back.locate(project, each, finding)
        return (
            yield from _take(project, path, located, called, stage, missing_is_empty)
        )


def _take(
    project: Project,
    path: Path,
    located: reading_back.Located,
    called: str,
    stage: str,
    missing_is_empty: bool,
) -> Generator[Progress, None, TakenDraft]:
    findings = tuple(
        one.name
        for one in project.findings
        if any(named == one.name for _, named in located.groups)
    )
    if not findings:
        why = "; ".join(located.rejected[:3]) or "there is none"
        raise DataError(f"no draft in {path} fits a film of this project ({why})")
    cases = located.cases
    wanted = {case_id for case_id, _ in located.groups}
    without = [case for case in cases.values() if case.id not in wanted]
    chosen = [*wanted, *(c.id for c in without)] if missing_is_empty else [*wanted]
    # Nothing is written before something can be read: no empty run is left behind.
    folder: runs.RunFolder | None = None
    warnings: list[str] = []
    done = 0
    for case in sorted((cases[one] for one in chosen), key=lambda one: one.path):
        read = _film(located, case, findings, warnings)
        if case.id in wanted and not read:
            without.append(case)
            continue
        folder = folder or new_run(project, called, stage, findings, path)
        maps = _maps(case, findings, read)
        stages.write(project.folder, stage, folder.id, case.id, maps)
        done += 1
        yield Progress(done, len(chosen), "taking drafts")
    if folder is None:
        why = "; ".join(located.rejected[:3])
        raise DataError(f"no draft in {path} can be read ({why})")
    _finish(project, folder, stage, findings)
    return TakenDraft(
        folder.id,
        done,
        findings,
        () if missing_is_empty else tuple(sorted(case.path for case in without)),
        tuple(located.rejected),
        tuple(warnings),
    )


def check_name(called: str, stage: str) -> None:
    """Check that a run of drafts can be called so.

    Raises
    ------
    UsageError
    """
    if not _NAME.fullmatch(called):
        raise UsageError(
            f"{called!r} cannot name a run; take letters, digits, _ and . (up to 40)"
        )
    if called in recipe_facts.every():
        raise UsageError(
            f"{called!r} is a recipe of this program; name the one that made the drafts"
        )
    if stage not in (*STAGES, ANATOMY):
        raise UsageError(f"no stage {stage!r}; there are: {', '.join(STAGES)}")


def _read(
    project: Project,
    name: str,
    path: Path,
    outputs: Sequence[str],
    choice: Choice | None,
) -> AbstractContextManager[Iterator[Found | Note]]:
    if name == NPZ:
        names = [finding.name for finding in project.findings]
        return external_masks.opened_by(_ARRAYS, path, str(path), names, [*outputs])
    if outputs:
        raise UsageError(f"{name}: names its findings itself; --findings is for npz")
    if choice is not None and not reading_back.choices(name):
        raise UsageError(
            f"{name}: says itself what a mask is; there is nothing to --set"
        )
    soft = SOFT if reading_back.choices(name) else PLAIN
    return external_masks.opened(name, path, choice or soft)


def _film(
    located: reading_back.Located,
    case: Case,
    findings: Sequence[str],
    warnings: list[str],
) -> dict[str, NDArray[np.float32]]:
    read = {name: _united(located, case, name, warnings) for name in findings}
    return {name: one for name, one in read.items() if one is not None}


def _united(
    located: reading_back.Located, case: Case, finding: str, warnings: list[str]
) -> NDArray[np.float32] | None:
    """Return the highest of what is said of a film and finding, ``None`` if nothing."""
    read = []
    for one in located.groups.get((case.id, finding), ()):
        try:
            read.append(_of_film(one, case))
        except DataError as error:
            located.rejected.append(str(error))
        warnings += [f"{one.film}, {finding!r}: {each}" for each in one.remarks]
    return np.maximum.reduce(read) if read else None


def _of_film(found: Found, case: Case) -> NDArray[np.float32]:
    """Return probabilities at the film's size; those of another size are scaled."""
    try:
        return np.asarray(found.mask(case.shape), np.float32)
    except DataError:
        values = np.asarray(found.mask(None), np.float32)
        if not _alike(values.shape, case.shape):
            raise
    found.remarks.append(f"scaled from {values.shape[0]} × {values.shape[1]}")
    factors = [film / own for film, own in zip(case.shape, values.shape, strict=True)]
    scaled = ndimage.zoom(values, factors, order=1, mode="nearest", grid_mode=True)
    return np.asarray(scaled.clip(0, 1), np.float32)


def _alike(shape: tuple[int, ...], film: tuple[int, int]) -> bool:
    """Whether a map has the proportions of its film."""
    if len(shape) != 2 or shape == film:
        return False
    return abs(shape[0] * film[1] / (shape[1] * film[0]) - 1) <= _ASPECT


def _maps(
    case: Case, findings: Sequence[str], drawn: Mapping[str, NDArray[np.float32]]
) -> StageMaps:
    side = min(SIDE, max(case.shape))
    nothing = np.zeros((side, side), np.float32)
    score = np.stack(
        [
            geometry.letterbox(drawn[name], side) if name in drawn else nothing
            for name in findings
        ]
    )
    present = score.max((1, 2)).astype(np.float32)
    return StageMaps(score, present)


def new_run(
    project: Project, called: str, stage: str, findings: tuple[str, ...], path: Path
) -> runs.RunFolder:
    """Begin a run without weights for what another program made of a stage.

    Parameters
    ----------
    project, called
        Open to write; and that program.
    stage, findings
        The stage that its maps stand for, and what they show, in order.
    path
        What it was read from; its name and digest are kept.
    """
    facts = RecipeFacts(
        name=called,
        title=f"{called} (drafts)",
        stages=(stage,),
        summary="predictions of another program",
    )
    origin: dict[str, Any] = {"file": path.name, "stage": stage}
    if path.is_file():
        with path.open("rb") as file:
            origin["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    folder = runs.new(
        *(project.folder, called, {}),
        findings=findings,
        notes={"draft": origin},
        facts=facts,
    )
    folder.begin()
    return folder


def _finish(
    project: Project, folder: runs.RunFolder, stage: str, findings: tuple[str, ...]
) -> None:
    count = len(findings)
    settings = StageSettings(findings, (0.5,) * count, (0.0,) * count)
    stages.write_settings(project.folder, stage, folder.id, settings)
    folder.end("done", metrics={}, seconds=0.0)
