"""The workflows on other people's machines run what `.ci/run` and make run here."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = "and not data and not programs"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    """Return the jobs of the workflow."""
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    return yaml.safe_load(text)["jobs"]


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def made_by(target: str, **variables: str) -> list[str]:
    """Return the lines by which make would run Python's tools for a target."""
    given = [f"{name}={value}" for name, value in variables.items()]
    result = subprocess.run(
        ["make", "-n", target, "VENV=nowhere", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        # A make that runs these tests would hand its variables on to this one.
        env={"PATH": os.environ["PATH"]},
    )
    lines = result.stdout.replace("\\\n", " ").splitlines()
    found = [re.search(r"python -m (pytest|mkdocs) .*", line) for line in lines]
    return [match[0].strip() for match in found if match]


def test_linux_runs_the_script_of_ci(jobs: dict[str, Any]) -> None:
    assert commands(jobs["linux"]) == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_where_no_apt_is_the_commands_are_those_made_by(jobs: dict[str, Any]) -> None:
    ran = [line for line in commands(jobs["others"]) if "-m pip" not in line]
    expected = made_by("test", MARKS=ELSEWHERE)
    assert len(expected) == 2
    assert ran == [*expected, "python -m mkdocs build --strict"]
    assert made_by("docs", SITE="site")[0].startswith(ran[-1])
    assert jobs["others"]["env"]["OMP_NUM_THREADS"] == "1"


def test_contributors_are_told_the_same_marks() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for line in made_by("test"):
        marks = re.search(r'-m "([^"]+?) *"', line)
        assert marks
        assert f'pytest -q -n 2 -m "{marks[1]}"' in text


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=str)
def test_every_file_for_the_forge_can_be_read(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)
