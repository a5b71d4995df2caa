"""What every export format keeps to, and every way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.export_project import SHAPE, make_project
from napari_wsseg import export, jobs
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.export import Scope, formats, importers, reading_back, writing
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

NO_OVERLAP = {"indexed_png", "nnunet"}
"""Formats that say no where findings overlap."""


@pytest.fixture
def parted(tmp_path: Path) -> Iterator[Project]:
    with make_project(tmp_path / "parted", overlap=False) as made:
        yield made


def drawn(project: Project, reader: str) -> dict[tuple[str, str], bytes]:
    """Return the pixels of a reader's masks by film and finding."""
    return {
        (case.path, finding.name): project.read_mask(mask).tobytes()
        for case in project.cases()
        for finding in project.findings
        if (mask := project.latest(case.id, finding.name, reader=reader))
    }


@pytest.mark.parametrize("name", formats.names())
def test_a_format_names_every_file_that_it_wrote(
    parted: Project, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    planned = writing.export(parted, name, out, dry_run=True)
    assert planned.dry_run
    assert not out.exists(), "a dry run writes nothing"
    summary = writing.export(parted, name, out)
    assert summary.files
    assert summary.files == planned.files
    assert sorted(summary.files) == sorted(p for p in out.rglob("*") if p.is_file())
    assert (summary.cases, summary.masks) == (7, 14)
    assert export.summary(name).endswith(".")


@pytest.mark.parametrize("name", formats.names())
def test_a_format_refuses_a_place_it_cannot_write_to(
    project: Project, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="out"):
        writing.export(project, name, tmp_path / "out")


@pytest.mark.parametrize("name", importers.names())
@pytest.mark.parametrize("overlap", [True, False])
def test_masks_come_back_to_the_pixel(tmp_path: Path, name: str, overlap: bool) -> None:
    """Empty, full, first and last pixel, a ring, a diagonal, noise; not square."""
    with make_project(tmp_path, overlap=overlap) as project:
        if name in NO_OVERLAP and overlap:
            with pytest.raises(DataError, match="overlap"):
                writing.export(project, name, tmp_path / "out")
            return
        writing.export(project, name, tmp_path / "out")
        steps = reading_back.steps(project, name, tmp_path / "out", reader="bea")
        taken = jobs.finish(steps)
        assert (taken.masks, taken.rejected) == (14, ())
        assert drawn(project, "bea") == drawn(project, "ann")


def test_a_scope_chooses_split_reader_and_decision(
    project: Project, tmp_path: Path
) -> None:
    def count(scope: Scope) -> tuple[int, int]:
        found = writing.export(project, "png", tmp_path / "o", scope, dry_run=True)
        return found.cases, found.masks

    case = project.cases()[0]
    project.put_mask(case.id, "mass", np.ones(SHAPE, bool), reader="cyd")
    project.decide(case.id, "accept", reader="cyd")
    project.decide(project.cases()[1].id, "reject", reader="cyd")
    assert count(Scope()) == (7, 14)
    assert count(Scope(split="val")) == (3, 6)
    assert count(Scope(reader="cyd")) == (1, 1)
    assert count(Scope(reader="ann")) == (7, 14)
    assert count(Scope(accepted=True)) == (1, 2)
    with pytest.raises(DataError, match="no expert mask is in scope"):
        count(Scope(reader="nobody"))


def test_an_export_that_is_stopped_leaves_whole_files(
    project: Project, tmp_path: Path
) -> None:
    steps = writing.steps(project, "png", tmp_path / "out")
    for _ in range(3):
        next(steps)
    steps.close()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert 1 < len(files) < 15
    assert not [path for path in files if path.suffix == ".tmp"]


def test_what_fits_no_film_or_finding_is_named_and_the_rest_taken(
    project: Project, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    writing.export(project, "png", out)
    (out / "mass" / "ward" / "full.png").rename(out / "mass" / "ward" / "what.png")
    (out / "nodule").rename(out / "lump")
    taken = jobs.finish(reading_back.steps(project, "png", out, reader="bea"))
    assert taken.masks == 6
    assert len(taken.rejected) == 1 + 7
    assert any("what" in line for line in taken.rejected)
    assert any("lump" in line for line in taken.rejected)


def test_an_export_as_png_can_be_imported_again(
    project: Project, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    writing.export(project, "png", out)
    report = import_folder(tmp_path / "again", project.images, out / "labels.csv", out)
    assert (report.imported, report.rejected) == (7, ())
    with Project.open(report.project) as again:
        assert again.findings == project.findings
        assert again.cases() == project.cases()
        assert drawn(again, "import") == drawn(project, "ann")
