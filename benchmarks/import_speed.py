"""How fast `wsseg init` reads large DICOM films, and how much memory it holds.

    python benchmarks/import_speed.py --films 1000 --syntax native --folder /scratch

Films of 2500 × 3000 with 12 bits. A few are generated, the others differ from them in
some pixels (native) or in the window (JPEG 2000, whose pixels cannot be changed
cheaply), so that each is a film of its own and each is decoded in full. With
``--stop 0.3`` the import is interrupted there with Ctrl-C and given again.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

SHAPE = (3000, 2500)
DISTINCT = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--syntax", choices=("native", "jpeg2000"), default="native")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--stop", type=float, default=0.0)
    arguments = parser.parse_args()
    place = arguments.folder / f"import_speed_{arguments.syntax}"
    place.mkdir(parents=True)
    try:
        size = make(place / "images", arguments.films, arguments.syntax)
        (place / "masks" / "nodule").mkdir(parents=True)
        print(
            f"{arguments.films} films, {arguments.syntax}, {size / 2**20:.1f} MiB each"
        )
        if arguments.stop:
            measure(place, stop_at=int(arguments.stop * arguments.films))
            print("left behind:", sorted(p.name for p in place.iterdir()))
        measure(place)
    finally:
        shutil.rmtree(place)


def make(folder: Path, films: int, syntax: str) -> int:
    """Write the films; return the bytes of one."""
    folder.mkdir()
    kinds = [source(seed, syntax) for seed in range(DISTINCT)]
    for number in range(films):
        film = kinds[number % DISTINCT]
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        if syntax == "native":
            stamp = np.full(64, 1000 + number % 2000, "<u2").tobytes()
            film.PixelData = stamp + film.PixelData[len(stamp) :]
        else:
            film.WindowCenter = 1800 + number * 0.25
        path = folder / f"{number:05d}.dcm"
        pydicom.dcmwrite(path, film, enforce_file_format=True)
    return path.stat().st_size


def source(seed: int, syntax: str) -> Dataset:
    """Make a film of soft shapes and a detector's noise."""
    rows, columns = SHAPE
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    soft = np.sin(x / (300 + 20 * seed)) + np.cos(y / 250) + 2
    noise = np.random.default_rng(seed).normal(0, 8, SHAPE).astype(np.float32)
    pixels = np.clip(900 * soft + noise, 0, 4095).astype("<u2")
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    film.SOPInstanceUID = generate_uid()
    film.Modality, film.PhotometricInterpretation = "DX", "MONOCHROME1"
    film.Rows, film.Columns = SHAPE
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.WindowCenter, film.WindowWidth = 1800, 3000
    film.PixelData = pixels.tobytes()
    film["PixelData"].VR = "OW"
    if syntax == "jpeg2000":
        film.compress(JPEG2000Lossless)
    return film


def measure(place: Path, stop_at: int = 0) -> None:
    """Import, or stop part of the way; print films a second and memory over time."""
    argv = [sys.executable, "-m", "napari_wsseg.cli", "init", str(place / "project")]
    argv += ["--images", str(place / "images"), "--masks", str(place / "masks")]
    process = subprocess.Popen(
        [*argv, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    watched = psutil.Process(process.pid)
    start, done, memory, looked = time.monotonic(), 0, [], 0.0
    busy = used()
    for line in process.stdout:
        event = json.loads(line)
        if event.get("event") != "progress":
            print(f"  {event['imported']} imported, {len(event['rejected'])} rejected")
            continue
        done = event["step"]
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            memory.append(resident(watched) / 2**20)
        if done == stop_at:
            process.send_signal(signal.SIGINT)
            stop_at = 0
            asked = time.monotonic()
    process.wait()
    seconds, busy = time.monotonic() - start, used() - busy
    if process.returncode == 130:
        print(f"  stopped {time.monotonic() - asked:.1f} s after Ctrl-C")
    quarters = [f"{np.mean(q):.0f}" for q in np.array_split(memory, 4) if len(q)]
    print(
        f"  {done} films in {seconds:.0f} s: {done / seconds:.1f} a second; "
        f"{busy / done:.2f} s of processor a film; memory of all processes by quarter "
        f"{', '.join(quarters)} MiB, most {max(memory):.0f}"
    )


def used() -> float:
    """Return seconds of processor that all ended children and theirs have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def resident(process: psutil.Process) -> int:
    """Bytes of a process and of those that it started."""
    everyone = [process, *process.children(recursive=True)]
    total = 0
    for each in everyone:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
