"""The house's rules, checked by tools that exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).resolve().parents[1]


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_imports_point_down() -> None:
    # In a process of its own: it switches off every logger it finds in this one.
    lint = "from importlinter.cli import lint_imports as lint; raise SystemExit"
    code = f"{lint}(lint(config_filename='pyproject.toml', no_cache=True))"
    linted = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_code_is_formatted_and_linted() -> None:
    formatted = tool("ruff", "format", "--check", ".")
    assert formatted.returncode == 0, formatted.stdout
    linted = tool("ruff", "check", ".")
    assert linted.returncode == 0, linted.stdout


def test_types_hold() -> None:
    checked = tool("mypy")
    assert checked.returncode == 0, checked.stdout


def test_the_manifest_is_valid_and_everything_it_names_is_there() -> None:
    PluginManifest.from_distribution("napari-wsseg").validate_imports()
    checked = subprocess.run(
        ["npe2", "validate", "napari-wsseg", "--imports"],
        capture_output=True,
        text=True,
        check=False,
        env={**__import__("os").environ, "PATH": _path()},
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _path() -> str:
    import os

    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(
    "module",
    [
        "napari_wsseg",
        "napari_wsseg._reader",
        "napari_wsseg._writer",
        "napari_wsseg._sample_data",
        "napari_wsseg._widgets.window",
        "napari_wsseg.cli",
    ],
)
def test_listing_the_plugin_imports_nothing_heavy(module: str) -> None:
    script = (
        f"import sys, {module}; "
        "heavy = {'torch', 'torchvision', 'pydicom', 'segmentation_models_pytorch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == "[]"


def test_knowing_every_format_does_not_import_torch() -> None:
    """A process that reads foreign files has no memory for it."""
    code = (
        "import sys\n"
        "from napari_wsseg.export import formats, importers\n"
        "for plugs in (formats, importers):\n"
        "    for name in plugs: plugs[name]\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


def test_starting_napari_with_the_plugin_installed_does_not_import_torch() -> None:
    script = (
        "import sys; from npe2 import PluginManager; "
        "manager = PluginManager.instance(); manager.discover(); "
        "manager.index_npe1_adapters(); "
        "print('napari-wsseg' in manager, 'torch' in sys.modules)"
    )
    seen = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert seen.stdout.split() == ["True", "False"]


FULLEST = 20
"""So many files in a folder can be read at a glance."""

PLUGS = {"napari_wsseg/cam", "napari_wsseg/cli", "napari_wsseg/datasets"} | {
    "napari_wsseg/export",
    "trainers",
    "benchmarks",
}
"""Folders of which every file is one of a kind: a CAM method, a command, a data set, a
format, a recipe, a benchmark. They may grow."""

SAME_NAME = {
    "__init__": "what makes a folder a package",
    "__main__": "what python -m runs of a package",
    "panel": "the door of each wing of the window",
    "classifier": "a recipe and its settings are called alike",
    "tied_deconv": "a recipe and its settings are called alike",
    "image_labels": "learning from image-level labels, and the settings of it",
    "masks": "learning from masks, and the settings of it",
    "anatomy": "finding organs on a film, and scoring by them",
}
"""Names of several files of one package, and why that is right."""


def modules() -> dict[Path, list[Path]]:
    """Return the modules of each folder, relative to the root."""
    found: dict[Path, list[Path]] = {}
    for top in ("napari_wsseg", "trainers", "benchmarks"):
        for path in sorted((ROOT / top).rglob("*.py")):
            found.setdefault(path.parent.relative_to(ROOT), []).append(path)
    return found


def test_no_folder_holds_more_files_than_one_can_overlook() -> None:
    full = {
        folder.as_posix(): len(files)
        for folder, files in modules().items()
        if folder.as_posix() not in PLUGS
        and len([path for path in files if path.stem != "__init__"]) > FULLEST
    }
    assert not full, f"more than {FULLEST} modules: {full}"


def test_no_two_files_of_a_package_have_one_name_without_a_reason() -> None:
    named: dict[tuple[Path, str], list[str]] = {}
    for folder, files in modules().items():
        # A package is a room of napari_wsseg, or trainers or benchmarks as a whole.
        package = Path(*folder.parts[: 2 if folder.parts[0] == "napari_wsseg" else 1])
        for path in files:
            where = path.relative_to(ROOT).as_posix()
            named.setdefault((package, path.stem), []).append(where)
    twice = {
        paths[0]: paths[1:]
        for (_, stem), paths in named.items()
        if len(paths) > 1 and stem not in SAME_NAME
    }
    assert not twice, f"one name, several files: {twice}"


def test_every_reason_for_one_name_is_still_needed() -> None:
    stems = [path.stem for files in modules().values() for path in files]
    assert {name for name in SAME_NAME if stems.count(name) < 2} == set()
