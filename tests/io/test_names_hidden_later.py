"""``names --hide`` can be stopped anywhere, and says truly what still tells names."""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import noise_project
from helpers.noise_project import blob
from napari_wsseg import cli
from napari_wsseg.io import film_names, names_left
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import relink
from napari_wsseg.io.project_folder import settings as _settings
from napari_wsseg.jobs import DataError

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("keys")


class Stopped(BaseException):
    """As a kill would."""


def rename_films(place: Path, call: Callable[[int], str]) -> None:
    """Give the films of a project other names, as if they had always had them."""
    with Project.open(place, write=True) as project:
        paths = {}
        for number, case in enumerate(project.cases(), start=1):
            paths[case.id] = call(number)
            project.image_path(case).rename(project.images / call(number))
        relink._cases.set_paths(project._database, paths)


def hide(place: Path, *more: str) -> int:
    return cli.main(["names", "-p", str(place), "--hide", *more])


@pytest.mark.parametrize(
    "call", ["{}.png", "film_{:04}.png", "Film{}.png", "masks{}.png", "a b {}.png"]
)
def test_names_of_any_kind_are_hidden_without_a_false_word(
    place: Path, keys: Path, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    rename_films(place, call.format)
    with Project.open(place, write=True) as project:
        for case in project.cases():
            project.put_mask(case.id, "nodule", blob().astype(bool), reader="ann")
            project.decide(case.id, "accept", reader="ann")
    assert hide(place) == 0
    assert "warning" not in capsys.readouterr().err
    with Project.open(place) as project:
        assert project.fsck() == []
        assert {case.path for case in project.cases()}.isdisjoint(
            project.films.films.values()
        )
        assert all(project.radiograph(case).pixels.any() for case in project.cases())
        assert len(project.decisions()) == 4


@pytest.mark.parametrize("call", ["DOE^{}.png", "film_{:04}.png"])
@pytest.mark.parametrize(
    ("where", "what", "nth"),
    [
        (_settings, "write", 1),
        (film_names, "write", 1),
        (relink._cases, "set_paths", 1),
        ("database", "wipe", 1),
        ("database", "wipe", 2),
        (_settings, "write", 2),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_hiding_that_was_stopped_leaves_every_film_found_and_is_finished(
    place: Path,
    keys: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    where: object,
    what: str,
    nth: int,
    after: bool,
) -> None:
    rename_films(place, call.format)
    owner = relink.Database if where == "database" else where
    real, calls = getattr(owner, what), []

    def stop(*arguments: object, **more: object) -> object:
        calls.append(what)
        if len(calls) < nth:
            return real(*arguments, **more)
        if after:
            real(*arguments, **more)
        raise Stopped

    with monkeypatch.context() as killed:
        killed.setattr(owner, what, stop)
        with Project.open(place, write=True) as project, pytest.raises(Stopped):
            project.hide_names()
    for write in (False, True, False):
        with Project.open(place, write=write) as project:
            assert project.fsck() == []
            assert all(project.radiograph(c).pixels.any() for c in project.cases())
    assert hide(place) == 0
    assert len(list(keys.iterdir())) == 1, "no orphan"
    with Project.open(place) as project:
        assert project.fsck() == []
        assert set(project.films.films) == {case.path for case in project.cases()}
        assert all("DOE" not in case.path for case in project.cases())
    assert all(b"DOE" not in p.read_bytes() for p in place.rglob("*") if p.is_file())


def test_exports_inside_the_project_are_named_and_moved_out_on_wish(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename_films(place, "DOE^{}.png".format)
    with Project.open(place, write=True) as project:
        case = project.cases()[0]
        project.put_mask(case.id, "nodule", blob().astype(bool), reader="ann")
        project.decide(case.id, "flag", reader="ann", comment="as DOE^2.png")
    out = place / "exports"
    assert cli.main(["export", "png", "-p", str(place), "-o", str(out)]) == 0
    notes = place / "notes.txt"
    notes.write_text("DOE^10.png is somebody else; see DOE^1.png")
    assert hide(place) == 3
    output = capsys.readouterr().err
    assert "exports/nodule/DOE^1.png still tells" in output
    assert "notes.txt still tells" in output
    assert "index.sqlite: decisions still tells" in output
    away = tmp_path / "away"
    assert hide(place, "--move-out", str(away)) == 3
    assert (away / "exports" / "nodule" / "DOE^1.png").is_file()
    assert not list(place.rglob("exports/**/DOE*"))
    assert notes.exists(), "what is not in a folder of its own stays"
    with pytest.raises(DataError, match="inside the project"):
        names_left.move_out(place, ["exports/x"], place / "inside")


def test_a_killed_init_leaves_no_key_file_behind_the_next(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.datasets.importing import build

    noise_project.make_project(tmp_path / "source")
    argv = ["init", str(tmp_path / "new"), "--images", str(tmp_path / "source/films")]
    labels = tmp_path / "labels.csv"
    labels.write_text("image,nodule\n" + "".join(f"film{n}.png,1\n" for n in range(4)))
    argv += ["--names", "hide", "--labels", str(labels)]

    def kill(*_: object) -> None:
        os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(build, "_take_place", kill)
        os._exit(cli.main(argv))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(list(keys.iterdir())) == 1
    assert cli.main(argv) == 0
    assert len(list(keys.iterdir())) == 1
    with Project.open(tmp_path / "new") as project:
        assert project.films.found
        assert len(project.cases()) == 4
    shutil.rmtree(tmp_path / "new")


def test_no_message_advises_to_delete_what_holds_work() -> None:
    found = []
    advice = re.compile(r"\b(delet|remov|eras|rm )\w*\b", re.IGNORECASE)
    held = re.compile(r"index|sqlite|mask|journal|decision|wsseg\.toml|still ha", re.I)
    for package in ("napari_wsseg", "trainers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for text in messages(path):
                if advice.search(text) and held.search(text):
                    found.append(f"{path.relative_to(ROOT)}: {text[:100]}")
    assert found == []


def messages(path: Path) -> list[str]:
    """Return the texts of a file that are raised, emitted, written or yielded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sentences = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.Raise, ast.Yield))
        or (isinstance(node, ast.Call) and _speaks(node))
        or isinstance(node, ast.Return)
    ]
    return [
        "".join(
            part.value
            for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        for node in sentences
    ]


def _speaks(call: ast.Call) -> bool:
    name = ast.unparse(call.func).rpartition(".")[2]
    return name in {"person", "emit", "note", "write", "append", "setText", "DataError"}
