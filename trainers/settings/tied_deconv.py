"""Settings of the tied deconvolution network's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from torch import nn

from napari_wsseg.jobs import UsageError
from napari_wsseg.nn import tied_maps
from napari_wsseg.nn._tied_ops import NORMALISATIONS
from napari_wsseg.nn.tied_deconv import FINEST, TiedDeconv
from napari_wsseg.nn.tied_encoder import ARCHITECTURES, STRIDE, FirstClassifier
from trainers.engine.recipe import InputConfig
from trainers.settings.image_labels import ChooseBy, PositiveShare, Uncertain
from trainers.settings.post_processing import Exclusive


@dataclass(frozen=True, kw_only=True)
class TiedDeconvConfig(InputConfig):
    """Settings of every phase; the learning rates are the paper's (SGD, section 4.2).

    `epochs` and `learning_rate` are those of the classification network.
    """

    arch: Annotated[
        str,
        {
            "choices": list(ARCHITECTURES),
            "basic": True,
            "label": "Network",
            "tooltip": "table1: the paper's for chest films; vgg16: for photographs",
        },
    ] = "table1"
    stages: Annotated[
        int,
        {
            "choices": [0, 1, 2, 3],
            "basic": True,
            "label": "Stages",
            "tooltip": "How many layers are gone back through; each doubles how fine "
            "the maps are, and every stage's maps can be looked at",
        },
    ] = 3
    width: Annotated[
        float,
        {
            "min": 0.02,
            "max": 4.0,
            "step": 0.05,
            "label": "Width",
            "tooltip": "Factor on the number of filters; time grows with its square",
        },
    ] = 1.0
    baseline_epochs: Annotated[int, {"min": 1, "max": 1000}] = 50
    stage_epochs: Annotated[
        int, {"min": 1, "max": 1000, "tooltip": "Of each stage from 1 on"}
    ] = 10
    first_network: Annotated[
        str,
        {
            "choices": ["fully connected", "pooled", "none"],
            "label": "First learn",
            "tooltip": "Classification network that comes first: with two fully "
            "connected layers as in the paper, with a mean over the map (far fewer "
            "weights), or none",
        },
    ] = "fully connected"
    weights: Annotated[
        str,
        {
            "label": "Start from",
            "tooltip": "Empty: random weights; for vgg16 also imagenet, or a file",
        },
    ] = ""
    optimiser: Annotated[str, {"choices": ["adamw", "adam", "sgd", "radam"]}] = "sgd"
    learning_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 0.01
    baseline_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 0.002
    stage_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 0.001
    layerwise: Annotated[
        bool,
        {
            "tooltip": "Each stage goes on from the one before it; off: each from the "
            "baseline, as the paper does with photographs"
        },
    ] = True
    freeze_untied: Annotated[
        bool,
        {
            "label": "Freeze untied layers",
            "tooltip": "Layers that are not gone back through learn nothing after the "
            "first network, as the paper does with photographs",
        },
    ] = False
    s: Annotated[
        float,
        {
            "min": 0.1,
            "max": 100.0,
            "step": 0.5,
            "label": "Pooling s",
            "tooltip": "Small: a film is judged by its mean; large: by its plainest "
            "spot",
        },
    ] = 5.0
    normalise: Annotated[
        str,
        {
            "choices": list(NORMALISATIONS),
            "label": "Normalise by",
            "tooltip": "Bring each layer's maps to one scale together, or map by map",
        },
    ] = "layer"
    form: Annotated[
        str,
        {
            "choices": ["auto", *tied_maps.FORMS],
            "tooltip": "softmax: findings and background share each pixel; relu: two "
            "maps for each finding; auto: relu for one finding, softmax for several",
        },
    ] = "auto"
    crop: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.5,
            "step": 0.01,
            "label": "Random crop",
            "tooltip": "Films are this share of their side larger than the working "
            "size; training takes windows out of them, as large as they are; 0.06: "
            "320 px of 340",
        },
    ] = 0.0
    positive_share: PositiveShare = 0.0
    uncertain: Uncertain = "ignore"
    choose_by: ChooseBy = "val_loss"
    cam_cut: Annotated[
        str,
        {
            "choices": ["fixed", "otsu", "tuned", "tuned on train"],
            "label": "Map threshold by",
        },
    ] = "fixed"
    cam_threshold: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.5
    seed_foreground: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.5
    seed_background: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.2
    crf_backend: Annotated[str, {"choices": ["grid", "pydensecrf"]}] = "grid"
    exclusive: Exclusive = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % STRIDE:
            good = round(self.size / STRIDE) * STRIDE
            raise UsageError(
                f"size={self.size}, but this network halves films five times; "
                f"give a multiple of {STRIDE}, {good} for instance"
            )
        if self.weights and self.arch != "vgg16":
            raise UsageError(
                f"weights={self.weights} are of vgg16; set arch=vgg16, or leave "
                "weights empty"
            )

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the network at its last stage, and the one that is learnt before."""
        last = TiedDeconv(**self.spec(n_findings), stage=self.stages)
        if self.first_network == "none":
            return [last]
        first = FirstClassifier(
            self.arch,
            n_findings,
            size=self.size,
            in_channels=self.channels,
            width=self.width,
            fully_connected=self.first_network == "fully connected",
        )
        return [last, first]

    @property
    def side(self) -> int:
        """Side of the films that windows are taken from, and that maps are made of.

        Of whole cells of the finest map, so that a map ends where its film does.
        """
        if not self.crop:
            return self.size
        return max(self.size, round(self.size / (1 - self.crop) / FINEST) * FINEST)

    def spec(self, n_findings: int) -> dict[str, Any]:
        """Return the network's description but for its stage."""
        return {
            "arch": self.arch,
            "n_findings": n_findings,
            "form": tied_maps.form_for(n_findings)
            if self.form == "auto"
            else self.form,
            "s": self.s,
            "normalise": self.normalise,
            "in_channels": self.channels,
            "width": self.width,
        }

    def header(self, findings: tuple[str, ...], stage: int) -> dict[str, Any]:
        """Return what weights up to `stage` carry to be built, fed and read again."""
        return {
            "network": {
                "kind": "tied_deconv",
                **self.spec(len(findings)),
                "stages": stage,
            },
            "findings": list(findings),
            **self.input_header(),
            "size": self.side,
            "crf": {
                "backend": self.crf_backend,
                "foreground": self.seed_foreground,
                "background": self.seed_background,
            },
            "cut": self.cam_cut,
            "exclusive": self.exclusive,
            "thresholds": {"cam": self.cam_threshold},
        }
