"""Contract of the ledger of de-escalations: what was done, and what followed."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.vocabulary import (
    ASSAYS,
    CTX_CHANGES,
    FITTED_SITES,
    FOLLOWED,
    SCAN_VERDICTS,
    TREATMENT_CHANGES,
)


class DeEscalations(Table):
    """An aromatase inhibitor stopped, or its dose cut, and what followed. Grain: patient_id, drug, changed_on.

    Follow-up goes on until the next change of an inhibitor, the man's last day, or the as-of date; each outcome has a
    window of its own (schemas/reference/de_escalation.yaml).
    """

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    drug: Series[str]
    changed_on: Series[pl.Date] = pa.Field(
        description="First day without the drug, or at the new dose."
    )
    change: Series[str] = pa.Field(isin=["stopped", "cut"])
    from_mg_per_week: Series[float] = pa.Field(nullable=True, description="Null where unknown.")
    to_mg_per_week: Series[float] = pa.Field(description="0 where it was stopped.")
    held_since_on: Series[pl.Date] = pa.Field(description="First day at the dose before.")
    dose_unknown_since_on: Series[pl.Date] = pa.Field(
        nullable=True,
        description="Of a cut: from when until the change the dose is unknown; the dose before is the last known one.",
    )
    followed_until_on: Series[pl.Date] = pa.Field(
        description="Last day that counts as after the change."
    )
    ended_by: Series[str] = pa.Field(
        isin=TREATMENT_CHANGES, nullable=True, description="Null while nothing has ended it."
    )
    testosterone_changed_on: Series[pl.Date] = pa.Field(
        nullable=True, description="First change of testosterone since: E2 may have moved by it."
    )
    lower_limit_pg_ml: Series[float] = pa.Field(description="The limit in use.")
    e2_before_low_pg_ml: Series[float] = pa.Field(
        nullable=True, description="Last steady-state result on the old dose, as reported."
    )
    e2_before_high_pg_ml: Series[float] = pa.Field(nullable=True)
    e2_before_on: Series[pl.Date] = pa.Field(nullable=True)
    e2_before_assay: Series[str] = pa.Field(isin=ASSAYS, nullable=True)
    e2_was_low: Series[str] = pa.Field(isin=FOLLOWED, description="That result below the limit.")
    e2_after_low_pg_ml: Series[float] = pa.Field(
        nullable=True, description="First result at steady state of the new dose, or washed out."
    )
    e2_after_high_pg_ml: Series[float] = pa.Field(nullable=True)
    e2_after_on: Series[pl.Date] = pa.Field(nullable=True)
    e2_after_assay: Series[str] = pa.Field(isin=ASSAYS, nullable=True)
    e2_after_days: Series[pl.Int64] = pa.Field(nullable=True, ge=0, description="Days to it.")
    e2_recovered: Series[str] = pa.Field(
        isin=FOLLOWED, description="Any such result in the window at or above the limit."
    )
    e2_recovered_on: Series[pl.Date] = pa.Field(nullable=True, description="The first.")
    e2_above_high: Series[str] = pa.Field(
        isin=FOLLOWED, description="Any such result above 60 pg/mL, as mass spectrometry reads."
    )
    breast_symptoms: Series[str] = pa.Field(
        isin=FOLLOWED, description="Breast tenderness or gynaecomastia after the change."
    )
    symptoms_after: Series[str] = pa.Field(
        nullable=True, description="All symptoms, with their days."
    )
    ctx_before_pg_ml: Series[float] = pa.Field(nullable=True)
    ctx_before_on: Series[pl.Date] = pa.Field(nullable=True)
    ctx_after_pg_ml: Series[float] = pa.Field(nullable=True)
    ctx_after_on: Series[pl.Date] = pa.Field(nullable=True)
    ctx_change: Series[str] = pa.Field(
        isin=CTX_CHANGES, description="Against its reference change value."
    )
    next_scan_on: Series[pl.Date] = pa.Field(
        nullable=True, description="Next scan of spine or hip."
    )
    next_scan_verdict: Series[str] = pa.Field(
        isin=SCAN_VERDICTS, description="Change since the scan before it, against LSC."
    )
    next_scan_site: Series[str] = pa.Field(
        isin=FITTED_SITES, nullable=True, description="Where bone changed worst against its LSC."
    )
    next_scan_first_on: Series[pl.Date] = pa.Field(nullable=True, description="The scan before it.")
    next_scan_change_pct: Series[float] = pa.Field(nullable=True, description="Total change, %.")
    next_scan_lsc_pct: Series[float] = pa.Field(nullable=True)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "drug", "changed_on")
        order = ("patient_id", "changed_on", "drug")
        of_the_day = ("as_of", "followed_until_on")
