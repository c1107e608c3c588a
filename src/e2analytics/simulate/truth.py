"""The true curves: annual BMD change and the risk of other outcomes against E2.

BMD change is a difference from the plateau; a site has the spine's curve times `SITE_SCALE`. The bends and the
ends are those of `parameters`.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.models import sweet_spot
from e2analytics.settings import FitSettings
from e2analytics.simulate import parameters as world
from e2analytics.simulate.parameters import OutcomeRate
from e2analytics.simulate.settings import SimulationSettings

Vector = NDArray[np.float64]


def spine_change_pct(log_e2: Vector, settings: SimulationSettings) -> Vector:
    """Return the E2 part of the spine's annual change.

    Parameters
    ----------
    log_e2 : ndarray of any shape
        Natural log of E2 in pg/mL.
    settings : SimulationSettings
        `shape` and `effect_pct_per_year` are read.

    Returns
    -------
    ndarray of the same shape
        %/year; 0 where E2 does no harm.
    """
    effect = settings.effect_pct_per_year
    match settings.shape:
        case "threshold" | "two_sides" | "bone_only":
            return np.asarray(-effect * _low_side_harm(log_e2))
        case "u":
            return -effect * (_low_side_harm(log_e2) + _high_side_harm(log_e2))
        case "rising":
            width = np.log(world.RISING_TOP_PG_ML / world.LOW_END_PG_ML)
            return np.asarray(effect * (log_e2 - np.log(world.RISING_TOP_PG_ML)) / width)
        case "flat":
            return np.zeros_like(log_e2)


def curve(settings: SimulationSettings) -> pl.DataFrame:
    """Return the true curve: `site`, `e2_pg_ml` on a fine log grid, `annual_change_pct`."""
    e2 = np.geomspace(*world.CURVE_GRID_PG_ML, world.CURVE_GRID_POINTS)
    spine = spine_change_pct(np.log(e2), settings)
    return pl.concat(
        pl.DataFrame(
            {"e2_pg_ml": e2.round(4), "annual_change_pct": (scale * spine).round(5)}
        ).select(pl.lit(site).alias("site"), pl.all())
        for site, scale in zip(world.SITES, world.SITE_SCALE, strict=True)
    )


def outcome_rates() -> tuple[OutcomeRate, ...]:
    """Return the rates of all outcomes beyond bone."""
    return (*world.SYMPTOM_RATES, world.FRACTURE_RATE, world.HAEMATOCRIT_RATE)


def events_per_year(log_e2: Vector, outcome: OutcomeRate, settings: SimulationSettings) -> Vector:
    """Return how often an outcome comes at an E2, at a testosterone of `TESTOSTERONE_NG_DL`.

    Parameters
    ----------
    log_e2 : ndarray of any shape
        Natural log of E2 in pg/mL.
    outcome : OutcomeRate
        Its rate on the plateau and what low and high E2 add.
    settings : SimulationSettings
        Under the shape `two_sides` E2 adds; under all others it does not.

    Returns
    -------
    ndarray of the same shape
        Events per man-year.
    """
    if settings.shape != "two_sides":
        return np.full_like(log_e2, outcome.rate)
    high = np.minimum(_high_side_harm(log_e2), 1.0)
    return np.asarray(outcome.rate + outcome.low * _low_side_harm(log_e2) + outcome.high * high)


def outcomes(settings: SimulationSettings) -> pl.DataFrame:
    """Return the true probability of an event within a year: `outcome`, `e2_pg_ml`, `probability_1y`."""
    e2 = np.geomspace(*world.CURVE_GRID_PG_ML, world.CURVE_GRID_POINTS)
    return pl.concat(
        pl.DataFrame(
            {"e2_pg_ml": e2.round(4), "probability_1y": _within_a_year(np.log(e2), each, settings)}
        ).select(pl.lit(outcome_name(each)).alias("outcome"), pl.all())
        for each in outcome_rates()
    )


def outcome_limits(settings: SimulationSettings) -> pl.DataFrame:
    """Return the E2 at which each outcome's risk exceeds the least by `delta`, none where it never does.

    The least is that of the best window of E2, as for curves that are fitted (`models.sweet_spot`).
    """
    log_e2 = np.log(np.geomspace(*world.CURVE_GRID_PG_ML, world.CURVE_GRID_POINTS))
    risks = np.stack([_within_a_year(log_e2, each, settings) for each in outcome_rates()])
    delta = FitSettings().delta_risk
    found = sweet_spot.find(log_e2, -risks, delta)
    return pl.DataFrame(
        {
            "outcome": [outcome_name(each) for each in outcome_rates()],
            "delta": delta,
            "lower_limit_pg_ml": np.exp(found.lower_log_e2).round(4),
            "upper_limit_pg_ml": np.exp(found.upper_log_e2).round(4),
        }
    ).with_columns(pl.col("^.*_limit_pg_ml$").fill_nan(None))


def outcome_name(outcome: OutcomeRate) -> str:
    """Return what the curve of an outcome is called.

    >>> outcome_name(world.FRACTURE_RATE)
    'hazard_fracture_1y'
    """
    return f"hazard_{outcome.name}_1y"


def _within_a_year(log_e2: Vector, outcome: OutcomeRate, settings: SimulationSettings) -> Vector:
    return -np.expm1(-events_per_year(log_e2, outcome, settings))


def _low_side_harm(log_e2: Vector) -> Vector:
    """Return 1 at or below the low end, 0 from the plateau on, linear in log E2 between."""
    width = np.log(world.PLATEAU_PG_ML / world.LOW_END_PG_ML)
    return np.asarray(np.clip((np.log(world.PLATEAU_PG_ML) - log_e2) / width, 0.0, 1.0))


def _high_side_harm(log_e2: Vector) -> Vector:
    """Return 0 up to the high bend, 1 at the high end, linear in log E2 and beyond."""
    width = np.log(world.HIGH_END_PG_ML / world.HIGH_BEND_PG_ML)
    return np.asarray(np.maximum((log_e2 - np.log(world.HIGH_BEND_PG_ML)) / width, 0.0))
