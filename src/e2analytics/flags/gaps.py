"""Gaps: what is missing in the care of each man on the drug.

In    the men's rows as of a day, the units of the quality measures, the cohort and the flags of the day
Out   gaps   grain patient_id, gap

The windows are those of the quality measures (``schemas/reference/measures.yaml``). A measure counts a unit in
the month its answer was due, whatever came later; a gap is open until something comes. Clinics that do not
send the data of a gap have none.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.flags import bone
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.criteria import Criteria
from e2analytics.reference import measures
from e2analytics.reference.names import ESTRADIOL, HEMATOCRIT, PSA, VITAMIN_D
from e2analytics.tables.censoring import wholly_above, wholly_below
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import BONE_SCAN, BONE_SITES, CareUnits, PatientData
from e2analytics.tables.registry import columns_of

_FOUND: Final = ["patient_id", "since_on", "due_on"]
# Not only a review answers it: a clinic need not send reviews.
_ASKED_OF_EVERY_CLINIC: Final = "de_escalation_candidate"
_OLD_SCANS: Final = {
    "old_spine_scan": ("lumbar_spine",),
    "old_hip_scan": ("total_hip", "femoral_neck"),
}
_LOW: Final = ("below_range", "low_not_attributable")


def gaps(
    data: PatientData,
    care: CareUnits,
    cohort: pl.DataFrame,
    flags: pl.DataFrame,
    criteria: Criteria,
) -> pl.DataFrame:
    """Return the open gaps of the men of the cohort.

    ``since_on`` is the day of the start, change, scan or result that a gap follows; ``due_on`` is the last day
    on which the answer would have been in time, null where there is none.
    """
    found = _Gaps(data, care, flags, criteria)
    each = {
        "no_recent_e2": found.no_recent_e2(cohort, criteria.settings.informative_days),
        "low_e2_to_repeat": found.low_e2_to_repeat(cohort),
        "no_baseline_dxa": found.no_baseline_dxa(),
        "follow_up_dxa_overdue": found.follow_up_dxa_overdue(),
        "no_e2_after_change": found.no_e2_after_change(),
        "immunoassay_to_repeat": found.immunoassay_to_repeat(),
        "no_vitamin_d": found.untested("vitamin_d_tested", VITAMIN_D),
        "vitamin_d_low": found.vitamin_d_low(),
        "no_haematocrit": found.untested("haematocrit_tested", HEMATOCRIT),
        "haematocrit_high": found.last_above(
            HEMATOCRIT, measures.load().measures["haematocrit_high"].limits["hematocrit_pct"]
        ),
        "no_psa": found.untested("psa_tested", PSA),
        "psa_high": found.last_above(PSA, flag_rules.load().gaps["psa_high"].limits["psa_ng_ml"]),
        "low_e2_not_answered": found.low_e2_not_answered(),
        "de_escalation_candidate": found.de_escalation_candidate(),
        "no_bone_plan": found.no_bone_plan(cohort),
        **{name: found.old_scan(sites) for name, sites in _OLD_SCANS.items()},
    }
    together = pl.concat(
        (
            rows.select(*_FOUND, pl.col("^note$"), gap=pl.lit(name)).sort(_FOUND)
            for name, rows in each.items()
        ),
        how="diagonal",
    )
    return (
        together.join(cohort.select("patient_id", "clinic_id", "as_of"), on="patient_id")
        .join(_not_sent(data.clinics), on=["clinic_id", "gap"], how="anti")
        .sort("patient_id", "gap")
        .unique(["patient_id", "gap"], keep="first", maintain_order=True)
        .select(columns_of("gaps"))
    )


def _not_sent(clinics: Clinics) -> pl.DataFrame:
    """Return the gaps that clinics do not send the data for."""
    measured_by = pl.DataFrame(
        [
            {"gap": name, "measure": gap.measure}
            for name, gap in flag_rules.load().gaps.items()
            if gap.measure and name != _ASKED_OF_EVERY_CLINIC
        ]
    )
    return clinics.unavailable.join(measured_by, on="measure")


def _in_words(analyte: str) -> pl.Expr:
    """Say a result above a line with its unit: ``55.5 %``, ``above 54 %`` or ``54.5 to 56 %``."""
    low, high = (
        pl.col(name).round(2).cast(pl.String).str.strip_suffix(".0")
        for name in ("value_low", "value_high")
    )
    value = (
        pl.when(high.is_null())
        .then(pl.format("above {}", low))
        .when(low == high)
        .then(low)
        .otherwise(pl.format("{} to {}", low, high))
    )
    unit = reference.load("analytes")["analytes"][analyte]["unit"]
    return pl.format("{} {}", value, pl.lit(unit))


class _Gaps:
    """The gaps, one method each, with the frames that several of them share."""

    def __init__(
        self, data: PatientData, care: CareUnits, flags: pl.DataFrame, criteria: Criteria
    ) -> None:
        self._data = data
        self._care = care
        self._flags = flags
        self._criteria = criteria
        self._as_of = criteria.as_of
        self._rules = flag_rules.load().gaps
        self._measures = measures.load().measures

    @cached_property
    def _units(self) -> pl.DataFrame:
        """Units of the quality measures that are not met."""
        return self._care.units.filter(~pl.col("met").fill_null(False), ~pl.col("excepted"))

    @cached_property
    def _course_starts(self) -> pl.DataFrame:
        return self._last(self._care.courses, "started_on", "course_on")

    @cached_property
    def _changes(self) -> pl.DataFrame:
        """Last start or change of dose; a stop is a change as well."""
        began = self._care.doses.filter(pl.col("is_start") | pl.col("is_change"))
        ended = self._data.episodes.drop_nulls("ended_on")
        days = [
            began.select("patient_id", day="started_on"),
            ended.select("patient_id", day="ended_on"),
        ]
        return self._last(pl.concat(days), "day", "changed_on")

    @cached_property
    def _scans(self) -> pl.DataFrame:
        scans = self._data.dxa.filter(pl.col("site").is_in(BONE_SITES))
        return self._with_pending(scans, BONE_SCAN, "scanned_on")

    @cached_property
    def _draws(self) -> pl.DataFrame:
        return self._with_pending(self._data.draws, ESTRADIOL, "collected_on")

    def _with_pending(self, rows: pl.DataFrame, what: str, day: str) -> pl.DataFrame:
        """Return the days on which something was done, also where its row is in quarantine."""
        in_quarantine = self._data.pending.filter(pl.col("what") == what)
        return pl.concat(
            [
                rows.select("patient_id", day),
                in_quarantine.select("patient_id", pl.col("happened_on").alias(day)),
            ]
        )

    def _last(self, rows: pl.DataFrame, day: str, name: str) -> pl.DataFrame:
        return rows.group_by("patient_id").agg(pl.col(day).max().alias(name))

    def _unmet(self, measure: str, *, due: bool = True) -> pl.DataFrame:
        """Return each man's last unmet unit with its days; with ``due``, only units whose day has come."""
        window = self._measures[measure].days
        length = window.get("until", window.get("after", 0))
        units = self._units.filter(pl.col("measure") == measure).with_columns(
            since_on=pl.col("counted_on") - timedelta(days=length)
        )
        day = pl.col("counted_on") if due else pl.col("since_on")
        return (
            units.filter(day <= self._as_of)
            .group_by("patient_id")
            .agg(pl.col("since_on").max(), due_on=pl.col("counted_on").max())
        )

    def _unmet_today(self, measure: str) -> pl.DataFrame:
        """Return the men whose unit of the as-of date is unmet, of a measure counted on single days."""
        today = pl.col("counted_on") == self._as_of
        return self._units.filter(pl.col("measure") == measure, today).select("patient_id")

    def _without(self, units: pl.DataFrame, rows: pl.DataFrame, when: pl.Expr) -> pl.DataFrame:
        """Leave out units of men with a row for which ``when`` holds."""
        answered = units.join(rows, on="patient_id").filter(when)
        return units.join(answered, on="patient_id", how="anti")

    def _without_unit(self, units: pl.DataFrame, rows: pl.DataFrame, when: pl.Expr) -> pl.DataFrame:
        """Leave out units for which ``when`` holds with a row of their man, and only these."""
        numbered = units.with_row_index("unit")
        answered = numbered.join(rows, on="patient_id").filter(when)
        return numbered.join(answered, on="unit", how="anti").drop("unit")

    def no_recent_e2(self, cohort: pl.DataFrame, days: int) -> pl.DataFrame:
        last = self._last(self._draws, "collected_on", "since_on")
        due_on = pl.col("since_on") + timedelta(days=days)
        return (
            cohort.select("patient_id")
            .join(last, on="patient_id", how="left")
            .with_columns(due_on=due_on)
            .filter((pl.col("due_on") < self._as_of).fill_null(True))
        )

    def low_e2_to_repeat(self, cohort: pl.DataFrame) -> pl.DataFrame:
        reasons = pl.col("reasons").str.split("; ")
        return cohort.filter(reasons.list.contains("one_ms_result_below_limit")).select(
            "patient_id", since_on="last_e2_on", due_on=pl.lit(None, dtype=pl.Date)
        )

    def no_bone_plan(self, cohort: pl.DataFrame) -> pl.DataFrame:
        in_time = timedelta(days=self._measures["osteoporosis_action"].days["until"])
        return cohort.drop_nulls("bone_finding_on").select(
            "patient_id",
            since_on="bone_finding_on",
            due_on=pl.col("bone_finding_on") + in_time,
        )

    def old_scan(self, sites: tuple[str, ...]) -> pl.DataFrame:
        """Return the men whose last scan of these sites is too old to support a flag."""
        oldest = bone.oldest_scan(self._criteria)
        last = self._last(
            self._data.dxa.filter(pl.col("site").is_in(sites)), "scanned_on", "since_on"
        )
        waiting = self._data.pending.filter(pl.col("what") == BONE_SCAN)
        old = last.filter(pl.col("since_on") < oldest).with_columns(
            due_on=pl.col("since_on") + (self._as_of - oldest)
        )
        return self._without(old, waiting, pl.col("happened_on") >= oldest)

    def no_baseline_dxa(self) -> pl.DataFrame:
        before = timedelta(days=self._measures["baseline_dxa"].days["before"])
        unmet = self._unmet("baseline_dxa").join(self._course_starts, on="patient_id")
        of_this_course = unmet.filter(pl.col("since_on") >= pl.col("course_on"))
        return self._without(
            of_this_course, self._scans, pl.col("scanned_on") >= pl.col("since_on") - before
        )

    def follow_up_dxa_overdue(self) -> pl.DataFrame:
        unmet = self._unmet("follow_up_dxa").join(self._course_starts, on="patient_id")
        comparable = self._data.pairs.filter(pl.col("why_not").is_null())
        first = self._without(
            unmet.filter(pl.col("since_on") >= pl.col("course_on")),
            comparable,
            pl.col("scanned_on_2") > pl.col("due_on"),
        )
        both = pl.concat([first.select(_FOUND), self._last_scan_too_old().select(_FOUND)])
        return both.group_by("patient_id").agg(pl.col("since_on", "due_on").min())

    def _last_scan_too_old(self) -> pl.DataFrame:
        days = self._measures["follow_up_dxa"].days
        longest, earliest = timedelta(days=days["until"]), timedelta(days=days["from"])
        old = (
            self._last(self._scans, "scanned_on", "since_on")
            .join(self._course_starts, on="patient_id")
            .with_columns(due_on=pl.max_horizontal("since_on", "course_on") + longest)
            .filter(
                pl.col("due_on") < self._as_of,
                pl.col("since_on") >= pl.col("course_on") - timedelta(days=days["before"]),
            )
        )
        refused = self._data.events.filter(pl.col("kind") == "dxa_refused")
        return self._without(old, refused, pl.col("occurred_on") >= pl.col("since_on") + earliest)

    def no_e2_after_change(self) -> pl.DataFrame:
        steady = timedelta(days=self._measures["e2_after_change"].days["from"])
        last_change = self._unmet("e2_after_change").join(
            self._changes, left_on=["patient_id", "since_on"], right_on=["patient_id", "changed_on"]
        )
        drawn = pl.col("collected_on") >= pl.col("since_on") + steady
        return self._without(last_change, self._draws, drawn)

    def immunoassay_to_repeat(self) -> pl.DataFrame:
        by_ms = pl.col("assay") == "ms"
        last = (
            self._data.draws.filter(~by_ms)
            .sort("collected_at", "result_id")
            .unique("patient_id", keep="last", maintain_order=True)
            .filter(wholly_below(self._rules["immunoassay_to_repeat"].limits["e2_pg_ml"]))
            .select("patient_id", since_on="collected_on", due_on=pl.lit(None, dtype=pl.Date))
        )
        repeated = self._data.draws.filter(by_ms)
        return self._without(last, repeated, pl.col("collected_on") >= pl.col("since_on"))

    @cached_property
    def _vitamin_d(self) -> pl.DataFrame:
        results = self._data.labs.filter(pl.col("analyte") == VITAMIN_D)
        return self._last(results, "collected_on", "since_on")

    def vitamin_d_low(self) -> pl.DataFrame:
        low = self._unmet_today("vitamin_d_sufficient")
        tested = low.join(self._unmet_today("vitamin_d_tested"), on="patient_id", how="anti")
        return tested.join(self._vitamin_d, on="patient_id").with_columns(
            due_on=pl.lit(None, dtype=pl.Date)
        )

    def untested(self, measure: str, analyte: str) -> pl.DataFrame:
        """Return the men whose test of a measure that asks for one in so many days is missing, with their last."""
        for_so_long = timedelta(days=self._measures[measure].days["before"])
        last = self._last(
            self._data.labs.filter(pl.col("analyte") == analyte), "collected_on", "since_on"
        )
        return (
            self._unmet_today(measure)
            .join(last, on="patient_id", how="left")
            .with_columns(due_on=pl.col("since_on") + for_so_long)
        )

    def last_above(self, analyte: str, line: float) -> pl.DataFrame:
        """Return the men whose last known result lies wholly above a line, with it in words.

        A later result that waits does not take it away: nobody knows yet what it is.
        """
        last = (
            self._data.labs.filter(pl.col("analyte") == analyte)
            .sort("collected_at", "result_id")
            .unique("patient_id", keep="last", maintain_order=True)
            .filter(wholly_above(line))
        )
        waiting = (
            self._data.pending.filter(pl.col("what") == analyte)
            .join(last.select("patient_id", "collected_on"), on="patient_id")
            .filter(pl.col("happened_on") > pl.col("collected_on"))
            .group_by("patient_id")
            .agg(waits_on=pl.col("happened_on").max())
        )
        later = pl.format("; a newer result of {} waits for correction", "waits_on").fill_null("")
        return last.join(waiting, on="patient_id", how="left").select(
            "patient_id",
            since_on="collected_on",
            due_on=pl.lit(None, dtype=pl.Date),
            note=pl.format("{} on {}{}", _in_words(analyte), "collected_on", later),
        )

    def low_e2_not_answered(self) -> pl.DataFrame:
        """Return since when a low E2 waits for a lower dose, or for a result that is not low any more."""
        low = pl.concat([self._low_results_unmet(), self._low_by_estimate()])
        lowered = pl.col("lowered_on").is_between("since_on", self._as_of, closed="right")
        waiting = self._data.pending_draws.filter(~pl.col("in_transition"))
        steady = self._data.draws.filter(~pl.col("in_transition"))
        later = pl.col("collected_on") > pl.col("since_on")
        not_low = (pl.col("value_low") >= pl.col("line_pg_ml")) & (
            (pl.col("assay") == "ms") | ~pl.col("low_by_ms")
        )
        unanswered = (
            low.pipe(self._without_unit, self._care.lowerings, lowered)
            .pipe(self._without_unit, steady, later & not_low)
            .pipe(self._without_unit, waiting, later)
        )
        return unanswered.group_by("patient_id").agg(pl.col("since_on", "due_on").min())

    def _low_results_unmet(self) -> pl.DataFrame:
        """Return each low result that was not answered in time."""
        measure = self._measures["response_to_low_e2"]
        line = measure.limits["e2_pg_ml"]
        of_day = self._data.draws.filter(wholly_below(line)).group_by(
            "patient_id", since_on="collected_on"
        )
        return (
            self._units.filter(
                pl.col("measure") == "response_to_low_e2", pl.col("counted_on") <= self._as_of
            )
            .select(
                "patient_id",
                since_on=pl.col("counted_on") - timedelta(days=measure.days["until"]),
                due_on="counted_on",
            )
            .join(
                of_day.agg(low_by_ms=(pl.col("assay") == "ms").any()),
                on=["patient_id", "since_on"],
            )
            .with_columns(line_pg_ml=pl.lit(line))
        )

    def _low_by_estimate(self) -> pl.DataFrame:
        """Return the men whose flag of low E2 has been open for as long, whatever single results say."""
        in_time = timedelta(days=self._measures["response_to_low_e2"].days["until"])
        by_ms = self._data.draws.group_by("patient_id").agg(
            low_by_ms=(pl.col("assay") == "ms").any()
        )
        flagged = self._flags.filter(
            pl.col("state") != "resolved",
            pl.col("status").is_in(_LOW),
            pl.col("first_flagged_on") + in_time <= self._as_of,
        )
        return flagged.join(by_ms, on="patient_id", how="left").select(
            "patient_id",
            since_on="first_flagged_on",
            due_on=pl.col("first_flagged_on") + in_time,
            low_by_ms=pl.col("low_by_ms").fill_null(False),
            line_pg_ml=pl.lit(self._criteria.limit.lower_limit_pg_ml),
        )

    def de_escalation_candidate(self) -> pl.DataFrame:
        leaner = self._unmet("de_escalation", due=False)
        reviews = self._data.events.filter(pl.col("kind") == "ai_review")
        unseen = self._without(leaner, reviews, pl.col("occurred_on") >= pl.col("since_on"))
        return self._without(unseen, self._changes, pl.col("changed_on") > pl.col("since_on"))
