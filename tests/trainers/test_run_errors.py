"""What a person is told when a machine runs out of something."""

from __future__ import annotations

import errno

from trainers import TrainingConfig
from trainers.engine import run as _run

EIGHT = TrainingConfig(batch=8)


def test_a_full_disk_is_named_though_torch_hides_it() -> None:
    hidden = RuntimeError("unexpected pos 92577344 vs 92577236")
    hidden.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk is full: free some space" in _run._explained(hidden, EIGHT)


def test_other_errors_keep_their_words() -> None:
    assert _run._explained(RuntimeError("shapes differ"), EIGHT) == "shapes differ"


def test_out_of_memory_names_the_batch_that_may_fit() -> None:
    error = RuntimeError("CUDA out of memory")
    assert "with batch=8: try batch=4" in _run._explained(error, EIGHT)
    alone = _run._explained(error, TrainingConfig(batch=1))
    assert "a smaller network" in alone
    assert "batch=0" not in alone
