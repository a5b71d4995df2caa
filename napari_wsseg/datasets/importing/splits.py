"""Train, val and test where the data set leaves it open: 70, 15 and 15 %."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from napari_wsseg.schema import Split

Labels: TypeAlias = Mapping[str, int | None]

# 14 of 20 for training; val and test are spread so that few films give some of each.
_PATTERN: tuple[Split, ...] = tuple(
    {"t": "train", "v": "val", "s": "test"}[letter]  # type: ignore[misc]
    for letter in "ttvtsttttvttstttvtst"
)


def assign(
    labels: Mapping[str, Labels], patients: Iterable[Sequence[str]] | None = None
) -> dict[str, Split]:
    """Return a split for each image, the same every time, stratified by labels.

    Patients with the same labels are shuffled by the hash of a path, and the row of
    all patients is dealt out in a fixed pattern, so that every split gets its share of
    every combination of findings. All images of a patient share a split.

    Parameters
    ----------
    labels
        Labels by image path.
    patients
        The images of each patient; by default, every image is another's.
    """
    groups = [sorted(group) for group in patients or ([image] for image in labels)]

    def place(group: list[str]) -> tuple[str, str]:
        together = _together([labels[image] for image in group])
        return repr(together), hashlib.sha256(group[0].encode()).hexdigest()

    return {
        image: _PATTERN[turn % len(_PATTERN)]
        for turn, group in enumerate(sorted(groups, key=place))
        for image in group
    }


def _together(labels: Sequence[Labels]) -> list[tuple[str, int | None]]:
    """Return a patient's labels: a finding that any image shows is there."""
    known: dict[str, int | None] = {}
    for finding, value in (item for own in labels for item in own.items()):
        before = known.get(finding)
        known[finding] = max(
            (v for v in (before, value) if v is not None), default=None
        )
    return sorted(known.items())


def held_out(groups: Iterable[str], share: float) -> set[str]:
    """Return `share` of the groups, at least one of two, the same every time.

    A group is a patient: films of one never lie on both sides.
    """
    order = sorted(
        set(groups), key=lambda group: hashlib.sha256(group.encode()).hexdigest()
    )
    count = max(1, round(share * len(order))) if len(order) > 1 else 0
    return set(order[:count])
