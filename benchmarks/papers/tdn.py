"""Tables of the tied deconvolution network (Kim 2016)."""

from __future__ import annotations

from benchmarks.papers.schema import Row, Step, Table
from benchmarks.papers.steps import (
    COLOUR,
    NO_BACKGROUND,
    NO_TEST,
    ONE_OF,
    VOC,
    train,
)

_TDN_WORDS = ("baseline", "stage 1", "stage 2", "stage 3")


def _tdn(split: str) -> Step:
    maps = tuple(f"tdn-{stage}" for stage in range(4))
    arguments = ("benchmarks.score_maps", "{work}/project", "--run", "{tdn.run}")
    return Step("maps", (*arguments, "--split", split, "--maps", *maps))


def tdn_3() -> Table:
    """TDN Table 3: tuberculosis lesions by stage (--data FOLDER)"""
    papers = (
        *(("0.197", "0.174"), ("0.210", "0.200")),
        *(("0.213", "0.215"), ("0.216", "0.246")),
    )
    arguments = ("init", "{work}/project", "--images", "{data}/images", "--labels")
    arguments = (*arguments, "{data}/labels.csv", "--masks", "{data}/masks")
    return Table(
        "TDN Table 3: lesions of tuberculosis, test",
        ("network", "paper, MC", "paper, Shenzhen"),
        ("IoU",),
        (
            Step("init", arguments),
            train("tdn", "tied_deconv", "tdn"),
            _tdn("test"),
        ),
        tuple(
            Row(
                (_TDN_WORDS[stage], *paper),
                (None,),
                (("maps", "stages", f"tdn-{stage}", "open_gates", "pos_iou"),),
            )
            for stage, paper in enumerate(papers)
        ),
        (
            "Neither masks of lesions nor the films that the paper learns from are "
            "public; the sets' own masks are of lungs. Give a folder that wsseg "
            "init reads: train films of your own, test films of one of the two.",
            "Gates are open, as the paper has none.",
        ),
    )


def tdn_4() -> Table:
    """TDN Table 4: VOC 2012 by stage (--data VOCdevkit/VOC2012)"""
    settings = {"arch": "vgg16", "weights": "imagenet", "first_network": "none"}
    more = {"layerwise": "no", "freeze_untied": "yes", "size": 224, "crop": 0.125}
    photographs = {**settings, **more, "epochs": 10, **COLOUR, **ONE_OF}
    papers = (27.3, 33.6, 33.4, 30.2)
    return Table(
        "TDN Table 4: PASCAL VOC 2012 val by stage",
        ("network",),
        ("mIoU",),
        (
            Step("init", VOC),
            train("tdn", "tied_deconv", "tdn", **photographs),
            _tdn("val"),
        ),
        tuple(
            Row(
                (_TDN_WORDS[stage],),
                (paper / 100,),
                (("maps", "stages", f"tdn-{stage}", "pooled_miou"),),
            )
            for stage, paper in enumerate(papers)
        ),
        (NO_BACKGROUND, NO_TEST),
    )
