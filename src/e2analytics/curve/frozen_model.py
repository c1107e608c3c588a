"""The frozen model of a month: fitted once, used until the next fit, named by a digest of its inputs.

In    a fit; the models fitted so far
Out   models   grain model_id: estimates, limit quantiles and settings as JSON

Nights score new data with it, so that their cost follows what is new and no flag moves because a fit did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.frozen import FrozenDoseResponse, Imputation
from e2analytics.models.random_intercept import RandomIntercept
from e2analytics.settings import FitSettings, LinkSettings, Settings

_STILL: Final = {
    "log_sd_movement": float(np.log(1e-6)),
    "log_days_movement": float(np.log(270.0)),
    "log_sd_jump": float(np.log(1e-6)),
}


@dataclass(frozen=True)
class FrozenModel:
    """The part of a fit that flags need; the curves themselves are tables.

    Attributes
    ----------
    model_id
        The as-of date of the fit, and a digest of its inputs and settings.
    response
        The dose response; None if too few men had a draw.
    limit_quantiles_pg_ml
        By site: equally probable values of its curve's lower limit; empty if it has none.
    fit_settings
        How it was fitted; with other settings it is not in force.
    """

    model_id: str
    response: FrozenDoseResponse | None
    limit_quantiles_pg_ml: Mapping[str, tuple[float, ...]]
    fit_settings: Mapping[str, Any]


def in_force(
    models: pl.DataFrame, summary: pl.DataFrame, settings: Settings, as_of: date
) -> FrozenModel | None:
    """Return the model that the curves come from, if it was fitted in the month of ``as_of``; None: fit one.

    Parameters
    ----------
    models
        All models ever fitted.
    summary
        The curves of the run before. A model without a fitted curve is none: there may be enough data
        by now.
    settings
        A model that was fitted under other settings is not in force.
    as_of
        The day.
    """
    fitted = summary.filter(pl.col("verdict").is_not_null())["model_id"].unique().to_list()
    day = pl.col("fitted_as_of")
    this_month = models.filter(
        (day >= as_of.replace(day=1)) & (day <= as_of) & pl.col("model_id").is_in(fitted)
    )
    if len(this_month) != 1:
        return None
    model = _from_json(this_month["model_id"][0], this_month["parameters"][0])
    return model if _as_today(model.fit_settings) == settings_of_fit(settings) else None


def settings_of_fit(settings: Settings) -> dict[str, Any]:
    """Return the settings that a fit depends on, as JSON has them."""
    kept = settings.model_dump(mode="json", include={"link", "fit"})
    # Which curve gives the limit is chosen after all are fitted.
    del kept["fit"]["primary_site"]
    return kept


def _as_today(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an earlier fit with those that came later at their defaults."""
    fit = FitSettings.model_validate(kept["fit"]).model_dump(mode="json", exclude={"primary_site"})
    return {"link": LinkSettings.model_validate(kept["link"]).model_dump(mode="json"), "fit": fit}


def name(frames: Iterable[pl.DataFrame], settings: Settings, as_of: date) -> str:
    """Name a model by its day and a digest of its inputs: the same inputs, the same name."""
    digest = hashlib.sha256(json.dumps(settings_of_fit(settings), sort_keys=True).encode())
    for frame in frames:
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return f"{as_of:%Y-%m-%d}-{digest.hexdigest()[:8]}"


def record(models: pl.DataFrame, model: FrozenModel, *, as_of: date, run_id: str) -> pl.DataFrame:
    """Return the models, with this one added."""
    if model.model_id in models["model_id"]:
        return models
    parameters = {
        "dose_response": _response_to_json(model.response) if model.response else None,
        "limit_quantiles_pg_ml": model.limit_quantiles_pg_ml,
        "fit_settings": model.fit_settings,
    }
    row = {
        "model_id": model.model_id,
        "fitted_as_of": as_of,
        "run_id": run_id,
        "parameters": json.dumps(parameters),
    }
    return pl.concat([models, pl.DataFrame([row], schema=models.schema)])


def limit_uncertainty(
    models: pl.DataFrame, model_id: str | None, site: str | None
) -> tuple[float, ...]:
    """Return equally probable values of a fitted limit, pg/mL; none for one from the literature."""
    model = by_id(models, model_id)
    return model.limit_quantiles_pg_ml.get(str(site), ()) if model else ()


def by_id(models: pl.DataFrame, model_id: str | None) -> FrozenModel | None:
    """Return a model that was recorded; None where there is none of that name."""
    source = models.filter(pl.col("model_id").eq_missing(pl.lit(model_id)))
    if source.is_empty():
        return None
    return _from_json(source["model_id"][0], source["parameters"][0])


def _from_json(model_id: str, text: str) -> FrozenModel:
    parameters = json.loads(text)
    response = parameters["dose_response"]
    return FrozenModel(
        model_id,
        _response_from_json(response) if response else None,
        {site: tuple(values) for site, values in parameters["limit_quantiles_pg_ml"].items()},
        parameters["fit_settings"],
    )


def _response_to_json(response: FrozenDoseResponse) -> dict[str, Any]:
    model, imputation = response.model, response.imputation
    return {
        "estimates": dict(zip(model.names, model.vector.tolist(), strict=True)),
        "standard_errors": dict(zip(model.names, model.standard_error.tolist(), strict=True)),
        "prior_share": model.prior_share(),
        "covariance": model.covariance.tolist(),
        "log_likelihood": model.log_likelihood,
        "n_men": model.n_men,
        "n_draws": model.n_draws,
        "n_censored": model.n_censored,
        "context": {**asdict(imputation), "aged_on": imputation.aged_on.isoformat()},
    }


def _response_from_json(kept: dict[str, Any]) -> FrozenDoseResponse:
    context = kept["context"]
    # A model of before men could move is one in which they do not.
    estimates = {
        **kept["estimates"],
        **{k: v for k, v in _STILL.items() if k not in kept["estimates"]},
    }
    n_new = len(estimates) - len(kept["estimates"])
    model = DoseResponse(
        tuple(estimates),
        np.array(list(estimates.values())),
        np.pad(np.array(kept["covariance"]), (0, n_new)),
        *(kept[name] for name in ("log_likelihood", "n_men", "n_draws", "n_censored")),
    )
    testosterone, aged_on = RandomIntercept(**context["testosterone"]), context["aged_on"]
    changed = {"testosterone": testosterone, "aged_on": date.fromisoformat(aged_on)}
    # To a model of before it was learnt, a man who has not had the drug is one who never has it.
    return FrozenDoseResponse(model, Imputation(**{"given_later": 0.0, **context, **changed}))
