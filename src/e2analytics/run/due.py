"""When each man's answers may next change by time alone.

In    the men's rows and what was found of them as of a day
Out   due   grain patient_id: ``due_on``, the first day after it on which an answer may differ without a new row

Computed generously: on a day too many a man is computed for nothing, on a day too few he would be wrong. A test runs
months of nights and compares every table with that of computing all men each night.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Final

import polars as pl

from e2analytics.exposure.dose_response.predict import STEP_DAYS, AsOf
from e2analytics.flags.cohort import men_on_drug
from e2analytics.ingest.intake import ReadRows
from e2analytics.reference import constants, de_escalation, measures
from e2analytics.reference.drugs import acts_until
from e2analytics.reference.names import ESTRADIOL
from e2analytics.run.frames import FlagTables
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.registry import EVENT_DATE
from e2analytics.tables.state import DUE_SCHEMA

_NEXT_DAY: Final = timedelta(days=1)


def due(
    intake: ReadRows,
    data: PatientData,
    own_levels: pl.DataFrame,
    flagged: FlagTables,
    day: AsOf,
    settings: FlagSettings,
) -> pl.DataFrame:
    """Return when each of these men is next due; who is not there is not.

    Parameters
    ----------
    intake
        Rows of the men, those of days to come among them.
    data
        What happened up to the day.
    own_levels, flagged
        What was found of them.
    day
        The day, and the changes of testosterone until then.
    settings
        The spans of days after which flags change.
    """
    on_drug = men_on_drug(data.episodes, settings, day.day).select("patient_id")
    of_drug = [(_on(rows, on), spans) for rows, on, spans in _turns(data, flagged, settings)]
    of_changes = _on(flagged.de_escalations, "changed_on")
    days = [
        *(_next(rows, [0], day.day) for rows in _to_come(intake)),
        *(
            _next(rows.join(on_drug, on="patient_id", how="semi"), spans, day.day)
            for rows, spans in of_drug
        ),
        _next(of_changes, [*de_escalation.all_days(), settings.washout_days], day.day),
        _steps(own_levels.join(on_drug, on="patient_id", how="semi"), day),
        _birthdays(data.patients.join(on_drug, on="patient_id", how="semi"), day.day),
        _tomorrow(flagged, day.day),
    ]
    return (
        pl.concat(days)
        .group_by("patient_id")
        .agg(pl.col("due_on").min())
        .select(DUE_SCHEMA.keys())
        .sort("patient_id")
    )


def _to_come(intake: ReadRows) -> Iterator[pl.DataFrame]:
    """Yield the days of rows that may lie ahead."""
    for table, day in EVENT_DATE.items():
        yield _on(intake.rows[table], day)
    yield _on(intake.rows["medications"], "stopped_on")
    yield _on(intake.rows["patients"], "trt_started_on")


def _turns(
    data: PatientData, flagged: FlagTables, settings: FlagSettings
) -> Iterator[tuple[pl.DataFrame, str, list[int]]]:
    """Yield rows of men on the drug, the name of their day, and the spans of days that are counted from it."""
    windows = {name: each.days for name, each in measures.load().measures.items()}
    answered = windows["response_to_low_e2"]["until"]
    courses = [settings.steady_state_days, windows["baseline_dxa"]["after"]]
    courses += [windows["e2_after_change"][name] for name in ("from", "until")]
    courses += [windows["follow_up_dxa"][name] for name in ("after", "course", "until")]
    long_on = [windows[name]["course"] for name in ("haematocrit_tested", "psa_tested")]
    old_scan = round(settings.old_scan_years * constants.DAYS_PER_YEAR)
    scans = [old_scan, *windows["follow_up_dxa"].values(), windows["de_escalation"]["until"]]
    tests = sorted({days for each in windows.values() if (days := each.get("before"))})
    yield data.episodes, "started_on", courses
    yield data.episodes, "ended_on", [0, settings.washout_days, *courses]
    yield data.episodes, "ordered_on", [settings.old_order_days]
    yield data.episodes, "listed_on", [settings.old_order_days]
    yield data.medications, "started_on", long_on
    yield data.medications, "stopped_on", [settings.washout_days]
    yield data.medications.with_columns(acts_until=acts_until()), "acts_until", [0]
    yield data.patients, "trt_started_on", long_on
    yield (
        data.draws,
        "collected_on",
        [settings.informative_days, settings.long_below_days, answered],
    )
    yield data.labs.filter(pl.col("analyte").is_in(_analytes())), "collected_on", tests
    yield data.dxa, "scanned_on", scans
    yield data.events, "occurred_on", [*tests, windows["osteoporosis_action"]["until"]]
    yield data.pending, "happened_on", [settings.informative_days, answered, old_scan, *tests]
    yield flagged.flags, "first_flagged_on", [answered]


@cache
def _analytes() -> tuple[str, ...]:
    """Return the analytes whose results grow old beside E2: of measures, and signs for a measure."""
    tested = {*measures.load().sources_of_kind("laboratory")} - {ESTRADIOL}
    return (*sorted(tested), "pth", "calcium")


def _on(rows: pl.DataFrame, day: str) -> pl.DataFrame:
    return rows.select(pl.col("patient_id").cast(pl.String), on=day).drop_nulls()


def _next(rows: pl.DataFrame, spans: Sequence[int], as_of: date) -> pl.DataFrame:
    """Return the first day after ``as_of`` that lies a span, or a span and a day, after a row's day."""
    last = max(spans) + 1
    recent = rows.filter(pl.col("on") + timedelta(days=last) > as_of).unique()
    found = [pl.DataFrame(schema=DUE_SCHEMA)]
    for span in sorted({days + more for days in spans for more in (0, 1)}):
        due_on = pl.col("on") + timedelta(days=span)
        found.append(recent.filter(due_on > as_of).group_by("patient_id").agg(due_on=due_on.min()))
    return pl.concat(found)


def _steps(own_levels: pl.DataFrame, day: AsOf) -> pl.DataFrame:
    """Return when the E2 of men is next carried forward."""
    due_on = day.carried_to(own_levels) + timedelta(days=STEP_DAYS)
    return own_levels.select("patient_id", due_on=due_on)


def _birthdays(patients: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return each man's next birthday."""
    born = patients.drop_nulls("birth_date")
    years = as_of.year - pl.col("birth_date").dt.year()
    this_year, next_year = (
        pl.col("birth_date").dt.offset_by(pl.format("{}y", years + more)) for more in (0, 1)
    )
    first = pl.when(this_year > as_of).then(this_year).otherwise(next_year)
    return born.select("patient_id", due_on=first)


def _tomorrow(flagged: FlagTables, as_of: date) -> pl.DataFrame:
    """Return the men whose flag is new, or whose follow-up after a change ended today: so for one day."""
    new = flagged.flags.filter(pl.col("state") == "new")
    ended_now = flagged.de_escalations.filter(
        pl.col("followed_until_on") == as_of, pl.col("ended_by").is_not_null()
    )
    return pl.concat(
        rows.select("patient_id", due_on=pl.lit(as_of + _NEXT_DAY)) for rows in (new, ended_now)
    ).unique()
