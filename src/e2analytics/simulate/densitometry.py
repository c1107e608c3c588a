"""DXA scans: when, on which scanner, and what it reads.

Bone changes from scan to scan by the curve's part, the man's covariates and a deviation of the
interval; the scanner adds its maker's scale, its own bias and its precision error.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Integers, Men, Vector, as_dates, clinic_ids, patient_ids
from e2analytics.simulate.paths import Spans
from e2analytics.simulate.settings import SimulationSettings

N_SITES = len(world.SITES)


@dataclass(frozen=True)
class Scanners:
    """The scanners of all clinics, `SCANNERS_PER_CLINIC` each; `cv_pct` and `bias` are (n_scanners, n_sites)."""

    clinic: Integers
    maker: Integers
    cv_pct: Vector
    bias: Vector

    def ids(self, scanner: Integers) -> list[str]:
        """Return identifiers such as `C02-DXA1`."""
        return [
            f"{clinic}-DXA{number}"
            for clinic, number in zip(
                clinic_ids(self.clinic[scanner]),
                scanner % world.SCANNERS_PER_CLINIC + 1,
                strict=True,
            )
        ]


@dataclass(frozen=True)
class Visits:
    """DXA visits sorted by man and day; arrays of shape (n_visits,)."""

    man: Integers
    day: Integers
    scanner: Integers

    def second(self) -> Integers:
        """Return the visits that follow another of the same man: the second ends of intervals."""
        return np.flatnonzero(np.diff(self.man) == 0) + 1

    def intervals(self) -> Spans:
        """Return the stretches between neighbouring visits of a man."""
        second = self.second()
        return Spans(self.man[second], self.day[second - 1], self.day[second])


def install(settings: SimulationSettings, rng: np.random.Generator) -> Scanners:
    """Draw the scanners; a clinic's second one is of the other maker."""
    number = np.arange(settings.clinics * world.SCANNERS_PER_CLINIC)
    clinic, nth = np.divmod(number, world.SCANNERS_PER_CLINIC)
    shape = (len(number), N_SITES)
    lowest, highest = np.array(world.PRECISION_CV_PCT).T
    return Scanners(
        clinic=clinic,
        maker=(clinic + nth) % len(world.MAKERS),
        cv_pct=rng.uniform(lowest, highest, shape).round(2),
        bias=rng.normal(0, world.SCANNER_BIAS_SD, shape),
    )


def precision_table(scanners: Scanners, settings: SimulationSettings) -> pl.DataFrame:
    """Return `precision.csv`: the scanners of all clinics but the last, which never measured its own."""
    known = scanners.clinic < max(settings.clinics - 1, 1)
    scanner = np.repeat(np.flatnonzero(known), N_SITES)
    return pl.DataFrame(
        {
            "clinic_id": clinic_ids(scanners.clinic[scanner]),
            "scanner_id": scanners.ids(scanner),
            "site": list(world.SITES) * int(known.sum()),
            "cv_pct": scanners.cv_pct[known].ravel(),
        }
    )


def schedule(men: Men, settings: SimulationSettings, rng: np.random.Generator) -> Visits:
    """Draw the visits: yearly or rarer, some missed, some men never, some on another scanner later."""
    shortest, longest = world.DXA_GAP_YEARS
    rounds = 1 + int(settings.years / shortest)
    gaps = rng.uniform(shortest, longest, (len(men), rounds)) * world.DAYS_PER_YEAR
    gaps[:, 0] = rng.uniform(0, world.FIRST_DXA_WITHIN_DAYS, len(men))
    day = (men.entry_day[:, None] + gaps.cumsum(axis=1)).astype(np.int64)
    kept = (day <= men.exit_day[:, None]) & (rng.random(day.shape) >= world.MISSED_DXA_SHARE)
    kept &= (rng.random(len(men)) >= world.NEVER_DXA_SHARE)[:, None]
    scanner = _scanner_of_visit(men, day, settings, rng)
    man = np.broadcast_to(np.arange(len(men))[:, None], day.shape)
    return Visits(man[kept], day[kept], scanner[kept])


def true_change_pct(
    men: Men, visits: Visits, curve_pct: Vector, rng: np.random.Generator
) -> Vector:
    """Return the bone's own annual change of every interval and site, shape (n_intervals, n_sites), %/year.

    Parameters
    ----------
    men, visits : Men, Visits
        The cohort and its visits.
    curve_pct : ndarray of shape (n_intervals,)
        The spine's curve averaged over the true path of each interval.
    rng : numpy.random.Generator
        Draws the deviation of each interval and site.
    """
    first = visits.second() - 1
    man = visits.man[first]
    age_years = men.age_years[man] + visits.day[first] / world.DAYS_PER_YEAR
    years_on_trt = (visits.day[first] - men.trt_start_day[man]) / world.DAYS_PER_YEAR
    covariates = (
        world.BASE_PCT_PER_YEAR
        + world.PER_AGE_YEAR * (age_years - world.AGE_YEARS[0])
        + world.PER_BMI_UNIT * (men.bmi_kg_m2[man] - world.BMI_KG_M2[0])
        + world.PER_LOG_TESTOSTERONE
        * (men.log_testosterone[man] - np.log(world.TESTOSTERONE_NG_DL))
        + world.PER_YEAR_ON_TRT * years_on_trt
    )
    deviation = rng.normal(0, world.INTERVAL_SD_PCT_PER_YEAR, (len(man), N_SITES))
    return np.asarray(
        curve_pct[:, None] * np.array(world.SITE_SCALE) + covariates[:, None] + deviation
    )


def true_bmd(men: Men, visits: Visits, change_pct: Vector, rng: np.random.Generator) -> Vector:
    """Return BMD on the Hologic scale at every visit and site, shape (n_visits, n_sites), g/cm2."""
    z = _site_levels(len(men), rng)
    start = _male_mean(men.age_years) + z * np.array(world.MALE_BMD_SD_G_CM2)
    log_change = np.zeros((len(visits.man), N_SITES))
    intervals = visits.intervals()
    years = (intervals.last_day - intervals.first_day) / world.DAYS_PER_YEAR
    log_change[visits.second()] = change_pct / 100 * years[:, None]
    total = log_change.cumsum(axis=0)
    first_of_man = np.searchsorted(visits.man, visits.man)
    return np.asarray(start[visits.man] * np.exp(total - total[first_of_man]))


def dxa_table(
    men: Men,
    visits: Visits,
    scanners: Scanners,
    bmd: Vector,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return `dxa.csv`: three sites of every visit, and a total-body scan with some."""
    sites = [
        _site_rows(site, men, visits, scanners, bmd[:, site], settings, rng)
        for site in range(N_SITES)
    ]
    total_body = _total_body_rows(men, visits, scanners, settings, rng)
    rows = pl.concat([*sites, total_body], how="diagonal")
    return rows.sort("visit", "site_rank").select(
        "scan_id", "patient_id", "scanned_on", "site", "bmd_g_cm2", "t_score", "z_score",
        "scanner_id", "manufacturer", "body_fat_pct", "vertebrae", "side", "reference_db",
    )  # fmt: skip


def scan_ids(visit: Integers, site: int) -> list[str]:
    """Return the scan identifiers of visits at a site; a visit's scans have neighbouring numbers."""
    return [f"S{number:07d}" for number in visit * (N_SITES + 1) + site + 1]


def _scanner_of_visit(
    men: Men, day: Integers, settings: SimulationSettings, rng: np.random.Generator
) -> Integers:
    """Return the scanner of every planned visit; a few men change to the clinic's other one for good."""
    usual = (rng.random(len(men)) < world.SECOND_SCANNER_SHARE).astype(np.int64)
    changes_on = rng.integers(0, settings.last_day, size=len(men))
    changes = rng.random(len(men)) < world.CHANGES_SCANNER_SHARE
    changed = changes[:, None] & (day >= changes_on[:, None])
    nth = np.where(changed, 1 - usual[:, None], usual[:, None])
    return men.clinic[:, None] * world.SCANNERS_PER_CLINIC + nth


def _site_levels(n_men: int, rng: np.random.Generator) -> Vector:
    """Return correlated standard levels of the sites, shape (n_men, n_sites), within what is alive."""
    shared = rng.standard_normal((n_men, 1))
    own = rng.standard_normal((n_men, N_SITES))
    rho = world.BMD_SITE_CORRELATION
    return np.asarray((np.sqrt(rho) * shared + np.sqrt(1 - rho) * own).clip(-2.8, 2.8))


def _male_mean(age_years: Vector) -> Vector:
    """Return men's mean BMD at each site, shape (n, n_sites), on the Hologic scale."""
    means = [np.interp(age_years, world.REFERENCE_AGES, site) for site in world.MALE_BMD_G_CM2]
    return np.stack(means, axis=1)


def _visit_columns(
    visits: Visits, scanners: Scanners, settings: SimulationSettings
) -> dict[str, object]:
    return {
        "visit": np.arange(len(visits.man)),
        "patient_id": patient_ids(visits.man),
        "scanned_on": as_dates(visits.day, settings),
        "scanner_id": scanners.ids(visits.scanner),
        "manufacturer": np.array(world.MAKERS)[scanners.maker[visits.scanner]].tolist(),
    }


def _site_rows(
    site: int,
    men: Men,
    visits: Visits,
    scanners: Scanners,
    bmd: Vector,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> pl.DataFrame:
    scanner = visits.scanner
    error = scanners.bias[scanner, site] + scanners.cv_pct[
        scanner, site
    ] / 100 * rng.standard_normal(len(bmd))
    scale = np.where(scanners.maker[scanner] == 0, 1.0, world.LUNAR_FACTOR[site])
    read = bmd * np.exp(error)
    age = men.age_years[visits.man] + visits.day / world.DAYS_PER_YEAR
    young_mean, young_sd = world.T_REFERENCE_G_CM2[site]
    z = (read - _male_mean(age)[:, site]) / world.MALE_BMD_SD_G_CM2[site]
    is_spine = site == 0
    side = np.where(visits.man % 10 == 0, "right", "left").tolist()
    return pl.DataFrame(
        _visit_columns(visits, scanners, settings)
        | {
            "scan_id": scan_ids(np.arange(len(bmd)), site),
            "site_rank": site,
            "site": world.SITES[site],
            "bmd_g_cm2": (read * scale).round(3),
            "t_score": ((read - young_mean) / young_sd).round(1),
            "z_score": z.round(1),
            "vertebrae": "L1-L4" if is_spine else None,
            "side": None if is_spine else pl.Series(side),
            "reference_db": world.T_REFERENCE_NAME[site],
        },
        schema_overrides={"vertebrae": pl.String, "side": pl.String},
    )


def _total_body_rows(
    men: Men,
    visits: Visits,
    scanners: Scanners,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Body composition of some visits; its BMD has no curve and no scores."""
    n = len(visits.man)
    bmd = rng.normal(*world.TOTAL_BODY_BMD_G_CM2, len(men))[visits.man] + rng.normal(0, 0.01, n)
    fat = men.body_fat_pct[visits.man] + rng.normal(0, 1.0, n)
    rows = pl.DataFrame(
        _visit_columns(visits, scanners, settings)
        | {
            "scan_id": scan_ids(np.arange(n), N_SITES),
            "site_rank": N_SITES,
            "site": "total_body",
            "bmd_g_cm2": bmd.round(3),
            "body_fat_pct": fat.clip(5, 60).round(1),
        }
    )
    return rows.filter(pl.Series(rng.random(n) < world.TOTAL_BODY_SHARE))
