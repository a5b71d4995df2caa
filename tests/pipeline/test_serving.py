"""Networks that only answer give what they gave, without what they need not do."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, UsageError, finish
from napari_wsseg.nn import backbones, classifier, segmenter
from napari_wsseg.pipeline import infer as _infer
from napari_wsseg.pipeline.inference import organs, scorers, serving

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 64


def lived_in(model: nn.Module) -> nn.Module:
    """Give every norm figures of its own, as training would."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for figure in (layer.weight, layer.running_var):
                nn.init.uniform_(figure, 0.5, 1.5)
            for figure in (layer.bias, layer.running_mean):
                nn.init.normal_(figure, std=0.1)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


def each(name: str) -> Any:
    """Leave the large networks to the slow tests."""
    quick = {"resnet18", "efficientnet_lite0"}
    return name if name in quick else pytest.param(name, marks=pytest.mark.slow)


@torch.no_grad()
@pytest.mark.parametrize("arch", [each(name) for name in backbones.BACKBONES])
def test_a_prepared_classifier_gives_the_same_maps_and_logits(arch: str) -> None:
    model = lived_in(classifier.build(arch, 2))
    assert isinstance(model, classifier.Classifier)
    ready = serving.prepared(copy.deepcopy(model))
    assert isinstance(ready, classifier.Classifier)
    if not arch.startswith("efficientnet"):
        assert norms(ready) < norms(model)
    images = torch.randn(2, 1, SIDE, SIDE)
    for before, after in zip(model.stages(images), ready.stages(images), strict=True):
        peak = float(before.abs().max())
        torch.testing.assert_close(after, before, rtol=0, atol=1e-5 * peak)
    torch.testing.assert_close(ready(images), model(images), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("arch", [*segmenter.ARCHITECTURES, segmenter.ANATOMY])
@pytest.mark.parametrize(
    "encoder",
    [each(name) for name in ("resnet18", "densenet121", "se_resnext50_32x4d")],
)
def test_a_prepared_segmenter_gives_the_same_masks(arch: str, encoder: str) -> None:
    model = lived_in(segmenter.build(arch, encoder, 2))
    ready = serving.prepared(copy.deepcopy(model))
    assert norms(ready) < norms(model)
    images = torch.randn(2, 1, SIDE, SIDE)
    for before, after in zip(model(images), ready(images), strict=True):
        same = {"rtol": 0, "atol": 1e-5}
        torch.testing.assert_close(after.sigmoid(), before.sigmoid(), **same)


def test_only_neighbours_in_order_are_folded() -> None:
    class Crossed(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self[0](self[1](x)))

    model = lived_in(Crossed(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))
    assert norms(serving.prepared(model)) == 1


def test_no_random_number_is_drawn_for_weights_that_are_loaded(
    monkeypatch: pytest.MonkeyPatch, spots_project: Project
) -> None:
    run = make_run(spots_project.folder)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    network, _ = _infer._loaded(spots_project, run, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    _, weights = checkpoints.read(runs.find(spots_project.folder, run).best)
    assert torch.equal(network.get_parameter("linear.weight"), weights["linear.weight"])
    assert not network.training


def make_run(folder: Path, method: str = "cam", level: int | str = 5) -> str:
    """Leave a run of a classifier that has seen nothing."""
    model = lived_in(classifier.build("resnet18", 1, output_stride=16))
    assert isinstance(model, classifier.Classifier)
    nn.init.normal_(model.linear.weight)
    header: dict[str, Any] = {
        "network": {"kind": "classifier", **model.spec},
        "findings": ["spot"],
        "size": SIDE,
        "normalisation": "film",
        "cam": {"method": method, "level": level, "scales": [1.0, 0.5]},
        "crf": {"backend": "grid", "foreground": 0.3, "background": 0.05},
    }
    run = runs.new(folder, "classifier", {"cam": method, "cam_level": level})
    checkpoints.write(run.best, Checkpoint(header, model.state_dict(), {}))
    return run.id


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("cam", 5),
        ("grad-cam++", 4),
        ("grad-cam++ (wsmis)", 5),
        ("layer-cam", 4),
        ("layer-cam", "3+4+5"),
    ],
)
def test_a_stage_is_what_it_was_to_the_last_digit_that_is_kept(
    spots_project: Project,
    method: str,
    level: int | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(spots_project.folder, method, level)
    asked = []
    forward = classifier.Classifier.forward

    def counted(self: Any, x: torch.Tensor, **how: Any) -> Any:
        asked.append(len(x))
        return forward(self, x, **how)

    monkeypatch.setattr(classifier.Classifier, "forward", counted)
    made = maps(spots_project, run)
    assert not asked, "probabilities come from the looks that made the maps"
    # As it was: the network as it was built, asked again for its probabilities.
    monkeypatch.setattr(serving, "prepared", lambda network: network)
    present = scorers._present
    monkeypatch.setattr(scorers, "_present", lambda *given: present(*given[:-1], []))
    before = maps(spots_project, run)
    assert asked
    for one, other in zip(made, before, strict=True):
        # Maps are kept in half precision, whose last digit is 5e-4 near 1.
        assert np.abs(one.score.astype(float) - other.score.astype(float)).max() < 6e-4
        assert np.allclose(one.present, other.present, rtol=0, atol=1e-5)


def maps(project: Project, run: str) -> list[Any]:
    finish(_infer.infer(project, "cam", run, device="cpu", again=True))
    return [stages.read(project.folder, "cam", run, id_) for id_ in project.case_ids()]


@torch.no_grad()
def test_an_organ_is_looked_at_no_more_than_needed(
    spots_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lived_in(segmenter.build("unet", "resnet18", 1))
    images, case = torch.randn(1, 1, 128, 128), next(iter(spots_project.cases()))
    seen: list[int] = []
    model.register_forward_hook(lambda _m, given, _r: seen.append(given[0].shape[-1]))
    monkeypatch.setattr(organs, "structures_of", lambda _: {"spot": ("heart",)})
    how = {"flip": True, "run": "shipped"}
    found = organs.segmented(model, images, [case], spots_project, ["spot"], **how)
    assert sorted(seen) == [96, 128, 160]
    want = torch.zeros_like(images)
    for side in seen[:]:
        size = {"mode": "bilinear", "align_corners": False}
        small = side < 128
        look = nn.functional.interpolate(images, (side, side), antialias=small, **size)
        back = nn.functional.interpolate(model(look)[0].sigmoid(), (128, 128), **size)
        want += back / 3
    assert np.allclose(found, want.numpy(), rtol=0, atol=1e-5)


def test_bf16_is_refused_where_it_is_not_native_and_close_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = serving.prepared(lived_in(segmenter.build("unet", "resnet18", 2)))
    images = torch.randn(2, 1, SIDE, SIDE)
    with torch.inference_mode():
        wanted = model(images)[0].sigmoid()
        with serving.computing(model, "fp32"):
            assert torch.equal(model(images)[0].sigmoid(), wanted)
        with monkeypatch.context() as native:
            native.setattr(serving, "native_bf16", lambda device: True)
            with serving.computing(model, "bf16"):
                found = model(images)[0]
        assert found.dtype == torch.bfloat16
        assert 0 < float((found.float().sigmoid() - wanted).abs().max()) < 0.1
    monkeypatch.setattr(serving, "native_bf16", lambda device: False)
    with pytest.raises(UsageError, match="leave --precision at fp32"):
        serving.computing(model, "bf16")
