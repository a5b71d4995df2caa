"""Pixel targets of training films: expert masks, or a weak stage's, or none."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline import infer, label_conditioned_masks
from napari_wsseg.schema import IGNORE, StageSettings
from trainers.data.batches import Labels
from trainers.engine.recipe import Context, recipes

#: A finding that is known to be absent from the whole film.
_EMPTY = None


@dataclass(slots=True)
class Targets:
    """Masks at working size, packed eight pixels to the byte.

    A pair of film and finding that is not in `packed` is unknown: no loss counts it.
    Nor does any count a film's pixels in `void`.
    """

    size: int
    n_findings: int
    packed: dict[tuple[int, int], NDArray[np.uint8] | None] = field(
        default_factory=dict
    )
    void: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def put(self, row: int, finding: int, mask: NDArray[np.bool_]) -> None:
        """Set the mask of a film and finding; an empty one says that it is absent.

        Parameters
        ----------
        row
            The film's number.
        finding
            Its place in the project's findings, from 0.
        mask : (size, size) bool
            Letterboxed.
        """
        whole = np.packbits(mask) if mask.any() else _EMPTY
        self.packed[row, finding] = whole

    def take(self, rows: Sequence[int]) -> Tensor:
        """Return (B, K, size, size) uint8 in {0, 1, 255}."""
        shape = (len(rows), self.n_findings, self.size, self.size)
        target = np.full(shape, IGNORE, np.uint8)
        for place, row in enumerate(rows):
            for finding in range(self.n_findings):
                if (row, finding) not in self.packed:
                    continue
                packed = self.packed[row, finding]
                target[place, finding] = (
                    0 if packed is None else np.unpackbits(packed).reshape(shape[2:])
                )
            if row in self.void:
                nobody = np.unpackbits(self.void[row]).reshape(shape[2:])
                target[place, :, nobody > 0] = IGNORE
        return torch.from_numpy(target)

    def rows(self) -> set[int]:
        """Return the films of which at least one finding is known."""
        return {row for row, _ in self.packed}

    def positive_rows(self) -> set[int]:
        """Return the films with at least one finding that is not empty."""
        return {row for (row, _), packed in self.packed.items() if packed is not None}

    def positive_weights(self, most: float = 20.0) -> list[float]:
        """Return, per finding, background pixels per finding pixel, at most `most`."""
        weights = []
        for finding in range(self.n_findings):
            masks = [p for (_, k), p in self.packed.items() if k == finding]
            on = sum(int(np.unpackbits(p).sum()) for p in masks if p is not None)
            off = len(masks) * self.size**2 - on
            weights.append(min(most, off / on) if on else 1.0)
        return weights


def expert(project: Project, labels: Labels, rows: Iterable[int], size: int) -> Targets:
    """Return the newest expert mask of every finding drawn on these films.

    Parameters
    ----------
    project
        Open.
    labels
        Of all its films.
    rows
        Film numbers; those without an expert mask stay unknown.
    size
        Side of the letterboxed square in pixels.
    """
    targets = Targets(size, len(labels.findings))
    annotated = project.annotated()
    for row in rows:
        case = labels.cases[row]
        if case.id not in annotated:
            continue
        for finding, mask in project.expert_masks(case.id).items():
            targets.put(
                row,
                labels.findings.index(finding),
                geometry.letterbox_mask(mask, size),
            )
        void = project.void(case.id)
        if void is not None:
            targets.void[row] = np.packbits(geometry.letterbox_mask(void, size))
    return targets


def weak(
    context: Context,
    labels: Labels,
    rows: Sequence[int],
    size: int,
    stage: str,
    run: str,
    device: str,
) -> Generator[Progress, None, Targets]:
    """Return masks cut from a stage's maps, conditioned on image-level labels.

    A finding that the label says is absent is empty; one that it says is present is
    the stage's mask, with its gate open; an unknown one stays unknown, and so does a
    present one of which the stage shows nothing.

    Parameters
    ----------
    context
        Whose project has the run; it may be cancelled on the way.
    labels
        Of all its films.
    rows
        Film numbers.
    size
        Side of the letterboxed square in pixels.
    stage, run
        Whose maps are cut; they are computed first where they are missing.
    device
        What computes them, e.g. ``"auto"`` or ``"cpu"``.

    Returns
    -------
    Targets
        Without any mask if it was cancelled before the stage was through.

    Raises
    ------
    DataError
        If the stage has lost a film, or cannot be computed.
    """
    yield from infer.infer(
        context.project, stage, run, device=device, cancel=context.cancel
    )
    settings = stages.read_settings(context.project.folder, stage, run)
    targets = Targets(size, len(labels.findings))
    if settings is None:  # cancelled before the stage was through
        return targets
    for row in rows:
        _put_weak(context.project, labels, row, targets, stage, run, settings)
    return targets


def _put_weak(
    project: Project,
    labels: Labels,
    row: int,
    targets: Targets,
    stage: str,
    run: str,
    settings: StageSettings,
) -> None:
    maps = stages.read(project.folder, stage, run, labels.cases[row].id)
    if maps is None:
        raise DataError(f"stage {stage} of run {run} lost {labels.cases[row].path}")
    label = [
        int(one) if one in (0, 1) else None for one in labels.targets[row].tolist()
    ]
    shape = labels.cases[row].shape
    found = label_conditioned_masks(maps, settings, shape, label, size=targets.size)
    for k, known in enumerate(label):
        if known == 0 or (known == 1 and found[k].any()):
            targets.put(row, k, found[k])


def in_use(project: Project, stage: str, run: str) -> str:
    """Return `run`, or the run in use for `stage` where it is empty.

    Parameters
    ----------
    project
        Open.
    stage
        A stage that runs are adopted for.
    run
        Id of a run, taken as it is; or empty.

    Raises
    ------
    DataError
        If no run is in use for that stage.
    """
    found = run or project.adopted(stage)
    if not found:
        raise DataError(
            f"no run is in use for the stage {stage}; first run: "
            f"wsseg train {_maker(stage)} -p {project.folder}"
        )
    return found


def _maker(stage: str) -> str:
    """Return the recipe to make a stage by: one that people judge before others."""
    makers = [recipes[name] for name in recipes if stage in recipes[name].stages]
    return min(makers, key=lambda one: (not one.judged_by, one.place)).name


def lock_rows(
    project: Project,
    labels: Labels,
    targets: Targets,
    source: str,
    own: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return what a run learns from these masks, for data.lock.json.

    Parameters
    ----------
    own
        Source of the findings that have one of their own.
    """
    rows = []
    for row, k in targets.packed:
        # A planted film is one of the project's, and more.
        case, finding = labels.cases[row].id.partition("+")[0], labels.findings[k]
        entry: dict[str, Any] = {
            "case": case,
            "finding": finding,
            "source": (own or {}).get(finding, source),
        }
        if source == "expert":
            latest = project.latest(case, finding)
            entry["mask"] = latest.mask_sha if latest else None
        rows.append(entry)
    return rows
