"""Film names that may tell who a patient is, kept in a key file outside the project.

``DOE^JANE_1962.dcm`` is somebody's name. A project whose names are hidden calls that
film ``film_0007.dcm``, in its index and in whatever is made of it. Which file that is,
and in which folder, stands in ``<key>.json`` in the user's own settings, or wherever
``WSSEG_KEYS`` points; the project knows the key's name alone. Without the file a
project still opens: masks, maps and decisions are there, the films are not.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import platformdirs

from napari_wsseg.io import atomic
from napari_wsseg.jobs import DataError

VARIABLE = "WSSEG_KEYS"
"""Environment variable that names another folder for key files."""

_KEY = re.compile(r"[0-9a-f]{16}")
_MAY_CLIMB = re.compile(r"\.\.|[\\:]")
"""In a path that has to be taken apart; the quick way past it for all others."""
_HIDDEN = re.compile(r"film_+[0-9]{4,}(\.[a-z]+)?")
_ENDINGS = (".dcm", ".dicom", ".dic", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Names:
    """Where the films of a project lie.

    Parameters
    ----------
    images
        The image folder, absolute.
    key
        Of the key file; empty where the project's paths are the files' own.
    films
        What the project calls a film to its path in `images`; empty without a key.
    found
        Whether the key file is here.
    """

    images: Path
    key: str = ""
    films: Mapping[str, str] = field(default_factory=dict)
    found: bool = True

    def place(self, shown: str) -> Path:
        """Return where a film lies.

        Raises
        ------
        DataError
            The key file is not here or does not have the film, or the path leads out
            of the image folder.
        """
        if not self.key:
            return self.images / inside(shown)
        if not self.found:
            raise DataError(
                f"{shown}: where it lies stands in the key file {key_file(self.key)}, "
                "which is not here; copy it there, name its folder in "
                f"{VARIABLE}, or run wsseg names --images FOLDER"
            )
        if shown not in self.films and shown in self.films.values():
            return self.images / inside(shown)  # names are being hidden just now
        if shown not in self.films:
            raise DataError(
                f"{shown}: the key file {key_file(self.key)} has no such film; restore "
                "it, or run wsseg names --images FOLDER"
            )
        return self.images / inside(self.films[shown])

    def shown_path(self, shown: str) -> str:
        """Return how a person is told of a film: by its file, or by its other name."""
        return shown if self.key else str(self.images / shown)

    def without(self, text: str, shown: str) -> str:
        """Return `text` about a film with its hidden name taken out."""
        if not self.key or shown not in self.films:
            return text
        real = self.films[shown]
        for name in (str(self.images / real), real, PurePosixPath(real).name):
            text = text.replace(name, shown)
        return text.replace(str(self.images), "the image folder")


def hide(paths: Collection[str]) -> dict[str, str]:
    """Return another name for each film: ``film_0001.dcm`` and so on.

    The order is that of a hash, for that of the alphabet would tell something.
    """
    digits = max(4, len(str(len(paths))))
    order = sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())
    # Old and new names lie side by side while they change: none may be both.
    stem = "film_"
    while any(path.startswith(stem) for path in paths):
        stem += "_"
    return {
        path: f"{stem}{number:0{digits}}{_ending(path)}"
        for number, path in enumerate(order, start=1)
    }


def are_hidden(paths: Collection[str]) -> bool:
    """Whether paths are all of the kind that `hide` gives."""
    return all(_HIDDEN.fullmatch(path) for path in paths)


def new_key() -> str:
    """Return the name of a key file that does not exist yet."""
    return secrets.token_hex(8)


def write(key: str, images: str, films: Mapping[str, str]) -> None:
    """Keep where films lie in a key file that its owner alone may read.

    Parameters
    ----------
    key
        Name of the key file, as `new_key` makes one.
    images
        As in ``wsseg.toml``: absolute, or relative to the project.
    films
        What the project calls a film to its path in `images`.
    """
    path = key_file(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be made ({error.strerror})") from error
    atomic.write_json(path, {"images": images, "films": dict(films)}, private=True)


def read(key: str, folder: Path) -> Names:
    """Return where the films of the project in `folder` lie.

    Raises
    ------
    DataError
        The key is none, or its file is damaged.
    """
    path = key_file(key)
    if not path.is_file():
        return Names(folder, key, found=False)
    record = atomic.read_json(path, {"images": str, "films": {str: str}})
    images = Path(os.path.abspath(folder / record["images"]))
    return Names(images, key, record["films"])


def forget(key: str) -> None:
    """Delete a key file, of a project that did not come to be."""
    key_file(key).unlink(missing_ok=True)


def key_file(key: str) -> Path:
    """Return where a key file lies.

    Raises
    ------
    DataError
        Such a key is never given: a foreign project must not name a path.
    """
    if not _KEY.fullmatch(key):
        raise DataError(f"key {key!r} in wsseg.toml is not 16 digits 0-9 a-f; mend it")
    return _folder() / f"{key}.json"


def inside(path: str) -> str:
    """Return a relative path that stays below its folder.

    Raises
    ------
    DataError
        It is absolute or climbs out, as only a forged project has it.
    """
    if path and path[0] != "/" and not _MAY_CLIMB.search(path):
        return path
    windows = PureWindowsPath(path)
    if not path or windows.anchor or path.startswith("/") or ".." in windows.parts:
        raise DataError(f"{path!r}: leads out of the image folder; refused")
    return path


def _ending(path: str) -> str:
    # Only endings that are known: that of SMITH.JOHN is a name.
    ending = PurePosixPath(path).suffix.lower()
    return ending if ending in _ENDINGS else ""


def _folder() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute()
    config = platformdirs.user_config_path("wsseg", appauthor=False, roaming=True)
    return config / "keys"
