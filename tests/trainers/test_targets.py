"""Masks that are learnt take little memory and come back as they were put."""

from __future__ import annotations

import numpy as np

from napari_wsseg.schema import IGNORE
from trainers.data.targets import Targets

SIZE = 36


def test_masks_come_back_as_they_were_put() -> None:
    rng = np.random.default_rng(0)
    masks = {
        (row, k): rng.random((SIZE, SIZE)) < (0.0, 0.5, 1.0)[(row + k) % 3]
        for row in (0, 3, 7, 40)
        for k in range(3)
        if (row, k) != (3, 1)
    }
    void = rng.random((SIZE, SIZE)) < 0.2
    targets = Targets(SIZE, 3)
    for (row, k), mask in masks.items():
        targets.put(row, k, ~mask)
        targets.put(row, k, mask)
    targets.put_void(7, void)
    found = targets.take([40, 3, 7, 5, 99]).numpy()
    for place, row in enumerate((40, 3, 7, 5, 99)):
        for k in range(3):
            wanted = np.full((SIZE, SIZE), IGNORE, np.uint8)
            if (row, k) in masks:
                wanted = masks[row, k].astype(np.uint8)
                wanted[void & (row == 7)] = IGNORE
            assert (found[place, k] == wanted).all(), (row, k)
    assert list(targets.pairs()) == sorted(masks)
    assert targets.rows() == {0, 3, 7, 40}
    drawn = {key for key, mask in masks.items() if mask.any()}
    assert targets.positive_rows() == {row for row, _ in drawn}
    shown = targets.shown()
    assert set(shown.pairs()) == drawn
    for row, k in drawn:
        assert (shown.take([row])[0, k] == targets.take([row])[0, k]).all()
    for k in range(3):
        assert targets.positive_rows(k) == {row for row, one in drawn if one == k}
        on = sum(int(mask.sum()) for (_, one), mask in masks.items() if one == k)
        count = sum(one == k for _, one in masks)
        weight = min(20.0, (count * SIZE**2 - on) / on)
        assert targets.positive_weights()[k] == weight


def test_targets_are_joined_and_parted() -> None:
    full, empty = np.ones((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    one, other = Targets(SIZE, 2), Targets(SIZE, 2)
    one.put(0, 0, full)
    other.put(0, 0, empty)
    other.put(9, 0, full)
    other.put(9, 1, full)
    kept = one.only({0, 1})
    kept.add(other, over=False)
    assert kept.positive_rows() == {0, 9}
    over = one.only({0})
    over.add(other, {0}, over=True)
    assert list(over.pairs()) == [(0, 0), (9, 0)]
    assert over.positive_rows() == {9}
    assert list(one.pairs()) == [(0, 0)], "they share nothing"


def test_two_smooth_masks_of_fourteen_findings_take_two_kib_a_film() -> None:
    size, count = 512, 40
    rows, columns = np.mgrid[:size, :size]
    blob = ((rows - 200) / 90) ** 2 + ((columns - 300) / 60) ** 2 < 1
    targets = Targets(size, 14)
    for row in range(count):
        for k in range(14):
            targets.put(row, k, blob if k < 2 else np.zeros_like(blob))
    assert sum(map(len, targets._masks.values())) < 2048 * count
