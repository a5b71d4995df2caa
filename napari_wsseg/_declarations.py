"""What is registered, read from source: names and facts without an import.

Most plugs bring torch along, which the window does without. What a decorator says in
literals, ``@methods.register("layer-cam", title="LayerCAM")``, is all that the window
needs of them, and stands in the file itself.
"""

from __future__ import annotations

import ast
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from typing import Any

from napari_wsseg import _plugins


@dataclass(frozen=True, slots=True)
class Declared:
    """One plug, as its decorator says.

    Parameters
    ----------
    facts
        The decorator's keywords that are literals.
    """

    name: str
    module: str
    facts: Mapping[str, Any]


def declared(decorator: str, package: str, group: str) -> Mapping[str, Declared]:
    """Return what is registered by a decorator, by name; ours before all others.

    Parameters
    ----------
    decorator
        Its full name, e.g. ``"napari_wsseg.cam.methods.register"``.
    package
        Ours, whose modules are read.
    group
        Entry-point group that names modules of other packages.
    """
    return _declared(decorator, package, group, tuple(sys.path))


@lru_cache(maxsize=16)
def _declared(
    decorator: str, package: str, group: str, path: tuple[str, ...]
) -> Mapping[str, Declared]:
    found: dict[str, Declared] = {}
    for module in _modules(package, group):
        for each in _calls(module, decorator):
            found.setdefault(each.name, each)
    return found


def _modules(package: str, group: str) -> Iterator[str]:
    spec = _spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    for module in pkgutil.iter_modules(places or ()):
        if not (module.ispkg or module.name.startswith("_")):
            yield f"{package}.{module.name}"
    for entry in _plugins.entries(group):
        yield from _with_imports(entry.value.partition(":")[0].strip())


def _with_imports(module: str) -> list[str]:
    """Return a module and those of its own package that it imports, in turn."""
    found, waiting = [], [module]
    while waiting:
        name = waiting.pop()
        tree = _tree(name)
        if tree is None or name in found:
            continue
        found.append(name)
        top = module.partition(".")[0]
        waiting += [
            other
            for other in dict.fromkeys(_names(tree, name).values())
            for other in (other, other.rpartition(".")[0])
            if other.partition(".")[0] == top
        ]
    return found


def _calls(module: str, decorator: str) -> Iterator[Declared]:
    tree = _tree(module)
    if tree is None:
        return
    names = _names(tree, module)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if _dotted(node.func, names) != decorator:
            continue
        name = _literal(node.args[0])
        if isinstance(name, str):
            facts = {
                word.arg: value
                for word in node.keywords
                if word.arg and (value := _literal(word.value)) is not None
            }
            yield Declared(name, module, facts)


def _names(tree: ast.Module, module: str) -> dict[str, str]:
    """Return each imported name and the full name of what it stands for."""
    spec = _spec(module)
    here = module.split(".")
    if spec is None or spec.submodule_search_locations is None:
        here = here[:-1]
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.asname:
                    names[each.asname] = each.name
                else:
                    names.setdefault(each.name, each.name)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            for each in node.names:
                names[each.asname or each.name] = f"{start}.{each.name}"
    return names


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


_parsing = threading.Lock()
_TRIES = 4


@lru_cache(maxsize=256)
def _tree(module: str) -> ast.Module | None:
    """Return a module's syntax, ``None`` where there is no source to read."""
    spec = _spec(module)
    source = getattr(spec and spec.loader, "get_source", None)
    try:
        text = source(module) if source is not None else None
        return None if text is None else _parsed(text)
    except (ImportError, SyntaxError, ValueError, OSError):
        # The registry names it when it is imported.
        return None


def _parsed(text: str) -> ast.Module:
    """Parse, whatever else is parsed meanwhile.

    `ast.parse` counts its depth for all threads at once and falls over when two parse
    (python/cpython#106905): ours take turns, and another library's are over soon.
    """
    with _parsing:
        for _ in range(_TRIES):
            with suppress(SystemError):
                return ast.parse(text)
        return ast.parse(text)


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing its parents."""
    spec, places = None, None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        spec = _ask_finders(name, places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec


def _ask_finders(name: str, places: Any) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, places)
        except Exception:
            # Somebody's import hook; the next may know the module.
            continue
        if spec is not None:
            return spec
    return None
