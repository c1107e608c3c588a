"""De-escalations: when an aromatase inhibitor was stopped or its dose cut, and what followed.

In    the men's rows as of a day, comparable scans, days on which testosterone changed, the criteria
Out   de_escalations   grain patient_id, drug, changed_on

A supply that ran out is an end, as an order that was stopped is. A pause up to the days of washout is no change, and
an end in whose place another inhibitor began is no de-escalation. A dose that is lower than the last known one is a cut
on its first day, though an unknown dose lay between. What followed is counted until the next change of an inhibitor. Men who are not judged are left out; descriptive, no status and no tier rests on it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from e2analytics.flags import after_change, judged
from e2analytics.flags.criteria import Criteria
from e2analytics.reference import constants
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.registry import columns_of, order_of
from e2analytics.tables.vocabulary import TREATMENT_CHANGES

_OF_DRUG: Final = ["patient_id", "drug"]
_DOWN: Final = ("stopped", "cut")


def de_escalations(
    data: PatientData,
    exposures: pl.DataFrame,
    testosterone_changes: pl.DataFrame,
    criteria: Criteria,
) -> pl.DataFrame:
    """Return each de-escalation with what was done and what followed.

    Parameters
    ----------
    data
        The men's rows.
    exposures
        Comparable scans with their change and its verdict.
    testosterone_changes
        ``patient_id, changed_on``.
    criteria
        The day, the limit in use, days to steady state and of washout.
    """
    changes = treatment_changes(data.episodes, criteria.settings.washout_days)
    rows = (
        changes.filter(pl.col("change").is_in(_DOWN))
        .join(_not_judged(data, criteria), on="patient_id", how="anti")
        .join(data.patients.select("patient_id", "clinic_id"), on="patient_id")
        .join(_next_changes(changes), on=["patient_id", "changed_on"], how="left")
        .pipe(_with_follow_up, data.events, criteria)
        .sort(order_of("de_escalations"))
        .with_row_index("row")
    )
    followed = (
        after_change.estradiol(rows, data, criteria),
        after_change.symptoms(rows, data, criteria),
        after_change.bone_resorption(rows, data, criteria),
        after_change.next_scan(rows, data, exposures, criteria),
        _testosterone(rows, testosterone_changes),
    )
    for outcome in followed:
        rows = rows.join(outcome, on="row", how="left", validate="1:1", maintain_order="left")
    return rows.with_columns(
        as_of=pl.lit(criteria.as_of), lower_limit_pg_ml=criteria.limit.lower_limit_pg_ml
    ).select(columns_of("de_escalations"))


def treatment_changes(episodes: pl.DataFrame, longest_pause_days: int) -> pl.DataFrame:
    """Return every start, end and change of dose of an inhibitor.

    Parameters
    ----------
    episodes
        Spells of one drug at one dose.
    longest_pause_days
        A pause up to so long is none.

    Returns
    -------
    DataFrame
        ``patient_id, drug, changed_on, change``; of ends and changes of dose also ``held_since_on`` and ``held_until_on``,
        the spell before, ``from_mg_per_week`` and ``to_mg_per_week``. Where a known dose follows an unknown one, the
        spell before is the last one of a known dose, and ``dose_unknown_since_on`` the first day between.
    """
    spells = _without_pauses(episodes, longest_pause_days)
    dose, began, ended = (pl.col(name) for name in ("weekly_dose_mg", "started_on", "ended_on"))
    pause = (began.shift(-1) - ended).dt.total_days()
    goes_on = (_is_alike(-1) & (pause <= longest_pause_days)).fill_null(False)
    to = pl.col("to_mg_per_week")
    ends = (
        spells.with_columns(goes_on=goes_on, next_on=began.shift(-1), next_dose=dose.shift(-1))
        .pipe(_with_last_known_dose)
        .filter(ended.is_not_null())
        .select(
            *_OF_DRUG,
            "goes_on",
            "dose_unknown_since_on",
            changed_on=pl.when("goes_on").then("next_on").otherwise(ended),
            held_since_on="known_since_on",
            held_until_on="known_until_on",
            from_mg_per_week="known_dose",
            to_mg_per_week=pl.when("goes_on").then("next_dose").otherwise(0.0),
        )
        .with_columns(
            change=pl.when(~pl.col("goes_on"))
            .then(pl.lit("stopped"))
            .when(to < pl.col("from_mg_per_week"))
            .then(pl.lit("cut"))
            .when(to > pl.col("from_mg_per_week"))
            .then(pl.lit("raised"))
            .otherwise(pl.lit("dose_unknown"))
        )
        .drop("goes_on")
    )
    starts = spells.filter(~goes_on.shift(1, fill_value=False)).select(
        *_OF_DRUG, changed_on="started_on", change=pl.lit("begun")
    )
    return pl.concat([_with_switches(ends, spells), starts], how="diagonal")


def _without_pauses(episodes: pl.DataFrame, longest_pause_days: int) -> pl.DataFrame:
    gap = (pl.col("started_on") - pl.col("ended_on").shift(1)).dt.total_days()
    same = pl.col("weekly_dose_mg") == pl.col("weekly_dose_mg").shift(1)
    goes_on = (_is_alike(1) & same & (gap <= longest_pause_days)).fill_null(False)
    return (
        episodes.sort(*_OF_DRUG, "started_on")
        .with_columns(spell=(~goes_on).cum_sum())
        .group_by("spell", maintain_order=True)
        .agg(pl.col(*_OF_DRUG, "started_on", "weekly_dose_mg").first(), pl.col("ended_on").last())
    )


def _with_last_known_dose(spells: pl.DataFrame) -> pl.DataFrame:
    """Add the spell that the next one is compared with: its own, or the last one of a known dose.

    What follows an unknown dose at a known one differs from what was known before, whatever lay between. A known dose
    of before an end says nothing: ``goes_on`` ties spells of one treatment together.
    """
    dose, began = pl.col("weekly_dose_mg"), pl.col("started_on")
    treatment = (~pl.col("goes_on").shift(1, fill_value=False)).cum_sum()

    def last(column: pl.Expr, where: pl.Expr) -> pl.Expr:
        return pl.when(where).then(column).forward_fill().over("treatment")

    is_first_unknown = dose.is_null() & dose.shift(1).over("treatment").is_not_null()
    return (
        spells.with_columns(treatment=treatment)
        .with_columns(
            between=dose.is_null() & pl.col("next_dose").is_not_null() & pl.col("goes_on"),
            last_dose=last(dose, dose.is_not_null()),
            last_since_on=last(began, dose.is_not_null()),
            last_until_on=last(pl.col("ended_on"), dose.is_not_null()),
            unknown_since_on=last(began, is_first_unknown),
        )
        .with_columns(between=pl.col("between") & pl.col("last_dose").is_not_null())
        .with_columns(
            known_dose=pl.when("between").then("last_dose").otherwise(dose),
            known_since_on=pl.when("between").then("last_since_on").otherwise(began),
            known_until_on=pl.when("between").then("last_until_on").otherwise("ended_on"),
            dose_unknown_since_on=pl.when("between").then("unknown_since_on"),
        )
    )


def _is_alike(shift: int) -> pl.Expr:
    """Tell whether the row before (1) or after (-1) is of the same man and drug: rows are in this order."""
    return pl.all_horizontal(pl.col(name) == pl.col(name).shift(shift) for name in _OF_DRUG)


def _with_switches(ends: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    """Call an end a switch where another inhibitor began in its place, or goes on: his E2 does not recover."""
    others = spells.select("patient_id", other="drug", began_on="started_on", off_on="ended_on")
    day = pl.col("changed_on")
    in_its_place = (
        pl.col("began_on") - day
    ).dt.total_days().abs() <= constants.RENEWAL_GAP_DAYS.value
    goes_on = (pl.col("began_on") <= day) & (pl.col("off_on") > day).fill_null(True)
    switched = (
        ends.filter(pl.col("change") == "stopped")
        .select(*_OF_DRUG, "changed_on")
        .join(others, on="patient_id")
        .filter(pl.col("other") != pl.col("drug"), in_its_place | goes_on)
        .select(*_OF_DRUG, "changed_on", switched=pl.lit(True))
        .unique()
    )
    return (
        ends.join(switched, on=[*_OF_DRUG, "changed_on"], how="left", maintain_order="left")
        .with_columns(change=pl.when("switched").then(pl.lit("switched")).otherwise("change"))
        .drop("switched")
    )


def _next_changes(changes: pl.DataFrame) -> pl.DataFrame:
    """Return for each day on which a man's treatment changed the next such day, and what was done on it."""
    order = {name: place for place, name in enumerate(TREATMENT_CHANGES)}
    place = pl.col("change").replace_strict(order, return_dtype=pl.Int64)
    is_his = pl.col("patient_id") == pl.col("patient_id").shift(-1)
    return (
        changes.sort("patient_id", "changed_on", place)
        .unique(["patient_id", "changed_on"], keep="first", maintain_order=True)
        .select(
            "patient_id",
            "changed_on",
            next_on=pl.when(is_his).then(pl.col("changed_on").shift(-1)),
            next_change=pl.when(is_his).then(pl.col("change").shift(-1)),
        )
    )


def _with_follow_up(rows: pl.DataFrame, events: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Add until when what follows counts, and what ended it."""
    gone = events.filter(pl.col("kind").is_in(["died", "left_clinic"])).select(
        "patient_id", gone_on="occurred_on"
    )
    first_gone = (
        rows.select(*_OF_DRUG, "changed_on")
        .join(gone, on="patient_id")
        .filter(pl.col("gone_on") >= pl.col("changed_on"))
        .group_by(*_OF_DRUG, "changed_on")
        .agg(pl.col("gone_on").min())
    )
    is_gone = (pl.col("gone_on") < pl.col("next_on")).fill_null(pl.col("gone_on").is_not_null())
    return rows.join(first_gone, on=[*_OF_DRUG, "changed_on"], how="left").with_columns(
        followed_until_on=pl.min_horizontal("next_on", "gone_on", pl.lit(criteria.as_of)),
        ended_by=pl.when(is_gone).then(pl.lit("gone")).otherwise("next_change"),
    )


def _not_judged(data: PatientData, criteria: Criteria) -> pl.DataFrame:
    treated = data.episodes.group_by("patient_id").agg(pl.col("ordered_on").max())
    # Who died or left stays, but for the reasons that hold of him besides.
    staying = replace(data, events=data.events.clear())
    return judged.set_apart(treated, staying, criteria.as_of).select("patient_id")


def _testosterone(rows: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.select("row", "patient_id", "changed_on", "followed_until_on")
        .join(changes.rename({"changed_on": "on"}), on="patient_id")
        .filter(pl.col("on") > pl.col("changed_on"), pl.col("on") <= pl.col("followed_until_on"))
        .group_by("row")
        .agg(testosterone_changed_on=pl.col("on").min())
    )
