"""Tables of WSMIS (Viniavskyi 2020)."""

from __future__ import annotations

from benchmarks.papers.schema import Row, Step, Table
from benchmarks.papers.steps import (
    COLOUR,
    NO_BACKGROUND,
    NO_TEST,
    ONE_OF,
    VOC,
    adopt,
    evaluate,
    train,
)


def wsmis_1() -> Table:
    """WSMIS Table 1: DropBlock in a ResNet-50, VOC 2012 (--data VOCdevkit/VOC2012)"""
    steps, rows = [Step("init", VOC)], []
    for label, dropblock, paper in (
        ("ResNet50", 0.0, 88.08),
        ("ResNet50 with DropBlock", 0.2, 88.2),
    ):
        name = f"classifier-{dropblock}"
        steps += [
            train(
                *(name, "classifier", "wsmis"),
                **{"arch": "resnet50", "dropblock": dropblock, **COLOUR},
            ),
            adopt(name),
            evaluate(f"evaluate-{dropblock}", "val"),
        ]
        way = (f"evaluate-{dropblock}", "classifier", "f1")
        rows.append(Row((label,), (paper / 100,), (way,)))
    return Table(
        "WSMIS Table 1: influence of DropBlock on PASCAL VOC 2012, val",
        ("model",),
        ("multi-label F1",),
        tuple(steps),
        tuple(rows),
        (
            "Ours is the mean of the classes' F1, each at its own best cut on val; the "
            "paper does not say how it averages or cuts.",
        ),
    )


def wsmis_2() -> Table:
    """WSMIS Table 2: Grad-CAM, Grad-CAM++, VOC 2012 (--data VOCdevkit/VOC2012)"""
    maps = ("grad-cam@5", "grad-cam++@5")
    steps = [
        Step("init", VOC),
        train("classifier", "classifier", "wsmis", **COLOUR, **ONE_OF),
    ]
    steps += [
        Step(
            f"maps-{split}",
            (
                *("benchmarks.score_maps", "{work}/project"),
                *("--run", "{classifier.run}", "--split", split, "--maps", *maps),
            ),
        )
        for split in ("train", "val")
    ]
    rows = tuple(
        Row(
            ("VGG16", label),
            paper,
            tuple(
                (f"maps-{split}", "stages", name, "pooled_miou")
                for split in ("train", "val")
            ),
        )
        for label, name, paper in (
            ("Grad-CAM", maps[0], (0.4137, 0.3511)),
            ("Grad-CAM++", maps[1], (0.4176, 0.3941)),
        )
    )
    return Table(
        "WSMIS Table 2: ways to make maps, PASCAL VOC 2012",
        ("classifier", "maps"),
        ("mIoU train", "mIoU val"),
        tuple(steps),
        rows,
        (NO_BACKGROUND, NO_TEST),
    )


_STEPS = (("Step 1. CAM", "cam"), ("Step 2. IRNet", "irnet"))
_STEPS = (*_STEPS, ("Step 3. Segmentation", "segmentation"))


def wsmis_3() -> Table:
    """WSMIS Table 3: after each step, SIIM-ACR pneumothorax (--data siim)"""
    init = ("init", "{work}/project", "--images", "{data}", "--dataset", "siim")
    paper = {
        "cam": (0.117, 0.7633, 0.142, 0.7590),
        "irnet": (0.122, 0.7645, 0.154, 0.7607),
        "segmentation": (0.148, 0.7649, 0.162, 0.7677),
    }
    return Table(
        "WSMIS Table 3: SIIM-ACR pneumothorax after each step",
        ("step",),
        ("mIoU val pos.", "mIoU val all", "mIoU test pos.", "mIoU test all"),
        (
            Step("init", init),
            Step("run", ("run", "-p", "{work}/project", "--preset", "wsmis")),
            evaluate("val", "val"),
            evaluate("test", "test"),
        ),
        tuple(
            Row(
                (label,),
                paper[stage],
                tuple(
                    (split, "stages", stage, metric)
                    for split in ("val", "test")
                    for metric in ("pos_iou", "all_iou")
                ),
            )
            for label, stage in _STEPS
        ),
        (
            "The paper does not say which films were its val and test.",
            "Blank masks score the share of films without a pneumothorax in mIoU all.",
        ),
    )


def wsmis_4() -> Table:
    """WSMIS Table 4: after each step, VOC 2012 (--data VOCdevkit/VOC2012)"""
    settings = {
        f"{recipe}.{key}": value
        for recipe in ("classifier", "segmentation")
        for key, value in {**COLOUR, **ONE_OF}.items()
    }
    settings |= {"segmentation.loss": "softmax"}
    settings |= {"segmentation.arch": "deeplabv3plus"}
    settings |= {"segmentation.encoder": "resnet50"}
    paper = {"cam": 0.479, "irnet": 0.631, "segmentation": 0.646}
    return Table(
        "WSMIS Table 4: PASCAL VOC 2012 val after each step",
        ("step",),
        ("mIoU",),
        (
            Step("init", VOC),
            Step("run", ("run", "-p", "{work}/project", "--preset", "wsmis"), settings),
            evaluate("val", "val"),
        ),
        tuple(
            Row((label,), (paper[stage],), (("val", "stages", stage, "pooled_miou"),))
            for label, stage in _STEPS
        ),
        (NO_BACKGROUND, NO_TEST),
    )
