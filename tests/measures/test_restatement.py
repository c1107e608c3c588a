"""Restatement: one result came late, one was corrected, one is as it was."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from e2analytics.exposure.patient_data import linked
from e2analytics.measures import restatement
from e2analytics.run.measured import as_measured
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import schema_of
from e2analytics.tables.snapshot import empty_table

AUGUST = date(2026, 8, 31)


def rows(name: str, *given: dict[str, Any]) -> pl.DataFrame:
    common = {"namespace": "default", "failed_rules": "", "imputed": ""}
    filled = [{k: v for k, v in (common | row).items() if k in schema_of(name)} for row in given]
    return pl.concat([empty_table(name), pl.DataFrame(filled)], how="diagonal_relaxed")


def result(result_id: str, assay: str, day: int = 10) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "result_id": result_id,
        "analyte": "estradiol",
        "value_low": 20.0,
        "value_high": 20.0,
        "assay": assay,
        "collected_on": date(2026, 8, day),
        "collected_at": datetime(2026, 8, day, 8, tzinfo=UTC),
    }


def link(
    rows: AsOfRows, clinics: Clinics, how: LinkSettings, settings: FlagSettings
) -> PatientData:
    return as_measured(linked(rows, clinics, how, settings), None, settings, clinics.as_of)


def published(as_of: date, *results: dict[str, Any], version: str = "1") -> dict[str, pl.DataFrame]:
    man = {"patient_id": "p1", "clinic_id": "c1", "birth_date": date(1970, 1, 1)}
    order = {
        "patient_id": "p1",
        "order_id": "o1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "weekly_dose_mg": 1.0,
        "started_on": date(2026, 1, 1),
    }
    waits = [each for each in results if each.get("fate")]
    results = tuple(each for each in results if not each.get("fate"))
    waiting = {
        at: rows(name, *(waits if name == "labs" else [])).with_columns(fate=pl.lit("quarantined"))
        for name, at in restatement.PENDING.items()
    }
    tables = {name: empty_table(name) for name in ("dxa", "events", "lifestyle", "precision")} | {
        **waiting,
        "patients": rows("patients", man),
        "medications": rows("medications", order),
        "labs": rows("labs", *results),
    }
    run = {"as_of": as_of, "settings": json.dumps({}), "package_version": version, "model_id": "m"}
    return tables | {
        "runs": pl.DataFrame([run]),
        "measures": restatement._counted(tables, {}, AUGUST, link),
    }


def steps(now: dict[str, pl.DataFrame], before: dict[str, pl.DataFrame]) -> list[tuple[int, int]]:
    found = restatement.between(now, before, link).filter(
        pl.col("measure") == "ms_share", pl.col("clinic_id") == "c1"
    )
    row = found.row(0, named=True)
    return [(row[f"{step}_numerator"], row[f"{step}_denominator"]) for step in restatement.STEPS]


def test_late_and_corrected_results_are_told_apart():
    before = published(AUGUST, result("r1", "ms"), result("r2", "ia", 11))
    now = published(
        date(2026, 9, 30),
        result("r1", "ms"),
        result("r2", "ms", 11),
        result("r3", "ia", 12),
    )

    assert steps(now, before) == [(1, 2), (1, 2), (2, 2), (2, 3)]


def test_a_result_that_waited_and_was_mended_is_a_correction():
    """Its method was known all the time; that it is another now is seen once it is mended."""
    waited = result("r2", "ia", 11) | {"fate": "quarantined"}
    before = published(AUGUST, result("r1", "ms"), waited)
    now = published(date(2026, 9, 30), result("r1", "ms"), result("r2", "ms", 11))

    assert steps(now, before) == [(1, 2), (1, 2), (2, 2), (2, 2)]


def test_a_result_withdrawn_since_is_a_correction():
    before = published(AUGUST, result("r1", "ms"), result("r2", "ia", 11))
    now = published(date(2026, 9, 30), result("r1", "ms"))

    assert steps(now, before) == [(1, 2), (1, 2), (1, 1), (1, 1)]


def test_what_another_version_counts_otherwise_is_its_rule():
    before = published(AUGUST, result("r1", "ms"), version="0")
    was = pl.when(pl.col("measure") == "ms_share").then(0).otherwise("numerator")
    before["measures"] = before["measures"].with_columns(numerator=was)

    assert steps(published(date(2026, 9, 30), result("r1", "ms")), before)[:2] == [(0, 1), (1, 1)]


def test_clinics_together_are_counted_as_well():
    before = published(AUGUST, result("r1", "ms"))

    found = restatement.between(before, before, link)

    assert found.filter(pl.col("clinic_id").is_null())["now_denominator"].drop_nulls().to_list()
    assert len(found) == 2 * 18


def test_a_man_is_corrected_if_a_row_of_then_says_otherwise_is_gone_or_no_longer_waits():
    then = result("r1", "ms")
    waited = result("r1", "ms") | {"fate": "quarantined"}
    cases = {
        "nothing": ([then], [then], False),
        "a new result": ([then], [then, result("r2", "ms", 12)], False),
        "another value": ([then], [then | {"value_low": 30.0}], True),
        "gone": ([then], [], True),
        "waits now": ([then], [waited], True),
        "waited": ([waited], [then], True),
        "waits on": ([waited], [waited], False),
    }

    for name, (before, now, expected) in cases.items():
        men = restatement.corrected_men(
            published(date(2026, 9, 30), *now), published(AUGUST, *before)
        )
        assert (men == {"p1"}) == expected, name
