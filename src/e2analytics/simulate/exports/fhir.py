"""Patients, results, scans and orders as FHIR R4 Bulk Data: `schemas/feeds/fhir_r4.yaml`.

BMD, T-score and Z-score of a scan are Observations of their own, the scanner a contained Device. What
has no place in these resources is lost: a patient's height, weight and start of therapy, and a scan's
reference database. Total-body scans have no code in `schemas/reference/dxa_codes.yaml` and are not
carried. The drop must be without defects: a server knows one version of a resource, and no day that no
calendar has.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import polars as pl

from e2analytics.simulate.exports.tables import Tables, others, result_code

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
GENDERS: Final = {"M": "male", "F": "female"}
STATUSES: Final = {"F": "final", "C": "corrected", "P": "preliminary", "X": "cancelled"}
# Codes of BMD, T-score and Z-score. The hip and the left femur as in the examples of US Core; the right
# femur by the code for any side and its words.
CODES: Final = {
    ("lumbar_spine", None): ("24966-4", "38267-1", "85394-5"),
    ("total_hip", "left"): ("46278-8", "80946-7", "80938-4"),
    ("total_hip", "right"): ("46279-6", "80945-9", "80937-6"),
    ("femoral_neck", "left"): ("80954-1", "80948-3", "80940-0"),
    ("femoral_neck", "right"): ("24701-5", "38263-0", "80934-3"),
}
PLACES: Final = {
    "lumbar_spine": "Lumbar spine",
    "total_hip": "Total hip",
    "femoral_neck": "Femoral neck",
}
TOTAL_BODY: Final = pl.col("site") == "total_body"

Node = dict[str, Any]


def write(folder: Path, tables: Tables) -> Tables:
    """Write a file for each type of resource; return what is not carried."""
    labs = tables["labs"].with_columns(code=result_code())
    scans = tables["dxa"].remove(TOTAL_BODY)
    _save(folder, "Patient", map(_patient, tables["patients"].iter_rows(named=True)))
    _save(
        folder,
        "Observation",
        [
            *map(_result, labs.iter_rows(named=True)),
            *(each for scan in scans.iter_rows(named=True) for each in _scan(scan)),
        ],
    )
    orders = tables["medications"].iter_rows(named=True)
    _save(folder, "MedicationRequest", map(_order, orders))
    return {
        **others(tables, "patients", "labs", "dxa", "medications"),
        "dxa": tables["dxa"].filter(TOTAL_BODY),
    }


def _save(folder: Path, resource_type: str, resources: Iterable[Node]) -> None:
    lines = (
        json.dumps({"resourceType": resource_type} | _without_empty(each)) for each in resources
    )
    text = "".join(f"{line}\n" for line in lines)
    (folder / f"{resource_type}.ndjson").write_text(text, encoding="utf-8")


def _without_empty(resource: Node) -> Node:
    return {key: value for key, value in resource.items() if value}


def _patient(row: Node) -> Node:
    return {
        "id": row["patient_id"],
        "name": [{"family": "Simulated", "given": ["Patient"]}],
        "gender": GENDERS[row["sex"]],
        "birthDate": row["birth_date"],
        "managingOrganization": _pointer("Organization", row["clinic_id"]),
    }


def _result(row: Node) -> Node:
    coding = {"code": row["code"], "display": row["test_name"]}
    if row["loinc"]:
        coding = {"system": LOINC, "code": row["loinc"], "display": row["test_name"]}
    return {
        "id": row["result_id"],
        "status": STATUSES[row["status"]],
        "category": _category("laboratory"),
        "code": {"coding": [coding], "text": row["test_name"]},
        "subject": _pointer("Patient", row["patient_id"]),
        "effectiveDateTime": _instant(row["collected_at"]),
        "issued": _instant(row["reported_at"]),
        "performer": [_pointer("Organization", row["performing_lab"])],
        "valueQuantity": _quantity(row["value"], row["unit"]),
        "method": {"text": row["method"]} if row["method"] else None,
    }


def _quantity(written: str, unit: str) -> Node:
    """Return a result as a Quantity.

    >>> _quantity("<18.4", "pmol/L")["comparator"], _quantity("23.4", "pg/mL")["value"]
    ('<', 23.4)
    """
    number = written.lstrip("<>=")
    quantity = {"value": float(number), "unit": unit, "system": UCUM, "code": unit}
    comparator = written.removesuffix(number)
    return quantity | {"comparator": comparator} if comparator else quantity


def _scan(row: Node) -> Iterator[Node]:
    words = (row["side"] or "", PLACES[row["site"]], row["vertebrae"] or "")
    place = " ".join(filter(None, words))
    shared = {
        "contained": [
            {
                "resourceType": "Device",
                "id": "scanner",
                "manufacturer": row["manufacturer"],
                "serialNumber": row["scanner_id"],
            }
        ],
        "status": "final",
        "category": _category("imaging"),
        "subject": _pointer("Patient", row["patient_id"]),
        "effectiveDateTime": row["scanned_on"],
        "bodySite": {"text": place},
        "device": {"reference": "#scanner"},
    }
    readings = (("", "bmd_g_cm2", "g/cm2"), ("-t", "t_score", "{T-score}"), ("-z", "z_score", "{Z-score}"))  # fmt: skip
    for code, (suffix, column, unit) in zip(CODES[row["site"], row["side"]], readings, strict=True):
        if row[column] is not None:
            yield {
                "id": f"{row['scan_id']}{suffix}",
                **shared,
                "code": {"coding": [{"system": LOINC, "code": code}], "text": f"DXA {place}"},
                "valueQuantity": _quantity(row[column], unit),
            }


def _order(row: Node) -> Node:
    coding = [{"system": RXNORM, "code": row["rxnorm"], "display": row["drug"]}]
    period = {"start": row["started_on"], "end": _day_before(row["stopped_on"])}
    repeat: Node = {"boundsPeriod": _without_empty(period)}
    if row["doses_per_week"]:
        # FHIR counts whole doses: every other day is seven in two weeks.
        often = Fraction(row["doses_per_week"])
        repeat |= {
            "frequency": often.numerator,
            "period": often.denominator,
            "periodUnit": "wk",
        }
    dose = {"value": float(row["dose_mg"]), "unit": "mg", "system": UCUM, "code": "mg"}
    return {
        "id": row["order_id"],
        "status": "stopped" if row["stopped_on"] else "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": coding if row["rxnorm"] else [],
            "text": row["drug"],
        },
        "subject": _pointer("Patient", row["patient_id"]),
        "authoredOn": row["started_on"],
        "dosageInstruction": [
            _without_empty(
                {
                    "text": row["sig"],
                    "timing": {"repeat": repeat},
                    "doseAndRate": [{"doseQuantity": dose}],
                }
            )
        ],
    }


def _day_before(stopped_on: str | None) -> str | None:
    # The end of a period of FHIR is its last day, ours the first one without the drug.
    return str(date.fromisoformat(stopped_on) - timedelta(days=1)) if stopped_on else None


def _pointer(resource_type: str, number: str) -> Node:
    return {"reference": f"{resource_type}/{number}"}


def _category(code: str) -> list[Node]:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return [{"coding": [{"system": system, "code": code}]}]


def _instant(written: str) -> str:
    return f"{written}Z"
