"""``wsseg.toml``: the part of a project that people read and edit."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from napari_wsseg.io import atomic
from napari_wsseg.io.project_files import MARKER
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import PALETTE, STORES, Finding

NAME = MARKER
SCHEMA = 1
"""Version of the project folder's form."""

MAX_BYTES = 2**20

SEEN_SECONDS = 0.5
"""How long a film must have been shown for a verdict to count, unless set."""

_LONGEST_SEEN = 60

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``wsseg.toml`` says.

    Parameters
    ----------
    images
        Image folder as written: absolute, or relative to the project.
    readers
        Names of the people who annotate.
    defaults
        ``seen_seconds``, where it is set.
    colour
        Whether networks see red, green and blue rather than greys.
    key
        Of the key file that has the films' names; see `napari_wsseg.io.film_names`.
    places
        Finding to where it can be (``[places]``); ``None``: ``places = false``, nothing
        is kept to a place.
    prior
        One place for every finding that ``[places]`` does not list, for the maps of
        every run; ``"none"``: nothing is kept to a place; empty: as `places` and the
        run have it.
    """

    name: str
    images: str
    findings: tuple[Finding, ...]
    readers: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    colour: bool = False
    key: str = ""
    places: Mapping[str, str] | None = field(default_factory=dict)
    prior: str = ""

    @property
    def seen_seconds(self) -> float:
        """How long a film must have been shown for a verdict to count; 0: no matter."""
        return float(self.defaults.get("seen_seconds", SEEN_SECONDS))

    @property
    def blind_labels(self) -> bool:
        """Whether blind readers are shown the image-level labels; usually not."""
        return bool(self.defaults.get("blind_labels", False))

    @property
    def packed(self) -> bool:
        """Whether maps are kept in files of many films, a byte a cell."""
        return bool(self.defaults.get("store") == "packed")


def coloured(names: Sequence[str]) -> tuple[Finding, ...]:
    """Give each finding its colour of the palette, in order.

    Raises
    ------
    DataError
        No name, the same one twice, or one that cannot name a folder everywhere.
    """
    if not names:
        raise DataError("no findings: a project needs at least one")
    seen: dict[str, str] = {}
    for name in names:
        check_finding_name(name)
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            raise DataError(f"findings {other!r} and {name!r} are the same; rename one")
    return tuple(
        Finding(name, PALETTE[place % len(PALETTE)]) for place, name in enumerate(names)
    )


def check_finding_name(name: str) -> None:
    """Refuse a name that cannot be a folder on every system.

    Raises
    ------
    DataError
        Empty, over 64 characters, with a slash or the like, or a dot at an end.
    """
    stripped = name.strip(" .")
    if not name or stripped != name or len(name) > 64 or _FORBIDDEN.search(name):
        raise DataError(
            f"finding {name!r}: a name has 1 to 64 characters, none of "
            '/ \\ : * ? " < > |, and no blank or dot at either end; rename it'
        )


def write(folder: Path, settings: Settings) -> None:
    """Write ``wsseg.toml`` into `folder`, whole or not at all."""
    document = {
        "schema": SCHEMA,
        "name": settings.name,
        "images": settings.images,
        "findings": [_finding(finding) for finding in settings.findings],
        "readers": [{"name": reader} for reader in settings.readers],
        "defaults": dict(settings.defaults),
    }
    if settings.colour:
        document["colour"] = True
    if settings.key:
        document["key"] = settings.key
    if settings.places is None:
        document["places"] = False
    elif settings.places:
        document["places"] = dict(settings.places)
    if settings.prior:
        document["prior"] = settings.prior
    data = tomli_w.dumps(document).encode()
    atomic.write(folder / NAME, lambda file: file.write(data))


def _finding(finding: Finding) -> dict[str, str]:
    table = {"name": finding.name, "colour": finding.colour}
    more = {"display": finding.display, "group": finding.group}
    return table | {key: value for key, value in more.items() if value}


def read(folder: Path) -> Settings:
    """Read ``wsseg.toml`` of a project folder.

    Raises
    ------
    DataError
        Not a project, made by a newer version, or not well formed.
    """
    path = folder / NAME
    try:
        document = tomllib.loads(atomic.read_text(path, MAX_BYTES))
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: not a wsseg project (no {NAME}); make one with `wsseg init`"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, too deep
        raise DataError(f"{path}: not valid TOML ({error}); mend it") from error
    _check_schema(path, document.get("schema"))
    try:
        return _settings(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: {error} is missing or of the wrong kind; mend it"
        ) from error


def add_reader(folder: Path, name: str) -> Settings:
    """Enter a reader in ``wsseg.toml``; what people wrote there stays as it is.

    Raises
    ------
    DataError
        The name is empty or spans lines, or the file cannot be read or written.
    """
    name = name.strip()
    if not name or not name.isprintable() or len(name) > 64:
        raise DataError(f"reader {name!r}: a name has 1 to 64 characters on one line")
    settings = read(folder)
    if name in settings.readers:
        return settings
    path = folder / NAME
    text = atomic.read_text(path, MAX_BYTES)
    document = tomllib.loads(text)
    document["readers"] = [*document.get("readers", []), {"name": name}]
    bare = re.sub(r"(?m)^readers\s*=\s*\[\s*\]\s*\n", "", text)
    updated = f"{bare.rstrip()}\n\n[[readers]]\n{tomli_w.dumps({'name': name})}"
    if not _says(updated, document):
        # Written in a way that nothing can be appended to: comments are lost.
        updated = tomli_w.dumps(document)
    atomic.write(path, lambda file: file.write(updated.encode()))
    return read(folder)


def set_prior(folder: Path, prior: str) -> Settings:
    """Write down the place of all findings; what people wrote there stays as it is.

    Parameters
    ----------
    prior
        As `Settings` has it.

    Raises
    ------
    DataError
        The file cannot be read or written.
    """
    if read(folder).prior == prior:
        return read(folder)
    path = folder / NAME
    text = atomic.read_text(path, MAX_BYTES)
    document = {k: v for k, v in tomllib.loads(text).items() if k != "prior"}
    updated = re.sub(r"(?m)^prior\s*=.*\n", "", text)
    if prior:
        document["prior"] = prior
        updated = tomli_w.dumps({"prior": prior}) + updated
    if not _says(updated, document):
        # Written in a way that no line can be put before: comments are lost.
        updated = tomli_w.dumps(document)
    atomic.write(path, lambda file: file.write(updated.encode()))
    return read(folder)


def _says(text: str, document: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == document
    except ValueError:
        return False


def stored_images(folder: Path, images: Path) -> str:
    """Return how `images` is written down: relative where they move together."""
    beside = folder.absolute().parent
    images = images.absolute()
    if images.is_relative_to(beside):
        return Path(os.path.relpath(images, folder.absolute())).as_posix()
    return str(images)


def _check_schema(path: Path, schema: object) -> None:
    if not isinstance(schema, int) or schema < 1:
        raise DataError(f"{path}: schema is {schema!r}, not a version such as {SCHEMA}")
    if schema > SCHEMA:
        raise DataError(
            f"{path.parent}: made by a newer napari-wsseg (schema {schema}, this one "
            f"knows {SCHEMA}); update napari-wsseg"
        )


def _settings(document: Mapping[str, Any]) -> Settings:
    entries = document["findings"]
    named = coloured([str(entry["name"]) for entry in entries])
    findings = tuple(
        Finding(
            finding.name,
            _own_colour(place, entry.get("colour", finding.colour)),
            _string(entry, "display"),
            _string(entry, "group"),
        )
        for place, (finding, entry) in enumerate(zip(named, entries, strict=True))
    )
    return Settings(
        name=str(document["name"]),
        images=str(document["images"]),
        findings=findings,
        readers=tuple(str(r["name"]) for r in document.get("readers", [])),
        defaults=_defaults(document.get("defaults", {})),
        colour=document.get("colour") is True,
        key=str(document.get("key", "")),
        places=_places(document.get("places", {})),
        prior=_string(document, "prior"),
    )


_FORMER = 12
"""Colours that earlier versions went through before they began again."""


def _own_colour(place: int, text: object) -> str:
    """Return a colour; where it was a finding's before it, that of its own place."""
    colour = _colour(text)
    again = place >= _FORMER and colour.upper() == PALETTE[place % _FORMER]
    return PALETTE[place % len(PALETTE)] if again else colour


def _string(entry: Mapping[str, Any], key: str) -> str:
    text = entry.get(key, "")
    if not isinstance(text, str) or len(text) > 64 or not (text or "x").isprintable():
        raise DataError(
            f"{NAME}: {key} of finding {entry.get('name')!r} is {text!r}; write up to "
            "64 characters on one line"
        )
    return text.strip()


_DEFAULTS = ("seen_seconds", "blind_labels", "store")
"""What ``[defaults]`` may hold."""


def _defaults(table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise DataError(f"{NAME}: defaults is {table!r}; write a table [defaults]")
    strange = sorted(set(table) - set(_DEFAULTS))
    if strange:
        raise DataError(
            f"{NAME}: [defaults] has no {strange[0]!r}; there are: "
            f"{', '.join(_DEFAULTS)}"
        )
    seconds = table.get("seen_seconds", SEEN_SECONDS)
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= _LONGEST_SEEN:
        raise DataError(
            f"{NAME}: seen_seconds is {seconds!r}; write a number of seconds from 0 to "
            f"{_LONGEST_SEEN} that a film must be shown for before a verdict counts"
        )
    if not isinstance(table.get("blind_labels", False), bool):
        raise DataError(
            f"{NAME}: blind_labels is {table['blind_labels']!r}; write true if blind "
            "readers are to see the image-level labels, else false"
        )
    if table.get("store", STORES[0]) not in STORES:
        raise DataError(
            f'{NAME}: store is {table["store"]!r}; write "npz", a file for each film, '
            'or "packed", a file for many'
        )
    return dict(table)


def _places(given: object) -> dict[str, str] | None:
    if given is False:
        return None
    if not isinstance(given, dict) or not all(
        isinstance(v, str) for v in given.values()
    ):
        raise DataError(
            f"{NAME}: places is {given!r}; write false, or a table [places] of "
            'lines such as nodule = "lungs"'
        )
    return {str(finding): place for finding, place in given.items()}


def _colour(text: object) -> str:
    if not isinstance(text, str) or not _COLOUR.fullmatch(text):
        raise DataError(f"{NAME}: colour {text!r} is not of the form #RRGGBB")
    return text
