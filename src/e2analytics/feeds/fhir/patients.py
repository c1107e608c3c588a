"""FHIR Patients: the identity that the rules need, and deaths.

In    a Patient
Out   a row of record ``Patient``, and one of record ``Death`` if he has died

Name, address and telephone number are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from e2analytics.feeds.fhir.nodes import child, is_true, text
from e2analytics.feeds.fhir.resources import (
    Resource,
    contained,
    own_token,
    record_number,
    reference_id,
)

RECORD: Final = "Patient"
COLUMNS: Final = ("patient_id", "mrn", "sex", "birth_date", "clinic")
DEATH_RECORD: Final = "Death"
DEATH_COLUMNS: Final = ("patient_id", "died_on")

Row = dict[str, str | None]


def read(resource: Resource) -> Iterator[tuple[str, Row]]:
    """Yield the record and row of a Patient, then of his death."""
    body = resource.body
    own = resource.id if resource.outer is None else own_token(body)
    clinic = child(body, "managingOrganization")
    inside = contained(resource, text(clinic, "reference") or "")
    yield (
        RECORD,
        {
            "patient_id": own,
            "mrn": record_number(body),
            "sex": text(body, "gender"),
            "birth_date": text(body, "birthDate"),
            "clinic": reference_id(clinic) or text(clinic, "display") or text(inside, "name"),
        },
    )
    died_on = text(body, "deceasedDateTime")
    if died_on is not None or is_true(body, "deceasedBoolean"):
        yield DEATH_RECORD, {"patient_id": own, "died_on": died_on}
