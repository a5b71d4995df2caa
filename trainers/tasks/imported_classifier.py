"""Somebody else's classifier becomes a run of the project, as if it had trained it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_wsseg.io import atomic, checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import Checkpoint, DataError, UsageError
from napari_wsseg.nn import external_classifier, pretrained
from napari_wsseg.nn.backbones import BACKBONES
from trainers.engine import model_card as _model_card
from trainers.engine.recipe import configure, recipes, settings_of
from trainers.settings import classifier as _classifier
from trainers.settings.classifier import ClassifierConfig
from trainers.tasks.known_classifiers import NOBODY, KnownClassifier


@dataclass(frozen=True, slots=True)
class ImportedClassifier:
    """What became of a weights file.

    Parameters
    ----------
    run
        Id of the run that holds it.
    unexpected
        Keys of the file that were not used.
    left_out
        Outputs that are no finding of the project.
    channels
        What the network takes.
    """

    run: str
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...]
    channels: int


def import_classifier(
    project: Project,
    file: Path,
    *,
    arch: str,
    outputs: Sequence[str],
    size: int,
    normalisation: str,
    channels: int | None = None,
    output_stride: int = 32,
) -> ImportedClassifier:
    """Make a run of the recipe classifier from a weights file.

    Parameters
    ----------
    project
        Whose run it becomes; open.
    file
        A state dict: .safetensors, or .pt or .pth without pickled code.
    arch
        One of `napari_wsseg.nn.backbones.BACKBONES`.
    outputs, channels
        As in `take_known`.
    size
        Side of the network's input in pixels.
    normalisation
        One of `napari_wsseg.nn.normalise.KINDS`: how its input was normalised.
    output_stride
        Input pixels per pixel of the last map: 8, 16 or 32.

    Raises
    ------
    UsageError, DataError
        As `take_known`.
    """
    known = KnownClassifier(
        file.name,
        pretrained.read(file) if arch in BACKBONES else {},
        arch,
        outputs=tuple(outputs),
        size=size,
        normalisation=normalisation,
        origin={"sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
    )
    return take_known(
        project, known, outputs, channels=channels, output_stride=output_stride
    )


def take_known(
    project: Project,
    known: KnownClassifier,
    outputs: Sequence[str],
    *,
    channels: int | None = None,
    output_stride: int = 32,
) -> ImportedClassifier:
    """Make a run of the recipe classifier from a classifier that is wholly known.

    Nothing is written unless everything fits.

    Parameters
    ----------
    project, known
        Folder of the project; and architecture, weights and input of the classifier.
    outputs
        What each output stands for, all of them in order, by the project's names.
    channels
        1 or 3; ``None`` for what the first filters take.
    output_stride
        Input pixels per cell of its last maps: 8, 16 or 32.

    Raises
    ------
    UsageError
        For an architecture or a setting that there is not.
    DataError
        If the file is damaged or would run code, is of another architecture, or its
        outputs are not those named, or a finding of the project is not among them.
    """
    arch = known.arch
    if arch not in BACKBONES:
        raise UsageError(f"no architecture {arch!r}; there are: {', '.join(BACKBONES)}")
    findings = [finding.name for finding in project.findings]
    weights = external_classifier.sort(known.state, arch)
    rows = _rows(outputs, len(weights.weight), findings)
    config = _config(
        arch=arch,
        size=known.size,
        normalisation=known.normalisation,
        channels=channels or weights.in_channels,
        output_stride=output_stride,
        cam_stride=output_stride,
        extra_convs="yes" if weights.extra else "no",
        # Nobody knows whether mirrored films were learnt from.
        flip=False,
    )
    model = external_classifier.build(
        weights,
        arch,
        rows,
        in_channels=config.channels,
        output_stride=config.output_stride,
    )
    folder = runs.new(
        project.folder,
        "classifier",
        settings_of(config),
        findings=tuple(findings),
        notes={"imported": _origin(known, outputs, weights)},
        facts=recipes["classifier"],
    )
    header = _classifier.header(config, model, findings)
    points = _operating_points(known, outputs, findings)
    if points:
        header["operating_points"] = points
    _keep(folder, Checkpoint(header, model.state_dict(), {}, best=True))
    left_out = [name for name in outputs if name not in findings and name != NOBODY]
    return ImportedClassifier(
        folder.id, weights.unexpected, tuple(left_out), config.channels
    )


def _config(**settings: Any) -> ClassifierConfig:
    config = configure("classifier", settings)
    if not isinstance(config, ClassifierConfig):
        raise TypeError(f"the recipe classifier has a {type(config).__name__}")
    return config


def _rows(outputs: Sequence[str], n: int, findings: Sequence[str]) -> list[int]:
    """Return, per finding of the project, the number of its output."""
    if len(outputs) != n:
        raise DataError(
            f"the file has {n} outputs, but {len(outputs)} are named "
            f"({', '.join(outputs)}); name all of them, in the file's order, with "
            f"{NOBODY} for one that is not wanted"
        )
    named = [name for name in outputs if name != NOBODY]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)} is named twice; name every output once")
    missing = [name for name in findings if name not in named]
    if missing:
        raise DataError(
            f"{', '.join(missing)} of this project is not among the outputs named "
            f"({', '.join(named)}); a classifier needs an output for every finding"
        )
    return [list(outputs).index(name) for name in findings]


def _operating_points(
    known: KnownClassifier, outputs: Sequence[str], findings: Sequence[str]
) -> dict[str, float]:
    """Return by finding from which probability its makers take it for present."""
    theirs = dict(zip(outputs, known.outputs, strict=True))
    found = {name: known.operating_points.get(theirs[name]) for name in findings}
    return {name: point for name, point in found.items() if point is not None}


def _origin(
    known: KnownClassifier, outputs: Sequence[str], weights: external_classifier.Weights
) -> dict[str, Any]:
    return {
        "file": known.name,
        **known.origin,
        "outputs": list(outputs),
        "unexpected": list(weights.unexpected),
    }


def _keep(folder: RunFolder, checkpoint: Checkpoint) -> None:
    began = time.monotonic()
    folder.begin()
    try:
        checkpoints.write(folder.best, checkpoint)
        atomic.write_json(folder.path / "data.lock.json", [])
        _model_card.write(folder, checkpoint)
    except BaseException as error:
        folder.end("failed", metrics={}, seconds=0.0, message=str(error))
        raise
    folder.end("done", metrics={}, seconds=time.monotonic() - began)
