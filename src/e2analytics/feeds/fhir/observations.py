"""FHIR Observations: one row for each value, its own and those of its components.

In    an Observation
Out   a row of record ``Observation`` for every value, or a ``scans.Reading`` where the LOINC says
      that it is a bone density or a score of one; an Observation that only groups others
      (components, hasMember) is a row of kind ``panel`` without a value

Names of people are left out: a performer counts only if it is an Organization.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from e2analytics.feeds import off_scale
from e2analytics.feeds.fhir.nodes import Node, child, children, text
from e2analytics.feeds.fhir.resources import (
    LOINC,
    UCUM,
    Directory,
    Resource,
    code,
    contained,
    display,
    local_code,
    patient_id,
    reference_id,
    reference_type,
    said_of,
    wording,
)
from e2analytics.feeds.fhir.scans import Reading, is_reading, reading
from e2analytics.feeds.specimens import of_specimen

RECORD: Final = "Observation"
COLUMNS: Final = (
    "result_id",
    "patient_id",
    "collected_at",
    "loinc",
    "code",
    "test_name",
    "value",
    "unit",
    "method",
    "performing_lab",
    "status",
    "reported_at",
    "comment",
    "absent_reason",
    "kind",
)
RESULT: Final = "result"
# http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation: the codes < and >, and their words.
_OFF_SCALE: Final = {"<": "<", ">": ">", **off_scale.WORDS}
PANEL: Final = "panel"

Row = dict[str, str | None]


def read(resource: Resource, directory: Directory) -> Iterator[Row | Reading]:
    """Yield the rows and DXA readings of one Observation, its own first."""
    body = resource.body
    components = children(body, "component")
    shared = _shared(resource)
    specimen = _specimen(resource, directory)
    if _is_panel(body):
        yield shared | _named(body) | {"kind": PANEL}
    else:
        yield _of_specimen(_read(resource, directory, body, shared), specimen)
    for own_id, component in zip(_component_ids(resource, components), components, strict=True):
        row = _read(resource, directory, component, shared | {"result_id": own_id})
        yield _of_specimen(row, specimen)


def _specimen(resource: Resource, directory: Directory) -> list[str]:
    """Return every word and code of what was measured."""
    pointer = child(resource.body, "specimen")
    kind = child(directory.resolve(resource, pointer), "type")
    return [text(pointer, "display") or "", *said_of(kind)]


def _of_specimen(row: Row | Reading, specimen: list[str]) -> Row | Reading:
    return (
        row | {"test_name": of_specimen(row["test_name"], specimen)}
        if isinstance(row, dict)
        else row
    )


def _is_panel(body: Node) -> bool:
    groups = bool(children(body, "component") or children(body, "hasMember"))
    return groups and written_value(body)[0] is None and not child(body, "dataAbsentReason")


def _read(resource: Resource, directory: Directory, node: Node, shared: Row) -> Row | Reading:
    row = shared | _named(node)
    value, unit = written_value(node)
    if is_reading(row["loinc"]):
        return reading(resource, directory, node, row, value, unit)
    value = off_scale.with_marks(value, _marks(node))
    absent = child(node, "dataAbsentReason")
    reason = wording(absent) or local_code(absent)
    return row | {"value": value, "unit": unit, "absent_reason": reason, "kind": RESULT}


def _marks(node: Node) -> Iterator[str]:
    """Yield the codes of an interpretation; of one in words only those for "off the scale"."""
    for concept in children(node, "interpretation"):
        for coding in children(concept, "coding"):
            yield text(coding, "code") or ""
        for words in (
            text(concept, "text"),
            *(text(each, "display") for each in children(concept, "coding")),
        ):
            yield _OFF_SCALE.get((words or "").casefold(), "")


def _shared(resource: Resource) -> Row:
    body = resource.body
    notes = [text(note, "text") for note in children(body, "note")]
    return {
        "result_id": resource.id,
        "patient_id": patient_id(resource),
        "collected_at": _effective(resource),
        "method": wording(child(body, "method")),
        "performing_lab": _performing_lab(resource),
        "status": text(body, "status"),
        "reported_at": text(body, "issued") or text(body, "meta", "lastUpdated"),
        "comment": " ".join(filter(None, notes)) or None,
    }


def _named(node: Node) -> Row:
    concept = child(node, "code")
    return {
        "loinc": code(concept, LOINC),
        "code": local_code(concept),
        "test_name": display(concept, LOINC) or text(concept, "text"),
    }


def _effective(resource: Resource) -> str | None:
    body = resource.body
    own = (
        text(body, "effectiveDateTime")
        or text(body, "effectivePeriod", "start")
        or text(body, "effectiveInstant")
    )
    # A contained Observation lives in its report's context.
    return own or (_effective(resource.outer) if resource.outer is not None else None)


def _performing_lab(resource: Resource) -> str | None:
    for performer in children(resource.body, "performer"):
        if reference_type(resource, performer) != "Organization":
            continue
        inside = contained(resource, text(performer, "reference") or "")
        if lab := text(performer, "display") or text(inside, "name") or reference_id(performer):
            return lab
    return None


def _component_ids(resource: Resource, components: list[Node]) -> list[str | None]:
    concepts = [_named(component) for component in components]
    codes = [each["loinc"] or each["code"] for each in concepts]
    times = Counter(codes)
    if resource.id is None:
        return [None] * len(components)
    return [
        # One code twice is two results, not two versions of one.
        f"{resource.id}-{named}"
        if named and times[named] == 1
        else f"{resource.id}-{named or ''}-{n}"
        for n, named in enumerate(codes, start=1)
    ]


def written_value(node: Node) -> tuple[str | None, str | None]:
    """Return the value of an Observation or component as text, and its unit.

    >>> written_value({"valueQuantity": {"comparator": "<", "value": "5", "unit": "pg/mL"}})
    ('<5', 'pg/mL')
    """
    quantity = child(node, "valueQuantity")
    number = text(quantity, "value")
    if number and _is_contradicted(node):
        # A text that is no result, so that it waits.
        return f"? {number}", unit_of(quantity)
    if quantity:
        return number and (text(quantity, "comparator") or "") + number, unit_of(quantity)
    for name in ("valueString", "valueInteger", "valueBoolean", "valueDateTime", "valueTime"):
        if value := text(node, name):
            return value, None
    return wording(child(node, "valueCodeableConcept")), None


def _is_contradicted(node: Node) -> bool:
    """Return whether a second value, or a reason why there is none, stands beside a quantity; FHIR forbids both.

    So does an extension that may change what a number means (``modifierExtension``): who does not know it must not
    use the number.
    """
    others = (name for name in node if name.startswith("value") and name != "valueQuantity")
    besides = child(node, "dataAbsentReason") or children(node, "modifierExtension")
    return bool(besides) or any(others)


def unit_of(quantity: Node) -> str | None:
    """Return the unit of a Quantity: its UCUM code, else its text."""
    coded = text(quantity, "code") if text(quantity, "system") in UCUM else None
    return coded or text(quantity, "unit")
