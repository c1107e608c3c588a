"""A laboratory export of any size with mixed units and comparators, for the benchmark of intake."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

_BLOCK = 1_000_000
_RESULTS_A_MAN = 100
_FIRST = datetime(2023, 1, 1)
_DAYS = 1_095
_TESTS = (
    # name, code, unit, median, spread of the logarithm, share below a limit, the limit as written
    ("Estradiol, Sensitive", "35384-7", "pg/mL", 27.0, 0.45, 0.04, "<5.0"),
    ("Estradiol", "14715-7", "pmol/L", 99.0, 0.45, 0.04, "<18"),
    ("Testosterone, Total", "2986-8", "ng/dL", 620.0, 0.4, 0.01, ">1500"),
    ("Testosterone", "14913-8", "nmol/L", 21.0, 0.4, 0.01, ">52.0"),
    ("Hematocrit", "4544-3", "%", 46.0, 0.07, 0.0, ""),
)


def write(folder: Path, rows: int, seed: int = 1) -> tuple[Path, Path]:
    """Write ``patients.csv`` and ``labs.csv`` and return their paths."""
    rng = np.random.default_rng(seed)
    men = max(1, rows // _RESULTS_A_MAN)
    patients = folder / "patients.csv"
    pl.DataFrame(
        {
            "patient_id": [f"MRN{number:07}" for number in range(men)],
            "clinic_id": [f"clinic-{number % 20:02}" for number in range(men)],
            "sex": ["M"] * men,
            "birth_date": [
                date(1950, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 14_000, men)
            ],
        }
    ).write_csv(patients)
    labs = folder / "labs.csv"
    with labs.open("wb") as file:
        for start in range(0, rows, _BLOCK):
            block = _block(rng, start, min(_BLOCK, rows - start), men)
            block.write_csv(file, include_header=start == 0)
    return patients, labs


def _block(rng: np.random.Generator, start: int, rows: int, men: int) -> pl.DataFrame:
    test = rng.integers(0, len(_TESTS), rows)
    median, spread, share = (np.array([each[at] for each in _TESTS])[test] for at in (3, 4, 5))
    value = np.exp(np.log(median) + spread * rng.standard_normal(rows))
    censored = rng.random(rows) < share
    minutes = rng.integers(0, _DAYS * 24 * 60, rows)
    drawn = pl.Series(minutes).cast(pl.Int64) * 60_000_000
    columns = {
        name: pl.Series([each[at] for each in _TESTS])[test]
        for name, at in (("test_name", 0), ("loinc", 1), ("unit", 2), ("limit", 6))
    }
    return pl.DataFrame(
        {
            "result_id": pl.Series(np.arange(start, start + rows)).cast(pl.String),
            "patient_id": pl.Series(rng.integers(0, men, rows)).cast(pl.String),
            "drawn": drawn.cast(pl.Duration("us")),
            "number": value.round(1),
            "censored": censored,
            "method": pl.Series(["LC/MS/MS", "ECLIA"])[rng.integers(0, 2, rows)],
            "performing_lab": pl.Series([f"lab-{at}" for at in range(12)])[
                rng.integers(0, 12, rows)
            ],
            **columns,
        }
    ).select(
        result_id=pl.lit("L") + pl.col("result_id").str.zfill(9),
        patient_id=pl.lit("MRN") + pl.col("patient_id").str.zfill(7),
        collected_at=(pl.lit(_FIRST) + pl.col("drawn")).dt.strftime("%Y-%m-%dT%H:%M"),
        loinc="loinc",
        test_name="test_name",
        value=pl.when("censored").then("limit").otherwise(pl.col("number").cast(pl.String)),
        unit="unit",
        method="method",
        performing_lab="performing_lab",
        status=pl.lit("F"),
        reported_at=(pl.lit(_FIRST) + pl.col("drawn") + pl.duration(hours=30)).dt.strftime(
            "%Y-%m-%dT%H:%M"
        ),
    )
