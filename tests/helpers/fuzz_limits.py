"""What a fuzzing run may not take."""

from __future__ import annotations

import sys


def most_memory() -> int:
    """Return the most bytes of memory that this process held at any time."""
    import resource  # Windows has none.

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
