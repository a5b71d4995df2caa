"""Settings that go together, by preset and recipe."""

from __future__ import annotations

from typing import Any

from trainers.settings.paper_presets import papers

Preset = dict[str, dict[str, Any]]

# Made for two processor cores and about a hundred films of which none may be wasted:
# small films, a start from synthetic ones, no mirroring (hearts have a side), LayerCAM
# one level before the last.
_FAST: Preset = {
    "classifier": {
        "arch": "resnet18",
        "size": 128,
        "output_stride": 32,
        "cam_stride": 32,
        "weights": "synthetic",
        "epochs": 16,
        "batch": 16,
        "learning_rate": 1e-4,
        "weight_decay": 0.05,
        "mixup": 0.5,
        "augment": 0.4,
        "tone": 1.5,
        "flip": False,
        "average": 0.98,
        "checks": 4,
        "choose_by": "last",
        "cam": "layer-cam",
        "cam_level": 4,
        "places": True,
        "cam_threshold": 0.35,
        # Maps kept to places are sure of the middle and unsure of the rim, which soft
        # odds leave to the film's edges. The cuts lie close together: far apart, three
        # films in four had no finding near background, and IRNet no boundary to learn.
        "crf_odds": "soft",
        "crf_steepness": 10.0,
        "seed_foreground": 0.6,
        "seed_background": 0.4,
    },
    "irnet": {
        "epochs": 8,
        "batch": 8,
        "learning_rate": 3e-3,
        "radius": 5,
        "augment": 0.4,
        "flip": False,
        "checks": 2,
        # A film of 128 px has a map of 32², on which 16 steps reach as far as the
        # papers' 256 on 128².
        "walk_radius": 3,
        "walk_beta": 10.0,
        "walk_steps": 8,
        "walk_threshold": 0.25,
    },
    "segmentation": {
        "size": 128,
        "epochs": 10,
        "batch": 8,
        "learning_rate": 5e-4,
        "augment": 0.6,
        "flip": False,
        "checks": 2,
        # Weak masks are wrong at their edges; more weight would only widen them.
        "positive_weight": 1.0,
        "absent_weight": 0.5,
        "places": True,
        "joint_gate": True,
    },
    "chexseg": {
        "size": 128,
        "epochs": 28,
        "batch": 8,
        "learning_rate": 1e-3,
        "augment": 1.2,
        "tone": 1.5,
        "flip": False,
        "checks": 5,
        # Dice already makes up for small masks, and the gate for absent findings.
        "positive_weight": 1.0,
        "absent_weight": 0.3,
        "places": True,
        "joint_gate": True,
    },
    "distillation": {
        "size": 128,
        "epochs": 28,
        "batch": 8,
        "learning_rate": 1e-3,
        "augment": 0.6,
        "flip": False,
        "checks": 4,
    },
    "moco": {
        "size": 128,
        "epochs": 30,
        "batch": 16,
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
        "augment": 1.5,
        "tone": 1.5,
        "flip": False,
        "checks": 4,
    },
    # A quarter of the paper's width. Its pairs of maps (form relu) are peaked, so
    # masks are cut low.
    "tied_deconv": {
        "size": 96,
        "width": 0.25,
        "first_network": "pooled",
        "epochs": 12,
        "baseline_epochs": 8,
        "stage_epochs": 6,
        "batch": 8,
        "optimiser": "adamw",
        "learning_rate": 1e-3,
        "baseline_rate": 1e-3,
        "stage_rate": 5e-4,
        "weight_decay": 0.05,
        "schedule": "one-cycle",
        "positive_share": 0.5,
        "augment": 0.4,
        "flip": False,
        "average": 0.95,
        "checks": 2,
        "choose_by": "last",
        "cam_threshold": 0.15,
        "seed_foreground": 0.2,
        "seed_background": 0.05,
    },
}

# For findings that are small and may lie anywhere. A start from synthetic films leaves
# the maps on hearts, whatever is asked for: so from random weights, with films mirrored
# and moved about, LayerCAM two levels before the last, cut low as in the papers. IRNet
# and the segmenter learn longer.
_FOCAL: Preset = {
    "classifier": {
        "weights": "",
        "learning_rate": 1e-3,
        "epochs": 30,
        "mixup": 0.0,
        "augment": 1.0,
        "flip": True,
        "cam_level": 3,
        "cam_threshold": 0.3,
        "crf_odds": "hard",
        "seed_foreground": 0.3,
        "seed_background": 0.1,
    },
    "irnet": {
        "epochs": 30,
        "flip": True,
        "walk_beta": 5.0,
        "walk_steps": 8,
        "walk_threshold": 0.7,
    },
    "segmentation": {"epochs": 25, "flip": True},
    "chexseg": {"flip": True},
    "distillation": {"flip": True},
    "moco": {"flip": True},
}

# What `wsseg run` does without a word: each finding is learnt from what suits it.
_AUTO: Preset = {
    "segmentation": {"labels": "auto", "with_anatomy": True},
    "chexseg": {"labels": "auto"},
}

# The same where a finding is a lesion, no organ grown too large: from random weights,
# on a finer map, as in `focal`.
LESIONS: Preset = {
    **_FOCAL,
    "classifier": {
        **_FOCAL["classifier"],
        "crf_odds": "soft",
        "crf_steepness": 6.0,
        "seed_foreground": 0.6,
        "seed_background": 0.4,
        # The cuts of lesions draw a heart beside them far too small.
        "organ_cut": True,
    },
    # A quarter of the time a batch of what the U-Net on ResNet-18 takes, so that it can
    # learn three times as many films with lesions planted into them.
    "segmentation": {
        **_FOCAL["segmentation"],
        "arch": "anatomy",
        "init": "anatomy",
        "epochs": 80,
        "learning_rate": 1e-3,
    },
}
"""What preset ``auto`` has otherwise in a project with such a finding."""

# A few expert masks teach the network that knows hearts already more than they teach
# one that has seen films alone. It draws them on every film; the gate says where they
# are a finding.
ORGANS: Preset = {
    "chexseg": {
        "arch": "anatomy",
        "init": "anatomy",
        "epochs": 12,
        "checks": 2,
        "average": 0.98,
        "absent_weight": 0.0,
        "places": False,
    },
}
"""What preset ``auto`` has otherwise where every finding is an organ too large."""

presets: dict[str, Preset] = {
    "auto": {name: {**how, **_AUTO.get(name, {})} for name, how in _FAST.items()},
    "fast": _FAST,
    "focal": {name: {**how, **_FOCAL.get(name, {})} for name, how in _FAST.items()},
    **papers,
}
