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
from napari_wsseg.pipeline.inference import anatomy
from napari_wsseg.pipeline.inference.places import structures_of
from trainers.engine.recipe import InputConfig
from trainers.settings.post_processing import Exclusive, PostCrf, PostMinArea


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig(InputConfig):
    """Settings of a segmenter's network."""

    arch: Annotated[
        str,
        {
            "choices": [*segmenter.ARCHITECTURES, segmenter.ANATOMY],
            "basic": True,
            "label": "Network",
            "tooltip": "anatomy: the small network of the stage anatomy, which can "
            "start from what that knows of hearts and lungs; it has no encoder",
        },
    ] = "unet"
    encoder: Annotated[str, {"choices": list(segmenter.ENCODERS)}] = "resnet18"
    init: Annotated[
        str,
        {
            "choices": [
                *("classifier", "random", "imagenet", "moco", "file"),
                segmenter.ANATOMY,
            ],
            "label": "Start from",
            "tooltip": "classifier: the encoder starts as the project's classifier, "
            "where the two are the same network; moco: as what a run of the recipe "
            "moco made of films without labels; file: as somebody's weights; "
            "anatomy: all of a network anatomy as the stage of that name draws",
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
        if self.encoder_rate == 1:
            return {}
        part = "down" if self.arch == segmenter.ANATOMY else "encoder"
        return {f"net.{part}.": self.encoder_rate}


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
    if segmenter.ANATOMY in (config.arch, config.init):
        return _small(config, project, n_findings)
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


def _small(
    config: SegmenterConfig, project: Project, n_findings: int
) -> tuple[segmenter.Segmenter, str]:
    """Return the anatomy stage's network, started as that one draws or at random."""
    if config.arch != segmenter.ANATOMY:
        raise DataError(
            f"init=anatomy is for arch=anatomy, not for {config.arch}: set both"
        )
    if config.init not in (segmenter.ANATOMY, "classifier", "random"):
        raise DataError(
            f"arch=anatomy has no encoder that could start from {config.init}; take "
            "init=anatomy or init=random"
        )
    torch.manual_seed(config.seed)
    made = segmenter.build(
        config.arch, n_findings=n_findings, in_channels=config.channels
    )
    if config.init != segmenter.ANATOMY:
        return made, "random weights"
    network, header, run = anatomy.network_in_use(project)
    names = list(header["structures"])
    organs = structures_of(project)
    parts = [organs.get(finding.name, ()) for finding in project.findings]
    made.net.start_from(
        network.state_dict(),
        [names.index(part[-1]) if part else None for part in parts],
    )
    origin = f"the anatomy stage ({run})"
    if config.normalisation != header["normalisation"]:
        origin += f", which saw films normalised as {header['normalisation']}"
    return made, origin


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
            weights, origin, other = _of_run(config, project, run)
            if other:
                raise DataError(f"the encoder cannot start from {run}: {other}")
            return weights, origin
        case "classifier":
            run = config.init_from or classifier_run
            weights, origin, other = _of_run(config, project, run)
            if not other:
                return weights, origin
            if config.init_from:
                raise DataError(f"the encoder cannot start from {run}: {other}")
            return None, f"random weights: {other}"
        case _:
            return None, "random weights"


def _of_run(
    config: SegmenterConfig, project: Project, run: str
) -> tuple[dict[str, Any], str, str]:
    """Return a run's weights, what they are, and why they do not fit ("": they do)."""
    path = runs.find(project.folder, run).best
    if not path.is_file():
        return {}, "", f"the weights of {run} are not there"
    header, weights = checkpoints.read(path)
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
    origin = f"run {run}"
    if header["normalisation"] != config.normalisation:
        origin += (
            f", which saw films normalised as {header['normalisation']}, "
            f"not {config.normalisation}"
        )
    return weights, origin, ""


def _newest(project: Project, recipe: str) -> str:
    for info in runs.listing(project.folder):
        if info.recipe == recipe and info.state == "done":
            return info.id
    raise DataError(
        f"no run of {recipe} is done, from which the encoder could start; first run: "
        f"wsseg train {recipe} -p {project.folder}"
    )
