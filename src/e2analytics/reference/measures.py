"""The quality measures as ``schemas/reference/measures.yaml`` defines them, checked when loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from e2analytics import reference
from e2analytics.reference.constants import Confidence

Kind = Literal["laboratory", "event", "other"]
Text = Annotated[str, Field(min_length=1)]


class Source(BaseModel, frozen=True, extra="forbid"):
    """What a measure needs: of which kind it is, and the words of a report for its absence and its record."""

    kind: Kind
    absent: Text
    record: Text


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
    part_of: Text | None = None
    comparator_of: Text | None = None
    needs: Annotated[tuple[Text, ...], Field(min_length=1)]
    days: Mapping[str, Annotated[int, Field(gt=0)]] = {}
    limits: Mapping[str, Annotated[float, Field(gt=0)]] = {}
    source: Text
    confidence: Confidence
    changed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}: ")] | None = None


class Measures(BaseModel, frozen=True, extra="forbid"):
    """All measures, in the order in which a report shows them."""

    version: date
    new_start_after_days: Annotated[int, Field(gt=0)]
    new_start_after_days_source: Text
    silent_after_days: Annotated[int, Field(gt=0)]
    silent_after_days_source: Text
    sources: Mapping[str, Source]
    measures: Annotated[Mapping[str, Measure], Field(min_length=1)]

    @model_validator(mode="after")
    def _sources_must_exist(self) -> Measures:
        needed = {source for each in self.measures.values() for source in each.needs}
        if unknown := sorted(needed - set(self.sources)):
            raise ValueError(f"there is no source {', '.join(unknown)}")
        analytes = reference.load("analytes")["analytes"]
        if unknown := sorted(set(self.sources_of_kind("laboratory")) - set(analytes)):
            raise ValueError(f"there is no analyte {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _comparators_must_fit(self) -> Measures:
        for name, comparator in self.measures.items():
            if comparator.comparator_of is None:
                continue
            measure = self.measures.get(comparator.comparator_of)
            if measure is None:
                raise ValueError(
                    f"there is no measure {comparator.comparator_of}, which {name} is comparator_of"
                )
            if (comparator.unit, comparator.months) != (measure.unit, measure.months):
                raise ValueError(f"{name} and {comparator.comparator_of} differ in unit or months")
        return self

    @model_validator(mode="after")
    def _parts_must_fit_their_wholes(self) -> Measures:
        wholes = Counter(each.part_of for each in self.measures.values() if each.part_of)
        for name, part in self.measures.items():
            if part.part_of is None:
                continue
            whole = self.measures.get(part.part_of)
            if whole is None:
                raise ValueError(f"there is no measure {part.part_of}, which {name} is part_of")
            # Disclosure control knows pairs: a whole and one part.
            if whole.part_of is not None or wholes[part.part_of] > 1:
                raise ValueError(f"{part.part_of} has more than one part, or is itself part_of one")
            if (part.unit, part.months) != (whole.unit, whole.months):
                raise ValueError(f"{name} and {part.part_of} differ in unit or months")
        return self

    def sources_of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the sources of a kind."""
        return tuple(name for name, source in self.sources.items() if source.kind == kind)

    def comparators(self) -> dict[str, str]:
        """Return of each measure that has one the name of its comparator."""
        return {
            each.comparator_of: name for name, each in self.measures.items() if each.comparator_of
        }

    def wholes_and_parts(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of a measure and the one that counts a part of those whom it counts."""
        return tuple((each.part_of, name) for name, each in self.measures.items() if each.part_of)


@cache
def load() -> Measures:
    """Return the measures, each by its name in the table ``measures``."""
    return Measures.model_validate(reference.load("measures"))
