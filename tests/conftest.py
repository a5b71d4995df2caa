"""What every test may use."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from helpers import noise_project
from helpers.archive import Archive, Liar
from helpers.spot_films import import_films, make_films
from napari_wsseg.io import film_names
from napari_wsseg.io.project import Project

SHARED = Path(
    os.environ.get(
        "WSSEG_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)

# Torch loads it where it is installed, to nobody's use here, and its binding counts
# what is frozen below as leaked.
cast(dict[str, ModuleType | None], sys.modules)["triton"] = None


MEMORY = Path("/dev/shm")
ROOM = 8 << 30
"""A whole run has written up to 6 GB at a time."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the tests write in memory, where there is room.

    A project waits for the disk at every step, which is most of the time of many a
    test. Slow tests may write files that are too large for it.
    """
    if "not slow" in config.option.markexpr and has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def has_room(folder: Path) -> bool:
    """Whether test files, and programs among them, can lie in a folder."""
    if not os.access(folder, os.W_OK):
        return False
    runs_programs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return runs_programs and shutil.disk_usage(folder).free > ROOM


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what the imports made out of every later search for garbage.

    That are a million objects of torch and napari, which stay to the end anyhow;
    each window test looks for garbage several times.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


_windows_seen: list[str] = []
WINDOWS_BETWEEN = 8


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Free what windows left behind, and keep what stays out of later searches.

    Before a test and not after one, whose windows pytest holds a moment longer.
    """
    if item.get_closest_marker("gui"):
        if len(_windows_seen) % WINDOWS_BETWEEN == 1:
            free_windows()
        _windows_seen.append(item.nodeid)


def free_windows() -> None:
    """Search for garbage once the threads that windows started are done.

    What a thread signals with must not be freed before it has.
    """
    from qtpy.QtCore import QCoreApplication, QThreadPool

    threads = QThreadPool.globalInstance()
    if threads is not None and threads.waitForDone(5000):
        QCoreApplication.processEvents()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _keys_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep key files of tests out of the user's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(film_names.VARIABLE, str(tmp_path_factory.mktemp("keys")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real radiographs that lies beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no real radiographs at {SHARED}; set WSSEG_SHARED_DATA")
    return SHARED


@pytest.fixture
def one_thread() -> None:
    """Let torch compute on one thread: two would race for two cores and wait."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def liar(orthanc: Archive) -> Iterator[Liar]:
    """Stand between a client and the test's own archive, `orthanc`, and lie."""
    made = Liar(orthanc)
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the folder of a project of four small films of noise, without a stage."""
    return noise_project.make_project(tmp_path)


@pytest.fixture
def spots(tmp_path: Path) -> Path:
    """Return the folder of a project of 20 small films with expert masks."""
    return import_films(make_films(tmp_path / "films"), tmp_path / "project")


@pytest.fixture
def spots_project(spots: Path) -> Iterator[Project]:
    """Open that project to read."""
    with Project.open(spots) as project:
        yield project
