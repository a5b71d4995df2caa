"""Named plug points, found in our own packages and in other installed ones.

A newcomer adds a CAM method, a recipe, a data set or an export format as one file
with one decorator; nothing else has to be edited. In a package of their own the file
is named by an entry point of one of `napari_wsseg._plugins.GROUPS`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from napari_wsseg import _plugins

T = TypeVar("T")

OWN = "napari-wsseg"
"""Whose our own plugs are, beside the name and version of another distribution."""

_every: dict[str, list[Registry[Any]]] = {}
_loading = threading.RLock()
#: Distribution whose entry point is being loaded; empty while none is.
_current = ""
#: Entry points that were tried: each once, however many registries share its group.
_tried: set[tuple[str, str, str]] = set()
#: What the entry point that is being loaded has registered so far.
_entered: list[tuple[Registry[Any], str]] = []


class Registry(Generic[T]):
    """Plug points of one kind, by name, in alphabetical order.

    Parameters
    ----------
    kind
        What one entry is called in error messages, e.g. ``"CAM method"``.
    package
        Import name of the package whose modules register themselves. It is
        imported on first use, so that asking for the registry costs nothing.
    group
        Entry-point group in which other packages name modules that register
        themselves here; they are imported after our own.
    """

    def __init__(self, kind: str, package: str, group: str = "") -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._entries: dict[str, T] = {}
        self._owners: dict[str, str] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._found = False
        self._searched: tuple[str, ...] | None = None
        _every.setdefault(group, []).append(self)

    def register(
        self, name: str, *, module: str = "", **facts: Any
    ) -> Callable[[T], T]:
        """Return the decorator that enters its object as `name`.

        Parameters
        ----------
        module
            Module that registers; by default the one that calls.
        **facts
            What else is to be known of it without calling it. Written as literals,
            they can be read without an import (`napari_wsseg._declarations`).

        Raises
        ------
        ValueError
            If the same package has registered that name already. Another package's
            clash is no error: the first stays, ours before all, and the other is
            named among the problems.
        """
        module = module or sys._getframe(1).f_globals.get("__name__", "")

        def enter(entry: T) -> T:
            owner = self._owner(module)
            if name in self._entries and not self._gives_way(name, owner):
                return entry
            self._entries[name] = entry
            self._owners[name] = owner
            self._facts[name] = facts
            if _current and owner == _current:
                _entered.append((self, name))
            return entry

        return enter

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        self._find()
        return sorted(self._entries)

    def facts(self, name: str) -> Mapping[str, Any]:
        """Return what was said of an entry when it was registered."""
        return self._facts[name] if self[name] is not None else {}

    def owner(self, name: str) -> str:
        """Return the distribution that an entry comes from."""
        return self._owners[name] if self[name] is not None else ""

    def problems(self) -> tuple[_plugins.Problem, ...]:
        """Return what of other packages cannot be used here."""
        self._find()
        return _plugins.problems(self._group) if self._group else ()

    def withdraw(self, name: str, reason: str) -> None:
        """Take out an entry of another package that turned out not to work."""
        owner = self._owners.pop(name)
        del self._entries[name], self._facts[name]
        _plugins.complain(self._group, owner, f"{self.kind} {name!r} {reason}")

    def __getitem__(self, name: str) -> T:
        self._find()
        if name not in self._entries:
            known = ", ".join(self.names())
            broken = "".join(f"; {problem}" for problem in self.problems())
            raise KeyError(f"no {self.kind} {name!r}; there are: {known}{broken}")
        return self._entries[name]

    def alone(self, name: str) -> T:
        """Return an entry, importing no more than the module of ours that it names.

        Where none of ours is called so, all are imported.
        """
        place = f"{self._package}.{name}"
        if not self._found and name.isidentifier() and find_spec(place):
            importlib.import_module(place)
            if self._owners.get(name) == OWN:
                return self._entries[name]
        return self[name]

    def __contains__(self, name: object) -> bool:
        self._find()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _owner(self, module: str) -> str:
        """Return whose a module is; ours is ours, whoever imports it first."""
        top = module.partition(".")[0]
        if top in ("napari_wsseg", "trainers"):
            return OWN
        return _current or top

    def _gives_way(self, name: str, owner: str) -> bool:
        """Whether the entry of that name makes room for the one of `owner`."""
        first = self._owners[name]
        if first == owner:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        winner, loser = (owner, first) if owner == OWN else (first, owner)
        _plugins.complain(
            self._group,
            loser,
            f"its {self.kind} {name!r} is left out, because {winner} has one of that "
            "name; ask its authors for another name",
        )
        return winner == owner

    def _find(self) -> None:
        if not self._found:
            self._import_own()
            self._found = True
        path = tuple(sys.path)
        if self._group and path != self._searched:
            # Set before, because a module may ask while it is being loaded.
            self._searched = path
            for entry in _plugins.entries(self._group):
                _load(entry)

    def _import_own(self) -> None:
        if not self._package:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not (module.ispkg or module.name.startswith("_")):
                importlib.import_module(f"{self._package}.{module.name}")


def find_group(group: str) -> None:
    """Import all that is registered in the registries of an entry-point group."""
    for registry in _every.get(group, ()):
        registry.names()
    for entry in _plugins.entries(group):
        _load(entry)


def _load(entry: EntryPoint) -> None:
    """Import what an entry point names; whatever goes wrong there stays there."""
    global _current
    owner = _plugins.owner(entry)
    with _loading:
        key = (entry.group, owner, f"{entry.name}={entry.value}")
        if key in _tried:
            return
        _tried.add(key)
        before, _current = _current, owner
        kept = list(_entered)
        _entered.clear()
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            for registry, name in _entered:
                registry._entries.pop(name, None)
                registry._owners.pop(name, None)
                registry._facts.pop(name, None)
            _plugins.complain(entry.group, owner, _broken(entry, error))
        finally:
            _entered[:] = kept
            _current = before


def _broken(entry: EntryPoint, error: BaseException) -> str:
    why = " ".join(str(error).split()) or "no reason given"
    return (
        f"its {entry.name!r} ({entry.value}, {entry.group}) cannot be loaded "
        f"({type(error).__name__}: {why}); everything else works. "
        "Update or uninstall that package"
    )
