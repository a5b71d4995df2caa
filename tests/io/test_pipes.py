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


WEIGHTS = """
import sys
from pathlib import Path
from napari_wsseg.export import dicom_seg
from napari_wsseg.export.exporting import npz_drafts
from napari_wsseg.jobs import DataError
from napari_wsseg.nn import pretrained

pipe = Path(sys.argv[1])
assert not dicom_seg.is_one(pipe)
for read in (pretrained.read, npz_drafts._loaded):
    try:
        read(pipe)
    except DataError as error:
        assert "file" in str(error), error
    else:
        raise AssertionError("read")
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("labels.csv", ASK),
        ("films.zip", ASK),
        ("w.safetensors", WEIGHTS),
        ("w.pt", WEIGHTS),
    ],
)
def test_a_pipe_is_nothing_that_is_read(tmp_path: Path, name: str, ask: str) -> None:
    """A process of its own asks: waiting for a writer would never end."""
    os.mkfifo(tmp_path / name)
    subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path / name)], check=True, timeout=60
    )
