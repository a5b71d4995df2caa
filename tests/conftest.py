"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(
    os.environ.get(
        "WSSEG_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real radiographs that lies beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no real radiographs at {SHARED}; set WSSEG_SHARED_DATA")
    return SHARED
