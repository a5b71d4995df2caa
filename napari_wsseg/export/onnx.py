"""A segmenter as ONNX, with its model card, for programs without torch.

Input ``images`` (B, c, S, S) float32: films letterboxed and normalised as the metadata
``wsseg`` says. Outputs in [0, 1]: ``score`` (B, K, S, S), where each finding is, and
``present`` (B, K), whether it is there at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from napari_wsseg.export import File, Note, model, models
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import DataError


@models.register("onnx")
def write(project: Project, run: str) -> Iterator[File | Note]:
    """Yield ``<run>.onnx``, ``<run>.md`` and ``<run>.data.json``."""
    folder = model.finished(project, run)
    yield File(f"{run}.onnx", partial(_encoded, folder))
    yield from model.beside(project, folder)


def _encoded(folder: RunFolder) -> bytes:
    import torch

    from napari_wsseg.io import checkpoints

    header, weights = checkpoints.read(folder.best)
    network = _network(folder.id, header, weights)
    shape = (2, header["network"].get("in_channels", 1), header["size"], header["size"])
    try:
        program = torch.onnx.export(
            network,
            (torch.zeros(shape),),
            dynamo=True,
            input_names=["images"],
            output_names=["score", "present"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    except ImportError as error:
        raise DataError(
            f"ONNX needs more packages ({error}): pip install 'napari-wsseg[onnx]'"
        ) from error
    proto: Any = program.model_proto  # type: ignore[union-attr]
    entry = proto.metadata_props.add()
    entry.key, entry.value = "wsseg", json.dumps(header)
    return bytes(proto.SerializeToString())


def _network(run: str, header: dict[str, Any], weights: dict[str, Any]) -> Any:
    """Return the segmenter with its logits made probabilities."""
    from torch import Tensor, nn

    from napari_wsseg.nn import segmenter

    spec = dict(header["network"])
    kind = spec.pop("kind")
    if kind != "segmenter":
        raise DataError(f"{run}: a {kind}; ONNX is written of segmenters alone")
    network = segmenter.build(**spec)
    network.load_state_dict(weights)

    class Probabilities(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            masks, present = self.network(images)
            return masks.sigmoid(), present.sigmoid()

    return Probabilities().eval()
