"""The weights of a run as safetensors, with its model card and what it learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from napari_wsseg.export import File, Note, models
from napari_wsseg.export.exporting import model_card as _model_card
from napari_wsseg.io import project_files, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError


@models.register("model")
def write(project: Project, run: str) -> Iterator[File | Note]:
    """Yield ``<run>.safetensors``, ``<run>.md`` and ``<run>.data.json``."""
    folder = finished(project, run)
    yield File(f"{run}.safetensors", partial(project_files.read_bytes, folder.best))
    yield from beside(project, folder)


def finished(project: Project, run: str) -> runs.RunFolder:
    """Return a run that has weights to offer; `DataError` if it has none."""
    folder = runs.find(project.folder, run)
    if not project_files.checked(folder.best).is_file():
        raise DataError(f"{run}: has no finished weights; let it finish, or resume it")
    return folder


def beside(project: Project, folder: runs.RunFolder) -> Iterator[File | Note]:
    """Yield what goes with a run's weights, whatever their form."""
    text, evaluated = _model_card.text(project, folder)
    if not evaluated:
        yield Note(
            "warning",
            "unevaluated: no film of val or test has an expert mask that the run has "
            "not learnt from; the card says so",
        )
    yield File(f"{folder.id}.md", text.encode)
    lock = folder.path / "data.lock.json"
    if lock.is_file():
        yield File(f"{folder.id}.data.json", partial(project_files.read_bytes, lock))
