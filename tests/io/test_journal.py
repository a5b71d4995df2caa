"""Strokes: none is lost, none is invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.small_project import CASE, SHAPE, blot, new_project
from napari_wsseg.io.index import database as _database
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store, strokes
from napari_wsseg.jobs import DataError

BLANK = np.zeros(SHAPE, bool)


def test_strokes_are_replayed_on_the_newest_mask(project: Project) -> None:
    start, middle, end = blot(), blot() | blot(20), blot(20)
    project.put_mask(CASE, "nodule", start, reader="ann")
    project.journal.record(CASE, "nodule", "ann", start, middle)
    project.journal.record(CASE, "nodule", "ann", middle, end)
    assert project.journal.pending() == [(CASE, "nodule", "ann", 2)]
    with Project.open(project.folder) as beside:
        np.testing.assert_array_equal(
            beside.journal.recover(CASE, "nodule", "ann"), end
        )


def test_without_strokes_the_newest_mask_is_recovered(project: Project) -> None:
    np.testing.assert_array_equal(project.journal.recover(CASE, "nodule", "ann"), BLANK)
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), blot()
    )


def test_folding_makes_one_version_and_empties_the_journal(project: Project) -> None:
    first = project.put_mask(CASE, "nodule", blot(), reader="ann")
    project.journal.record(CASE, "nodule", "ann", blot(), blot(8))
    folded = project.journal.fold(CASE, "nodule", "ann", source_run="run-1")
    assert folded is not None
    assert (folded.version, folded.parent, folded.tool) == (2, first.id, "brush")
    assert folded.source_run == "run-1"
    np.testing.assert_array_equal(project.read_mask(folded), blot(8))
    assert project.journal.pending() == []
    assert project.journal.fold(CASE, "nodule", "ann") is None


def test_a_draft_laid_in_before_the_first_stroke_is_kept(project: Project) -> None:
    draft = blot(20)
    project.journal.record(CASE, "nodule", "ann", draft, draft | blot())
    assert project.journal.pending() == [(CASE, "nodule", "ann", 1)]
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), draft | blot()
    )


def test_an_undo_that_was_not_told_does_not_break_the_chain(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project.journal.record(CASE, "nodule", "ann", BLANK, blot(20))
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), blot(20)
    )


def test_a_draft_erased_altogether_is_saved_as_empty(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", blot(), BLANK)
    folded = project.journal.fold(CASE, "nodule", "ann")
    assert folded is not None
    assert folded.area_px == 0


def test_strokes_that_were_all_undone_claim_nothing(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project.journal.record(CASE, "nodule", "ann", blot(), BLANK)
    assert project.journal.fold(CASE, "nodule", "ann") is None
    assert project.annotated() == {}
    assert project.journal.pending() == []


def test_readers_and_findings_do_not_mix(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project.journal.record(CASE, "effusion", "ann", BLANK, blot(9))
    project.journal.record(CASE, "nodule", "ben", BLANK, blot(20))
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ben"), blot(20)
    )
    project.journal.drop(CASE, "nodule", "ann")
    assert {(f, r) for _, f, r, _ in project.journal.pending()} == {
        ("effusion", "ann"),
        ("nodule", "ben"),
    }


def test_a_mask_saved_in_between_leaves_the_strokes_base(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project.put_mask(CASE, "nodule", blot(20), reader="ann")
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), blot()
    )


def test_a_damaged_stroke_is_told(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project.close()
    database = _database.Database(project.folder / "index.sqlite", readonly=False)
    database.run("UPDATE strokes SET flips = x'00'")
    database.close()
    with (
        Project.open(project.folder, write=True) as again,
        pytest.raises(DataError, match="damaged"),
    ):
        again.journal.fold(CASE, "nodule", "ann")


@pytest.mark.parametrize(
    "box",
    [
        *[(-1, 0, 3, 3), (0, -1, 3, 3), (38, 0, 3, 3), (0, 28, 3, 3), (0, 0, 0, 3)],
        *[(0, 0, 3, 0), (0, 0, 41, 3), (0, 0, 3, 31), (40, 30, 1, 1)],
    ],
)
def test_a_stroke_whose_box_is_not_on_the_film_is_never_unpacked(
    project: Project, box: tuple[int, int, int, int]
) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project._database.run(
        "UPDATE strokes SET y = ?, x = ?, height = ?, width = ?", *box
    )
    with pytest.raises(DataError, match="is not on the film"):
        project.journal.recover(CASE, "nodule", "ann")


def test_a_stroke_over_the_whole_film_is_kept(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, ~BLANK)
    recovered = project.journal.recover(CASE, "nodule", "ann")
    np.testing.assert_array_equal(recovered, ~BLANK)


@pytest.mark.parametrize(
    ("finding", "reader", "shape"),
    [("heart", "ann", SHAPE), ("nodule", " ", SHAPE), ("nodule", "ann", (30, 40))],
)
def test_a_stroke_that_could_not_be_saved_is_refused_at_once(
    project: Project, finding: str, reader: str, shape: tuple[int, int]
) -> None:
    blank = np.zeros(shape, bool)
    with pytest.raises(DataError):
        project.journal.record(CASE, finding, reader, blank, ~blank)
    assert project.journal.pending() == []


def test_strokes_of_a_finding_that_is_no_longer_one_stay_open(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project._database.run("UPDATE strokes SET finding = 'heart'")
    with pytest.raises(DataError, match="no finding 'heart'"):
        project.journal.fold(CASE, "heart", "ann")
    assert project.journal.pending() == [(CASE, "heart", "ann", 1)]


def test_a_lost_mask_without_strokes_is_told_and_not_guessed(project: Project) -> None:
    version = project.put_mask(CASE, "nodule", blot(), reader="ann")
    mask_store.place(project.folder, CASE, "nodule", version.mask_sha).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        project.journal.recover(CASE, "nodule", "ann")


def test_another_mask_on_screen_is_no_ground_for_strokes(project: Project) -> None:
    version = project.put_mask(CASE, "nodule", blot(), reader="ann")
    project.journal.record(CASE, "nodule", "ann", blot(), blot(8))
    mask_store.place(project.folder, CASE, "nodule", version.mask_sha).unlink()
    before = sorted(project.folder.rglob("*"))
    with pytest.raises(DataError, match="cannot be read"):
        project.journal.fold(CASE, "nodule", "ann", shown=blot(20))
    assert sorted(project.folder.rglob("*")) == before
    assert project.journal.pending() == [(CASE, "nodule", "ann", 1)]


def test_strokes_on_a_lost_mask_lie_on_that_mask_made_again(project: Project) -> None:
    project.put_mask(CASE, "nodule", blot(20), reader="ann")
    version = project.put_mask(CASE, "nodule", blot(), reader="ann")
    file = mask_store.place(project.folder, CASE, "nodule", version.mask_sha)
    file.unlink()
    project.journal.record(CASE, "nodule", "ann", blot(), blot(8))
    assert file.is_file()
    row = project._database.row("SELECT count(*), min(base), sum(bridge) FROM strokes")
    assert row is not None
    assert tuple(row) == (1, version.id, 0)


def test_strokes_beside_a_lost_mask_lie_on_a_blank(project: Project) -> None:
    version = project.put_mask(CASE, "nodule", blot(), reader="ann")
    file = mask_store.place(project.folder, CASE, "nodule", version.mask_sha)
    kept = file.read_bytes()
    file.write_bytes(b"damaged")
    project.journal.record(CASE, "nodule", "ann", blot(20), blot(8))
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), blot(8)
    )
    file.write_bytes(kept)  # found again, it is no ground of theirs
    np.testing.assert_array_equal(
        project.journal.recover(CASE, "nodule", "ann"), blot(8)
    )


@settings(max_examples=15, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**31), min_size=1, max_size=6),
    journalled=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_any_strokes_lead_to_what_the_reader_last_saw(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[int], journalled: list[bool]
) -> None:
    with new_project(tmp_path_factory.mktemp("journal")) as project:
        now = BLANK
        for seed, kept in zip(seeds, journalled, strict=False):
            after = np.random.default_rng(seed).random(SHAPE) < 0.1
            if kept:
                project.journal.record(CASE, "nodule", "ann", now, after)
            now = after
        project.journal.record(CASE, "nodule", "ann", now, ~now)
        np.testing.assert_array_equal(
            project.journal.recover(CASE, "nodule", "ann"), ~now
        )


def test_a_stroke_keeps_only_what_it_changed(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot(5, 4, 6, 7))
    with Project.open(project.folder):
        database = _database.Database(project.folder / "index.sqlite", readonly=True)
    row = database.row("SELECT y, x, height, width FROM strokes")
    database.close()
    assert row is not None
    assert tuple(row) == (5, 4, 6, 7)
    assert strokes.StrokeKey(CASE, "nodule", "ann") == (CASE, "nodule", "ann")


def test_strokes_that_lead_elsewhere_are_told(project: Project) -> None:
    project.journal.record(CASE, "nodule", "ann", BLANK, blot())
    project._database.run("UPDATE strokes SET x = x + 1")
    with pytest.raises(DataError, match="do not fit"):
        project.journal.recover(CASE, "nodule", "ann")
    project.journal.drop(CASE, "nodule", "ann")
    assert project.journal.fold(CASE, "nodule", "ann") is None
