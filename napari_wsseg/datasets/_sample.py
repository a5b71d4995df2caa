"""The sample project: synthetic films made on first use, never of patients."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import platformdirs

from napari_wsseg.datasets import datasets
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.phantom import ensure_demo_dataset

FILMS = 64


def default_folder() -> Path:
    """Return the program's cache folder of the current user."""
    return platformdirs.user_cache_path("napari-wsseg", appauthor=False, opinion=False)


def sample_project(
    out: Path | None = None, films: int = FILMS
) -> Generator[Progress, None, Path]:
    """Yield progress while making the sample project; return its folder.

    What is there already is kept.

    Parameters
    ----------
    out
        Gets ``synthetic-films`` and ``synthetic-project``; default, `default_folder`.

    Raises
    ------
    DataError
        If one of the two is there and something else.
    """
    out = out or default_folder()
    project = out / "synthetic-project"
    if (project / "wsseg.toml").exists():
        return project
    yield Progress(0, 0, f"making {films} synthetic films")
    try:
        source = ensure_demo_dataset(out / "synthetic-films", n=films)
    except FileExistsError as error:
        raise DataError(
            f"{out / 'synthetic-films'} holds something else; choose another folder"
        ) from error
    yield from datasets["folder"](
        project,
        images=source / "images",
        labels=source / "labels.csv",
        masks=source / "masks",
    )
    return project
