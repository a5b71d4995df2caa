"""Threads that work alone, and give torch its cores back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_wsseg.ops import _threads


@pytest.fixture(autouse=True)
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_inside_torch_works_alone_and_afterwards_has_its_cores_back() -> None:
    assert _threads.each(lambda _: torch.get_num_threads(), range(5)) == [1] * 5
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2


def test_results_keep_their_order() -> None:
    assert _threads.each(lambda k: k * k, range(20)) == [k * k for k in range(20)]


def test_a_failure_inside_is_raised_and_gives_the_cores_back() -> None:
    with pytest.raises(ZeroDivisionError):
        _threads.each(lambda k: 1 // k, [1, 0])
    assert torch.get_num_threads() == 2


def test_a_thread_born_inside_still_knows_the_number_of_cores() -> None:
    def ask() -> tuple[int, list[int]]:
        with ThreadPoolExecutor(1) as newborn:
            known = newborn.submit(_threads.cores).result()
            nested = newborn.submit(_threads.each, int, [3]).result()
        return known, nested

    assert _threads.alone(ask) == (2, [3])
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 2
