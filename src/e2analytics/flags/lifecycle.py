"""Lifecycle: which flags are new, open, resolved or reopened, and why anything changed.

In    the cohort of a day, the cohort and the flags of the run before
Out   flags         grain patient_id: the flagged men, and those whose flag is resolved
      flag_events   grain run_id, patient_id, event: what changed at which run, and why; only ever added to

The cause of a change is what differs between the two runs: the man's rows, the model, the limit, the rules,
the day. Where several differ, all are named.
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

import polars as pl

from e2analytics.flags import rules as flag_rules
from e2analytics.tables.registry import columns_of

_SEPARATOR: Final = "; "
_COMPARED: Final = (
    "as_of",
    "tier",
    "status",
    "reasons",
    "results_digest",
    "dose_digest",
    "scans_digest",
    "model_id",
    "rules_id",
    "lower_limit_pg_ml",
)


class FlagState(NamedTuple):
    """The cohort and the flags of a run."""

    cohort: pl.DataFrame
    flags: pl.DataFrame


def flags(cohort: pl.DataFrame, before: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """Return the flagged men with the state of their flag, and the men whose flag is resolved.

    Parameters
    ----------
    cohort
        The men on the as-of date.
    before
        The flags as of the last day before it.
    as_of
        The day.
    """
    history = ["first_flagged_on", "state", "review_state", "review_note"]
    earlier = before.filter(pl.col("first_flagged_on") <= as_of)
    in_cohort = (
        cohort.join(earlier.select("patient_id", *history), on="patient_id", how="left")
        .filter((pl.col("tier") != "none") | pl.col("first_flagged_on").is_not_null())
        .with_columns(
            pl.col("first_flagged_on").fill_null(as_of),
            pl.col("review_state").fill_null("not_reviewed"),
            state=_state(as_of),
        )
    )
    # Off the drug, or no longer in care: the flag is resolved and its history stays.
    gone = earlier.join(cohort, on="patient_id", how="anti").with_columns(
        pl.lit(as_of).alias("as_of"),
        tier=pl.lit("none"),
        reasons=pl.lit("no_longer_in_cohort"),
        state=pl.lit("resolved"),
    )
    columns = columns_of("flags")
    return pl.concat([in_cohort.select(columns), gone.select(columns)]).sort("patient_id")


def _state(as_of: date) -> pl.Expr:
    was_resolved = pl.col("state").is_in(["resolved", "reopened"])
    return (
        pl.when(pl.col("tier") == "none")
        .then(pl.lit("resolved"))
        .when(pl.col("first_flagged_on").fill_null(as_of) == as_of)
        .then(pl.lit("new"))
        .when(was_resolved)
        .then(pl.lit("reopened"))
        .otherwise(pl.lit("open"))
    )


def events(was: FlagState, now: FlagState, *, as_of: date, run_id: str) -> pl.DataFrame:
    """Return the changes of flags and statuses between two runs, with their causes."""
    flagged_before = was.flags.select("patient_id", had_flag=pl.lit(True))
    compared = (
        now.cohort.select("patient_id", "clinic_id", *_COMPARED, is_here=pl.lit(True))
        .join(
            was.cohort.select("patient_id", "clinic_id", *_COMPARED, was_here=pl.lit(True)),
            on="patient_id",
            how="full",
            coalesce=True,
            suffix="_was",
        )
        .join(flagged_before, on="patient_id", how="left")
        .with_columns(
            pl.col("is_here", "was_here", "had_flag").fill_null(False),
            pl.col("tier", "tier_was").fill_null("none"),
            clinic_id=pl.coalesce("clinic_id", "clinic_id_was"),
        )
        .with_columns(why=_why(as_of))
    )
    opens = (pl.col("tier") != "none") & (pl.col("tier_was") == "none")
    closes = (pl.col("tier") == "none") & (pl.col("tier_was") != "none")
    goes_on = (pl.col("tier") != "none") & (pl.col("tier_was") != "none")
    in_both = pl.col("is_here") & pl.col("was_here")
    found = {
        "new": (opens & ~pl.col("had_flag"), "tier"),
        "reopened": (opens & pl.col("had_flag"), "tier"),
        "resolved": (closes, "tier"),
        "tier_changed": (goes_on & (pl.col("tier") != pl.col("tier_was")), "tier"),
        "status_changed": (in_both & (pl.col("status") != pl.col("status_was")), "status"),
    }
    return (
        pl.concat(
            compared.filter(is_so).select(
                "patient_id",
                "clinic_id",
                "why",
                as_of=pl.lit(as_of),
                run_id=pl.lit(run_id),
                event=pl.lit(name),
                was=f"{what}_was",
                now=what,
            )
            for name, (is_so, what) in found.items()
        )
        .select(columns_of("flag_events"))
        .sort("patient_id", "event")
    )


def _why(as_of: date) -> pl.Expr:
    """Name the causes that differ between the two runs."""
    both = pl.col("is_here") & pl.col("was_here")

    def differs(name: str) -> pl.Expr:
        return both & pl.col(name).ne_missing(pl.col(f"{name}_was"))

    causes = {
        "joined": ~pl.col("was_here"),
        "left": ~pl.col("is_here"),
        "new_result": differs("results_digest"),
        "dose_changed": differs("dose_digest"),
        "new_scan": differs("scans_digest"),
        "new_model": differs("model_id"),
        "limit_changed": differs("lower_limit_pg_ml"),
        "rule_changed": differs("rules_id"),
    }
    other = pl.any_horizontal(causes.values())
    days_passed = both & (pl.col("as_of_was") != as_of)
    by_time = days_passed & (_reason_changed_with_time() | ~other)
    named = [
        *(pl.when(is_so).then(pl.lit(name)) for name, is_so in causes.items()),
        pl.when(by_time).then(pl.lit("time_passed")),
    ]
    joined = pl.concat_str(named, separator=_SEPARATOR, ignore_nulls=True)
    return pl.when(joined == "").then(pl.lit("unexplained")).otherwise(joined)


def _reason_changed_with_time() -> pl.Expr:
    """Tell whether a reason appeared or disappeared that does so with time alone."""

    def has(reasons: str, name: str) -> pl.Expr:
        return pl.col(reasons).str.split(_SEPARATOR).list.contains(name)

    rules = flag_rules.load()
    appeared = [
        has("reasons", name) & ~has("reasons_was", name)
        for name in rules.reasons_with_time("appears")
    ]
    disappeared = [
        has("reasons_was", name) & ~has("reasons", name)
        for name in rules.reasons_with_time("disappears")
    ]
    return pl.any_horizontal(*appeared, *disappeared).fill_null(False)
