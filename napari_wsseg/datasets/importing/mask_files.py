"""Which mask file belongs to which film: ``<finding>/<image stem>.png``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_wsseg.datasets.importing import file_filter as _scan
from napari_wsseg.datasets.importing.report import Rejected

_ENDINGS = (".tiff", ".tif", ".png")  # the last wins


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The mask files of one finding, by the film's path without its ending."""

    folder: Path
    by_key: dict[str, Path]
    strangers: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> MaskFiles:
        """List the mask files in `folder`."""
        found = sorted(_scan.files(folder), key=_rank)
        masks = [path for path in found if _rank(path) >= 0]
        return cls(
            folder,
            {_key(path): folder / path for path in masks},
            tuple(path for path in found if _rank(path) < 0),
        )


def _rank(path: str) -> int:
    ending = PurePosixPath(path).suffix.lower()
    return _ENDINGS.index(ending) if ending in _ENDINGS else -1


def _key(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()


def matched(
    masks: dict[str, MaskFiles], paths: Sequence[str]
) -> tuple[dict[str, dict[str, Path]], list[Rejected]]:
    """Return each film's mask files by finding, and what belongs to no film.

    A mask lies under the film's sub-folders, or flat under its bare name if no other
    film has that name.
    """
    stems = Counter(PurePosixPath(path).stem for path in paths)
    of_film: dict[str, dict[str, Path]] = {path: {} for path in paths}
    left_out: list[Rejected] = []
    for finding, files in masks.items():
        left_out += [
            Rejected(f"{finding}/{path}", "not a PNG or TIFF mask")
            for path in files.strangers
        ]
        unused = dict(files.by_key)
        for path in paths:
            stem = PurePosixPath(path).stem
            key = _key(path)
            if key not in files.by_key and stems[stem] == 1:
                key = stem
            if key in files.by_key:
                of_film[path][finding] = files.by_key[key]
                unused.pop(key, None)
        left_out += [
            Rejected(f"{finding}/{file.relative_to(files.folder).as_posix()}", words)
            for key, file in unused.items()
            for words in [_why(PurePosixPath(key).name, stems)]
        ]
    return of_film, left_out


def _why(stem: str, stems: Counter[str]) -> str:
    if stems[stem] > 1:
        return f"{stems[stem]} films are called {stem}; put masks in their sub-folders"
    return f"no film is called {stem}"
