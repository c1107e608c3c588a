"""Orders of whole files: from a supplier's sig or timing to mg a week, with their end."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources

HEADER = (
    "Rx Number,Fill Number,Patient ID,Drug Name,Strength,Quantity,Days Supply,Sig,Fill Date,Status"
)
MG = {"value": 1, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
DAILY = {"frequency": 1, "period": 1, "periodUnit": "d"}
WEEKLY = {"frequency": 1, "period": 1, "periodUnit": "wk"}


def orders(drop: Path) -> dict[str, tuple[float | None, date | None, str]]:
    sources = Sources.from_drop(drop, load_feeds(), b"a key of the tests", today=date(2026, 9, 30))
    rows = sources.rows["medications"].cast({pl.Categorical: pl.String})
    columns = ("order_id", "weekly_dose_mg", "stopped_on", "failed_rules")
    return {order: tuple(rest) for order, *rest in rows.select(columns).iter_rows()}  # type: ignore[misc]


def test_fills_count_by_all_of_their_sig(tmp_path: Path):
    sigs = [
        "Take 1/2 tablet x2 weekly",
        "Take two half tablets weekly",
        "Take 1 tablet once to twice weekly",
        "Take 1/2 tablet twice weekly on gym days",
        "Take 1 tablet daily for 10 days",
    ]
    lines = [
        f'{number},0,P1,Anastrozole,1 mg,8,28,"{sig}",09/05/2026,Dispensed'
        for number, sig in enumerate(sigs, start=1)
    ]
    (tmp_path / "rx.csv").write_text("\n".join([HEADER, *lines]) + "\n")

    supplied = date(2026, 10, 17)
    assert orders(tmp_path) == {
        "1-0": (1.0, supplied, ""),
        "2-0": (1.0, supplied, ""),
        "3-0": (None, supplied, "dose_unknown dose_varies"),
        "4-0": (None, supplied, "dose_unknown"),
        "5-0": (7.0, date(2026, 9, 29), ""),
    }


def request(name: str, **repeat: Any) -> str:
    return json.dumps(
        {
            "resourceType": "MedicationRequest",
            "id": name,
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": "Anastrozole 1 mg tablet"},
            "subject": {"reference": "Patient/a1"},
            "authoredOn": "2026-01-01",
            "dosageInstruction": [
                {"doseAndRate": [{"doseQuantity": MG}], "timing": {"repeat": repeat}}
            ],
        }
    )


def test_timings_that_can_be_read_in_two_ways_are_unknown(tmp_path: Path):
    man = {"resourceType": "Patient", "id": "a1", "gender": "male", "birthDate": "1970-01-01"}
    lines = [
        json.dumps(man),
        request("two-times-of-day", **DAILY, timeOfDay=["08:00:00", "20:00:00"]),
        request("morning-and-evening", **DAILY, when=["MORN", "EVE"]),
        request("one-dose-only", **DAILY, count=1),
        request("eight-weeks-no-code", **WEEKLY, boundsDuration={"value": 8, "unit": "weeks"}),
        request(
            "eight-to-twelve-weeks",
            **WEEKLY,
            boundsRange={"low": {"value": 8, "unit": "wk"}, "high": {"value": 12, "unit": "wk"}},
        ),
        request("eight-weeks", **WEEKLY, boundsDuration={"value": 8, "code": "wk"}),
        request("seven-doses", **DAILY, count=7),
    ]
    (tmp_path / "x.ndjson").write_text("\n".join(lines) + "\n")

    assert orders(tmp_path) == {
        "two-times-of-day": (None, None, "dose_unknown"),
        "morning-and-evening": (None, None, "dose_unknown"),
        "one-dose-only": (None, date(2026, 1, 2), "dose_unknown"),
        # Whether they are still taken is unknown, and so is the dose in force.
        "eight-weeks-no-code": (None, None, "dose_unknown dose_varies"),
        "eight-to-twelve-weeks": (None, None, "dose_unknown dose_varies"),
        "eight-weeks": (1.0, date(2026, 2, 26), ""),
        "seven-doses": (7.0, date(2026, 1, 8), ""),
    }
