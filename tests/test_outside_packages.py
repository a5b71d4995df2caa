"""Another installed package adds plugs; a broken one takes nothing down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.outside_package import CAM, EXPORT, GROUPS, install
from helpers.spot_films import import_films, make_films
from napari_wsseg import _plugins
from napari_wsseg._registry import OWN, Registry
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def wsseg(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return python(site, "-m", "napari_wsseg.cli", *map(str, arguments))


@pytest.fixture
def clean() -> Iterator[None]:
    """Forget the problems that a test makes."""
    before = list(_plugins._problems)
    yield
    _plugins._problems[:] = before


def test_a_data_set_and_an_export_format_of_another_package_are_used(
    tmp_path: Path,
) -> None:
    site = install(tmp_path / "site", "wsseg_extras", GROUPS)
    films = make_films(tmp_path / "films")
    project = tmp_path / "project"
    labels, masks = films / "labels.csv", films / "masks"
    made = wsseg(
        site, "init", project, "--images", films / "images", "--labels", labels,
        "--masks", masks, "--dataset", "flat", "--set", "loud=yes",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    out = tmp_path / "out"
    written = wsseg(site, "export", "names", "-p", project, "-o", out, "--json")
    assert written.returncode == 0, written.stderr
    assert json.loads(written.stdout)["files"] == [str(out / "names.txt")]
    assert ".png" in (out / "names.txt").read_text()
    help_text = wsseg(site, "export", "--help").stdout
    assert "A list of film names, one a line." in help_text
    taken = wsseg(
        site, "import", "no-masks", out, "-p", project, "--reader", "R"
    )  # fmt: skip
    assert "holds no masks" in taken.stderr


def test_a_recipe_and_a_cam_method_of_another_package_are_used(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "wsseg_extras", GROUPS)
    project = import_films(make_films(tmp_path / "films", n=8), tmp_path / "project")
    arguments = ["-p", project, "--set", "cam=mean-map", "--json"]
    trained = wsseg(site, "train", "quick-look", *arguments)
    assert trained.returncode == 0, trained.stderr
    end = json.loads(trained.stdout.splitlines()[-1])
    run = end["run"]
    config = json.loads((project / "runs" / run / "config.json").read_text())
    assert config["facts"]["title"] == "Quick look"
    refused = wsseg(site, "infer", "cam", "-p", project, "--map", "mean-map@3")
    assert refused.returncode == 2
    assert "mean-map@5, " in refused.stderr
    other = wsseg(site, "infer", "cam", "-p", project, "--map", "grad-cam@5")
    assert "cam (Grad-CAM, level 5): 8 of 8 films" in other.stderr
    with Project.open(project) as opened:
        assert [opened.adopted(stage) for stage in ("cam", "crf")] == [run, run]
    assert wsseg(site, "adopt", run, "-p", project).returncode == 0
    estimate = python(site, "-m", "trainers._memory", "quick-look", "-p", str(project))
    assert json.loads(estimate.stdout)["recipe"] == "quick-look"
    # Without the package the run is still shown, used and evaluated.
    alone = wsseg(tmp_path, "adopt", run, "-p", project)
    assert alone.returncode == 0, alone.stderr
    assert runs.find(project, run).info().facts.stages == ("cam", "crf")


BROKEN = {
    "an import that fails": "import no_such_module_anywhere\n",
    "an error while it is imported": "raise RuntimeError('half\\nmade')\n",
    "an exit": "raise SystemExit(3)\n",
    "a syntax error": "def (:\n",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_named_and_everything_else_works(
    source: str, tmp_path: Path
) -> None:
    site = install(tmp_path, "broken_pkg", {"napari_wsseg.exports": EXPORT + source})
    install(tmp_path, "good_pkg", {"napari_wsseg.exports": EXPORT})
    helped = wsseg(site, "export", "--help")
    assert helped.returncode == 0
    lines = [line for line in helped.stderr.splitlines() if "broken_pkg" in line]
    assert len(lines) == 1
    assert "broken_pkg 1.2: its 'part0'" in lines[0]
    assert "Update or uninstall" in lines[0]
    assert "Traceback" not in helped.stderr
    # What it had registered before it broke is not offered; the good one's is.
    assert "names" in helped.stdout


def test_the_doctor_says_whose_the_broken_plug_is(tmp_path: Path) -> None:
    sources = dict(GROUPS, **{"napari_wsseg.cam": CAM + "import no_such_module\n"})
    site = install(tmp_path, "half_broken", sources)
    diagnosis = wsseg(site, "doctor", "--json")
    checks = {each["detail"]: each for each in json.loads(diagnosis.stdout)["checks"]}
    added = (
        "recipe quick-look, data set flat, export format names, import format no-masks"
    )
    assert checks[added]["name"] == "plug-in half_broken 1.2"
    broken = [each for detail, each in checks.items() if "no_such_module" in detail]
    assert [each["name"] for each in broken] == ["plug-in half_broken 1.2"]
    assert broken[0]["ok"] is None


@pytest.mark.usefixtures("clean")
def test_a_mangled_entry_point_file_hides_no_other_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read here alone: other libraries in the same environment may not survive it.
    site = install(tmp_path, "mangled", {"napari_wsseg.exports": EXPORT})
    (site / "mangled-1.2.dist-info" / "entry_points.txt").write_text(
        "[napari_wsseg.exports]\n???\npart0 = \n"
    )
    install(tmp_path, "fine", {"napari_wsseg.exports": EXPORT})
    monkeypatch.syspath_prepend(str(site))
    found = [entry.value for entry in _plugins.entries("napari_wsseg.exports")]
    assert "fine.part0" in found
    problems = [str(each) for each in _plugins.problems("napari_wsseg.exports")]
    assert [one for one in problems if "mangled-1.2.dist-info" in one]


@pytest.mark.usefixtures("clean")
def test_a_clash_says_whose_and_ours_stays() -> None:
    registry: Registry[str] = Registry("CAM method", "", "napari_wsseg.cam")
    registry.register("cam", module="theirs.first")("theirs")
    registry.register("cam", module="napari_wsseg.cam.cam")("ours")
    registry.register("cam", module="others.late")("late")
    assert registry["cam"] == "ours"
    assert registry.owner("cam") == OWN
    problems = [str(each) for each in _plugins.problems("napari_wsseg.cam")][-2:]
    assert problems[0].startswith("theirs: its CAM method 'cam' is left out")
    assert problems[1].startswith("others: its CAM method 'cam' is left out")
    assert all(f"because {OWN} has one of that name" in each for each in problems)


def test_one_package_cannot_register_a_name_twice() -> None:
    registry: Registry[int] = Registry("data set", "")
    registry.register("a")(1)
    with pytest.raises(ValueError, match="data set 'a' is registered twice"):
        registry.register("a")(2)
