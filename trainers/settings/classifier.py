"""A classifier's settings, and the header that its weights carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from napari_wsseg.cam import methods
from napari_wsseg.jobs import UsageError
from napari_wsseg.nn import classifier
from trainers.settings.classifier_network import NetworkConfig, numbers
from trainers.settings.image_labels import ChooseBy, PositiveShare, UncertainOrClass
from trainers.settings.post_processing import Exclusive


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(NetworkConfig):
    """Settings of the classifier, of the maps read off it and of their CRF."""

    cam_stride: Annotated[
        int,
        {
            "choices": [8, 16, 32],
            "label": "Map stride",
            "tooltip": "The same weights, dilated further for finer maps",
        },
    ] = 16
    mixup: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.1,
            "label": "Mixup",
            "tooltip": "Blend films and their labels two by two; helps with few films",
        },
    ] = 0.0
    smoothing: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.4,
            "step": 0.01,
            "label": "Label smoothing",
            "tooltip": "How far labels are drawn towards one half",
        },
    ] = 0.0
    positive_share: PositiveShare = 0.5
    uncertain: UncertainOrClass = "ignore"
    choose_by: ChooseBy = "val_loss"
    cam: Annotated[str, {"choices": methods.names(), "label": "Map method"}] = (
        "grad-cam++"
    )
    cam_level: Annotated[
        int,
        {
            "choices": [3, 4, 5],
            "label": "Map level",
            "tooltip": "5: the last; earlier ones are finer, and want layer-cam",
        },
    ] = 5
    cam_scales: Annotated[
        str,
        {"tooltip": "Sides of the film that maps are summed over, e.g. 1,0.75,1.25"},
    ] = "1"
    cam_placement: Annotated[
        str,
        {
            "choices": ["looks", "grid"],
            "label": "Map cells drawn",
            "tooltip": "looks: where each cell of the network looks; grid: as if cells "
            "tiled the film, half a cell beside it, as published code has it",
        },
    ] = "looks"
    cam_cut: Annotated[
        str,
        {
            "choices": [
                "fixed",
                "otsu",
                "tuned",
                "tuned on train",
                "area",
                "agreement",
            ],
            "label": "Map threshold by",
            "tooltip": "fixed: the number below; otsu: film by film, by its own map; "
            "tuned: per finding, what fits the expert masks of the validation films; "
            "tuned on train: those of the training films, as CheXseg has it; without "
            "any mask: area: where masks cover the share of the film set below; "
            "agreement: where those of a film and of its mirror image agree best",
        },
    ] = "fixed"
    cam_area: Annotated[
        str,
        {
            "label": "Known area",
            "tooltip": "With the threshold by area: share of the film that a finding "
            "covers where it is there, e.g. 0.12, or by finding: Effusion=0.05,"
            "Nodule=0.005",
        },
    ] = ""
    cam_threshold: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.3
    cam_rule: Annotated[
        str,
        {
            "choices": ["threshold", "triplet"],
            "tooltip": "threshold: what is above it; triplet: the same, on films where "
            "a least area is above the top",
        },
    ] = "threshold"
    cam_top: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Rule triplet only: the height that a mask must reach",
        },
    ] = 0.75
    cam_min_area: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.5,
            "step": 0.001,
            "tooltip": "Least share of the film: above the top in the rule triplet, of "
            "a region in the rule threshold; 0: any",
        },
    ] = 0.0
    places: Annotated[
        bool,
        {
            "label": "Keep to places",
            "tooltip": "Dim maps where the finding cannot be, see [places] in "
            "wsseg.toml; seeds, walk and weak masks follow",
        },
    ] = False
    organ_cut: Annotated[
        bool,
        {
            "label": "Cut organs as anatomy has them",
            "tooltip": "Masks of cam, crf and irnet of a finding that is heart or "
            "mediastinum are cut where they meet the anatomy stage's on validation "
            "films best, whatever suits the lesions",
        },
    ] = False
    cam_fill_holes: Annotated[bool, {"tooltip": "Fill holes in masks from maps"}] = (
        False
    )
    seed_foreground: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of the peak above which heat is surely finding; with "
            "soft odds, probability behind the CRF",
        },
    ] = 0.3
    seed_background: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of the peak under which it is surely background; with "
            "soft odds, probability behind the CRF",
        },
    ] = 0.05
    crf_odds: Annotated[
        str,
        {
            "choices": ["hard", "soft"],
            "tooltip": "hard: two passes on masks held with certainty 0.7, as the "
            "papers have it; soft: one pass, as sure of a pixel as its heat is",
        },
    ] = "hard"
    crf_steepness: Annotated[
        float,
        {
            "min": 0.1,
            "max": 100.0,
            "step": 1.0,
            "tooltip": "Soft odds only: log-odds per unit of heat, 0 at the map's "
            "threshold",
        },
    ] = 5.0
    crf_backend: Annotated[str, {"choices": ["grid", "pydensecrf"]}] = "grid"
    exclusive: Exclusive = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.scales) <= 0:
            raise UsageError(f"cam_scales={self.cam_scales}; give numbers above 0")
        if self.cam_cut == "area" and not self.areas:
            raise UsageError(
                "cam_cut=area needs the share of the film that the finding covers: set "
                "cam_area=0.12, or cam_area=Effusion=0.05,Nodule=0.005"
            )
        if self.uncertain == "class" and (self.mixup or self.smoothing):
            raise UsageError(
                "uncertain=class has three answers, which mixup and smoothing do not "
                "blend; set both to 0, or take uncertain=ignore"
            )

    @property
    def areas(self) -> dict[str, float]:
        """Share of the film by finding; ``""`` stands for those that are not named."""
        found = {}
        for word in filter(None, map(str.strip, self.cam_area.split(","))):
            finding, _, share = word.rpartition("=")
            try:
                found[finding.strip()] = float(share)
            except ValueError as error:
                raise UsageError(
                    f"cam_area={self.cam_area}: {share!r} is not a number; give 0.12, "
                    "or Effusion=0.05,Nodule=0.005"
                ) from error
        if not all(0 < share < 1 for share in found.values()):
            raise UsageError(
                f"cam_area={self.cam_area}; a share of the film lies between 0 and 1"
            )
        return found

    @property
    def scales(self) -> tuple[float, ...]:
        """Sides of the film that maps are summed over."""
        return tuple(numbers("cam_scales", self.cam_scales, float))


def header(
    config: ClassifierConfig, model: classifier.Classifier, findings: Sequence[str]
) -> dict[str, Any]:
    """Return what a run's weights carry to be built, fed and read again.

    Parameters
    ----------
    config
        The run's settings.
    model
        The network that they made.
    findings
        Names, in the order of its outputs.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "network": {
            "kind": "classifier",
            **model.spec,
            # DropBlock is off when maps are made; the stride may be finer then.
            "output_stride": min(config.cam_stride, config.output_stride),
        },
        "findings": list(findings),
        **config.input_header(),
        "cam": {
            "method": config.cam,
            "level": config.cam_level,
            "scales": list(config.scales),
            "placement": config.cam_placement,
        },
        "crf": {
            "backend": config.crf_backend,
            "odds": config.crf_odds,
            "steepness": config.crf_steepness,
            "foreground": config.seed_foreground,
            "background": config.seed_background,
        },
        "cut": config.cam_cut,
        "areas": config.areas,
        "mask": {
            "rule": config.cam_rule,
            "top": config.cam_top,
            "min_area": config.cam_min_area,
            "fill_holes": config.cam_fill_holes,
        },
        "thresholds": {"cam": config.cam_threshold},
        "places": config.places,
        "organ_cut": config.organ_cut,
        "exclusive": config.exclusive,
    }
