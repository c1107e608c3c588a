"""After a change: E2, symptoms, bone resorption and the next scan of men whose drug was stopped or cut.

In    de-escalations, each a ``row`` with its follow-up; the men's rows
Out   grain row: the columns of ``de_escalations`` about one outcome

"Not yet" is said while an outcome may still come, "not supplied" where nothing came in its window or could: it is never
"no". What waits in quarantine makes "cannot tell", of CTX and scans "not compared".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.flags.criteria import Criteria
from e2analytics.flags.early_signals import reference_change
from e2analytics.reference.de_escalation import days, high_e2_pg_ml, immunoassay_tells_from_pg_ml
from e2analytics.reference.names import ANASTROZOLE, ESTRADIOL
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.patient_data import BONE_SCAN, MS_EQUIVALENT, PatientData
from e2analytics.tables.vocabulary import BREAST_SYMPTOMS, FITTED_SITES

_CTX: Final = "ctx"
_SYMPTOM: Final = "symptom"
_SEPARATOR: Final = "; "


def estradiol(rows: pl.DataFrame, data: PatientData, criteria: Criteria) -> pl.DataFrame:
    """Return E2 before, first after, and whether any result after reached the limit in use or lies high.

    At the limit in use only mass spectrometry gives the side, or an immunoassay far above it; the high line is one of
    equivalents of mass spectrometry, of which ``data.draws`` has the columns.
    """
    settled = _with_settled(rows, data.draws, criteria)
    before = (
        settled.filter("is_before")
        .sort("row", "collected_on", pl.col("assay") == "ms", "collected_at", "result_id")
        .group_by("row", maintain_order=True)
        .agg(*_result("before", pl.Expr.last), e2_was_low=_low(criteria).last())
    )
    reached, high = _reaches(criteria), high_e2_pg_ml()
    least, most = (pl.col(name) for name in MS_EQUIVALENT)
    is_above = (least > high).fill_null(False)
    after = (
        settled.filter("is_after")
        .sort("row", "collected_on", pl.col("assay") != "ms", "collected_at", "result_id")
        .group_by("row", maintain_order=True)
        .agg(
            *_result("after", pl.Expr.first),
            e2_after_days=(pl.col("collected_on") - pl.col("changed_on")).dt.total_days().first(),
            recovered=reached.any(),
            below=_is_below(criteria).any(),
            e2_recovered_on=pl.col("collected_on").filter(reached).first(),
            above=is_above.any(),
            perhaps_above=(~is_above & ~(most <= high).fill_null(False)).any(),
        )
    )
    waits = _waits(rows, data, ESTRADIOL, "e2")
    steady_from = pl.col("held_since_on") + pl.duration(days=criteria.settings.steady_state_days)
    waits_before = (
        rows.join(_pending(data, ESTRADIOL), on="patient_id")
        .filter(pl.col("on").is_between(steady_from, "held_until_on"))
        .select("row", waits_before=pl.lit(True))
        .unique()
    )
    measured = pl.col("e2_after_on").is_not_null()
    nothing = _nothing_yet("e2", criteria)
    of_each = rows.select("row", "changed_on", "ended_by")
    for found in (before, after, waits, waits_before):
        of_each = of_each.join(found, on="row", how="left")
    return of_each.with_columns(
        e2_was_low=pl.coalesce(
            "e2_was_low", pl.when("waits_before").then(pl.lit("cannot_tell")), pl.lit("not_supplied")
        ),
        e2_recovered=pl.when("recovered").then(pl.lit("yes"))
        .when("below").then(pl.lit("no"))
        .when(measured | pl.col("waits")).then(pl.lit("cannot_tell"))
        .otherwise(nothing),
        e2_above_high=pl.when("above").then(pl.lit("yes"))
        .when(pl.col("perhaps_above") | pl.col("waits")).then(pl.lit("cannot_tell"))
        .when(measured).then(pl.lit("no"))
        .otherwise(nothing),
    ).drop("changed_on", "ended_by", "recovered", "below", "above", "perhaps_above", "waits", "waits_before")  # fmt: skip


def symptoms(rows: pl.DataFrame, data: PatientData, criteria: Criteria) -> pl.DataFrame:
    """Return the symptoms after the change, and whether they are of the breast.

    Where a clinic never named a symptom of the breast nobody knows: not supplied.
    """
    events = data.events.filter(pl.col("kind") == _SYMPTOM)
    told = data.clinics.facts.filter("names_breast_symptoms")
    name = pl.col("detail").str.replace_all("_", " ").fill_null("symptom that is not named")
    found = (
        _in_window(rows, events.rename({"occurred_on": "on"}), "symptoms")
        .sort("row", "on", "detail")
        .group_by("row", maintain_order=True)
        .agg(
            symptoms_after=pl.format("{} on {}", name, "on").str.join(_SEPARATOR),
            of_breast=pl.col("detail").is_in(BREAST_SYMPTOMS).any(),
            unnamed=pl.col("detail").is_null().any(),
        )
    )
    is_told = pl.col("clinic_id").is_in(told["clinic_id"].implode())
    return (
        rows.select("row", "clinic_id", "changed_on", "ended_by")
        .join(found, on="row", how="left")
        .join(_waits(rows, data, _SYMPTOM, "symptoms"), on="row", how="left")
        .select(
            "row",
            "symptoms_after",
            breast_symptoms=pl.when("of_breast").then(pl.lit("yes"))
            .when(pl.col("unnamed") | pl.col("waits")).then(pl.lit("cannot_tell"))
            .when(~is_told).then(pl.lit("not_supplied"))
            .when(_is_open("symptoms", criteria)).then(pl.lit("not_yet"))
            .otherwise(pl.lit("no")),
        )
    )  # fmt: skip


def bone_resorption(rows: pl.DataFrame, data: PatientData, criteria: Criteria) -> pl.DataFrame:
    """Return CTX before and after, and its change against the reference change value."""
    results = data.labs.filter(
        pl.col("analyte") == _CTX,
        pl.col("value_low") == pl.col("value_high"),
        pl.col("value_low") > 0,
    ).select("patient_id", "result_id", "performing_lab", value="value_low", on="collected_on")
    joined = (
        rows.select("row", "patient_id", "changed_on", "followed_until_on")
        .join(results, on="patient_id")
        .sort("row", "on", "result_id")
    )
    since = (pl.col("on") - pl.col("changed_on")).dt.total_days()
    is_after = since.is_between(days("ctx_from"), days("ctx")) & (
        pl.col("on") <= pl.col("followed_until_on")
    )
    is_before = since.is_between(-days("ctx_before"), 0)
    before = (
        joined.filter(is_before)
        .group_by("row", maintain_order=True)
        .agg(
            ctx_before_pg_ml=pl.col("value").last(),
            ctx_before_on=pl.col("on").last(),
            lab_before=pl.col("performing_lab").last(),
        )
    )
    after = (
        joined.filter(is_after)
        .group_by("row", maintain_order=True)
        .agg(
            ctx_after_pg_ml=pl.col("value").first(),
            ctx_after_on=pl.col("on").first(),
            lab_after=pl.col("performing_lab").first(),
        )
    )
    waits = (
        rows.select("row", "patient_id", "changed_on", "followed_until_on")
        .join(_pending(data, _CTX), on="patient_id")
        .group_by("row")
        .agg(waits_before=is_before.any(), waits=is_after.any())
    )
    fall, rise = reference_change(reference.load("early_signals")["markers"][_CTX])
    change = pl.col("ctx_after_pg_ml") / pl.col("ctx_before_pg_ml") - 1
    none_before, none_after = (pl.col(f"ctx_{when}_on").is_null() for when in ("before", "after"))
    return (
        rows.select("row", "changed_on", "ended_by")
        .join(before, on="row", how="left")
        .join(after, on="row", how="left")
        .join(waits, on="row", how="left")
        .with_columns(
            ctx_change=pl.when(none_before & ~pl.col("waits_before").fill_null(False))
            .then(pl.lit("not_supplied"))
            .when(none_after & pl.col("waits")).then(pl.lit("not_compared"))
            .when(none_after).then(_nothing_yet("ctx", criteria))
            .when(none_before).then(pl.lit("not_compared"))
            .when(pl.col("lab_before").ne_missing(pl.col("lab_after"))).then(pl.lit("not_compared"))
            .when(change <= fall).then(pl.lit("fell"))
            .when(change >= rise).then(pl.lit("rose"))
            .otherwise(pl.lit("unchanged"))
        )
        .drop("changed_on", "ended_by", "lab_before", "lab_after", "waits", "waits_before")
    )  # fmt: skip


def next_scan(
    rows: pl.DataFrame, data: PatientData, exposures: pl.DataFrame, criteria: Criteria
) -> pl.DataFrame:
    """Return the next scan of spine or hip and its change since the scan before, at the site that changed worst."""
    scans = data.dxa.filter(pl.col("site").is_in(FITTED_SITES)).select(
        "patient_id", on="scanned_on"
    )
    found = _in_window(rows, scans, "scan").group_by("row").agg(next_scan_on=pl.col("on").min())
    compared = exposures.filter(
        pl.col("site").is_in(FITTED_SITES), pl.col("lsc_verdict") != "not_compared"
    ).select(
        "patient_id",
        next_scan_on="second_on",
        next_scan_first_on="first_on",
        next_scan_site="site",
        next_scan_change_pct="change_pct",
        next_scan_lsc_pct="lsc_pct",
        verdict="lsc_verdict",
    )
    worst = (
        rows.select("row", "patient_id")
        .join(found, on="row")
        .join(compared, on=["patient_id", "next_scan_on"])
        .sort("row", pl.col("next_scan_change_pct") / pl.col("next_scan_lsc_pct"), "next_scan_site")
        .unique("row", keep="first", maintain_order=True)
        .drop("patient_id", "next_scan_on")
    )
    return (
        rows.select("row", "changed_on", "ended_by")
        .join(found, on="row", how="left")
        .join(worst, on="row", how="left")
        .join(_waits(rows, data, BONE_SCAN, "scan"), on="row", how="left")
        .with_columns(
            next_scan_verdict=pl.when(pl.col("verdict").is_not_null()).then("verdict")
            .when(pl.col("next_scan_on").is_not_null() | pl.col("waits")).then(pl.lit("not_compared"))
            .otherwise(_nothing_yet("scan", criteria))
        )
        .drop("changed_on", "ended_by", "verdict", "waits")
    )  # fmt: skip


def _with_settled(rows: pl.DataFrame, draws: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the draws around each change that were at steady state: ``is_before``, ``is_after``."""
    steady, washout = criteria.settings.steady_state_days, criteria.settings.washout_days
    on, changed_on = pl.col("collected_on"), pl.col("changed_on")
    # Of another inhibitor than the one that was changed.
    alone = (
        pl.when(pl.col("drug") == ANASTROZOLE)
        .then(~pl.col("on_other"))
        .otherwise(~pl.col("on_drug"))
    )
    needed = pl.when(pl.col("change") == "cut").then(steady).otherwise(washout)
    # Blood of the day of a change was drawn before it.
    last_day = (on == pl.col("held_until_on")) | (
        (on == pl.col("followed_until_on")) & pl.col("ended_by").is_not_null()
    )
    return (
        rows.select(
            "row", "patient_id", "drug", "change", "changed_on", "held_since_on", "held_until_on",
            "followed_until_on", "ended_by",
        )
        .join(draws, on="patient_id")
        .filter(alone, ~pl.col("in_transition") | last_day)
        .with_columns(
            is_before=(on <= pl.col("held_until_on"))
            & ((on - pl.col("held_since_on")).dt.total_days() >= steady),
            is_after=((on - changed_on).dt.total_days() >= needed) & (on <= _until("e2")),
        )
    )  # fmt: skip


def _result(when: str, take: Callable[[pl.Expr], pl.Expr]) -> list[pl.Expr]:
    columns = {
        f"e2_{when}_low_pg_ml": "value_low",
        f"e2_{when}_high_pg_ml": "value_high",
        f"e2_{when}_on": "collected_on",
        f"e2_{when}_assay": "assay",
    }
    return [take(pl.col(column)).alias(name) for name, column in columns.items()]


def _reaches(criteria: Criteria) -> pl.Expr:
    limit = criteria.limit.lower_limit_pg_ml
    tells_from = (
        pl.when(pl.col("assay") == "ms")
        .then(limit)
        .otherwise(max(limit, immunoassay_tells_from_pg_ml()))
    )
    return pl.col("value_low") >= tells_from


def _is_below(criteria: Criteria) -> pl.Expr:
    # 16 by immunoassay may be 10 or 25.
    return (pl.col("assay") == "ms") & wholly_below(criteria.limit.lower_limit_pg_ml)


def _low(criteria: Criteria) -> pl.Expr:
    return (
        pl.when(_is_below(criteria)).then(pl.lit("yes"))
        .when(_reaches(criteria)).then(pl.lit("no"))
        .otherwise(pl.lit("cannot_tell"))
    )  # fmt: skip


def _until(outcome: str) -> pl.Expr:
    return pl.min_horizontal(
        "followed_until_on", pl.col("changed_on") + pl.duration(days=days(outcome))
    )


def _is_open(outcome: str, criteria: Criteria) -> pl.Expr:
    last = pl.col("changed_on") + pl.duration(days=days(outcome))
    return pl.col("ended_by").is_null() & (pl.lit(criteria.as_of) < last)


def _nothing_yet(outcome: str, criteria: Criteria) -> pl.Expr:
    return (
        pl.when(_is_open(outcome, criteria))
        .then(pl.lit("not_yet"))
        .otherwise(pl.lit("not_supplied"))
    )


def _in_window(rows: pl.DataFrame, happened: pl.DataFrame, outcome: str) -> pl.DataFrame:
    """Return what ``happened``, with its day ``on``, after each change and within the window of an outcome."""
    return (
        rows.select("row", "patient_id", "changed_on", "followed_until_on")
        .join(happened, on="patient_id")
        .filter(pl.col("on") > pl.col("changed_on"), pl.col("on") <= _until(outcome))
    )


def _waits(rows: pl.DataFrame, data: PatientData, what: str, outcome: str) -> pl.DataFrame:
    """Return the rows in whose window something waits in quarantine."""
    pending = _in_window(rows, _pending(data, what), outcome)
    return pending.select("row", waits=pl.lit(True)).unique()


def _pending(data: PatientData, what: str) -> pl.DataFrame:
    return data.pending.filter(pl.col("what") == what).select("patient_id", on="happened_on")
