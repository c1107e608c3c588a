"""Rates: the quality measures by month and clinic, for the months that have ended.

In    the measure units, what clinics sent (the sum ``clinic_rows``), the measures of the run before
Out   unit_counts   grain month_end, clinic_id, measure (``tables.sums``)
      measures      grain month, clinic_id, measure; clinic_id is null for all clinics together

Every month, clinic and measure has its row. Where a clinic's data do not allow a measure, the row gives the
reason in ``not_measured`` and has no numbers: never 0 %. All clinics together are those that are measured.
Recent months are counted with today's data, which may be more than there were then; older months keep what
they were last counted at, so that the baseline of a chart stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from e2analytics.measures.availability import GRAIN, grid, month_rows, unavailable
from e2analytics.models.proportion import wilson
from e2analytics.reference.measures import load
from e2analytics.tables.sums import added_up

N_MONTHS: Final = 24
NO_PATIENTS: Final = "no_patients"
_COUNTS: Final = ["numerator", "denominator", "n_excepted", "n_reported_separately"]


def unit_counts(
    units: pl.DataFrame, patients: pl.DataFrame, month_ends: Sequence[date]
) -> pl.DataFrame:
    """Return the sum ``unit_counts`` of some men: what a measure counted in each month of each clinic.

    Parameters
    ----------
    units
        ``CareUnits.units`` of the men.
    patients
        The men with their clinic.
    month_ends
        Last days of the months to count.

    Returns
    -------
    DataFrame
        ``numerator``, ``denominator``, ``n_excepted`` (taken out of the denominator by an exception),
        ``n_reported_separately``.
    """
    met = pl.col("met").fill_null(False)
    excepted = pl.col("excepted") & ~met
    counts = pl.col("met").is_not_null() & ~excepted
    counted = (
        units.with_columns(month_end=pl.col("counted_on").dt.month_end())
        .filter(pl.col("month_end").is_in(month_ends))
        .join(patients.select("patient_id", "clinic_id"), on="patient_id")
        .select(
            *GRAIN,
            numerator=met,
            denominator=counts,
            n_excepted=excepted,
            n_reported_separately="reported_separately",
        )
    )
    return added_up("unit_counts", counted)


def measures(
    counted: pl.DataFrame, sent: pl.DataFrame, as_of: date, n_months: int = N_MONTHS
) -> pl.DataFrame:
    """Return the measures of the last ``n_months`` months that ended on or before ``as_of``.

    Parameters
    ----------
    counted
        The sum ``unit_counts``, of those months at least.
    sent
        The sum ``clinic_rows``.
    as_of
        The day.
    n_months
        How many months.

    Returns
    -------
    DataFrame
        ``month`` (YYYY-MM), ``clinic_id``, ``measure``, ``numerator``, ``denominator``, ``n_excepted`` (taken
        out of the denominator by an exception), ``n_reported_separately``,
        ``value`` with the ends of its 95 % interval, ``suppressed`` (False here), ``not_measured``, the reason or null, and
        ``counted_as_of``, the day.
    """
    ends = month_ends(as_of, n_months)
    by_clinic = (
        grid(sent, ends)
        .join(counted, on=GRAIN, how="left", maintain_order="left")
        .join(unavailable(sent, ends), on=GRAIN, how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("not_measured").is_null()).then(pl.col(name).fill_null(0)).alias(name)
            for name in _COUNTS
        )
    )
    together = _together(by_clinic, ends)
    rates = _with_intervals(pl.concat([together, by_clinic.select(together.columns)]))
    return rates.with_columns(pl.lit(as_of).alias("counted_as_of"))


def with_older(counted: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Return the counted months, and older months as they were last counted."""
    older = before.filter(pl.col("month") < counted["month"].min())
    return pl.concat([older.select(counted.columns), counted])


def month_ends(as_of: date, n_months: int = N_MONTHS) -> list[date]:
    """Return the last days of the last ``n_months`` months that ended on or before ``as_of``."""
    first_of_next = (as_of + timedelta(days=1)).replace(day=1)
    firsts = pl.date_range(
        pl.lit(first_of_next).dt.offset_by(f"-{n_months - 1}mo"),
        pl.lit(first_of_next),
        interval="1mo",
        eager=True,
    )
    return (firsts - timedelta(days=1)).to_list()


def _together(by_clinic: pl.DataFrame, ends: Sequence[date]) -> pl.DataFrame:
    """Add up the clinics that are measured; where none is, give the reasons."""
    measured = pl.col("not_measured").is_null()
    reasons = pl.col("not_measured").unique().sort().str.join("; ")
    sums = by_clinic.group_by("month_end", "measure").agg(
        pl.when(measured.any()).then(pl.col(name).sum()).alias(name) for name in _COUNTS
    )
    why = by_clinic.group_by("month_end", "measure").agg(
        not_measured=pl.when(~measured.any()).then(reasons)
    )
    all_clinics = pl.DataFrame({"clinic_id": [None]}, schema={"clinic_id": pl.String})
    names = pl.DataFrame({"measure": list(load().measures)})
    key = ["month_end", "measure"]
    return (
        month_rows(ends)
        .join(all_clinics, how="cross")
        .join(names, how="cross")
        .join(sums, on=key, how="left", maintain_order="left")
        .join(why, on=key, how="left", maintain_order="left")
        .with_columns(
            not_measured=pl.when(pl.col("denominator").is_null()).then(
                pl.col("not_measured").fill_null(NO_PATIENTS)
            )
        )
    )


def _with_intervals(counts: pl.DataFrame) -> pl.DataFrame:
    # polars' nulls become NaN here and come back as nulls.
    share = wilson(*(counts[name].cast(pl.Float64).to_numpy() for name in _COUNTS[:2]))
    intervals = {"value": share.value, "ci_low": share.ci_low, "ci_high": share.ci_high}
    return (
        counts.with_columns(
            pl.Series(name, values).fill_nan(None) for name, values in intervals.items()
        )
        .sort("month_end", "clinic_id", nulls_last=False, maintain_order=True)
        .select(
            month=pl.col("month_end").dt.strftime("%Y-%m"),
            clinic_id="clinic_id",
            measure="measure",
            **{name: pl.col(name) for name in (*_COUNTS, *intervals)},
            suppressed=pl.lit(False),
            not_measured="not_measured",
        )
    )
