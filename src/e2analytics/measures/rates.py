"""Measure: the quality measures by month and clinic, for the months that have ended.

In    what is known of the men on the as-of date; the measures of the run before
Out   measures   grain month, clinic_id, measure; clinic_id is null for all clinics together

Every month, clinic and measure has its row. Where a clinic has not yet sent what a measure needs, has sent
it for a shorter time than the measure looks back, or has fallen silent, the row says so in ``not_measured``
and has no numbers: never 0 %. All clinics together are those that are measured. Earlier months are counted
with what is known today, which may be more than was known then; months that are older still keep what they
were last counted at, so that a chart's baseline stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.measures.pending import BONE_SITES
from e2analytics.measures.units import Known, opportunities
from e2analytics.models.proportion import wilson
from e2analytics.reference import measures
from e2analytics.tables.registry import EVENT_DATE

N_MONTHS: Final = 24
NO_PATIENTS: Final = "no_patients"
SILENT: Final = "nothing_came_in"
SHORT_RECORD: Final = "short_record_of_"
_GRAIN: Final = ["month_end", "clinic_id", "measure"]
_COUNTS: Final = ["numerator", "denominator", "n_excepted", "n_reported_separately"]


def measure(known: Known, as_of: date, n_months: int = N_MONTHS) -> pl.DataFrame:
    """Return the measures of the last ``n_months`` months that ended on or before ``as_of``.

    Returns
    -------
    DataFrame
        ``month`` (YYYY-MM), ``clinic_id``, ``measure``, ``numerator``, ``denominator``, ``n_excepted`` (taken
        out of the denominator by an exception), ``n_reported_separately`` (reported beside the measure), ``value`` with the ends
        of its 95 % interval, ``suppressed`` (False here), ``not_measured``, the reason or null, and
        ``counted_as_of``, the day.
    """
    month_ends = _month_ends(as_of, n_months)
    clinics = known.patients.select("patient_id", "clinic_id")
    by_clinic = (
        _grid(clinics, month_ends)
        .join(_counted(known, clinics, month_ends), on=_GRAIN, how="left", maintain_order="left")
        .join(lacking(known, clinics, month_ends), on=_GRAIN, how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("not_measured").is_null()).then(pl.col(name).fill_null(0)).alias(name)
            for name in _COUNTS
        )
    )
    together = _together(by_clinic, month_ends)
    counted = _with_intervals(pl.concat([together, by_clinic.select(together.columns)]))
    return counted.with_columns(pl.lit(as_of).alias("counted_as_of"))


def with_older(counted: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Put before the counted months those that are older, as they were last counted."""
    older = before.filter(pl.col("month") < counted["month"].min())
    return pl.concat([older.select(counted.columns), counted])


def _month_ends(as_of: date, n_months: int) -> list[date]:
    """Return the last days of months, the latest last."""
    first_of_next = (as_of + timedelta(days=1)).replace(day=1)
    firsts = pl.date_range(
        pl.lit(first_of_next).dt.offset_by(f"-{n_months - 1}mo"),
        pl.lit(first_of_next),
        interval="1mo",
        eager=True,
    )
    return (firsts - timedelta(days=1)).to_list()


def _months(month_ends: Sequence[date]) -> pl.DataFrame:
    return pl.DataFrame({"month_end": month_ends}, schema={"month_end": pl.Date})


def _grid(clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    names = pl.DataFrame({"measure": list(measures.load().measures)})
    each_clinic = clinics.select("clinic_id").unique().sort("clinic_id")
    return _months(month_ends).join(each_clinic, how="cross").join(names, how="cross")


def _counted(known: Known, clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    met = pl.col("met").fill_null(False)
    spared = pl.col("excepted") & ~met
    counts = pl.col("met").is_not_null() & ~spared
    return (
        opportunities(known, month_ends)
        .with_columns(month_end=pl.col("counted_on").dt.month_end())
        .filter(pl.col("month_end").is_in(month_ends))
        .join(clinics, on="patient_id")
        .group_by(_GRAIN)
        .agg(
            numerator=met.sum().cast(pl.Int64),
            denominator=counts.sum().cast(pl.Int64),
            n_excepted=spared.sum().cast(pl.Int64),
            n_reported_separately=pl.col("apart").sum().cast(pl.Int64),
        )
    )


def lacking(known: Known, clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Name the first reason for which a clinic says nothing of a measure by the month's end."""
    defined = measures.load()
    needs = pl.DataFrame(
        [
            {"measure": name, "source": source, "look_back_days": each.days.get("record", 0)}
            for name, each in defined.measures.items()
            for source in each.needs
        ]
    )
    since = (
        _first_rows(known)
        .join(clinics, on="patient_id")
        .group_by("clinic_id", "source")
        .agg(since=pl.col("first_on").min())
    )
    missing = pl.col("since").is_null() | (pl.col("since") > pl.col("month_end"))
    recorded_days = (pl.col("month_end") - pl.col("since")).dt.total_days()
    silent = (pl.col("silent_days") > defined.silent_after_days) & (
        pl.col("silent_days") > 2 * pl.col("longest_gap_days")
    )
    reason = (
        pl.when(missing)
        .then(pl.format("no_{}", "source"))
        .when(silent)
        .then(pl.lit(SILENT))
        .when(recorded_days < pl.col("look_back_days"))
        .then(pl.format(f"{SHORT_RECORD}{{}}", "source"))
    )
    return (
        _grid(clinics, month_ends)
        .join(needs, on="measure", maintain_order="left_right")
        .join(since, on=["clinic_id", "source"], how="left", maintain_order="left")
        .join(
            _silences(known, clinics, month_ends),
            on=["clinic_id", "month_end"],
            how="left",
            maintain_order="left",
        )
        .with_columns(not_measured=reason, is_there=~missing)
        .drop_nulls("not_measured")
        .group_by(_GRAIN, maintain_order=True)
        # What never came is worth more to know than what came too late.
        .agg(pl.col("not_measured").sort_by("is_there", maintain_order=True).first())
    )


def _silences(known: Known, clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return how long before each month's end a clinic's last row lies, and its longest gap until then."""
    came = (getattr(known, table).select("patient_id", on=day) for table, day in EVENT_DATE.items())
    waits = known.waiting.select("patient_id", on="happened_on")
    days = pl.concat([*came, waits]).unique()
    of_clinics = (
        days.join(clinics, on="patient_id")
        .select("clinic_id", "on")
        .unique()
        .sort("clinic_id", "on")
        .with_columns(gap_days=pl.col("on").diff().over("clinic_id").dt.total_days())
    )
    return (
        _months(month_ends)
        .join(of_clinics, how="cross")
        .filter(pl.col("on") <= pl.col("month_end"))
        .group_by("clinic_id", "month_end")
        .agg(
            silent_days=(pl.col("month_end").first() - pl.col("on").max()).dt.total_days(),
            longest_gap_days=pl.col("gap_days").max(),
        )
    )


def _first_rows(known: Known) -> pl.DataFrame:
    """Return of each man the first day of each source of data."""
    scans, day = known.dxa, "scanned_on"
    laboratory = known.labs.filter(pl.col("analyte").is_in(measures.LABORATORY))
    events = known.events.filter(pl.col("kind").is_in(measures.EVENTS))
    trt = treatment_history.on_testosterone(known.patients, known.medications)
    sources = [
        laboratory.select("patient_id", source="analyte", first_on="collected_on"),
        events.select("patient_id", source="kind", first_on="occurred_on"),
        trt.select("patient_id", source=pl.lit("trt"), first_on="trt_on"),
        known.medications.select("patient_id", source=pl.lit("medications"), first_on="started_on"),
        scans.filter(pl.col("site").is_in(BONE_SITES)).select(
            "patient_id", source=pl.lit("dxa"), first_on=day
        ),
        scans.drop_nulls("body_fat_pct").select(
            "patient_id", source=pl.lit("body_fat"), first_on=day
        ),
    ]
    return pl.concat(sources).group_by("patient_id", "source").agg(pl.col("first_on").min())


def _together(by_clinic: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Add up the clinics that are measured; where none is, say what they lack."""
    measured = pl.col("not_measured").is_null()
    reasons = pl.col("not_measured").unique().sort().str.join("; ")
    sums = by_clinic.group_by("month_end", "measure").agg(
        pl.when(measured.any()).then(pl.col(name).sum()).alias(name) for name in _COUNTS
    )
    why = by_clinic.group_by("month_end", "measure").agg(
        not_measured=pl.when(~measured.any()).then(reasons)
    )
    nobody = pl.DataFrame({"clinic_id": [None]}, schema={"clinic_id": pl.String})
    names = pl.DataFrame({"measure": list(measures.load().measures)})
    key = ["month_end", "measure"]
    return (
        _months(month_ends)
        .join(nobody, how="cross")
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
