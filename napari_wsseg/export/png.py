"""One 1-bit PNG a finding and film, and ``labels.csv``: what ``wsseg init`` reads.

An empty mask is written too: it says that the reader saw nothing, which a missing file
does not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from napari_wsseg.export import formats
from napari_wsseg.io import _masks, atomic
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case


@formats.register("png")
def write(project: Project, out: Path) -> list[Path]:
    """Write ``OUT/<finding>/<film>.png`` and ``OUT/labels.csv``.

    Films keep their sub-folders, so that no two masks meet.
    """
    annotated = project.annotated()
    cases = project.cases()
    written = [_labels(project, cases, out)]
    for case in cases:
        if case.id in annotated:
            written += _case(project, case, out)
    return written


def _case(project: Project, case: Case, out: Path) -> Iterable[Path]:
    film = PurePosixPath(case.path).with_suffix(".png")
    for finding, mask in project.expert_masks(case.id).items():
        path, data = out / finding / film, _masks.encode(mask)
        atomic.write(path, lambda file, data=data: file.write(data))  # type: ignore[misc]
        yield path


def _labels(project: Project, cases: Iterable[Case], out: Path) -> Path:
    names = [finding.name for finding in project.findings]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *names, "split"])
    for case in cases:
        values = [case.labels.get(name) for name in names]
        writer.writerow(
            [case.path, *("" if v is None else v for v in values), case.split]
        )
    path = out / "labels.csv"
    atomic.write(path, lambda file: file.write(text.getvalue().encode()))
    return path
