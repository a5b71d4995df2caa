"""Masks on disk: 1-bit PNG, named by their content, never changed."""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.files import presence
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

SHA_DIGITS = 12

MAX_BYTES = 2**26
"""No 1-bit PNG of a film of the largest size is larger."""

_SLASH = re.compile(r"[\x00/\\:]")


def encode(mask: Mask) -> bytes:
    """Return a (H, W) bool mask as the bytes of a 1-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(mask, bool)).save(
        buffer, format="PNG", optimize=False, compress_level=6
    )
    return buffer.getvalue()


def decode(data: bytes) -> Mask:
    """Return the (H, W) bool mask in the bytes of a 1-bit PNG.

    Raises
    ------
    ValueError
        Not a 1-bit PNG.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode != "1":
                raise ValueError(f"mode {image.mode}, not 1 bit")
            if image.height * image.width > _limits.MAX_PIXELS:
                raise ValueError(f"{image.height} × {image.width} pixels are too many")
            return np.array(image, bool)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def pixels_sha(mask: Mask) -> str:
    """Return the hash of a mask's shape and pixels, free of any file format."""
    digest = hashlib.sha256(f"{mask.shape[0]}x{mask.shape[1]}:".encode())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def place(folder: Path, case_id: str, finding: str, sha: str) -> Path:
    """Return where a mask lies in the project `folder`.

    Parameters
    ----------
    folder, case_id, finding
        The project's folder, the case's 16 hexadecimal digits and the finding's name.
    sha
        First 12 hexadecimal digits of the SHA-256 of the mask file.

    Raises
    ------
    DataError
        A part is no single name, as only a forged index has it.
    """
    for part in (case_id, finding, sha):
        if not part.strip(".") or _SLASH.search(part):
            raise DataError(f"{part!r} in the index is no name of a file; refused")
    return folder / "masks" / case_id / finding / f"{sha}.png"


def write(folder: Path, case_id: str, finding: str, mask: Mask) -> str:
    """Put a mask on disk, forced there, and return its name's hash.

    Parameters
    ----------
    folder, case_id, finding
        The project's folder, the case's 16 hexadecimal digits and the finding's name.
    mask : (H, W) bool
        A file that holds it already stays as it is.

    Returns
    -------
    str
        First 12 hexadecimal digits of the SHA-256 of the file.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written to; nothing is harmed.
    """
    data = encode(mask)
    sha = hashlib.sha256(data).hexdigest()[:SHA_DIGITS]
    path = place(folder, case_id, finding, sha)
    # A damaged file of that name is mended by writing it again.
    if not _holds(path, data):
        presence.check_is_project(folder)
        atomic.write(
            path, lambda file: file.write(data), staging=_staging_folder(folder)
        )
    return sha


def remove_leftovers(folder: Path) -> None:
    """Delete masks that a writer who was killed left half written.

    Only the one writer of a project may: nobody else's can be among them.
    """
    for left in _staging_folder(folder).glob(f".*{atomic.TEMPORARY}"):
        with suppress(OSError):  # a read-only or full disk is told when it matters
            project_files.remove(left)


def _staging_folder(folder: Path) -> Path:
    """Return where masks lie until they are whole: one folder, soon swept."""
    return folder / "masks" / ".new"


def read(folder: Path, case_id: str, finding: str, sha: str) -> Mask:
    """Read a mask and check it against its name.

    Parameters
    ----------
    folder, case_id, finding, sha
        As in `place`.

    Returns
    -------
    (H, W) bool
        Of the shape that the file has: whether it is the film's is not checked.

    Raises
    ------
    DataError
        The file is missing, or holds something else than was written.
    """
    path = place(folder, case_id, finding, sha)
    try:
        data = project_files.read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: mask cannot be read ({error.strerror}); restore it from a "
            "backup, or run `wsseg fsck --repair` to fall back on the version before"
        ) from error
    found = hashlib.sha256(data).hexdigest()[:SHA_DIGITS]
    if found != sha:
        raise DataError(
            f"{path}: mask is damaged (its hash is {found}); restore it from a backup, "
            "or run `wsseg fsck --repair` to fall back on the version before"
        )
    try:
        return decode(data)
    except ValueError as error:
        raise DataError(f"{path}: mask is not a 1-bit PNG ({error})") from error


def is_whole(folder: Path, case_id: str, finding: str, sha: str) -> bool:
    """Whether a mask's file holds what was written, without decoding it.

    Parameters
    ----------
    folder, case_id, finding, sha
        As in `place`.

    Raises
    ------
    DataError
        A part is no single name, as only a forged index has it.
    """
    try:
        data = project_files.read_bytes(place(folder, case_id, finding, sha), MAX_BYTES)
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest()[:SHA_DIGITS] == sha


def _holds(path: Path, data: bytes) -> bool:
    try:
        return project_files.read_bytes(path, MAX_BYTES) == data
    except OSError:
        return False
