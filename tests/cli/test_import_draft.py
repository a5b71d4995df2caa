"""Another program's predictions come in as drafts, and never as an expert's masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.noise_project import FINDINGS, SHAPE, blob
from napari_wsseg import cli, pipeline
from napari_wsseg.export import importers, writing
from napari_wsseg.io import runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline.inference import external_drafts
from napari_wsseg.session import Session


def take(
    capsys: pytest.CaptureFixture[str], place: Path, *arguments: str
) -> dict[str, Any]:
    command = ["import", "draft", *arguments, "--name", "nnunet", "-p", str(place)]
    code = cli.main([*command, "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return json.loads(out.out.splitlines()[-1])


def shown(place: Path, run: str, film: str, cut: float = 0.5) -> dict[str, np.ndarray]:
    """Return what the run's drafts look like on a film, by finding."""
    with Project.open(place) as project:
        case = next(c for c in project.cases() if c.path == film)
        settings = stages.read_settings(place, "segmentation", run)
        maps = stages.read(place, "segmentation", run, case.id)
        assert settings is not None
        assert maps is not None
        masks = pipeline.stage_masks(maps, settings, case.shape)
        return dict(zip(settings.findings, masks, strict=True))


def test_masks_come_in_as_drafts_to_the_pixel(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = blob().astype(bool)
    for film in ("film0", "film1"):
        path = tmp_path / "masks" / "nodule" / f"{film}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    report = take(capsys, place, "png", str(tmp_path / "masks"))
    assert report["imported"] == 2
    assert report["findings"] == ["nodule"]
    assert report["without"] == ["film2.png", "film3.png"]
    np.testing.assert_array_equal(
        shown(place, report["run"], "film0.png")["nodule"], mask
    )
    with Project.open(place) as project:
        assert project.annotated() == {}, "nobody drew them"
        assert project.adopted("segmentation") == report["run"]
        assert runs.find(place, report["run"]).info().recipe == "nnunet"
        project.verify_audit()


@pytest.mark.parametrize("name", sorted({*importers.names()} - {"dicom_seg"}))
def test_every_format_of_masks_is_one_of_drafts(
    place: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = blob(size=20).astype(bool)
    with Project.open(place, write=True) as project:
        for case in project.cases():
            project.put_mask(case.id, "nodule", mask, reader="ann")
        try:
            writing.export(project, name, tmp_path / "out")
        except KeyError:
            pytest.skip("is only read")
        for case in project.cases():
            version = project.latest(case.id, "nodule")
            project.withdraw(version, actor="test", reason="test")
    report = take(capsys, place, name, str(tmp_path / "out"), "--finding", "nodule")
    assert report["imported"] == 4
    drawn = shown(place, report["run"], "film0.png")["nodule"]
    assert np.mean(drawn != mask) < 0.01, "polygons may lose a rim"
    with Project.open(place) as project:
        assert project.annotated() == {}


@pytest.mark.parametrize("kind", ["npz by name", "nnunet npz", "png", "nifti"])
def test_probabilities_stay_probabilities(
    place: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.tile(np.linspace(0, 1, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    out = tmp_path / "out"
    out.mkdir()
    arguments = [kind.split(" ", maxsplit=1)[0], str(out)]
    if kind == "npz by name":
        np.savez_compressed(out / "film0.npz", nodule=ramp)
    elif kind == "nnunet npz":
        arguments[0] = "npz"
        stack = np.stack([1 - ramp, ramp, ramp * 0])[:, None]
        np.savez_compressed(out / "film0.npz", probabilities=stack)
        arguments += ["--findings=-,nodule,effusion"]
    elif kind == "png":
        (out / "nodule").mkdir()
        Image.fromarray((ramp * 255).round().astype(np.uint8)).save(
            out / "nodule" / "film0.png"
        )
    else:
        import nibabel

        image = nibabel.Nifti1Image(ramp.T[..., None], None)
        (out / "nodule").mkdir()
        nibabel.save(image, out / "nodule" / "film0.nii.gz")
    report = take(capsys, place, *arguments)
    with Project.open(place) as project:
        case = project.cases()[0]
    maps = stages.read(place, "segmentation", report["run"], case.id)
    score = maps.score[report["findings"].index("nodule")]
    row = score[SHAPE[0] // 2]
    inside = row[(row > 0.1) & (row < 0.9)]
    assert len(inside) > SHAPE[1] // 2, "a cut would leave nothing between 0 and 1"
    np.testing.assert_allclose(np.diff(inside), np.diff(ramp[0])[0], atol=5e-3)


def test_predictions_of_another_size_are_laid_on_the_film(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = np.zeros((SHAPE[0] // 2, SHAPE[1] // 2), np.float32)
    half[:10, :10] = 1
    np.savez_compressed(tmp_path / "film0.npz", nodule=half)
    report = take(capsys, place, "npz", str(tmp_path / "film0.npz"))
    mask = shown(place, report["run"], "film0.png")["nodule"]
    assert mask[:19, :19].all()
    assert not mask[22:].any()
    assert "scaled" in report["warnings"][0]


def test_drafts_are_shown_picked_and_evaluated_like_ours(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for film in range(4):
        np.savez_compressed(
            tmp_path / f"film{film}.npz",
            **{name: blob().astype(np.float32) for name in FINDINGS},
        )
    report = take(capsys, place, "npz", str(tmp_path))
    session = Session(reader="ann")
    session.open_project(place)
    assert session.stages() == ("segmentation",)
    assert session.draft("segmentation", "nodule", SHAPE).sum() == blob().sum()
    session.looking.set_view("segmentation")
    session.decide("accept")
    session.close()
    with Project.open(place) as project:
        (case,) = project.annotated()
        version = project.latest(case, "nodule")
        assert (version.source_run, version.reader) == (report["run"], "ann")
    assert cli.main(["evaluate", "-p", str(place), "--split", "all", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["stages"]["segmentation"]["pos_iou"] == 1.0
    with Project.open(place, write=True) as project:
        project.adopt("segmentation", "another", actor="test")
    assert cli.main(["gc", "-p", str(place)]) == 0
    assert stages.cases_with_maps(place, "segmentation", report["run"]), (
        "nobody can make them again"
    )
    assert cli.main(["adopt", report["run"], "-p", str(place)]) == 0
    assert cli.main(["infer", "segmentation", "-p", str(place)]) == 3
    assert "no weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["npz", "FILE"], 2),
        (["npz", "FILE", "--name", "a/b"], 2),
        (["npz", "FILE", "--name", "segmentation"], 2),
        (["npz", "FILE", "--name", "x", "--reader", "ann"], 2),
        (["docx", "FILE", "--name", "x"], 2),
        (["npz", "--name", "x"], 2),
        (["npz", "FILE", "--name", "x"], 3),
        (["npz", "none.npz", "--name", "x"], 3),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    place: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logits = tmp_path / "film0.npz"
    np.savez(logits, nodule=np.linspace(-9, 9, 96 * 80).reshape(SHAPE))
    given = [str(logits) if word == "FILE" else word for word in arguments]
    assert cli.main(["import", "draft", *given, "-p", str(place)]) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert not list((place / "runs").glob("*")), "no run is left behind"


def test_arrays_that_would_run_code_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "film0.npz", nodule=np.array([{"a": 1}], dtype=object))
    arguments = ["import", "draft", "npz", str(tmp_path / "film0.npz"), "--name", "x"]
    assert cli.main([*arguments, "-p", str(place)]) == 3
    assert "npz" in capsys.readouterr().err


def test_formats_of_drafts_are_those_of_masks_and_npz() -> None:
    assert set(external_drafts.formats()) == {*importers.names(), "npz"}
