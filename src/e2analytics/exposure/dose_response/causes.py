"""Takes the E2 of a man apart: how it comes about against his own best year, else against men like him.

In    the frozen dose response, ``own_levels``, the draws, present doses, a day
Out   grain patient_id: log E2 now and of the reference, and what each cause adds on the way

The best year is the twelve months in which his smoothed E2 was highest, among those with two draws at steady
state. A man without one is compared with the average man of his covariates, off the drug. Everything is a
posterior mean and linear, so the causes add up to the log ratio. Two are left out because they would always
be 0: the assay (the estimates are on the scale of mass spectrometry) and age (it counts as of the fit).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.exposure.dose_response.covariates import COVARIATES, to_arrays
from e2analytics.exposure.dose_response.predict import AsOf, effects_on, usual_covariates
from e2analytics.models.dose_response.fit import CONSTANT
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.models.dose_response.path import OwnParts, own_parts
from e2analytics.tables.vocabulary import CAUSES

_BEST_YEAR_DAYS: Final = 365
_LEAST_DRAWS: Final = 2
_TERMS: Final = {
    "testosterone": ("log_testosterone",),
    "weight": ("bmi_kg_m2",),
    "who_he_is": (CONSTANT, "age_years", "ever_on_drug"),
}
"""Terms of log E2 that covariates make."""
_ALL_TERMS: Final = (*_TERMS, "anastrozole", "level", "movement")
_SCHEMA: Final = {
    "patient_id": pl.String,
    "reference": pl.String,
    "reference_from": pl.Date,
    "reference_until": pl.Date,
    "reference_log_e2": pl.Float64,
    "log_e2": pl.Float64,
    **dict.fromkeys(CAUSES, pl.Float64),
}


def causes(
    response: FrozenDoseResponse | None,
    own_levels: pl.DataFrame,
    draws: pl.DataFrame,
    present: pl.DataFrame,
    as_of: AsOf,
) -> pl.DataFrame:
    """Return how the E2 of men on the drug comes about.

    Parameters
    ----------
    response, own_levels, draws
        From ``fit.estimate``.
    present
        ``episodes.present_dose``: patient_id, present_mg_per_week (null if not known).
    as_of
        The day.

    Returns
    -------
    polars.DataFrame
        Grain patient_id: ``reference`` with ``reference_from``, ``reference_until`` (its first and last draw),
        ``reference_log_e2``, ``log_e2`` now, and what each of ``CAUSES`` adds to the one to make the other.
    """
    men = own_levels.join(present, on="patient_id").sort("patient_id")
    if response is None or men.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    of_men = draws.join(men, on="patient_id", how="semi", maintain_order="left")
    best = _best_years(_at_draws(response, of_men))
    now = _now(response, men, as_of)
    both = now.join(best, on="patient_id", how="left", suffix="_then", maintain_order="left")
    of_himself = pl.col("reference_from").is_not_null()
    since = {name: pl.col(name) - pl.col(f"{name}_then") for name in _ALL_TERMS}
    against_himself = {
        **{name: since[name] for name in ("anastrozole", "weight", "movement")},
        # A man has one level, but for the lasting steps that changes of his testosterone bring.
        "testosterone": since["testosterone"] + since["level"],
        "own_level": since["who_he_is"],
    }
    # The average man of his covariates takes no drug and does not move.
    against_others = {
        **dict.fromkeys(CAUSES, pl.lit(0.0)),
        **{name: pl.col(name) for name in ("anastrozole", "movement")},
        "own_level": pl.col("level"),
    }
    then = pl.sum_horizontal(*(f"{name}_then" for name in _ALL_TERMS))
    return both.select(
        "patient_id",
        "reference_from",
        "reference_until",
        reference=pl.when(of_himself)
        .then(pl.lit("own_best_year"))
        .otherwise(pl.lit("men_like_him")),
        reference_log_e2=pl.when(of_himself).then(then).otherwise(pl.sum_horizontal(*_TERMS)),
        log_e2=pl.sum_horizontal(*_ALL_TERMS),
        **{
            cause: pl.when(of_himself).then(against_himself[cause]).otherwise(against_others[cause])
            for cause in CAUSES
        },
    ).select(_SCHEMA.keys())


def _now(response: FrozenDoseResponse, men: pl.DataFrame, as_of: AsOf) -> pl.DataFrame:
    """Return the terms of each man's log E2 at his present dose on the day."""
    dose = men["present_mg_per_week"].fill_null(response.imputation.assumed_mg_per_week).to_numpy()
    level, own_response, movement = effects_on(response, men, as_of).mean.T
    own = OwnParts(level, np.where(dose > 0, own_response, 0.0), movement)
    return men.select("patient_id", **_terms(response, usual_covariates(men), dose, own))


def _at_draws(response: FrozenDoseResponse, draws: pl.DataFrame) -> pl.DataFrame:
    """Return the terms of smoothed log E2 at draws, at what was his usual testosterone then.

    E2 now is asked for at his usual testosterone, too: a draw at the peak of an injection is no cause.
    """
    arrays = to_arrays(draws)
    own = own_parts(response.model, arrays)
    terms = _terms(response, usual_covariates(draws), arrays.dose_mg_per_week, own)
    return draws.select("patient_id", "collected_on", **terms)


def _terms(
    response: FrozenDoseResponse,
    covariates: NDArray[np.float64],
    dose_mg_per_week: NDArray[np.float64],
    own: OwnParts,
) -> dict[str, pl.Series]:
    population = response.model.population
    by_covariate = dict(zip(COVARIATES, (covariates * population.coefficients).T, strict=True))
    terms = {
        **{term: sum(by_covariate[name] for name in names) for term, names in _TERMS.items()},
        # What his own response adds is the drug's: without the drug it is not there.
        "anastrozole": population.effect(dose_mg_per_week).log_ratio + own.response,
        "level": own.level,
        "movement": own.movement,
    }
    return {name: pl.Series(values) for name, values in terms.items()}


def _best_years(terms: pl.DataFrame) -> pl.DataFrame:
    """Return the mean terms of each man's best year, and the days of its first and last draw."""
    begins = terms.select("patient_id", begins="collected_on").unique()
    since = (pl.col("collected_on") - pl.col("begins")).dt.total_days()
    years = (
        terms.join(begins, on="patient_id")
        .filter(since.is_between(0, _BEST_YEAR_DAYS - 1))
        # In one order, so that means are the same to the last digit.
        .sort("patient_id", "begins", "collected_on", *_ALL_TERMS)
        .group_by("patient_id", "begins", maintain_order=True)
        .agg(
            pl.col(_ALL_TERMS).mean(),
            n_draws=pl.len(),
            reference_from=pl.col("collected_on").first(),
            reference_until=pl.col("collected_on").last(),
        )
        .filter(pl.col("n_draws") >= _LEAST_DRAWS)
    )
    best = years.sort("patient_id", pl.sum_horizontal(*_ALL_TERMS), "begins").group_by(
        "patient_id", maintain_order=True
    )
    return best.last().drop("begins", "n_draws")
