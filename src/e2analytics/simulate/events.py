"""Events: symptoms, fractures, counselling, and men who leave or die."""

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Men, as_dates, patient_ids
from e2analytics.simulate.settings import SimulationSettings


def events_table(men: Men, settings: SimulationSettings, rng: np.random.Generator) -> pl.DataFrame:
    """Return `events.csv`, sorted by man and day; nothing follows a man's last day in care."""
    man, day, kind = [], [], []
    for name, share in world.EVENT_SHARES.items():
        who = np.flatnonzero(rng.random(len(men)) < share)
        man.append(who)
        day.append(rng.integers(men.entry_day[who], men.exit_day[who]))
        kind += [name] * len(who)
    for name, gone in (("left_clinic", men.left), ("died", men.died)):
        who = np.flatnonzero(gone)
        man.append(who)
        day.append(men.exit_day[who])
        kind += [name] * len(who)
    mans, days = np.concatenate(man), np.concatenate(day)
    rows = pl.DataFrame(
        {
            "man": mans,
            "patient_id": patient_ids(mans),
            "kind": kind,
            "occurred_on": as_dates(days, settings),
        }
    )
    return (
        rows.sort("man", "occurred_on", "kind")
        .with_row_index("number", offset=1)
        .select(
            event_id=pl.format("E{}", pl.col("number").cast(pl.String).str.zfill(6)),
            patient_id="patient_id",
            kind="kind",
            occurred_on="occurred_on",
        )
    )
