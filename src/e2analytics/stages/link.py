"""Link: which dose a man was on when, which two scans make a pair, which draws fall between them.

In    the accepted rows of medications, labs and dxa
Out   episodes  grain patient_id, drug, started_on: a spell at one dose, ``ended_on`` excluded
      draws     grain as in ``labs``: E2 draws with the drug in force on their day
      pairs     grain patient_id, site, first scan: the next scan that can be compared, or why none can

Joins are equi-joins and filters: as-of joins need sorted input and only warn when it is not.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from e2analytics import clinical, reference
from e2analytics.settings import FlagSettings, LinkSettings

ANASTROZOLE: Final = "anastrozole"
ESTRADIOL: Final = "estradiol"
FAR_FUTURE: Final = pl.date(9999, 12, 31)


def episodes(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the spells of aromatase inhibitors at one dose.

    An order is in force from its start until it is stopped or a later order of the same drug replaces
    it; ``overlap`` marks one that was replaced before it was stopped. A renewal at the same dose, a few
    days late at the most, goes on with the spell, whose ``ordered_on`` is that of its last order.
    """
    orders = medications.filter(
        (pl.col("drug_class") == "aromatase_inhibitor")
        # Stopped on its first day, an order was never in force and replaces nothing.
        & pl.col("stopped_on").ne_missing(pl.col("started_on"))
    ).sort("patient_id", "drug", "started_on", "source_order", "source_line")
    next_start = pl.col("started_on").shift(-1).over("patient_id", "drug")
    in_force = orders.with_columns(
        ended_on=pl.min_horizontal("stopped_on", next_start),
        overlap=(pl.col("stopped_on").fill_null(FAR_FUTURE) > next_start)
        & pl.col("stopped_on").is_not_null(),
    ).filter(
        # Two orders of one day: the later row replaces the earlier before it was ever in force.
        pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.col("started_on")),
        # A dose of 0 mg holds the drug: it ends the spell before it and is none itself.
        pl.col("weekly_dose_mg").ne_missing(pl.lit(0.0)),
    )
    return _merge_renewals(in_force)


def _merge_renewals(orders: pl.DataFrame) -> pl.DataFrame:
    group = ["patient_id", "drug"]
    gap = (pl.col("started_on") - pl.col("ended_on").shift(1).over(group)).dt.total_days()
    goes_on = (pl.col("weekly_dose_mg") == pl.col("weekly_dose_mg").shift(1).over(group)) & (
        gap <= clinical.RENEWAL_GAP_DAYS.value
    )
    return (
        orders.with_columns(spell=(~goes_on.fill_null(False)).cum_sum().over(group))
        .group_by([*group, "spell"], maintain_order=True)
        .agg(
            pl.col("started_on").first(),
            pl.col("ended_on", "weekly_dose_mg", "source_file", "source_line").last(),
            pl.col("overlap").any(),
            ordered_on=pl.col("started_on").last(),
        )
        .drop("spell")
    )


def draws(labs: pl.DataFrame, spells: pl.DataFrame, settings: FlagSettings) -> pl.DataFrame:
    """Return the E2 draws with the drug of their day.

    ``on_drug``, ``weekly_anastrozole_mg`` (null off it, or unknown), ``in_transition``, ``on_other``.

    A draw is in transition within the days to steady state after a start or a change, and within the
    days of washout after an end. Off treatment is a dose of zero, not a missing row.
    """
    e2 = labs.filter(pl.col("analyte") == ESTRADIOL).with_row_index("draw")
    held = (
        e2.select("draw", "patient_id", "collected_on")
        .join(
            spells.select("patient_id", "drug", "started_on", "ended_on", "weekly_dose_mg"),
            on="patient_id",
        )
        .filter(pl.col("collected_on") >= pl.col("started_on"))
    )
    since_start = (pl.col("collected_on") - pl.col("started_on")).dt.total_days()
    since_end = (pl.col("collected_on") - pl.col("ended_on")).dt.total_days()
    in_force = pl.col("ended_on").is_null() | (pl.col("collected_on") < pl.col("ended_on"))
    anastrozole = pl.col("drug") == ANASTROZOLE
    state = held.group_by("draw").agg(
        on_drug=(in_force & anastrozole).any(),
        weekly_anastrozole_mg=pl.col("weekly_dose_mg").filter(in_force & anastrozole).first(),
        settling=(in_force & (since_start < settings.steady_state_days)).any(),
        washing_out=(~in_force & (since_end < settings.washout_days)).any(),
        on_other=(~anastrozole & (in_force | (since_end < settings.washout_days))).any(),
    )
    return (
        e2.join(state, on="draw", how="left", validate="1:1", maintain_order="left")
        .with_columns(pl.col("on_drug", "settling", "washing_out", "on_other").fill_null(False))
        .with_columns(in_transition=pl.col("settling") | pl.col("washing_out"))
        .drop("settling", "washing_out")
    )


def at_present_dose(draws: pl.DataFrame, spells: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Leave out a man's draws on the drug at another dose, if he has one at the dose in force.

    The provisional dose response knows on and off, not how much: what E2 was at 2 mg a week would be
    taken for what it is at 0.25. A man who has no draw at his present dose keeps the others: he cannot
    be assessed by them, but a danger that they show must be seen.
    """
    in_force = pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.lit(as_of))
    present = spells.filter(
        (pl.col("drug") == ANASTROZOLE) & (pl.col("started_on") <= pl.lit(as_of)) & in_force
    ).select("patient_id", present_mg="weekly_dose_mg")
    settled = pl.col("on_drug") & ~pl.col("in_transition") & ~pl.col("on_other")
    here = settled & (pl.col("weekly_anastrozole_mg") == pl.col("present_mg")).fill_null(False)
    elsewhere = pl.col("on_drug") & ~here
    return (
        draws.join(present, on="patient_id", how="left", validate="m:1", maintain_order="left")
        .filter(~(elsewhere & here.any().over("patient_id")))
        .drop("present_mg")
    )


def pairs(
    dxa: pl.DataFrame, patients: pl.DataFrame, precision: pl.DataFrame, settings: LinkSettings
) -> pl.DataFrame:
    """Return each scan with the next one it can be compared with, and why it cannot.

    ``why_not`` is null where the two scans are of one man, site, scanner and region, and lie
    ``shortest_years`` to ``longest_years`` apart. Where no later scan is so, the next one stands with
    the reason. A scan that nothing follows makes no pair.
    """
    scans = (
        dxa.filter(~pl.col("imputed").str.contains("scanned_on", literal=True))
        .sort("patient_id", "site", "scanned_on", "scan_id")
        # A man scanned twice on a day was repositioned; the later scan is the one the clinic kept.
        # His two hips are not one.
        .unique(
            ["patient_id", "site", "side", "scanner_id", "scanned_on"],
            keep="last",
            maintain_order=True,
        )
        .with_row_index("first")
    )
    columns = ["scan_id", "scanned_on", "bmd_g_cm2", "scanner_id", "vertebrae", "side"]
    later = scans.select("patient_id", "site", *columns)
    candidates = (
        scans.select("first", "patient_id", "site", *columns)
        .join(later, on=["patient_id", "site"], suffix="_2")
        .filter(pl.col("scanned_on_2") > pl.col("scanned_on"))
        .with_columns(
            years=(pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days()
            / clinical.DAYS_PER_YEAR
        )
        .with_columns(why_not=_not_comparable(settings))
    )
    chosen = candidates.sort(pl.col("why_not").is_not_null(), "years", "scan_id_2").unique(
        "first", keep="first", maintain_order=True
    )
    of_clinic = chosen.join(
        patients.select("patient_id", "clinic_id"),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    return _with_precision(of_clinic, precision).sort("patient_id", "site", "scanned_on")


def _not_comparable(settings: LinkSettings) -> pl.Expr:
    years = pl.col("years")
    reasons = {
        "scanner_unknown": pl.col("scanner_id").is_null() | pl.col("scanner_id_2").is_null(),
        "scanner_changed": pl.col("scanner_id") != pl.col("scanner_id_2"),
        "side_changed": pl.col("side") != pl.col("side_2"),
        "vertebrae_changed": pl.col("vertebrae") != pl.col("vertebrae_2"),
        "interval_too_short": years < settings.shortest_years,
        "interval_too_long": years > settings.longest_years,
    }
    return pl.coalesce(pl.when(is_so).then(pl.lit(name)) for name, is_so in reasons.items())


def _with_precision(chosen: pl.DataFrame, precision: pl.DataFrame) -> pl.DataFrame:
    """Add the precision error of the scanner: the clinic's own, else the worst that ISCD allows."""
    own = precision.group_by("clinic_id", "scanner_id", "site").agg(
        own_cv_pct=pl.col("cv_pct").max()
    )
    worst = reference.sites().select("site", "max_precision_cv_pct")
    scanner = ["clinic_id", "scanner_id", "site"]
    return (
        chosen.join(own, on=scanner, how="left", maintain_order="left")
        .join(worst, on="site", how="left", maintain_order="left")
        .with_columns(precision_cv_pct=pl.coalesce("own_cv_pct", "max_precision_cv_pct"))
        .with_columns(lsc_pct=clinical.LSC_FACTOR.value * pl.col("precision_cv_pct"))
        .drop("own_cv_pct", "max_precision_cv_pct", "clinic_id")
    )
