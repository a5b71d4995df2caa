"""Settings of what is done to maps behind IRNet and behind a segmenter (WSMIS §3)."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

PostCrf: TypeAlias = Annotated[
    bool,
    {
        "label": "CRF behind it",
        "tooltip": "Draw this stage's masks to the edges of the film by a dense CRF; "
        "its threshold is then a probability behind the CRF",
    },
]
PostMinArea: TypeAlias = Annotated[
    float,
    {
        "min": 0.0,
        "max": 0.5,
        "step": 0.001,
        "label": "Least region",
        "tooltip": "Share of the film below which a region of this stage's masks is "
        "dropped; 0: none is",
    },
]
Exclusive: TypeAlias = Annotated[
    bool,
    {
        "label": "One finding a pixel",
        "tooltip": "Findings exclude each other, as objects in photographs do: the "
        "highest map takes the pixel, and one CRF is for all of them",
    },
]


def header(*, crf: bool, min_area: float, cut: float | None = None) -> dict[str, Any]:
    """Return what a run's header says of it.

    Parameters
    ----------
    crf, min_area
        Whether masks go through a CRF; and the smallest region that is kept, a share of
        the film.
    cut
        Where maps are cut before the CRF; ``None``: the CRF starts from the maps as
        probabilities.
    """
    return {"crf": crf, "min_area": min_area, "cut": cut}
