r"""Which film a name means: one rule for labels, masks and every import.

A name that is written as one film's path alone is that film. Any other is compared with
``/`` between folders whatever it was written with, without drive or leading dots, and
in Unicode's composed form. It is the film's path, letter by
letter; else its path without the ending of a known kind of image (the dots of
``1.2.826.0.1`` are no ending); else the same in other case; else one of the two is the
end of the other: ``C:\films\a.png`` is ``a.png``, and ``a`` is ``b/a.png``, but ``c/a``
is not. Where two films are left, it is neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import unquote

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import IMAGE_ENDINGS, without_ending

T = TypeVar("T")

ENDINGS = IMAGE_ENDINGS

_BLANK = " \t\r\n\v\f\u00a0\ufeff"
"""Around a name; the last is the mark that some editors put before a text."""

_DRIVE = re.compile(r"^[A-Za-z]:/*")
_DECORATIONS = (
    # Label Studio puts eight digits before a name, Roboflow its own after it.
    re.compile(r"^(?P<folder>(?:.*/)?)[0-9a-f]{8}-(?P<name>[^/]+)$"),
    re.compile(
        r"^(?P<folder>(?:.*/)?)(?P<name>[^/]+)_(?P<ending>[A-Za-z]{3,5})"
        r"\.rf\.[0-9A-Za-z]{16,}(?:\.\w+)?$"
    ),
)


def plain(name: str) -> str:
    """Return a name with `/`, without drive, dots or slash before it, composed."""
    composed = unicodedata.normalize("NFC", name.strip(_BLANK)).replace("\\", "/")
    parts = _DRIVE.sub("", composed).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def readings(name: str) -> list[str]:
    """Return a name, and what it was before a service or a network changed it.

    Label Studio writes addresses, with ``%20`` for a blank and, of local files, the
    path behind ``?d=``. `channel` is what nnU-Net makes of it.
    """
    found = [name]
    address = unquote(name.partition("?d=")[2] or name)
    for each in (address, undecorated(name), undecorated(address)):
        if each and each not in found:
            found.append(each)
    return found


def channel(name: str) -> str:
    """Return the name of a film's first channel, whose ``_0000`` nnU-Net leaves out."""
    return f"{without_ending(plain(name))}_0000"


def undecorated(name: str) -> str | None:
    """Return a name as it was before a labelling service changed it, or ``None``."""
    for pattern in _DECORATIONS:
        found = pattern.match(plain(name))
        if found:
            parts = found.groupdict()
            ending = f".{parts['ending']}" if parts.get("ending") else ""
            return f"{parts['folder']}{parts['name']}{ending}"
    return None


_MANY = 3
"""Films of one name that are told apart no further."""

_FORMS: tuple[Callable[[str], str], ...] = (
    str,
    without_ending,
    str.casefold,
    lambda name: without_ending(name).casefold(),
)


@dataclass(slots=True)
class _Form(Generic[T]):
    """Films by their path in one form, and by every end of it."""

    by_form: dict[str, set[T]] = field(default_factory=dict)
    ends: dict[str, set[T]] = field(default_factory=dict)

    def add(self, name: str, film: T) -> None:
        self.by_form.setdefault(name, set()).add(film)
        for end in _ends(name):
            films = self.ends.setdefault(end, set())
            if len(films) < _MANY:
                films.add(film)

    def partly(self, name: str) -> set[T]:
        """Return films whose path ends a name, the longest path first, or begins it."""
        for end in _ends(name):
            if end in self.by_form:
                return self.by_form[end]
        return self.ends.get(name, set())


class FilmNames(Generic[T]):
    """Films by what others may call them.

    Parameters
    ----------
    names
        Each film with a name of it, relative to the image folder; a film may have
        several.
    channels
        A name may be that of nnU-Net's first channel. What lies in a folder of another
        kind is nobody's by that.
    """

    def __init__(
        self, names: Iterable[tuple[str, T]], *, channels: bool = True
    ) -> None:
        self._channels = channels
        self._forms: list[_Form[T]] = [_Form() for _ in _FORMS]
        self._as_written: dict[str, set[T]] = {}
        for name, film in names:
            for written in (name, without_ending(name)):
                self._as_written.setdefault(written, set()).add(film)
            for form, index in zip(_FORMS, self._forms, strict=True):
                index.add(form(plain(name)), film)

    def is_exact(self, name: str) -> bool:
        """Whether a name is a film's path, letter by letter."""
        return plain(name) in self._forms[0].by_form

    def find(self, name: str) -> T:
        """Return the film that a name means.

        Raises
        ------
        DataError
            It means none, or more than one.
        """
        if len(alone := self._as_written.get(name, set())) == 1:
            return next(iter(alone))
        more = [channel(name)] if self._channels else []
        for each in (*readings(name), *more):
            films = self._films(plain(each))
            if len(films) > 1:
                count = str(len(films)) if len(films) < _MANY else "several"
                raise DataError(
                    f"{name}: {count} films are called {_last(each)}; say in which "
                    "folder"
                )
            for film in films:
                return film
        text = f"{name}: no film is called {_last(name)}"
        if self._films(plain(channel(name))):
            text += (
                f"; as nnU-Net names them it is {_last(channel(name))}'s, and `wsseg "
                "import png` or `nnunet` takes it"
            )
        raise DataError(text)

    def _films(self, name: str) -> set[T]:
        if not name:
            return set()
        asked = [form(name) for form in _FORMS]
        for index, form in zip(self._forms, asked, strict=True):
            if form in index.by_form:
                return index.by_form[form]
        for index, form in zip(self._forms, asked, strict=True):
            if films := index.partly(form):
                return films
        return set()


def match(
    names: Iterable[str], films: FilmNames[T]
) -> tuple[dict[str, T], dict[str, str]]:
    """Return the film of each name, and why the other names have none.

    No two names that differ mean one film: the one that is its path has it, else none,
    for nothing says which of them is not somebody else's.
    """
    found: dict[str, T] = {}
    reasons: dict[str, str] = {}
    claims: dict[T, list[str]] = {}
    for name in dict.fromkeys(names):
        try:
            found[name] = films.find(name)
        except DataError as error:
            reasons[name] = str(error).removeprefix(f"{name}: ")
            continue
        claims.setdefault(found[name], []).append(name)
    for rivals in claims.values():
        if len({plain(name) for name in rivals}) == 1:
            continue
        exact = [name for name in rivals if films.is_exact(name)]
        for name in rivals:
            if name in exact and len({plain(each) for each in exact}) == 1:
                continue
            del found[name]
            others = ", ".join(each for each in rivals if each != name)
            reasons[name] = f"the same film as {others} by name; call both by its path"
    return found, reasons


def _last(name: str) -> str:
    return plain(name).rpartition("/")[2] or "so"


def _ends(name: str) -> Iterator[str]:
    parts = PurePosixPath(name).parts
    for start in range(1, len(parts)):
        yield "/".join(parts[start:])
