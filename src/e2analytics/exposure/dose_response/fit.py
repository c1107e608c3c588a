"""Fits the dose response of a month and scores draws by it: every man's own level, response and movement.

In    E2 draws with their dose, patients, laboratory results, episodes, changes of testosterone
Out   own_levels     grain patient_id: own level and response under the frozen model
      dose_effects   grain dose: how far a dose lowers the average man's E2
      e2_checks      grain by, name: whether the draws of an assay, clinic, laboratory or dose fit

The model is fitted once a month. In the nights between, only men whose draws have changed are scored
again, at fixed parameters.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from e2analytics.errors import TooLittleDataError
from e2analytics.exposure.confounders import why_confounded
from e2analytics.exposure.dose_response.checks import check_draws
from e2analytics.exposure.dose_response.covariates import (
    COVARIATE_PRIORS,
    COVARIATES,
    ORDER_OF_DRAWS,
    PATIENT_COVARIATES,
    impute,
    learn_imputation,
    n_men,
    to_arrays,
    usable_draws,
    with_covariates,
    without_outliers,
)
from e2analytics.exposure.dose_response.predict import (
    COVARIANCES,
    EFFECTS,
    SHIFTING_PARAMETERS,
    dose_effects,
)
from e2analytics.exposure.dose_response.tables import TABLES, empty
from e2analytics.models.dose_response import draw_check
from e2analytics.models.dose_response.fit import MIN_MEN, PRIORS, DoseResponse
from e2analytics.models.dose_response.fit import fit as fit_dose_response
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.models.dose_response.predict import random_effects


class DoseResponseResult(NamedTuple):
    """What a dose response gives.

    Attributes
    ----------
    response
        The frozen model; None with too few men.
    own_levels, effects, checks
        The tables ``own_levels``, ``dose_effects`` and ``e2_checks``, without ``model_id``.
    draws
        The draws that estimates rest on, with their covariates: usable, and no outliers.
    """

    response: FrozenDoseResponse | None
    own_levels: pl.DataFrame
    effects: pl.DataFrame
    checks: pl.DataFrame
    draws: pl.DataFrame = pl.DataFrame()


def estimate(
    draws: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    episodes: pl.DataFrame,
    changes: pl.DataFrame,
    confounders: pl.DataFrame,
    *,
    as_of: date,
    before: DoseResponseResult | None = None,
) -> DoseResponseResult:
    """Return every man's own level, by the frozen dose response or by one fitted now.

    Parameters
    ----------
    draws
        E2 draws with their drug state. Left out are those in transition, under another aromatase
        inhibitor, of a day that the feed made up, or without information.
    patients, labs, episodes
        Sources of the covariates: body mass index, age, testosterone, whether he ever had the drug.
    changes
        ``testosterone_orders.find_changes``.
    confounders
        ``confounders.find_confounders``: draws in these spells are no part of the fit, and of their man's estimate.
    as_of
        The day.
    before
        The result under the frozen model: a man whose draws are unchanged keeps his row. Where it is
        None or has no response, one is fitted if at least 30 men have a result that is a number and all
        results together determine it.
    """
    used = usable_draws(draws)
    if before is None or before.response is None:
        none = DoseResponseResult(None, *(empty(name) for name in TABLES))
        covered = with_covariates(used, patients, labs, episodes, changes, as_of)
        to_fit = _unconfounded(covered, confounders)
        if _n_men_with_a_number(to_fit) < MIN_MEN:
            return none
        imputation = learn_imputation(to_fit, as_of)
        complete = impute(covered, imputation)
        to_fit = _unconfounded(complete, confounders)
        try:
            response = FrozenDoseResponse(_fit_population(to_fit), imputation)
        except (TooLittleDataError, np.linalg.LinAlgError):
            return none
        scored = _score(complete, response)
        z = draw_check.z_scores(response.model, to_arrays(scored.draws))
        checked = _unconfounded(scored.draws.with_columns(z=pl.Series(z)), confounders)
        return DoseResponseResult(
            response, scored.men, dose_effects(to_fit, response), check_draws(checked), scored.draws
        )
    imputation = before.response.imputation
    covered = with_covariates(used, patients, labs, episodes, changes, imputation.aged_on)
    complete = impute(covered, imputation)
    same = before.own_levels.join(complete, on=["patient_id", "draws_digest"], how="semi")
    known, changed = (
        complete.join(same, on="patient_id", how=how, maintain_order="left")
        for how in ("semi", "anti")
    )
    scored = _score(changed, before.response)
    with_outliers = same.filter(pl.col("n_outliers") > 0)
    judged, all_kept = (
        known.join(with_outliers, on="patient_id", how=how, maintain_order="left")
        for how in ("semi", "anti")
    )
    kept = pl.concat([all_kept, without_outliers(judged, before.response.model), scored.draws])
    return before._replace(
        own_levels=pl.concat([same, scored.men]).sort("patient_id"),
        draws=kept.sort(ORDER_OF_DRAWS),
    )


def _unconfounded(draws: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    return draws.filter(why_confounded(draws, spells).is_null())


def _fit_population(draws: pl.DataFrame) -> DoseResponse:
    """Fit the population parameters, without the outliers of a first approximate fit.

    Draws of an unknown assay count as immunoassay. Where enough draws have a known assay, the others do not
    help to estimate how immunoassay differs: many of them are mass spectrometry.
    """
    of_known_assay = draws.filter(pl.col("assay") != "unknown")
    enough = (of_known_assay["assay"] == "ia").sum() >= MIN_MEN
    taken = of_known_assay if enough and _n_men_with_a_number(of_known_assay) >= MIN_MEN else draws
    priors = {**PRIORS, **COVARIATE_PRIORS}
    first = fit_dose_response(to_arrays(taken), COVARIATES, priors=priors, approximate=True)
    kept = without_outliers(taken, first)
    return fit_dose_response(to_arrays(kept), COVARIATES, priors=priors, start=first)


def _n_men_with_a_number(draws: pl.DataFrame) -> int:
    """Count the men with a result that is a number: bounds alone leave open where the men lie."""
    return n_men(draws.filter(pl.col("value_low") == pl.col("value_high")))


class _Scored(NamedTuple):
    men: pl.DataFrame
    draws: pl.DataFrame


def _score(draws: pl.DataFrame, response: FrozenDoseResponse) -> _Scored:
    """Return every man's own level as of his last draw, and the draws that it rests on."""
    if draws.is_empty():
        return _Scored(empty("own_levels"), draws)
    kept = without_outliers(draws, response.model)
    effects = random_effects(response.model, to_arrays(kept))
    on, ms = pl.col("on_drug"), pl.col("assay") == "ms"
    counted = draws.group_by("patient_id", maintain_order=True).agg(
        # As of his last draw.
        pl.col("draws_digest", *PATIENT_COVARIATES, "log_testosterone_variance").last(),
        n_draws=pl.len().cast(pl.Int64),
        n_on=on.sum().cast(pl.Int64),
        n_ms=ms.sum().cast(pl.Int64),
        n_ms_on=(ms & on).sum().cast(pl.Int64),
    )
    of_kept = kept.group_by("patient_id", maintain_order=True).agg(
        pl.col("testosterone_changes").last(),
        n_kept=pl.len().cast(pl.Int64),
        last_drawn_on=pl.col("collected_on").last(),
    )
    posterior = {
        **{f"{part}_mean": effects.mean[:, i] for i, part in enumerate(EFFECTS)},
        **{name: effects.covariance[:, i, j] for (i, j), name in COVARIANCES.items()},
        **{
            f"{part}_by_{name}": effects.fall_per_parameter[:, i, j]
            for i, part in enumerate(EFFECTS)
            for j, name in enumerate(SHIFTING_PARAMETERS)
        },
    }
    men = counted.with_columns(
        of_kept["testosterone_changes"],
        of_kept["last_drawn_on"],
        n_outliers=pl.col("n_draws") - of_kept["n_kept"],
        **{name: pl.Series(values) for name, values in posterior.items()},
    ).select(empty("own_levels").columns)
    return _Scored(men, kept)
