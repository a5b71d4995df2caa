"""The script that is taken to a GPU, at its smallest on a processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_gpu_a_tenth_is_done_and_the_first_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.json"
    gpu.main(["--size", "64", "--films", "20", "--batch", "2", "--json", str(out)])
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("no GPU: 2 synthetic films")
    assert "a tenth of 20" in first
    rows = json.loads(out.read_text())["rows"]
    done = [(row["step"], row["way"]) for row in rows]
    steps = ["train classifier", "cam", "walk", "train segmenter", "segmentation"]
    assert {step for step, way in done if way == "plain"} == set(steps)
    assert {step for step, way in done if way == "ours"} == {*steps, "crf"}
    assert len(lines) == len(rows)
    for row in rows:
        assert row["films"] == 2
        assert row["films_per_second"] == pytest.approx(2 / row["seconds"])
        assert row["peak_mib"] > 100


def test_steps_that_the_budget_leaves_no_time_for_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu.main(["--size", "64", "--films", "1", "--budget", "0.001"])
    _, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert all(line.endswith("left out, the budget is spent") for line in lines)


@pytest.mark.parametrize("arguments", [["--size", "100"], ["--films", "0"]])
def test_what_cannot_be_done_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        gpu.main(arguments)
    assert refused.value.code == 2
