"""Preset ``auto`` as it suits a project's findings: commands and window begin with it.

Which of the two a project takes is for `napari_wsseg.pipeline.inference.places.lesions`
to say, which the window can ask without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainers.settings.presets import LESIONS, ORGANS, Preset, presets


@dataclass(frozen=True, slots=True)
class Suited:
    """Settings of preset ``auto``, and why a project has them.

    Parameters
    ----------
    settings
        By recipe.
    note
        One sentence; ``{findings}`` stands for those that are no organs.
    """

    settings: Preset
    note: str


def _over_auto(changes: Preset) -> Preset:
    names = {**presets["auto"], **changes}
    return {
        name: {**presets["auto"].get(name, {}), **changes.get(name, {})}
        for name in names
    }


SUITED: Mapping[str, Suited] = {
    "lesions": Suited(
        _over_auto(LESIONS),
        "{findings} may lie anywhere and be small, so the classifier starts from "
        "random weights and is read on a finer map (as in focal)",
    ),
    "organs": Suited(
        _over_auto(ORGANS),
        "every finding is an organ grown too large, so the classifier starts from "
        "synthetic films (as in fast)",
    ),
}
"""For projects with a finding that is no organ, and for those with none."""


def suited(lesions: Sequence[str]) -> Suited:
    """Return what preset ``auto`` is where these findings are no organs."""
    return SUITED["lesions" if lesions else "organs"]
