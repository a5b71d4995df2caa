"""XML files of others, without the entities that could grow or fetch."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, one_line


def root(path: Path, kind: str) -> ElementTree.Element:
    """Return the root element of a file.

    Parameters
    ----------
    kind
        What the file should be, for messages.

    Raises
    ------
    DataError
        It cannot be read, is no XML, or declares a document type, with which entities
        come, in whatever encoding.
    """
    _limits.check_file(path)
    errors = (
        OSError,
        expat.ExpatError,
        ElementTree.ParseError,
        ValueError,
        LookupError,
    )
    try:
        data = path.read_bytes()
        _refuse_entities(path, data)
        return ElementTree.fromstring(data)
    except errors as error:
        raise DataError(f"{path}: not {kind} ({one_line(error)})") from error


def _refuse_entities(path: Path, data: bytes) -> None:
    def declared(*_: object) -> None:
        raise DataError(f"{path}: declares entities, as no file of annotations does")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.Parse(data, True)
