"""Contract of the quality measures by month and clinic."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table


class Measures(Table):
    """Quality measures by month, 24 restated, older ones as last counted. Grain: month, clinic_id, measure."""

    month: Series[str] = pa.Field(str_matches=r"^\d{4}-\d{2}$", description="YYYY-MM, ended.")
    clinic_id: Series[str] = pa.Field(nullable=True, description="Null: all clinics together.")
    measure: Series[str] = pa.Field(description="Name in schemas/reference/measures.yaml.")
    numerator: Series[pl.Int64] = pa.Field(nullable=True, ge=0)
    denominator: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Units after exclusions and exceptions."
    )
    n_excepted: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Not met and spared, for example because he refused."
    )
    n_reported_separately: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Reported next to the measure, for example undecidable."
    )
    value: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Null without eligible patients: never 0 of 0."
    )
    ci_low: Series[float] = pa.Field(nullable=True, ge=0, le=1, description="Wilson, 95 %.")
    ci_high: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    suppressed: Series[bool] = pa.Field(description="Counts were hidden to protect patients.")
    not_measured: Series[str] = pa.Field(
        nullable=True, description="What no feed has supplied; then there are no numbers."
    )
    counted_as_of: Series[pl.Date] = pa.Field(
        description="The day whose data it was counted with; after the month's last day it is a restatement."
    )

    class Config:
        """Facts of the table."""

        key = ("month", "clinic_id", "measure")
