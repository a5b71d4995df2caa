"""Another installed package, made for a test: modules, metadata, entry points."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CAM = '''
from napari_wsseg.cam import _explainable, methods


@methods.register("mean-map", title="Mean map")
def mean_map(classifier, images, findings=None):
    """Take the mean over all channels, the same for every finding."""
    maps = _explainable.features(classifier, images)
    heat = maps.clamp(min=0).mean(1, keepdim=True)
    wanted = classifier.head(maps).shape[1] if findings is None else len(findings)
    return heat.expand(-1, wanted, -1, -1)
'''

DATASET = '''
from napari_wsseg.datasets import datasets, folder


@datasets.register("flat")
def steps(project, *, images, labels=None, masks=None, loud: bool = False):
    """Make a project of films that lie in one folder."""
    report = yield from folder.steps(project, images=images, labels=labels, masks=masks)
    return report
'''

EXPORT = '''
"""A list of film names, one a line."""

from napari_wsseg.export import File, Note, formats, importers


@formats.register("names")
def write(chosen):
    films = []
    for case, _ in chosen.each():
        yield case
        films.append(case.path)
    yield Note("lost", "the masks")
    yield File("names.txt", lambda: "\\n".join(films).encode())


@importers.register("no-masks")
def read(path):
    yield Note("skipped", f"{path}: holds no masks")
'''

RECIPE = '''
from dataclasses import dataclass

from trainers.classifier import classifier
from trainers.engine.recipe import recipe
from trainers.settings.classifier import ClassifierConfig


@dataclass(frozen=True, kw_only=True)
class QuickConfig(ClassifierConfig):
    """A classifier's settings, so few and small that it is done at once."""

    size: int = 64
    epochs: int = 1
    batch: int = 4
    checks: int = 1
    device: str = "cpu"


@recipe(
    "quick-look",
    config=QuickConfig,
    stages=("cam", "crf"),
    summary="Learn next to nothing, at once",
    title="Quick look",
    order=15,
    judged_by="val_auroc",
)
def quick_look(context, config):
    """Train as a classifier is trained."""
    yield from classifier(context, config)
'''

GROUPS = {
    "napari_wsseg.cam": CAM,
    "napari_wsseg.recipes": RECIPE,
    "napari_wsseg.datasets": DATASET,
    "napari_wsseg.exports": EXPORT,
}


def install(site: Path, name: str, groups: Mapping[str, str]) -> Path:
    """Write a package with one module a group into `site`, as pip would.

    Parameters
    ----------
    groups
        Entry-point group to the source of the module that it names.

    Returns
    -------
    site
        To be put on the path.
    """
    package = site / name
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    lines = []
    for number, (group, source) in enumerate(groups.items()):
        (package / f"part{number}.py").write_text(source, "utf-8")
        lines.append(f"[{group}]\npart{number} = {name}.part{number}\n")
    info = site / f"{name}-1.2.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
    (info / "METADATA").write_text(head, "utf-8")
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    return site
