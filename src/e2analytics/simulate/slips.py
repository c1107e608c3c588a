"""Laboratories whose units slip: results with a known truth, for the detector's validation.

In    a plan: how many laboratories, months and men, what is known of the drug, what goes wrong
Out   labs     as :class:`e2analytics.tables.source.Labs`, with ``on_drug``; ``slipped`` is the truth
      feeds    source_file -> feed
      clinics  patient_id -> clinic_id

A separate world from that of the cohort: many laboratories of very different sizes, men who
mostly stay with one, everything that resembles a slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Flags, Integers, Vector
from e2analytics.tables.registry import columns_of, schema_of

Trouble = Literal["none", "all_start_drug", "new_assay", "peak_draws", "starting_testosterone"]
TROUBLES: Final[tuple[Trouble, ...]] = (
    "none",
    "all_start_drug",
    "new_assay",
    "peak_draws",
    "starting_testosterone",
)
FIRST_MONTH: Final = 2024 * 12  # January 2024

# Assumptions of this world; what is not here is in ``parameters``.
PER_MONTH: Final = (20, 400)
DRAW_GAP_MONTHS: Final = 4
STAYS_SHARE: Final = 0.88
LABORATORY_BIAS_SD: Final = 0.10
DRUG_SHARE: Final = 0.15
WITHOUT_ORDERS_SHARE: Final = 0.5  # of clinics that send no orders
SWING: Final = 0.30  # of log testosterone between trough and peak
IMMUNOASSAY_SHARE: Final = 0.4
CENSORED_BELOW_PG_ML: Final = 5.0
UNTREATED_NG_DL: Final = 250.0
NO_SENSE_SHARE: Final = 0.004  # mixed-up tubes, wrong patient


class SlipDesign(NamedTuple):
    """Size and trouble of the laboratories to simulate."""

    n_laboratories: int = 12
    n_months: int = 24
    n_clinics: int = 20
    trouble: Trouble = "none"
    seed: int = 0


class PlantedSlip(NamedTuple):
    """A slip: results of these months are multiplied by ``factor``, a share of them."""

    analyte: str
    laboratory: int
    first_month: int
    last_month: int
    share: float
    factor: float


@dataclass(frozen=True)
class SimulatedLabs:
    """Results with their truth, their feeds and the clinics of their men."""

    labs: pl.DataFrame
    feeds: pl.DataFrame
    clinics: pl.DataFrame


class _Draws(NamedTuple):
    man: Integers
    month: Integers
    laboratory: Integers


class _People(NamedTuple):
    clinic: Integers
    home: Integers
    log_e2: Vector
    log_testosterone: Vector
    starts_drug: Integers
    effect: Vector


def simulate(plan: SlipDesign, planted: tuple[PlantedSlip, ...] = ()) -> SimulatedLabs:
    """Return results of estradiol and total testosterone with the planted slips.

    Parameters
    ----------
    plan : SlipDesign
    planted : tuple of PlantedSlip
    """
    rng = np.random.default_rng(plan.seed)
    size = np.geomspace(*PER_MONTH, plan.n_laboratories)
    people = _people(plan, size, rng)
    draws = _draws(plan, people, rng)
    on_drug = draws.month >= people.starts_drug[draws.man]
    orders_known = (rng.random(plan.n_clinics) >= WITHOUT_ORDERS_SHARE)[people.clinic[draws.man]]
    if plan.trouble == "all_start_drug":
        orders_known &= draws.laboratory != _afflicted(plan)
    known = (
        pl.Series(on_drug)
        .to_frame("on")
        .select(pl.when(pl.Series(orders_known)).then("on").alias("on_drug"))["on_drug"]
    )
    e2, testosterone = _measured(plan, people, draws, on_drug, rng)
    tables = [
        _table("estradiol", "pg/mL", e2, draws, known, planted, rng),
        _table("testosterone_total", "ng/dL", testosterone, draws, known, planted, rng),
    ]
    labs = pl.concat(tables).with_columns(
        source_line=pl.int_range(2, pl.len() + 2, dtype=pl.Int64),
        result_id=pl.format("R{}", pl.int_range(pl.len())),
    )
    clinics = pl.DataFrame(
        {
            "patient_id": [f"m{man}" for man in range(len(people.home))],
            "clinic_id": [f"clinic_{clinic:02d}" for clinic in people.clinic],
        }
    )
    feeds = pl.DataFrame({"source_file": ["labs-0"], "feed": ["simulated"]})
    return SimulatedLabs(
        labs.select(*columns_of("labs"), "fate", "why", "on_drug", "slipped"), feeds, clinics
    )


def _afflicted(plan: SlipDesign) -> int:
    """Return the laboratory that the trouble befalls: one of the larger ones."""
    return plan.n_laboratories - 2


def _people(plan: SlipDesign, size: Vector, rng: np.random.Generator) -> _People:
    men = (size * DRAW_GAP_MONTHS).astype(np.int64)
    home = np.repeat(np.arange(plan.n_laboratories), men)
    n = len(home)
    # Two thirds of a clinic's men use one laboratory.
    usual = home * plan.n_clinics // plan.n_laboratories
    clinic = np.where(rng.random(n) < 2 / 3, usual, rng.integers(0, plan.n_clinics, n))
    starts = np.where(
        rng.random(n) < DRUG_SHARE, rng.integers(-plan.n_months, plan.n_months, n), 10**6
    )
    if plan.trouble == "all_start_drug":
        starts[home == _afflicted(plan)] = plan.n_months // 2
    weekly = rng.choice([0.5, 1.0, 1.5, 2.0, 3.0], n)
    if plan.trouble == "all_start_drug":
        # As near to the factor between the units as a dose can come.
        weekly[home == _afflicted(plan)] = 3.0
    suppression = 1 - world.EMAX * weekly / (weekly + world.ED50_MG_PER_WEEK)
    return _People(
        clinic=clinic,
        home=home,
        log_e2=np.log(world.E2_OFF_DRUG_PG_ML) + rng.normal(0, world.E2_BETWEEN_SD, n),
        log_testosterone=np.log(world.TESTOSTERONE_NG_DL)
        + rng.normal(0, world.TESTOSTERONE_BETWEEN_SD, n),
        starts_drug=starts,
        effect=np.log(suppression) + rng.normal(0, world.RESPONSE_SD, n),
    )


def _draws(plan: SlipDesign, people: _People, rng: np.random.Generator) -> _Draws:
    n = len(people.home)
    drawn = rng.random((n, plan.n_months)) < 1 / DRAW_GAP_MONTHS
    man, month = np.nonzero(drawn)
    elsewhere = rng.integers(0, plan.n_laboratories, len(man))
    stays = rng.random(len(man)) < STAYS_SHARE
    return _Draws(man, month, np.where(stays, people.home[man], elsewhere))


def _measured(
    plan: SlipDesign,
    people: _People,
    draws: _Draws,
    on_drug: np.ndarray[tuple[int], np.dtype[np.bool_]],
    rng: np.random.Generator,
) -> tuple[Vector, Vector]:
    """Return log E2 (pg/mL) and log testosterone (ng/dL) as the laboratories read them."""
    n = len(draws.man)
    here = draws.laboratory == _afflicted(plan)
    late = draws.month >= plan.n_months // 2
    swing = rng.uniform(-SWING, SWING, n)
    if plan.trouble == "peak_draws":
        # From trough to peak in one month, and twice as far as usual.
        swing = np.where(here, np.where(late, 2 * SWING, -SWING), swing)
    testosterone = people.log_testosterone[draws.man] + swing + rng.normal(0, 0.15, n)
    if plan.trouble == "starting_testosterone":
        # The men come before their first injection, and later on it.
        before = here & ~late
        untreated = np.log(UNTREATED_NG_DL) + rng.normal(0, 0.3, n)
        testosterone = np.where(before, untreated, testosterone)
    e2 = people.log_e2[draws.man] + on_drug * people.effect[draws.man]
    e2 = e2 + world.E2_PER_LOG_TESTOSTERONE * swing + rng.normal(0, world.E2_WITHIN_SD, n)
    bias = rng.normal(0, LABORATORY_BIAS_SD, plan.n_laboratories)[draws.laboratory]
    immuno = (rng.random(plan.n_laboratories) < IMMUNOASSAY_SHARE)[draws.laboratory]
    if plan.trouble == "new_assay":
        immuno = np.where(here, late, immuno)
    z, scatter = rng.standard_normal((2, n))
    by_immuno = (
        world.IA_SLOPE * np.exp(e2 + world.IA_CV * z)
        + world.IA_OFFSET_PG_ML
        + world.IA_SCATTER_PG_ML * scatter
    )
    read = np.where(immuno, np.log(np.maximum(by_immuno, 1.0)), e2 + world.MS_CV * z)
    astray = rng.random(n) < NO_SENSE_SHARE
    read = np.where(astray, read + rng.normal(0, 1.2, n), read)
    return read + bias, testosterone + rng.normal(0, world.TESTOSTERONE_CV, n)


def _with_slips(
    analyte: str,
    value: Vector,
    draws: _Draws,
    planted: tuple[PlantedSlip, ...],
    rng: np.random.Generator,
) -> tuple[Vector, Flags]:
    """Return the values with the planted slips, and which of them slipped."""
    slipped = np.zeros(len(value), dtype=np.bool_)
    for slip in planted:
        chosen = (
            (slip.analyte == analyte)
            & (draws.laboratory == slip.laboratory)
            & (draws.month >= slip.first_month)
            & (draws.month <= slip.last_month)
        )
        chosen = chosen & (rng.random(len(value)) < slip.share)
        value = np.where(chosen, value * slip.factor, value)
        slipped |= chosen
    return value, slipped


def _table(
    analyte: str,
    unit: str,
    log_value: Vector,
    draws: _Draws,
    known: pl.Series,
    planted: tuple[PlantedSlip, ...],
    rng: np.random.Generator,
) -> pl.DataFrame:
    value, slipped = _with_slips(analyte, np.exp(log_value), draws, planted, rng)
    value = np.round(value, 1)
    month = FIRST_MONTH + draws.month
    censored = (value < CENSORED_BELOW_PG_ML) & (analyte == "estradiol")
    low = np.where(censored, 0.0, value)
    high = np.where(censored, CENSORED_BELOW_PG_ML, value)
    empty = {
        name: pl.lit(None, dtype=dtype)
        for name, dtype in schema_of("labs").items()
        if name in ("loinc", "reported_at")
    }
    return pl.DataFrame(
        {
            "patient_id": np.char.add("m", draws.man.astype(str)),
            "performing_lab": np.char.add("lab_", np.char.zfill(draws.laboratory.astype(str), 2)),
            "value_low": low,
            "value_high": high,
            "year": month // 12,
            "month": month % 12 + 1,
            "day": rng.integers(1, 29, len(value)),
            "slipped": slipped,
        }
    ).select(
        "patient_id",
        "performing_lab",
        "value_low",
        "value_high",
        "slipped",
        on_drug=known,
        collected_on=pl.date("year", "month", "day"),
        collected_at=pl.datetime("year", "month", "day", time_unit="us", time_zone="UTC"),
        analyte=pl.lit(analyte),
        unit=pl.lit(unit),
        assay=pl.lit("unknown"),
        status=pl.lit("F"),
        namespace=pl.lit("default"),
        source_file=pl.lit("labs-0"),
        source_part=pl.lit(0, dtype=pl.Int64),
        source_order=pl.lit(0, dtype=pl.Int64),
        source_line=pl.lit(0, dtype=pl.Int64),
        result_id=pl.lit(""),
        failed_rules=pl.lit(""),
        imputed=pl.lit(""),
        fate=pl.lit("accepted"),
        why=pl.lit(None, dtype=pl.String),
        **empty,
    )
