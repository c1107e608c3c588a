"""Anastrozole, letrozole and testosterone: spells in truth, orders on file.

A spell is a stretch of days at one dose; the orders of a spell are its first prescription and its
renewals. Days count from the first day of the record; `OPEN` stands for "not stopped".
"""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Flags, Integers, Men, Vector, as_dates, patient_ids
from e2analytics.simulate.settings import SimulationSettings

OPEN: Final = 10**6
LETROZOLE: Final = -1
REGIME_MG_WEEK: Final = np.array([r.dose_mg * r.doses_per_week for r in world.REGIMES])


@dataclass(frozen=True)
class Spells:
    """Spells of an aromatase inhibitor, sorted by man and start; arrays of shape (n_spells,).

    Attributes
    ----------
    man : ndarray
        Index of the man.
    start_day, end_day : ndarray
        First day at the dose, first day no longer at it (`OPEN` while in force).
    regime : ndarray
        Index in `REGIMES`, or `LETROZOLE`.
    as_directed : ndarray
        True where the orders do not say how often.
    """

    man: Integers
    start_day: Integers
    end_day: Integers
    regime: Integers
    as_directed: Flags

    @classmethod
    def open_ended(cls, man: Integers, start_day: Integers, regime: Integers) -> Self:
        """Return spells that are still in force, with their frequency on file."""
        n = len(man)
        return cls(man, start_day, np.full(n, OPEN), regime, np.zeros(n, bool))

    def mg_per_week(self) -> Vector:
        """Return the weekly anastrozole dose of each spell; 0 for letrozole."""
        return np.where(self.regime == LETROZOLE, 0.0, REGIME_MG_WEEK[self.regime])

    def log_effect(self, response: Vector) -> Vector:
        """Return the steady change of log E2 in each spell, given each man's own response."""
        dose = self.mg_per_week()
        left = 1 - world.EMAX * dose / (dose + world.ED50_MG_PER_WEEK)
        anastrozole = np.log(left) + response[self.man]
        return np.where(
            self.regime == LETROZOLE, np.log(1 - world.LETROZOLE_SUPPRESSION), anastrozole
        )


@dataclass(frozen=True)
class NewOrders:
    """Testosterone orders that take the place of men's first one; arrays of shape (n_orders,).

    Attributes
    ----------
    man, day : ndarray of int
        Whose, and from when.
    factor : ndarray
        Of the dose of his first order; 0 where he stops, NaN for pellets.
    """

    man: Integers
    day: Integers
    factor: Vector


def prescribe(men: Men, settings: SimulationSettings, rng: np.random.Generator) -> Spells:
    """Draw who takes an inhibitor, when and how much.

    Higher E2 off the drug makes both the drug and a higher dose more likely: confounding by indication.
    """
    high = _standardised(men.log_e2_off)
    ever_share = min(1.0, settings.on_drug_share / world.STILL_ON_SHARE)
    wanted = _correlated(high, world.INDICATION_CORRELATION, rng)
    users = np.flatnonzero(wanted.argsort().argsort() >= round(len(men) * (1 - ever_share)))
    start = _first_days(men, users, settings, rng)
    regime = _first_regimes(high[users], rng)
    letrozole = rng.random(len(users)) < world.LETROZOLE_SHARE
    regime[letrozole] = LETROZOLE
    return _sorted(_follow_up(men, Spells.open_ended(users, start, regime), settings, rng))


def _standardised(x: Vector) -> Vector:
    return np.asarray((x - x.mean()) / x.std())


def _correlated(z: Vector, correlation: float, rng: np.random.Generator) -> Vector:
    noise = rng.standard_normal(len(z))
    return np.asarray(correlation * z + np.sqrt(1 - correlation**2) * noise)


def _first_days(
    men: Men, users: Integers, settings: SimulationSettings, rng: np.random.Generator
) -> Integers:
    """Return the first day on the drug: before the record for some who were already on TRT."""
    trt_start, entry = men.trt_start_day[users], men.entry_day[users]
    during = rng.integers(entry + 30, settings.last_day - 120)
    before = np.maximum(trt_start, -300) + rng.integers(1, 30, size=len(users))
    already = (trt_start < -30) & (rng.random(len(users)) < world.ON_AT_ENTRY_SHARE)
    return np.where(already, before, during)


def _first_regimes(high: Vector, rng: np.random.Generator) -> Integers:
    """Return each user's first regime: the shares of `REGIMES` along a rank that follows his E2."""
    wanted = _correlated(high, world.DOSE_CORRELATION, rng)
    rank = (wanted.argsort().argsort() + 0.5) / len(high)
    shares = np.cumsum([regime.share for regime in world.REGIMES])
    return np.searchsorted(shares, rank).clip(0, len(shares) - 1)


def _follow_up(
    men: Men, spells: Spells, settings: SimulationSettings, rng: np.random.Generator
) -> Spells:
    """Let every first spell run, change, stop or restart until the record ends."""
    rounds: list[Spells] = []
    for left in reversed(range(world.SPELLS_AT_MOST)):
        n = len(spells.man)
        length = np.maximum(rng.gamma(*world.SPELL_DAYS, n), world.SPELL_AT_LEAST_DAYS)
        end = spells.start_day + length.astype(np.int64)
        runs_on = (end >= settings.last_day) | (left == 0)
        vague = (rng.random(n) < world.AS_DIRECTED_SHARE) & (spells.regime != LETROZOLE)
        rounds.append(replace(spells, end_day=np.where(runs_on, OPEN, end), as_directed=vague))
        stops = rng.random(n) < world.STOP_SHARE
        again = np.where(stops, end + rng.integers(*world.PAUSE_DAYS, size=n), end)
        goes_on = ~runs_on & (~stops | (rng.random(n) < world.RESTART_SHARE))
        goes_on &= again < settings.last_day
        regime = _next_regime(men, spells, rng)
        spells = Spells.open_ended(spells.man[goes_on], again[goes_on], regime[goes_on])
    return Spells(
        *(
            np.concatenate([getattr(part, field.name) for part in rounds])
            for field in fields(Spells)
        )
    )


def _next_regime(men: Men, spells: Spells, rng: np.random.Generator) -> Integers:
    """Step one or two regimes, mostly up from a high E2 and down from a low one; letrozole stays."""
    log_e2 = men.log_e2_off[spells.man] + spells.log_effect(men.response)
    up = np.where(
        log_e2 > np.log(world.TITRATION_PG_ML), world.TITRATION_SHARE, 1 - world.TITRATION_SHARE
    )
    direction = np.where(rng.random(len(log_e2)) < up, 1, -1)
    moved = spells.regime + direction * rng.integers(1, 3, size=len(log_e2))
    return np.where(spells.regime == LETROZOLE, LETROZOLE, moved.clip(0, len(world.REGIMES) - 1))


def _sorted(spells: Spells) -> Spells:
    order = np.lexsort((spells.start_day, spells.man))
    return Spells(*(getattr(spells, field.name)[order] for field in fields(Spells)))


def orders_table(
    men: Men,
    spells: Spells,
    settings: SimulationSettings,
    rng: np.random.Generator,
    changed: NewOrders | None = None,
) -> pl.DataFrame:
    """Return `medications.csv`: testosterone and inhibitors, sorted by man and start.

    Spells in truth go on after a man has left; the orders and the stops on file end with his last day.
    """
    testosterone = _testosterone_orders(men, settings, rng)
    if changed:
        testosterone = _with_changes(testosterone, changed, settings)
    orders = pl.concat([testosterone, _inhibitor_orders(men, spells, settings, rng)])
    last_on = as_dates(men.exit_day, settings).gather(orders["man"])
    stopped_in_care = pl.when(pl.col("stopped_on") <= last_on).then("stopped_on")
    on_file = orders.with_columns(stopped_on=stopped_in_care).filter(
        pl.col("started_on") <= last_on
    )
    return (
        on_file.sort("man", "started_on", "drug", maintain_order=True)
        .with_row_index("number", offset=1)
        .select(
            order_id=pl.format("M{}", pl.col("number").cast(pl.String).str.zfill(7)),
            patient_id=pl.Series(patient_ids(on_file["man"].sort().to_numpy())),
            drug="drug",
            rxnorm="rxnorm",
            dose_mg="dose_mg",
            doses_per_week="doses_per_week",
            sig="sig",
            started_on="started_on",
            stopped_on="stopped_on",
        )
    )


def _testosterone_orders(
    men: Men, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    """One order per man from the start of therapy, never stopped on file."""
    regimes = world.TESTOSTERONE_REGIMES
    shares = [regime.share for regime in regimes]
    chosen = rng.choice(len(regimes), size=len(men), p=shares)
    table = pl.DataFrame(regimes, schema=world.TestosteroneRegime._fields, orient="row")
    return table.drop("share")[chosen].select(
        pl.Series("man", np.arange(len(men))),
        "drug",
        "rxnorm",
        "dose_mg",
        "doses_per_week",
        "sig",
        as_dates(men.trt_start_day, settings).alias("started_on"),
        pl.lit(None, pl.Date).alias("stopped_on"),
    )


def _with_changes(
    orders: pl.DataFrame, changed: NewOrders, settings: SimulationSettings
) -> pl.DataFrame:
    """End the first orders of men whose testosterone changes, and add those that follow."""
    new = pl.DataFrame(
        {
            "man": changed.man,
            "factor": changed.factor,
            "started_on": as_dates(changed.day, settings),
        }
    )
    pellets = pl.col("factor").is_nan()
    drug, dose_mg = world.PELLETS
    later = (
        new.filter(pl.col("factor") != 0)
        .join(orders.drop("started_on"), on="man", how="left", maintain_order="left")
        .with_columns(
            drug=pl.when(pellets).then(pl.lit(drug)).otherwise("drug"),
            rxnorm=pl.when(~pellets).then("rxnorm"),
            dose_mg=pl.when(pellets).then(dose_mg).otherwise(pl.col("dose_mg") * pl.col("factor")),
            doses_per_week=pl.when(~pellets).then("doses_per_week"),
            sig=pl.when(pellets).then(pl.lit("implanted")),
        )
        .select(orders.columns)
    )
    ends = new.group_by("man").agg(ends=pl.col("started_on").min())
    ended = orders.join(ends, on="man", how="left", maintain_order="left")
    return pl.concat([ended.with_columns(stopped_on="ends").drop("ends"), later])


def _inhibitor_orders(
    men: Men, spells: Spells, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    """Cut every spell into its first order and the renewals up to the man's last day in care."""
    spell, start, end = _renewals(men, spells, rng)
    regime = spells.regime[spell]
    known = pl.DataFrame(world.REGIMES, schema=world.Regime._fields, orient="row")[regime]
    letrozole = pl.Series(regime == LETROZOLE)
    vague = pl.Series(spells.as_directed[spell])
    # How an order is written is a habit of its spell: its renewals are written the same way.
    sig_only = pl.Series((rng.random(len(spells.man)) < world.SIG_ONLY_SHARE)[spell])
    written_out = pl.Series((rng.random(len(spells.man)) < 0.5)[spell])
    dose = pl.when(letrozole).then(2.5).otherwise(known["dose_mg"])
    per_week = pl.when(letrozole).then(1.0).otherwise(known["doses_per_week"])
    sig = pl.when(letrozole).then(pl.lit("2.5 mg once weekly")).otherwise(known["sig"])
    whole_tablet = known["dose_mg"] >= 0.5
    rxnorm = (
        pl.when(whole_tablet)
        .then(pl.lit(world.RXNORM_TABLET_1_MG))
        .otherwise(pl.lit(world.RXNORM_INGREDIENT))
    )
    return pl.select(
        man=pl.Series(spells.man[spell]),
        drug=pl.when(letrozole).then(pl.lit("letrozole")).otherwise(pl.lit("anastrozole")),
        rxnorm=pl.when(~letrozole).then(rxnorm),
        dose_mg=dose,
        doses_per_week=pl.when(~(vague | sig_only)).then(per_week),
        sig=pl.when(vague).then(pl.lit(world.AS_DIRECTED)).when(sig_only | written_out).then(sig),
        started_on=as_dates(start, settings),
        stopped_on=pl.when(pl.Series(end != OPEN)).then(
            as_dates(np.where(end == OPEN, 0, end), settings)
        ),
    )


def _renewals(
    men: Men, spells: Spells, rng: np.random.Generator
) -> tuple[Integers, Integers, Integers]:
    """Return, per order, the index of its spell, its first day and its end."""
    n = len(spells.man)
    every = rng.integers(*world.RENEWAL_DAYS, size=n)
    renewed = rng.random(n) < world.RENEWED_SHARE
    last = np.minimum(spells.end_day, men.exit_day[spells.man])
    count = 1 + np.where(renewed, np.maximum(last - spells.start_day - 1, 0) // every, 0)
    spell = np.repeat(np.arange(n), count)
    nth = np.arange(len(spell)) - np.repeat(np.cumsum(count) - count, count)
    start = spells.start_day[spell] + nth * every[spell]
    is_last = nth == count[spell] - 1
    end = np.where(is_last, spells.end_day[spell], start + every[spell])
    return spell, start, end
