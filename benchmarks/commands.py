"""Commands of ours, run as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def wsseg(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run ``wsseg`` with ``--json``; return the object in its last line.

    Parameters
    ----------
    arguments
        The command and its options.
    env
        Added to the environment.

    Raises
    ------
    subprocess.CalledProcessError
        It failed; what it said stands on the error output.
    """
    done = subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", *arguments, "--json"],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
