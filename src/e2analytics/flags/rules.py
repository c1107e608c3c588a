"""The rules of flags, as defined in ``schemas/reference/flag_rules.yaml``, checked when loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from e2analytics import reference
from e2analytics.reference import measures
from e2analytics.reference.constants import Confidence
from e2analytics.settings import FlagSettings
from e2analytics.tables.vocabulary import STATUSES

Text = Annotated[str, Field(min_length=1)]
Change = Literal[
    "joined",
    "new_result",
    "dose_changed",
    "new_scan",
    "new_model",
    "limit_changed",
    "rule_changed",
    "left",
    "time_passed",
    "unexplained",
]


class Cited(BaseModel, frozen=True, extra="forbid"):
    """An entry of the rules, with its source."""

    source: Text
    confidence: Confidence
    changed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}: ")] | None = None


class Reason(Cited, frozen=True):
    """A reason for a status or a tier, in a clinician's words, and when it holds."""

    role: Literal["obstacle", "finding"]
    words: Text
    rule: Text
    settings: tuple[Text, ...] = ()
    changes_with: Text | None = None
    with_time: tuple[Literal["appears", "disappears"], ...] = ()
    means_low_e2: bool = False


class LimitRule(Cited, frozen=True):
    """By what limit E2 is judged."""

    rule: Text
    settings: tuple[Text, ...] = ()


class NotJudged(Cited, frozen=True):
    """Why a man on the drug is not judged."""

    words: Text
    rule: Text


class Status(Cited, frozen=True):
    """An assessment of a man's E2."""

    words: Text
    rule: Text


class Tier(Cited, frozen=True):
    """How urgent a man is if ``any`` of these reasons holds, one of ``also``, none of ``unless``."""

    tier: Literal["critical", "high", "watch"]
    any: Annotated[tuple[Text, ...], Field(min_length=1)]
    also: tuple[Text, ...] = ()
    unless: tuple[Text, ...] = ()


class Gap(Cited, frozen=True):
    """A gap in a man's care."""

    words: Text
    measure: Text | None = None
    limits: Mapping[str, Annotated[float, Field(gt=0)]] = {}


class FlagRules(BaseModel, frozen=True, extra="forbid"):
    """All rules, in the order in which they apply."""

    version: date
    reasons: Mapping[str, Reason]
    limit: Mapping[str, LimitRule]
    not_judged: Mapping[str, NotJudged]
    statuses: Mapping[str, Status]
    tiers: Mapping[str, Tier]
    gaps: Mapping[str, Gap]
    changes: Mapping[Change, Text]

    @model_validator(mode="after")
    def _names_must_exist(self) -> FlagRules:
        named = {
            "reason": {n for t in self.tiers.values() for n in (*t.any, *t.also, *t.unless)},
            "setting": {name for reason in self.reasons.values() for name in reason.settings}
            | {name for rule in self.limit.values() for name in rule.settings},
            "measure": {gap.measure for gap in self.gaps.values() if gap.measure},
            "status": {*self.statuses},
        }
        known = {
            "reason": set(self.reasons),
            "setting": set(FlagSettings.model_fields),
            "measure": set(measures.load().measures),
            "status": set(STATUSES),
        }
        for what, names in named.items():
            if unknown := sorted(names - known[what]):
                raise ValueError(f"there is no {what} {', '.join(unknown)}")
        if missing := sorted(known["status"] - named["status"]):
            raise ValueError(f"there is no rule for the status {', '.join(missing)}")
        return self

    def reasons_of_role(self, role: Literal["obstacle", "finding"]) -> tuple[str, ...]:
        """Return the names of the obstacles, or of the findings, in order."""
        return tuple(name for name, reason in self.reasons.items() if reason.role == role)

    def reasons_with_time(self, what: Literal["appears", "disappears"]) -> tuple[str, ...]:
        """Return the names of the reasons that appear, or disappear, as days pass."""
        return tuple(name for name, reason in self.reasons.items() if what in reason.with_time)

    def reasons_of_low_e2(self) -> tuple[str, ...]:
        """Return the names of the reasons that a higher result would end."""
        return tuple(name for name, reason in self.reasons.items() if reason.means_low_e2)

    def id_with(self, settings: FlagSettings) -> str:
        """Name the rules with their thresholds: their version, and a digest of what decides.

        That is what a man's status, tier and gaps follow from, in its order: no wording and no source, so that
        a rule that is only worded anew keeps its name.
        """
        decides = [
            [[name, each.role, each.settings] for name, each in self.reasons.items()],
            list(self.statuses),
            [[each.tier, each.any, each.also, each.unless] for each in self.tiers.values()],
            [[name, each.measure, dict(each.limits)] for name, each in self.gaps.items()],
            settings.model_dump(mode="json"),
        ]
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
        return f"{self.version:%Y-%m-%d}-{digest[:8]}"


@cache
def load() -> FlagRules:
    """Return the rules in force."""
    return FlagRules.model_validate(reference.load("flag_rules"))
