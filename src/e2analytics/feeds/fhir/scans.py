"""FHIR bone densities: the BMD, T-score and Z-score of one scan become one row.

In    readings: Observations or components whose LOINC is in ``schemas/reference/dxa_codes.yaml``
Out   record ``DXA``: a row for every BMD, with the scores that belong to it, and for every score that
      belongs to none (its BMD is empty, and the rules reject it); record ``DXA score``: the reading that
      a score was taken from, so that no reading is without a row

A score belongs to the BMD of the same patient, day, site and side of the same file, else of the other files of
the drop. Where there are several, the same resource, time, device and status decide, in this order; where they do
not, the score belongs to none: which one is meant is unknown. A reading that is withdrawn joins nothing.

A scan is named by its BMD's own Observation id: ids that hold the patient's number are never made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from e2analytics import reference
from e2analytics.feeds.fhir.nodes import Node, child, children, text
from e2analytics.feeds.fhir.resources import (
    Directory,
    Resource,
    all_words,
    reference_id,
    token,
)

RECORD: Final = "DXA"
COLUMNS: Final = (
    "scan_id",
    "patient_id",
    "scanned_on",
    "site",
    "side",
    "vertebrae",
    "bmd_g_cm2",
    "t_score",
    "z_score",
    "scanner_id",
    "manufacturer",
    "status",
)
SCORE_RECORD: Final = "DXA score"
SCORE_COLUMNS: Final = ("scan_id", "patient_id", "scanned_on", "site", "side", "status")

_WITHDRAWN: Final = frozenset({"cancelled", "entered-in-error"})
_NUMBER = re.compile(r"[-+]?[0-9]{1,9}(?:\.[0-9]{1,30})?")
_VERTEBRAE = re.compile(r"\bL([1-5])(?:\s*(?:-|–|to)\s*L?([1-5]))\b", re.IGNORECASE)
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)

Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One BMD, T-score or Z-score.

    Attributes
    ----------
    column
        The column of a DXA row that it fills.
    row
        What the row of its scan says, itself included.
    resource
        Which file and which resource of it it stands in; the first is "" for the file that is read.
    scanned_at
        The time of the scan, as written.
    """

    column: str
    row: Row
    resource: tuple[str, int, str | None]
    scanned_at: str | None

    @property
    def scan(self) -> tuple[str | None, ...]:
        """Return what all readings of one scan share."""
        return tuple(self.row[name] for name in ("patient_id", "scanned_on", "site", "side"))


@cache
def _codes() -> dict[str, dict[str, Any]]:
    codes: dict[str, dict[str, Any]] = reference.load("dxa_codes")["codes"]
    return codes


def is_reading(loinc: str | None) -> bool:
    """Return whether a LOINC is that of a bone density or of a score of one."""
    return loinc in _codes()


def reading(
    resource: Resource,
    directory: Directory,
    node: Node,
    result: Row,
    value: str | None,
    unit: str | None,
) -> Reading:
    """Return the reading that an Observation, or one component of it, holds.

    Parameters
    ----------
    node
        The Observation or the component.
    result
        Its row, as if it were a laboratory result.
    """
    facts = _codes()[str(result["loinc"])]
    place = child(resource.body, "bodySite")
    words = " ".join([*all_words(child(node, "code")), *all_words(place)])
    side = _SIDE.search(words)
    device = child(resource.body, "device")
    machine = directory.resolve(resource, device)
    at = result["collected_at"]
    column = facts["quantity"]
    row: Row = {
        "scan_id": result["result_id"],
        "patient_id": result["patient_id"],
        "scanned_on": at and at[:10],
        "site": _site(facts["region"], words),
        "side": facts.get("side") or (side and side[1].lower()),
        "vertebrae": _vertebrae(words),
        "scanner_id": reference_id(device) or _own_number(machine) or text(device, "display"),
        "manufacturer": text(machine, "manufacturer"),
        "status": result["status"],
        column: _density(value, unit) if column == "bmd_g_cm2" else value,
    }
    return Reading(column, row, ("", resource.line, resource.id), at)


def _site(region: str, words: str) -> str:
    described = reference.load("dxa_codes")["regions"][region]
    for label in described["labels"]:
        if re.search(label["pattern"], words, re.IGNORECASE):
            return str(label["site"])
    return str(described["site"])


def _vertebrae(words: str) -> str | None:
    found = _VERTEBRAE.search(words)
    return f"L{found[1]}-L{found[2]}" if found else None


def _own_number(machine: Node) -> str | None:
    # A contained device has no id of its own; what is engraved on it is the same in every report.
    return text(machine, "serialNumber") or next(
        filter(None, map(token, children(machine, "identifier"))), None
    )


def _density(value: str | None, unit: str | None) -> str | None:
    """Return a BMD in g/cm2; in a unit that is none of BMD it stays unreadable, with the unit.

    >>> _density("734", "mg/cm2"), _density("0.734", "g/cm2"), _density("0.734", "g")
    ('0.734', '0.734', '0.734 g')
    """
    if value is None or unit is None:
        # Without a unit the rules' range decides: no density in mg/cm2 lies within it.
        return value
    written = unit.lower().replace(" ", "").replace("²", "2").replace("^", "")
    if written == "g/cm2":
        return value
    if written == "mg/cm2" and _NUMBER.fullmatch(value):
        return str(Decimal(value).scaleb(-3))
    return f"{value} {unit}"


def joined(
    readings: Iterable[tuple[Reading, int, int]], others: Iterable[Reading] = ()
) -> Iterator[tuple[str, Row, int, int]]:
    """Yield record, row, line and part of every reading, scores joined to their scans.

    Parameters
    ----------
    readings
        Each with its line and part.
    others
        Those of the other files of the drop, by the names of these files; none of them is yielded.
    """
    listed = list(readings)
    # In the order of the files, whichever of them is read: of two scores that differ the same one counts.
    ranked = sorted([*(each for each, _, _ in listed), *others], key=lambda each: each.resource[0])
    scans: dict[tuple[str | None, ...], list[Reading]] = {}
    for each in ranked:
        if each.column == "bmd_g_cm2" and not _withdrawn(each):
            scans.setdefault(each.scan, []).append(each)
    belongs = {id(each): _take(each, scans.get(each.scan, [])) for each in ranked}
    for each, line, part in listed:
        yield (SCORE_RECORD if belongs[id(each)] else RECORD), each.row, line, part


def _take(score: Reading, scans: list[Reading]) -> bool:
    """Write a score into the row of its scan; return whether it has one."""
    value = score.row[score.column]
    # Without a patient or a day any two readings would match.
    known = None not in score.scan[:2] and value is not None
    if score.column == "bmd_g_cm2" or not known or _withdrawn(score):
        return False
    meant = _the_one(score, scans)
    if not meant or any(scan.row.get(score.column, value) != value for scan in meant):
        return False
    for scan in meant:
        scan.row[score.column] = value
    return True


def _the_one(score: Reading, scans: list[Reading]) -> list[Reading]:
    """Return the scan that a score belongs to, as often as files hold it."""
    narrowing: tuple[Callable[[Reading], object], ...] = (
        lambda each: each.resource[0],
        lambda each: each.resource,
        lambda each: each.scanned_at,
        lambda each: each.row["scanner_id"],
        lambda each: each.row["status"],
    )
    for trait in narrowing:
        if len(scans) > 1:
            scans = [each for each in scans if trait(each) == trait(score)] or scans
    files = {each.resource[0] for each in scans}
    same = len({(each.row["scan_id"], each.row["bmd_g_cm2"]) for each in scans}) == 1
    return scans if len(scans) == 1 or (same and len(files) == len(scans)) else []


def _withdrawn(each: Reading) -> bool:
    return each.row["status"] in _WITHDRAWN
