"""Contracts of the risk curve, its summary and sensitivity, and the limits in use."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.vocabulary import (
    BONE_OUTCOMES,
    CURVES_OF,
    LIMIT_SOURCES,
    OUTCOMES,
    VERDICTS,
    WHOLE_MAN,
)


class Curve(Table):
    """The fitted curve on its grid. Grain: site, outcome, e2_pg_ml."""

    site: Series[str] = pa.Field(
        isin=(*CURVES_OF, WHOLE_MAN), description="whole_man: of an outcome beyond bone."
    )
    outcome: Series[str] = pa.Field(isin=OUTCOMES)
    e2_pg_ml: Series[float] = pa.Field(gt=0)
    estimate: Series[float] = pa.Field(description="Adjusted mean outcome, in the outcome's unit.")
    ci_low: Series[float] = pa.Field(description="Pointwise 95 %, clustered by patient.")
    ci_high: Series[float]
    band_low: Series[float] = pa.Field(description="Simultaneous 95 % over the supported points.")
    band_high: Series[float]
    n_effective: Series[pl.Int64] = pa.Field(ge=0, description="Men within +/- 0.2 in log E2.")
    supported: Series[bool]
    model_id: Series[str]

    class Config:
        """Facts of the table."""

        key = ("site", "outcome", "e2_pg_ml")
        key_checked = False


class CurveSummary(Table):
    """What the curve says. Grain: site, outcome."""

    site: Series[str] = pa.Field(
        isin=(*CURVES_OF, WHOLE_MAN), description="whole_man: of an outcome beyond bone."
    )
    outcome: Series[str] = pa.Field(isin=OUTCOMES)
    verdict: Series[str] = pa.Field(isin=VERDICTS, nullable=True, description="Null: not fitted.")
    explanation: Series[str] = pa.Field(description="The verdict in words.")
    nadir_e2_pg_ml: Series[float] = pa.Field(nullable=True, description="Best bone, least risk.")
    nadir_ci_low: Series[float] = pa.Field(nullable=True)
    nadir_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_low: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_share: Series[float] = pa.Field(
        nullable=True, description="Share of bootstrap replicates with a lower limit."
    )
    upper_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_low: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_high: Series[float] = pa.Field(nullable=True)
    upper_limit_share: Series[float] = pa.Field(nullable=True)
    delta: Series[float] = pa.Field(description="Difference that matters, in the outcome's unit.")
    edf: Series[float] = pa.Field(nullable=True, description="Effective degrees of freedom.")
    smoothing: Series[float] = pa.Field(nullable=True)
    covariates: Series[str] = pa.Field(description="Adjusted for, and left out with the reason.")
    n_patients: Series[pl.Int64] = pa.Field(ge=0)
    n_intervals: Series[pl.Int64] = pa.Field(ge=0)
    supported: Series[bool] = pa.Field(description="The lower limit is supported.")
    why_not: Series[str] = pa.Field(nullable=True, description="Why there is no (supported) limit.")
    model_id: Series[str]
    upper_limit_supported: Series[bool] = pa.Field(
        nullable=True, description="The upper limit is supported; null: fitted by an older version."
    )
    upper_limit_why_not: Series[str] = pa.Field(nullable=True)
    n_events: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="First events; null of bone."
    )

    class Config:
        """Facts of the table."""

        key = ("site", "outcome")
        key_checked = False


class CurveSensitivity(Table):
    """The primary curve with one choice made otherwise. Grain: site, outcome, variant."""

    site: Series[str] = pa.Field(isin=CURVES_OF)
    outcome: Series[str] = pa.Field(isin=BONE_OUTCOMES)
    variant: Series[str]
    varies: Series[str] = pa.Field(description="In words, what is varied.")
    n_men: Series[pl.Int64] = pa.Field(ge=0)
    n_intervals: Series[pl.Int64] = pa.Field(ge=0)
    verdict: Series[str] = pa.Field(
        isin=VERDICTS,
        nullable=True,
        description="Null: not fitted, or a textbook test without one.",
    )
    finding: Series[str] = pa.Field(nullable=True, description="In words, what it says.")
    nadir_e2_pg_ml: Series[float] = pa.Field(nullable=True)
    nadir_ci_low: Series[float] = pa.Field(nullable=True)
    nadir_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_low: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_high: Series[float] = pa.Field(nullable=True)
    upper_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_low: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_high: Series[float] = pa.Field(nullable=True)
    effect: Series[float] = pa.Field(
        nullable=True,
        description="Outcome at 12 pg/mL less that at 25 pg/mL, where both have support.",
    )
    effect_ci_low: Series[float] = pa.Field(nullable=True, description="95 %, clustered by man.")
    effect_ci_high: Series[float] = pa.Field(nullable=True)
    p_value: Series[float] = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        description="Of a group: that its curve has the shape of the other group's. Of a textbook test: its own.",
    )
    prediction_error: Series[float] = pa.Field(
        nullable=True,
        description="Of a shape: root mean square error in men it was not fitted to, outcome's unit.",
    )
    why_not: Series[str] = pa.Field(nullable=True, description="Why there is no lower limit.")
    model_id: Series[str]

    class Config:
        """Facts of the table."""

        key = ("site", "outcome", "variant")


class Prescribing(Table):
    """Men of the primary curve who were given the drug, compared with the others. Grain: characteristic."""

    characteristic: Series[str]
    unit: Series[str]
    n_given: Series[pl.Int64] = pa.Field(ge=1, description="Men on the drug in a usable interval.")
    mean_given: Series[float] = pa.Field(description="E2 and testosterone: geometric.")
    n_others: Series[pl.Int64] = pa.Field(ge=1)
    mean_others: Series[float]
    standardised_difference: Series[float] = pa.Field(
        nullable=True, description="Difference over the SD of men; of logarithms where geometric."
    )
    model_id: Series[str]

    class Config:
        """Facts of the table."""

        key = ("characteristic",)


class Limits(Table):
    """Limits taken into use, oldest first; the last one counts. Grain: adopted_on, model_id."""

    adopted_on: Series[pl.Date]
    site: Series[str] = pa.Field(isin=CURVES_OF, description="Whose curve it is of.")
    lower_limit_pg_ml: Series[float]
    limit_ci_low: Series[float] = pa.Field(nullable=True)
    limit_ci_high: Series[float] = pa.Field(nullable=True)
    source: Series[str] = pa.Field(isin=LIMIT_SOURCES)
    model_id: Series[str]
    reason: Series[str]

    class Config:
        """Facts of the table."""

        key = ("adopted_on", "model_id")
        key_checked = False
        carried_over = True
