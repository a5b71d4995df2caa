"""The window killed at random moments of painting, again and again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import noise_project, window_input
from napari_wsseg.io.project import Project

KILLS = 30
#: Enough that no painter comes to the end of them.
FILMS = 24
SECONDS = 6.0


def paint_until_killed(place: Path, seed: int) -> dict[tuple[str, str], str]:
    """Return the hashes of the masks that the window told as drawn."""
    painter = subprocess.Popen(
        [sys.executable, "-m", "helpers.paint_until_killed", place, str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env=window_input.SURROUNDINGS,
    )
    assert painter.stdout is not None
    lines = [painter.stdout.readline()]
    time.sleep(float(np.random.default_rng(seed).uniform(0, SECONDS)))
    painter.kill()
    lines += painter.stdout
    painter.wait()
    painter.stdout.close()
    reported = {}
    for line in lines:
        case_id, finding, mask = json.loads(line)
        reported.pop((case_id, finding), None)
        reported[case_id, finding] = mask
    return reported


@pytest.mark.gui
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thirty_killed_windows_lose_nothing_but_the_stroke_in_hand(
    tmp_path: Path,
) -> None:
    place = noise_project.make_project(tmp_path, cases=FILMS)
    masks, cut, lost = 0, 0, []
    for seed in range(KILLS):
        reported = paint_until_killed(place, 1000 * seed)
        masks += len(reported)
        with Project.open(place, write=True) as project:
            assert project.fsck() == []
            for case_id, finding, reader, _ in project.journal.pending():
                project.journal.fold(case_id, finding, reader, tool="recovered")
            for (case_id, finding), mask in reported.items():
                found = project.expert_masks(case_id).get(finding)
                if found is None:
                    lost.append((seed, case_id))
                elif window_input.digest(found) != mask:
                    # The stroke after the last one told may be in, nowhere else.
                    if (case_id, finding) == list(reported)[-1]:
                        cut += 1
                    else:
                        lost.append((seed, case_id))
        sys.stdout.write(f"kill {seed + 1}: {masks} masks, {cut} cut, {lost} lost\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"{KILLS} windows killed: {masks} masks told as drawn, {cut} with the stroke "
        f"in hand on them, {len(lost)} lost\n"
    )
    assert lost == []
