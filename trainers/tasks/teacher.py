"""What a run's network says of films, computed once and kept for its student."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg.io import atomic, film_cache, project_files
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.pipeline.inference import networks
from trainers.engine.recipe import Context

BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """A teacher's mask logits.

    Parameters
    ----------
    values : (N, K, size, size) float16 or float32
        In memory, or a read-only memory map.
    places
        Film number to place in `values`.
    """

    values: NDArray[Any]
    places: dict[int, int]

    def take(self, rows: Sequence[int]) -> Tensor:
        """Return (len(rows), K, size, size) float32, a copy."""
        taken = np.stack([self.values[self.places[row]] for row in rows])
        return torch.from_numpy(taken.astype(np.float32))


def logits(
    context: Context,
    run: str,
    ids: Sequence[str],
    rows: Sequence[int],
    *,
    size: int,
    keep: str,
    device: str,
) -> Generator[Progress, None, Logits | None]:
    """Yield progress while a run's segmenter looks at films, unaugmented.

    What an earlier session of the run has computed is taken from its cache.

    Parameters
    ----------
    context, run
        The run that learns, and the one that is asked.
    ids
        Case ids by film number.
    rows
        Film numbers.
    size
        Side that the logits are brought to.
    keep
        ``"float16"`` or ``"float32"``.
    device
        Where the teacher looks.

    Returns
    -------
    Logits, optional
        ``None`` if the run was cancelled meanwhile.

    Raises
    ------
    DataError
        If the run is not of a segmenter, or its weights are damaged.
    """
    places = {row: place for place, row in enumerate(rows)}
    base = context.cache / f"teacher-{size}-{keep}.npy" if context.cache else None
    what = {"run": run, "cases": [ids[row] for row in rows]}
    if base is not None and _is_whole(base, what):
        kept = np.load(project_files.checked(base), "r", allow_pickle=False)
        return Logits(kept, places)
    model, header = networks.load(
        context.project.folder, run, device=networks.device_of(device)
    )
    networks.require(header, "segmenter", run)
    films = yield from film_cache.films(context.project, header["size"])
    shape = (len(rows), len(header["findings"]), size, size)
    values = _buffer(base, shape, keep)
    for start in range(0, len(rows), BATCH):
        if context.cancel.is_set():
            return None
        some = rows[start : start + BATCH]
        pixels = films.take([ids[row] for row in some])
        found = _asked(model, header, torch.from_numpy(pixels), size)
        values[start : start + len(some)] = found.cpu().numpy()
        yield Progress(start + len(some), len(rows), "asking the teacher")
    if base is not None:
        values.flush()
        atomic.write_json(base.with_suffix(".json"), what)
    return Logits(values, places)


def _is_whole(base: Path, what: dict[str, Any]) -> bool:
    index = base.with_suffix(".json")
    return base.exists() and index.exists() and atomic.read_json(index) == what


def _buffer(base: Path | None, shape: tuple[int, ...], keep: str) -> Any:
    if base is None:
        return np.empty(shape, keep)
    project_files.remove(base.with_suffix(".json"))
    try:
        project_files.make_folder(base.parent)
        project_files.checked(base)
        return np.lib.format.open_memmap(base, "w+", np.dtype(keep), shape)
    except OSError as error:
        needed = np.prod(shape) * np.dtype(keep).itemsize / 2**30
        raise DataError(
            f"{base} could not be made ({error.strerror}); it needs {needed:.1f} GiB"
        ) from error


@torch.no_grad()
def _asked(
    model: nn.Module, header: dict[str, Any], pixels: Tensor, size: int
) -> Tensor:
    device = next(model.parameters()).device
    images = as_input(
        pixels.to(device),
        header["normalisation"],
        int(header["network"].get("in_channels", 1)),
        detail=header.get("detail", 0),
    )
    found = model(images)[0].float()
    if found.shape[-1] == size:
        return found
    return functional.interpolate(
        found,
        (size, size),
        mode="bilinear",
        align_corners=False,
        antialias=size < found.shape[-1],
    )
