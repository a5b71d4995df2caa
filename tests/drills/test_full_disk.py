"""A disk that is really full, and a folder that nobody may write to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Make a disk of two MiB in memory, where the system lets us."""
    place = tmp_path / "disk"
    place.mkdir()
    arguments = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(place)]
    try:
        done = subprocess.run(arguments, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 2**8):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return ballast


def test_a_reader_paints_on_over_a_full_disk_and_loses_nothing(
    small_disk: Path,
) -> None:
    shape = (96, 80)
    place = noise_project.make_project(small_disk, shape=shape)
    session = Session(reader="ann")
    session.open_project(place)
    assert session.case is not None
    case, rng, messages = session.case.id, np.random.default_rng(0), []
    session.save_failed.connect(lambda *arguments: messages.append(arguments))
    saved = rng.integers(0, 2, shape).astype(np.uint8)
    session.edit("nodule", saved)
    assert session.experts is not None
    session.experts.fold()

    ballast = fill(small_disk)
    for _ in range(40):
        mask = rng.integers(0, 2, shape).astype(np.uint8)
        session.edit("nodule", mask)
    assert messages, "it is said at once"
    assert session.experts.unsaved == ["nodule"]
    with Project.open(place) as other:
        kept = other.expert_masks(case)["nodule"]
        np.testing.assert_array_equal(kept, saved.astype(bool))
    session.tick()
    assert session.experts.unsaved == ["nodule"], "it stays in memory"

    ballast.unlink()
    session.tick()
    assert session.experts.unsaved == []
    session.close()
    with Project.open(place) as project:
        np.testing.assert_array_equal(
            project.expert_masks(case)["nodule"], mask.astype(bool)
        )
        assert project.fsck() == []
        project.verify_audit()


def test_a_full_disk_stops_no_reading_and_no_opening(small_disk: Path) -> None:
    place = noise_project.make_project(small_disk)
    with Project.open(place, write=True) as project:
        mask = np.eye(*noise_project.SHAPE, dtype=bool)
        project.put_mask(project.cases()[0].id, "nodule", mask, reader="ann")
    fill(small_disk)
    with Project.open(place) as project:
        case = project.cases()[0]
        np.testing.assert_array_equal(project.expert_masks(case.id)["nodule"], mask)
        assert project.fsck() == []


def test_a_folder_that_nobody_may_write_to_is_told_and_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = noise_project.make_project(tmp_path)
    if os.geteuid() == 0:  # root may write anywhere: let the system say no
        real = os.open

        def refuse(path: object, flags: int, *rest: object, **more: object) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, flags, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "open", refuse)
    else:
        place.chmod(0o555)
    with pytest.raises(DataError, match="permissions"):
        Project.open(place, write=True)
    session = Session(reader="ann")
    session.open_project(place)
    assert session.readonly
    assert session.case is not None
    session.close()
