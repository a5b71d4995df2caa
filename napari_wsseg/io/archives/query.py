"""Which films are asked for: ``Modality=DX,CR;StudyDate=20260101-``."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from napari_wsseg.jobs import UsageError

_STUDY = frozenset(
    (
        *("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy"),
        *("ReferringPhysicianName", "PatientName", "PatientID", "PatientSex"),
        *("PatientBirthDate", "StudyInstanceUID", "StudyID", "StudyDescription"),
    )
)
_INSTANCE = frozenset(("SOPInstanceUID", "SOPClassUID", "InstanceNumber"))
"""Keys by what they are asked of (PS3.18 10.6.1.1); all others are asked of series."""

_WORTH_A_LOOK = frozenset(("BodyPartExamined", "Modality", "StudyDate", "PatientID"))


@dataclass(frozen=True, slots=True)
class Query:
    """Values that an attribute may have, by its DICOM keyword.

    A value may be a range of dates (``20260101-``) or have ``*`` and ``?`` in it.
    """

    terms: Mapping[str, tuple[str, ...]]

    def of_studies(self) -> Iterator[dict[str, str]]:
        """Yield what studies are asked for, one question a combination of values."""
        terms = {key: self.terms[key] for key in self.terms if key in _STUDY}
        if "Modality" in self.terms and "ModalitiesInStudy" not in terms:
            terms["ModalitiesInStudy"] = self.terms["Modality"]
        yield from _combined(terms)

    def of_series(self) -> Iterator[dict[str, str]]:
        """Yield what series of a study are asked for."""
        return _combined(
            {k: v for k, v in self.terms.items() if k not in _STUDY | _INSTANCE}
        )

    def of_instances(self) -> Iterator[dict[str, str]]:
        """Yield what instances of a series are asked for."""
        return _combined({k: v for k, v in self.terms.items() if k in _INSTANCE})

    def contradiction(self, header: Any) -> str:
        """Return what a header says that was not asked for; empty if nothing.

        Archives may leave out keys that they do not know, and send more than was asked.
        An attribute that a header lacks contradicts nothing.
        """
        for key, values in self.terms.items():
            if key == "ModalitiesInStudy" or not str(header.get(key) or "").strip():
                continue
            found = str(header.get(key)).strip()
            if not any(_fits(found, value) for value in values):
                return f"its {key} is {found if key in _WORTH_A_LOOK else 'another'}"
        return ""


def parse(text: str) -> Query:
    """Return the query that a text means.

    Raises
    ------
    UsageError
        A part is no ``Keyword=value``, or no keyword of the DICOM dictionary.
    """
    terms: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, values = (each.strip() for each in part.partition("="))
        known = tuple(filter(None, (value.strip() for value in values.split(","))))
        if not equals or not known:
            raise UsageError(
                f"--query: {part!r} is not Keyword=value; an example is "
                "Modality=DX,CR;StudyDate=20260101-"
            )
        _check(key)
        if key in terms:
            raise UsageError(
                f"--query: {key} is there twice; write {key}=a,b for either"
            )
        if key.endswith("Date"):
            _check_dates(key, known)
        terms[key] = known
    if not terms:
        raise UsageError("--query: nothing is asked for; an example is Modality=DX,CR")
    return Query(terms)


def _check(key: str) -> None:
    from pydicom.datadict import keyword_dict

    if key in keyword_dict:
        return
    near = difflib.get_close_matches(key, keyword_dict, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"--query: {key!r} is no DICOM keyword{hint}")


def _check_dates(key: str, values: tuple[str, ...]) -> None:
    for value in values:
        if not re.fullmatch(r"\d{8}|\d{8}-|-\d{8}|\d{8}-\d{8}", value):
            raise UsageError(
                f"--query: {key}={value}: write 20260131, 20260101-, -20260131 or "
                "20260101-20260131"
            )


def _combined(terms: Mapping[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    for values in itertools.product(*terms.values()):
        yield dict(zip(terms, values, strict=True))


def _fits(found: str, value: str) -> bool:
    first, dash, last = value.partition("-")
    if dash and (first or last) and all(p.isdigit() for p in (first, last) if p):
        return (not first or first <= found) and (not last or found <= last)
    return fnmatch.fnmatchcase(found.casefold(), value.casefold())
