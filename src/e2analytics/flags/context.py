"""Context: what a clinician wants to see next to a man's E2.

In    the men's rows as of a day, the cohort
Out   context   grain patient_id: every man of the cohort

Descriptive: it has no cut-off of its own, and flags use none of it but ``densitometry`` and ``exposures``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.flags.bone import WORST_FIRST, last_pairs, last_scans
from e2analytics.flags.early_signals import early_signals
from e2analytics.flags.free_estradiol import free_estradiol
from e2analytics.flags.lifestyle import lifestyle
from e2analytics.reference.drugs import meanings
from e2analytics.reference.names import (
    ANDROGEN,
    AROMATASE_INHIBITOR,
    BONE_DRUGS,
    TESTOSTERONE,
    VITAMIN_D,
)
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.registry import columns_of

_SEPARATOR: Final = "; "
_E2_DRUGS: Final = tuple(name for name in meanings() if name not in (ANDROGEN, AROMATASE_INHIBITOR))
_LAST: Final = {
    "calcium": ("calcium_mg_dl", "calcium_on"),
    VITAMIN_D: ("vitamin_d_ng_ml", "vitamin_d_on"),
}


def context(data: PatientData, exposures: pl.DataFrame, cohort: pl.DataFrame) -> pl.DataFrame:
    """Return the context of each man of the cohort; null where it was never measured."""
    men = cohort.select("patient_id", "clinic_id", "as_of")
    born = data.patients.select("patient_id", "birth_date")

    def of_cohort(rows: pl.DataFrame) -> pl.DataFrame:
        as_text = rows.with_columns(pl.col("patient_id").cast(pl.String))
        return as_text.join(men, on="patient_id", how="semi")

    labs, medications = of_cohort(data.labs), of_cohort(data.medications)
    findings = [
        _testosterone(labs),
        _ratio(labs, of_cohort(data.draws)),
        free_estradiol(of_cohort(data.draws), labs).drop("free_e2_total"),
        body_fat(of_cohort(data.dxa)),
        lifestyle(of_cohort(data.lifestyle), men.join(born, on="patient_id", how="left")),
        early_signals(labs),
        *(_last_result(labs, analyte, *names) for analyte, names in _LAST.items()),
        _bone_class(of_cohort(data.densitometry)),
        _bone_trend(of_cohort(exposures)),
        _drugs(medications, BONE_DRUGS, "bone_drugs"),
        _drugs(medications, ("glucocorticoid",), "glucocorticoids"),
        _drugs(medications, _E2_DRUGS, "e2_drugs"),
    ]
    of_each = men
    for finding in findings:
        of_each = of_each.join(finding, on="patient_id", how="left", validate="1:1")
    return of_each.select(columns_of("context")).sort("patient_id")


def _exact(labs: pl.DataFrame, analyte: str) -> pl.DataFrame:
    return labs.filter(
        (pl.col("analyte") == analyte)
        & (pl.col("value_low") == pl.col("value_high"))
        & (pl.col("value_low") > 0)
    ).sort("patient_id", "collected_at", "result_id")


def _last_result(labs: pl.DataFrame, analyte: str, value: str, day: str) -> pl.DataFrame:
    return (
        _exact(labs, analyte)
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("value_low").last().alias(value), pl.col("collected_on").last().alias(day))
    )


def _testosterone(labs: pl.DataFrame) -> pl.DataFrame:
    """Return the last testosterone, and the geometric mean of all as his usual one."""
    results = _exact(labs, TESTOSTERONE)
    return results.group_by("patient_id", maintain_order=True).agg(
        testosterone_ng_dl=pl.col("value_low").last(),
        testosterone_on=pl.col("collected_on").last(),
        testosterone_usual_ng_dl=pl.col("value_low").log().mean().exp(),
    )


def _ratio(labs: pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Return T/E2 of the last day on which both were measured exactly, and of his earlier days by that assay."""
    day = ["patient_id", "collected_on"]
    testosterone = (
        _exact(labs, TESTOSTERONE)
        .group_by(day, maintain_order=True)
        .agg(testosterone=pl.col("value_low").last())
    )
    e2 = draws.filter((pl.col("value_low") == pl.col("value_high")) & (pl.col("value_low") > 0))
    ratios = (
        # Of two E2 of a day that by mass spectrometry counts.
        e2.sort(*day, pl.col("assay") == "ms", "collected_at", "result_id")
        .unique(day, keep="last", maintain_order=True)
        .join(testosterone, on=day, maintain_order="left")
        .with_columns(ratio=pl.col("testosterone") / pl.col("value_low"))
    )
    alike = pl.col("assay") == pl.col("assay").last()
    earlier = alike & (pl.col("collected_on") < pl.col("collected_on").last())
    return ratios.group_by("patient_id", maintain_order=True).agg(
        t_e2_ratio=pl.col("ratio").last(),
        t_e2_on=pl.col("collected_on").last(),
        t_e2_assay=pl.col("assay").last(),
        t_e2_earlier_ratio=pl.col("ratio").filter(earlier).log().mean().exp(),
        t_e2_earlier_days=earlier.sum().cast(pl.Int64),
        t_e2_earlier_from_on=pl.col("collected_on").filter(earlier).first(),
    )


def body_fat(dxa: pl.DataFrame) -> pl.DataFrame:
    """Return the last body fat, and its change since the scan before it on the same scanner."""
    scans = (
        dxa.drop_nulls("body_fat_pct")
        .sort("patient_id", "scanned_on", "scan_id", "site")
        .group_by("patient_id", "scanner_id", "scanned_on", maintain_order=True)
        .agg(fat=pl.col("body_fat_pct").mean(), maker=pl.col("manufacturer").drop_nulls().first())
        .with_columns(
            pl.col("fat", "scanned_on", "maker")
            .shift(1)
            .over("patient_id", "scanner_id")
            .name.suffix("_1")
        )
    )
    # Two makers under one id are two scanners.
    same_scanner = pl.col("scanner_id").is_not_null() & (
        pl.col("maker") == pl.col("maker_1")
    ).fill_null(True)
    return scans.group_by("patient_id", maintain_order=True).agg(
        body_fat_pct=pl.col("fat").last(),
        body_fat_on=pl.col("scanned_on").last(),
        body_fat_change_points=pl.when(same_scanner).then(pl.col("fat") - pl.col("fat_1")).last(),
        body_fat_since_on=pl.when(same_scanner).then("scanned_on_1").last(),
    )


def _bone_class(densitometry: pl.DataFrame) -> pl.DataFrame:
    """Return the class that is worst for bone among the last scans, and the site of it."""
    order = {name: place for place, name in enumerate(WORST_FIRST)}
    worst = pl.col("bone_class").replace_strict(order, default=None, return_dtype=pl.Int64)
    return (
        last_scans(densitometry)
        .drop_nulls("bone_class")
        .sort("patient_id", worst, "site")
        .group_by("patient_id", maintain_order=True)
        .agg(
            bone_class=pl.col("bone_class").first(),
            bone_class_site=pl.col("site").first(),
            bone_class_on=pl.col("scanned_on").first(),
        )
    )


def _bone_trend(exposures: pl.DataFrame) -> pl.DataFrame:
    """Return the last pair of scans of the site that changed most against its least significant change."""
    return (
        last_pairs(exposures)
        .sort("patient_id", pl.col("change_pct") / pl.col("lsc_pct"), "site")
        .group_by("patient_id", maintain_order=True)
        .agg(
            bmd_site=pl.col("site").first(),
            bmd_first_on=pl.col("first_on").first(),
            bmd_second_on=pl.col("second_on").first(),
            bmd_change_pct=pl.col("change_pct").first(),
            lsc_pct=pl.col("lsc_pct").first(),
            lsc_verdict=pl.col("lsc_verdict").first(),
            bmd_bone_drugs=pl.col("bone_drugs").first(),
        )
    )


def _drugs(medications: pl.DataFrame, classes: tuple[str, ...], name: str) -> pl.DataFrame:
    """Return the drugs of the classes in words: each with its days, and what it means for E2 where it does."""
    ended = (
        pl.when(pl.col("open")).then(pl.lit("")).otherwise(pl.format(" until {}", pl.col("last")))
    )
    return (
        medications.filter(pl.col("drug_class").is_in(classes))
        .group_by("patient_id", "drug", pl.col("drug_class").cast(pl.String))
        .agg(
            first=pl.col("started_on").min(),
            last=pl.col("stopped_on").max(),
            open=pl.col("stopped_on").is_null().any(),
        )
        .sort("patient_id", "first", "drug")
        .with_columns(words=pl.format("{} since {}{}{}", "drug", "first", ended, _meaning()))
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("words").str.join(_SEPARATOR).alias(name))
    )


def _meaning() -> pl.Expr:
    words = {name: f": {meaning.words}" for name, meaning in meanings().items()}
    return pl.col("drug_class").replace_strict(words, default="", return_dtype=pl.String)
