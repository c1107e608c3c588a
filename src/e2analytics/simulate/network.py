"""A network with a story: what three of its members do wrong, and from which month on.

In    the spells, visits and results of a simulated cohort
Out   the same, where one clinic doses too high, one no longer scans, and one laboratory names its unit wrongly

Months count from 1, the first whole calendar month of the record.
"""

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Flags, Men, clinic_ids
from e2analytics.simulate.densitometry import Visits
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import LETROZOLE, Spells

HIGH_DOSE: Final = [regime.sig for regime in world.REGIMES].index("1 mg daily")
STARTS_APART_DAYS: Final = 28
"""The clinic puts its men on the high dose over four weeks, one after another."""


@dataclass(frozen=True)
class Story:
    """Who does what wrong, and when.

    Attributes
    ----------
    overdosing_clinic, overdosing_from : str, int
        From this month on every man of the clinic on anastrozole takes 1 mg daily.
    not_scanning_clinic, no_scans_from : str, int
        From this month on the clinic makes no DXA scan.
    slipping_laboratory, slips_in : str, tuple of int
        In these months the laboratory's E2 in pmol/L is labelled pg/mL.
    """

    overdosing_clinic: str = "C09"
    overdosing_from: int = 20
    not_scanning_clinic: str = "C18"
    no_scans_from: int = 13
    slipping_laboratory: str = "LAB-B"
    slips_in: tuple[int, ...] = (30, 31)


def month_name(settings: SimulationSettings, month: int) -> str:
    """Return a month of the record as `YYYY-MM`."""
    return f"{_first_day(settings, month):%Y-%m}"


def overdose(
    spells: Spells, men: Men, settings: SimulationSettings, story: Story, rng: np.random.Generator
) -> Spells:
    """End every anastrozole spell of the clinic in that month, and go on at the high dose."""
    here = _of_clinic(men, story.overdosing_clinic)[spells.man] & (spells.regime != LETROZOLE)
    since = _day(settings, story.overdosing_from) + rng.integers(
        0, STARTS_APART_DAYS, size=len(spells.man)
    )
    later = here & (spells.start_day >= since)
    split = here & (spells.start_day < since) & (spells.end_day > since)
    split &= (spells.end_day - since > 1) & (spells.regime != HIGH_DOSE)
    raised = replace(spells, regime=np.where(later, HIGH_DOSE, spells.regime))
    before = replace(raised, end_day=np.where(split, since, spells.end_day))
    after = replace(
        raised,
        start_day=np.where(split, since, spells.start_day),
        regime=np.where(split, HIGH_DOSE, raised.regime),
    )
    parts = [
        np.concatenate([getattr(before, field.name), getattr(after, field.name)[split]])
        for field in fields(Spells)
    ]
    order = np.lexsort((parts[1], parts[0]))
    return Spells(*(part[order] for part in parts))


def stop_scanning(visits: Visits, men: Men, settings: SimulationSettings, story: Story) -> Visits:
    """Leave out the clinic's visits from that month on."""
    gone = _of_clinic(men, story.not_scanning_clinic)[visits.man]
    gone &= visits.day >= _day(settings, story.no_scans_from)
    return Visits(visits.man[~gone], visits.day[~gone], visits.scanner[~gone])


def slip_units(labs: pl.DataFrame, settings: SimulationSettings, story: Story) -> pl.DataFrame:
    """Label the laboratory's E2 of these months pg/mL, though it is pmol/L."""
    months = [month_name(settings, month) for month in story.slips_in]
    slips = (
        (pl.col("performing_lab") == story.slipping_laboratory)
        & (pl.col("unit") == "pmol/L")
        & pl.col("collected_at").dt.strftime("%Y-%m").is_in(months)
    )
    unit = pl.when(slips).then(pl.lit("pg/mL")).otherwise("unit")
    return labs.with_columns(unit=unit)


def _of_clinic(men: Men, clinic_id: str) -> Flags:
    return np.asarray(np.array(clinic_ids(men.clinic)) == clinic_id)


def _first_day(settings: SimulationSettings, month: int) -> date:
    opens = settings.opens_on
    number = opens.year * 12 + opens.month - 1 + month - (1 if opens.day == 1 else 0)
    return date(number // 12, number % 12 + 1, 1)


def _day(settings: SimulationSettings, month: int) -> int:
    return (_first_day(settings, month) - settings.opens_on).days
