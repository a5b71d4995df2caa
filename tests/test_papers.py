"""The scripts behind the papers' tables: every command is one that wsseg takes."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

from benchmarks import fewer_films
from benchmarks.papers import __main__ as main__
from benchmarks.papers import tables as _tables
from helpers.spot_films import make_films
from napari_wsseg.cli import _training, parser
from trainers import configure
from trainers.__main__ import settings_from

TABLES = sorted(_tables.tables)
RECIPES = ("classifier", "irnet", "segmentation")


@pytest.mark.parametrize("name", TABLES)
def test_every_command_of_a_table_is_one_that_wsseg_takes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    assert main__.main([name, "--data", str(tmp_path), "-o", str(work)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(_tables.tables[name]().steps)
    assert not work.exists()
    for line in lines:
        program, *arguments = shlex.split(line)
        if program == "wsseg":
            takes(arguments)
        else:
            assert arguments[:2] in (
                ["-m", "benchmarks.score_maps"],
                ["-m", "benchmarks.fewer_films"],
            )


def takes(command: list[str]) -> None:
    """Parse a command and the settings that it would train with."""
    arguments = parser(command).parse_args(command)
    if command[0] not in ("train", "sweep", "run"):
        return
    given = settings_from(arguments.set)
    for recipe in RECIPES if command[0] == "run" else [arguments.recipe]:
        own = given
        if command[0] == "run":
            start = f"{recipe}."
            own = {k[len(start) :]: v for k, v in given.items() if k.startswith(start)}
        configure(recipe, _training.preset_settings(arguments.preset, recipe) | own)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_reads_only_results_of_its_own_steps(name: str) -> None:
    table = _tables.tables[name]()
    steps = [step.name for step in table.steps]
    assert len(set(steps)) == len(steps)
    for row in table.rows:
        assert len(row.cells) == len(table.heads)
        assert len(row.paper) == len(row.ours) == len(table.metrics)
        assert {way[0] for way in row.ours} <= set(steps)
    for place, step in enumerate(table.steps):
        arguments = [*step.arguments, *map(str, step.settings.values())]
        asked = re.findall(r"\{([\w.%-]+)\.run\}", " ".join(arguments))
        assert set(asked) <= set(steps[:place])


@pytest.mark.slow
def test_a_table_is_made_to_the_end_on_films_of_ones_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    data, work = make_films(tmp_path / "films"), tmp_path / "work"
    epochs = [f"tied_deconv.{key}=1" for key in ("epochs", "baseline_epochs")]
    small = ["size=64", "width=0.25", "first_network=pooled", "batch=4", "checks=1"]
    small = [f"tied_deconv.{word}" for word in [*small, "stage_epochs=1"]]
    arguments = ["tdn-3", "--data", str(data), "-o", str(work), "--run"]
    assert main__.main([*arguments, "--set", *epochs, *small]) == 0
    table = (work / "table.md").read_text()
    assert "Not the paper's settings: tied_deconv.epochs=1" in table
    maps = json.loads((work / "maps.json").read_text())["stages"]
    assert list(maps) == ["tdn-0", "tdn-1", "tdn-2", "tdn-3"]
    shown = maps["tdn-3"]["open_gates"]["pos_iou"]
    assert f"| stage 3 | 0.216 | 0.246 | – | {shown:.3f} |" in table
    capfd.readouterr()
    assert main__.main([*arguments, "--set", *epochs, *small]) == 0
    assert capfd.readouterr().out.strip() == table.strip()  # nothing was done again


def test_a_failed_command_stops_the_table_with_its_own_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    argv = ["wsmis-3", "--data", str(tmp_path / "nowhere"), "-o", str(tmp_path / "w")]
    assert main__.main([*argv, "--run"]) == 3
    output = capfd.readouterr()
    assert "stopped at init" in output.out
    assert "nowhere" in output.err


def test_fewer_weak_films_keep_every_expert_val_and_test_film(tmp_path: Path) -> None:
    data = make_films(tmp_path / "films")
    with (data / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expert = fewer_films.drawn(data / "masks")
    kept = fewer_films.fewer(rows, expert, "3", seed=0)
    weak = [
        r for r in kept if r["split"] == "train" and Path(r["image"]).stem not in expert
    ]
    assert len(weak) == 3
    others = [
        r for r in rows if r["split"] != "train" or Path(r["image"]).stem in expert
    ]
    assert [r for r in kept if r not in weak] == others
    assert kept == fewer_films.fewer(rows, expert, "3", seed=0)
    assert kept != fewer_films.fewer(rows, expert, "3", seed=1)
    assert fewer_films.fewer(rows, expert, "100%", seed=0) == rows
