"""Commands and remarks that several of the papers' tables share."""

from __future__ import annotations

from benchmarks.papers.schema import Step

VOC = ("init", "{work}/project", "--images", "{data}", "--dataset", "voc")
COLOUR = {"normalisation": "imagenet-rgb", "channels": 3}
ONE_OF = {"exclusive": "yes"}
"""Objects in photographs exclude each other."""
NO_BACKGROUND = (
    "Ours is the mean over the 20 classes; the paper's mIoU has the background as a "
    "class of its own, which scores far above the others."
)
NO_TEST = "VOC has no public test films: thresholds are fixed, scores are val's."


def train(
    name: str,
    recipe: str,
    preset: str,
    project: str = "project",
    **settings: object,
) -> Step:
    arguments = ("train", recipe, "-p", f"{{work}}/{project}", "--preset", preset)
    return Step(name, arguments, settings)


def evaluate(name: str, split: str, project: str = "project") -> Step:
    return Step(name, ("evaluate", "-p", f"{{work}}/{project}", "--split", split))


def adopt(name: str, project: str = "project") -> Step:
    arguments = ("adopt", f"{{{name}.run}}", "-p", f"{{work}}/{project}")
    return Step(f"adopt-{name}", arguments)
