"""Two readers are compared when both are done, and not before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from helpers.noise_project import blob
from napari_wsseg.cli import main
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline import agreement


@pytest.fixture
def unread(tmp_path: Path) -> Iterator[Project]:
    with Project.open(noise_project.make_project(tmp_path), write=True) as project:
        yield project


def draw(project: Project, film: int, reader: str, at: int | None = None) -> None:
    """Let a reader draw one square, or nothing, and be done."""
    case_id = project.cases()[film].id
    if at is not None:
        mask = blob(at=at).astype(bool)
        project.put_mask(case_id, "nodule", mask, reader=reader)
    project.decide(case_id, "accept with edits", reader=reader)


def test_a_film_counts_when_both_are_done(unread: Project) -> None:
    case_id = unread.cases()[0].id
    mask = blob().astype(bool)
    for reader in ("ann", "bea"):
        unread.put_mask(case_id, "nodule", mask, reader=reader)
    unread.decide(case_id, "accept", reader="ann")
    assert agreement.double_read(unread) == {}
    unread.decide(case_id, "flag", reader="bea")
    assert agreement.double_read(unread) == {}
    unread.decide(case_id, "accept", reader="bea")
    assert agreement.double_read(unread) == {case_id: ("ann", "bea")}
    unread.decide(case_id, "reopen", reader="ann")
    assert agreement.double_read(unread) == {}


def test_figures_of_two_readers(unread: Project) -> None:
    draw(unread, 0, "ann", at=10)
    draw(unread, 0, "bea", at=12)
    draw(unread, 1, "ann", at=10)
    draw(unread, 1, "bea")
    draw(unread, 2, "ann")
    draw(unread, 2, "bea")
    report = agreement.report(unread)
    assert report["n_double_read"] == 3
    (pair,) = report["pairs"]
    assert (pair["readers"], pair["n_films"]) == (["ann", "bea"], 3)
    row = pair["findings"]["nodule"]
    assert row["n"] == 2
    assert row["dice"] == pytest.approx((2 * 36 / 128 + 0) / 2)
    assert row["hd95_mm"] is None
    assert row["hd95_px"] == pytest.approx(2 * 2**0.5, abs=1)
    assert row["n_hd95_px"] == 1
    # Yes/no of three films: both, ann alone, neither.
    assert row["n_kappa"] == 3
    assert row["kappa"] == pytest.approx(0.4)
    assert [one["film"] for one in report["disagreements"]] == ["film0", "film1"]
    assert agreement.disagreement(unread)[unread.cases()[1].id] == 1


def test_who_began_with_the_others_mask_is_counted_but_not_compared(
    unread: Project,
) -> None:
    draw(unread, 0, "ann", at=10)
    case_id = unread.cases()[0].id
    first = unread.latest(case_id, "nodule", reader="ann")
    unread.put_mask(
        case_id, "nodule", blob(at=11).astype(bool), reader="bea", parent=first.id
    )
    unread.decide(case_id, "accept", reader="bea")
    row = agreement.report(unread)["pairs"][0]["findings"]["nodule"]
    assert (row["n"], row["n_borrowed"], row["dice"], row["kappa"]) == (
        0,
        1,
        None,
        None,
    )


def test_a_rejected_film_is_counted_apart(unread: Project) -> None:
    draw(unread, 0, "ann", at=10)
    unread.decide(unread.cases()[0].id, "reject", reader="bea")
    (pair,) = agreement.report(unread)["pairs"]
    assert pair["n_rejected"] == 1
    assert pair["findings"]["nodule"]["n"] == 0


def test_an_adjudicator_is_no_third_reader_and_ends_the_disagreement(
    unread: Project,
) -> None:
    draw(unread, 1, "ann", at=10)
    draw(unread, 1, "bea")
    draw(unread, 1, "cleo", at=10)
    case_id = unread.cases()[1].id
    assert len(agreement.report(unread)["pairs"]) == 3
    final = unread.latest(case_id, "nodule", reader="cleo")
    unread.readers.settle(case_id, "nodule", final, actor="cleo")
    report = agreement.report(unread)
    assert [pair["readers"] for pair in report["pairs"]] == [["ann", "bea"]]
    assert report["disagreements"] == []
    assert report["n_adjudicated"] == 1
    assert agreement.disagreement(unread) == {}


def test_the_command_tells_people_and_programs(
    unread: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["agreement", "-p", str(unread.folder), "--json"]
    assert main(arguments) == 0
    empty = capsys.readouterr()
    assert json.loads(empty.out)["pairs"] == []
    assert "--blind" in empty.err
    draw(unread, 0, "ann", at=10)
    draw(unread, 0, "bea", at=10)
    assert main(arguments) == 0
    output = capsys.readouterr()
    row = json.loads(output.out)["pairs"][0]["findings"]["nodule"]
    assert row["dice"] == 1
    assert row["hd95_px"] == 0
    assert "ann – bea" in output.err
    assert np.isfinite(row["dice"])
