"""Weights that go out: as they are, with a card that is honest, and as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_wsseg import jobs
from napari_wsseg.export import models, writing
from napari_wsseg.io import atomic, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError

SIZE = 64


def make_run(project: Project, learnt: list[dict[str, str]]) -> str:
    """Put a run with a small random segmenter into a project."""
    import torch

    from napari_wsseg.io import checkpoints
    from napari_wsseg.nn import segmenter

    torch.manual_seed(0)
    spec = {"arch": "unet", "encoder": "resnet18", "n_findings": 2, "in_channels": 1}
    network = segmenter.build(**spec)
    folder = runs.new(project.folder, "segmentation", {"p": 0.5})
    header = {
        "network": {"kind": "segmenter", **spec},
        "size": SIZE,
        "normalisation": "film",
        "findings": ["a", "b"],
    }
    checkpoints.write(folder.best, Checkpoint(header, network.state_dict(), {}))
    atomic.write_json(folder.path / "data.lock.json", learnt)
    return folder.id


def written(project: Project, name: str, out: Path, run: str) -> list[str]:
    summary = jobs.finish(writing.model_steps(project, name, out, run))
    return [path.name.removeprefix(run) for path in summary.files]


def test_weights_go_out_unchanged_with_card_and_data(
    spots_project: Project, tmp_path: Path
) -> None:
    run = make_run(spots_project, [])
    assert written(spots_project, "model", tmp_path, run) == [
        ".safetensors",
        ".md",
        ".data.json",
    ]
    weights = runs.find(spots_project.folder, run).best.read_bytes()
    assert (tmp_path / f"{run}.safetensors").read_bytes() == weights
    card = (tmp_path / f"{run}.md").read_text()
    for text in ("Research use only", "Known failures", "Intended use", "(p): 0.5"):
        assert text in card
    assert "Unevaluated" not in card


def test_a_run_that_has_learnt_every_expert_film_is_stamped(
    spots_project: Project, tmp_path: Path
) -> None:
    drawn = spots_project.annotated()
    run = make_run(
        spots_project, [{"case": case, "source": "expert"} for case in drawn]
    )
    steps = writing.model_steps(spots_project, "model", tmp_path, run, dry_run=True)
    assert "unevaluated" in jobs.finish(steps).warnings[0]
    assert not list(tmp_path.glob("*.md"))
    written(spots_project, "model", tmp_path, run)
    assert "**Unevaluated**" in (tmp_path / f"{run}.md").read_text()


def test_onnx_says_the_same_as_torch(spots_project: Project, tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    import torch

    from napari_wsseg.pipeline.inference import networks

    run = make_run(spots_project, [])
    written(spots_project, "onnx", tmp_path, run)
    session = ort.InferenceSession(str(tmp_path / f"{run}.onnx"))
    assert session.get_modelmeta().custom_metadata_map["wsseg"]
    network, _ = networks.load(spots_project.folder, run)
    films = np.random.default_rng(0).random((3, 1, SIZE, SIZE), np.float32)
    with torch.no_grad():
        masks, present = network(torch.from_numpy(films))
    score, there = session.run(None, {"images": films})
    np.testing.assert_allclose(score, masks.sigmoid().numpy(), atol=1e-4)
    np.testing.assert_allclose(there, present.sigmoid().numpy(), atol=1e-4)


@pytest.mark.parametrize("name", models.names())
def test_a_run_without_weights_is_refused(
    spots_project: Project, tmp_path: Path, name: str
) -> None:
    folder = runs.new(spots_project.folder, "segmentation", {})
    for run, message in ((folder.id, "no finished weights"), ("none", "no run")):
        with pytest.raises(DataError, match=message):
            written(spots_project, name, tmp_path / "out", run)
