"""What a clinic has decided about slips of unit: which results are right, which to convert.

A decision names a source as the evidence names it and the two units; the factor follows from the
reference tables and is never typed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from e2analytics import reference

SourceKind = Literal["performing_lab", "clinic", "feed"]
Month = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]


class SlipDecision(BaseModel, frozen=True, extra="forbid"):
    """What to do with the results of one source, one analyte and some months."""

    source_kind: SourceKind
    source: str
    analyte: str
    months: tuple[Month, ...] | Literal["all"]
    action: Literal["release", "convert"]
    declared: str | None = None
    really: str | None = None

    @model_validator(mode="after")
    def _names_its_units(self) -> SlipDecision:
        known = units_of(self.analyte)
        if not known:
            raise ValueError("the analyte is not in schemas/reference/analytes.yaml")
        if self.action == "release":
            if self.declared is not None or self.really is not None:
                raise ValueError("declared and really belong to `convert` alone")
            return self
        if self.declared not in known or self.really not in known:
            raise ValueError(f"declared and really must be two of: {', '.join(known)}")
        return self

    @property
    def factor(self) -> float:
        """What results as declared are multiplied by to be right; 1 for a release."""
        if self.declared is None or self.really is None:
            return 1.0
        known = units_of(self.analyte)
        return known[self.really] / known[self.declared]


class SlipSettings(BaseModel, frozen=True, extra="forbid"):
    """When a slip of unit is held for real, and what was decided about those found."""

    slips_per_1000_source_months: float = Field(5.0, gt=0, lt=100)
    least_odds: float = Field(10.0, ge=1, description="That it is real, to be quarantined.")
    decisions: tuple[SlipDecision, ...] = ()


def units_of(analyte: str) -> dict[str, float]:
    """Return the units of an analyte with their factors to its own one."""
    entry = reference.load("analytes")["analytes"].get(analyte, {"units": {}})
    return {name: float(unit["factor"]) for name, unit in entry["units"].items()}
