"""The report: one page, whole by itself, that names no patient."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg import jobs
from napari_wsseg.io import atomic, images, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops.windowing import reading_window
from napari_wsseg.pipeline import report
from napari_wsseg.pipeline.reporting import stage_strips
from napari_wsseg.schema import Case, StageMaps, StageSettings
from trainers.sweep import plan as _plan
from trainers.sweep import results as _results

FINDING = "spot & edge"
READER = "Dr Eva Novak"
FILE = "DOE_JOHN_19440203"


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Project]:
    """Six test films whose file names name a patient, drawn by two readers."""
    films = tmp_path / "films"
    films.mkdir()
    rng = np.random.default_rng(0)
    with Project.create(
        tmp_path / "p", findings=[FINDING], images=films, name="ward <script>7"
    ) as made:
        run = runs.new(
            made.folder,
            "classifier",
            {"weights": f"/home/{FILE}/net.safetensors", "seed": 0},
        ).id
        for n in range(6):
            path = films / f"{FILE}_{n}.png"
            Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(path)
            uid = images.read(path).uid
            labels = {FINDING: int(n < 4)}
            case = Case(uid[:16], path.name, (40, 40), None, "test", labels)
            made.add_case(case)
            mask = np.zeros((40, 40), bool)
            mask[5 : 15 + n, 5:20] = n < 4
            made.put_mask(case.id, FINDING, mask, reader=READER)
            made.put_mask(case.id, FINDING, np.roll(mask, 1, 0), reader="Dr Ola Berg")
            for stage, shift in (("cam", 2), ("crf", 5)):
                score = np.roll(mask, shift, 0)[None].astype(np.float32)
                present = np.array([0.9 if n < 4 else 0.1], np.float32)
                maps = StageMaps(score, present)
                stages.write(made.folder, stage, run, case.id, maps)
        for stage in ("cam", "crf"):
            settings = StageSettings((FINDING,), (0.5,), (0.5,))
            stages.write_settings(made.folder, stage, run, settings)
            made.adopt(stage, run, actor=READER)
        yield made


@pytest.fixture
def page(ward: Project, tmp_path: Path) -> str:
    for _ in report.write(ward, tmp_path / "out"):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]
    return (tmp_path / "out" / "index.html").read_text("utf-8")


def text_of(page: str) -> str:
    """The page without its pictures."""
    return re.sub(r"base64,[A-Za-z0-9+/=]*", "", page)


def test_no_file_name_reader_or_folder_is_in_the_page(page: str) -> None:
    for secret in (FILE, "DOE", "Novak", "Berg", "/home"):
        assert secret not in text_of(page)
    assert "weights=net.safetensors" in page


def test_names_are_escaped(page: str) -> None:
    assert "<script>" not in page
    assert "ward &lt;script&gt;7" in page
    assert FINDING not in page
    assert "spot &amp; edge" in page


def test_the_page_is_whole_by_itself(page: str) -> None:
    assert not re.search(r"https?://|<link|<script|@import|url\(", text_of(page))
    assert set(re.findall(r'(?:src|href)="([^",:;]*)', text_of(page))) <= {
        "data",
        "#conventions",
    }


def test_every_tag_that_is_opened_is_closed(page: str) -> None:
    open_tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            assert tag in ("line", "circle")

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Reader().feed(page)
    assert open_tags == []


def test_the_page_says_what_a_reader_needs(page: str) -> None:
    assert "Research use only, not a medical device" in page
    for heading in (
        *("Stage against stage", "Per finding", "By size", "Experts"),
        *("Thresholds and gates", "Classifier", "Stage by stage", "Data"),
        *("Runs in use", "Limits", "What the figures mean"),
    ):
        assert f">{heading}</h2>" in page
    assert "The CRF scores below the CAM, the stage before it" in page
    assert "experts against each other" in page
    assert "best of 4" in page
    assert "median of 4" in page
    assert "worst of 4" in page
    assert "<svg" in page
    assert "6 comparisons on 6 films" in page


def test_figures_stand_beside_their_intervals(page: str) -> None:
    row = re.search(r"<tr><td>cam</td>(.*?)</tr>", page)
    assert row is not None
    cells = re.findall(r"<td>(.*?)</td>", row[1])
    assert len(cells) == 5
    assert re.fullmatch(r"0\.\d{3} <small>\[0\.\d{3}, 0\.\d{3}\]</small>", cells[0])


def test_the_same_data_has_the_same_digits_and_other_masks_others(
    ward: Project, tmp_path: Path
) -> None:
    def digits() -> list[str]:
        for _ in report.write(ward, tmp_path / "out"):
            pass
        text = (tmp_path / "out" / "index.html").read_text("utf-8")
        return re.findall(r"(?:labels|masks): <code>([0-9a-f]{16})</code>", text)

    before = digits()
    assert digits() == before
    case = ward.cases()[0]
    ward.put_mask(case.id, FINDING, np.ones((40, 40), bool), reader=READER)
    after = digits()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_sweep_is_in_the_page(ward: Project, tmp_path: Path) -> None:
    plan = _plan.plan("chexseg", "p", ["0", "1"], 1, {})
    metrics = dict.fromkeys(_results.METRICS, 0.25)
    scores = {"test": {**metrics, "per_finding": {FINDING: metrics}}}
    folder = _plan.folder_of(ward.folder, plan.name)
    sheet = _results.Sheet(folder, plan, ["test"], "")
    for cell in plan.cells:
        sheet.put(cell, f"run{cell.trial}", scores)
    for _ in report.write(ward, tmp_path / "out"):
        pass
    text = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<h3>chexseg: p</h3>" in text
    assert 'alt="chexseg: p"' in text


def test_a_student_stands_beside_its_teacher(ward: Project, tmp_path: Path) -> None:
    from napari_wsseg.io import checkpoints
    from napari_wsseg.jobs import Checkpoint
    from napari_wsseg.pipeline.evaluate import evaluate

    teacher, student = (
        runs.new(ward.folder, recipe, {}) for recipe in ("chexseg", "distillation")
    )
    for run, shift in ((teacher, 4), (student, 1)):
        checkpoints.write(
            run.best, Checkpoint({"teacher": teacher.id} if shift == 1 else {}, {}, {})
        )
        for case in ward.cases():
            mask = ward.expert_masks(case.id)[FINDING]
            maps = StageMaps(
                np.roll(mask, shift, 1)[None].astype(np.float32),
                np.ones(1, np.float32),
            )
            stages.write(ward.folder, "segmentation", run.id, case.id, maps)
        settings = StageSettings((FINDING,), (0.5,), (0.0,))
        stages.write_settings(ward.folder, "segmentation", run.id, settings)
    ward.adopt("segmentation", student.id, actor="test")
    result = jobs.finish(evaluate(ward, n_resamples=100)).to_json()
    found = result["teacher"]
    assert (found["run"], found["student"]) == (teacher.id, student.id)
    pair = found["student_less_teacher"]["pos_iou"]
    ours = result["stages"]["segmentation"]["pos_iou"]
    assert pair["difference"] == pytest.approx(ours - found["pos_iou"])
    assert 0 < pair["interval"][0] <= pair["difference"] <= pair["interval"][1]
    for _ in report.write(ward, tmp_path / "out"):
        pass
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "Student and teacher" in page
    case = ward.cases()[0]
    folder = stages.folder(ward.folder, "segmentation", teacher.id)
    (folder / f"{case.id}.npz").unlink()
    for _ in report.write(ward, tmp_path / "out"):
        pass
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "cannot be scored any more" in page
    assert FILE not in text_of(page)


def test_atomic_write_leaves_no_half_page(
    ward: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", broken)
    with pytest.raises(Exception, match="No space left"):
        for _ in report.write(ward, tmp_path / "out"):
            pass
    assert not (tmp_path / "out" / "index.html").exists()


def test_films_have_the_names_of_the_window_where_these_name_nobody(
    ward: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in report.write(ward, tmp_path / "out", names=True):
        pass
    asked = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert FILE in asked
    monkeypatch.setenv("WSSEG_KEYS", str(tmp_path / "keys"))
    ward.hide_names()
    for _ in report.write(ward, tmp_path / "out"):
        pass
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert re.search(r"film_0+\d+ · case <code>[0-9a-f]{16}</code>", text_of(page))
    assert FILE not in text_of(page)


def test_a_dark_film_is_as_bright_as_the_window_shows_it(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    grey = np.random.default_rng(0).integers(0, 30, (64, 64), np.uint8)
    Image.fromarray(grey).save(films / "dark.png")
    uid = images.read(films / "dark.png").uid
    with Project.create(tmp_path / "q", findings=["spot"], images=films) as made:
        case = Case(uid[:16], "dark.png", (64, 64), None, "test", {"spot": 0})
        made.add_case(case)
        strip = Image.open(io.BytesIO(stage_strips.strip(made, case, 0)))
    drawn = np.asarray(strip)[18:, : stage_strips.SIDE]
    pixels = images.read(films / "dark.png").pixels
    low, high = reading_window(pixels)
    shown = 255 * np.clip((pixels - low) / (high - low), 0, 1)
    assert drawn.mean() == pytest.approx(shown.mean(), abs=4)
    assert drawn.mean() > 90, "at its own greys it would be 15"
