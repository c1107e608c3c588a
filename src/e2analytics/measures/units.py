"""Measure units: everything that a quality measure counts, and whether it was met.

In    the men's rows as of a day, and the last days of the months
Out   measure units   grain: a unit of a measure; ``counted_on`` says in which month

``met`` is null where the unit cannot be assessed. A unit that is ``excepted`` and not met does not count.
``apart`` marks units that are reported next to the measure. ``schemas/reference/measures.yaml`` defines what
each measure counts, with all its numbers. A unit is counted when its answer was due: later rows do not change
it.

A row in quarantine is no lack of care. It answers a measure that asks whether something was done; where a
measure asks for a finding, it excepts the unit until the row is corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Final

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.measures.availability import unavailable
from e2analytics.reference import measures
from e2analytics.reference.measures import Measure
from e2analytics.reference.names import BONE_DRUGS, VITAMIN_D
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.patient_data import BONE_SCAN, BONE_SITES, CareUnits, PatientData
from e2analytics.tables.vocabulary import FITTED_SITES

_COLUMNS: Final = ["measure", "patient_id", "counted_on", "met", "excepted", "apart"]


def care_units(data: PatientData, days: Iterable[date]) -> CareUnits:
    """Return the units of all measures, with what clinics do not send, and the courses of treatment.

    Parameters
    ----------
    data
        The men's rows.
    days
        Days on which men under treatment are counted: the last days of months.
    """
    each_day = sorted(set(days))
    doses = treatment_history.numbered(data.episodes, measures.load().new_start_after_days)
    courses = treatment_history.courses(doses)
    return CareUnits(
        units=measure_units(data, doses, courses, each_day),
        unavailable=unavailable(data, each_day),
        doses=doses,
        courses=courses,
    )


def measure_units(
    data: PatientData, doses: pl.DataFrame, courses: pl.DataFrame, days: Sequence[date]
) -> pl.DataFrame:
    """Return the units of all measures.

    Parameters
    ----------
    data
        The men's rows.
    doses, courses
        Of :mod:`e2analytics.measures.treatment_history`.
    days
        Days on which men under treatment are counted.
    """
    counts = _Counts(data, doses, courses, days)
    rules: Mapping[str, Callable[[Measure], pl.DataFrame]] = {
        "baseline_dxa": counts.baseline_dxa,
        "follow_up_dxa": counts.follow_up_dxa,
        "e2_after_change": counts.e2_after_change,
        "ms_share": counts.ms_share,
        "e2_below_red_line": counts.e2_below,
        "e2_below_amber_line": counts.e2_below,
        "response_to_low_e2": counts.response_to_low_e2,
        "indicated_start": counts.indicated_start,
        "vitamin_d_tested": counts.vitamin_d_tested,
        "vitamin_d_sufficient": counts.vitamin_d_sufficient,
        "calcium_counselling": counts.calcium_counselling,
        "bone_loss": counts.bone_loss,
        "t_safety": counts.t_safety,
        "osteoporosis_action": counts.osteoporosis_action,
        "de_escalation": counts.de_escalation,
    }
    return pl.concat(
        _units(name, rules[name](measure)) for name, measure in measures.load().measures.items()
    )


def _units(name: str, found: pl.DataFrame) -> pl.DataFrame:
    others = {"excepted": False, "apart": False}
    filled = found.with_columns(
        pl.lit(name).alias("measure"),
        *(pl.lit(value).alias(key) for key, value in others.items() if key not in found.columns),
    )
    return filled.select(_COLUMNS)


def _days(measure: Measure, name: str) -> timedelta:
    return timedelta(days=measure.days[name])


def _within(day: str, first: pl.Expr, last: pl.Expr) -> pl.Expr:
    return pl.col(day).is_between(first, last)


def _any(units: pl.DataFrame, rows: pl.DataFrame, when: pl.Expr, name: str) -> pl.DataFrame:
    """Add to each unit whether any of its man's rows is as said, under ``name``."""
    numbered = units.with_row_index("unit_number")
    found = numbered.join(rows, on="patient_id").filter(when)
    is_found = pl.col("unit_number").is_in(found["unit_number"].unique().implode())
    return numbered.with_columns(is_found.alias(name)).drop("unit_number")


class _Counts:
    """The rules, one method each, over what several of them share."""

    def __init__(
        self, data: PatientData, doses: pl.DataFrame, courses: pl.DataFrame, days: Sequence[date]
    ) -> None:
        self._data = data
        self._doses = doses
        self._courses = courses
        self._month_ends = pl.DataFrame({"counted_on": days}, schema={"counted_on": pl.Date})
        self._away = treatment_history.absences(data.events, data.medications)

    @cached_property
    def _scans(self) -> pl.DataFrame:
        return self._data.dxa.filter(pl.col("site").is_in(BONE_SITES)).select(
            "patient_id", "site", "scanner_id", "scanned_on"
        )

    @cached_property
    def _draws(self) -> pl.DataFrame:
        """Every E2; a result that ``waits`` has no value."""
        no_value = pl.lit(None, dtype=pl.Float64)
        unread = self._data.pending_draws.with_columns(value_low=no_value, value_high=no_value)
        columns = [
            *("patient_id", "collected_at", "collected_on", "result_id"),
            *("value_low", "value_high", "assay", "in_transition"),
        ]
        on_inhibitor = (pl.col("on_drug") | pl.col("on_other")).alias("on_inhibitor")
        return pl.concat(
            draws.select(*columns, on_inhibitor, pl.lit(waits).alias("waits"))
            for draws, waits in ((self._data.draws, False), (unread, True))
        )

    @cached_property
    def _draws_on_drug(self) -> pl.DataFrame:
        return self._draws.filter("on_inhibitor")

    @cached_property
    def _men_on_drug(self) -> pl.DataFrame:
        """Men on an inhibitor on the last day of each month."""
        in_force = pl.col("started_on") <= pl.col("counted_on")
        men = (
            self._doses.join(self._month_ends, how="cross")
            .filter(in_force, pl.col("ended_on") > pl.col("counted_on"))
            .select("patient_id", "counted_on")
            .unique(maintain_order=True)
        )
        return treatment_history.while_present(men, self._away, "counted_on", "counted_on")

    def _results(self, analyte: str) -> pl.DataFrame:
        return self._data.labs.filter(pl.col("analyte") == analyte).select(
            "patient_id", "collected_at", "collected_on", "result_id", "value_low"
        )

    def _events(self, kind: str) -> pl.DataFrame:
        return self._data.events.filter(pl.col("kind") == kind).select("patient_id", "occurred_on")

    def _unless_waiting(
        self, units: pl.DataFrame, what: str | Collection[str], day: str, when: pl.Expr
    ) -> pl.DataFrame:
        """Except units that a row in quarantine may answer."""
        rows = self._waiting(what, day)
        already = pl.col("excepted") if "excepted" in units.columns else pl.lit(False)
        waits = _any(units, rows, when, "waits")
        return waits.with_columns(excepted=already | pl.col("waits")).drop("waits")

    def _waiting(self, what: str | Collection[str], day: str) -> pl.DataFrame:
        """Return the days on which what waits in quarantine happened, named ``day``."""
        kinds = [what] if isinstance(what, str) else list(what)
        return self._data.pending.filter(pl.col("what").is_in(kinds)).select(
            "patient_id", pl.col("happened_on").alias(day)
        )

    def _done(self, rows: pl.DataFrame, what: str, day: str) -> pl.DataFrame:
        """Return the days of ``rows`` and of what waits: it was done, whatever was found."""
        return pl.concat([rows.select("patient_id", day), self._waiting(what, day)])

    def baseline_dxa(self, measure: Measure) -> pl.DataFrame:
        trt = treatment_history.on_testosterone(self._data.patients, self._data.medications)
        starts = (
            self._courses.join(trt, on="patient_id")
            .filter(pl.col("trt_on") <= pl.col("started_on"))
            .with_columns(counted_on=pl.col("started_on") + _days(measure, "after"))
            .filter(pl.col("ended_on") > pl.col("counted_on"))
            .select("patient_id", "started_on", "counted_on")
        )
        present = treatment_history.while_present(starts, self._away, "started_on", "counted_on")
        first, last = pl.col("started_on") - _days(measure, "before"), pl.col("counted_on")
        in_time = _within("scanned_on", first, last)
        done = self._done(self._scans, BONE_SCAN, "scanned_on")
        scanned = _any(present, done, in_time, "met")
        refused = _within("occurred_on", first, last)
        return _any(scanned, self._events("dxa_refused"), refused, "excepted")

    def follow_up_dxa(self, measure: Measure) -> pl.DataFrame:
        start = pl.col("started_on")
        lasting = self._courses.filter(
            pl.col("ended_on") > start + _days(measure, "course")
        ).with_columns(counted_on=start + _days(measure, "until"))
        present = treatment_history.while_present(lasting, self._away, "started_on", "counted_on")
        in_baseline = _within(
            "scanned_on", start - _days(measure, "before"), start + _days(measure, "after")
        )
        with_baseline = _any(present, self._scans, in_baseline, "scanned").filter("scanned")
        # A join leaves out scanners that are not named: nobody knows whether they are the same.
        again = self._scans.join(
            self._scans.rename({"scanned_on": "scanned_again_on"}),
            on=["patient_id", "site", "scanner_id"],
        )
        first, last = start + _days(measure, "from"), pl.col("counted_on")
        in_time = _within("scanned_again_on", first, last)
        followed = _any(with_baseline, again, in_baseline & in_time, "met")
        refused = _within("occurred_on", first, last)
        judged = _any(followed, self._events("dxa_refused"), refused, "excepted")
        again_in_time = _within("scanned_on", first, last)
        return self._unless_waiting(judged, BONE_SCAN, "scanned_on", again_in_time)

    def e2_after_change(self, measure: Measure) -> pl.DataFrame:
        start = pl.col("started_on")
        first = start + _days(measure, "from")
        changes = self._doses.filter(
            pl.col("is_start") | pl.col("is_change"), pl.col("ended_on") >= first
        ).with_columns(counted_on=start + _days(measure, "until"))
        present = treatment_history.while_present(changes, self._away, "started_on", "counted_on")
        drawn = self._done(self._data.draws, "estradiol", "collected_on")
        at_this_dose = pl.col("collected_on") < pl.col("ended_on")
        in_time = _within("collected_on", first, pl.col("counted_on")) & at_this_dose
        return _any(present, drawn, in_time, "met")

    def ms_share(self, measure: Measure) -> pl.DataFrame:
        return self._draws_on_drug.select(
            "patient_id", counted_on="collected_on", met=pl.col("assay") == "ms"
        )

    def e2_below(self, measure: Measure) -> pl.DataFrame:
        line = measure.limits["e2_pg_ml"]
        last_of_month = (
            self._draws_on_drug.filter(~pl.col("in_transition"))
            .with_columns(month=pl.col("collected_on").dt.truncate("1mo"))
            .sort(~pl.col("waits"), "collected_at", "result_id")
            .unique(["patient_id", "month"], keep="last", maintain_order=True)
        )
        # 16 by immunoassay may be 10 or 25: only mass spectrometry tells on which side of the line he is.
        by_ms = pl.col("assay") == "ms"
        not_below = pl.col("value_low") >= line
        met = pl.when(by_ms & wholly_below(line)).then(True).when(by_ms & not_below).then(False)
        return last_of_month.select(
            "patient_id", counted_on="collected_on", met=met, apart=met.is_null()
        )

    def response_to_low_e2(self, measure: Measure) -> pl.DataFrame:
        low = (
            self._draws_on_drug.filter(wholly_below(measure.limits["e2_pg_ml"]))
            .select("patient_id", drawn_on="collected_on")
            .unique(maintain_order=True)
            .with_columns(counted_on=pl.col("drawn_on") + _days(measure, "until"))
        )
        present = treatment_history.while_present(low, self._away, "drawn_on", "counted_on")
        then = self._in_force(present, "drawn_on")
        asked = present.join(then, on=["patient_id", "drawn_on"], how="semi")
        drawn = self._done(self._data.draws, "estradiol", "collected_on")
        soon = (pl.col("collected_on") > pl.col("drawn_on")) & (
            pl.col("collected_on") <= pl.col("counted_on")
        )
        repeated = _any(asked, drawn, soon, "repeated")
        lowered = _lowered(then, self._in_force(present, "counted_on"))
        return repeated.join(lowered, on=["patient_id", "drawn_on"], how="left").with_columns(
            met=pl.col("repeated") | pl.col("lowered").fill_null(False)
        )

    def _in_force(self, units: pl.DataFrame, day: str) -> pl.DataFrame:
        """Return the inhibitors in force on a day of each unit, one row each."""
        return (
            units.select("patient_id", "drawn_on", pl.col(day).alias("day"))
            .join(self._doses, on="patient_id")
            .filter(pl.col("started_on") <= pl.col("day"), pl.col("ended_on") > pl.col("day"))
            .select("patient_id", "drawn_on", "drug", "weekly_dose_mg")
        )

    def indicated_start(self, measure: Measure) -> pl.DataFrame:
        first = pl.col("started_on") - _days(measure, "before")
        high, with_symptom = (
            measure.limits[name] for name in ("high_e2_pg_ml", "symptomatic_e2_pg_ml")
        )
        starts = self._courses.select("patient_id", "started_on", counted_on="started_on")
        # Of one day the result that can be read speaks.
        last = (
            starts.join(self._draws, on="patient_id")
            .filter(_within("collected_on", first, pl.col("started_on")))
            .sort("collected_on", ~pl.col("waits"), "collected_at", "result_id")
            .group_by("patient_id", "started_on", maintain_order=True)
            .agg(e2=pl.col("value_low").last(), excepted=pl.col("waits").last())
        )
        tested = starts.join(last, on=["patient_id", "started_on"], how="left")
        in_time = _within("occurred_on", first, pl.col("started_on"))
        e2 = pl.col("e2")
        return _any(tested, self._events("symptom"), in_time, "symptom").with_columns(
            met=((e2 > high) | ((e2 >= with_symptom) & pl.col("symptom"))).fill_null(False),
            excepted=pl.col("excepted").fill_null(False),
            apart=pl.col("excepted").is_null(),
        )

    def vitamin_d_tested(self, measure: Measure) -> pl.DataFrame:
        tested = self._done(self._results(VITAMIN_D), VITAMIN_D, "collected_on")
        return _any(self._men_on_drug, tested, _recent(measure), "met")

    def vitamin_d_sufficient(self, measure: Measure) -> pl.DataFrame:
        enough = measure.limits["vitamin_d_ng_ml"]
        last = (
            self._men_on_drug.join(self._results(VITAMIN_D), on="patient_id")
            .filter(_recent(measure))
            .sort("collected_at", "result_id")
            .group_by("patient_id", "counted_on", maintain_order=True)
            .agg(met=pl.col("value_low").last() >= enough, last_on=pl.col("collected_on").last())
        )
        judged = self._men_on_drug.join(last, on=["patient_id", "counted_on"], how="left")
        since = (pl.col("collected_on") > pl.col("last_on")).fill_null(True)
        # The last counts: where that waits, one before it is not what is asked for.
        return self._unless_waiting(
            judged, VITAMIN_D, "collected_on", _recent(measure) & since
        ).with_columns(met=pl.col("met").fill_null(False) & ~pl.col("excepted"))

    def calcium_counselling(self, measure: Measure) -> pl.DataFrame:
        counselled = self._events("counselling").rename({"occurred_on": "collected_on"})
        judged = _any(self._men_on_drug, counselled, _recent(measure), "met")
        return self._unless_waiting(judged, "counselling", "collected_on", _recent(measure))

    def bone_loss(self, measure: Measure) -> pl.DataFrame:
        pairs = self._data.pairs.filter(pl.col("site").is_in(FITTED_SITES))
        on_drug_between = (pl.col("started_on") < pl.col("scanned_on_2")) & (
            pl.col("ended_on") > pl.col("scanned_on")
        )
        spells = self._doses.select("patient_id", "started_on", "ended_on")
        comparable = pl.col("why_not").is_null()
        change_pct = 100 * (pl.col("bmd_g_cm2_2") / pl.col("bmd_g_cm2")).log()
        lost = comparable & (change_pct <= -pl.col("lsc_pct"))
        return (
            _any(pairs, spells, on_drug_between, "on_drug")
            .filter("on_drug")
            .group_by("patient_id", counted_on="scanned_on_2", maintain_order=True)
            .agg(met=pl.when(comparable.any()).then(lost.any()))
            .with_columns(apart=pl.col("met").is_null())
        )

    def t_safety(self, measure: Measure) -> pl.DataFrame:
        trt = treatment_history.on_testosterone(self._data.patients, self._data.medications)
        men = (
            trt.join(self._month_ends, how="cross")
            .filter(
                pl.col("trt_on") + _days(measure, "course") <= pl.col("counted_on"),
                pl.col("trt_ended_on") > pl.col("counted_on"),
            )
            .select("patient_id", "counted_on")
        )
        present = treatment_history.while_present(men, self._away, "counted_on", "counted_on")
        each = ("hematocrit", "psa")
        for analyte in each:
            done = self._done(self._results(analyte), analyte, "collected_on")
            present = _any(present, done, _recent(measure), analyte)
        return present.with_columns(met=pl.all_horizontal(each))

    def osteoporosis_action(self, measure: Measure) -> pl.DataFrame:
        first_scan = (
            self._data.densitometry.filter(
                pl.col("bone_class") == "osteoporosis", pl.col("site").is_in(FITTED_SITES)
            )
            .group_by("patient_id", maintain_order=True)
            .agg(found_on=pl.col("scanned_on").min())
        )
        fractures = self._events("fracture").rename({"occurred_on": "found_on"})
        findings = (
            pl.concat([first_scan, fractures])
            .unique(maintain_order=True)
            .with_columns(counted_on=pl.col("found_on") + _days(measure, "until"))
        )
        present = treatment_history.while_present(findings, self._away, "found_on", "counted_on")
        in_time = _within("occurred_on", pl.col("found_on"), pl.col("counted_on"))
        planned = _any(present, self._events("bone_plan"), in_time, "planned")
        drugs = self._data.medications.filter(pl.col("drug_class").is_in(BONE_DRUGS)).select(
            "patient_id", "started_on", "stopped_on"
        )
        in_force = (pl.col("started_on") <= pl.col("counted_on")) & (
            pl.col("stopped_on").is_null() | (pl.col("stopped_on") > pl.col("found_on"))
        )
        judged = _any(planned, drugs, in_force, "treated").with_columns(
            met=pl.col("planned") | pl.col("treated")
        )
        return self._unless_waiting(judged, ("bone_plan", *BONE_DRUGS), "occurred_on", in_time)

    def de_escalation(self, measure: Measure) -> pl.DataFrame:
        of_scanner = ["patient_id", "scanner_id"]
        scans = (
            self._data.dxa.drop_nulls(["body_fat_pct", "scanner_id"])
            .group_by(*of_scanner, "scanned_on")
            .agg(fat=pl.col("body_fat_pct").mean())
            .sort(*of_scanner, "scanned_on")
        )
        loss = pl.col("fat").shift(1).over(of_scanner) - pl.col("fat")
        leaner = scans.filter(loss >= measure.limits["fat_points"]).select(
            "patient_id",
            "scanned_on",
            counted_on=pl.col("scanned_on") + _days(measure, "until"),
        )
        in_time = _within(
            "collected_on", pl.col("scanned_on") - _days(measure, "before"), pl.col("scanned_on")
        )
        last = (
            leaner.join(self._draws_on_drug, on="patient_id")
            .filter(in_time)
            .sort("collected_at", "result_id")
            .group_by("patient_id", "scanned_on", maintain_order=True)
            .agg(low=pl.col("value_high").last() < measure.limits["e2_pg_ml"])
        )
        low = leaner.join(last.filter("low"), on=["patient_id", "scanned_on"], how="semi")
        on_drug = (pl.col("started_on") <= pl.col("scanned_on")) & (
            pl.col("ended_on") > pl.col("scanned_on")
        )
        treated = _any(low, self._doses, on_drug, "on_drug").filter("on_drug")
        present = treatment_history.while_present(treated, self._away, "scanned_on", "counted_on")
        reviewed = _within("occurred_on", pl.col("scanned_on"), pl.col("counted_on"))
        judged = _any(present, self._events("ai_review"), reviewed, "met")
        return self._unless_waiting(judged, "ai_review", "occurred_on", reviewed)


def _recent(measure: Measure) -> pl.Expr:
    """Tell whether a result lies in the days before a month's last day."""
    day = pl.col("collected_on")
    return (day <= pl.col("counted_on")) & (day > pl.col("counted_on") - _days(measure, "before"))


def _lowered(then: pl.DataFrame, due: pl.DataFrame) -> pl.DataFrame:
    """Tell of each unit whether an inhibitor was stopped or cut, and none raised or begun."""
    unit = ["patient_id", "drawn_on"]
    doses = then.with_columns(then=True).join(
        due.with_columns(due=True), on=[*unit, "drug"], how="full", coalesce=True, suffix="_due"
    )
    stopped = pl.col("due").is_null()
    cut = (pl.col("weekly_dose_mg_due") < pl.col("weekly_dose_mg")).fill_null(False)
    begun = pl.col("then").is_null()
    raised = (pl.col("weekly_dose_mg_due") > pl.col("weekly_dose_mg")).fill_null(False)
    return doses.group_by(unit).agg(lowered=(stopped | cut).any() & ~(begun | raised).any())
