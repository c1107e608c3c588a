"""Scan pairs: each scan with the next one of the same man that it can be compared with.

In    the accepted rows of dxa, patients and precision
Out   pairs   grain patient_id, site, first scan: the next comparable scan, or why there is none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.exposure.scanner_shifts import lies_between
from e2analytics.exposure.scanners import maker_changed, with_maker_unsure
from e2analytics.reference import constants, vertebrae
from e2analytics.settings import CrossCalibration, LinkSettings
from e2analytics.tables.snapshot import empty_table

_SIDED: Final = reference.sites_with("sided")
_SAME_DAY: Final = ["patient_id", "site", "side", "scanner_id", "manufacturer", "scanned_on"]
_OF_A_SCAN: Final = [
    "scan_id",
    "scanned_on",
    "bmd_g_cm2",
    "scanner_id",
    "manufacturer",
    "maker_unsure",
    "vertebrae",
    "side",
    "n_vertebrae",
    "side_unreadable",
    "vertebrae_unreadable",
]
_EQUATION: Final = {
    "clinic_id": pl.String,
    "site": pl.String,
    "from_scanner": pl.String,
    "to_scanner": pl.String,
    "slope": pl.Float64,
    "intercept_g_cm2": pl.Float64,
    "cv_pct": pl.Float64,
}
_PAIR: Final = [
    "patient_id",
    "site",
    "scan_id",
    "scan_id_2",
    "scanner_id",
    "cross_calibrated",
    "scanned_on",
    "scanned_on_2",
    "years",
    "bmd_g_cm2",
    "bmd_g_cm2_2",
    "precision_cv_pct",
    "lsc_pct",
    "why_not",
]


def pair_scans(
    dxa: pl.DataFrame,
    patients: pl.DataFrame,
    precision: pl.DataFrame,
    settings: LinkSettings,
    shifts: pl.DataFrame | None = None,
    makers: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return each scan with the next one it can be compared with, and why it cannot.

    ``why_not`` is null where the two scans are of one man, site, scanner, side and set of vertebrae, and
    lie ``shortest_years`` to ``longest_years`` apart. Where no later scan is comparable, the next one is
    returned with the reason. A scan that nothing follows makes no pair.

    Two makers under one id are two scanners (:mod:`e2analytics.exposure.scanners`): ``makers`` are those of all men's
    scans, None if ``dxa`` has them all. Scans before and after an
    abrupt shift of their scanner, one of ``shifts``, are not compared either.

    Two scanners are compared by an equation that the clinic entered, and only where the scan's own
    scanner has no later scan to offer: ``cross_calibrated``. BMD and ``scanner_id`` of such a pair are on
    the scale of the equation's ``to_scanner``; the scans themselves stay as they are in ``dxa``.
    """
    of_clinic = patients.select("patient_id", "clinic_id")
    scans = (
        dxa.filter(~pl.col("imputed").str.contains("scanned_on", literal=True))
        .join(of_clinic, on="patient_id", how="left", maintain_order="left")
        .with_columns(
            n_vertebrae=vertebrae.count(pl.col("vertebrae")),
            side_unreadable=_breaks("unreadable_side"),
            vertebrae_unreadable=_breaks("unreadable_vertebrae"),
        )
        .pipe(with_maker_unsure, makers)
        .sort("patient_id", "site", "scanned_on", "scan_id")
        # A man scanned twice on a day was repositioned; the later scan is the one the clinic kept.
        # His two hips are not one, and a spine may be read with and without a vertebra.
        .unique([*_SAME_DAY, "vertebrae"], keep="last", maintain_order=True)
        .with_row_index("first")
    )
    later = scans.select("patient_id", "site", *_OF_A_SCAN)
    candidates = (
        scans.select("first", "patient_id", "clinic_id", "site", *_OF_A_SCAN)
        .join(later, on=["patient_id", "site"], suffix="_2")
        .filter(pl.col("scanned_on_2") > pl.col("scanned_on"))
        .with_columns(
            years=(pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days()
            / constants.DAYS_PER_YEAR
        )
    )
    judged = _cross_calibrated(candidates, settings.cross_calibrations).with_columns(
        why_not=_not_comparable(settings, shifts)
    )
    best_first = ["not_comparable", "cross_calibrated", "years", "n_vertebrae_2", "scan_id_2"]
    chosen = (
        judged.with_columns(not_comparable=pl.col("why_not").is_not_null())
        .sort(best_first, descending=[False, False, False, True, False], nulls_last=True)
        .unique("first", keep="first", maintain_order=True)
        # One scan read in two ways is one scan: the reading that can be compared, else the fuller one.
        .sort(
            [*best_first[:3], "n_vertebrae", "scan_id"],
            descending=[False, False, False, True, True],
            nulls_last=True,
        )
        .unique(_SAME_DAY, keep="first", maintain_order=True)
    )
    return (
        _with_precision(chosen, precision)
        .with_columns(scanner_id="common_scanner")
        .sort("patient_id", "site", "scanned_on", "scan_id")
        .select(_PAIR)
    )


def _breaks(rule: str) -> pl.Expr:
    return pl.col("failed_rules").str.split(" ").list.contains(rule)


def _cross_calibrated(
    candidates: pl.DataFrame, equations: Sequence[CrossCalibration]
) -> pl.DataFrame:
    """Put two scanners on one scale where an equation was entered between them, and say so.

    Adds ``common_scanner``, whose scale it is, and of the two relative errors ``error_share`` (by how
    much converting stretches the converted scan's) and ``equation_cv_pct``, the equation's own.
    """
    table = pl.DataFrame(
        [equation.model_dump(include=set(_EQUATION)) for equation in equations], schema=_EQUATION
    )
    ways = {"": ("scanner_id", "scanner_id_2"), "_2": ("scanner_id_2", "scanner_id")}
    for scan, (from_scanner, to_scanner) in ways.items():
        candidates = candidates.join(
            table.rename(
                {name: f"{name}{scan}" for name in ("slope", "intercept_g_cm2", "cv_pct")}
            ),
            left_on=["clinic_id", "site", from_scanner, to_scanner],
            right_on=["clinic_id", "site", "from_scanner", "to_scanner"],
            how="left",
            validate="m:1",
            maintain_order="left",
        )
    converts, converts_2 = pl.col("slope").is_not_null(), pl.col("slope_2").is_not_null()
    return candidates.with_columns(
        _converted(""),
        _converted("_2"),
        cross_calibrated=converts | converts_2,
        common_scanner=pl.when(converts).then("scanner_id_2").otherwise("scanner_id"),
        equation_cv_pct=pl.coalesce("cv_pct", "cv_pct_2"),
        error_share=_stretch(""),
        error_share_2=_stretch("_2"),
    )


def _converted(scan: str) -> pl.Expr:
    bmd = pl.col(f"bmd_g_cm2{scan}")
    on_other = pl.col(f"slope{scan}") * bmd + pl.col(f"intercept_g_cm2{scan}")
    return pl.coalesce(on_other, bmd).alias(f"bmd_g_cm2{scan}")


def _stretch(scan: str) -> pl.Expr:
    """Return what a relative error becomes by converting: slope x BMD over the converted BMD."""
    proportional = pl.col(f"slope{scan}") * pl.col(f"bmd_g_cm2{scan}")
    return (proportional / (proportional + pl.col(f"intercept_g_cm2{scan}"))).fill_null(1.0)


def _not_comparable(settings: LinkSettings, shifts: pl.DataFrame | None) -> pl.Expr:
    years = pl.col("years")
    spine = pl.col("site") == "lumbar_spine"
    sided = pl.col("site").is_in(_SIDED)
    reasons = {
        "scanner_unknown": pl.col("scanner_id").is_null() | pl.col("scanner_id_2").is_null(),
        "scanner_changed": ((pl.col("scanner_id") != pl.col("scanner_id_2")) | maker_changed())
        & ~pl.col("cross_calibrated"),
        "maker_unsure": (pl.col("maker_unsure") | pl.col("maker_unsure_2"))
        & ~pl.col("cross_calibrated"),
        "scanner_shifted": lies_between(
            empty_table("scanner_shifts") if shifts is None else shifts
        ),
        "side_changed": sided & (pl.col("side") != pl.col("side_2")),
        "vertebrae_changed": spine & (pl.col("vertebrae") != pl.col("vertebrae_2")),
        # Missing: the same; unparseable: unknown.
        "side_unreadable": sided & (pl.col("side_unreadable") | pl.col("side_unreadable_2")),
        "vertebrae_unreadable": spine
        & (pl.col("vertebrae_unreadable") | pl.col("vertebrae_unreadable_2")),
        "interval_too_short": years < settings.shortest_years,
        "interval_too_long": years > settings.longest_years,
    }
    return pl.coalesce(pl.when(is_so).then(pl.lit(name)) for name, is_so in reasons.items())


def _with_precision(chosen: pl.DataFrame, precision: pl.DataFrame) -> pl.DataFrame:
    """Add the precision error of a pair: the clinic's own, else the worst that ISCD allows.

    Of a cross-calibrated pair it is the root of half the sum of the squares of both scanners' errors and
    the equation's, so that ISCD's factor x precision is the generalised LSC, 1.96 x the root of their sum (Shepherd
    and Lu, J Clin Densitom 2007;10:249): a change must exceed the noise of both ends and of the bridge. The
    larger of the two errors alone would leave out the bridge.
    """
    own = precision.group_by("clinic_id", "scanner_id", "site").agg(
        own_cv_pct=pl.col("cv_pct").max()
    )
    of_first = ["clinic_id", "scanner_id", "site"]
    of_second = ["clinic_id", "scanner_id_2", "site"]
    worst = reference.sites().select("site", "max_precision_cv_pct")
    first = pl.coalesce("own_cv_pct", "max_precision_cv_pct")
    second = pl.coalesce("own_cv_pct_2", "max_precision_cv_pct")
    squares = (
        (first * pl.col("error_share")) ** 2
        + (second * pl.col("error_share_2")) ** 2
        + pl.col("equation_cv_pct") ** 2
    )
    return (
        chosen.join(own, on=of_first, how="left", maintain_order="left")
        .join(
            own.rename({"own_cv_pct": "own_cv_pct_2"}),
            left_on=of_second,
            right_on=of_first,
            how="left",
            maintain_order="left",
        )
        .join(worst, on="site", how="left", maintain_order="left")
        .with_columns(
            precision_cv_pct=pl.when("cross_calibrated").then((squares / 2).sqrt()).otherwise(first)
        )
        .with_columns(lsc_pct=constants.LSC_FACTOR.value * pl.col("precision_cv_pct"))
    )
