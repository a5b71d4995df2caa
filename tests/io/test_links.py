"""Nothing below a project's folder is reached through a link, at any depth."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.small_project import CASE, blot, new_project
from napari_wsseg import cli
from napari_wsseg.io import atomic, project_files, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

ROOT = Path(__file__).resolve().parents[2]

OPENERS = {
    "append",
    "chmod",
    "copy",
    "copy2",
    "copyfile",
    "copytree",
    "fromfile",
    "hardlink_to",
    "link",
    "makedirs",
    "memmap",
    "mkdir",
    "move",
    "open",
    "open_memmap",
    "read_bytes",
    "read_text",
    "remove",
    "removedirs",
    "rename",
    "renames",
    "rmdir",
    "rmtree",
    "safe_open",
    "savez",
    "symlink",
    "symlink_to",
    "tofile",
    "touch",
    "truncate",
    "unlink",
    "write_bytes",
    "write_text",
}
HOLDERS = {"os", "shutil", "np", "numpy", "np.lib.format", "safetensors", "sqlite3"}
"""What `remove`, `append`, `copy` and `move` are of, if they are of files."""

ALLOWED = {
    *(f"project_files.{name}" for name in OPENERS),
    "atomic.read_text",
    "read_text",  # of `atomic`, in itself
    "self.model.touch",
    "np.append",
    # What a process said on its standard error, in the system's temporary folder.
    "child.errors.read_text",
    "job.child.errors.read_bytes",
    # A classifier's file, as its user named it.
    "file.read_bytes",
}

AMBIGUOUS = {"append", "copy", "link", "move", "open", "remove", "truncate"}

ELSEWHERE = {
    # Reads what its user names, which lies in no project.
    "napari_wsseg/_reader.py",
    "napari_wsseg/_drops.py",
    "napari_wsseg/_sample_data.py",
    "napari_wsseg/nn/pretrained.py",
    "trainers/_memory.py",
    # Pipes and files of the system's temporary folder.
    "napari_wsseg/ops/_crf_external.py",
    "napari_wsseg/_widgets/processes/child.py",
    # What another program, or somebody else's classifier, wrote, as the user named it.
    "napari_wsseg/pipeline/inference/external_drafts.py",
    "trainers/tasks/known_classifiers.py",
    "napari_wsseg/datasets/_sample_readings.py",
    # A project that is growing, in a folder made just now.
    "napari_wsseg/datasets/importing/build.py",
    "napari_wsseg/datasets/importing/resume.py",
    # A new folder of films, made from nothing.
    "napari_wsseg/phantom/dataset.py",
    # The key files, outside every project.
    "napari_wsseg/io/film_names.py",
    # The module itself.
    "napari_wsseg/io/project_files.py",
}
READERS = (
    "napari_wsseg/datasets/",
    "napari_wsseg/export/",
    "napari_wsseg/io/external/",
)
"""Import what their user names; all that they write goes through `atomic.write`."""

WRITE = OPENERS - {"open", "read_bytes", "read_text", "safe_open", "fromfile"}


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    yield node, "", name
                case ast.Attribute(value=value, attr=name):
                    yield node, ast.unparse(value), name


def _guarded(call: ast.Call, lines: list[str]) -> bool:
    """Whether the path was checked just before, or what is written is in memory."""
    near = "\n".join(lines[max(0, call.lineno - 4) : (call.end_lineno or 0) + 1])
    return "project_files." in near or "io.BytesIO()" in near


def _rounds(path: Path) -> Iterator[str]:
    """Yield the calls of a file that open, move or delete without `project_files`."""
    text = path.read_text(encoding="utf-8")
    lines, name = text.splitlines(), path.relative_to(ROOT).as_posix()
    wanted = WRITE if name.startswith(READERS) else OPENERS
    for call, holder, verb in _calls(ast.parse(text)):
        if verb not in wanted or ast.unparse(call.func) in ALLOWED:
            continue
        if verb in AMBIGUOUS and holder not in HOLDERS | {""}:
            mode = [one.value for one in call.args if isinstance(one, ast.Constant)]
            if verb != "open" or not mode or mode[0] not in ("r", "rb", "w", "wb", "a"):
                continue
        if not _guarded(call, lines):
            yield f"{name}:{call.lineno}: {ast.unparse(call)[:80]}"


def test_no_module_opens_a_file_of_a_project_by_another_way() -> None:
    found = []
    for package in ("napari_wsseg", "trainers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.relative_to(ROOT).as_posix() not in ELSEWHERE | KNOWN:
                found += _rounds(path)
    assert found == []


KNOWN = {
    # Films and masks as their user named them; nothing of a project.
    "napari_wsseg/io/images.py",
    "napari_wsseg/io/json_masks.py",
    "napari_wsseg/io/mask_files.py",
    "napari_wsseg/io/nifti.py",
    "napari_wsseg/io/tables.py",
    "napari_wsseg/io/films/archive.py",
    "napari_wsseg/io/films/source.py",
}


def test_the_search_finds_what_goes_round(tmp_path: Path) -> None:
    place = ROOT / "napari_wsseg" / "io"
    for line in (
        "(folder / 'x').write_text('')",
        "os.replace(a, b) or path.unlink()",
        "shutil.rmtree(folder)",
        "open(path, 'w')",
        "path.open('wb')",
        "np.memmap(path)",
    ):
        (tmp_path / "x.py").write_text(line)
        text = (tmp_path / "x.py").read_text()
        assert [verb for _, _, verb in _calls(ast.parse(text)) if verb in OPENERS], line
    assert place.is_dir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a project with a mask, an open stroke, a run and maps."""
    with new_project(tmp_path) as made:
        made.put_mask(CASE, "nodule", blot(), reader="ann")
        folder = made.folder
    run = runs.new(folder, "classifier", {"arch": "resnet18"}, findings=("nodule",))
    run.begin()
    run.log_metrics({"step": 1, "total": 2, "loss": 1.0})
    run.end("stopped", metrics={}, seconds=1.0)
    run.path.rename(run.path.with_name(RUN))
    (folder / "stages" / "cam" / RUN).mkdir(parents=True)
    (folder / "cache").mkdir()
    return folder


RUN = "classifier-20261121-000000-aaaa"

PLACES = [
    ".lock",
    ".lock.json",
    ".trash",
    ".trash/masks",
    f".trash/masks/{CASE}",
    "cache",
    "cache/films-64.json",
    "index.sqlite",
    "index.sqlite-journal",
    "index.sqlite-shm",
    "index.sqlite-wal",
    "masks",
    "masks/.new",
    f"masks/{CASE}",
    f"masks/{CASE}/effusion",
    f"masks/{CASE}/nodule",
    "report.html",
    "runs",
    f"runs/{RUN}",
    f"runs/{RUN}/best.safetensors",
    f"runs/{RUN}/cache",
    f"runs/{RUN}/card.md",
    f"runs/{RUN}/config.json",
    f"runs/{RUN}/data.lock.json",
    f"runs/{RUN}/evaluation.json",
    f"runs/{RUN}/last.pt",
    f"runs/{RUN}/log.txt",
    f"runs/{RUN}/metrics.jsonl",
    f"runs/{RUN}/state.json",
    f"runs/{RUN}/stop",
    "runs/stop",
    "stages",
    "stages/cam",
    f"stages/cam/{RUN}",
    f"stages/cam/{RUN}/stage.json",
    f"stages/cam/{RUN}/{CASE}.npz",
    "sweeps",
    "out",
    "out/nodule",
    "void",
    "wsseg.toml",
]

COMMANDS = {
    "adopt": ["adopt", RUN],
    "audit": ["audit", "verify"],
    "evaluate": ["evaluate"],
    "export": ["export", "png", "--out", "{p}/out"],
    "fsck": ["fsck"],
    "gc": ["gc"],
    "infer": ["infer", "cam", "--run", RUN],
    "names": ["names", "--hide"],
    "repair": ["fsck", "--repair"],
    "report": ["report", "--out", "{p}/report.html"],
    "resume": ["train", "classifier", "--resume", RUN],
    "train": ["train", "classifier", "--set", "epochs=1", "size=64"],
}


def _prints(place: Path) -> dict[str, str]:
    """Return the hash of every file, and every folder's name."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(
            path.read_bytes() if path.is_file() else b""
        ).hexdigest()
        for path in sorted(place.rglob("*"))
    }


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Make a folder of the user's that must be the same afterwards."""
    place = tmp_path / "documents"
    for name in (".bashrc", "stop", f"{CASE}.npz", "a/b.png", "masks/x", "last.pt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("mine")
    before = _prints(place)
    yield place
    assert _prints(place) == before


def _link(folder: Path, name: str, outside: Path) -> None:
    """Make a link of a project's file or folder, to the like of the user's."""
    path = folder / name
    is_file = path.suffix != "" and path.name not in (".trash", ".new")
    is_file |= path.name in (".lock", "stop")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside / ".bashrc" if is_file else outside)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_touches_anything_outside_through_a_link(
    folder: Path, outside: Path, tmp_path: Path, command: str
) -> None:
    stranger = folder / "masks" / CASE / "nodule" / "stranger.png"
    stranger.write_text("whose?")
    for number, name in enumerate(PLACES):
        forged = tmp_path / f"forged{number}"
        shutil.copytree(folder, forged)
        (forged / ".trash" / "masks" / CASE).mkdir(parents=True)
        _link(forged, name, outside)
        arguments = [word.format(p=forged) for word in COMMANDS[command]]
        code = cli.main([*arguments, "-p", str(forged)])
        assert code in (0, 3, 4), (name, code)
        shutil.rmtree(forged)


@pytest.mark.parametrize("name", [name for name in PLACES if name.startswith("masks")])
def test_no_mask_is_written_through_a_link(
    folder: Path, outside: Path, name: str
) -> None:
    _link(folder, name, outside)

    def draw() -> None:
        with Project.open(folder, write=True) as project:
            project.put_mask(CASE, "nodule", ~blot(), reader="bob")
            project.put_mask(CASE, "effusion", blot(), reader="bob")

    with pytest.raises(DataError, match="is a link"):
        draw()


def test_a_run_that_is_a_link_is_neither_stopped_nor_begun(
    folder: Path, outside: Path
) -> None:
    _link(folder, f"runs/{RUN}", outside)
    run = runs.RunFolder(folder / "runs" / RUN)
    for act in (
        run.begin,
        lambda: run.log_metrics({}),
        lambda: list(run.metrics()),
        run.config,
        lambda: run.keep_evaluation("val", {}),
        lambda: project_files.touch(run.stop_file),
    ):
        with pytest.raises(DataError, match="is a link"):
            act()


def test_the_first_link_is_named_and_a_projects_own_folder_may_be_one(
    folder: Path, outside: Path, tmp_path: Path
) -> None:
    (tmp_path / "short").symlink_to(folder)
    through = tmp_path / "short"
    atomic.write_json(through / "runs" / "x" / "state.json", {})
    _link(folder, f"runs/{RUN}", outside)
    with pytest.raises(DataError, match=rf"{RUN}: is a link to .*documents"):
        atomic.read_json(through / "runs" / RUN / "a" / "state.json")


def test_a_project_inside_a_projects_folder_hides_no_link(
    folder: Path, outside: Path
) -> None:
    (outside / "wsseg.toml").write_text("mine")
    try:
        _link(folder, f"runs/{RUN}", outside)
        with pytest.raises(DataError, match="is a link"):
            atomic.write_json(folder / "runs" / RUN / "state.json", {})
    finally:
        (outside / "wsseg.toml").unlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    for name in ("config.json", "state.json", "metrics.jsonl"):
        path = folder / "runs" / RUN / name
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DataError, match="plain file"):
            project_files.read_bytes(path)
    with pytest.raises((DataError, OSError)):
        runs.RunFolder(folder / "runs" / RUN).log_metrics({})


def test_a_rollback_journal_is_refused_for_it_names_a_file_to_delete(
    folder: Path,
) -> None:
    (folder / "index.sqlite-journal").write_bytes(b"\xd9\xd5\x05\xf9 \xa1c\xd7")
    for write in (False, True):
        with pytest.raises(DataError, match="another program"):
            Project.open(folder, write=write)


def test_fsck_names_every_link(folder: Path, outside: Path) -> None:
    _link(folder, f"stages/cam/{RUN}", outside)
    _link(folder, f"runs/{RUN}/log.txt", outside)
    with Project.open(folder) as project:
        links = [line for line in project.fsck() if "is a link" in line]
    assert [line.split(":")[0] for line in links] == [
        f"runs/{RUN}/log.txt",
        f"stages/cam/{RUN}",
    ]


def test_the_makers_are_as_the_program_leaves_them(folder: Path) -> None:
    assert project_files.links(folder) == []
    with sqlite3.connect(folder / "index.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM annotations").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    "run", ["", "..", "../x", "a/b", "a\\b", "c:x", "x" * 300, "\0"]
)
def test_a_run_that_the_index_names_is_a_single_name(tmp_path: Path, run: str) -> None:
    with pytest.raises(DataError, match="no name of a run"):
        stages.folder(tmp_path, "cam", run)
