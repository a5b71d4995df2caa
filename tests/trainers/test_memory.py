"""What a training needs is known before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers.spot_films import import_films, make_films
from trainers import _memory, recipes
from trainers.engine.recipe import configure


def test_what_backward_keeps_is_counted_to_the_byte() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
    # The convolution keeps the film, the ReLU what it lets through; no weights.
    assert _memory._kept(model, 32, 1) == (1 + 8) * 32 * 32 * 4


@pytest.mark.parametrize("name", list(recipes))
def test_every_recipe_has_an_estimate_that_grows_with_the_film(name: str) -> None:
    small, large = (
        _memory.need(
            configure(name, {"size": size, "precision": "fp32"}),
            2,
            {"size": size, "network": {"arch": "resnet18", "n_findings": 2}},
        )
        for size in (128, 256)
    )
    assert small.fixed > 0
    assert 3.5 < large.per_film / small.per_film < 4.5
    assert large.for_batch(9) - large.for_batch(8) == large.per_film


def test_it_is_told_as_json_with_what_is_free(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = import_films(make_films(tmp_path / "films", n=2), tmp_path / "project")
    arguments = ["chexseg", "-p", str(project), "--set", "size=128", "batch=4"]
    assert _memory.main(arguments) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["batch"] == 4
    assert 0 < output["free"] < output["total"]
    assert _memory.main(["-p", str(project), "--preset", "fast"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] in recipes
    assert _memory.main(["chexseg", "-p", str(project), "--set", "size=1"]) == 0
    assert "out of range" in json.loads(capsys.readouterr().out)["unknown"]
