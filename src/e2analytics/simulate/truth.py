"""The true curve: annual BMD change against E2, as a difference from the plateau.

The bend and the ends are those of `parameters`; a site has the spine's curve times `SITE_SCALE`.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.simulate import parameters as world
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
        case "threshold":
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


def _low_side_harm(log_e2: Vector) -> Vector:
    """Return 1 at or below the low end, 0 from the plateau on, linear in log E2 between."""
    width = np.log(world.PLATEAU_PG_ML / world.LOW_END_PG_ML)
    return np.asarray(np.clip((np.log(world.PLATEAU_PG_ML) - log_e2) / width, 0.0, 1.0))


def _high_side_harm(log_e2: Vector) -> Vector:
    """Return 0 up to the high bend, 1 at the high end, linear in log E2 and beyond."""
    width = np.log(world.HIGH_END_PG_ML / world.HIGH_BEND_PG_ML)
    return np.asarray(np.maximum((log_e2 - np.log(world.HIGH_BEND_PG_ML)) / width, 0.0))
