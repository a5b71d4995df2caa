"""The run lengths of the SIIM-ACR pneumothorax challenge.

Pixels are counted down the columns. A run is a pair: the gap since the end of the run
before, then its length. An empty mask is ``-1``. The challenge's own encoder drops a
run that reaches the last pixel; ours keeps it, and any decoder reads it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from napari_wsseg.export import formats
from napari_wsseg.io import atomic
from napari_wsseg.io.project import Project
from napari_wsseg.ops import run_lengths

encode = run_lengths.siim_encode
"""From a (H, W) mask to its run lengths."""

decode = run_lengths.siim_decode
"""From run lengths and a shape to the mask."""


@formats.register("siim_rle")
def write(project: Project, out: Path) -> list[Path]:
    """Write ``OUT/<finding>.csv`` with the header ``ImageId,EncodedPixels``."""
    rows: dict[str, list[tuple[str, str]]] = {}
    annotated = project.annotated()
    for case in project.cases():
        if case.id in annotated:
            for finding, mask in project.expert_masks(case.id).items():
                rows.setdefault(finding, []).append((case.name, encode(mask)))
    return [_csv(out / f"{finding}.csv", lines) for finding, lines in rows.items()]


def _csv(path: Path, lines: list[tuple[str, str]]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "EncodedPixels"])
    writer.writerows(lines)
    atomic.write(path, lambda file: file.write(text.getvalue().encode()))
    return path
