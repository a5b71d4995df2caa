"""Classifiers of other libraries: theirs to the last digit, or refused in words.

The architectures are the libraries' own; the weights are random, saved by the library
where it keeps those that it fetches.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_wsseg.cam import methods
from napari_wsseg.cli import main
from napari_wsseg.io import runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.pipeline.inference import networks
from trainers.tasks import known_classifiers

pytestmark = pytest.mark.usefixtures("one_thread")

NAME = "densenet121-res224-all"


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """Return torchxrayvision's DenseNet with random weights that show."""
    models = known_classifiers._imported("torchxrayvision.models", "torchxrayvision")
    torch.manual_seed(0)
    network = models.DenseNet(weights=None, num_classes=18, in_channels=1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
    return network.eval()  # type: ignore[no-any-return]


@pytest.fixture
def cached(
    theirs: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> nn.Module:
    """Put them where torchxrayvision keeps what it has fetched."""
    utils = known_classifiers._imported("torchxrayvision.utils", "torchxrayvision")
    models = known_classifiers._imported("torchxrayvision.models", "torchxrayvision")
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setattr(utils, "get_cache_dir", lambda: str(cache))
    url = models.model_urls[NAME]["weights_url"]
    torch.save(theirs, cache / url.rpartition("/")[2])
    return theirs


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """Make a project of three findings that the network knows by other names."""
    from helpers.small_project import grey, write_png

    films = tmp_path / "films"
    films.mkdir()
    rows = ["image,effusion,Cardiomegaly,pulmonary edema"]
    for number in range(3):
        write_png(films / f"{number}.png", grey(number, (40, 30)))
        rows.append(f"{number}.png,1,0,")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    arguments = ["init", str(tmp_path / "p"), "--images", str(films)]
    assert main([*arguments, "--labels", str(tmp_path / "labels.csv")]) == 0
    return tmp_path / "p"


def _import(project: Path, *arguments: str) -> int:
    return main(["import", "classifier", *arguments, "-p", str(project)])


def _rows(theirs: nn.Module) -> list[int]:
    targets = [str(name) for name in theirs.targets]
    return [targets.index(name) for name in ("Effusion", "Cardiomegaly", "Edema")]


def test_torchxrayvisions_maps_are_those_of_its_own_features(
    chest: Path, cached: nn.Module, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _import(chest, "--from", "torchxrayvision", NAME, "--json") == 0
    output = capsys.readouterr()
    record = json.loads(output.out)
    assert (record["size"], record["normalisation"]) == (224, "xrayvision")
    assert record["licence"].startswith("Apache")
    assert len(record["sha256"]) == 64
    # Licence and source are told before anything is fetched.
    assert "licence Apache" in output.err.splitlines()[0]
    assert "https://" in output.err.splitlines()[0]

    ours, header = networks.load(chest, record["run"])
    films = torch.randint(0, 256, (2, 224, 224), dtype=torch.uint8)
    images = as_input(films, header["normalisation"], 1)
    # What torchxrayvision's own normalize makes of films of eight bits.
    expected = (2 * (films[:, None].float() / 255) - 1) * 1024
    torch.testing.assert_close(images, expected, rtol=1e-6, atol=1e-3)
    rows = _rows(cached)
    with torch.no_grad():
        features = cached.features(images).relu()
        head = cached.classifier
        logits = features.mean((2, 3)) @ head.weight[rows].T + head.bias[rows]
        torch.testing.assert_close(ours(images), logits, rtol=1e-5, atol=1e-5)
        maps = torch.einsum("kc,bchw->bkhw", head.weight[rows], features).relu()
    found = methods["cam"](ours, images)
    torch.testing.assert_close(found, maps, rtol=1e-5, atol=1e-5)


def test_its_maps_need_no_training_and_its_operating_points_are_gates(
    chest: Path, cached: nn.Module
) -> None:
    assert _import(chest, "--from", "torchxrayvision", NAME) == 0
    assert main(["infer", "cam", "-p", str(chest)]) == 0
    run = runs.listing(chest)[0].id
    with Project.open(chest) as project:
        for case in project.cases():
            maps = stages.read(chest, "cam", run, case.id)
            assert maps is not None
            assert maps.score.shape[0] == 3
        settings = stages.read_settings(project.folder, "cam", run)
        assert settings is not None
        models = known_classifiers._imported(
            "torchxrayvision.models", "torchxrayvision"
        )
        points = models.model_urls[NAME]["op_threshs"]
        expected = [points[row] for row in _rows(cached)]
        assert settings.gates == pytest.approx(expected)
    card = (chest / "runs" / run / "card.md").read_text()
    assert "Licence: Apache" in card
    assert "Source: https://" in card


def test_a_file_of_it_is_known_by_its_keys(
    chest: Path, theirs: nn.Module, tmp_path: Path
) -> None:
    file = tmp_path / "state.pt"
    torch.save(theirs.state_dict(), file)
    found = known_classifiers.from_file(file)
    assert (found.arch, found.size, found.normalisation) == (
        *("densenet121", 224),
        "xrayvision",
    )
    assert list(found.outputs) == list(theirs.targets)
    assert _import(chest, "--from", str(file)) == 0


def test_a_whole_pickled_model_is_not_run_but_told(
    chest: Path, theirs: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(theirs, tmp_path / "model.pt")
    assert _import(chest, "--from", str(tmp_path / "model.pt")) == 3
    assert "state dict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--from", "torchxrayvision", "densenet999"], "it has", 2),
        (["--from", "torchxrayvision"], "say which one", 2),
        (["--from", "tensorflow", "x"], "neither a file nor", 2),
        (["--from", "timm", "resnet999"], "knows no", 2),
        (["--from", "timm", "vit_tiny_patch16_224"], "none of the networks", 2),
        (
            ["--from", "torchxrayvision", NAME, "--normalisation", "imagenet"],
            "xrayvision, as its makers trained it",
            2,
        ),
        (
            ["--from", "torchxrayvision", NAME, "--findings", "effusion"],
            "as its makers trained it",
            2,
        ),
        (
            ["--from", "torchxrayvision", NAME, "--map", "effusion=Hernia2"],
            "none of the outputs",
            2,
        ),
        (["--from", "torchxrayvision", NAME, "--map", "heart=Hernia"], "no finding", 2),
        (["--from", "torchxrayvision", NAME, "--map", "effusion"], "FINDING=OUTPUT", 2),
        (
            ["--from", "torchxrayvision", NAME, "--map", "effusion=Edema"],
            "two findings",
            3,
        ),
        (["--from", "torchxrayvision", NAME, "--arch", "resnet18"], "leave out", 2),
    ],
)
@pytest.mark.usefixtures("cached")
def test_what_does_not_fit_is_refused_in_words_and_nothing_is_written(
    chest: Path,
    arguments: list[str],
    message: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _import(chest, *arguments) == code
    assert message in capsys.readouterr().err
    assert runs.listing(chest) == []


def test_a_number_of_outputs_that_is_not_the_heads_is_refused(
    chest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torchvision

    network = torchvision.models.resnet18(weights=None, num_classes=5)
    torch.save(network.state_dict(), tmp_path / "five.pt")
    arguments = ["--from", str(tmp_path / "five.pt"), "--size", "224"]
    assert _import(chest, *arguments) == 2
    assert "--findings" in capsys.readouterr().err
    names = "effusion,Cardiomegaly,pulmonary edema"
    arguments += ["--normalisation", "imagenet-rgb", "--findings"]
    assert _import(chest, *arguments, names) == 3
    assert "5 outputs, but 3 are named" in capsys.readouterr().err
    assert _import(chest, *arguments, f"{names},-,-") == 0


def test_the_largest_network_that_is_whole_is_the_one(tmp_path: Path) -> None:
    import torchvision

    for arch in ("resnet18", "resnet34", "resnet50"):
        network = torchvision.models.get_model(arch, weights=None, num_classes=2)
        torch.save(network.state_dict(), tmp_path / f"{arch}.pt")
        assert known_classifiers.from_file(tmp_path / f"{arch}.pt").arch == arch
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "odd.pt")
    with pytest.raises(DataError, match="none of the networks"):
        known_classifiers.from_file(tmp_path / "odd.pt")


def test_timm_brings_size_and_normalisation_and_asks_for_names(
    chest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timm = known_classifiers._imported("timm", "timm")
    make = timm.create_model

    def offline(name: str, pretrained: bool = False) -> nn.Module:
        torch.manual_seed(1)
        network: nn.Module = make(name, pretrained=False)
        return network

    monkeypatch.setattr(timm, "create_model", offline)
    assert _import(chest, "--from", "timm", "resnet18.a1_in1k") == 2
    message = capsys.readouterr().err
    assert "licence apache-2.0" in message
    assert "does not say its outputs" in message
    names = ["effusion", "Cardiomegaly", "pulmonary edema", *["-"] * 997]
    arguments = ["--findings", ",".join(names), "--json"]
    assert _import(chest, "--from", "timm", "resnet18.a1_in1k", *arguments) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["size"], output["normalisation"]) == (224, "imagenet-rgb")


def test_weights_that_cannot_be_fetched_are_told_with_the_way_round(
    chest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = known_classifiers._imported("torchxrayvision.models", "torchxrayvision")

    def away(*arguments: object, **named: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(models, "DenseNet", away)
    assert _import(chest, "--from", "torchxrayvision", NAME) == 4
    output = capsys.readouterr().err
    assert "no route to host" in output
    assert "--from FILE" in output


def test_findings_are_matched_by_name_case_and_synonym() -> None:
    outputs = ("Effusion", "Pleural_Thickening", "-", "Lung Opacity")
    findings = ["pleural effusion", "pleural thickening"]
    assert known_classifiers.matched(outputs, findings, {}) == [
        *("pleural effusion", "pleural thickening"),
        *("-", "Lung Opacity"),
    ]
    with pytest.raises(DataError, match="--map 'heart=OUTPUT'"):
        known_classifiers.matched(outputs, ["heart"], {})
    assert (
        known_classifiers.matched(outputs, ["heart"], {"heart": "Effusion"})[0]
        == "heart"
    )


def test_operating_points_are_by_output_and_absent_ones_left_out() -> None:
    assert known_classifiers._points(("a", "b", "-"), (0.2, math.nan, 0.5)) == {
        "a": 0.2
    }
    assert known_classifiers._points(("a", "b"), (0.2,)) == {}


def test_the_warnings_of_the_process_stay_as_they_were() -> None:
    import warnings

    before = list(warnings.filters)
    known_classifiers._imported("torchxrayvision.models", "torchxrayvision")
    assert list(warnings.filters) == before
    with pytest.raises(UsageError, match="torchxrayvision, timm"):
        known_classifiers.from_library("keras", "x", print)
