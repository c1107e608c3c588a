"""The dose response of a month, frozen: fitted once, used by every night until the next fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.random_intercept import RandomIntercept


@dataclass(frozen=True)
class Imputation:
    """Values that stand where a man's own is not known.

    Attributes
    ----------
    testosterone
        Random intercept of log testosterone (ng/dL).
    bmi_kg_m2, age_years
        Means over men.
    aged_on
        Day on which ages are counted.
    assumed_mg_per_week
        Stands for an unknown dose: the man's own response then absorbs the difference.
    given_later
        Share of the men off the drug at their first draw who are given it later.
    """

    testosterone: RandomIntercept
    bmi_kg_m2: float
    age_years: float
    aged_on: date
    assumed_mg_per_week: float
    given_later: float


@dataclass(frozen=True)
class FrozenDoseResponse:
    """A fitted dose response, with all that scoring new draws needs."""

    model: DoseResponse
    imputation: Imputation
