"""Every step of every operation fails once, three ways; nothing kept is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
OPERATIONS = (
    *("reading", "init", "import", "names --hide", "fsck --repair", "gc", "export"),
    "train",
)
SHARES = 3
"""Processes that an operation and a fault are dealt out to, each step to one."""

FAULTS = ("ENOSPC", "EIO", "kill")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="needs Linux and a C compiler",
)


@pytest.fixture(scope="session")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shim") / "failing_disk.so"
    source = str(HERE / "failing_disk.c")
    arguments = ["cc", "-O1", "-shared", "-fPIC", "-o", str(place), source, "-ldl"]
    subprocess.run(arguments, check=True)
    return place


def drilled(
    shim: Path, names: str, faults: str, stride: int, seconds: float, first: int = 1
) -> list[dict[str, Any]]:
    """Drill operations in a process of their own; print their rows of the table."""
    argv = [sys.executable, str(HERE / "every_step.py"), names, faults, str(stride)]
    root = str(HERE.parents[1])
    done = subprocess.run(
        [*argv, str(seconds), str(first)],
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = [
        json.loads(line) for line in done.stdout.splitlines()
    ]
    for row in found:
        shown = [row["operation"], row["fault"], row["tries"], len(row["lost"])]
        cells = " | ".join(map(str, [*shown, f"{row['seconds']} s"]))
        sys.stdout.write(f"| {cells} |\n")
    return found


def test_some_steps_may_fail(failing_disk: Path) -> None:
    quick = [name for name in OPERATIONS if name not in ("export", "train")]
    found = drilled(failing_disk, ",".join(quick), ",".join(FAULTS), 29, 9)
    assert [row["lost"] for row in found if row["lost"]] == []
    assert len(found) == len(quick) * len(FAULTS)
    assert all(row["tries"] for row in found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_step_may_fail(
    failing_disk: Path, name: str, fault: str, share: int
) -> None:
    (row,) = drilled(failing_disk, name, fault, SHARES, 1e9, share + 1)
    assert row["lost"] == []
    assert row["passed"]
    assert row["tries"] > 5
