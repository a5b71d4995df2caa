"""From an archive to accepted masks back in it, on synthetic films, with the time.

    python -m benchmarks.archive_round_trip [--films 200] [--size 512] [--dimse]

starts an Orthanc with the settings of ``docs/orthanc.json`` on free ports of loopback,
with a store of its own that goes afterwards, and fills it with 12-bit DX films that the
phantom generator makes. Then, by command alone:

    wsseg init P --from-pacs … --query Modality=DX --films … --labels …
    wsseg import png … -p P --reader … --accept     the reader is simulated: true masks
    wsseg export dicom_sr -p P --to-pacs … --identity same-patient
    the same once more: nothing may be stored twice

and the archive is asked (QIDO-RS, WADO-RS) what it has now. A line of JSON at the end.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import wsseg
from napari_wsseg.phantom import dataset
from tests.helpers.archive import NAME, PASSWORD, Archive, running

READER = "simulated"


@dataclass
class Figures:
    """What a round trip did; seconds of the clock and of our processors, by step."""

    films: int
    accepted: int
    instances: int
    studies: int
    patients_a_study: int
    modalities: dict[str, int]
    stored_again: int
    bytes_fetched: int
    seconds: dict[str, float]
    processor: dict[str, float]


def main() -> None:
    """Go round once; print the archive's view and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument(
        "--size", type=int, default=512, help="side of a film in pixels"
    )
    parser.add_argument("--dimse", action="store_true", help="instead of DICOMweb")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as archive:
        found = go_round(
            archive,
            Path(folder),
            films=options.films,
            size=options.size,
            dimse=options.dimse,
        )
        print(table(archive))
    print(json.dumps(asdict(found)))


def go_round(
    archive: Archive, folder: Path, *, films: int, size: int, dimse: bool = False
) -> Figures:
    """Fill an archive that holds nothing, and go round once."""
    clock = Clock({}, {})
    with clock.timed("films made and stored"):
        made = dataset.write_dataset(folder / "made", n=films, size=size, form="dicom")
        _fill(archive, made)
    labels, masks = _by_uid(made, folder)
    url = archive.dimse if dimse else archive.web
    project = folder / "project"
    with clock.timed("init --from-pacs"):
        arguments = ["init", str(project), "--from-pacs", url, "--query", "Modality=DX"]
        arguments += ["--films", str(folder / "films"), "--labels", str(labels)]
        taken = _wsseg(folder, *arguments)
        assert taken["imported"] == films, taken
    with clock.timed("import --accept"):
        own = ["-p", str(project), "--reader", READER, "--accept"]
        _wsseg(folder, "import", "png", str(masks), *own)
    export = ["export", "dicom_sr", "-p", str(project), "--to-pacs", url]
    export += ["--identity", "same-patient"]
    with clock.timed("export --to-pacs"):
        first = Counter(one["status"] for one in _wsseg(folder, *export)["answers"])
    with clock.timed("the same again"):
        again = Counter(one["status"] for one in _wsseg(folder, *export)["answers"])
    view = [*_view(archive)]
    return Figures(
        films=films,
        accepted=len({path.stem for path in masks.rglob("*.png")}),
        instances=first["stored"],
        studies=len(view),
        patients_a_study=max(len(study["patients"]) for study in view),
        modalities=dict(
            sum((Counter(study["modalities"]) for study in view), Counter())
        ),
        stored_again=again["stored"],
        bytes_fetched=sum(path.stat().st_size for path in (folder / "films").iterdir()),
        seconds=clock.seconds,
        processor=clock.processor,
    )


def table(archive: Archive, most: int = 6) -> str:
    """Return the archive's own view of its first studies, as Markdown."""
    lines = ["| patient | study | DX | SEG | SR |", "|---" * 5 + "|"]
    for study in sorted(_view(archive), key=lambda each: each["patients"])[:most]:
        kinds = Counter(study["modalities"])
        cells = [", ".join(study["patients"]), f"…{study['uid'][-8:]}"]
        cells += [str(kinds[kind]) for kind in ("DX", "SEG", "SR")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _view(archive: Archive) -> Iterator[dict[str, Any]]:
    """Yield each study as the archive tells it: by QIDO-RS, then its metadata."""
    for study in archive.studies():
        uid = study["0020000D"]["Value"][0]
        instances = archive.metadata(uid)
        yield {
            "uid": uid,
            "patients": sorted({one["00100020"]["Value"][0] for one in instances}),
            "modalities": [one["00080060"]["Value"][0] for one in instances],
        }


def _fill(archive: Archive, made: Path) -> None:
    for path in sorted((made / "images").glob("*.dcm")):
        archive.store(path)


def _by_uid(made: Path, folder: Path) -> tuple[Path, Path]:
    """Write labels and true masks under the films' SOP Instance UIDs."""
    import pydicom

    uids = {
        path.name: str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in (made / "images").glob("*.dcm")
    }
    labels, masks = folder / "labels.csv", folder / "masks"
    with (made / "labels.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with labels.open("w", newline="") as file:
        lines = [[uids[Path(row[0]).name], *row[1:]] for row in rows]
        csv.writer(file).writerows([["SOPInstanceUID", *header[1:]], *lines])
    for name, uid in uids.items():
        for mask in (made / "masks").glob(f"*/{Path(name).stem}.png"):
            place = masks / mask.parent.name / f"{uid}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mask, place)
    return labels, masks


def _wsseg(folder: Path, *arguments: str) -> dict[str, Any]:
    who = {"WSSEG_PACS_USER": NAME, "WSSEG_PACS_PASSWORD": PASSWORD}
    return wsseg(*arguments, env={**who, "WSSEG_KEYS": str(folder / "keys")})


@dataclass
class Clock:
    """How long each step took, by the clock and on processors (ours and children's)."""

    seconds: dict[str, float]
    processor: dict[str, float]

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Time a step."""
        began, busy = time.monotonic(), _busy()
        yield
        self.seconds[step] = round(time.monotonic() - began, 1)
        self.processor[step] = round(_busy() - busy, 1)


def _busy() -> float:
    taken = os.times()
    return sum(taken[:4])


if __name__ == "__main__":
    main()
