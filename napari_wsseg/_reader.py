"""napari's reader: DICOM films, masks or a project folder, dropped on the viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from napari_wsseg import _drops

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
ReaderFunction: TypeAlias = Callable[[str | Sequence[str]], list[LayerData]]

_ENDINGS = (".dcm", ".dicom", ".dic", ".ima")
_MOST_FILMS = 20
"""Films shown of a project folder; ``wsseg open`` is the way to all of them."""


def get_reader(path: str | Sequence[str]) -> ReaderFunction | None:
    """Return the function that reads `path`, or ``None`` if it is not ours."""
    paths = [path] if isinstance(path, str) else list(path)
    if paths and all(_drops.kind(Path(p)) for p in paths):
        return _masks
    if paths and all(_is_film(Path(p)) for p in paths):
        return _films
    if len(paths) == 1 and (Path(paths[0]) / "wsseg.toml").is_file():
        return _project
    return None


def _is_film(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(132)
    except (OSError, ValueError):
        return False
    return head[128:] == b"DICM" or path.suffix.lower() in _ENDINGS


def _films(path: str | Sequence[str]) -> list[LayerData]:
    from napari_wsseg.io import dicom

    paths = [path] if isinstance(path, str) else path
    return [_layer(dicom.read(Path(p)), _shown(Path(p))) for p in paths]


def _shown(path: Path) -> str:
    """Return a film's layer name: its file's, unless that may be a patient's."""
    from napari_wsseg.io import film_identity

    owner = film_identity.read_owner(path)
    return path.stem if owner is not None and owner.nameless else "film"


def _masks(path: str | Sequence[str]) -> list[LayerData]:
    paths = [path] if isinstance(path, str) else path
    return [
        layer
        for place in map(Path, paths)
        for layer in _drops.layers(place, _drops.kind(place) or "")
    ]


def _project(path: str | Sequence[str]) -> list[LayerData]:
    from napari_wsseg.io.project import Project

    folder = Path(path if isinstance(path, str) else path[0])
    with Project.open(folder) as project:
        ids = project.case_ids()[:_MOST_FILMS]
        known = project.some_cases(ids)
        cases = [known[case_id] for case_id in ids]
        return [_layer(project.radiograph(case), case.name) for case in cases]


def _layer(radiograph: Any, name: str) -> LayerData:
    """Return a film as an image layer, in millimetres where the file knows them."""
    spacing = radiograph.spacing_mm
    options = {
        "name": name,
        "contrast_limits": (0.0, 1.0),
        "colormap": "gray",
        "scale": spacing or (1.0, 1.0),
        "units": ("mm", "mm") if spacing else ("pixel", "pixel"),
    }
    return radiograph.pixels, options, "image"
