"""Pharmacy messages of HL7 version 2: orders (RDE), dispensings (RDS) and doses that were given (RAS).

In    the parsed segments of a message
Out   a row of record ``RX`` for every RXE of an RDE, RXD of an RDS and RXA of an RAS

Fields are those of HL7 v2.5.1, chapters 4.5.1 (ORC), 4.5.4 (TQ1), 4.14.4 (RXE), 4.14.5 (RXD) and 4.14.7 (RXA). How
often a dose is taken is left to the words of the sig: the instructions, else amount, unit and repeat pattern.

An order that is discontinued or replaced ends on the day of its message; where that message does not say when the
order began, it has no start, and the rules list it. HL7 has no days' supply: the dose of a dispensing is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from e2analytics.feeds.hl7v2.segments import Parsed
from e2analytics.feeds.hl7v2.values import iso, zone_of

RECORD: Final = "RX"
COLUMNS: Final = (
    "order_id",  # RDE: ORC-2, else ORC-3, RXE-15; RDS: RXD-7 with RXD-1; RAS: the order with RXA-3
    "drug",  # RXE-2, RXD-2 or RXA-5: its text, else its code
    "rxnorm",
    "dose_mg",  # RXE-3 or RXA-6 in mg; none of a range (RXE-4)
    "sig",
    "strength",  # RXE-25 and RXE-26, RXD-16 and RXD-17
    "started_on",  # TQ1-7, else RXE-1.4, ORC-15, ORC-9; RXD-3; RXA-3
    "stopped_on",  # TQ1-8, else RXE-1.5, else by the duration of TQ1-6 or RXE-1.3
    "days_supply",
    "control",  # ORC-1, HL7 table 0119
    "completion",  # RXA-20, HL7 table 0322
)
KINDS: Final = {"RDE": "RXE", "RDS": "RXD", "RAS": "RXA"}
"""The segment of each message that is a row."""

_UNKNOWN: Final = "unknown"
_RXNORM: Final = frozenset({"RXNORM", "RXN", "RXCUI"})
_ENDS: Final = frozenset({"DC", "OD", "DR", "RP", "RU", "RQ"})
_HOLDS: Final = frozenset({"HD", "OH", "HR"})
_DAYS: Final = {"D": 1, "W": 7}
_PLAIN: Final = re.compile(
    r"(?i)(?:QD|BID|TID|QID|QOD|QHS|QAM|QPM|BIW|TIW|QW|Q[0-9]{1,3}[HDW])(?: and Q[AP]M)*"
)
_FOR_EVER: Final = frozenset({"INDEF", "X"})

Texts = dict[str, str | None]


@dataclass
class _Prescription:
    """An ORC and what belongs to it."""

    orc: Parsed | None = None
    rxe: Parsed | None = None
    timings: list[Parsed] = field(default_factory=list)

    def text(self, number: int, component: int = 1) -> str | None:
        """Return a field of the ORC."""
        return self.orc.text(number, component) if self.orc else None

    @property
    def number(self) -> str | None:
        """The placer's number with its authority, else the filler's."""
        for place in (2, 3):
            if number := self.text(place):
                return "^".join(filter(None, (number, self.text(place, 2))))
        return None


def rows_of(segments: list[Parsed]) -> Iterator[tuple[Parsed, Texts, Parsed | None]]:
    """Yield segment, columns and PID of every order, dispensing or given dose of a message."""
    msh, wanted = segments[0], KINDS[str(segments[0].text(9, 1))]
    zone = zone_of(msh.text(7, 1))
    pid: Parsed | None = None
    orders: list[tuple[_Prescription, list[Parsed], Parsed | None]] = []
    for segment in segments:
        match segment.name:
            case "PID":
                pid = segment
            case "ORC":
                orders.append((_Prescription(segment), [], pid))
            case "TQ1" if orders:
                orders[-1][0].timings.append(segment)
            case "RXE" | "RXD" | "RXA":
                if not orders:
                    orders.append((_Prescription(), [], pid))
                if segment.name == "RXE":
                    orders[-1][0].rxe = segment
                if segment.name == wanted:
                    orders[-1][1].append(segment)
    readers = {"RXE": _ordered, "RXD": _dispensed, "RXA": _given}
    for order, found, whose in orders:
        for segment in found:
            row = readers[wanted](msh, order, segment, zone)
            yield segment, {**dict.fromkeys(COLUMNS), "control": order.text(1), **row}, whose


def _ordered(msh: Parsed, order: _Prescription, rxe: Parsed, zone: str | None) -> Texts:
    return {
        "order_id": order.number or rxe.text(15, 1),
        **_drug(rxe, 2),
        "dose_mg": _in_mg(rxe, 3, 5) if rxe.text(4) in (None, rxe.text(3)) else None,
        "sig": _sig(order, rxe),
        "strength": _joined(rxe.text(25), rxe.text(26, 1)),
        **_period(msh, order, rxe, zone),
    }


def _dispensed(_msh: Parsed, order: _Prescription, rxd: Parsed, zone: str | None) -> Texts:
    dispensed_at = iso(rxd.text(3, 1), zone)
    number = rxd.text(7) or order.number
    return {
        "order_id": number and "-".join(filter(None, (number, rxd.text(1), dispensed_at))),
        **_drug(rxd, 2),
        "sig": _sig(order, order.rxe) if order.rxe else None,
        "strength": _joined(rxd.text(16), rxd.text(17, 1)),
        "started_on": dispensed_at,
        "days_supply": _UNKNOWN,
    }


def _given(_msh: Parsed, order: _Prescription, rxa: Parsed, zone: str | None) -> Texts:
    started_on = iso(rxa.text(3, 1), zone)
    last = iso(rxa.text(4, 1), zone) or started_on
    return {
        "order_id": order.number
        and "-".join(filter(None, (order.number, rxa.text(2), started_on))),
        **_drug(rxa, 5),
        "dose_mg": _in_mg(rxa, 6, 7),
        "sig": "(one dose only)",
        "started_on": started_on,
        "stopped_on": _days_after(last, 1),
        "completion": rxa.text(20),
    }


def _drug(segment: Parsed, place: int) -> Texts:
    parts = [segment.text(place, component) for component in range(1, 7)]
    codes = {(parts[2] or "").upper(): parts[0], (parts[5] or "").upper(): parts[3]}
    return {
        "drug": parts[1] or parts[4] or parts[0],
        "rxnorm": next((code for system, code in codes.items() if system in _RXNORM), None),
    }


def _in_mg(segment: Parsed, amount: int, unit: int) -> str | None:
    units = {(segment.text(unit, component) or "").lower() for component in (1, 2)}
    return segment.text(amount) if units & {"mg", "milligram", "milligrams"} else None


def _sig(order: _Prescription, rxe: Parsed) -> str | None:
    written = [
        rxe.text(7, 2, repetition=each) or rxe.text(7, 1, repetition=each)
        for each in rxe.repetitions(7)
    ]
    patterns = [_repeats(each) for each in order.timings] or [rxe.text(1, 2, 1)]
    said = [each.text(11) for each in order.timings] or [rxe.text(1, 8)]
    worded = list(dict.fromkeys(filter(None, [*written, *said])))
    # Beside words, a pattern that everybody writes must agree with them; another one may be a code of anything.
    plain = [each for each in patterns[:1] if worded and each and _PLAIN.fullmatch(each)]
    instructions = "; ".join([*worded, *plain])
    coded = _joined(rxe.text(3), rxe.text(5, 2) or rxe.text(5, 1), patterns[0])
    priorities = [each.text(9, 1) for each in order.timings] or [rxe.text(1, 6)]
    limits = [
        "as needed" if "PRN" in priorities else None,
        "up to a maximum" if rxe.text(4) not in (None, rxe.text(3)) else None,
        "alternating" if len(set(patterns)) > 1 else None,
        "hold" if order.text(1) in _HOLDS else None,
    ]
    return _joined(instructions or coded, *(f"({each})" for each in limits if each))


def _repeats(timing: Parsed) -> str | None:
    """Return how often a dose is taken: all repetitions of TQ1-3, "QAM and QPM"."""
    patterns = (timing.text(3, 1, repetition=each) for each in timing.repetitions(3))
    return _joined(*patterns, between=" and ")


def _period(msh: Parsed, order: _Prescription, rxe: Parsed, zone: str | None) -> Texts:
    first = order.timings[0] if order.timings else None
    started = (first and first.text(7, 1)) or rxe.text(1, 4)
    ended = (order.timings[-1].text(8, 1) if order.timings else None) or rxe.text(1, 5)
    said_at = order.text(15) or order.text(9)
    if order.text(1) in _ENDS:
        ended = said_at or msh.text(7, 1)
    else:
        started = started or said_at
    lasts = (
        _joined(first.text(6, 2, 1) or "D" * bool(first.text(6, 1)), first.text(6, 1), between="")
        if first
        else None
    ) or rxe.text(1, 3)
    started_on = iso(started, zone)
    return {
        "started_on": started_on,
        "stopped_on": iso(ended, zone) or _after(started_on, lasts),
    }


def _after(started_on: str | None, lasts: str | None) -> str | None:
    """Return when a duration such as D10 or W2 ends; an unknown day where it is none of days or weeks."""
    if lasts is None or lasts.upper() in _FOR_EVER:
        return None
    length = re.fullmatch(r"([DW])([0-9]{1,4})", lasts.upper())
    if length is None:
        return _UNKNOWN
    return _days_after(started_on, _DAYS[length[1]] * int(length[2]))


def _days_after(day: str | None, days: int) -> str | None:
    try:
        after = date.fromisoformat((day or "")[:10]) + timedelta(days=days)
    except (ValueError, OverflowError):
        return _UNKNOWN
    return f"{after}{(day or '')[10:]}"


def _joined(*parts: str | None, between: str = " ") -> str | None:
    return between.join(filter(None, parts)) or None
