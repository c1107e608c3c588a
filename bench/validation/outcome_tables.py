"""Tables of the section on outcomes beyond bone.

In    a row for each clinic, world and outcome
Out   verdicts, false claims, coverage, limits, the upper end of the sweet spot; targets that were not met
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from bench.validation.curve_shares import binomial, mean_share
from bench.validation.curve_tables import TARGET
from e2analytics.models.shape import Verdict
from e2analytics.simulate.parameters import OutcomeRate
from e2analytics.simulate.settings import SHAPES_WITH_OUTCOMES
from e2analytics.simulate.truth import outcome_rates

LOW_SIDE: Final = ("u_shaped", "low_side_threshold", "rising")
HIGH_SIDE: Final = ("u_shaped", "high_side_threshold", "falling")
WORLDS: Final = SHAPES_WITH_OUTCOMES
ALPHA: Final = 0.05
_LEAST_TO_JUDGE: Final = 30


def harm(world: str, outcome: OutcomeRate) -> str:
    """Say on which side E2 does harm in truth."""
    if world != "two_sides":
        return "none"
    sides = [side for side in ("low", "high") if getattr(outcome, side)]
    return " and ".join(sides) or "none"


def false_claim(world: str, outcome: OutcomeRate) -> pl.Expr:
    """Return whether a verdict claims harm on a side where there is none."""
    sides = harm(world, outcome)
    verdict = pl.col("verdict")
    return (verdict.is_in(LOW_SIDE) & pl.lit("low" not in sides)) | (
        verdict.is_in(HIGH_SIDE) & pl.lit("high" not in sides)
    )


def verdicts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the shares of the verdicts by world and outcome."""
    lines = []
    for world, outcome, cell in _cells(rows):
        fitted = cell.filter(pl.col("verdict").is_not_null())
        lines.append(
            {
                "world": world,
                "outcome": outcome.name,
                "harm in truth": harm(world, outcome),
                "events": fitted["n_events"].mean(),
                "not fitted": f"{1 - len(fitted) / len(cell):.0%}",
                **{str(name): f"{(fitted['verdict'] == name).mean() or 0:.0%}" for name in Verdict},
            }
        )
    return pl.DataFrame(lines)


def false_claims(rows: pl.DataFrame) -> pl.DataFrame:
    """Return how often harm is claimed on a side where there is none: by outcome, and by any in a clinic."""
    lines = []
    for world in WORLDS:
        made = []
        for name, outcome, cell in _cells(rows.filter(world=world)):
            claimed = cell.select("seed", made=false_claim(name, outcome))
            made.append(claimed)
            lines.append(_claims(world, outcome.name, claimed["made"]))
        if made:
            of_clinic = pl.concat(made).group_by("seed").agg(pl.col("made").any())
            lines.append(_claims(world, "any of them", of_clinic["made"]))
    return pl.DataFrame(lines)


def _claims(world: str, outcome: str, made: pl.Series) -> dict[str, object]:
    share = binomial(made)
    return {
        "world": world,
        "outcome": outcome,
        "clinics": share.of,
        "false claims": str(share),
        "missed": "none" if share.low <= ALPHA else "size",
    }


def coverage(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the coverage of nominal 95 % intervals by world and outcome."""
    lines = []
    for world, outcome, cell in _cells(rows):
        pointwise, band = mean_share(cell["pointwise"]), binomial(cell["band"])
        missed = [
            name
            for name, share in (("pointwise", pointwise), ("band", band))
            if not share.meets(TARGET)
        ]
        lines.append(
            {
                "world": world,
                "outcome": outcome.name,
                "clinics": pointwise.of,
                "pointwise": str(pointwise),
                "band": str(band),
                "missed": ", ".join(missed) or "none",
            }
        )
    return pl.DataFrame(lines)


def limits(rows: pl.DataFrame) -> pl.DataFrame:
    """Return how often the intervals of limits hold the truth, where there is one."""
    lines = []
    for world, outcome, cell in _cells(rows):
        for side in ("lower", "upper"):
            true = cell.filter(pl.col(f"{side} true").is_not_null())
            if true.is_empty():
                continue
            given, holds = true[side].is_not_null(), binomial(true[f"{side} holds"])
            lines.append(
                {
                    "world": world,
                    "outcome": outcome.name,
                    "limit": side,
                    "truth, pg/mL": _middle(true[f"{side} true"]),
                    "given none": str(binomial(~given)),
                    "holds": str(holds),
                    "mean error, pg/mL": (true[side] - true[f"{side} true"]).mean(),
                    "missed": "none"
                    if holds.of < _LEAST_TO_JUDGE or holds.meets(TARGET)
                    else "coverage",
                }
            )
    return pl.DataFrame(lines)


def _cells(rows: pl.DataFrame) -> Iterator[tuple[str, OutcomeRate, pl.DataFrame]]:
    for world in WORLDS:
        for outcome in outcome_rates():
            cell = rows.filter(world=world, outcome=outcome.name)
            if not cell.is_empty():
                yield world, outcome, cell


def false_limits(rows: pl.DataFrame) -> pl.DataFrame:
    """Return how often any outcome of a clinic is given a limit that the truth does not have."""
    lines = []
    for world in WORLDS:
        for side in ("lower", "upper"):
            of_world = rows.filter(world=world)
            if of_world.is_empty():
                continue
            false = pl.col(side).is_not_null() & pl.col(f"{side} true").is_null()
            of_clinic = of_world.group_by("seed").agg(made=false.any())
            share = binomial(of_clinic["made"])
            lines.append(
                {
                    "world": world,
                    "limit": side,
                    "clinics": share.of,
                    "false limits": str(share),
                    "missed": "none" if share.low <= ALPHA else "size",
                }
            )
    return pl.DataFrame(lines)


def upper_ends(ends: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return how often a clinic is given an upper end of its sweet spot, and whether its interval holds the truth."""
    lowest = rows.group_by("world", "seed").agg(true=pl.col("upper true").min())
    lines = []
    for world in WORLDS:
        of_world = ends.filter(world=world).join(lowest, on=["world", "seed"])
        if of_world.is_empty():
            continue
        given = of_world["e2_pg_ml"].is_not_null()
        inside = pl.col("true").is_between("ci_low", "ci_high")
        there = of_world.filter(given & pl.col("true").is_not_null())
        share, holds = binomial(given), binomial(there.select(inside).to_series())
        false = there.is_empty() and of_world["true"].null_count() == len(of_world)
        met = share.low <= ALPHA if false else holds.of < _LEAST_TO_JUDGE or holds.meets(TARGET)
        lines.append(
            {
                "world": world,
                "truth, pg/mL": _middle(of_world["true"]),
                "given one": str(share),
                "of these settled": str(binomial(of_world.filter(given)["settled"])),
                "holds": str(holds),
                "mean error, pg/mL": (there["e2_pg_ml"] - there["true"]).mean(),
                "missed": "none" if met else "size" if false else "coverage",
            }
        )
    return pl.DataFrame(lines)


def _middle(values: pl.Series) -> str:
    return "none" if values.count() == 0 else f"{values.median():.1f}"


# Five parameters: a table each.
def missed(
    claims: pl.DataFrame,
    false_limits: pl.DataFrame,
    coverage: pl.DataFrame,
    limits: pl.DataFrame,
    upper_ends: pl.DataFrame,
) -> str:
    """Say plainly which targets were not met."""
    said = [
        f"- {line['world']}, {line['outcome']}: false claims in {line['false claims']}"
        for line in _missed(claims)
    ]
    said += [
        f"- {line['world']}: false {line['limit']} limits in {line['false limits']}"
        for line in _missed(false_limits)
    ]
    said += [
        f"- {line['world']}, {line['outcome']}: coverage of {name} {line[name]}"
        for line in _missed(coverage)
        for name in line["missed"].split(", ")
    ]
    said += [
        f"- {line['world']}, {line['outcome']}: the {line['limit']} limit's interval holds in {line['holds']}"
        for line in _missed(limits)
    ]
    said += [
        f"- {line['world']}: an upper end is given in {line['given one']}, and holds in {line['holds']}"
        for line in _missed(upper_ends)
    ]
    return "\n".join(said) or (
        "No target lies outside the 99 % interval of its clinics; where these are few, that says little."
    )


def _missed(table: pl.DataFrame) -> list[dict[str, Any]]:
    return table.filter(pl.col("missed") != "none").to_dicts()
