"""The model of a month: fitted once, frozen until the next, and named by what it was fitted to.

A night scores new data with it, so that its cost follows what is new, and no flag moves because a fit
did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date

import polars as pl

from e2analytics.models.shrinkage import Shrinkage
from e2analytics.settings import Settings


@dataclass(frozen=True)
class MonthModel:
    """What flags need of a fit; the curves themselves are tables.

    Attributes
    ----------
    model_id
        The as-of date of the fit, and a digest of its inputs and settings.
    shared
        The dose response; None if too few men had a draw.
    limit_quantiles_pg_ml
        Of the bootstrap of the primary curve's lower limit; empty if it has none.
    """

    model_id: str
    shared: Shrinkage | None
    limit_quantiles_pg_ml: tuple[float, ...]


def in_force(models: pl.DataFrame, as_of: date) -> MonthModel | None:
    """Return the newest model fitted in the month of ``as_of``, up to that day; None: fit one."""
    fitted = pl.col("fitted_as_of")
    this_month = models.filter((fitted >= as_of.replace(day=1)) & (fitted <= as_of))
    if this_month.is_empty():
        return None
    newest = this_month.sort("fitted_as_of").row(-1, named=True)
    return _from_json(newest["model_id"], newest["parameters"])


def name(frames: Iterable[pl.DataFrame], settings: Settings, as_of: date) -> str:
    """Name a model by its day and by what it is fitted to: the same inputs, the same name."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for frame in frames:
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return f"{as_of:%Y-%m-%d}-{digest.hexdigest()[:8]}"


def record(models: pl.DataFrame, model: MonthModel, *, as_of: date, run_id: str) -> pl.DataFrame:
    """Return the models with this one among them."""
    if model.model_id in models["model_id"]:
        return models
    parameters = {
        "dose_response": asdict(model.shared) if model.shared else None,
        "limit_quantiles_pg_ml": list(model.limit_quantiles_pg_ml),
    }
    row = {
        "model_id": model.model_id,
        "fitted_as_of": as_of,
        "run_id": run_id,
        "parameters": json.dumps(parameters, sort_keys=True),
    }
    return pl.concat([models, pl.DataFrame([row], schema=models.schema)])


def limit_uncertainty(models: pl.DataFrame, model_id: str | None) -> tuple[float, ...]:
    """Return the quantiles of a fitted limit, pg/mL; none for one from the literature."""
    source = models.filter(pl.col("model_id").eq_missing(pl.lit(model_id)))
    if source.is_empty():
        return ()
    return _from_json(source["model_id"][0], source["parameters"][0]).limit_quantiles_pg_ml


def _from_json(model_id: str, text: str) -> MonthModel:
    parameters = json.loads(text)
    shared = parameters["dose_response"]
    return MonthModel(
        model_id,
        Shrinkage(**{**shared, **_tuples(shared)}) if shared else None,
        tuple(parameters["limit_quantiles_pg_ml"]),
    )


def _tuples(shared: dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
    # JSON has lists where the model has tuples.
    return {name: tuple(value) for name, value in shared.items() if isinstance(value, list)}
