"""Unit rows: what the rules of the quality measures share.

In    the men's rows as of a day, their doses and courses, the days on which men are counted
Out   scans, draws, results, events and rows in quarantine, as the rules join them
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from functools import cached_property

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.reference.measures import Measure
from e2analytics.tables.patient_data import BONE_SITES, MS_EQUIVALENT, PatientData


def days_of(measure: Measure, name: str) -> timedelta:
    """Return a window of a measure."""
    return timedelta(days=measure.days[name])


def within(day: str, first: pl.Expr, last: pl.Expr) -> pl.Expr:
    """Tell whether a day lies from ``first`` to ``last``."""
    return pl.col(day).is_between(first, last)


def in_look_back(measure: Measure) -> pl.Expr:
    """Tell whether a row was collected in the days before the day on which its unit is counted."""
    day = pl.col("collected_on")
    first = pl.col("counted_on") - days_of(measure, "before")
    return (day <= pl.col("counted_on")) & (day > first)


def with_any(units: pl.DataFrame, rows: pl.DataFrame, when: pl.Expr, name: str) -> pl.DataFrame:
    """Add to each unit, as ``name``, whether ``when`` holds for any row of its man."""
    numbered = units.with_row_index("unit_number")
    found = numbered.join(rows, on="patient_id").filter(when)
    is_found = pl.col("unit_number").is_in(found["unit_number"].unique().implode())
    return numbered.with_columns(is_found.alias(name)).drop("unit_number")


class UnitRows:
    """The men's rows as the measures look at them.

    Parameters
    ----------
    data
        The men's rows.
    doses, courses
        Of :mod:`e2analytics.measures.treatment_history`.
    days
        Days on which men under treatment are counted.
    """

    def __init__(
        self, data: PatientData, doses: pl.DataFrame, courses: pl.DataFrame, days: Sequence[date]
    ) -> None:
        self.data = data
        self.doses = doses
        self.courses = courses
        self.month_ends = pl.DataFrame({"counted_on": days}, schema={"counted_on": pl.Date})
        self.away = treatment_history.absences(data.events, data.medications)

    @cached_property
    def trt(self) -> pl.DataFrame:
        """First known day on testosterone, ``trt_on``, and the day it ended."""
        return treatment_history.on_testosterone(self.data.patients, self.data.medications)

    @cached_property
    def scans(self) -> pl.DataFrame:
        """Bone scans."""
        return self.data.dxa.filter(pl.col("site").is_in(BONE_SITES)).select(
            "patient_id", "site", "scanner_id", "scanned_on"
        )

    @cached_property
    def draws(self) -> pl.DataFrame:
        """Every E2 result; one that is ``pending`` has no value."""
        values = ("value_low", "value_high", *MS_EQUIVALENT)
        unread = self.data.pending_draws.with_columns(
            pl.lit(None, dtype=pl.Float64).alias(name) for name in values
        )
        columns = [
            *("patient_id", "collected_at", "collected_on", "result_id"),
            *(*values, "assay", "in_transition"),
        ]
        on_inhibitor = (pl.col("on_drug") | pl.col("on_other")).alias("on_inhibitor")
        return pl.concat(
            draws.select(*columns, on_inhibitor, pl.lit(is_pending).alias("pending"))
            for draws, is_pending in ((self.data.draws, False), (unread, True))
        )

    @cached_property
    def draws_on_drug(self) -> pl.DataFrame:
        """E2 results under an inhibitor."""
        return self.draws.filter("on_inhibitor")

    @cached_property
    def men_on_drug(self) -> pl.DataFrame:
        """Men on an inhibitor on the last day of each month."""
        in_force = pl.col("started_on") <= pl.col("counted_on")
        men = (
            self.doses.join(self.month_ends, how="cross")
            .filter(in_force, pl.col("ended_on") > pl.col("counted_on"))
            .select("patient_id", "counted_on")
            .unique(maintain_order=True)
        )
        return treatment_history.while_present(men, self.away, "counted_on", "counted_on")

    def results(self, analyte: str) -> pl.DataFrame:
        """Return the results of an analyte."""
        return self.data.labs.filter(pl.col("analyte") == analyte).select(
            "patient_id", "collected_at", "collected_on", "result_id", "value_low"
        )

    def events(self, kind: str) -> pl.DataFrame:
        """Return the events of a kind."""
        return self.data.events.filter(pl.col("kind") == kind).select("patient_id", "occurred_on")

    def unless_pending(
        self, units: pl.DataFrame, what: str | Collection[str], day: str, when: pl.Expr
    ) -> pl.DataFrame:
        """Except the units that a row in quarantine may answer."""
        rows = self.pending(what, day)
        already = pl.col("excepted") if "excepted" in units.columns else pl.lit(False)
        may_be_answered = with_any(units, rows, when, "pending")
        return may_be_answered.with_columns(excepted=already | pl.col("pending")).drop("pending")

    def pending(self, what: str | Collection[str], day: str) -> pl.DataFrame:
        """Return the days, named ``day``, of rows in quarantine."""
        kinds = [what] if isinstance(what, str) else list(what)
        return self.data.pending.filter(pl.col("what").is_in(kinds)).select(
            "patient_id", pl.col("happened_on").alias(day)
        )

    def done(self, rows: pl.DataFrame, what: str, day: str) -> pl.DataFrame:
        """Return the days of ``rows`` and of rows in quarantine: it was done, whatever its result."""
        return pl.concat([rows.select("patient_id", day), self.pending(what, day)])
