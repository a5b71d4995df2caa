"""Settings of every recipe that learns from image-level labels."""

from __future__ import annotations

from typing import Annotated, TypeAlias

PositiveShare: TypeAlias = Annotated[
    float,
    {
        "min": 0.0,
        "max": 1.0,
        "step": 0.05,
        "tooltip": "Share of films with any finding in each batch; 0: as they come",
    },
]
Uncertain: TypeAlias = Annotated[
    str,
    {
        "choices": ["ignore", "zeros", "ones"],
        "tooltip": "What a label of -1 is taken for",
    },
]
UncertainOrClass: TypeAlias = Annotated[
    str,
    {
        "choices": ["ignore", "zeros", "ones", "class"],
        "tooltip": "What a label of -1 is taken for; class: a third answer beside "
        "present and absent, which is learnt and then not asked for",
    },
]
ChooseBy: TypeAlias = Annotated[
    str, {"choices": ["val_auroc", "val_loss", "last"], "label": "Keep the best by"}
]
