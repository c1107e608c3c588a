"""Predicts E2 by a frozen dose response: at the present dose, off the drug, at others, over scan intervals.

In    the frozen dose response, ``own_levels``; for scan intervals also the draws
Out   log E2 of men at their present dose and off the drug
      projections         grain patient_id, dose
      exposure_episodes   grain patient_id, site, first scan, dose; and their means by pair
      dose_effects        grain dose
"""

from __future__ import annotations

from datetime import date
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtr

from e2analytics.exposure import testosterone_orders
from e2analytics.exposure.dose_response.covariates import (
    COVARIATES,
    to_arrays,
    to_days,
)
from e2analytics.exposure.dose_response.tables import empty
from e2analytics.models.dose_response import predict
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.models.dose_response.path import Path, Wanted, along, turning_day
from e2analytics.models.dose_response.predict import Predicted, RandomEffects
from e2analytics.models.normal import Z95
from e2analytics.reference import constants
from e2analytics.tables.patient_data import CHANGE_COLUMNS

CHANGE_DAYS: Final = {"6m": 182, "12m": 365}
CHANGE_SHARE: Final = constants.CHANGE_OF_E2.value
"""Our own rule: a fall or rise of E2 by more than that share, within half a year and a year."""
_STEPS_OF_A_YEAR: Final = 12
_PROBABLE: Final = 0.5
_WHOLE_YEAR: Final = 0
_GROUPS_OF_MAN: Final = 1 + len(CHANGE_DAYS)
PROJECTED_MG_PER_WEEK: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 7.0)
EFFECTS: Final = ("level", "response", "movement")
"""A man's random effects, as column names of ``own_levels`` begin."""
COVARIANCES: Final = {
    (i, j): f"{one}_variance" if i == j else f"{one}_{other}_covariance"
    for i, one in enumerate(EFFECTS)
    for j, other in enumerate(EFFECTS)
    if i <= j
}
"""Where in their covariance each column of ``own_levels`` stands."""
SHIFTING_PARAMETERS: Final = (
    *COVARIATES,
    "logit_emax",
    "log_ed50",
    "log_ia_slope",
    "ia_constant_pg_ml",
)
STEP_DAYS: Final = int(constants.E2_STEP_DAYS.value)
"""E2 is carried forward from a man's last draw in steps of so many days."""


class AsOf(NamedTuple):
    """A day, and ``testosterone_orders.find_changes`` until then."""

    day: date
    changes: pl.DataFrame

    def carried_to(self, men: pl.DataFrame) -> pl.Series:
        """Return the day up to which the E2 of men (rows of ``own_levels``) is carried forward.

        It is the last one, up to the day itself, that lies whole steps after a man's last draw or the last
        change of his testosterone, whichever came later.
        """
        changed = (
            self.changes.filter(pl.col("changed_on") <= self.day)
            .group_by("patient_id")
            .agg(pl.col("changed_on").max())
        )
        since = pl.max_horizontal("last_drawn_on", "changed_on")
        steps = (pl.lit(self.day) - since).dt.total_days() // STEP_DAYS
        return (
            men.select("patient_id", "last_drawn_on")
            .join(changed, on="patient_id", how="left", maintain_order="left")
            .select(since + pl.duration(days=steps * STEP_DAYS))
            .to_series()
            .alias("on")
        )


class IntervalExposure(NamedTuple):
    """Log E2 over scan intervals: of each dosing episode, and the time-weighted mean of each pair."""

    episodes: pl.DataFrame
    pairs: pl.DataFrame


def present_and_off_drug(
    response: FrozenDoseResponse | None,
    own_levels: pl.DataFrame,
    present: pl.DataFrame,
    as_of: AsOf,
) -> pl.DataFrame:
    """Return log E2 at the present dose (``on``) and off the drug, jointly, of men on the drug.

    Parameters
    ----------
    response, own_levels
        From ``fit.estimate``.
    present
        ``episodes.present_dose``: patient_id, present_mg_per_week (null if not known).
    as_of
        The day; a man's last draw may lie well before it.
    """
    men = own_levels.join(present, on="patient_id")
    if response is None or men.is_empty():
        names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
        return men.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in names)
    dose = men["present_mg_per_week"].fill_null(response.imputation.assumed_mg_per_week).to_numpy()
    predicted = _log_e2(response, men, np.column_stack([dose, np.zeros_like(dose)]), as_of)
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
    response: FrozenDoseResponse | None,
    own_levels: pl.DataFrame,
    of_men: pl.DataFrame,
    as_of: AsOf,
) -> pl.DataFrame:
    """Return the E2 of the named men at common doses: information, never an order."""
    men = own_levels.join(of_men, on="patient_id", how="semi").sort("patient_id")
    if response is None or men.is_empty():
        return empty("projections")
    doses = np.array(PROJECTED_MG_PER_WEEK)
    predicted = _log_e2(response, men, np.tile(doses, (len(men), 1)), as_of)
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
    response: FrozenDoseResponse | None,
    own_levels: pl.DataFrame,
    draws: pl.DataFrame,
    changes: pl.DataFrame,
    doses: pl.DataFrame,
) -> IntervalExposure:
    """Return log E2 over scan intervals, along the doses held in them and along the man's own path.

    Parameters
    ----------
    response, own_levels, draws
        From ``fit.estimate``.
    changes
        ``testosterone_orders.find_changes``.
    doses
        ``episodes.doses_on_days``: pair, patient_id, weekly_dose_mg (0 off the drug, null unknown), days
        ``on`` and their ``share`` of the interval.
    """
    held = doses.join(own_levels.select("patient_id"), on="patient_id", how="semi").sort(
        "pair", "weekly_dose_mg", "on"
    )
    if response is None or held.is_empty():
        nothing = pl.lit(None, dtype=pl.Float64)
        return IntervalExposure(
            empty("exposure_episodes"),
            doses.select("pair").unique().with_columns(log_e2=nothing, log_e2_sd=nothing),
        )
    of_men = draws.join(held, on="patient_id", how="semi", maintain_order="left")
    pairs = held.unique("pair", keep="first", maintain_order=True).select("pair", "patient_id")
    path = _along(response, own_levels, of_men, changes, held, pairs)
    share, mean = pl.col("share"), pl.col("mean")
    within = (share * mean).sum() / share.sum()
    # What he is expected to be on a day, and how that moves from day to day under the dose.
    variance = (share * (pl.col("sd").pow(2) + mean.pow(2))).sum() / share.sum() - within.pow(2)
    of_doses = (
        held.with_columns(mean=pl.Series(path.mean), sd=pl.Series(path.sd))
        .group_by("pair", "patient_id", "site", "scan_id", "weekly_dose_mg", maintain_order=True)
        .agg(
            share=share.sum(),
            log_e2_mean=within,
            log_e2_sd=variance.clip(0.0).sqrt(),
        )
    )
    return IntervalExposure(
        of_doses.select(
            "patient_id",
            "site",
            first_scan_id="scan_id",
            weekly_anastrozole_mg="weekly_dose_mg",
            share="share",
            log_e2_mean="log_e2_mean",
            log_e2_sd="log_e2_sd",
        ),
        pairs.select("pair").with_columns(
            log_e2=pl.Series(path.sum_mean), log_e2_sd=pl.Series(path.sum_sd)
        ),
    )


# Over 60 lines: a third of them say what goes in and comes out.
def recent_changes(
    response: FrozenDoseResponse | None,
    own_levels: pl.DataFrame,
    draws: pl.DataFrame,
    present: pl.DataFrame,
    as_of: AsOf,
) -> pl.DataFrame:
    """Return how probable it is that men's E2 has fallen or risen at their present dose, and when.

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
        Grain patient_id, ``patient_data.CHANGE_COLUMNS``: the probability of a change by more than
        ``CHANGE_SHARE`` in each span of ``CHANGE_DAYS``; ``changed_on``, the middle of the steepest piece of his
        path in a year, of a fall where that is the more probable, else of a rise; null where neither has a
        probability of one half; and ``testosterone_since``, the day on which his testosterone order last changed.
    """
    men = own_levels.join(present, on="patient_id").sort("patient_id")
    if response is None or men.is_empty():
        of_columns = {name: pl.Float64() for name in CHANGE_COLUMNS}
        days_of = {"changed_on": pl.Date(), "testosterone_since": pl.Date()}
        return pl.DataFrame(schema={"patient_id": pl.String(), **of_columns, **days_of})
    asked = (
        men.select("patient_id", weekly_dose_mg="present_mg_per_week")
        .with_columns(as_of.carried_to(men))
        .join(_days_of_changes(), how="cross")
    )
    days = asked.with_columns(
        on=pl.col("on") - pl.duration(days="days_ago"),
        pair=(pl.col("patient_id").rank("dense").cast(pl.Int64) - 1) * _GROUPS_OF_MAN
        + pl.col("group"),
    ).sort("pair", "days_ago", descending=[False, True], maintain_order=True)
    of_men = draws.join(men, on="patient_id", how="semi", maintain_order="left")
    pairs = days.unique("pair", keep="first", maintain_order=True).select("pair", "patient_id")
    path = _along(response, own_levels, of_men, as_of.changes, days, pairs)
    limit = np.log1p(-CHANGE_SHARE)
    by_man = (len(men), _GROUPS_OF_MAN)
    change, sd = path.sum_mean.reshape(by_man), path.sum_sd.reshape(by_man)
    table = men.select("patient_id").with_columns(
        pl.Series(f"p_{way}_{span}", ndtr((limit + sign * change[:, group]) / sd[:, group]))
        for way, sign in (("fell", -1), ("rose", 1))
        for group, span in enumerate(CHANGE_DAYS, start=1)
    )
    of_year = (days["group"] == _WHOLE_YEAR).to_numpy()
    shape = (len(men), -1)
    day, mean = to_days(days["on"])[of_year].reshape(shape), path.mean[of_year].reshape(shape)
    fell_on, rose_on = (
        pl.Series(turning_day(day, log_e2).round().astype(np.int32)).cast(pl.Date)
        for log_e2 in (mean, -mean)
    )
    fell, rose = pl.col("p_fell_12m"), pl.col("p_rose_12m")
    since = as_of.changes.group_by("patient_id").agg(testosterone_since=pl.col("changed_on").max())
    return table.with_columns(
        changed_on=pl.when(pl.max_horizontal(fell, rose) >= _PROBABLE).then(
            pl.when(fell >= rose).then(fell_on).otherwise(rose_on)
        )
    ).join(since, on="patient_id", how="left", maintain_order="left")


def _days_of_changes() -> pl.DataFrame:
    """Return the days that a man is asked about: the months of a year; now and each span ago, as a difference."""
    months = np.linspace(CHANGE_DAYS["12m"], 0, _STEPS_OF_A_YEAR + 1).round().astype(int)
    whole_year = [(_WHOLE_YEAR, int(ago), 1 / len(months)) for ago in months]
    spans = [
        (group, ago, weight)
        for group, span in enumerate(CHANGE_DAYS.values(), start=1)
        for ago, weight in ((span, -1.0), (0, 1.0))
    ]
    return pl.DataFrame([*whole_year, *spans], schema=["group", "days_ago", "share"], orient="row")


def _along(
    response: FrozenDoseResponse,
    own_levels: pl.DataFrame,
    draws: pl.DataFrame,
    changes: pl.DataFrame,
    days: pl.DataFrame,
    groups: pl.DataFrame,
) -> Path:
    """Return log E2 on days (pair, patient_id, on, weekly_dose_mg, share), and summed over each of the groups."""
    names = draws.select(pl.col("patient_id").unique().sort()).with_row_index("man")
    men = groups.join(names, on="patient_id", how="left", maintain_order="left").join(
        own_levels, on="patient_id", how="left", maintain_order="left"
    )
    wanted = Wanted(
        group=(days["pair"].rank("dense").cast(pl.Int64) - 1).to_numpy(),
        day=to_days(days["on"]),
        segment=testosterone_orders.count_until(days, changes, "on").to_numpy(),
        dose_mg_per_week=days["weekly_dose_mg"]
        .fill_null(response.imputation.assumed_mg_per_week)
        .to_numpy(),
        weight=days["share"].to_numpy(),
        man=men["man"].cast(pl.Int64).to_numpy(),
        covariates=usual_covariates(men),
        covariate_variance=covariate_variance(response, men),
    )
    return along(response.model, to_arrays(draws), wanted)


def usual_covariates(men: pl.DataFrame) -> NDArray[np.float64]:
    """Return the covariates of men (rows of ``own_levels``) at which their E2 is asked for, (n, p)."""
    return np.column_stack([np.ones(len(men)), men.select(COVARIATES[1:]).to_numpy()])


def covariate_variance(response: FrozenDoseResponse, men: pl.DataFrame) -> NDArray[np.float64]:
    """Return the variance of log E2 that comes from the men's uncertain testosterone, shape (n,)."""
    of_testosterone = response.model.vector[COVARIATES.index("log_testosterone")]
    return np.asarray(of_testosterone**2 * men["log_testosterone_variance"].to_numpy())


def _log_e2(
    response: FrozenDoseResponse,
    men: pl.DataFrame,
    dose_mg_per_week: NDArray[np.float64],
    as_of: AsOf,
) -> Predicted:
    """Return log E2 of men (rows of ``own_levels``) at doses of shape (n, k) on a day."""
    return predict.predict(
        response.model,
        effects_on(response, men, as_of),
        usual_covariates(men),
        dose_mg_per_week,
        covariate_variance(response, men),
    )


def effects_on(response: FrozenDoseResponse, men: pl.DataFrame, as_of: AsOf) -> RandomEffects:
    """Return level, response and movement of men (rows of ``own_levels``) on a day."""
    fall_per_parameter = np.stack(
        [
            men.select(f"{part}_by_{name}" for name in SHIFTING_PARAMETERS).to_numpy()
            for part in EFFECTS
        ],
        axis=1,
    )
    covariance = np.empty((len(men), len(EFFECTS), len(EFFECTS)))
    for (i, j), name in COVARIANCES.items():
        covariance[:, i, j] = covariance[:, j, i] = men[name].to_numpy()
    last = RandomEffects(
        men.select(f"{part}_mean" for part in EFFECTS).to_numpy(),
        covariance,
        fall_per_parameter,
        to_days(men["last_drawn_on"]),
        men["testosterone_changes"].to_numpy(),
    )
    dated = men.select("patient_id").with_columns(as_of.carried_to(men))
    return predict.ahead(
        response.model,
        last,
        to_days(dated["on"]),
        testosterone_orders.count_until(dated, as_of.changes, "on").to_numpy(),
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
