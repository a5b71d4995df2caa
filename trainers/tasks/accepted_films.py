"""Films as their readers accept them: which may be learnt from, and in what order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_wsseg.io import runs
from napari_wsseg.io.files import row_files
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import ACCEPTING, Annotation, Decision
from trainers.data.batches import Labels

_BROUGHT = "import"
"""Tool of masks that were drawn elsewhere: they are whole without a verdict."""


@dataclass(eq=False)
class AcceptedFilms:
    """Training films whose masks are whole, asked for again and again.

    A film is one once its newest verdict accepts it; one without any verdict only if
    its masks were imported, as what is being drawn is kept before it is accepted.

    Parameters
    ----------
    project
        Open; another process may write to it meanwhile.
    labels
        Of its films; those that are added later are not seen.
    reader
        Whose masks and verdicts count; ``None``: those that count for all.
    """

    project: Project
    labels: Labels
    reader: str | None
    _seen: object = field(default=None, init=False)
    _known: dict[int, str] = field(default_factory=dict, init=False)

    def versions(self) -> Mapping[int, str]:
        """Return what masks there are, by film number, the last accepted last.

        A value says which versions they are and is another one when one is changed.
        """
        annotated = self.project.annotated("train", reader=self.reader)
        decisions = self.project.decisions(reader=self.reader)
        seen = (annotated, {case: one.id for case, one in decisions.items()})
        if seen != self._seen:
            self._seen, self._known = seen, self._read(annotated, decisions)
        return self._known

    def _read(
        self, annotated: Mapping[str, object], decisions: Mapping[str, Decision]
    ) -> dict[int, str]:
        found: dict[int, tuple[int, str]] = {}
        for row in self.labels.split("train"):
            case_id = self.labels.cases[row].id
            if case_id not in annotated:
                continue
            versions = self.project.expert_annotations(case_id, reader=self.reader)
            decision = decisions.get(case_id)
            if _is_whole(decision, versions.values()):
                place = decision.id if decision else 0
                found[row] = (
                    place,
                    _name((name, one.mask_sha) for name, one in versions.items()),
                )
        return {row: found[row][1] for row in sorted(found, key=lambda r: found[r][0])}


def _is_whole(decision: Decision | None, versions: Iterable[Annotation]) -> bool:
    if decision is None:
        return all(one.tool == _BROUGHT for one in versions)
    return decision.verdict in ACCEPTING


def _name(masks: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{finding}={sha}" for finding, sha in sorted(masks))


def learnt_by(project: Path, run: str, labels: Labels) -> dict[int, str]:
    """Return the expert masks that a run has learnt, as `AcceptedFilms` tells them.

    Nothing of a run that kept no list, as one that was imported.

    Parameters
    ----------
    project
        The project's folder.
    run
        Id of a run.
    labels
        Of the project's films.
    """
    lock = runs.find(project, run).path / "data.lock.json"
    masks: dict[str, list[tuple[str, str]]] = {}
    try:
        for entry in row_files.read(lock, {str: object}):
            if entry.get("source") == "expert" and entry.get("mask"):
                case = masks.setdefault(str(entry.get("case")), [])
                case.append((str(entry.get("finding")), str(entry["mask"])))
    except DataError:
        return {}
    numbers = {case_id: row for row, case_id in enumerate(labels.ids)}
    return {
        numbers[case_id]: _name(of_case)
        for case_id, of_case in masks.items()
        if case_id in numbers
    }
