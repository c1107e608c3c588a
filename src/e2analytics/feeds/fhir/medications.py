"""FHIR medications: what was ordered, reported, dispensed or given, one row each.

In    a MedicationRequest, MedicationStatement, MedicationDispense or MedicationAdministration
Out   a row of record ``Medication``; several where each of its dosages has a period of its own (a taper)

Several dosages without periods are one row: their doses a week add up where the dose is the same, and
are unknown where it is not. A dose in tablets is left to ``strength`` and ``sig``. "As needed", a range
of doses and a highest frequency leave the dose open, whatever else is said; the ``sig`` then says so.

How long a dosage lasts is in its bounds and its count of doses; where these can be read in two ways (a range,
a unit that is none of UCUM's, a highest count), it is unknown whether it is still in force, and so is the
dose.

The last day of a period is in it, so an order stopped on the day after. When it ended is only what the
resource says itself. Whether an order has ended is in its status, when it
did is not (R4 has no date of the status, and ``meta.lastUpdated`` is often the day of the export): an
order that is stopped or completed and names no end is written as ended on an ``unknown`` day, which the
rules reject and the supplier can repair. So is a dispensing's supply, if it is not said how long it lasts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from e2analytics.feeds.fhir.nodes import Node, child, children, is_true, text, texts
from e2analytics.feeds.fhir.observations import Row, unit_of
from e2analytics.feeds.fhir.resources import RXNORM, Directory, Resource, code, patient_id, wording
from e2analytics.feeds.fhir.timing import (
    WEEKDAYS,
    doses_per_week,
    is_open,
    is_single,
    number,
    weeks,
)

RECORD: Final = "Medication"
COLUMNS: Final = (
    "order_id",
    "patient_id",
    "drug",
    "rxnorm",
    "dose_mg",
    "doses_per_week",
    "weekdays",
    "sig",
    "strength",
    "started_on",
    "stopped_on",
    "days_supply",
    "status",
    "kind",
)
_ADMINISTRATION: Final = "MedicationAdministration"
TYPES: Final = frozenset(
    {"MedicationRequest", "MedicationStatement", "MedicationDispense", _ADMINISTRATION}
)
ORDER: Final = "order"
NO_ORDER: Final = "no_order"
UNKNOWN: Final = "unknown"
"""What must be known of an order, and is not said: the rules list it."""

_NO_ORDERS: Final = frozenset({"proposal", "option"})
_ENDED: Final = frozenset({"stopped", "completed"})
_AS_NEEDED = "as needed"
_OPEN = "up to a maximum"
_END_UNKNOWN = "until an unknown day"
_ONE_DOSE = "one dose only"
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,30})?")
_MG_EXPONENT: Final = {"mg": 0, "g": 3, "ug": -3, "mcg": -3, "µg": -3}


def read(resource: Resource, directory: Directory) -> Iterator[Row]:
    """Yield the rows of one order, statement, dispensing or given dose."""
    shared = _shared(resource, directory)
    if resource.type == _ADMINISTRATION:
        yield shared | _given(resource)
        return
    dosages = children(resource.body, "dosageInstruction") or children(resource.body, "dosage")
    starts = [_started(each) for each in dosages]
    ends = bool(text(resource.body, "effectivePeriod", "end"))
    if len(dosages) > 1 and all(starts):
        for number, dosage in enumerate(dosages, start=1):
            own_id = {"order_id": f"{resource.id}-{number}" if resource.id else None}
            dosed = _unless_held(resource, _dosed([dosage], ends))
            yield shared | own_id | dosed | _period(resource, [dosage], starts)
    else:
        dosed = _unless_held(resource, _dosed(dosages, ends))
        yield shared | dosed | _period(resource, dosages)


def _unless_held(resource: Resource, dosed: Row) -> Row:
    """Leave the dose of an order open that is on hold: nobody says whether the man takes it meanwhile.

    So is that of one with an extension that may change its meaning (``modifierExtension``).
    """
    is_changed = bool(children(resource.body, "modifierExtension"))
    if text(resource.body, "status") != "on-hold" and not is_changed:
        return dosed
    sig = " ".join(filter(None, (dosed["sig"], f"({_END_UNKNOWN})")))
    return dosed | {"doses_per_week": None, "sig": sig}


def _shared(resource: Resource, directory: Directory) -> Row:
    body = resource.body
    pointer = child(body, "medicationReference")
    medication = directory.resolve(resource, pointer)
    concept = child(body, "medicationCodeableConcept") or child(medication, "code")
    is_order = not is_true(body, "doNotPerform") and text(body, "intent") not in _NO_ORDERS
    return {
        "order_id": resource.id,
        "patient_id": patient_id(resource),
        "drug": wording(concept) or text(pointer, "display"),
        "rxnorm": code(concept, RXNORM),
        "strength": _strength(medication),
        "days_supply": _days_supply(resource),
        "status": text(body, "status"),
        "kind": ORDER if is_order else NO_ORDER,
    }


def _given(resource: Resource) -> Row:
    """Return a dose that was given: on its day, and how often is not said."""
    body = resource.body
    dosage = child(body, "dosage")
    dose = child(dosage, "dose")
    started_on = text(body, "effectiveDateTime") or text(body, "effectivePeriod", "start")
    last = text(body, "effectivePeriod", "end") or started_on
    return {
        "dose_mg": _in_mg(dose) if dose else None,
        "sig": " ".join(filter(None, [text(dosage, "text"), f"({_ONE_DOSE})"])),
        "started_on": started_on,
        # With the same time of day, which the offset may move to another one.
        "stopped_on": last and f"{_stopped_on(last[:10])}{last[10:]}",
    }


def _days_supply(resource: Resource) -> str | None:
    # An order's supply is what one fill of it should last; it goes on with the next fill.
    if resource.type != "MedicationDispense":
        return None
    supply = child(resource.body, "daysSupply")
    written, unit = text(supply, "value"), unit_of(supply)
    if unit in ("d", "day", "days", None):
        return written or UNKNOWN
    length = weeks(written, unit)
    return str(math.floor(length * 7)) if length is not None else UNKNOWN


def _strength(medication: Node) -> str | None:
    ingredients = children(medication, "ingredient")
    if len(ingredients) != 1:
        return None
    amount = child(ingredients[0], "strength", "numerator")
    per = text(ingredients[0], "strength", "denominator", "value")
    value, unit = text(amount, "value"), unit_of(amount)
    return f"{value} {unit}" if value and unit and per in ("1", "1.0", None) else None


def _dosed(dosages: list[Node], ends: bool) -> Row:
    """Return dose, frequency and sig of dosages; ``ends``: their resource says itself when they end."""
    doses = {_dose_mg(each) for each in dosages}
    weekly = [
        None if _left_open(each, ends) else doses_per_week(child(each, "timing"))
        for each in dosages
    ]
    known = [each for each in weekly if each is not None]
    in_turn = len({text(each, "sequence") for each in dosages}) > 1
    adds_up = len(doses) == 1 and len(known) == len(weekly) > 0 and not in_turn
    return {
        "dose_mg": next(iter(doses)) if len(doses) == 1 else None,
        "doses_per_week": str(sum(known)).removesuffix(".0") if adds_up else None,
        "weekdays": _weekdays(dosages) if adds_up else None,
        # Of several texts the first one alone would be understood.
        "sig": _sig(dosages[0], ends) if len(dosages) == 1 else None,
    }


def _weekdays(dosages: list[Node]) -> str | None:
    """Return the days of the week of dosages that all name some."""
    named = [set(texts(_repeat(each), "dayOfWeek")) for each in dosages]
    return " ".join(day for day in WEEKDAYS if day in set().union(*named)) if all(named) else None


def _sig(dosage: Node, ends: bool) -> str | None:
    written = text(dosage, "text") or text(dosage, "patientInstruction")
    if written is None:
        timed = wording(child(dosage, "timing", "code"))
        written = " ".join(filter(None, [_other_dose(dosage), timed])) or None
    more = [wording(each) for each in children(dosage, "additionalInstruction")]
    written = "; ".join(filter(None, [written, *more])) or None
    left_open = _left_open(dosage, ends)
    if left_open is None and is_single(child(dosage, "timing")):
        left_open = _ONE_DOSE
    if left_open is None:
        return written
    return f"{written} ({left_open})" if written else left_open


def _left_open(dosage: Node, ends: bool) -> str | None:
    """Say, in words of a sig, why the dose is not always the same; None if it is."""
    if _as_needed(dosage):
        return _AS_NEEDED
    is_range = any(child(each, "doseRange") for each in [dosage, *children(dosage, "doseAndRate")])
    is_limit = any(text(each, "comparator") for each in _quantities(dosage))
    if is_range or is_limit or is_open(child(dosage, "timing")):
        return _OPEN
    return _END_UNKNOWN if _lasts(dosage) == UNKNOWN and not ends else None


def _lasts(dosage: Node) -> float | str | None:
    """Return for how many weeks a dosage is given; None where it does not say, ``UNKNOWN`` where it is open."""
    repeat = _repeat(dosage)
    duration = child(repeat, "boundsDuration")
    lengths: list[float | None] = []
    if duration:
        exact = None if text(duration, "comparator") else text(duration, "value")
        # The code of a Duration is one of UCUM's, whether it says so or not.
        lengths.append(weeks(exact, text(duration, "code") or unit_of(duration)))
    if child(repeat, "boundsRange"):
        lengths.append(None)
    count, most = text(repeat, "count"), text(repeat, "countMax")
    if is_single(child(dosage, "timing")):
        lengths.append(1 / 7)
    elif count is not None or most is not None:
        doses, rate = number(count), doses_per_week(child(dosage, "timing"))
        is_exact = doses is not None and rate is not None and number(most or count) == doses
        lengths.append(doses / rate if is_exact and doses and rate else None)
    if not lengths:
        return None
    known = [each for each in lengths if each is not None]
    return min(known) if len(known) == len(lengths) else UNKNOWN


def _as_needed(dosage: Node) -> bool:
    return is_true(dosage, "asNeededBoolean") or bool(child(dosage, "asNeededCodeableConcept"))


def _quantities(dosage: Node) -> list[Node]:
    # R3 and early R4 servers write doseQuantity on the dosage itself.
    rates = [child(each, "doseQuantity") for each in children(dosage, "doseAndRate")]
    return [each for each in [*rates, child(dosage, "doseQuantity")] if each]


def _dose_mg(dosage: Node) -> str | None:
    doses = {_in_mg(each) for each in _quantities(dosage)} - {None}
    return doses.pop() if len(doses) == 1 else None


def _in_mg(quantity: Node) -> str | None:
    value, unit = text(quantity, "value"), (unit_of(quantity) or "").lower()
    if value is None or unit not in _MG_EXPONENT or text(quantity, "comparator"):
        return None
    exponent = _MG_EXPONENT[unit]
    if exponent == 0:
        return value
    return f"{Decimal(value).scaleb(exponent):f}" if _NUMBER.fullmatch(value) else None


def _other_dose(dosage: Node) -> str | None:
    for quantity in _quantities(dosage):
        value, unit = text(quantity, "value"), text(quantity, "unit") or text(quantity, "code")
        if value and unit and _in_mg(quantity) is None:
            return f"{value} {unit}"
    return None


def _repeat(dosage: Node) -> Node:
    return child(dosage, "timing", "repeat")


def _started(dosage: Node) -> str | None:
    return text(_repeat(dosage), "boundsPeriod", "start")


def _ended(dosage: Node, started_on: str | None, starts: Sequence[str | None]) -> str | None:
    last = _stopped_on(text(_repeat(dosage), "boundsPeriod", "end"), starts)
    length = _lasts(dosage)
    if not isinstance(length, float) or started_on is None:
        return last
    try:
        begun = date.fromisoformat(started_on[:10])
        # The sum of parts of days is a whole day but for its last digits.
        end = str(begun + timedelta(days=math.ceil(round(length * 7, 6))))
    except (ValueError, OverflowError):
        return last  # a month, or an age of the world
    return end if last is None else min(last, end)


def _stopped_on(last: str | None, starts: Sequence[str | None] = ()) -> str | None:
    """Return the day after the last of a period, as R4 means its end; one that is no day stays.

    Where the next dosage starts on the last day, that one counts from then on.
    """
    if last is None or any(each and each[:10] == last[:10] for each in starts):
        return last
    try:
        return str(date.fromisoformat(last[:10]) + timedelta(days=1))
    except (ValueError, OverflowError):
        return last  # a month; or the last day of the calendar, which means "open"


def _period(resource: Resource, dosages: list[Node], starts: Sequence[str | None] = ()) -> Row:
    body = resource.body
    started_on = (
        min(filter(None, map(_started, dosages)), default=None)
        or text(body, "effectivePeriod", "start")
        or text(body, "effectiveDateTime")
        or text(body, "whenHandedOver")
        or text(body, "whenPrepared")
        or text(body, "authoredOn")
        or text(body, "dateAsserted")
    )
    ends = [_ended(each, started_on, starts) for each in dosages]
    # With one dosage open, the order is.
    stopped_on = max((each for each in ends if each), default=None) if all(ends) else None
    stopped_on = stopped_on or _stopped_on(text(body, "effectivePeriod", "end"))
    is_order = resource.type != "MedicationDispense"
    if stopped_on is None and is_order and text(body, "status") in _ENDED:
        stopped_on = UNKNOWN
    return {"started_on": started_on, "stopped_on": stopped_on}
