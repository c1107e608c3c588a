"""Men and clinics by their rows: what the tests of measures count."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from e2analytics.exposure.dose_response.ms_equivalents import with_ms_equivalents
from e2analytics.exposure.patient_data import linked
from e2analytics.measures import pending, rates
from e2analytics.measures.clinic_rows import clinic_rows, clinic_sums, clinics
from e2analytics.measures.units import care_units
from e2analytics.reference import measures
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import empty_table

AS_OF = date(2026, 9, 30)
START = date(2026, 1, 1)
LONG_AGO = date(2015, 1, 1)


def after(days: int, start: date = START) -> date:
    return start + timedelta(days=days)


def man(patient_id: str = "p1", clinic_id: str = "c1", **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": patient_id,
        "clinic_id": clinic_id,
        "birth_date": date(1960, 1, 1),
        "trt_started_on": date(2024, 1, 1),
    }
    return row | changes


def order(
    started_on: date = START, stopped_on: date | None = None, **changes: Any
) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "weekly_dose_mg": 1.0,
        "started_on": started_on,
        "stopped_on": stopped_on,
    }
    return row | changes


def e2(
    collected_on: date, low: float = 20.0, high: float | None = None, **changes: Any
) -> dict[str, Any]:
    return result("estradiol", collected_on, low, low if high is None else high) | changes


def result(analyte: str, on: date, low: float = 40.0, high: float | None = 40.0) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "analyte": analyte,
        "result_id": f"{analyte}-{on}",
        "collected_on": on,
        "collected_at": datetime.combine(on, datetime.min.time(), UTC),
        "value_low": low,
        "value_high": high,
        "assay": "ms",
    }


def scan(scanned_on: date, bmd_g_cm2: float = 1.0, **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "scan_id": f"s-{scanned_on}",
        "scanned_on": scanned_on,
        "site": "lumbar_spine",
        "bmd_g_cm2": bmd_g_cm2,
        "scanner_id": "x1",
    }
    return row | changes


def event(kind: str, occurred_on: date, patient_id: str = "p1") -> dict[str, Any]:
    return {"patient_id": patient_id, "kind": kind, "occurred_on": occurred_on}


# A man of long ago through whom clinic c1 has sent everything once; he died before any month that counts.
FIRST = "p0"
EVERYTHING_ONCE = {
    "patients": [man(FIRST, trt_started_on=LONG_AGO)],
    "medications": [order(LONG_AGO, after(100, LONG_AGO), patient_id=FIRST)],
    "labs": [
        result(analyte, LONG_AGO) | {"patient_id": FIRST, "result_id": f"old-{analyte}"}
        for analyte in measures.load().sources_of_kind("laboratory")
    ],
    "dxa": [scan(LONG_AGO, patient_id=FIRST, body_fat_pct=20.0)],
    "events": [
        *(event(kind, LONG_AGO, FIRST) for kind in measures.load().sources_of_kind("event")),
        event("died", date(2016, 1, 1), FIRST),
    ],
}


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    if not rows:
        return empty_table(name)
    filled = pl.concat([empty_table(name), pl.DataFrame(rows)], how="diagonal_relaxed")
    # Texts that link and densitometry look into.
    return filled.with_columns(
        pl.col(column).fill_null("")
        for column in ("imputed", "failed_rules")
        if column in filled.columns
    )


def in_quarantine(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"fate": "quarantined"}


def waits(row: dict[str, Any]) -> bool:
    return row.get("fate") == "quarantined"


def of_fate(frame: pl.DataFrame, rows: list[dict[str, Any]]) -> pl.DataFrame:
    fates = [row["fate"] for row in rows]
    return frame.with_columns(fate=pl.Series(fates, dtype=pl.String))


def known(first: dict[str, Any] = EVERYTHING_ONCE, **every: list[dict[str, Any]]) -> PatientData:
    rows = {name: [row for row in given if not waits(row)] for name, given in every.items()}
    given = {"patients": [man()], **rows}
    names = ("patients", "medications", "labs", "dxa", "events")
    frames = {name: table(name, first.get(name, []) + given.get(name, [])) for name in names}
    listed = {name: list(filter(waits, every.get(name, []))) for name in pending.TABLES}
    not_accepted = {name: of_fate(table(name, rows), rows) for name, rows in listed.items()}
    accepted = {
        "precision": empty_table("precision"),
        "lifestyle": empty_table("lifestyle"),
        **frames,
    }
    rows = pending.as_of_rows(accepted, frames["patients"], not_accepted, AS_OF)
    of_clinics = clinics(clinic_sums(rows), AS_OF)
    data = linked(rows, of_clinics, LinkSettings(), FlagSettings())
    return replace(data, draws=with_ms_equivalents(data.draws, None))


def measure(data: PatientData, as_of: date, n_months: int = 24) -> pl.DataFrame:
    ends = rates.month_ends(as_of, n_months)
    counted = rates.unit_counts(care_units(data, ends).units, data.patients, ends)
    return rates.measures(counted, clinic_rows(data), as_of, n_months)


def counts(name: str, **rows: list[dict[str, Any]]) -> list[tuple[str, int, int, int, int]]:
    """Return month, numerator, denominator, excepted and apart of all months in which anybody counts."""
    found = measure(known(**rows), AS_OF).filter(
        pl.col("clinic_id").is_null(),
        pl.col("measure") == name,
        pl.sum_horizontal("denominator", "n_excepted", "n_reported_separately") > 0,
    )
    return found.select(
        "month", "numerator", "denominator", "n_excepted", "n_reported_separately"
    ).rows()


def of_last_month(name: str, **rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Return numerator and denominator of September 2026."""
    last = [row for row in counts(name, **rows) if row[0] == "2026-09"]
    return last[0][1:3] if last else (0, 0)
