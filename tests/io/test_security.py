"""No pickle, nothing unescaped, no formula: what is written harms nobody."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path

import numpy as np
import pytest

import napari_wsseg
from helpers.small_project import CASE, SHAPE, blot, grey, write_png
from napari_wsseg import cli
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline.reporting import html as _html
from napari_wsseg.schema import Case

ROOT = Path(napari_wsseg.__file__).parents[1]
SOURCES = [
    *(ROOT / "napari_wsseg").rglob("*.py"),
    *(ROOT / "trainers").rglob("*.py"),
]
EVIL = {"pickle.load", "pickle.loads", "yaml.load", "eval", "exec", "os.system"}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [
        (ast.unparse(node.func), node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def keyword(call: ast.Call, name: str) -> object:
    for each in call.keywords:
        if each.arg == name and isinstance(each.value, ast.Constant):
            return each.value.value
    return None


def test_no_code_reads_or_writes_a_pickle() -> None:
    assert len(SOURCES) > 150
    found = []
    for path in SOURCES:
        for name, call in calls(ast.parse(path.read_text("utf-8"))):
            bad = name in EVIL or name.startswith(("pickle.", "cPickle.", "dill."))
            bad |= name == "torch.load" and keyword(call, "weights_only") is not True
            bad |= name in ("np.load", "numpy.load") and (
                keyword(call, "allow_pickle") is not False
                and not any(each.arg is None for each in call.keywords)
            )
            bad |= keyword(call, "shell") is True
            if bad:
                found.append(f"{path.relative_to(ROOT)}:{call.lineno} {name}")
    assert found == []


SCRIPT = "<script>alert(1)</script>"


def test_a_report_escapes_what_it_shows() -> None:
    page = _html.table([SCRIPT], [[SCRIPT, 1.0]]) + _html.image(b"", f'"{SCRIPT}')
    page += _html.intervals(SCRIPT, [(SCRIPT, 0.5, None)])
    assert "<script" not in page
    assert 'alt=""' not in page


@pytest.mark.parametrize("name", [SCRIPT, "a/b", 'x"y', "a<b"])
def test_a_finding_cannot_be_called_what_a_page_would_run(
    tmp_path: Path, name: str
) -> None:
    write_png(tmp_path / "films" / "a.png", grey(0))
    table = io.StringIO()
    csv.writer(table).writerows([["image", name], ["a.png", 1]])
    (tmp_path / "labels.csv").write_text(table.getvalue())
    arguments = ["init", str(tmp_path / "p"), "--images", str(tmp_path / "films")]
    assert cli.main([*arguments, "--labels", str(tmp_path / "labels.csv")]) == 3
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    "text", ["=cmd|'c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1"]
)
def test_what_a_sheet_would_compute_is_exported_as_text(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "films").mkdir()
    with Project.create(
        tmp_path / "p", findings=["nodule"], images=tmp_path / "films"
    ) as project:
        project.add_case(Case(CASE, f"{text}.png", SHAPE, None, "train", {}))
        project.put_mask(CASE, "nodule", blot(), reader=text.strip())
        project.decide(CASE, "accept", reader="ann", comment=text)
    place = str(tmp_path / "p")
    for name in ("csv", "siim_rle", "png"):
        out = tmp_path / name
        assert cli.main(["export", name, "-p", place, "-o", str(out)]) == 0
        for path in out.rglob("*.csv"):
            with path.open(newline="") as file:
                cells = [cell for row in csv.reader(file) for cell in row]
            signs = ("=", "+", "-", "@", "\t")
            bad = [c for c in cells if c.startswith(signs) and not _number(c)]
            assert bad == [], path.name


def _number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def test_a_film_whose_name_computes_comes_back_from_the_table(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with Project.create(
        tmp_path / "p", findings=["nodule"], images=tmp_path / "films"
    ) as project:
        project.add_case(Case(CASE, "=1+2.png", SHAPE, None, "train", {}))
        project.put_mask(CASE, "nodule", blot(), reader="ann")
    place, out = str(tmp_path / "p"), str(tmp_path / "out")
    assert cli.main(["export", "siim_rle", "-p", place, "-o", out]) == 0
    argv = ["import", "siim_rle", f"{out}/nodule.csv", "-p", place, "--reader", "bob"]
    assert cli.main(argv) == 0
    with Project.open(tmp_path / "p") as project:
        (annotation,) = project.history(CASE, "nodule", reader="bob")
        np.testing.assert_array_equal(project.read_mask(annotation), blot())
