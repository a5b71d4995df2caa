"""The house's rules, checked by tools that exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).resolve().parents[1]


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True
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
