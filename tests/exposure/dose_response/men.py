"""Sixty men with eight draws each, half of them given the drug: their true levels, results and orders."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.dose_response import predict
from e2analytics.exposure.dose_response.fit import DoseResponseResult, estimate
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes, present_dose
from e2analytics.settings import FlagSettings

ZERO = date(2024, 1, 1)
AS_OF = ZERO + timedelta(days=800)
# Their last draw is of day 705, and E2 is carried from there in steps of 14 days.
CARRIED_TO = ZERO + timedelta(days=705 + 6 * 14)
N_MEN, N_DRAWS = 60, 8
STARTS = 350  # men of odd number take 1 mg a week from this day
LABS = {
    "analyte": pl.String,
    "collected_on": pl.Date,
    "value_low": pl.Float64,
    "value_high": pl.Float64,
    "assay": pl.String,
}


NO_CHANGES = pl.DataFrame(schema={"patient_id": pl.String, "changed_on": pl.Date})
HELD = pl.DataFrame(
    {
        "pair": [0, 0, 1],
        "patient_id": ["p01", "p01", "p02"],
        "site": ["total_hip"] * 3,
        "scan_id": ["s1", "s1", "s2"],
        "weekly_dose_mg": [0.0, 1.0, 0.0],
        "share": [0.25, 0.75, 1.0],
        # The day up to which the E2 of these men is carried from their last draw.
        "on": [CARRIED_TO] * 3,
    },
    schema_overrides={"pair": pl.UInt32},
)


def day(number: int) -> date:
    return ZERO + timedelta(days=int(number))


def result(man: int, number: int, e2: float, **changes: object) -> dict[str, object]:
    row = {
        "patient_id": f"p{man:02d}",
        "analyte": "estradiol",
        "result_id": f"r{man}-{number}",
        "collected_on": day(number),
        "value_low": e2,
        "value_high": e2,
        "assay": "ms",
        "performing_lab": "LAB",
        "imputed": "",
        "source_order": 0,
        "source_line": 2 + number,
        **changes,
    }
    when = row["collected_on"]
    assert isinstance(when, date)
    return {**row, "collected_at": datetime.combine(when, datetime.min.time(), UTC)}


@cache
def true_levels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(np.log(36), 0.35, N_MEN), rng.normal(-0.9, 0.15, N_MEN)


@cache
def usual_results() -> tuple[dict[str, object], ...]:
    rng = np.random.default_rng(2)
    level, response = true_levels()
    return tuple(
        result(
            man,
            when,
            float(np.exp(level[man] + (man % 2 and when > STARTS) * response[man] + noise)),
        )
        for man in range(N_MEN)
        for when, noise in zip(
            np.arange(N_DRAWS) * 100 + 5, rng.normal(0, 0.15, N_DRAWS), strict=True
        )
    )


ORDERS = pl.DataFrame(
    [
        {
            "patient_id": f"p{man:02d}",
            "drug": "anastrozole",
            "drug_class": "aromatase_inhibitor",
            "started_on": day(STARTS - 20),
            "stopped_on": None,
            "weekly_dose_mg": 1.0,
            "weekdays": None,
            "listed_on": None,
            "source_file": "f",
            "source_line": man,
            "source_order": 0,
        }
        for man in range(1, N_MEN, 2)
    ],
    schema_overrides={"stopped_on": pl.Date, "weekdays": pl.String, "listed_on": pl.Date},
)
PATIENTS = pl.DataFrame(
    {
        "patient_id": [f"p{man:02d}" for man in range(N_MEN)],
        "clinic_id": ["A", "B"] * (N_MEN // 2),
        "birth_date": [date(1970, 1, 1)] * N_MEN,
        "height_cm": [180.0] * N_MEN,
        "weight_kg": [90.0] * N_MEN,
    }
)


def estimated(
    results: tuple[dict[str, object], ...] | None = None,
    orders: pl.DataFrame = ORDERS,
    before: DoseResponseResult | None = None,
    changes: pl.DataFrame = NO_CHANGES,
) -> DoseResponseResult:
    labs = pl.DataFrame(results or usual_results(), schema_overrides=LABS)
    spells = find_episodes(orders)
    drawn = link_draws(labs, spells, FlagSettings())
    confounders = find_confounders(PATIENTS, orders, FlagSettings())
    frames = (drawn, PATIENTS, labs, spells, changes, confounders)
    return estimate(*frames, as_of=AS_OF, before=before)


@cache
def fitted() -> DoseResponseResult:
    return estimated()


@cache
def moving() -> DoseResponseResult:
    """Men whose levels move by 25 % and step by 20 % at a change of testosterone, none scored yet."""
    found = fitted()
    assert found.response is not None
    model = found.response.model
    vector = model.vector.copy()
    for name, value in (
        ("log_sd_movement", np.log(0.25)),
        ("log_days_movement", np.log(270)),
        ("log_sd_jump", np.log(0.2)),
    ):
        vector[model.names.index(name)] = value
    moved = replace(found.response, model=replace(model, vector=vector))
    return estimated(before=found._replace(response=moved, own_levels=found.own_levels.clear()))


def present_and_off_drug(
    found: DoseResponseResult, orders: pl.DataFrame = ORDERS, changes: pl.DataFrame = NO_CHANGES
) -> pl.DataFrame:
    present = present_dose(find_episodes(orders), AS_OF)
    return predict.present_and_off_drug(
        found.response, found.own_levels, present, predict.AsOf(AS_OF, changes)
    ).sort("patient_id")
