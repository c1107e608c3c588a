"""Contracts of the canonical tables: rows of suppliers."""

from __future__ import annotations

from typing import Final

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table, Utc
from e2analytics.tables.vocabulary import ASSAYS, NO_RENEWALS, RESULT_STATUSES, SITES, SYMPTOMS

PROVENANCE: Final = ("source_file", "source_line", "source_part", "source_order")
"""Where a row came from."""
ROW: Final = ("source_file", "source_line", "source_part")
"""What identifies a row ever read, accepted or not."""
READING_ORDER: Final = ("source_order", "source_line", "source_part")
"""The order in which rows were first read."""


class SourceRow(Table):
    """What every row that came out of a supplier's file carries."""

    source_file: Series[str] = pa.Field(description="Feed file and hash prefix; never its name.")
    source_line: Series[pl.Int64] = pa.Field(
        ge=1, description="Line in that file; the header is line 1."
    )
    source_part: Series[pl.Int64] = pa.Field(
        ge=0, description="Which of several results that one line holds; 0 if there is one."
    )
    source_order: Series[pl.Int64] = pa.Field(
        ge=0, description="Order in which files were first read: which of two versions is later."
    )
    failed_rules: Series[str] = pa.Field(
        description="Rules that the row breaks, separated by blanks: doubts, if it was accepted."
    )

    class Config:
        """Facts of every table of source rows."""

        kind = "canonical"
        order = READING_ORDER
        carried_over = True


class Patients(SourceRow):
    """One man known to a clinic. Grain: patient_id."""

    patient_id: Series[str] = pa.Field(description="Keyed pseudonym; never an MRN.")
    namespace: Series[str] = pa.Field(description="Whose numbering the source id belongs to.")
    clinic_id: Series[str] = pa.Field(description="Clinic that treats him.")
    sex: Series[str] = pa.Field(isin=["M"], description="Only men are analysed.")
    birth_date: Series[pl.Date] = pa.Field(description="Date of birth.")
    height_cm: Series[float] = pa.Field(nullable=True, description="Height, cm.")
    weight_kg: Series[float] = pa.Field(nullable=True, description="Weight, kg.")
    trt_started_on: Series[pl.Date] = pa.Field(nullable=True, description="First testosterone.")
    assigning_authority: Series[str] = pa.Field(
        nullable=True, description="Who gave him his number, in small letters, as messages say."
    )
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")

    class Config:
        """Facts of the table."""

        key = ("patient_id",)


class Labs(SourceRow):
    """One laboratory result in its analyte's one unit. Grain: namespace, result_id."""

    namespace: Series[str]
    result_id: Series[str] = pa.Field(description="The laboratory's number of the result.")
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    collected_at: Series[Utc] = pa.Field(description="Instant of the draw, UTC.")
    collected_on: Series[pl.Date] = pa.Field(description="Local date of the draw.")
    analyte: Series[str] = pa.Field(description="Name in schemas/reference/analytes.yaml.")
    value_low: Series[float] = pa.Field(ge=0, description="Least value the result allows.")
    value_high: Series[float] = pa.Field(
        nullable=True,
        description="Greatest value; equal to value_low unless censored, null if open.",
    )
    unit: Series[str] = pa.Field(description="UCUM unit of the analyte.")
    assay: Series[str] = pa.Field(isin=ASSAYS, description="Never pooled without a term for it.")
    loinc: Series[str] = pa.Field(nullable=True)
    performing_lab: Series[str] = pa.Field(nullable=True)
    status: Series[str] = pa.Field(isin=RESULT_STATUSES, description="HL7 result status.")
    reported_at: Series[Utc] = pa.Field(nullable=True)
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")

    class Config:
        """Facts of the table."""

        key = ("namespace", "result_id")
        event_date = "collected_on"


class Dxa(SourceRow):
    """One site of one DXA scan. Grain: namespace, scan_id, site."""

    namespace: Series[str]
    scan_id: Series[str] = pa.Field(description="The scanner's number of the scan.")
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    scanned_on: Series[pl.Date]
    site: Series[str] = pa.Field(isin=SITES)
    bmd_g_cm2: Series[float] = pa.Field(gt=0, description="Areal bone mineral density.")
    t_score: Series[float] = pa.Field(nullable=True)
    z_score: Series[float] = pa.Field(nullable=True)
    scanner_id: Series[str] = pa.Field(nullable=True)
    manufacturer: Series[str] = pa.Field(nullable=True)
    body_fat_pct: Series[float] = pa.Field(nullable=True)
    vertebrae: Series[str] = pa.Field(nullable=True)
    side: Series[str] = pa.Field(nullable=True)
    reference_db: Series[str] = pa.Field(nullable=True)
    status: Series[str] = pa.Field(isin=RESULT_STATUSES, description="As of a laboratory result.")
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")

    class Config:
        """Facts of the table."""

        key = ("namespace", "scan_id", "site")
        event_date = "scanned_on"


class Medications(SourceRow):
    """One order of a drug that matters here. Grain: namespace, order_id."""

    namespace: Series[str]
    order_id: Series[str]
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    drug: Series[str] = pa.Field(description="Ingredient, as in schemas/reference/drugs.yaml.")
    drug_class: Series[str] = pa.Field(description="aromatase_inhibitor, androgen ...")
    dose_mg: Series[float] = pa.Field(nullable=True, description="mg per dose; null if unknown.")
    doses_per_week: Series[float] = pa.Field(nullable=True)
    weekly_dose_mg: Series[float] = pa.Field(nullable=True, description="mg/week; null if unknown.")
    weekdays: Series[str] = pa.Field(
        nullable=True,
        description="Days of the week on which it is taken, as mon thu; null: not said.",
    )
    renewals: Series[str] = pa.Field(
        nullable=True,
        isin=[NO_RENEWALS],
        description="none: of a list without refills; null: not said.",
    )
    listed_on: Series[pl.Date] = pa.Field(
        nullable=True, description="Day of the last run that read it in a list without refills."
    )
    started_on: Series[pl.Date]
    stopped_on: Series[pl.Date] = pa.Field(nullable=True, description="First day without the drug.")
    status: Series[str] = pa.Field(isin=RESULT_STATUSES, description="As of a laboratory result.")

    class Config:
        """Facts of the table."""

        key = ("namespace", "order_id")
        event_date = "started_on"


class Events(SourceRow):
    """Something that happened to a man. Grain: namespace, event_id."""

    namespace: Series[str]
    event_id: Series[str]
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    kind: Series[str]
    occurred_on: Series[pl.Date]
    detail: Series[str] = pa.Field(
        nullable=True, isin=SYMPTOMS, description="Which symptom; null: not said, or no symptom."
    )

    class Config:
        """Facts of the table."""

        key = ("namespace", "event_id")
        event_date = "occurred_on"


class Lifestyle(SourceRow):
    """What a man eats and how he trains, as he said on a day. Grain: patient_id, recorded_on."""

    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    recorded_on: Series[pl.Date]
    calcium_mg_per_day: Series[float] = pa.Field(
        nullable=True, gt=0, description="Intake of calcium, food and supplements, mg/day."
    )
    protein_g_per_kg: Series[float] = pa.Field(
        nullable=True, gt=0, description="Intake of protein, g/kg of body weight a day."
    )
    impact_sessions_per_week: Series[float] = pa.Field(
        nullable=True, ge=0, description="Running, jumping, racket sports ..., sessions a week."
    )
    resistance_sessions_per_week: Series[float] = pa.Field(nullable=True, ge=0)
    balance_sessions_per_week: Series[float] = pa.Field(nullable=True, ge=0)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "recorded_on")
        event_date = "recorded_on"


class Precision(SourceRow):
    """What a clinic measured of its scanner. Grain: namespace, clinic_id, scanner_id, site."""

    namespace: Series[str]
    clinic_id: Series[str]
    scanner_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    cv_pct: Series[float] = pa.Field(gt=0, description="Precision error, coefficient of variation.")

    class Config:
        """Facts of the table."""

        key = ("namespace", "clinic_id", "scanner_id", "site")
