"""Lists of as many rows as films: read line by line, whoever wrote them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from napari_wsseg.io import atomic
from napari_wsseg.io.files import row_files
from napari_wsseg.jobs import DataError

ROWS = [{"case": f"c{n}", "labels": {"Ödem, rechts": n % 2}} for n in range(5)]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_come_back_and_any_program_reads_them(tmp_path: Path, count: int) -> None:
    path = tmp_path / "rows.json"
    row_files.write(path, ROWS[:count])
    assert list(row_files.read(path, {"case": str})) == ROWS[:count]
    assert json.loads(path.read_text()) == ROWS[:count]


def test_lists_of_before_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    atomic.write_json(path, ROWS)
    assert list(row_files.read(path, {"case": str})) == ROWS
    path.write_text(json.dumps(ROWS))
    assert list(row_files.read(path, {"case": str})) == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"case": "a"},\n', "ends in mid-list"),
        ('[\n{"case": "a"},\n{"case": 1}\n]\n', "line 3"),
        ('[\n{"case": "a"},\n{"case"\n]\n', "line 3"),
        ('[\n{"case": 1e999}\n]\n', "line 2"),
        ('{"case": "a"}', "damaged"),
        ("[", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
    ],
)
def test_a_damaged_list_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        list(row_files.read(path, {"case": str}))
    assert "rows.json" in str(caught.value)


def test_a_list_larger_than_any_other_file_is_read_in_little_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.json"
    row = json.dumps({"case": "c" * 200, "labels": {"a" * 700_000: 1}}).encode()
    with path.open("wb") as file:
        file.write(b"[\n" + b",\n".join([row] * 100) + b"\n]\n")
    assert path.stat().st_size > atomic.MAX_JSON_BYTES
    tracemalloc.start()
    try:
        assert sum(1 for _ in row_files.read(path, {"case": str})) == 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 2**20
