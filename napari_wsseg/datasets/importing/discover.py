"""Every file under an image folder that may be a film, in archives too."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing.report import Rejected
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.dicom import dicomdir
from napari_wsseg.io.films import archive as _archive
from napari_wsseg.jobs import DataError

_NAMED = 20
"""Absent files that are told one by one; discs may lack thousands."""


@dataclass(frozen=True, slots=True)
class FoundFilms:
    """Paths relative to the image folder, POSIX, sorted; and what was left out."""

    paths: list[str]
    left_out: list[Rejected]
    remarks: list[str]


def root(images: Path, what: str = "image folder") -> Path:
    """Return the place that films are looked for in: a folder, or a zip archive.

    A DICOMDIR stands for its folder.

    Raises
    ------
    DataError
        There is neither.
    """
    images = Path(images).absolute()
    if images.is_dir() or _archive.is_archive(images):
        return images
    if images.is_file() and images.name.upper() == dicomdir.NAME:
        return images.parent
    if images.is_file():
        raise DataError(f"{images}: a file, but neither a zip archive nor a DICOMDIR")
    raise DataError(f"{images}: no such {what}")


def find_films(images: Path, *, without: Collection[Path] = ()) -> FoundFilms:
    """Return what may be a film in a folder or archive.

    Archives in the folder are looked into, see `napari_wsseg.io.films.archive`. Where a
    DICOMDIR lies, what it lists is taken of its folder, and the rest is not.

    Raises
    ------
    DataError
        `images` is an archive that cannot be used.
    """
    left_out: list[Rejected] = []
    if images.is_dir():
        paths: list[str] = []
        for path in _folder_files.files(images, without=without):
            paths += _inside(images, path, left_out)
    else:
        paths = _members(images, "", left_out)
    remarks: list[str] = []
    for path in [p for p in paths if PurePosixPath(p).name.upper() == dicomdir.NAME]:
        paths = _listed(images, path, paths, left_out, remarks)
    return FoundFilms(sorted(paths), left_out, remarks)


def _inside(images: Path, path: str, left_out: list[Rejected]) -> list[str]:
    """Return the path of a file, or of what is in it if it is an archive."""
    if not _archive.is_archive(images / path):
        return [path]
    try:
        return _members(images / path, f"{path}/", left_out)
    except DataError as error:
        message = str(error).removeprefix(f"{images / path}: ")
        left_out.append(Rejected(path, message))
        return []


def _members(archive: Path, prefix: str, left_out: list[Rejected]) -> list[str]:
    names, refused = _guarded.archive_listing(archive)
    left_out += [Rejected(prefix + name, reason) for name, reason in refused]
    nested = [name for name in names if name.lower().endswith(".zip")]
    refusal = "an archive in an archive is not opened; unpack the outer one"
    left_out += [Rejected(prefix + name, refusal) for name in nested]
    return [
        prefix + name
        for name in names
        if name not in nested
        and not any(_folder_files.is_litter(part) for part in PurePosixPath(name).parts)
    ]


def _listed(
    images: Path,
    path: str,
    paths: list[str],
    left_out: list[Rejected],
    remarks: list[str],
) -> list[str]:
    """Keep, of a DICOMDIR's folder, what it lists."""
    rest = [each for each in paths if each != path]
    try:
        names = _guarded.dicomdir_images(images / path)
    except DataError as error:
        message = str(error).removeprefix(f"{images / path}: ")
        remarks.append(f"{path}: {message}; its folder was searched instead")
        return rest
    parent = PurePosixPath(path).parent.as_posix()
    here = "" if parent == "." else f"{parent}/"
    # Discs are written in capitals, and mounted in whatever case.
    there = {each.lower(): each for each in rest if each.startswith(here)}
    known = {(here + name).lower(): name for name in names}
    taken = {there[low] for low in known if low in there}
    absent = [here + name for low, name in known.items() if low not in there]
    left_out += _absent(path, absent)
    others = len(there) - len(taken)
    if others:
        remarks.append(f"{others} files that {path} does not list were left out")
    return [each for each in rest if not each.startswith(here) or each in taken]


def _absent(path: str, absent: Iterable[str]) -> list[Rejected]:
    gone = list(absent)
    reason = f"no such file; {path} lists it"
    rejected = [Rejected(name, reason) for name in gone[:_NAMED]]
    if len(gone) > _NAMED:
        rejected.append(
            Rejected(path, f"lists {len(gone) - _NAMED} more that are absent")
        )
    return rejected
