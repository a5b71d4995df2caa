"""What a project promises: versions, order, one writer, a readable refusal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.small_project import CASE, SHAPE, blot, new_project, write_png
from napari_wsseg.io import images
from napari_wsseg.io.project import Project, ProjectLocked
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import PALETTE, Case


def test_a_case_comes_back_as_it_was_entered(project: Project) -> None:
    case = project.case(CASE)
    assert case.path == "a/film.png"
    assert case.shape == SHAPE
    assert case.spacing_mm == (0.2, 0.1)
    assert case.labels == {"nodule": 1, "effusion": None}
    assert project.cases("train") == [case]
    assert project.cases("test") == []


def test_findings_take_the_palette_in_order(project: Project) -> None:
    assert [f.name for f in project.findings] == ["nodule", "effusion"]
    assert [f.colour for f in project.findings] == list(PALETTE[:2])


def test_cases_are_ordered_by_path(project: Project) -> None:
    for number, path in enumerate(["b.png", "a/0.png", "a/z.png"]):
        project.add_case(Case(f"{number:016d}", path, SHAPE, None, "val", {}))
    assert [c.path for c in project.cases()] == [
        "a/0.png",
        "a/film.png",
        "a/z.png",
        "b.png",
    ]


def test_labels_that_are_not_named_stay(project: Project) -> None:
    project.labels.put(CASE, {"effusion": -1})
    assert project.case(CASE).labels == {"nodule": 1, "effusion": -1}
    project.labels.put(CASE, {"nodule": None})
    assert project.case(CASE).labels == {"nodule": None, "effusion": -1}


@pytest.mark.parametrize("labels", [{"fracture": 1}, {"nodule": 2}])
def test_a_label_that_cannot_be_is_refused(
    project: Project, labels: dict[str, int]
) -> None:
    with pytest.raises(DataError, match=r"fracture|label 2"):
        project.labels.put(CASE, labels)


@pytest.mark.parametrize(
    "mask", [np.zeros(SHAPE, bool), np.ones(SHAPE, bool), blot(39, 29, 1, 1), blot()]
)
def test_a_mask_comes_back_pixel_for_pixel(project: Project, mask: np.ndarray) -> None:
    annotation = project.put_mask(CASE, "nodule", mask, reader="ann", tool="brush")
    assert annotation.area_px == mask.sum()
    assert annotation.version == 1
    np.testing.assert_array_equal(project.read_mask(annotation), mask)


def test_a_mask_file_is_a_one_bit_png_named_by_its_content(project: Project) -> None:
    sha = project.put_mask(CASE, "nodule", blot(), reader="ann").mask_sha
    path = project.folder / "masks" / CASE / "nodule" / f"{sha}.png"
    with Image.open(path) as image:
        assert image.mode == "1"


def test_the_same_pixels_make_no_new_version(project: Project) -> None:
    first = project.put_mask(CASE, "nodule", blot(), reader="ann")
    assert project.put_mask(CASE, "nodule", blot(), reader="ann") == first
    assert project.put_mask(CASE, "nodule", blot(1), reader="ann").version == 2
    assert project.put_mask(CASE, "nodule", blot(), reader="ann").version == 3


def test_the_newest_mask_over_readers_is_the_expert_mask(project: Project) -> None:
    project.put_mask(CASE, "nodule", blot(1), reader="ann")
    ben = project.put_mask(CASE, "nodule", blot(2), reader="ben")
    assert ben.version == 1
    assert project.latest(CASE, "nodule") == ben
    np.testing.assert_array_equal(project.expert_masks(CASE)["nodule"], blot(2))
    assert project.latest(CASE, "nodule", reader="ann") != ben
    assert len(project.history(CASE, "nodule")) == 2
    assert len(project.history(CASE, "nodule", reader="ann")) == 1


def test_annotated_tells_findings_in_the_projects_order(project: Project) -> None:
    assert project.annotated() == {}
    project.put_mask(CASE, "effusion", blot(), reader="ann")
    project.put_mask(CASE, "nodule", blot(), reader="ann")
    assert project.annotated() == {CASE: ("nodule", "effusion")}
    assert project.annotated("test") == {}


def test_an_empty_expert_mask_is_an_annotation(project: Project) -> None:
    project.put_mask(CASE, "nodule", np.zeros(SHAPE, bool), reader="ann")
    assert project.annotated() == {CASE: ("nodule",)}
    assert not project.expert_masks(CASE)["nodule"].any()


@pytest.mark.parametrize(
    ("finding", "mask", "reader", "message"),
    [
        ("nodule", np.zeros((3, 4), bool), "ann", "film is"),
        ("nodule", np.zeros(SHAPE, np.uint8), "ann", "uint8"),
        ("fracture", blot(), "ann", "nodule, effusion"),
        ("nodule", blot(), " ", "reader"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(
    project: Project, finding: str, mask: np.ndarray, reader: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        project.put_mask(CASE, finding, mask, reader=reader)
    assert project.annotated() == {}


def test_a_later_decision_replaces_but_keeps_the_earlier(project: Project) -> None:
    assert project.decision(CASE) is None
    project.decide(CASE, "accept", reader="ann", confidence=4, seconds=12.5)
    project.decide(CASE, "reopen", reader="ben", comment="look again")
    held = project.decision(CASE)
    assert held is not None
    assert (held.verdict, held.reader, held.comment) == ("reopen", "ben", "look again")
    assert project.decisions() == {CASE: held}


def test_a_stage_shows_the_run_adopted_last(project: Project) -> None:
    assert project.adopted("cam") is None
    project.adopt("cam", "run-1", actor="ann")
    project.adopt("cam", "run-2", actor="ann")
    assert project.adopted("cam") == "run-2"
    assert project.adopted("classifier") is None
    with pytest.raises(DataError, match="segmentation"):
        project.adopt("magic", "run-2", actor="ann")


def test_a_reader_beside_the_writer_sees_new_rows(project: Project) -> None:
    with Project.open(project.folder) as beside:
        assert beside.readonly
        assert beside.annotated() == {}
        project.put_mask(CASE, "nodule", blot(), reader="ann")
        assert beside.annotated() == {CASE: ("nodule",)}


def test_a_read_only_project_changes_nothing(project: Project) -> None:
    with (
        Project.open(project.folder) as beside,
        pytest.raises(DataError, match="read-only"),
    ):
        beside.decide(CASE, "accept", reader="ann")


def test_a_second_writer_is_refused_by_name(project: Project) -> None:
    with pytest.raises(ProjectLocked, match=f"process {os.getpid()} on"):
        Project.open(project.folder, write=True)
    project.close()
    Project.open(project.folder, write=True).close()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    new_project(tmp_path).close()
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from napari_wsseg.io.project import Project\n"
        "project = Project.open(Path(sys.argv[1]), write=True)\n"
        f"project.decide({CASE!r}, 'accept', reader='ann')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder = tmp_path / "project"
    killed = subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    assert killed.returncode == -9
    with Project.open(folder, write=True) as project:
        assert project.decisions()[CASE].verdict == "accept"
        project.verify_audit()


def test_a_radiograph_is_checked_against_its_case(project: Project) -> None:
    path = write_png(project.images / "b.png", np.full(SHAPE, 7, np.uint8))
    uid = images.read(path).uid
    project.add_case(Case(uid[:16], "b.png", SHAPE, None, "train", {}))
    case = project.case(uid[:16])
    assert project.radiograph(case).uid == uid
    write_png(path, np.full(SHAPE, 8, np.uint8))
    with pytest.raises(DataError, match="no longer those"):
        project.radiograph(case)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        project.radiograph(case)


def test_a_project_is_made_only_in_a_new_or_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "used"
    folder.mkdir()
    (folder / "thesis.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty"):
        Project.create(folder, findings=["a"], images=tmp_path)
    assert [p.name for p in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\\b", "dot.", "x" * 65, "a\nb"])
def test_a_finding_that_cannot_name_a_folder_is_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(DataError, match="rename"):
        Project.create(tmp_path / "p", findings=[name], images=tmp_path)
    assert not (tmp_path / "p").exists()


def test_findings_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the same"):
        Project.create(tmp_path / "p", findings=["Mass", "mass"], images=tmp_path)


def test_images_beside_the_project_move_with_it(project: Project) -> None:
    project.close()
    home = project.folder.parent
    moved = home.with_name(home.name + "-moved")
    home.rename(moved)
    with Project.open(moved / "project") as again:
        assert again.images == moved / "images"


def test_what_people_write_into_the_toml_is_read(project: Project) -> None:
    project.close()
    path = project.folder / "wsseg.toml"
    text = path.read_text().replace('"#E69F00"', '"#123456"')
    path.write_text(text.replace('name = "project"', 'name = "Ward 3"'))
    with Project.open(project.folder) as again:
        assert again.name == "Ward 3"
        assert again.findings[0].colour == "#123456"


def test_a_decision_says_what_was_drawn_before_it(project: Project) -> None:
    first = project.put_mask(CASE, "nodule", blot(), reader="ann")
    taken = project.decide(CASE, "accept", reader="ann")
    assert (taken.verdict, taken.reader, taken.after) == ("accept", "ann", first.id)
    project.put_mask(CASE, "nodule", blot(height=9), reader="ann")
    assert project.decisions()[CASE].after == first.id
    with pytest.raises(DataError, match="none of: accept"):
        project.decide(CASE, "maybe", reader="ann")  # type: ignore[arg-type]
    project.undo_decision(taken, actor="ann")
    assert project.decisions() == {}


def test_adoptions_are_of_stages_that_there_are(project: Project) -> None:
    for run in ("run-1", "run-2"):
        project.adopt("cam", run, actor="ann")
    assert project.adopted("cam") == "run-2"
    with pytest.raises(DataError):
        project.adopted("nonsense")
