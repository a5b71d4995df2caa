"""Weights files from other people's training code."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import pretrained
from napari_wsseg.nn.classifier import build


@pytest.fixture(scope="module")
def trunk() -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return dict(build("resnet18", 1).backbone.state_dict())


@pytest.mark.parametrize(
    "prefix",
    ["", *pretrained.PREFIXES, "module.model.", "module.backbone."],
)
def test_usual_prefixes_are_taken_off(
    prefix: str, trunk: dict[str, torch.Tensor]
) -> None:
    theirs = {prefix + key: value for key, value in trunk.items()}
    theirs["fc.weight"] = torch.zeros(1)
    net = build("resnet18", 1)
    report = pretrained.load(net.backbone, theirs)
    assert report == pretrained.LoadReport((), ("fc.weight",))
    assert torch.equal(net.backbone.conv1.weight, trunk["conv1.weight"])


@pytest.mark.parametrize("wrap", [None, "state_dict", "model"])
@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
def test_weights_are_read_from_every_usual_file(
    wrap: str | None, ending: str, tmp_path: Path, trunk: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        save_file(trunk, path)
    else:
        torch.save({wrap: trunk, "epoch": 3} if wrap else trunk, path)
    net = build("resnet18", 1, weights=path)
    assert torch.equal(net.backbone.conv1.weight, trunk["conv1.weight"])


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {}, "hook": _Code()}, path)
    with pytest.raises(DataError, match=r"weights\.pt holds more than tensors"):
        pretrained.read(path)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", bytes(1000)])
def test_a_damaged_file_is_refused_by_name(
    ending: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"broken\.{ending}"):
        pretrained.read(path)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_missing_file_is_refused_by_name(ending: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no weights file"):
        pretrained.read(tmp_path / f"none.{ending}")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.pt"
    torch.save({"epoch": 3}, path)
    with pytest.raises(DataError, match="no tensors"):
        pretrained.read(path)


def test_imagenet_weights_go_through_torchvisions_own_loader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(3)
    state = torchvision.models.resnet18(weights=None).state_dict()
    monkeypatch.setattr(
        torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: state
    )
    net = build("resnet18", 2, weights="imagenet")
    torch.testing.assert_close(
        net.backbone.conv1.weight, state["conv1.weight"].sum(1, keepdim=True)
    )


def test_without_a_network_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_args: object, **_options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(JobFailed, match=r"no route to host.*weights file"):
        build("resnet18", 2, weights="imagenet")


def test_old_densenet_keys_find_their_places() -> None:
    old = "features.denseblock1.denselayer1.norm.1.weight"
    new = "features.denseblock1.denselayer1.norm1.weight"
    assert pretrained.modern_key(old) == new
    assert pretrained.modern_key(new) == new


def test_a_word_that_is_no_source_of_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="imagenet"):
        build("resnet18", 2, weights="places")  # type: ignore[arg-type]
