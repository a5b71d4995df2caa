"""Somebody else's classifier: taken over whole, or refused with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from napari_wsseg.cli import _training, main
from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.nn.classifier import build
from napari_wsseg.pipeline.inference import networks

pytestmark = pytest.mark.usefixtures("one_thread")

State = dict[str, torch.Tensor]


def theirs(arch: str, outputs: int = 3) -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.get_model(arch, weights=None, num_classes=outputs)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Else a norm that is left out or a ReLU too few would hardly show.
            nn.init.normal_(module.bias, std=0.3)
    return network.eval()


def wsseg_import(project: Path, file: Path, *arguments: str) -> int:
    return main(["import", "classifier", str(file), "-p", str(project), *arguments])


def written(state: State, path: Path) -> Path:
    torch.save(state, path)
    return path


def prefixed(state: State, prefix: str) -> State:
    return {prefix + key: value for key, value in state.items()}


def chexpert_style(state: State) -> State:
    renamed = {
        key.replace("classifier.", "classifier.0."): value
        for key, value in state.items()
    }
    return prefixed(renamed, "module.densenet121.")


def old_densenet(state: State) -> State:
    return {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2"): value
        for key, value in state.items()
    }


def split_model(state: State) -> State:
    return {
        "head.weight" if key == "fc.weight" else f"backbone.{key}": value
        for key, value in state.items()
        if key != "fc.bias"
    }


@pytest.mark.parametrize(
    ("arch", "renamed"),
    [
        ("resnet18", dict),
        ("resnet18", lambda state: prefixed(state, "module.model.")),
        ("resnet18", split_model),
        ("densenet121", chexpert_style),
        ("densenet121", old_densenet),
    ],
)
def test_logits_are_those_of_their_own_network(
    spots: Path, tmp_path: Path, arch: str, renamed: Callable[[State], State]
) -> None:
    network = theirs(arch)
    if renamed is split_model:
        nn.init.zeros_(network.fc.bias)
    file = written(renamed(network.state_dict()), tmp_path / "theirs.pth")
    assert (
        wsseg_import(
            *(spots, file, "--arch", arch, "--findings", "other,spot,-"),
            *("--size", "64", "--normalisation", "imagenet-rgb"),
        )
        == 0
    )
    (info,) = runs.listing(spots)
    ours, header = networks.load(spots, info.id)
    assert info.state == "done"
    assert info.recipe == "classifier"
    assert header["size"] == 64
    assert header["normalisation"] == "imagenet-rgb"
    assert header["findings"] == ["spot"]
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(images)[:, 1:2]
        torch.testing.assert_close(ours(images), expected, rtol=1e-5, atol=1e-5)


def test_a_grey_file_of_safetensors_makes_maps_and_is_used(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file(build("resnet18", 1).state_dict(), tmp_path / "ours.safetensors")
    arguments = ["--arch", "resnet18", "--findings", "spot", "--output-stride", "16"]
    arguments += ["--normalisation", "film", "--size", "64", "--json"]
    assert wsseg_import(spots, tmp_path / "ours.safetensors", *arguments) == 0
    output = capsys.readouterr()
    assert "assumed: --channels 1; it must be as it was trained" in output.err
    run = json.loads(output.out)["run"]
    assert main(["infer", "cam", "-p", str(spots)]) == 0
    with Project.open(spots) as project:
        assert project.adopted("cam") == project.adopted("crf") == run
        for case in project.cases():
            maps = stages.read(spots, "cam", run, case.id)
            assert maps is not None
            assert maps.score.shape == (1, 16, 16)
    card = (spots / "runs" / run / "card.md").read_text()
    assert "From ours.safetensors (SHA-256" in card
    assert "epochs" not in card


def test_added_convolutions_come_along(spots: Path, tmp_path: Path) -> None:
    ours = build("resnet18", 1, extra_convs=True).eval()
    file = written(ours.state_dict(), tmp_path / "ours.pt")
    assert wsseg_import(spots, file, "--arch", "resnet18", "--findings", "spot") == 0
    again, _ = networks.load(spots, runs.listing(spots)[0].id)
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        # A dilated map is not the strided one, so both are taken at 32.
        same = build("resnet18", 1, extra_convs=True, output_stride=32).eval()
        same.load_state_dict(ours.state_dict())
        assert torch.equal(again(images), same(images))


def test_run_builds_on_the_classifier_that_was_imported(
    spots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(theirs("resnet18", 1).state_dict(), tmp_path / "theirs.pt")
    arguments = ["--arch", "resnet18", "--findings", "spot", "--no-adopt"]
    assert wsseg_import(spots, file, *arguments) == 0
    run = runs.listing(spots)[0].id
    with Project.open(spots) as project:
        assert project.adopted("cam") is None
    assert main(["adopt", run, "-p", str(spots)]) == 0
    trained: list[tuple[str, Any]] = []

    def execute(_project: Path, recipe: str, settings: Any, *_: Any, **__: Any) -> Any:
        trained.append((recipe, settings["classifier_run"]))
        return {"status": "stopped", "run": "x", "metrics": {}, "exit_code": 130}

    monkeypatch.setattr(_training, "execute", execute)
    assert main(["run", "-p", str(spots), "--no-adopt"]) == 130
    assert trained == [("irnet", run)]


def test_keys_that_are_not_used_are_named(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = dict(theirs("resnet18", 1).state_dict())
    state["op_threshs"] = torch.zeros(1)
    file = written(state, tmp_path / "theirs.pt")
    arguments = ["--arch", "resnet18", "--findings", "spot", "--json"]
    assert wsseg_import(spots, file, *arguments) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["unexpected"] == ["op_threshs"]
    assert "not used of the file: op_threshs" in output.err
    assert "assumed: --size 320 --normalisation imagenet --channels 3" in output.err


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def vgg_with_its_own_head() -> State:
    layers = torchvision.models.vgg.make_layers(
        torchvision.models.vgg.cfgs["D"], batch_norm=True
    )
    return {
        **layers.state_dict(prefix="features."),
        "classifier.0.weight": torch.zeros(4, 25088),
        "classifier.3.weight": torch.zeros(4, 4),
        "classifier.6.weight": torch.zeros(2, 4),
    }


def broken(how: str) -> dict[str, Any]:
    if how == "vgg":
        return vgg_with_its_own_head()
    if how == "chexpert":
        return chexpert_style(theirs("densenet121", 2).state_dict())
    state = theirs("resnet34" if how == "deeper" else "resnet18", 2).state_dict()
    no_head = {key: value for key, value in state.items() if "fc" not in key}
    first, second = torch.zeros(9, 512), torch.zeros(2, 9)
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "other": lambda: state,
        "deeper": lambda: state,
        "pickled": lambda: {"state_dict": state, "hook": _Code()},
        "headless": lambda: no_head,
        "deep": lambda: {**no_head, "fc.0.weight": first, "fc.2.weight": second},
        "neck": lambda: {**state, "neck.weight": torch.zeros(512, 512)},
        "nan": lambda: {**state, "fc.weight": state["fc.weight"] * float("nan")},
        "twice": lambda: prefixed(state, "student.") | prefixed(state, "teacher."),
    }
    return ways[how]()


@pytest.mark.parametrize(
    ("file", "arch", "findings", "code", "message"),
    [
        ("other", "alexnet", "spot,x", 2, "no architecture 'alexnet'; there are: res"),
        ("other", "resnet50", "spot,x", 3, "of another network"),
        ("other", "densenet121", "spot,x", 3, "not of a densenet121"),
        ("chexpert", "resnet50", "spot,x", 3, "not of a resnet50: there is no conv1"),
        ("deeper", "resnet18", "spot,x", 3, "another network than resnet18"),
        ("other", "resnet18", "spot", 3, "has 2 outputs, but 1 are named (spot)"),
        ("other", "resnet18", "spto,x", 3, "spot of this project is not among"),
        ("other", "resnet18", "spot,spot", 3, "spot is named twice"),
        ("pickled", "resnet18", "spot,x", 3, "could run code"),
        ("headless", "resnet18", "spot,x", 3, "have no head"),
        ("deep", "resnet18", "spot,x", 3, "the head is 2 linear layers"),
        ("neck", "resnet18", "spot,x", 3, "neck.weight"),
        ("nan", "resnet18", "spot,x", 3, "not finite"),
        ("twice", "resnet18", "spot,x", 3, "more than once, as student"),
        ("vgg", "vgg16", "spot,x", 3, "torchvision's VGG"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changed(
    spots: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    arch: str,
    findings: str,
    code: int,
    message: str,
) -> None:
    path = written(broken(file), tmp_path / "theirs.pt")
    before = files_of(spots)
    ended = wsseg_import(spots, path, "--arch", arch, "--findings", findings)
    output = capsys.readouterr()
    assert message in output.err
    assert ended == code
    assert output.err.count("wsseg:") == 1
    assert "Traceback" not in output.err
    assert files_of(spots) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classifier"], "--arch"),
        (["classifier", "--arch", "resnet18"], "--findings"),
        (["png"], "--reader"),
    ],
)
def test_what_is_needed_is_asked_for(
    spots: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    kind, *more = arguments
    assert main(["import", kind, str(spots), "-p", str(spots), *more]) == 2
    assert message in capsys.readouterr().err


def test_settings_that_do_not_exist_are_refused(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(theirs("resnet18", 1).state_dict(), tmp_path / "theirs.pt")
    arguments = ["--arch", "resnet18", "--findings", "spot"]
    assert wsseg_import(spots, file, *arguments, "--normalisation", "mri") == 2
    assert "normalisation=mri is not one of: film" in capsys.readouterr().err
    assert wsseg_import(spots, file, *arguments, "--size", "3") == 2
    assert "size=3 is out of range" in capsys.readouterr().err
    arguments += ["--normalisation", "imagenet-rgb", "--channels", "1"]
    assert wsseg_import(spots, file, *arguments) == 2
    assert "needs channels=3" in capsys.readouterr().err
    assert not runs.listing(spots)


def test_a_full_disk_leaves_a_run_marked_failed(
    spots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = written(theirs("resnet18", 1).state_dict(), tmp_path / "theirs.pt")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write", full)
    arguments = ["--arch", "resnet18", "--findings", "spot"]
    assert wsseg_import(spots, file, *arguments) == 3
    assert "No space left on device" in capsys.readouterr().err
    (info,) = runs.listing(spots)
    assert info.state == "failed"
    with Project.open(spots) as project:
        assert project.adopted("cam") is None
