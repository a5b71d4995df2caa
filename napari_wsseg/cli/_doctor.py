"""``wsseg doctor``: what was found, and what to do about what was not."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

from napari_wsseg import _plugins
from napari_wsseg._registry import OWN, Registry
from napari_wsseg.cli import _output, add_json
from napari_wsseg.cli._open import INSTALL, has_display, has_window


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked for.

    Parameters
    ----------
    ok
        ``True``, ``False``, or ``None`` where it is good to have but not needed.
    advice
        What to do where it is not ok.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Look, tell, and exit with 4 if the window or training cannot work."""
    found = [check() for check in CHECKS] + _plug_ins()
    marks = {True: "ok     ", False: "MISSING", None: "–      "}
    for each in found:
        _output.person(f"{marks[each.ok]} {each.name}: {each.detail}")
        if each.ok is not True and each.advice:
            _output.person(f"        → {each.advice}")
    bad = any(each.ok is False for each in found)
    if arguments.json:
        _output.program(
            {
                "status": "failed" if bad else "done",
                "checks": [asdict(each) for each in found],
            }
        )
    return 4 if bad else 0


def _machine() -> Check:
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(os.getcwd())
    return Check(
        "machine",
        True,
        f"Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} processors, {memory.available / 2**30:.1f} of "
        f"{memory.total / 2**30:.1f} GiB memory free, {disk.free / 2**30:.0f} GiB disk "
        "free here",
    )


def _packages() -> Check:
    names = ["napari-wsseg", "pydicom", "segmentation-models-pytorch"]
    if has_window():
        names.insert(1, "napari")
    try:
        text = ", ".join(f"{name} {version(name)}" for name in names)
    except PackageNotFoundError as error:
        return Check("packages", False, f"{error} is not installed", INSTALL)
    return Check("packages", True, text)


def _sqlite() -> Check:
    """Make the kind of index that projects find words by."""
    detail = f"SQLite {sqlite3.sqlite_version}"
    try:
        with closing(sqlite3.connect(":memory:")) as index:
            index.execute("CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'trigram')")
    except sqlite3.Error as error:
        return Check(
            "SQLite",
            False,
            f"{detail} has no full-text index of trigrams ({error}); projects can be "
            "neither made nor opened",
            "install a Python whose SQLite is 3.34 or newer with FTS5, as those of "
            "python.org, conda-forge and Debian 12 are",
        )
    return Check("SQLite", True, f"{detail} with FTS5")


def _qt() -> Check:
    """Import Qt in a process of its own: a broken binding can abort."""
    if not has_window():
        detail = "no window installed; commands without one work"
        return Check("Qt", None, detail, f"to open one: {INSTALL}")
    script = (
        "import qtpy, qtpy.QtWidgets as w; w.QApplication([]);"
        "print(qtpy.API_NAME, qtpy.QT_VERSION)"
    )
    environment = dict(os.environ)
    if not has_display():
        environment["QT_QPA_PLATFORM"] = "offscreen"
    ended = _python(script, environment)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it aborted"])[-1]
        advice = (
            f"{INSTALL}; on Linux also: apt install libegl1 libgl1 libxkbcommon-x11-0 "
            "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
        )
        return Check("Qt", False, last, advice)
    return Check("Qt", True, ended.stdout.strip())


def _opengl() -> Check:
    """Ask a hidden window which OpenGL it got."""
    if not has_window():
        return Check("OpenGL", None, "no window installed, so none is needed")
    if not has_display():
        return Check(
            "OpenGL",
            None,
            "no display here, so no window; commands without one work",
            "on a server: xvfb-run -a wsseg open PROJECT",
        )
    script = (
        "import qtpy; from vispy import app, gloo; app.use_app('pyqt6' if qtpy.API_NAME"
        "=='PyQt6' else 'pyside6'); c=app.Canvas(show=False); c.set_current();"
        "from vispy.gloo import gl; print(gl.glGetParameter(gl.GL_RENDERER),"
        "gl.glGetParameter(gl.GL_VERSION))"
    )
    ended = _python(script, dict(os.environ))
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it aborted"])[-1]
        return Check(
            "OpenGL",
            False,
            last,
            "install a graphics driver, or Mesa: apt install libgl1-mesa-dri",
        )
    return Check("OpenGL", True, ended.stdout.strip())


def _torch() -> Check:
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("torchvision")
    except Exception as error:  # a mismatched pair raises RuntimeError
        return Check(
            "torch",
            False,
            f"{type(error).__name__}: {error}",
            "install torch and torchvision of one release together: "
            "pip install --force-reinstall torch torchvision",
        )
    return Check(
        "torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads"
    )


def _device() -> Check:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return Check("GPU", None, "unknown without torch")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Check(
            "GPU", True, f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        )
    if torch.backends.mps.is_available():
        return Check("GPU", True, "Apple GPU")
    return Check(
        "GPU",
        None,
        "none; training runs on the processor",
        "the preset fast is made for two processor cores",
    )


def _pydensecrf() -> Check:
    try:
        return Check("pydensecrf", True, f"pydensecrf2 {version('pydensecrf2')}")
    except PackageNotFoundError:
        return Check(
            "pydensecrf",
            None,
            "not installed; the built-in grid CRF is used",
            "only to compare: pip install pydensecrf2 (needs a C++ compiler)",
        )


def _highdicom() -> Check:
    try:
        return Check("highdicom", True, f"highdicom {version('highdicom')}")
    except PackageNotFoundError:
        return Check(
            "highdicom",
            None,
            "not installed; DICOM segmentations are neither read nor written",
            "pip install 'napari-wsseg[seg]', or where there is no C++ compiler "
            "pip install --no-deps highdicom",
        )


#: Where each kind of plug point is kept.
_REGISTRIES = (
    ("napari_wsseg.cam", "methods"),
    ("trainers", "recipes"),
    ("napari_wsseg.datasets", "datasets"),
    ("napari_wsseg.export", "formats"),
    ("napari_wsseg.export", "importers"),
    ("napari_wsseg.export", "models"),
)


def _plug_ins() -> list[Check]:
    """Say what other packages add, and which of it is broken and whose."""
    added: dict[str, list[str]] = {}
    for module, name in _REGISTRIES:
        try:
            registry: Registry[object] = getattr(importlib.import_module(module), name)
            for entry in registry:
                if (owner := registry.owner(entry)) != OWN:
                    added.setdefault(owner, []).append(f"{registry.kind} {entry}")
        except Exception:
            # Without torch some of ours cannot be imported; `_torch` says so.
            continue
    found = [
        Check(f"plug-in {owner}", True, ", ".join(names))
        for owner, names in sorted(added.items())
    ]
    return found + [
        Check(f"plug-in {each.distribution}", None, each.reason)
        for each in _plugins.problems()
    ]


def _python(
    script: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


CHECKS: tuple[Callable[[], Check], ...] = (
    _machine,
    _packages,
    _sqlite,
    _qt,
    _opengl,
    _torch,
    _device,
    _highdicom,
    _pydensecrf,
)
