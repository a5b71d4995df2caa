"""A guest that is slow, dies or lies costs its proposal and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.cli import main
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import JobFailed
from napari_wsseg.pipeline.guest import Guest, Prompt

REFERENCE = Path(__file__).parents[2] / "docs" / "guest.py"

BEGIN = """
import json, sys, time, os
from PIL import Image
def say(**told): print(json.dumps({"wsseg": 1, **told}), flush=True)
"""
READY = BEGIN + "say(name='odd')\nasked = json.loads(sys.stdin.readline())\n"
PNG = "Image.new('1', ({size}), 1).save(asked['answer'])\n"

FILM = np.zeros((12, 9), np.float32)
PROMPT = Prompt("mass", points=((3, 4, True),))


def _guest(tmp_path: Path, code: str, **seconds: float) -> Guest:
    path = tmp_path / "guest.py"
    path.write_text(code)
    return Guest([sys.executable, str(path)], **seconds)


def test_the_reference_guest_grows_from_clicks_and_stays() -> None:
    film = np.zeros((20, 30), np.float32)
    film[5:9, 10:16] = 0.8
    with Guest([sys.executable, str(REFERENCE)]) as guest:
        found = guest.propose(film, Prompt("mass", points=((12, 6, True),)))
        assert (found == (film > 0.5)).all()
        assert guest.name == "region growing"
        process = guest._process
        boxed = guest.propose(film, Prompt("mass", boxes=((1, 2, 3, 4),)))
        assert boxed.sum() == 9
        assert guest._process is process
        less = Prompt("mass", points=((0, 0, True), (12, 6, False)))
        assert (guest.propose(film, less) == (film < 0.5)).all()
    assert process is not None
    assert process.poll() == 0
    assert len(REFERENCE.read_text().splitlines()) <= 45


def test_an_error_of_the_guest_is_told_in_its_words() -> None:
    with (
        Guest([sys.executable, str(REFERENCE)]) as guest,
        pytest.raises(JobFailed, match="not on the film"),
    ):
        guest.propose(FILM, Prompt("mass", points=((500, 500, True),)))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "has died"),
        (BEGIN + "time.sleep(60)", "said nothing for 2 s"),
        ("print('hello', flush=True)", "does not speak"),
        ("print('[1]', flush=True)", "does not speak"),
        ("print('{\"wsseg\": 2}', flush=True)", "does not speak"),
        ("import os; os.write(1, b'x' * 10**6)", "does not speak"),
        (READY + "os._exit(1)", "has died"),
        (READY + "time.sleep(60)", "said nothing for 2 s"),
        (READY + "say(mask=asked['answer'])", "its mask"),
        (READY + PNG.format(size="5, 5") + "say(mask='')", "its mask"),
        (READY + PNG.format(size="12, 9") + "say(mask='')", "its mask"),
        (READY + "open(asked['answer'], 'wb').write(b'no')\nsay(mask='')", "its mask"),
        (READY + "say(mask='/etc/passwd')", "its mask"),
        (READY + "say(other=1)", "neither a mask nor an error"),
        (READY + "print('{' * 10**5, flush=True)", "does not speak"),
    ],
)
def test_a_guest_that_is_slow_dies_or_lies(
    tmp_path: Path, code: str, message: str
) -> None:
    guest = _guest(tmp_path, code, ready_seconds=2, answer_seconds=2)
    with pytest.raises(JobFailed, match=message):
        guest.propose(FILM, PROMPT)
    assert guest._process is None


def test_the_next_question_starts_it_again(tmp_path: Path) -> None:
    marker = tmp_path / "again"
    code = (
        READY
        + f"m = {str(marker)!r}\n"
        + "if not os.path.exists(m):\n    open(m, 'w'); os._exit(1)\n"
        + PNG.format(size="9, 12")
        + "say(mask='')\nsys.stdin.readline()"
    )
    with _guest(tmp_path, code) as guest:
        with pytest.raises(JobFailed, match="has died"):
            guest.propose(FILM, PROMPT)
        assert guest.propose(FILM, PROMPT).all()


def test_a_guest_that_is_not_there_is_told() -> None:
    with pytest.raises(JobFailed, match="cannot be started"):
        Guest(["no-such-program-here"]).propose(FILM, PROMPT)


def test_the_command_writes_a_proposal_and_leaves_the_project_alone(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.open(spots) as project:
        case = project.cases()[0]
        before = project.annotated()
    out = tmp_path / "proposal.png"
    arguments = ["propose", case.path, "-p", str(spots), "--finding", "spot"]
    arguments += ["-o", str(out), "--json"]
    guest = ["--guest", f"{sys.executable} {REFERENCE}"]
    assert main([*arguments, *guest, "--box", "2,3,6,9"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["guest"], output["area_px"]) == ("region growing", 35)
    assert Image.open(out).size == case.shape[::-1]
    with Project.open(spots) as project:
        assert project.annotated() == before
    assert main([*arguments, *guest]) == 2
    assert main([*arguments, *guest, "--point", "1"]) == 2
    assert main([*arguments, *guest, "--point", "a,b"]) == 2
    assert main([*arguments, "--guest", "no-such-program-here", "--point", "1,1"]) == 4
    arguments[1] = "nowhere.png"
    assert main([*arguments, *guest, "--point", "1,1"]) == 3
