"""A machine that only trains has no viewer: every command but open works there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from helpers.spot_films import make_films

ROOT = Path(__file__).resolve().parents[2]
WINDOW = ("napari", "magicgui", "pyqtgraph", "qtpy", "superqt")
EXTRAS = ("jpeg_ls", "_CharLS", "pynetdicom", "dicomweb_client", "keyring")
"""Of decoders and archives; the first two are of pyjpegls, which has few wheels."""

# Python imports it at its start, in the children of a command, too.
BLOCKER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WINDOW + EXTRAS}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def without_window(tmp_path: Path) -> dict[str, str]:
    """Return the surroundings of a process in which no viewer is installed."""
    place = tmp_path / "blocked"
    place.mkdir()
    (place / "sitecustomize.py").write_text(BLOCKER)
    paths = [str(place), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "DISPLAY": ":0",
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.timeout(600)  # Imports of seven commands on a crowded machine.
def test_every_command_without_a_window_needs_none_installed(
    tmp_path: Path, without_window: dict[str, str]
) -> None:
    films, project = make_films(tmp_path / "films", n=12), tmp_path / "project"
    to = ["-p", str(project)]
    tiny = ["size=64", "epochs=1", "batch=8", "device=cpu"]
    source = ["--images", str(films / "images"), "--masks", str(films / "masks")]
    commands = [
        ["init", str(project), *source, "--labels", str(films / "labels.csv")],
        ["train", "classifier", *to, "--set", *tiny],
        ["infer", "cam", *to],
        ["evaluate", *to],
        ["export", "png", *to, "-o", str(tmp_path / "png")],
        ["report", *to, "-o", str(tmp_path / "report")],
        ["doctor"],
    ]
    script = (
        "import sys\nfrom napari_wsseg.cli import main\n"
        f"for words in {commands!r}:\n"
        "    code = main(words)\n"
        "    if code: sys.exit(f'{words[0]} ended with {code}')\n"
        f"assert not set({WINDOW}) & set(sys.modules)\n"
    )
    end = subprocess.run(
        [sys.executable, "-c", script],
        env=without_window,
        capture_output=True,
        text=True,
        check=False,
    )
    assert end.returncode == 0, end.stderr[-2000:]
    assert (tmp_path / "report" / "index.html").is_file()


def test_open_says_in_one_line_what_to_install(
    tmp_path: Path, without_window: dict[str, str]
) -> None:
    end = subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", "open", str(tmp_path)],
        env=without_window,
        capture_output=True,
        text=True,
        check=False,
    )
    assert end.returncode == 4
    [line] = end.stderr.strip().splitlines()
    assert "pip install 'napari-wsseg[all]'" in line


def test_only_the_extras_of_the_window_bring_a_viewer() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core, extras = settings["dependencies"], settings["optional-dependencies"]
    assert not [one for one in core if one.startswith(WINDOW)]
    assert {one.partition(">")[0] for one in extras["gui"]} == set(WINDOW)
    for name in ("qt", "pyside"):
        assert "napari-wsseg[gui]" in extras[name]
    assert "napari-wsseg[onnx,qt]" in extras["all"]


@pytest.mark.parametrize("python", ["3.11", "3.14"])
def test_what_has_no_wheel_for_a_python_is_not_asked_for_there(python: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = settings["optional-dependencies"]
    lines = settings["dependencies"] + extras["gui"] + extras["qt"] + extras["all"]
    asked = {
        one.name
        for one in map(Requirement, lines)
        if one.marker is None or one.marker.evaluate({"python_version": python})
    }
    # highdicom requires pyjpegls.
    compiled = {"highdicom", "pydensecrf2"}
    assert asked & compiled == (compiled if python == "3.11" else set())
    assert not any("seg" in Requirement(one).extras for one in extras["all"])
