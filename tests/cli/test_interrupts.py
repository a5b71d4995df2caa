"""Interrupts reach what the window starts, wherever the window was started."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKS = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the background of a shell
from napari_wsseg import cli
cli.main(["presets", "--json"])
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize("own_session", [True, False])
def test_a_session_of_its_own_hears_interrupts_that_were_ignored(
    own_session: bool,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKS],
        capture_output=True,
        text=True,
        start_new_session=own_session,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == str(own_session), done.stderr
