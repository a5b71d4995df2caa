"""What tests of arrays compare with."""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def theirs() -> ModuleType:
    """Return scikit-learn's metrics, loaded when asked for: it takes a second."""
    from sklearn import metrics

    return metrics
