"""Pixel targets of training films: expert masks, or a weak stage's, or none."""

from __future__ import annotations

import zlib
from collections.abc import Container, Generator, Iterable, Iterator, Mapping, Sequence
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

_UNKNOWN = -1


class Targets:
    """Masks at working size: a number for each film and finding, and what is drawn.

    Of a film of 512 × 512 with two masks of smooth outline that takes some 2 KiB.
    A pair of film and finding that was not `put` is unknown: no loss counts it. Nor
    does any count a film's pixels in `void`.

    Parameters
    ----------
    size
        Side of the square in pixels.
    n_findings
        Of the project.
    """

    def __init__(self, size: int, n_findings: int) -> None:
        self.size = size
        self.n_findings = n_findings
        self._areas = np.full((0, n_findings), _UNKNOWN, np.int32)
        self._masks: dict[int, bytes] = {}
        self._void: dict[int, bytes] = {}

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
        area = int(np.count_nonzero(mask))
        self._set(row, finding, area, _packed(mask) if area else None)

    def put_void(self, row: int, mask: NDArray[np.bool_]) -> None:
        """Let no loss count a film's pixels.

        Parameters
        ----------
        row
            The film's number.
        mask : (size, size) bool
            Letterboxed.
        """
        self._void[row] = _packed(mask)

    def add(
        self, other: Targets, findings: Container[int] | None = None, *, over: bool
    ) -> None:
        """Take over what another knows.

        Parameters
        ----------
        other
            Of the same size and findings.
        findings
            Only of these; ``None``: of all.
        over
            Whether that goes over what is known already.
        """
        for row, finding in other.pairs():
            wanted = findings is None or finding in findings
            if wanted and (over or not self.knows(row, finding)):
                packed = other._masks.get(other._key(row, finding))
                self._set(row, finding, int(other._areas[row, finding]), packed)

    def only(self, rows: Container[int]) -> Targets:
        """Return what is known of some films."""
        kept = Targets(self.size, self.n_findings)
        for row, finding in self.pairs():
            if row in rows:
                packed = self._masks.get(self._key(row, finding))
                kept._set(row, finding, int(self._areas[row, finding]), packed)
        kept._void = {row: mask for row, mask in self._void.items() if row in rows}
        return kept

    def shown(self) -> Targets:
        """Return the masks that show something; what is absent becomes unknown."""
        kept = Targets(self.size, self.n_findings)
        for row, finding in self.pairs():
            if packed := self._masks.get(self._key(row, finding)):
                area = int(self._areas[row, finding])
                kept._set(row, finding, area, packed)
        kept._void = dict(self._void)
        return kept

    def take(self, rows: Sequence[int]) -> Tensor:
        """Return (B, K, size, size) uint8 in {0, 1, 255}."""
        shape = (len(rows), self.n_findings, self.size, self.size)
        target = np.full(shape, IGNORE, np.uint8)
        for place, row in enumerate(rows):
            for finding in range(self.n_findings):
                if self.knows(row, finding):
                    packed = self._masks.get(self._key(row, finding))
                    target[place, finding] = self._unpacked(packed) if packed else 0
            if row in self._void:
                target[place, :, self._unpacked(self._void[row]) > 0] = IGNORE
        return torch.from_numpy(target)

    def knows(self, row: int, finding: int) -> bool:
        """Whether a film's mask of a finding is known, be it empty."""
        return row < len(self._areas) and self._areas[row, finding] != _UNKNOWN

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield film and finding of every known mask, film by film."""
        for row, finding in np.argwhere(self._areas != _UNKNOWN):
            yield int(row), int(finding)

    def rows(self) -> set[int]:
        """Return the films of which at least one finding is known."""
        return _set_of(np.asarray((self._areas != _UNKNOWN).any(1)))

    def positive_rows(self, finding: int | None = None) -> set[int]:
        """Return the films with a finding, or at least one, that is not empty."""
        areas = self._areas if finding is None else self._areas[:, [finding]]
        return _set_of(np.asarray((areas > 0).any(1)))

    def positive_weights(self, most: float = 20.0) -> list[float]:
        """Return, per finding, background pixels per finding pixel, at most `most`."""
        weights = []
        for areas in self._areas.T:
            known = areas[areas != _UNKNOWN]
            on = int(known.sum(dtype=np.int64))
            off = len(known) * self.size**2 - on
            weights.append(min(most, off / on) if on else 1.0)
        return weights

    def _set(self, row: int, finding: int, area: int, packed: bytes | None) -> None:
        if row >= len(self._areas):
            more = max(row + 1, 2 * len(self._areas)) - len(self._areas)
            room = np.full((more, self.n_findings), _UNKNOWN, np.int32)
            self._areas = np.concatenate([self._areas, room])
        self._areas[row, finding] = area
        self._masks.pop(self._key(row, finding), None)
        if packed is not None:
            self._masks[self._key(row, finding)] = packed

    def _key(self, row: int, finding: int) -> int:
        return row * self.n_findings + finding

    def _unpacked(self, packed: bytes) -> NDArray[np.uint8]:
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        return np.unpackbits(bits, count=self.size**2).reshape(self.size, self.size)


def _packed(mask: NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _set_of(rows: NDArray[np.bool_]) -> set[int]:
    return set(np.flatnonzero(rows).tolist())


def expert(
    project: Project,
    labels: Labels,
    rows: Iterable[int],
    size: int,
    *,
    reader: str | None = None,
) -> Targets:
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
    reader
        Whose masks; ``None``: those that count.
    """
    targets = Targets(size, len(labels.findings))
    annotated = project.annotated(reader=reader)
    for row in rows:
        case = labels.cases[row]
        if case.id not in annotated:
            continue
        for finding, mask in project.expert_masks(case.id, reader=reader).items():
            targets.put(
                row,
                labels.findings.index(finding),
                geometry.letterbox_mask(mask, size),
            )
        void = project.void(case.id)
        if void is not None:
            targets.put_void(row, geometry.letterbox_mask(void, size))
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
    *,
    reader: str | None = None,
) -> list[dict[str, Any]]:
    """Return what a run learns from these masks, for data.lock.json.

    Parameters
    ----------
    project, labels
        Open; and the films by number.
    targets, source
        Masks by film, and the run that they are of, or ``"expert"``.
    own
        Source of the findings that have one of their own.
    reader
        Whose expert masks; ``None``: those that count.
    """
    rows = []
    for row, k in targets.pairs():
        # A planted film is one of the project's, and more.
        case, finding = labels.cases[row].id.partition("+")[0], labels.findings[k]
        entry: dict[str, Any] = {
            "case": case,
            "finding": finding,
            "source": (own or {}).get(finding, source),
        }
        if source == "expert":
            latest = project.latest(case, finding, reader=reader)
            entry["mask"] = latest.mask_sha if latest else None
        rows.append(entry)
    return rows
