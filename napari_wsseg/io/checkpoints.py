"""Weights on disk: safetensors to keep and exchange, a tensor-only file to resume.

Nothing here unpickles code: ``torch.load`` is always ``weights_only=True``.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from napari_wsseg.io import atomic, project_files
from napari_wsseg.jobs import Checkpoint, DataError


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Write weights and header as one safetensors file."""
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in checkpoint.weights.items()
    }
    header = {**checkpoint.header, "metrics": dict(checkpoint.metrics)}
    data = save(weights, metadata={"wsseg": json.dumps(header)})
    atomic.write(path, lambda file: file.write(data))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and weights.

    Raises
    ------
    DataError
        If the file is missing, damaged or was not written by `write`.
    """
    if not project_files.checked(path).is_file():
        raise DataError(
            f"{path} is missing: this run has no finished weights. Train its stage "
            "again (All stages in Train, or wsseg run), or use another run"
        )
    try:
        checked = project_files.checked(path)
        with safetensors.safe_open(checked, framework="pt") as file:
            text = (file.metadata() or {}).get("wsseg")
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} is not a whole safetensors file ({error})") from error
    if text is None:
        raise DataError(
            f"{path} has weights but no wsseg header, so its architecture is unknown"
        )
    try:
        header = json.loads(text)
        if not isinstance(header, dict):
            raise ValueError(f"a {type(header).__name__}, not an object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its wsseg header is damaged ({error})") from error
    return header, weights


def write_resume(path: Path, state: dict[str, Any]) -> None:
    """Write the state a run goes on from: tensors, numbers, strings, containers."""
    atomic.write(path, lambda file: torch.save(state, file))


def read_resume(path: Path) -> dict[str, Any]:
    """Return what `write_resume` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged or holds anything but tensors and plain values.
    """
    if not project_files.checked(path).is_file():
        raise DataError(f"{path} is missing: the run stopped before its first save")
    try:
        _refuse_packed(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for damaged files
        raise DataError(f"{path} cannot be resumed from ({error})") from error
    if not isinstance(state, dict):
        raise DataError(f"{path} holds a {type(state).__name__}, not a training state")
    return state


def _refuse_packed(path: Path) -> None:
    """Refuse compressed members: torch writes none, and a bomb is made of them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{member.filename} is compressed")
