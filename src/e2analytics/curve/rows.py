"""Rows of curves: which curves there are, and which men, pairs and covariates each uses.

In    exposures, episodes, levels, and the pairs of the risk form
Out   ``CurveRows`` of a site and outcome, as a frame and as the arrays that models take

Covariates were chosen beforehand: age, BMI, log testosterone, years on TRT. A covariate that is missing
in too many rows is left out and named; rows must be complete in the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
import polars as pl

from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.settings import FitSettings
from e2analytics.tables.vocabulary import (
    BONE_OUTCOMES,
    CURVE_COVARIATES,
    FITTED_SITES,
    HAZARDS,
    POOLED,
)

CHANGE, RISK, LEVEL = BONE_OUTCOMES
LEVEL_COVARIATES: Final = ("age_years", "bmi_kg_m2")
NAMES: Final = {
    "age_years": "age",
    "bmi_kg_m2": "BMI",
    "log_testosterone": "log testosterone",
    "years_on_trt": "years on TRT",
    "first_bmd_g_cm2": "BMD at the first scan",
}
_OF_A_PAIR: Final = ["patient_id", "site", "first_scan_id"]
_OF_AN_INTERVAL: Final = ["interval"]


class Measured(NamedTuple):
    """What curves are fitted to.

    Attributes
    ----------
    exposures, episodes, levels
        ``tables.exposure.Exposures``, ``tables.exposure.ExposureEpisodes`` and ``tables.exposure.Levels``.
    risk_exposures, risk_episodes
        The same of the pairs that the risk form may use: a year apart at least.
    """

    exposures: pl.DataFrame
    episodes: pl.DataFrame
    levels: pl.DataFrame
    risk_exposures: pl.DataFrame
    risk_episodes: pl.DataFrame


@dataclass(frozen=True)
class CurveRows:
    """Rows of one curve with all covariates in use, and what was left out."""

    site: str
    outcome: str
    rows: pl.DataFrame
    episodes: pl.DataFrame
    covariates: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """Describe what the curve is adjusted for."""
        used = ", ".join(NAMES[name] for name in self.covariates) or "none"
        site = ", site" if self.site == POOLED else ""
        missing = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return f"{used}{site}{missing}"

    @property
    def n_men(self) -> int:
        """Men with a row."""
        return self.rows["patient_id"].n_unique()

    @property
    def years(self) -> Array:
        """Between the two scans of each row, or of each interval at risk, shape (n,)."""
        return self.rows["years"].to_numpy()

    @property
    def n_events(self) -> int | None:
        """First events; None of bone."""
        return int(self.rows["event"].sum()) if self.outcome in HAZARDS else None

    def adjusted_for(self, covariates: Sequence[str]) -> Self:
        """Use other covariates; of those that are new only complete rows."""
        return replace(
            self, covariates=tuple(covariates), rows=self.rows.drop_nulls(list(covariates))
        )

    def data(self) -> CurveData:
        """Arrays for the curve."""
        covariates = np.column_stack([self._covariates(), _site_terms(self.rows, self.site)])
        patient = (self.rows["patient_id"].rank("dense").cast(pl.Int64) - 1).to_numpy()
        log_e2 = self.rows["e2_pg_ml"].log().to_numpy()
        if self.outcome == LEVEL:
            bmd = self.rows["bmd_g_cm2"].to_numpy()
            return CurveData.at_points(log_e2, bmd, patient, covariates)
        key = _OF_AN_INTERVAL if self.outcome in HAZARDS else _OF_A_PAIR
        mean, sd, share = _episode_arrays(self.rows, self.episodes, key)
        return CurveData(
            log_e2=log_e2,
            log_e2_mean=mean,
            log_e2_sd=sd,
            episode_weight=share,
            covariates=covariates,
            outcome=self._outcome(),
            patient=patient,
            sampling_variance=self._sampling_variance(),
        )

    def _covariates(self) -> Array:
        names = self.covariates
        return self.rows.select(names).to_numpy().astype(float).reshape(len(self.rows), len(names))

    def _sampling_variance(self) -> Array:
        if self.outcome in HAZARDS:
            return np.zeros(len(self.rows))
        # Two scans, each with the precision error; in %/year.
        return (2 * self.rows["precision_cv_pct"] ** 2 / self.rows["years"] ** 2).to_numpy()

    def _outcome(self) -> Array:
        if self.outcome in HAZARDS:
            return self.rows["event"].cast(pl.Float64).to_numpy()
        if self.outcome == RISK:
            # The total change between two scans is what the LSC is compared with.
            lost = self.rows["change_pct"] <= -self.rows["lsc_pct"]
            return lost.cast(pl.Float64).to_numpy()
        return self.rows[CHANGE].to_numpy()


def curves(measured: Measured) -> list[tuple[str, str]]:
    """Return the curves to fit: site and outcome.

    Both outcomes of each site and of all sites together; the level for a site whose scans cannot be paired.
    """
    wanted = []
    for site in FITTED_SITES:
        outcome = first_outcome(measured, site)
        wanted += [(site, LEVEL)] if outcome == LEVEL else [(site, CHANGE), (site, RISK)]
    paired = any(outcome == CHANGE for _, outcome in wanted)
    return [*wanted, *([(POOLED, CHANGE), (POOLED, RISK)] if paired else [])]


def first_outcome(measured: Measured, site: str) -> str:
    """Return ``annual_change_pct``, or the level where nothing can be paired but there are scans."""
    pairs, levels = (rows.filter(at_site(site)) for rows in (measured.exposures, measured.levels))
    return outcome_by(len(pairs), len(levels))


def outcome_by(n_pairs: int, n_levels: int) -> str:
    """Return what ``first_outcome`` does, from how many pairs and levels a site has."""
    return LEVEL if n_pairs == 0 and n_levels > 0 else CHANGE


def at_site(site: str) -> pl.Expr:
    """Return which rows a curve of a site is about: of all together, every site that is fitted."""
    return pl.col("site").is_in(FITTED_SITES) if site == POOLED else pl.col("site") == site


def complete_rows(measured: Measured, site: str, outcome: str, settings: FitSettings) -> CurveRows:
    """Return the rows that a curve can use: usable, with every covariate in use."""
    if outcome == LEVEL:
        rows, episodes = measured.levels.filter(at_site(site)), measured.episodes.clear()
        wanted: tuple[str, ...] = LEVEL_COVARIATES
    else:
        of_risk = outcome == RISK
        pairs = measured.risk_exposures if of_risk else measured.exposures
        episodes = measured.risk_episodes if of_risk else measured.episodes
        rows, wanted = pairs.filter(at_site(site) & pl.col("usable")), CURVE_COVARIATES
    used, left_out = used_covariates(rows, wanted, settings)
    return CurveRows(site, outcome, rows.drop_nulls(list(used)), episodes, used, left_out)


def used_covariates(
    rows: pl.DataFrame, wanted: Sequence[str], settings: FitSettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which covariates are known of enough rows, and in words which are not."""
    missing = {name: rows[name].null_count() for name in wanted}
    used = covariates_by(missing, len(rows), settings)
    left_out = tuple(
        f"{NAMES[name]} (missing in {missing[name] / len(rows):.0%})"
        for name in wanted
        if name not in used
    )
    return used, left_out


def covariates_by(
    n_missing: Mapping[str, int], n_rows: int, settings: FitSettings
) -> tuple[str, ...]:
    """Return which covariates are known of enough rows, from how many rows lack each."""
    most = settings.max_missing_covariate
    return tuple(name for name, n in n_missing.items() if n / max(n_rows, 1) <= most)


def _site_terms(rows: pl.DataFrame, site: str) -> Array:
    """One column for each site but the first, shape (n, sites - 1); none for a single site."""
    others = [name for name in FITTED_SITES if name in rows["site"]][1:] if site == POOLED else []
    terms = [(rows["site"] == name).cast(pl.Float64).to_numpy() for name in others]
    return np.column_stack(terms) if terms else np.empty((len(rows), 0))


def _episode_arrays(
    rows: pl.DataFrame, episodes: pl.DataFrame, key: list[str]
) -> tuple[Array, Array, Array]:
    """Return mean and SD of log E2 and the share of the days of each row's episodes, (n, k) each."""
    of_rows = (
        rows.select(key)
        .with_row_index("row")
        .join(episodes, on=key)
        .sort("row", "weekly_anastrozole_mg")
        .with_columns(column=pl.int_range(pl.len()).over("row"))
    )
    row, column = of_rows["row"].to_numpy(), of_rows["column"].to_numpy()
    mean, sd, share = np.zeros((3, len(rows), int(column.max(initial=0)) + 1))
    for array, name in ((mean, "log_e2_mean"), (sd, "log_e2_sd"), (share, "share")):
        array[row, column] = of_rows[name].to_numpy()
    return mean, sd, share
