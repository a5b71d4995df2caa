"""The sample project: synthetic films made on first use, never of patients."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import platformdirs

from napari_wsseg.datasets import datasets
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress

FILMS = 64


def default_folder() -> Path:
    """Return the program's cache folder of the current user."""
    return platformdirs.user_cache_path("napari-wsseg", appauthor=False, opinion=False)


def film_count(project: Path) -> int:
    """Return how many films a project holds, none if there is no project."""
    if not (project / "wsseg.toml").exists():
        return 0
    with Project.open(project) as opened:
        return len(opened.cases())


def sample_project(
    out: Path | None = None, films: int | None = None
) -> Generator[Progress, None, Path]:
    """Yield progress while making the sample project; return its folder.

    What is there already is kept.

    Parameters
    ----------
    out
        Gets ``synthetic-films`` and ``synthetic-project``; default, `default_folder`.
    films
        How many; ``None`` takes the project that is there, or makes `FILMS`. Where one
        of another number is there, the new one lies in ``films-FILMS`` beside it.

    Raises
    ------
    DataError
        If one of the two is there and something else.
    """
    from napari_wsseg.phantom import ensure_demo_dataset

    out = out or default_folder()
    if films is not None and film_count(out / "synthetic-project") not in (0, films):
        out = out / f"films-{films}"
    project = out / "synthetic-project"
    if (project / "wsseg.toml").exists():
        return project
    films = films or FILMS
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
