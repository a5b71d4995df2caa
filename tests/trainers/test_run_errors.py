"""What a person is told when a machine runs out of something."""

from __future__ import annotations

import errno

from trainers import _run


def test_a_full_disk_is_named_though_torch_hides_it() -> None:
    hidden = RuntimeError("unexpected pos 92577344 vs 92577236")
    hidden.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert "the disk is full: free some space" in _run._explained(hidden)


def test_other_errors_keep_their_words() -> None:
    assert _run._explained(RuntimeError("shapes differ")) == "shapes differ"
    assert "smaller batch" in _run._explained(RuntimeError("CUDA out of memory"))
