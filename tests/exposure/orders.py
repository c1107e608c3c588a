"""Orders of one man, written by day number."""

from datetime import date, timedelta

import polars as pl

ZERO = date(2024, 1, 1)


def day(number: int | None) -> date | None:
    return None if number is None else ZERO + timedelta(days=number)


def orders(*rows: tuple[str, int, int | None, float | None]) -> pl.DataFrame:
    """Orders of one man: drug, first day, day stopped, mg a week."""
    return pl.DataFrame(
        [
            {
                "patient_id": "p1",
                "drug": drug,
                "drug_class": "aromatase_inhibitor",
                "started_on": day(start),
                "stopped_on": day(stop),
                "weekly_dose_mg": mg,
                "weekdays": None,
                "listed_on": None,
                "source_file": "f",
                "source_line": line,
                "source_order": 0,
            }
            for line, (drug, start, stop, mg) in enumerate(rows, start=2)
        ],
        schema_overrides={
            "stopped_on": pl.Date,
            "weekly_dose_mg": pl.Float64,
            "weekdays": pl.String,
            "listed_on": pl.Date,
        },
    )
