"""Sensitivity of the primary curve to modelling choices.

In    what curves are fitted to, E2 draws with their dose
Out   curve_sensitivity   grain site, outcome, variant
      prescribing         grain characteristic: men given the drug, compared with the others

One choice is varied at a time. No variant gives a limit in use. Textbook tests of shape are added
(``textbook``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.curve import tables, textbook
from e2analytics.curve.fit import how_to_fit
from e2analytics.curve.rows import (
    CHANGE,
    LEVEL,
    CurveRows,
    Measured,
    at_site,
    complete_rows,
    first_outcome,
)
from e2analytics.errors import TooLittleDataError
from e2analytics.models.contrast import contrast
from e2analytics.models.curve import CurveFit, CurveSettings, fit_curve
from e2analytics.models.curve_comparison import p_of_same_shape
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.within import fit_between, fit_within
from e2analytics.reference.names import ON_BONE_DRUG
from e2analytics.settings import FitSettings
from e2analytics.tables.censoring import point_value
from e2analytics.tables.registry import schema_of

CONTRAST_PG_ML: Final = (12.0, 25.0)
"""All variants are compared by the outcome at the first less that at the second."""
DELTAS_PCT_PER_YEAR: Final = (0.25, 0.5, 1.0)
_SPLIT_AGE_YEARS: Final = 50
_SPLIT_BMI: Final = 30


@dataclass(frozen=True)
class Variant:
    """The curve with one choice changed.

    Attributes
    ----------
    name, varies
        Its name, and a description of what is varied.
    data, how, fit
        Rows, settings and function of the fit.
    p_value
        Of no difference from the other group; None without another group.
    """

    name: str
    varies: str
    data: CurveData
    how: CurveSettings
    fit: Callable[[CurveData, CurveSettings], CurveFit] = fit_curve
    p_value: float | None = None


def sensitivity(
    measured: Measured, draws: pl.DataFrame, settings: FitSettings, *, model_id: str
) -> pl.DataFrame:
    """Fit the primary curve again under each variant.

    Returns
    -------
    DataFrame
        ``tables.curves.CurveSensitivity``; empty where the primary site has levels only.
    """
    site = settings.primary_site
    empty = pl.DataFrame(schema=schema_of("curve_sensitivity"))
    if first_outcome(measured, site) == LEVEL:
        return empty
    primary = complete_rows(measured, site, CHANGE, settings)
    if primary.rows.is_empty():
        return empty
    about = {"site": site, "outcome": CHANGE, "model_id": model_id}
    how = how_to_fit(CHANGE, settings)
    with_them = complete_rows(_with_bone_drugs(measured), site, CHANGE, settings)
    with_them = with_them.adjusted_for(primary.covariates)
    rows = [_row(variant) for variant in _variants(primary, with_them, draws, how)]
    rows += textbook.rows(primary.data(), how)
    return pl.DataFrame([{**about, **row} for row in rows], schema=schema_of("curve_sensitivity"))


def _with_bone_drugs(measured: Measured) -> Measured:
    """Return the pairs with those as usable that only a bone drug keeps from the primary curve."""
    usable = pl.col("usable") | pl.col("why_not").is_in(ON_BONE_DRUG)
    return measured._replace(
        exposures=measured.exposures.with_columns(usable=usable.fill_null(False))
    )


def _variants(
    primary: CurveRows, with_them: CurveRows, draws: pl.DataFrame, how: CurveSettings
) -> Iterator[Variant]:
    data = primary.data()
    yield Variant("primary", "nothing: the curve as chosen beforehand", data, how)
    yield Variant("crude", "no covariates", primary.adjusted_for(()).data(), how)
    yield from _covariates(primary, how)
    yield Variant(
        "naive_exposure",
        "E2 as the plain mean of the results between the scans, not the calibrated exposure",
        *_naive(primary, draws, how),
    )
    yield Variant("within_men", "each man against himself (fixed effects)", data, how, fit_within)
    yield Variant("between_men", "men against each other, by their means", data, how, fit_between)
    yield Variant(
        "with_bone_drugs",
        "with the pairs that drugs for bone, GnRH drugs, antiandrogens or glucocorticoids acted on",
        with_them.data(),
        how,
    )
    for delta in DELTAS_PCT_PER_YEAR:
        yield Variant(
            f"delta_{delta:g}",
            f"a difference of {delta:g} %/year counts as one that matters",
            data,
            replace(how, delta=delta),
        )
    for names, words, member in _groups(primary.rows, draws):
        yield from _both(names, words, member, data, how)


def _covariates(primary: CurveRows, how: CurveSettings) -> Iterator[Variant]:
    used = primary.covariates
    with_baseline = primary.adjusted_for((*used, "first_bmd_g_cm2"))
    yield Variant(
        "baseline_bmd",
        "adjusted for BMD at the first scan too (brings regression to the mean)",
        with_baseline.data(),
        how,
    )
    if "years_on_trt" in used:
        others = tuple(name for name in used if name != "years_on_trt")
        without = primary.adjusted_for(others)
        yield Variant("without_time_on_trt", "not adjusted for years on TRT", without.data(), how)
    else:
        added = primary.adjusted_for((*used, "years_on_trt"))
        yield Variant(
            "with_time_on_trt", "adjusted for years on TRT, where known", added.data(), how
        )


def _naive(
    primary: CurveRows, draws: pl.DataFrame, how: CurveSettings
) -> tuple[CurveData, CurveSettings]:
    draws_between = _between_scans(primary.rows, draws).drop_nulls("e2_pg_ml")
    mean = draws_between.group_by("row", maintain_order=True).agg(pl.col("e2_pg_ml").mean())
    rows = (
        primary.rows.drop("e2_pg_ml")
        .with_row_index("row")
        .join(mean, on="row", how="inner", maintain_order="left")
        .filter(pl.col("e2_pg_ml") > 0)
    )
    data = replace(primary, rows=rows).data()
    points = CurveData.at_points(
        data.log_e2, data.outcome, data.patient, data.covariates, data.sampling_variance
    )
    return points, how


def _between_scans(rows: pl.DataFrame, draws: pl.DataFrame) -> pl.DataFrame:
    """Return the draws between the scans of each row, each as one number."""
    return (
        rows.with_row_index("row")
        .select("row", "patient_id", "first_on", "second_on")
        .join(draws, on="patient_id")
        .filter(pl.col("collected_on").is_between("first_on", "second_on"))
        .sort("row", "collected_on", "result_id")
        .select(
            "row",
            "assay",
            e2_pg_ml=point_value(),
        )
    )


def _groups(
    rows: pl.DataFrame, draws: pl.DataFrame
) -> Iterator[tuple[tuple[str, str], tuple[str, str], NDArray[np.bool_]]]:
    """Yield pairs of groups: their names, in words, and which rows are of the first."""
    age = (rows["age_years"] < _SPLIT_AGE_YEARS).to_numpy()
    yield ("age_under_50", "age_50_and_over"), ("men under 50", "men of 50 and over"), age
    if rows["bmi_kg_m2"].null_count() == 0:
        bmi = (rows["bmi_kg_m2"] < _SPLIT_BMI).to_numpy()
        yield ("bmi_under_30", "bmi_30_and_over"), ("BMI under 30", "BMI 30 and over"), bmi
    by_ms = _between_scans(rows, draws).group_by("row").agg(ms=(pl.col("assay") == "ms").all())
    ms = np.zeros(len(rows), dtype=np.bool_)
    ms[by_ms.filter("ms")["row"].to_numpy()] = True
    words = (
        "pairs whose E2 is by mass spectrometry throughout",
        "pairs with an E2 by immunoassay or an unknown assay",
    )
    yield ("assay_ms", "assay_other"), words, ms


def _both(
    names: tuple[str, str],
    words: tuple[str, str],
    member: NDArray[np.bool_],
    data: CurveData,
    how: CurveSettings,
) -> Iterator[Variant]:
    try:
        p_value = p_of_same_shape(data, member, how)
    except TooLittleDataError:
        p_value = None
    for name, varies, some in zip(names, words, (member, ~member), strict=True):
        yield Variant(name, f"only {varies}", data.take(some), how, p_value=p_value)


def _row(variant: Variant) -> dict[str, object]:
    counted = {
        "variant": variant.name,
        "varies": variant.varies,
        "n_men": len(np.unique(variant.data.patient)),
        "n_intervals": len(variant.data),
        "p_value": variant.p_value,
    }
    try:
        fitted = variant.fit(variant.data, variant.how)
    except TooLittleDataError as error:
        return {**counted, "why_not": str(error)}
    between = contrast(fitted, *CONTRAST_PG_ML)
    return {
        **counted,
        "verdict": fitted.verdict,
        "finding": fitted.explanation,
        **tables.limits(fitted),
        "effect": _only(between.estimate) if between else None,
        "effect_ci_low": _only(between.ci_low) if between else None,
        "effect_ci_high": _only(between.ci_high) if between else None,
        "why_not": fitted.lower_limit.why_not,
    }


def _only(value: Array) -> float:
    return float(value[0])


def prescribing(
    measured: Measured, draws: pl.DataFrame, settings: FitSettings, *, model_id: str
) -> pl.DataFrame:
    """Compare the men of the primary curve who were given the drug with those who were not.

    If the drug goes to men who differ, a crude curve shows who gets it, not only what E2 does.

    Returns
    -------
    DataFrame
        ``tables.curves.Prescribing``.
    """
    usable = measured.exposures.filter(pl.col("usable"), at_site(settings.primary_site))
    given = usable.group_by("patient_id").agg(given=(pl.col("share_on_drug") > 0).any())
    off = ~pl.col("on_drug") & ~pl.col("in_transition") & ~pl.col("on_other")
    e2_off = (
        draws.filter(off)
        .sort("patient_id", "collected_on", "result_id")
        .group_by("patient_id", maintain_order=True)
        .agg(e2_off_drug=point_value().log().mean())
    )
    men = (
        # BMD is compared at one site: the one with the most pairs.
        usable.with_columns(at_site=pl.len().over("site"))
        .filter(pl.col("at_site") == pl.col("at_site").max())
        .sort("patient_id", "first_on")
        .unique("patient_id", keep="first", maintain_order=True)
        .join(given, on="patient_id", maintain_order="left")
        .join(e2_off, on="patient_id", how="left", maintain_order="left")
        .select("given", *_CHARACTERISTICS.keys())
    )
    rows = [_compared(men, name, *words) for name, words in _CHARACTERISTICS.items()]
    known = [{**row, "model_id": model_id} for row in rows if row["n_given"] and row["n_others"]]
    return pl.DataFrame(known, schema=schema_of("prescribing"))


_CHARACTERISTICS: Final = {
    "e2_off_drug": ("E2 off the drug", "pg/mL", True),
    "bmi_kg_m2": ("BMI", "kg/m2", False),
    "age_years": ("age at the first scan", "years", False),
    "log_testosterone": ("testosterone", "ng/dL", True),
    "years_on_trt": ("time on TRT at the first scan", "years", False),
    "first_bmd_g_cm2": ("BMD at the first scan", "g/cm2", False),
}
"""Of each: its name in words, its unit, and whether it is kept as a logarithm."""


def _compared(
    men: pl.DataFrame, name: str, words: str, unit: str, logarithm: bool
) -> dict[str, object]:
    known = men.select("given", pl.col(name).cast(pl.Float64)).drop_nulls()
    given = known.filter("given")[name].to_numpy()
    others = known.filter(~pl.col("given"))[name].to_numpy()
    if not len(given) or not len(others):
        return {"n_given": 0, "n_others": 0}
    spread = np.sqrt((given.var() + others.var()) / 2)
    difference = float((given.mean() - others.mean()) / spread) if spread > 0 else None
    scale = np.exp if logarithm else np.asarray
    return {
        "characteristic": words,
        "unit": unit,
        "n_given": len(given),
        "mean_given": float(scale(given.mean())),
        "n_others": len(others),
        "mean_others": float(scale(others.mean())),
        "standardised_difference": difference,
    }
