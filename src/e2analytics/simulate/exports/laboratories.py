"""Laboratory results as CSV in the manner of Labcorp and of Quest: `schemas/feeds/*_like.yaml`.

Each line also says who the patient is. A result's number becomes the specimen's (accession's) and the
code's; nothing else of the canonical tables is lost.
"""

from pathlib import Path

import polars as pl

from e2analytics.simulate.exports.tables import (
    US_DAY,
    Tables,
    dated,
    others,
    result_code,
    with_people,
)

STATUS_WORDS = {"F": "Final", "C": "Corrected", "P": "Preliminary", "X": "Cancelled"}


def write_labcorp_like(folder: Path, tables: Tables) -> Tables:
    """Write the results with their method as a comment; return what is not carried."""
    rows = with_people(tables["labs"], tables, "clinic_id", "sex", "birth_date")
    rows.select(
        pl.col("result_id").alias("Specimen ID"),
        pl.col("patient_id").alias("Patient ID"),
        pl.lit("Simulated").alias("Last Name"),
        pl.lit("Patient").alias("First Name"),
        dated("birth_date", US_DAY).alias("DOB"),
        pl.col("sex").replace({"M": "Male", "F": "Female"}).alias("Gender"),
        pl.col("clinic_id").alias("Account Number"),
        dated("collected_at", US_DAY).alias("Date Collected"),
        dated("reported_at", US_DAY).alias("Date Reported"),
        result_code().alias("Result Code"),
        pl.col("test_name").alias("Result Code Name"),
        pl.col("loinc").alias("Result LOINC"),
        pl.col("value").alias("Result"),
        pl.col("unit").alias("Units"),
        pl.lit(None, pl.String).alias("Flag"),
        pl.lit(None, pl.String).alias("Reference Interval"),
        pl.col("performing_lab").alias("Lab"),
        pl.col("status").replace(STATUS_WORDS).alias("Result Status"),
        (pl.lit("Methodology: ") + pl.col("method")).alias("Comments"),
    ).write_csv(folder / "laboratory_labcorp.csv")
    return others(tables, "labs")


def write_quest_like(folder: Path, tables: Tables) -> Tables:
    """Write the results with a twelve-hour clock; return what is not carried."""
    rows = with_people(tables["labs"], tables, "clinic_id", "sex", "birth_date")
    rows.select(
        pl.col("result_id").alias("Accession Number"),
        pl.col("patient_id").alias("Patient ID"),
        pl.lit("Simulated, Patient").alias("Patient Name"),
        dated("birth_date", US_DAY).alias("DOB"),
        pl.col("sex").alias("Sex"),
        pl.col("clinic_id").alias("Client Number"),
        _twelve_hours("collected_at").alias("Collection Date"),
        _twelve_hours("reported_at").alias("Report Date"),
        result_code().alias("Analyte Code"),
        pl.col("test_name").alias("Analyte Name"),
        pl.col("loinc").alias("LOINC Code"),
        pl.col("value").alias("Result"),
        pl.col("unit").alias("Units"),
        pl.lit(None, pl.String).alias("Reference Range"),
        pl.lit(None, pl.String).alias("Abnormal Flag"),
        pl.col("status").alias("Result Status"),
        pl.col("method").alias("Methodology"),
        pl.col("performing_lab").alias("Performing Site"),
    ).write_csv(folder / "laboratory_quest.csv", quote_style="always")
    return others(tables, "labs")


def _twelve_hours(name: str) -> pl.Expr:
    at = pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
    # A day that no calendar has cannot be put on a clock either.
    return pl.coalesce(at.dt.to_string("%m/%d/%Y %I:%M %p"), dated(name, US_DAY))
