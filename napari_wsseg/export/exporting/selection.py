"""Which films and which expert masks an export is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

from napari_wsseg.export.exporting.dicom_codes import CodeTable
from napari_wsseg.export.exporting.items import Identity, Scope
from napari_wsseg.io.archives.archive_client import Archive
from napari_wsseg.io.project import Project
from napari_wsseg.schema import ACCEPTING, Annotation, Case, Mask, without_ending


class Selection:
    """The films of a project in a scope, each with the masks that are to be written.

    Parameters
    ----------
    project
        Open, on this thread.
    scope
        What to choose.
    identity
        What formats that can name a patient say of him.
    archive
        Where DICOM objects are stored, if not in files.
    """

    def __init__(
        self,
        project: Project,
        scope: Scope | None = None,
        identity: Identity = "de-identified",
        archive: Archive | None = None,
    ) -> None:
        self.project = project
        self.scope = scope or Scope()
        self.identity = identity
        self.archive = archive
        self.findings = tuple(finding.name for finding in project.findings)
        self._annotations: dict[str, dict[str, Annotation]] = {}

    @cached_property
    def cases(self) -> list[Case]:
        """Films that have an expert mask in scope, by path."""
        annotated = self.project.annotated(self.scope.split)
        decisions = self.project.decisions() if self.scope.accepted else {}
        return [
            self._agreeing(case)
            for case in self.project.cases(self.scope.split)
            if case.id in annotated
            and (not self.scope.accepted or _accepted(decisions, case))
            and (self.scope.reader is None or self.annotations(case))
        ]

    @cached_property
    def every_case(self) -> list[Case]:
        """All films of the project, with the labels that are to be written."""
        chosen = {case.id: case for case in self.cases}
        return [chosen.get(case.id, case) for case in self.project.cases()]

    def contradictions(self) -> Iterator[str]:
        """Yield, by film and finding, where a label does not fit the mask written.

        A finding that has pixels is written as present, whatever it is labelled.
        """
        labelled = {case.id: case.labels for case in self.project.cases()}
        for case in self.cases:
            for finding, one in self.annotations(case).items():
                label = labelled[case.id].get(finding)
                if one.area_px and label == 0:
                    yield (
                        f"{case.path}, {finding!r}: labelled absent, but its mask is "
                        "not empty: written as present; set the label, or empty the "
                        "mask"
                    )
                elif not one.area_px and label == 1:
                    yield (
                        f"{case.path}, {finding!r}: labelled present, but its mask is "
                        "empty: the label is written as it is"
                    )

    def _agreeing(self, case: Case) -> Case:
        """Return a film whose labels deny no mask that is written with them."""
        drawn = {f for f, one in self.annotations(case).items() if one.area_px}
        labels = {
            finding: 1 if finding in drawn and value == 0 else value
            for finding, value in case.labels.items()
        }
        return replace(case, labels=labels)

    @cached_property
    def codes(self) -> CodeTable:
        """What DICOM calls the findings."""
        return CodeTable(self.project)

    def annotations(self, case: Case) -> dict[str, Annotation]:
        """Return the versions that are written, by finding, in the project's order."""
        if case.id not in self._annotations:
            self._annotations[case.id] = self.project.expert_annotations(
                case.id, reader=self.scope.reader
            )
        return self._annotations[case.id]

    def masks(self, case: Case) -> dict[str, Mask]:
        """Return the (H, W) masks of those versions."""
        return {
            name: self.project.read_mask(one)
            for name, one in self.annotations(case).items()
        }

    def place(self, case: Case, ending: str) -> str:
        """Return a file name for a film: its path, with another ending.

        Sub-folders stay, and the old ending where two films differ in that alone, so
        that no two films meet.
        """
        stem = without_ending(case.path)
        return f"{case.path if self._bare[stem] > 1 else stem}{ending}"

    def name(self, case: Case) -> str:
        """Return the film's bare name, or its path where that is another's, too."""
        name = _name(case)
        if self._names[name] == 1:
            return name
        return self.place(case, "")

    @cached_property
    def _names(self) -> Counter[str]:
        return Counter(map(_name, self.project.cases()))

    @cached_property
    def _bare(self) -> Counter[str]:
        return Counter(without_ending(case.path) for case in self.project.cases())

    def unmarked(self) -> int:
        """Count the findings on films in scope that nobody has drawn or left empty."""
        drawn = sum(len(self.annotations(case)) for case in self.cases)
        return len(self.cases) * len(self.findings) - drawn

    def each(self) -> Iterator[tuple[Case, dict[str, Mask]]]:
        """Yield every film with its masks."""
        for case in self.cases:
            yield case, self.masks(case)


def _name(case: Case) -> str:
    return PurePosixPath(without_ending(case.path)).name


def _accepted(decisions: Mapping[str, object], case: Case) -> bool:
    return getattr(decisions.get(case.id), "verdict", None) in ACCEPTING
