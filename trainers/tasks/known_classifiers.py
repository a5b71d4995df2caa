"""Classifiers that other libraries know by name, or that a file gives away by its keys.

Weights are fetched by *their* library, on this machine, when its name is asked for:
licence and source are told before, the SHA-256 of what came is kept with the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import torch

from napari_wsseg.jobs import DataError, JobFailed, UsageError, one_line
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import pretrained

NOBODY = "-"
"""Written for an output that stands for nothing."""

LIBRARIES = ("torchxrayvision", "timm")

#: Means and deviations of colours, to the normalisation that has them.
_NORMALISATIONS = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "imagenet-rgb",
}

_XRAYVISION_OUTPUTS = 18
_SYNONYMS = (
    ("effusion", "pleural effusion"),
    ("edema", "pulmonary edema", "oedema", "pulmonary oedema"),
    ("hernia", "hiatal hernia"),
    ("lung opacity", "airspace opacity", "opacity"),
    ("lung lesion", "lesion"),
    ("fracture", "rib fracture"),
)
"""Names of one finding, folded."""


@dataclass(frozen=True, slots=True)
class KnownClassifier:
    """A classifier with all that is needed to use it as its makers do.

    Parameters
    ----------
    name
        A file's name, or ``library:name``.
    state
        Tensors by name.
    arch
        One of `napari_wsseg.nn.backbones.BACKBONES`.
    outputs
        What each output stands for, in order; ``-`` for nothing, empty if unknown.
    size
        Side of its input in pixels; ``None`` if unknown.
    normalisation
        One of `napari_wsseg.nn.normalise.KINDS`; ``None`` if unknown.
    operating_points
        By output, the probability from which its makers take it for present.
    origin
        Library, licence, source and SHA-256, for the run's records.
    """

    name: str
    state: Mapping[str, torch.Tensor]
    arch: str
    outputs: tuple[str, ...] = ()
    size: int | None = None
    normalisation: str | None = None
    operating_points: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)


def from_library(
    library: str, name: str, report: Callable[[str], object]
) -> KnownClassifier:
    """Return a classifier that a library knows by name, fetched by that library.

    Parameters
    ----------
    library, name
        What it is called on the command line, and the library's own name for the
        weights.
    report
        Gets licence and source before anything is fetched.

    Raises
    ------
    UsageError
        There is no such library or name, or it is of an architecture without maps.
    JobFailed
        The library is not installed, or could not fetch the weights.
    """
    if library == "torchxrayvision":
        return _torchxrayvision(name, report)
    if library == "timm":
        return _timm(name, report)
    raise UsageError(f"--from {library}: there are {', '.join(LIBRARIES)}, or a file")


def from_file(path: Path) -> KnownClassifier:
    """Return the classifier in a file; what its keys do not give away stays unknown.

    Raises
    ------
    DataError
        It is damaged, would run code, or is of no architecture that maps are read off.
    """
    state = pretrained.read(path)
    arch = _arch(state, path.name)
    origin = {"source": path.name, "sha256": _digest(path)}
    if not _is_xrayvision(state, arch):
        return KnownClassifier(path.name, state, arch, origin=origin)
    outputs = _default_outputs()
    points = state.get("op_threshs")
    return KnownClassifier(
        path.name,
        {key: value for key, value in state.items() if key != "op_threshs"},
        arch,
        outputs=outputs,
        size=224 if arch == "densenet121" else 512,
        normalisation="xrayvision",
        operating_points=_points(
            outputs, points.tolist() if points is not None else []
        ),
        origin={"library": "torchxrayvision", **origin},
    )


def matched(
    outputs: Sequence[str], findings: Sequence[str], named: Mapping[str, str]
) -> list[str]:
    """Return the outputs under the names that a project has for them.

    Parameters
    ----------
    outputs, findings
        The classifier's, in order; and the project's.
    named
        Output by finding, where a person says it.

    Raises
    ------
    DataError
        A finding is the name of no output, or of two; says what there is.
    UsageError
        `named` names a finding or an output that there is not.
    """
    for finding, output in named.items():
        if finding not in findings:
            raise UsageError(f"--map: {finding!r} is no finding of this project")
        if output not in outputs:
            raise UsageError(
                f"--map: {output!r} is none of the outputs: {', '.join(outputs)}"
            )
    chosen = {
        finding: named.get(finding) or _output(outputs, finding) for finding in findings
    }
    taken = [output for output in chosen.values() if output]
    twice = sorted({output for output in taken if taken.count(output) > 1})
    if twice:
        raise DataError(f"{', '.join(twice)} would stand for two findings; use --map")
    missing = [finding for finding, output in chosen.items() if not output]
    if missing:
        raise DataError(
            f"{', '.join(missing)}: none of the outputs is called so "
            f"({', '.join(one for one in outputs if one != NOBODY)}); say which stands "
            f"for it with --map '{missing[0]}=OUTPUT'"
        )
    finding_of = {output: finding for finding, output in chosen.items()}
    left = {one for one in outputs if one in findings} - set(finding_of)
    return [finding_of.get(one, NOBODY if one in left else one) for one in outputs]


def _output(outputs: Sequence[str], finding: str) -> str:
    """Return the one output that a finding's name means, or nothing."""
    folded = _folded(finding)
    alike = next((group for group in _SYNONYMS if folded in group), (folded,))
    for names in ((folded,), alike):
        found = [one for one in outputs if _folded(one) in names]
        if len(found) == 1:
            return found[0]
    return ""


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _torchxrayvision(name: str, report: Callable[[str], object]) -> KnownClassifier:
    models = _imported("torchxrayvision.models", "torchxrayvision")
    known = {key: facts for key, facts in models.model_urls.items() if "-res" in key}
    facts = models.model_urls.get(name)
    if facts is None:
        raise UsageError(
            f"torchxrayvision knows no {name!r}; it has: {', '.join(known)}"
        )
    licence = _licence("torchxrayvision")
    report(f"torchxrayvision {name}: licence {licence}; source {facts['weights_url']}")
    with _fetching("torchxrayvision", name, str(facts["weights_url"])):
        kind = models.ResNet if "resnet" in name else models.DenseNet
        model = kind(weights=name)
    state = {k: v for k, v in model.state_dict().items() if k != "op_threshs"}
    outputs = tuple(str(label) or NOBODY for label in model.targets)
    return KnownClassifier(
        f"torchxrayvision:{name}",
        state,
        "resnet50" if "resnet" in name else "densenet121",
        outputs=outputs,
        size=int(facts.get("input_resolution", 512 if "resnet" in name else 224)),
        normalisation="xrayvision",
        operating_points=_points(outputs, facts.get("op_threshs", [])),
        origin={
            "library": f"torchxrayvision {_version('torchxrayvision')}",
            "licence": licence,
            "source": str(facts["weights_url"]),
            "sha256": _digest(Path(model.weights_filename_local)),
        },
    )


def _timm(name: str, report: Callable[[str], object]) -> KnownClassifier:
    timm = _imported("timm", "timm")
    try:
        bare = timm.create_model(name, pretrained=False)
    except Exception as error:  # timm raises many kinds for a name that it has not
        raise UsageError(f"timm knows no {name!r} ({error})") from error
    cfg = bare.pretrained_cfg
    arch = str(cfg.get("architecture", name))
    if arch not in _backbones.BACKBONES:
        raise UsageError(
            f"timm's {arch} is none of the networks that maps are read off here: "
            f"{', '.join(_backbones.BACKBONES)}"
        )
    licence = str(cfg.get("license") or "unknown")
    source = str(cfg.get("hf_hub_id") or cfg.get("url") or "timm")
    report(f"timm {name}: licence {licence}; source {source}")
    with _fetching("timm", name, source):
        state = dict(timm.create_model(name, pretrained=True).state_dict())
    names = cfg.get("label_names") or ()
    mean, deviation = tuple(cfg["mean"]), tuple(cfg["std"])
    return KnownClassifier(
        f"timm:{name}",
        state,
        arch,
        outputs=tuple(map(str, names)),
        size=int(cfg["input_size"][1]),
        normalisation=_NORMALISATIONS.get((mean, deviation)),
        origin={
            "library": f"timm {_version('timm')}",
            "licence": licence,
            "source": source,
            "sha256": _digest_of_tensors(state),
        },
    )


def _imported(module: str, package: str) -> Any:
    # torchxrayvision silences all warnings of the process when it is imported.
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        try:
            return __import__(module, fromlist=["__name__"])
        except ImportError as error:
            raise JobFailed(
                f"{package} is not installed ({error}); pip install {package}"
            ) from error


@contextlib.contextmanager
def _fetching(library: str, name: str, source: str) -> Iterator[None]:
    """Run a library that prints, and fetches what it has not; tell of a failure."""
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # whatever a server, a cache or a pickle does
        raise JobFailed(
            f"{library} could not fetch or read {name} ({one_line(error)}); "
            "without a network, save the state dict where there is one and give --from "
            f"FILE; it is at {source}"
        ) from error


def _arch(state: pretrained.State, name: str) -> str:
    """Return the largest network that is whole in a file."""
    fitting: dict[str, int] = {}
    for arch in _backbones.BACKBONES:
        own = _shape(arch)
        try:
            found = pretrained.without_prefix(state, own)
        except DataError:
            continue
        first = next(iter(own))
        if all(
            key in found and (key == first or found[key].shape == value.shape)
            for key, value in own.items()
            if not key.endswith("num_batches_tracked")
        ):
            fitting[arch] = len(own)
    if not fitting:
        raise DataError(
            f"{name}: is of none of the networks that maps are read off here: "
            f"{', '.join(_backbones.BACKBONES)}; its first keys are "
            f"{', '.join(list(state)[:3])}"
        )
    return max(fitting, key=lambda arch: fitting[arch])


def _shape(arch: str) -> pretrained.State:
    """Return a network's tensors by name, without their numbers."""
    with torch.device("meta"):
        return _backbones.build(arch, in_channels=3).state_dict()


def _is_xrayvision(state: pretrained.State, arch: str) -> bool:
    """Whether a file is torchxrayvision's: grey, and with all of its outputs."""
    if arch not in ("densenet121", "resnet50"):
        return False
    own = _shape(arch)
    found = pretrained.without_prefix(state, own)
    first = found[next(iter(own))]
    heads = [v for k, v in found.items() if k in ("classifier.weight", "fc.weight")]
    return (
        first.shape[1] == 1
        and len(heads) == 1
        and heads[0].shape[0] == _XRAYVISION_OUTPUTS
    )


def _default_outputs() -> tuple[str, ...]:
    """Return torchxrayvision's own outputs, in its order."""
    return (
        *("Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema"),
        *("Emphysema", "Fibrosis", "Effusion", "Pneumonia", "Pleural_Thickening"),
        *("Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture"),
        *("Lung Opacity", "Enlarged Cardiomediastinum"),
    )


def _points(outputs: Sequence[str], points: Sequence[float]) -> dict[str, float]:
    if len(points) != len(outputs):
        return {}
    return {
        name: float(point)
        for name, point in zip(outputs, points, strict=True)
        if name != NOBODY and not math.isnan(point) and 0 < point < 1
    }


def _version(package: str) -> str:
    try:
        return str(metadata(package)["Version"])
    except PackageNotFoundError:
        return "unknown"


def _licence(package: str) -> str:
    """Return what a package says its licence is."""
    metadata_json = metadata(package).json
    kinds = [one for one in metadata_json.get("classifier", []) if "License" in one]
    last = kinds[0].rpartition(":: ")[2] if kinds else ""
    return str(
        metadata_json.get("license_expression")
        or last
        or metadata_json.get("license", "unknown")
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors by name: a library's cache hides its file."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].contiguous().numpy().tobytes())
    return digest.hexdigest()
