"""Short jobs of a panel: one process at a time, the newest takes all."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from napari_wsseg._widgets.processes.child import Child
from napari_wsseg._widgets.processes.command_job import CommandJob

pytestmark = pytest.mark.gui

# Tests that run in the background of a shell are started with interrupts ignored.
HEARS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
TIDIES_UP = f"""{HEARS}
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
try:
    place.write_text("at work")
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.7)
    place.write_text("tidied up")
"""
LOOKS = """
import json, pathlib, sys
seen = pathlib.Path(sys.argv[1]).read_text()
print(json.dumps({"status": "done", "seen": seen}), flush=True)
"""


@pytest.mark.parametrize("changes_of_mind", [0, 1])
def test_a_job_begins_when_the_stopped_one_has_tidied_up(
    tmp_path: Path, qtbot: Any, changes_of_mind: int
) -> None:
    place, events = tmp_path / "shared", []
    job = CommandJob()
    job.reported.connect(events.append)
    job.run([sys.executable, "-c", TIDIES_UP, str(place)])
    qtbot.waitUntil(lambda: place.is_file() and place.read_text() == "at work")
    job.stop()
    for _ in range(changes_of_mind):
        job.run([sys.executable, "-c", TIDIES_UP, str(tmp_path / "never")])
        job.stop()
    job.run([sys.executable, "-c", LOOKS, str(place)])
    qtbot.waitUntil(lambda: not job.busy, timeout=20_000)
    assert events == [{"status": "done", "seen": "tidied up"}]
    assert not (tmp_path / "never").exists()


DONE_AT_ONCE = """
import json, pathlib, sys
print(json.dumps({"status": "done"}), flush=True)
pathlib.Path(sys.argv[1]).write_text("done")
"""


def test_what_ended_before_its_stop_is_told(tmp_path: Path, qtbot: Any) -> None:
    place, said, before = tmp_path / "shared", [], []
    job = CommandJob()
    job.reported.connect(said.append)
    job.ended_before.connect(before.append)
    job.run([sys.executable, "-c", DONE_AT_ONCE, str(place)])
    while not place.is_file():  # and nothing of it can have been delivered here
        time.sleep(0.02)
    job.stop()
    qtbot.waitUntil(lambda: bool(before), timeout=20_000)
    assert before == [{"status": "done"}]
    assert said == []
    assert not job.busy


DROPS_ONE = f"""{HEARS}
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
place.write_text("at work")
for ending in ("dropped an interrupt", "was interrupted"):
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        place.write_text(ending)
"""


def test_an_interrupt_that_was_dropped_is_sent_again(tmp_path: Path) -> None:
    place = tmp_path / "shared"
    child = Child([sys.executable, "-c", DROPS_ONE, str(place)])
    while not (place.is_file() and place.read_text() == "at work"):
        time.sleep(0.02)
    child.interrupt(10)
    child.close()
    assert place.read_text() == "was interrupted"
    assert not child.killed
