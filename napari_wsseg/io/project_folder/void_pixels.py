"""Pixels that a data set leaves undecided: one 1-bit PNG a case that has any."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case, Mask


def write(folder: Path, case: Case, mask: Mask) -> None:
    """Put a case's void (H, W) on disk.

    Parameters
    ----------
    folder, case
        The project's folder, and the film's case.
    mask : (H, W) bool
        True where nobody decided; replaces what was kept before.

    Raises
    ------
    DataError
        Another shape than the film's, or a full disk.
    """
    if mask.dtype != np.bool_ or mask.shape != case.shape:
        raise DataError(
            f"{case.path}: void is {mask.dtype} {mask.shape}, the film is "
            f"{case.shape}; give a bool mask of the film's shape"
        )
    data = _mask_store.encode(mask)
    atomic.write(_place(folder, case.id), lambda file: file.write(data))


def read(folder: Path, case_id: str) -> Mask | None:
    """Read a case's void; ``None`` where there is none.

    Raises
    ------
    DataError
        The file cannot be read, or is damaged.
    """
    path = _place(folder, case_id)
    try:
        return _mask_store.decode(project_files.read_bytes(path, _mask_store.MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: void pixels cannot be read ({error})") from error


def _place(folder: Path, case_id: str) -> Path:
    return folder / "void" / f"{case_id}.png"
