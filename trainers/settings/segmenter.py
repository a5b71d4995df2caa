"""A segmenter's network: its settings, and what its encoder starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.nn import pretrained, segmenter
from trainers.engine.recipe import InputConfig
from trainers.settings.post_processing import Exclusive, PostCrf, PostMinArea


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig(InputConfig):
    """Settings of a segmenter's network."""

    arch: Annotated[
        str,
        {"choices": list(segmenter.ARCHITECTURES), "basic": True, "label": "Network"},
    ] = "unet"
    encoder: Annotated[str, {"choices": list(segmenter.ENCODERS)}] = "resnet18"
    init: Annotated[
        str,
        {
            "choices": ["classifier", "random", "imagenet", "moco", "file"],
            "label": "Start from",
            "tooltip": "classifier: the encoder starts as the project's classifier, "
            "where the two are the same network; moco: as what a run of the recipe "
            "moco made of films without labels; file: as somebody's weights",
        },
    ] = "classifier"
    init_from: Annotated[
        str,
        {
            "label": "Start, exactly",
            "tooltip": "The run to start from, or the weights file (.safetensors, .pt, "
            ".pth, .tar); empty: the classifier in use, or the newest run of moco",
        },
    ] = ""
    encoder_rate: Annotated[
        float,
        {
            "min": 0.0,
            "max": 100.0,
            "step": 0.1,
            "tooltip": "How many times as fast the encoder learns; 0: not at all",
        },
    ] = 1.0
    classifier_run: Annotated[
        str,
        {"tooltip": "Classifier whose probability gates masks; empty: the one in use"},
    ] = ""
    post_crf: PostCrf = False
    post_min_area: PostMinArea = 0.0
    exclusive: Exclusive = False

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the segmenter."""
        return [
            segmenter.build(
                self.arch, self.encoder, n_findings, in_channels=self.channels
            )
        ]

    @property
    def rates(self) -> dict[str, float]:
        """Learning-rate factors by parameter name, see `trainers.engine.loop.Task`."""
        return {} if self.encoder_rate == 1 else {"net.encoder.": self.encoder_rate}


def network(
    config: SegmenterConfig, project: Project, n_findings: int, classifier_run: str
) -> tuple[segmenter.Segmenter, str]:
    """Build the segmenter, its encoder started as the config says.

    Parameters
    ----------
    config
        Settings of the network; `init` and `init_from` say what its encoder starts
        from.
    project
        Where runs to start from are.
    n_findings
        Its mask maps, 1 or more.
    classifier_run
        Run that ``init=classifier`` starts from where `init_from` is empty.

    Returns
    -------
    segmenter : Segmenter
    start : str
        What the encoder starts from, in words.

    Raises
    ------
    DataError
        If the run or the file named is not of this encoder, or there is none.
    """
    weights, start = _start(config, project, classifier_run)
    torch.manual_seed(config.seed)
    made = segmenter.build(
        config.arch,
        config.encoder,
        n_findings,
        in_channels=config.channels,
        weights=weights,
    )
    return made, start


def _start(
    config: SegmenterConfig, project: Project, classifier_run: str
) -> tuple[pretrained.Weights, str]:
    match config.init:
        case "imagenet":
            return "imagenet", "weights learnt from ImageNet"
        case "file":
            if not config.init_from:
                raise DataError("init=file needs the file: set init_from=FILE")
            path = Path(config.init_from).expanduser()
            return path, f"the file {path.name}"
        case "moco":
            run = config.init_from or _newest(project, "moco")
            weights, words, other = _of_run(config, project, run)
            if other:
                raise DataError(f"the encoder cannot start from {run}: {other}")
            return weights, words
        case "classifier":
            run = config.init_from or classifier_run
            weights, words, other = _of_run(config, project, run)
            if not other:
                return weights, words
            if config.init_from:
                raise DataError(f"the encoder cannot start from {run}: {other}")
            return None, f"random weights: {other}"
        case _:
            return None, "random weights"


def _of_run(
    config: SegmenterConfig, project: Project, run: str
) -> tuple[dict[str, Any], str, str]:
    """Return a run's weights, what they are, and why they do not fit ("": they do)."""
    header, weights = checkpoints.read(runs.find(project.folder, run).best)
    spec = header["network"]
    fits = (
        spec["kind"] in ("classifier", "encoder")
        and spec["arch"] == segmenter.BACKBONE_OF.get(config.encoder)
        and spec["in_channels"] == config.channels
    )
    if not fits:
        theirs = f"a {spec.get('arch', spec['kind'])} of {spec.get('in_channels', '?')}"
        return (
            {},
            "",
            (
                f"it is {theirs} channels, the encoder a {config.encoder} of "
                f"{config.channels}"
            ),
        )
    words = f"run {run}"
    if header["normalisation"] != config.normalisation:
        words += (
            f", which saw films normalised as {header['normalisation']}, "
            f"not {config.normalisation}"
        )
    return weights, words, ""


def _newest(project: Project, recipe: str) -> str:
    for info in runs.listing(project.folder):
        if info.recipe == recipe and info.state == "done":
            return info.id
    raise DataError(
        f"no run of {recipe} is done, from which the encoder could start; first run: "
        f"wsseg train {recipe} -p {project.folder}"
    )
