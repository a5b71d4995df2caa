"""The door: the docs say what the code is."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from benchmarks import house

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]


def test_the_picture_of_the_floors_is_current() -> None:
    assert house.PICTURE.read_text("utf-8") == house.picture(), (
        "draw it again: python -m benchmarks.house"
    )


def test_every_arrow_of_the_picture_points_down() -> None:
    level = {room: n for n, row in enumerate(house.floors()) for room in row}
    found = house.arrows(set(level))
    assert ("napari_wsseg._widgets", "napari_wsseg.session") in found
    assert not [pair for pair in found if level[pair[0]] >= level[pair[1]]]


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_the_door_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = re.findall(
        r"(?<![\w/])((?:napari_wsseg|trainers|tests)/[\w./]*\.\w+)", text
    )
    assert len(named) >= 3
    assert not [one for one in named if not (ROOT / one).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited is not None
    assert cited[1] == project["version"]


def documented(docstring: str | None) -> list[str]:
    """Return the names that the section Parameters of a docstring has entries for."""
    section = re.search(
        r"^Parameters\n-{10}\n(.*?)(?=^\w+\n-{3,}$|\Z)", docstring or "", re.M | re.S
    )
    lines = section[1].splitlines() if section else []
    heads = [line.split(" : ")[0] for line in lines if line and line[0] != " "]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def arguments(function: ast.FunctionDef) -> list[str]:
    """Return the arguments that have a place or a name, self and cls aside."""
    given = function.args
    plain = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [each.arg for each in plain if each.arg not in ("self", "cls")]


def accepted(function: ast.FunctionDef) -> set[str]:
    """Return all arguments, ``*`` and ``**`` ones too."""
    starred = [each for each in (function.args.vararg, function.args.kwarg) if each]
    return {*arguments(function), *(each.arg for each in starred)}


def describable(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """Return what a section Parameters may name: arguments, or a class's fields too."""
    if isinstance(node, ast.FunctionDef):
        return accepted(node)
    fields = {
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }
    called = [
        each
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__call__")
    ]
    return fields.union(*(accepted(each) for each in called))


@cache
def modules() -> dict[str, ast.Module]:
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for top in ("napari_wsseg", "trainers")
        for path in sorted((ROOT / top).rglob("*.py"))
    }


def public_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield functions, and methods of public classes, that other modules may call."""
    for path, module in modules().items():
        parts = Path(path).parts
        if any(part.startswith("_") and part != "__init__.py" for part in parts):
            continue
        for node in module.body:
            public = not getattr(node, "name", "_").startswith("_")
            inside = node.body if isinstance(node, ast.ClassDef) and public else [node]
            for each in inside:
                if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                    owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                    yield f"{path} {owner}{each.name}", each


def test_sections_of_parameters_name_arguments_that_there_are() -> None:
    strange = {}
    seen = 0
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                named = documented(ast.get_docstring(node))
                seen += len(named)
                if unknown := set(named) - describable(node):
                    strange[f"{path} {node.name}"] = sorted(unknown)
    assert seen
    assert not strange, f"no such argument or field: {strange}"


def test_public_functions_of_three_arguments_say_what_each_is() -> None:
    """The section Parameters is whole wherever a caller has that much to get right.

    Of functions and methods with three or more arguments, self and cls aside, whose own
    name, class and module's path begin with no underscore.
    """
    silent = [
        f"{name}: {', '.join(missing)}"
        for name, function in public_functions()
        if len(given := arguments(function)) >= 3
        and (missing := set(given) - set(documented(ast.get_docstring(function))))
    ]
    assert not silent, "name in the section Parameters:\n" + "\n".join(silent)
