"""Events: symptoms, fractures, counselling, and men who leave or die."""

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Men, as_dates, patient_ids
from e2analytics.simulate.outcomes import Outcomes
from e2analytics.simulate.settings import SimulationSettings


def events_table(
    men: Men,
    settings: SimulationSettings,
    rng: np.random.Generator,
    outcomes: Outcomes | None = None,
) -> pl.DataFrame:
    """Return `events.csv`, sorted by man and day; nothing follows a man's last day in care.

    With outcomes, symptoms and fractures are those that they say, and symptoms have a `detail`.
    """
    man, day, kind = [], [], []
    for name, share in world.EVENT_SHARES.items():
        if outcomes and name in ("symptom", "fracture"):
            continue
        who = np.flatnonzero(rng.random(len(men)) < share)
        man.append(who)
        day.append(rng.integers(men.entry_day[who], men.exit_day[who]))
        kind += [name] * len(who)
    for name, gone in (("left_clinic", men.left), ("died", men.died)):
        who = np.flatnonzero(gone)
        man.append(who)
        day.append(men.exit_day[who])
        kind += [name] * len(who)
    detail: list[str | None] = [None] * len(kind)
    if outcomes:
        of_events = outcomes.events()
        man.append(of_events.man)
        day.append(of_events.day)
        symptoms = {each.name for each in world.SYMPTOM_RATES}
        kind += ["symptom" if name in symptoms else name for name in of_events.name]
        detail += [name if name in symptoms else None for name in of_events.name]
    mans, days = np.concatenate(man), np.concatenate(day)
    rows = pl.DataFrame(
        {
            "man": mans,
            "patient_id": patient_ids(mans),
            "kind": kind,
            "occurred_on": as_dates(days, settings),
            "detail": pl.Series(detail, dtype=pl.String),
        }
    )
    return (
        rows.sort("man", "occurred_on", "kind", "detail")
        .with_row_index("number", offset=1)
        .select(
            pl.format("E{}", pl.col("number").cast(pl.String).str.zfill(6)).alias("event_id"),
            "patient_id",
            "kind",
            "occurred_on",
            *(["detail"] if outcomes else []),
        )
    )
