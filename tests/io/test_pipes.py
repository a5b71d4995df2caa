"""A named pipe where a file is expected is refused, not waited for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
import sys
from pathlib import Path
from napari_wsseg.io.external import tables
from napari_wsseg.io.films import archive
from napari_wsseg.jobs import DataError

pipe = Path(sys.argv[1])
assert not archive.is_archive(pipe)
try:
    tables.rows(pipe)
except DataError as error:
    assert "pipe" in str(error), error
else:
    raise AssertionError("read")
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("name", ["labels.csv", "films.zip"])
def test_a_pipe_is_neither_table_nor_archive(tmp_path: Path, name: str) -> None:
    """A process of its own asks: waiting for a writer would never end."""
    os.mkfifo(tmp_path / name)
    subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / name)], check=True, timeout=60
    )
