"""The tables by name; where a row cannot be made as it was, its notes say so."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.papers.chexseg import chexseg_1, chexseg_2, chexseg_3, chexseg_4
from benchmarks.papers.schema import Table
from benchmarks.papers.tdn import tdn_3, tdn_4
from benchmarks.papers.wsmis import wsmis_1, wsmis_2, wsmis_3, wsmis_4

tables: dict[str, Callable[[], Table]] = {
    "wsmis-1": wsmis_1,
    "wsmis-2": wsmis_2,
    "wsmis-3": wsmis_3,
    "wsmis-4": wsmis_4,
    "chexseg-1": chexseg_1,
    "chexseg-2": chexseg_2,
    "chexseg-3": chexseg_3,
    "chexseg-4": chexseg_4,
    "tdn-3": tdn_3,
    "tdn-4": tdn_4,
}
