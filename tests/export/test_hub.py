"""A model folder goes out as huggingface_hub has them, and comes back as a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import torchvision

from napari_wsseg.cli import main
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline.inference import networks

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(spots: Path, tmp_path: Path) -> Path:
    """Write the model folder of a classifier that was imported."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=1)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    arguments = ["import", "classifier", str(tmp_path / "theirs.pt"), "-p", str(spots)]
    assert main([*arguments, "--arch", "resnet18", "--findings", "spot"]) == 0
    run = runs.listing(spots)[0].id
    out = tmp_path / "folder"
    arguments = ["export", "hub", "-p", str(spots), "-o", str(out), "--run", run]
    assert main(arguments) == 0
    return out


def _again(spots: Path, tmp_path: Path) -> Path:
    """Return a project of the same films and findings, and no run."""
    other = tmp_path / "other"
    shutil.copytree(spots, other)
    shutil.rmtree(other / "runs")
    return other


def test_a_folder_is_whole_and_comes_back_as_the_same_network(
    spots: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import ModelCard

    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "model.safetensors", "config.json", "data.json"),
    }
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict()["library_name"] == "napari-wsseg"
    assert "Research use only" in card.text
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"] == "classifier"
    assert config["findings"] == ["spot"]

    first = runs.listing(spots)[0].id
    other = _again(spots, tmp_path)
    capsys.readouterr()
    assert main(["import", "model", str(folder), "-p", str(other), "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    ours, header = networks.load(spots, first)
    theirs, again = networks.load(other, run)
    assert again["normalisation"] == header["normalisation"]
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))
    with Project.open(other) as project:
        assert project.adopted("cam") == run


def test_a_folder_of_other_findings_or_damaged_is_refused(
    spots: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _again(spots, tmp_path)
    toml = other / "wsseg.toml"
    toml.write_text(toml.read_text().replace("spot", "heart"))
    arguments = ["import", "model", str(folder), "-p", str(other)]
    assert main(arguments) == 3
    assert "the same findings" in capsys.readouterr().err
    arguments[-1] = str(_again(spots, tmp_path / "b"))
    (folder / "config.json").write_text("{}")
    assert main(arguments) == 3
    (folder / "model.safetensors").unlink()
    assert main(arguments) == 3
    assert runs.listing(Path(arguments[-1])) == []
