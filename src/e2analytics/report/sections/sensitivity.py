"""Sensitivity of the curve to modelling choices, textbook tests of its shape, and who is given the drug.

In    curve_sensitivity, prescribing of one run
Out   Sensitivity, in words; None where nothing was varied
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.report.formatting import (
    NOTHING,
    capitalised,
    count,
    interval,
    listing,
    number,
    signed,
)
from e2analytics.report.sections import curve_wording

PRIMARY: Final = "primary"
_ORDER: Final = (
    *(PRIMARY, "crude", "baseline_bmd", "without_time_on_trt", "with_time_on_trt"),
    *("naive_exposure", "within_men", "between_men", "with_bone_drugs"),
    *("delta_0.25", "delta_0.5", "delta_1", "age_under_50", "age_50_and_over"),
    *("bmi_under_30", "bmi_30_and_over", "assay_ms", "assay_other"),
)
_TESTS: Final = {
    "two_lines": "Two straight lines (Simonsohn 2018).",
    "textbook_quadratic": "A parabola (Lind and Mehlum 2010).",
}
_SHAPES: Final = {
    "shape_linear": "Straight line",
    "shape_plateau": "Line, then a plateau",
    "shape_quadratic": "Parabola",
    "shape_spline": "Spline",
}
_DIFFERS_BY: Final = 0.2
"""A standardised difference below this is called small (Cohen's convention)."""
_LEAST_P: Final = 0.001
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Variant:
    """The curve under one other choice."""

    name: str
    data: str
    shape: str
    limits: str
    effect: str
    effect_interval: str
    note: str


@dataclass(frozen=True, slots=True)
class Test:
    """What a textbook test says."""

    name: str
    finding: str


@dataclass(frozen=True, slots=True)
class Shape:
    """How well a shape predicts men it was not fitted to."""

    name: str
    error: str
    judgement: str


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One way in which men given the drug may differ."""

    name: str
    given: str
    others: str
    difference: str


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """All of it, for the curve that was chosen beforehand."""

    summary: str
    variants: tuple[Variant, ...]
    tests: tuple[Test, ...]
    shapes: tuple[Shape, ...]
    who_is_given: str
    characteristics: tuple[Characteristic, ...]


def describe_sensitivity(
    sensitivity: pl.DataFrame, prescribing: pl.DataFrame
) -> Sensitivity | None:
    """Say what becomes of the curve under other choices.

    Parameters
    ----------
    sensitivity, prescribing : polars.DataFrame
        As in :mod:`e2analytics.tables.registry`, of one run.
    """
    rows = {str(row["variant"]): row for row in sensitivity.iter_rows(named=True)}
    if PRIMARY not in rows:
        return None
    varied = [rows[name] for name in _ORDER if name in rows]
    differing = prescribing.sort(
        pl.col("standardised_difference").abs(),
        "characteristic",
        descending=[True, False],
        nulls_last=True,
    )
    return Sensitivity(
        summary=_summary(varied),
        variants=tuple(_variant(row, varied[0]["n_intervals"]) for row in varied),
        tests=tuple(
            Test(words, rows[name]["finding"]) for name, words in _TESTS.items() if name in rows
        ),
        shapes=tuple(_shape(words, rows[name]) for name, words in _SHAPES.items() if name in rows),
        who_is_given=_who_is_given(differing),
        characteristics=tuple(_characteristic(row) for row in differing.iter_rows(named=True)),
    )


def _summary(varied: list[dict[str, Any]]) -> str:
    primary, others = varied[0], [row for row in varied[1:] if row["verdict"]]
    alike = sum(row["verdict"] == primary["verdict"] for row in others)
    said = (
        f"Each row changes one choice and leaves the rest. The shape stays the same in {alike} of "
        f"{count(len(others), 'other fit')}."
    )
    limits = sorted(row["lower_limit_pg_ml"] for row in varied if row["lower_limit_pg_ml"])
    if not limits:
        return f"{said} No fit gives a lower limit."
    span = f"{number(limits[0])} to {number(limits[-1])}" if len(limits) > 1 else number(limits[0])
    return f"{said} Lower limits, where there is one: {span} pg/mL."


def _variant(row: Mapping[str, Any], n_primary: int) -> Variant:
    varies = "As chosen beforehand" if row["variant"] == PRIMARY else row["varies"]
    return Variant(
        name=capitalised(varies),
        data=f"{row['n_men']:,} ({row['n_intervals']:,})",
        shape=(
            curve_wording.verdict(row["outcome"], row["verdict"])
            if row["verdict"]
            else "Not fitted"
        ),
        limits=_limits(row),
        effect=signed(row["effect"]),
        effect_interval=_interval(row["effect_ci_low"], row["effect_ci_high"]),
        note=_note(row, n_primary),
    )


def _limits(row: Mapping[str, Any]) -> str:
    limits = []
    for side in ("lower", "upper"):
        if row[f"{side}_limit_pg_ml"] is not None:
            ends = interval(row[f"{side}_limit_ci_low"], row[f"{side}_limit_ci_high"])
            limits.append(f"{side} {number(row[f'{side}_limit_pg_ml'])} ({ends})")
    return "; ".join(limits) or NOTHING


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def _note(row: Mapping[str, Any], n_primary: int) -> str:
    if row["p_value"] is not None:
        differs = "differs from" if row["p_value"] <= ALPHA else "is not shown to differ from"
        return f"the shape {differs} that of the other group ({_p(row['p_value'])})"
    if row["variant"] == "with_bone_drugs" and row["n_intervals"] == n_primary:
        return "no pair of a man on them could be used"
    return str(row["why_not"]) if not row["verdict"] else ""


def _p(value: float) -> str:
    return "p < 0.001" if value < _LEAST_P else f"p = {value:.2g}"


def _against_best(p_value: float) -> str:
    said = "worse than the best" if p_value <= ALPHA else "not shown to be worse than the best"
    return f"{said} ({_p(p_value)})"


def _shape(name: str, row: Mapping[str, Any]) -> Shape:
    best = row["p_value"] is None
    return Shape(
        name=name,
        error=number(row["prediction_error"], 3),
        judgement="best of the four" if best else _against_best(row["p_value"]),
    )


def _who_is_given(prescribing: pl.DataFrame) -> str:
    far = prescribing.filter(pl.col("standardised_difference").abs() >= _DIFFERS_BY)
    if far.is_empty():
        return (
            "Men given anastrozole hardly differ from the others in what is known of them. What is not "
            "recorded can still differ."
        )
    named = [
        f"{'higher' if row['standardised_difference'] > 0 else 'lower'} {row['characteristic']}"
        for row in far.iter_rows(named=True)
    ]
    return (
        f"Men given anastrozole differ from the others: {listing(named)}. Low E2 by the drug and low E2 "
        "by nature are therefore found in different men; the curve within men, above, is free of that."
    )


def _characteristic(row: Mapping[str, Any]) -> Characteristic:
    decimals = 3 if row["unit"] == "g/cm2" else 1
    unit = row["unit"].replace("2", "²")
    return Characteristic(
        name=f"{capitalised(row['characteristic'])}, {unit}",
        given=f"{number(row['mean_given'], decimals)} ({row['n_given']:,})",
        others=f"{number(row['mean_others'], decimals)} ({row['n_others']:,})",
        difference=signed(row["standardised_difference"], 2),
    )
