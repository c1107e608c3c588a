"""Predicts E2 by a frozen dose response: at the present dose, off the drug, at others, over scan intervals.

In    the frozen dose response, ``own_levels``
Out   log E2 of men at their present dose and off the drug
      projections         grain patient_id, dose
      exposure_episodes   grain patient_id, site, first scan, dose; and their means by pair
      dose_effects        grain dose
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.exposure.dose_response.covariates import COVARIATES
from e2analytics.exposure.dose_response.tables import empty
from e2analytics.models.dose_response import predict
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.models.dose_response.predict import Predicted, RandomEffects
from e2analytics.models.normal import Z95

PROJECTED_MG_PER_WEEK: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 7.0)
EFFECTS: Final = ("level", "response")
"""A man's random effects, as column names of ``own_levels`` begin."""
SHIFTING_PARAMETERS: Final = (
    *COVARIATES,
    "logit_emax",
    "log_ed50",
    "log_ia_slope",
    "ia_constant_pg_ml",
)


class IntervalExposure(NamedTuple):
    """Log E2 over scan intervals: of each dosing episode, and the time-weighted mean of each pair."""

    episodes: pl.DataFrame
    pairs: pl.DataFrame


def present_and_off_drug(
    response: FrozenDoseResponse | None, own_levels: pl.DataFrame, present: pl.DataFrame
) -> pl.DataFrame:
    """Return log E2 at the present dose (``on``) and off the drug, jointly, of men on the drug.

    Parameters
    ----------
    response, own_levels
        From ``fit.estimate``.
    present
        ``episodes.present_dose``: patient_id, present_mg_per_week (null if not known).
    """
    men = own_levels.join(present, on="patient_id")
    if response is None or men.is_empty():
        names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
        return men.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in names)
    dose = men["present_mg_per_week"].fill_null(response.imputation.assumed_mg_per_week).to_numpy()
    predicted = _log_e2(response, men, np.column_stack([dose, np.zeros_like(dose)]))
    return men.with_columns(
        on_mean=predicted.mean[:, 0],
        off_mean=predicted.mean[:, 1],
        on_sd=predicted.sd[:, 0],
        off_sd=predicted.sd[:, 1],
        covariance=predicted.covariance[:, 0, 1],
    )


def sd_of_draw(response: FrozenDoseResponse | None) -> float | None:
    """Return the scatter (log scale) of one draw by mass spectrometry around a man's own level."""
    return response.model.population.assays.sd_ms if response else None


def projections(
    response: FrozenDoseResponse | None, own_levels: pl.DataFrame, of_men: pl.DataFrame
) -> pl.DataFrame:
    """Return the E2 of the named men at common doses: information, never an order."""
    men = own_levels.join(of_men, on="patient_id", how="semi").sort("patient_id")
    if response is None or men.is_empty():
        return empty("projections")
    doses = np.array(PROJECTED_MG_PER_WEEK)
    predicted = _log_e2(response, men, np.tile(doses, (len(men), 1)))
    mean, spread = predicted.mean.ravel(), Z95 * predicted.sd.ravel()
    return pl.DataFrame(
        {
            "patient_id": men["patient_id"].gather(np.repeat(np.arange(len(men)), len(doses))),
            "weekly_anastrozole_mg": np.tile(doses, len(men)),
            "e2_pg_ml": np.exp(mean),
            "e2_ci_low_pg_ml": np.exp(mean - spread),
            "e2_ci_high_pg_ml": np.exp(mean + spread),
        }
    )


def interval_exposure(
    response: FrozenDoseResponse | None, own_levels: pl.DataFrame, doses: pl.DataFrame
) -> IntervalExposure:
    """Return log E2 over scan intervals, along the doses held in them.

    Parameters
    ----------
    response, own_levels
        From ``fit.estimate``.
    doses
        ``episodes.doses_in_interval``: pair, patient_id, weekly_dose_mg (0 off the drug, null unknown) and
        ``share`` of the days.
    """
    held = doses.join(own_levels.select("patient_id"), on="patient_id", how="semi").sort(
        "pair", "weekly_dose_mg"
    )
    if response is None or held.is_empty():
        nothing = pl.lit(None, dtype=pl.Float64)
        return IntervalExposure(
            empty("exposure_episodes"),
            doses.select("pair").unique().with_columns(log_e2=nothing, log_e2_sd=nothing),
        )
    row = (held["pair"].rank("dense").cast(pl.Int64) - 1).to_numpy()
    column = held.select(pl.int_range(pl.len()).over("pair")).to_series().to_numpy()
    dose, share = np.zeros((2, row[-1] + 1, column.max() + 1))
    dose[row, column] = (
        held["weekly_dose_mg"].fill_null(response.imputation.assumed_mg_per_week).to_numpy()
    )
    share[row, column] = held["share"].to_numpy()
    pairs = held.unique("pair", keep="first", maintain_order=True).select("pair", "patient_id")
    men = pairs.join(own_levels, on="patient_id", how="left", maintain_order="left")
    predicted = _log_e2(response, men, dose)
    variance = np.einsum("nk,nkl,nl->n", share, predicted.covariance, share)
    return IntervalExposure(
        held.select(
            "patient_id",
            "site",
            first_scan_id="scan_id",
            weekly_anastrozole_mg="weekly_dose_mg",
            share="share",
            log_e2_mean=pl.Series(predicted.mean[row, column]),
            log_e2_sd=pl.Series(predicted.sd[row, column]),
        ),
        pairs.select("pair").with_columns(
            log_e2=np.einsum("nk,nk->n", share, predicted.mean), log_e2_sd=np.sqrt(variance)
        ),
    )


def _log_e2(
    response: FrozenDoseResponse, men: pl.DataFrame, dose_mg_per_week: NDArray[np.float64]
) -> Predicted:
    """Return log E2 of men (rows of ``own_levels``) at doses of shape (n, k)."""
    fall_per_parameter = np.stack(
        [
            men.select(f"{part}_by_{name}" for name in SHIFTING_PARAMETERS).to_numpy()
            for part in EFFECTS
        ],
        axis=1,
    )
    both = men["level_response_covariance"].to_numpy()
    covariance = np.stack(
        [
            np.column_stack([men["level_variance"].to_numpy(), both]),
            np.column_stack([both, men["response_variance"].to_numpy()]),
        ],
        axis=1,
    )
    effects = RandomEffects(
        men.select("level_mean", "response_mean").to_numpy(), covariance, fall_per_parameter
    )
    covariates = np.column_stack([np.ones(len(men)), men.select(COVARIATES[1:]).to_numpy()])
    of_testosterone = response.model.vector[COVARIATES.index("log_testosterone")]
    return predict.predict(
        response.model,
        effects,
        covariates,
        dose_mg_per_week,
        of_testosterone**2 * men["log_testosterone_variance"].to_numpy(),
    )


def dose_effects(draws: pl.DataFrame, response: FrozenDoseResponse) -> pl.DataFrame:
    """Return how far common doses lower the average man's E2, and how many men have a draw on each."""
    doses = np.array(PROJECTED_MG_PER_WEEK[1:])
    low, middle, high = predict.suppression(response.model, doses)
    men_on_dose = draws.group_by("dose_mg_per_week").agg(n_men=pl.col("patient_id").n_unique())
    shares = response.model.prior_share()
    return (
        pl.DataFrame(
            {
                "weekly_anastrozole_mg": doses,
                "suppression_pct": 100 * middle,
                "ci_low_pct": 100 * low,
                "ci_high_pct": 100 * high,
            }
        )
        .join(
            men_on_dose,
            left_on="weekly_anastrozole_mg",
            right_on="dose_mg_per_week",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("n_men").fill_null(0).cast(pl.Int64),
            prior_share=pl.lit(max(shares["logit_emax"], shares["log_ed50"])),
        )
    )
