"""Train, val and test where the data set leaves it open: 70, 15 and 15 %."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from napari_wsseg.schema import Split

# 14 of 20 for training; val and test are spread so that few films give some of each.
_PATTERN: tuple[Split, ...] = tuple(
    {"t": "train", "v": "val", "s": "test"}[letter]  # type: ignore[misc]
    for letter in "ttvtsttttvttstttvtst"
)


def assign(labels: Mapping[str, Mapping[str, int | None]]) -> dict[str, Split]:
    """Return a split for each image, the same every time, stratified by labels.

    Images with the same labels are shuffled by the hash of their path, and the row of
    all images is dealt out in a fixed pattern, so that every split gets its share of
    every combination of findings.

    Parameters
    ----------
    labels
        Labels by image path.
    """

    def place(image: str) -> tuple[str, str]:
        signature = repr(sorted(labels[image].items()))
        return signature, hashlib.sha256(image.encode()).hexdigest()

    order = sorted(labels, key=place)
    return {image: _PATTERN[turn % len(_PATTERN)] for turn, image in enumerate(order)}


def held_out(groups: Iterable[str], share: float) -> set[str]:
    """Return `share` of the groups, at least one of two, the same every time.

    A group is a patient: films of one never lie on both sides.
    """
    order = sorted(
        set(groups), key=lambda group: hashlib.sha256(group.encode()).hexdigest()
    )
    count = max(1, round(share * len(order))) if len(order) > 1 else 0
    return set(order[:count])
