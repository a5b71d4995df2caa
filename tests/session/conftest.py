"""A session on a small project, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import noise_project
from helpers.noise_project import Clock
from napari_wsseg.session import Session


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still until the test turns it."""
    return Clock()


@pytest.fixture
def staged(place: Path) -> Path:
    """Return the project's folder, with CAMs in use."""
    noise_project.add_stage(place)
    noise_project.adopt(place)
    return place


@pytest.fixture
def session(place: Path, clock: Clock) -> Iterator[Session]:
    """Return a session of reader ann on the project."""
    session = Session(reader="ann", clock=clock)
    session.open_project(place)
    yield session
    session.close()
