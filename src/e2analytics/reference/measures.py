"""The quality measures as ``schemas/reference/measures.yaml`` defines them, checked when loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from e2analytics import reference
from e2analytics.reference.constants import Confidence

LABORATORY = ("estradiol", "vitamin_d_25oh", "hematocrit", "psa")
EVENTS = ("symptom", "counselling", "bone_plan", "ai_review")
Source = Literal[
    "medications",
    "trt",
    "dxa",
    "body_fat",
    "estradiol",
    "vitamin_d_25oh",
    "hematocrit",
    "psa",
    "symptom",
    "counselling",
    "bone_plan",
    "ai_review",
]
Text = Annotated[str, Field(min_length=1)]


class ReportedSeparately(BaseModel, frozen=True, extra="forbid"):
    """Units that are counted, and not in the measure's share: their name for one and for many, and what they did."""

    one: Text
    many: Text
    what: Text


class Measure(BaseModel, frozen=True, extra="forbid"):
    """One measure: what is counted, and by whose rule."""

    id: Annotated[str, Field(pattern=r"^M[1-9][0-9]?[ab]?$")]
    name: Text
    definition: Text
    denominator: Text
    numerator: Text
    exclusions: Text
    exceptions: Text
    reported_separately: ReportedSeparately | None = None
    direction: Literal["high", "low"]
    unit: Text
    months: Literal["disjoint", "overlapping"]
    needs: Annotated[tuple[Source, ...], Field(min_length=1)]
    days: Mapping[str, Annotated[int, Field(gt=0)]] = {}
    limits: Mapping[str, Annotated[float, Field(gt=0)]] = {}
    source: Text
    confidence: Confidence


class Measures(BaseModel, frozen=True, extra="forbid"):
    """All measures, in the order in which a report shows them."""

    version: date
    new_start_after_days: Annotated[int, Field(gt=0)]
    new_start_after_days_source: Text
    silent_after_days: Annotated[int, Field(gt=0)]
    silent_after_days_source: Text
    measures: Annotated[Mapping[str, Measure], Field(min_length=1)]


@cache
def load() -> Measures:
    """Return the measures, each by its name in the table ``measures``."""
    return Measures.model_validate(reference.load("measures"))
