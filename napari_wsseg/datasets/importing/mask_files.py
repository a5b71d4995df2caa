"""Which mask file belongs to which film: ``<finding>/<image stem>.png``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_wsseg.datasets.importing.report import Rejected
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import film_matching as _film_matching
from napari_wsseg.jobs import DataError

_ENDINGS = (".png", ".tif", ".tiff")

_WHY_NOT = "not a PNG or TIFF mask; `wsseg import png` takes GIF, BMP and JPEG, too"


@dataclass(frozen=True, slots=True)
class MaskFiles:
    """The mask files of one finding, by their path without its ending."""

    folder: Path
    by_key: Mapping[str, Sequence[Path]]
    strangers: tuple[str, ...]

    @classmethod
    def in_folders(cls, *folders: Path) -> MaskFiles:
        """List the mask files in folders that are of one finding."""
        by_key: dict[str, list[Path]] = {}
        strangers: list[str] = []
        for folder in folders:
            for path in _folder_files.files(folder):
                key, ending = os.path.splitext(path)
                if ending.lower() in _ENDINGS:
                    by_key.setdefault(key, []).append(folder / path)
                else:
                    strangers.append(f"{folder.name}/{path}")
        return cls(folders[0].parent, by_key, tuple(strangers))


def matched(
    masks: Mapping[str, MaskFiles], paths: Sequence[str]
) -> tuple[dict[str, dict[str, Sequence[Path]]], list[Rejected]]:
    """Return each film's mask files by finding, and what belongs to no film.

    By the rule of `napari_wsseg.io.external.film_matching`, a mask's own ending aside.
    """
    films = _film_matching.FilmNames(((path, path) for path in paths), channels=False)
    of_film: dict[str, dict[str, Sequence[Path]]] = {path: {} for path in paths}
    left_out: list[Rejected] = []
    for finding, files in masks.items():
        left_out += [Rejected(path, _WHY_NOT) for path in files.strangers]
        found, reasons = _film_matching.match(files.by_key, films)
        for key, film in found.items():
            own = [*of_film[film].get(finding, ()), *files.by_key[key]]
            of_film[film][finding] = own
        left_out += [
            Rejected(file.relative_to(files.folder).as_posix(), reason)
            for key, reason in reasons.items()
            for file in files.by_key[key]
        ]
    return of_film, left_out


def name_channels(strays: Sequence[Rejected], paths: Sequence[str]) -> bool:
    """Whether a mask without a film is called as nnU-Net calls those of one.

    It has its films, and another command, so that there is no reason to stop.
    """
    films = _film_matching.FilmNames(((path, path) for path in paths), channels=False)
    for stray in strays:
        key, ending = os.path.splitext(stray.path.partition("/")[2])
        with suppress(DataError):
            if ending.lower() in _ENDINGS:
                films.find(_film_matching.channel(key))
                return True
    return False
