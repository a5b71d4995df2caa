"""Named plug points, found by importing a package's modules.

A newcomer adds a CAM method, a recipe, a data set or an export format as one file
with one decorator; nothing else has to be edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Plug points of one kind, by name, in alphabetical order.

    Parameters
    ----------
    kind
        What one entry is called in error messages, e.g. ``"CAM method"``.
    package
        Import name of the package whose modules register themselves. It is
        imported on first use, so that asking for the registry costs nothing.
    """

    def __init__(self, kind: str, package: str) -> None:
        self._kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._found = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return the decorator that enters its object as `name`."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self._kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        self._find()
        return sorted(self._entries)

    def __getitem__(self, name: str) -> T:
        self._find()
        if name not in self._entries:
            known = ", ".join(self.names())
            raise KeyError(f"no {self._kind} {name!r}; there are: {known}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._find()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _find(self) -> None:
        if self._found:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not (module.ispkg or module.name.startswith("_")):
                importlib.import_module(f"{self._package}.{module.name}")
        self._found = True
