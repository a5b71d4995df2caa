"""What is drawn on: the saved mask with every open stroke on it, or nothing.

Painting on anything else would lead away from strokes that the disk still has.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case, Mask


@dataclass(slots=True, eq=False)
class Ground:
    """The masks of one case as the disk has them.

    Parameters
    ----------
    masks : each (H, W) bool
        By finding; of findings that have a saved mask or open strokes.
    open_strokes
        Findings with open strokes of the reader who draws.
    unclear
        Findings whose mask cannot be rebuilt, and why.
    """

    masks: dict[str, Mask] = field(default_factory=dict)
    open_strokes: set[str] = field(default_factory=set)
    unclear: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_case(
        cls,
        project: Project,
        case: Case,
        versions: Mapping[str, Annotation],
        scope: str | None,
        drawing: str,
    ) -> Self:
        """Read the masks of a case; of one that is lost, the last that is not.

        Parameters
        ----------
        project, case
            Open to read, and one of its cases.
        versions
            The saved mask of each finding that is shown; findings without one are
            missing.
        scope
            Whose masks and strokes are read; ``None``: everybody's.
        drawing
            The reader who draws, whose strokes go before anybody else's.
        """
        ground, strokes = cls(), _open_strokes(project, case.id, scope)
        for finding in (found.name for found in project.findings):
            drawn_by = strokes.get(finding, [])
            if drawing in drawn_by:
                ground.open_strokes.add(finding)
            version = versions.get(finding)
            if version is None and not drawn_by:
                continue
            try:
                mask = _rebuilt(project, version, case.id, finding, drawn_by, drawing)
            except DataError as error:
                ground.unclear[finding] = str(error)
                mask = _last_readable(project, case, finding, scope)
            ground.masks[finding] = mask
        return ground


def _open_strokes(
    project: Project, case_id: str, scope: str | None
) -> dict[str, list[str]]:
    """Return who has open strokes on a case, by finding; of a final mask, nobody."""
    final = project.readers.settled(case_id).get(case_id, {})
    found: dict[str, list[str]] = {}
    for case, finding, reader, _ in project.journal.pending():
        if case == case_id and scope in (None, reader) and finding not in final:
            found.setdefault(finding, []).append(reader)
    return found


def _rebuilt(
    project: Project,
    version: Annotation | None,
    case_id: str,
    finding: str,
    drawn_by: list[str],
    drawing: str,
) -> Mask:
    if drawn_by:
        return project.journal.recover(
            case_id, finding, drawing if drawing in drawn_by else drawn_by[-1]
        )
    assert version is not None
    return project.read_mask(version)


def _last_readable(
    project: Project, case: Case, finding: str, scope: str | None
) -> Mask:
    for version in reversed(project.history(case.id, finding, reader=scope)):
        with suppress(DataError):
            return project.read_mask(version)
    return np.zeros(case.shape, bool)
