"""The papers' settings, and those of their published code; made for GPUs.

A preset by a paper's name has what the paper says and, where it is silent, what its
code does, without the code's mistakes. Its "-compat" repeats those mistakes too, so
that numbers can be compared; maps are drawn as their code draws them, as if cells tiled
the film, although a ResNet's look half a cell further up and to the left.
"""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {"average": 0.0, "augment": 0.0, "tone": 0.0}

# No paper's segmenter learns whether a finding is there beside its mask.
_NO_HEAD: dict[str, Any] = {"present_weight": 0.0}

# IRNet of either paper looks at films with a ResNet-50 of its own.
_OWN_TRUNK: dict[str, Any] = {"trunk": "resnet50", "trunk_weights": "imagenet"}

# "After each step … CRF, thresholding, noise filtering (small regions)", WSMIS §3; how
# small it does not say. Its published code does none of it.
_POST: dict[str, Any] = {"post_crf": True, "post_min_area": 0.002}
_NO_POST: dict[str, Any] = {"post_crf": False, "post_min_area": 0.0}

# Published code stretches a map over the film, which puts a ResNet's half a cell off.
_AS_PUBLISHED: dict[str, Any] = {"cam_placement": "grid"}

# WSMIS sections 3 and 4.5, its code's learning rates, IRNet's seeds.
_WSMIS: dict[str, dict[str, Any]] = {
    "classifier": {
        "arch": "vgg16",
        "size": 512,
        "output_stride": 8,
        "cam_stride": 8,
        "weights": "imagenet",
        "normalisation": "imagenet",
        "channels": 3,
        "epochs": 50,
        "batch": 16,
        "optimiser": "adam",
        "learning_rate": 1e-4,
        "head_rate": 10.0,
        "bias_rate": 2.0,
        "weight_decay": 1e-5,
        "schedule": "step",
        "step_epochs": 5,
        "dropblock": 0.2,
        "positive_share": 0.5,
        "average": 0.0,
        "checks": 50,
        "choose_by": "val_loss",
        "cam": "grad-cam++",
        "cam_min_area": _POST["post_min_area"],
    },
    "irnet": {
        "epochs": 10,
        "batch": 24,
        "optimiser": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 1e-4,
        "schedule": "poly",
        "radius": 10,
        "positives_only": True,
        "displacement": True,
        "walk_threshold": 0.25,
        **_OWN_TRUNK,
        **_POST,
        **_PLAIN,
    },
    "segmentation": {
        "arch": "unet",
        "encoder": "se_resnext50_32x4d",
        "init": "imagenet",
        "size": 512,
        "normalisation": "imagenet",
        "channels": 3,
        "epochs": 40,
        "batch": 48,
        "optimiser": "sgd",
        "learning_rate": 6e-5,
        "momentum": 0.9,
        "weight_decay": 1e-6,
        "schedule": "poly",
        "average": 0.0,
        "loss": "bce",
        **_POST,
        **_NO_HEAD,
    },
}

# CheXseg section 4 and appendix A.
_CHEXSEG_MASKS: dict[str, Any] = {
    "arch": "deeplabv3plus",
    "encoder": "resnet18",
    "init": "imagenet",
    "size": 320,
    "normalisation": "imagenet",
    "channels": 3,
    "epochs": 20,
    "batch": 8,
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "flip": False,
    "loss": "dice",
    "labels": "cam",
    **_NO_HEAD,
    **_PLAIN,
}
_NOT_DISTILLED = {"loss", "labels", *_NO_HEAD}
_CHEXSEG: dict[str, dict[str, Any]] = {
    "classifier": {
        "arch": "densenet121",
        "size": 320,
        "output_stride": 32,
        "cam_stride": 32,
        "weights": "imagenet",
        "normalisation": "imagenet",
        "channels": 3,
        "epochs": 3,
        "check_every": 4800,
        "batch": 16,
        "optimiser": "adam",
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "schedule": "constant",
        "flip": False,
        "positive_share": 0.0,
        "choose_by": "val_auroc",
        "cam": "grad-cam",
        "cam_cut": "tuned on train",
        **_PLAIN,
    },
    "irnet": {
        "epochs": 3,
        "batch": 16,
        "optimiser": "sgd",
        # Appendix B.3; its code has 0.01.
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "poly",
        "radius": 10,
        "displacement": True,
        "walk_radius": 3,
        "walk_beta": 5.0,
        "walk_steps": 8,
        "walk_threshold": 0.6,
        **_OWN_TRUNK,
        **_PLAIN,
    },
    "segmentation": dict(_CHEXSEG_MASKS),
    "chexseg": {**_CHEXSEG_MASKS, "p": 0.9},
    "distillation": {
        **{k: v for k, v in _CHEXSEG_MASKS.items() if k not in _NOT_DISTILLED},
        "temperature": 10.0,
    },
}

# Ahn 2019's classifier and boundary network, as its code has them. SGD is given the
# weight decay where momentum belongs; batch norm here learns on, theirs is frozen.
_IRN: dict[str, dict[str, Any]] = {
    "classifier": {
        "arch": "resnet50",
        "size": 512,
        "output_stride": 16,
        "cam_stride": 16,
        "weights": "imagenet",
        "normalisation": "imagenet",
        "channels": 3,
        "epochs": 5,
        "batch": 16,
        "optimiser": "sgd",
        "learning_rate": 0.1,
        "head_rate": 10.0,
        "momentum": 1e-4,
        "weight_decay": 1e-4,
        "schedule": "poly",
        "positive_share": 0.0,
        "average": 0.0,
        "choose_by": "last",
        "cam": "cam",
        **_AS_PUBLISHED,
        "cam_scales": "1,0.5,1.5,2",
        "cam_threshold": 0.15,
        "exclusive": True,
    },
    "irnet": {
        **_WSMIS["irnet"],
        **_NO_POST,
        "epochs": 3,
        "batch": 32,
        "momentum": 1e-4,
        "positives_only": False,
        "augment": 1.0,
    },
}

# TDN section 4.2, tuberculosis: 320 px out of 340, mirrored, nothing else. The paper is
# silent on weight decay (none here), on which epoch is kept and on how features are
# normalised (see `nn._tied_ops.normalise`). For photographs it takes arch=vgg16,
# weights=imagenet, first_network=none, layerwise and freeze_untied the other way round.
_TDN: dict[str, dict[str, Any]] = {
    "tied_deconv": {
        **_PLAIN,
        "arch": "table1",
        "size": 320,
        "crop": 0.06,
        "flip": True,
        "epochs": 50,
        "baseline_epochs": 50,
        "stage_epochs": 10,
        "batch": 16,
        "optimiser": "sgd",
        "momentum": 0.9,
        "weight_decay": 0.0,
        "learning_rate": 0.01,
        "baseline_rate": 0.002,
        "stage_rate": 0.001,
        "schedule": "step",
        "step_epochs": 20,
        "step_factor": 0.5,
        "stages": 3,
        "s": 5.0,
        "normalise": "layer",
        "form": "auto",
        "checks": 10,
    },
}

papers: dict[str, dict[str, dict[str, Any]]] = {
    "wsmis": {**_WSMIS, "chexseg": _CHEXSEG["chexseg"]},
    "chexseg": _CHEXSEG,
    "tdn": _TDN,
    # DropBlock behind the first filter is where the code has it in a VGG, and its
    # threshold is a fifth of the map's range. The code's segmenter learns its encoder
    # at a tenth of the decoder's rate.
    "wsmis-compat": {
        "classifier": {
            **_WSMIS["classifier"],
            "augment": 0.0,
            "dropblock_compat": True,
            "dropblock_schedule": "ten-steps",
            "dropblock_levels": "0",
            **_AS_PUBLISHED,
            "cam": "grad-cam++ (wsmis)",
            "cam_threshold": 0.2,
            "cam_min_area": 0.0,
        },
        "irnet": {**_WSMIS["irnet"], **_NO_POST, "momentum": 1e-4},
        "segmentation": {
            **_WSMIS["segmentation"],
            **_NO_POST,
            "encoder": "resnet50",
            "size": 256,
            "batch": 64,
            "optimiser": "adam",
            "learning_rate": 1e-3,
            "encoder_rate": 0.1,
        },
    },
    # Otsu with holes filled, wider seeds, p in tenths.
    "chexseg-compat": {
        "classifier": {
            **_CHEXSEG["classifier"],
            "normalisation": "chexpert",
            **_AS_PUBLISHED,
            "cam_cut": "otsu",
            "cam_fill_holes": True,
            "seed_foreground": 0.25,
            "seed_background": 0.1,
        },
        "irnet": {**_CHEXSEG["irnet"], "learning_rate": 0.01},
        "segmentation": {**_CHEXSEG_MASKS, "learning_rate": 1e-4},
        "chexseg": {**_CHEXSEG["chexseg"], "learning_rate": 1e-4, "compat": True},
    },
    "irn-compat": _IRN,
}
