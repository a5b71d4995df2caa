"""What an evaluation says beside its figures: intervals, sizes, readers, warnings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_wsseg import jobs
from napari_wsseg.cli import _evaluate
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.pipeline.evaluate import evaluate
from napari_wsseg.pipeline.evaluation import by_size as _by_size
from napari_wsseg.pipeline.evaluation import tables
from napari_wsseg.pipeline.evaluation.result import Evaluation
from napari_wsseg.schema import Case, StageMaps, StageSettings

RUN = "classifier-20261121-000000-aaaa"
SHAPE = (64, 64)


def evaluation(project: Project, **more: Any) -> Evaluation:
    return jobs.finish(
        evaluate(project, **{"split": "test", "n_resamples": 200, **more})
    )


def run(project: Project, **more: Any) -> dict[str, Any]:
    """Evaluate; return the object that the command line prints."""
    return evaluation(project, **more).to_json()


def square(side: int, at: int = 10) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[at : at + side, at : at + side] = True
    return mask


@pytest.fixture
def squares(tmp_path: Path) -> Iterator[Project]:
    """Twelve test films: nine with squares of 10 to 18 px, three without."""

    with Project.create(
        tmp_path / "p", findings=["spot", "never drawn"], images=tmp_path
    ) as made:
        for n in range(12):
            label = int(n < 9)
            case = Case(
                f"{n:016d}", f"f{n:02d}.png", SHAPE, None, "test", {"spot": label}
            )
            made.add_case(case)
            mask = square(10 + n) if label else np.zeros(SHAPE, bool)
            made.put_mask(case.id, "spot", mask, reader="ann")
        yield made


def draw(project: Project, stage: str, shrink: int, *, gate: float = 0.5) -> None:
    """Let a stage draw every square `shrink` px too small, and open every gate."""
    settings = StageSettings(("spot", "never drawn"), (0.5, 0.5), (gate, gate))
    for n, case in enumerate(project.cases()):
        mask = square(10 + n - shrink) if n < 9 else square(4)
        score = np.stack([mask, np.zeros(SHAPE)]).astype(np.float32)
        present = np.array([0.3 if n > 9 else 0.9, 0.0], np.float32)
        stages.write(project.folder, stage, RUN, case.id, StageMaps(score, present))
    stages.write_settings(project.folder, stage, RUN, settings)
    project.adopt(stage, RUN, actor="test")


def test_figures_are_those_of_the_masks_themselves(squares: Project) -> None:
    draw(squares, "cam", 2)
    settings = stages.read_settings(squares.folder, "cam", RUN)
    assert settings is not None
    preds, truths = [], []
    for case in squares.cases():
        maps = stages.read(squares.folder, "cam", RUN, case.id)
        assert maps is not None
        masks = stage_masks(maps, settings, case.shape)
        preds.append(dict(zip(settings.findings, masks, strict=True)))
        truths.append(squares.expert_masks(case.id))
    expected = metrics.evaluate(preds, truths)
    found = run(squares)["stages"]["cam"]
    assert {key: found[key] for key in expected} == expected


def test_every_figure_has_its_interval_and_its_convention(squares: Project) -> None:
    draw(squares, "cam", 2)
    scored = evaluation(squares)
    found = scored.to_json()
    json.dumps(found, allow_nan=False)
    scores = found["stages"]["cam"]
    for name in ("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness"):
        low, high = scores["interval"][name]
        assert low <= scores[name] <= high
        assert found["conventions"][name]
        assert name in scores["interval"]["per_finding"]["spot"]
    assert found["bootstrap"] == {
        "draws": 200,
        "seed": 0,
        "level": 0.95,
        "unit": "film",
    }
    text = _evaluate.evaluation_text(scored)
    for name, convention in found["conventions"].items():
        assert f"{name}: {convention}" in text


def test_the_blank_baseline_is_what_empty_masks_score(squares: Project) -> None:
    draw(squares, "cam", 2)
    blank = run(squares)["blank"]
    assert blank["all_iou"] == pytest.approx(3 / 12)
    assert blank["pos_iou"] == 0.0
    assert blank["emptiness"] == 1.0


def test_the_gate_is_what_leaves_films_empty(squares: Project) -> None:
    draw(squares, "cam", 2)
    scores = run(squares)["stages"]["cam"]
    assert scores["emptiness"] == pytest.approx(2 / 3)
    assert scores["open_gates"]["emptiness"] == 0.0
    assert scores["open_gates"]["pos_iou"] == scores["pos_iou"]
    assert scores["cut"]["gates"] == [0.5, 0.5]


def test_known_labels_open_and_shut_gates_beside_the_predicted_figures(
    squares: Project,
) -> None:
    draw(squares, "cam", 2, gate=0.95)
    scores = run(squares)["stages"]["cam"]
    known = scores["label_conditioned"]
    assert scores["pos_iou"] == 0.0
    assert known["pos_iou"] == scores["open_gates"]["pos_iou"] > 0
    assert known["emptiness"] == 1.0
    assert scores["open_gates"]["emptiness"] == 0.0


def test_pixels_that_nobody_decided_about_count_nowhere(squares: Project) -> None:
    draw(squares, "cam", 2)
    case = squares.case(f"{0:016d}")
    before = run(squares)["stages"]["cam"]
    squares.put_void(case.id, square(10) & ~square(8))
    after = run(squares)["stages"]["cam"]
    gain = (1 - 0.64) / 9
    assert after["pos_iou"] - before["pos_iou"] == pytest.approx(gain)


def test_sizes_are_thirds_of_the_films_that_have_the_finding(
    squares: Project,
) -> None:
    draw(squares, "cam", 2)
    rows = run(squares)["stages"]["cam"]["by_size"]["spot"]
    assert [row["size"] for row in rows] == ["small", "middle", "large"]
    assert [row["n"] for row in rows] == [3, 3, 3]
    assert rows[0]["share"] == pytest.approx([100 / 4096, 144 / 4096])
    expected = np.mean([(8 / 10) ** 2, (9 / 11) ** 2, (10 / 12) ** 2])
    assert rows[0]["pos_iou"] == pytest.approx(expected)
    assert rows[0]["pos_iou"] < rows[1]["pos_iou"] < rows[2]["pos_iou"]


def test_two_films_make_two_sizes() -> None:
    from napari_wsseg.ops.tally import Overlap, Tally

    truth = Tally.from_rows([{"a": Overlap(0, 0, area, 100)} for area in (30, 10)])
    kept = _by_size.thirds(truth)
    assert [int(keep.sum()) for keep in kept.values()] == [1, 1, 0]
    assert kept["small"][1, 0]


def test_a_stage_that_hurts_is_reported_in_words(squares: Project) -> None:
    draw(squares, "cam", 1)
    draw(squares, "crf", 3)
    draw(squares, "irnet", 2)
    scored = evaluation(squares)
    found = scored.to_json()
    kinds = [(w["kind"], w.get("stage"), w.get("against")) for w in found["warnings"]]
    assert kinds == [("below-the-stage-before", "crf", "cam")]
    message = found["warnings"][0]["message"]
    assert message.startswith("The CRF scores below the CAM, the stage before it")
    assert "chance" not in message
    assert f"WARNING: {message}" in _evaluate.evaluation_text(scored)
    pair = found["differences"][0]
    assert (pair["stage"], pair["against"]) == ("crf", "cam")
    assert pair["pos_iou"]["difference"] < pair["pos_iou"]["interval"][1] < 0


def test_equal_stages_and_better_ones_give_no_warning(squares: Project) -> None:
    draw(squares, "cam", 2)
    draw(squares, "crf", 2)
    draw(squares, "segmentation", 1)
    assert run(squares)["warnings"] == []


def test_stages_below_blank_are_reported(squares: Project) -> None:
    for stage in ("cam", "crf"):
        draw(squares, stage, 9, gate=0.0)
    found = run(squares)["warnings"]
    assert [each["kind"] for each in found] == ["below-blank"]
    assert found[0]["stages"] == ["cam", "crf"]
    assert "No stage reaches what empty masks score" in found[0]["message"]


def test_readers_against_readers_are_the_ceiling(squares: Project) -> None:
    draw(squares, "cam", 2)
    assert run(squares)["experts"] is None
    for n in range(3):
        squares.put_mask(f"{n:016d}", "spot", square(9 + n), reader="bob")
    found = run(squares)["experts"]
    assert found["n_films"] == found["n_pairs"] == 3
    expected = np.mean([(9 / 10) ** 2, (10 / 11) ** 2, (11 / 12) ** 2])
    assert found["pos_iou"] == pytest.approx(expected)
    assert found["per_finding"]["spot"]["n"] == 6
    assert found["interval"]["pos_iou"][0] < expected
    assert set(found["stages"]) == {"cam"}


def test_readers_who_saw_each_others_masks_are_left_out(squares: Project) -> None:
    draw(squares, "cam", 2)
    first = squares.latest(f"{0:016d}", "spot", reader="ann")
    assert first is not None
    squares.put_mask(
        f"{0:016d}", "spot", square(9), reader="bob", parent=first.id, tool="brush"
    )
    for reader in ("cat", "dan"):
        mask = square(12 if reader == "cat" else 11)
        squares.put_mask(
            f"{1:016d}", "spot", mask, reader=reader, source_run=RUN, tool="from cam"
        )
    found = run(squares)["experts"]
    assert found["n_films"] == 1
    assert found["n_pairs"] == 2  # ann with cat, ann with dan
    assert found["n_left_out"] == 2  # ann with bob, cat with dan


def test_a_stage_that_has_not_seen_a_film_is_named(squares: Project) -> None:
    draw(squares, "cam", 2)
    (stages.folder(squares.folder, "cam", RUN) / f"{3:016d}.npz").unlink()
    with pytest.raises(DataError, match=r"has not seen f03\.png"):
        run(squares)


def test_runs_that_are_not_in_use_can_be_scored(squares: Project) -> None:
    draw(squares, "cam", 2)
    draw(squares, "segmentation", 1)
    found = run(squares, runs={"segmentation": RUN}, n_resamples=0)
    assert list(found["stages"]) == ["segmentation"]
    assert found["stages"]["segmentation"]["interval"]["pos_iou"] is None
    assert found["classifier"]["auroc"] is None


def test_no_more_than_one_films_masks_are_held(
    squares: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks are read film by film, as the job is pumped."""
    draw(squares, "cam", 2)
    read: list[str] = []
    own = squares.expert_masks

    def noted(case_id: str) -> Mapping[str, Any]:
        read.append(case_id)
        return own(case_id)

    monkeypatch.setattr(squares, "expert_masks", noted)
    job = evaluate(squares, n_resamples=0)
    next(job)
    assert len(read) == 0
    next(job)
    assert len(read) == 1


def test_the_figures_cannot_be_changed_and_are_the_json(squares: Project) -> None:
    draw(squares, "cam", 2)
    draw(squares, "crf", 3)
    found = evaluation(squares)
    with pytest.raises(FrozenInstanceError):
        found.stages["cam"].run = "another"  # type: ignore[misc]
    written = found.to_json()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert list(written) == [
        *("split", "n_cases", "n_positive", "n_with_expert_masks", "blank", "stages"),
        *("classifier", "bootstrap", "conventions", "differences", "teacher"),
        *("experts", "anatomy", "warnings"),
    ]
    assert list(written["stages"]["cam"]) == [
        *("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness", "per_finding"),
        *("run", "interval", "open_gates", "label_conditioned", "by_size", "cut"),
    ]
    assert list(written["classifier"]) == [
        *("auroc", "f1", "per_finding", "run", "interval")
    ]
    assert (
        written["stages"]["cam"]["pos_iou"] == found.stages["cam"].scores.mean.pos_iou
    )


def test_command_line_and_report_show_the_same_tables(
    squares: Project, tmp_path: Path
) -> None:
    draw(squares, "cam", 2)
    draw(squares, "crf", 3)
    shown = tables.tables(evaluation(squares))
    text = _evaluate.evaluation_text(evaluation(squares))
    assert [each.title for each in shown][:3] == [
        *("Masks, split test", "Stage against stage", "Per finding")
    ]
    for each in shown:
        assert each.title in text
        for row in each.rows:
            assert all(
                str(cell) in text for cell in row if isinstance(cell, tables.MetricCell)
            )
