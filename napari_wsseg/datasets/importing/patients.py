"""Which films of a folder are one patient's, so that no patient is learnt and tested.

Patient IDs and dates are read from DICOM headers, compared, and forgotten: no project,
table or log holds them. What a project keeps is which of its films are one patient's,
oldest first (`napari_wsseg.io.project_folder.follow_ups`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.io.film_identity import FilmOwner
from napari_wsseg.jobs import Progress
from napari_wsseg.schema import SPLITS, Split

_FEW = 3
"""Films that may share a patient even if there are hardly any others."""


@dataclass(frozen=True, slots=True)
class Patients:
    """What the headers of a folder tell.

    Parameters
    ----------
    personal
        Whether names of files are to be taken for those of persons.
    groups
        Films that are one patient's, by path; each film is in one of them.
    remarks
        What was odd about the patients.
    times
        By path: whose film it is, and when it was taken; of a person's films alone.
    """

    personal: bool
    groups: Sequence[tuple[str, ...]]
    remarks: tuple[str, ...] = field(default=())
    times: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def any_known(self) -> bool:
        """Whether any two films are known to be one patient's."""
        return any(len(group) > 1 for group in self.groups)

    def parted(self, splits: Mapping[str, Split]) -> int:
        """Count patients whose films lie in more than one split."""
        return sum(len({splits[p] for p in group}) > 1 for group in self.groups)


def read(images: Path, paths: Sequence[str]) -> Generator[Progress, None, Patients]:
    """Yield progress while headers are read; return who is who."""
    found: dict[str, FilmOwner] = {}
    owners = _guarded.owners([images / path for path in paths])
    for step, (path, owner) in enumerate(zip(paths, owners, strict=True), start=1):
        if owner is not None:
            found[path] = owner
            yield Progress(step, len(paths), "reading headers")
    named = any(not owner.nameless for owner in found.values())
    remarks, nobody = [], _nobody(found.values())
    if nobody:
        alike = sum(owner.patient == nobody for owner in found.values())
        remarks.append(
            f"{alike} of {len(found)} DICOM films have the same patient ID: taken for "
            "nobody's, and split by study; name splits in the labels if it is one's"
        )
    return Patients(
        named or any("^" in path for path in paths),
        _grouped(paths, found, nobody),
        tuple(remarks),
        {
            path: (owner.patient, owner.when)
            for path, owner in found.items()
            if owner.patient and owner.patient != nobody
        },
    )


def _nobody(owners: Iterable[FilmOwner]) -> str:
    """Return the ID that de-identification gave to everybody, if there is one.

    Most films have it, and they are of several studies.
    """
    owners = list(owners)
    counts = Counter(owner.patient for owner in owners if owner.patient)
    for patient, count in counts.most_common(1):
        studies = {owner.study for owner in owners if owner.patient == patient}
        if count > max(_FEW, len(owners) / 2) and len(studies) > 1:
            return patient
    return ""


def _grouped(
    paths: Sequence[str], found: Mapping[str, FilmOwner], nobody: str
) -> list[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in paths:
        owner = found.get(path, FilmOwner())
        if owner.patient and owner.patient != nobody:
            groups["patient", owner.patient].append(path)
        elif owner.study:
            groups["study", owner.study].append(path)
        else:
            groups["film", path].append(path)
    return [tuple(group) for group in groups.values()]


def empty_splits(patients: Patients, splits: Iterable[Split]) -> list[str]:
    """Say which splits too few patients have left empty."""
    present = set(splits)
    gaps = [split for split in SPLITS if split not in present]
    if not gaps or not patients.any_known:
        return []
    return [
        f"too few patients ({len(patients.groups)}) to give {' and '.join(gaps)} a "
        "film: name splits in the labels"
    ]
