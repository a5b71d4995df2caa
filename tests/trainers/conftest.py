"""What every test of a training needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Train on one thread in every test of this folder."""
