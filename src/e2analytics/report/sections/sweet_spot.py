"""The sweet spot: the range of E2 between what bone asks for and what other outcomes bear.

In    curve, curve_summary of one run, the limit in use, the primary curve of bone
Out   SweetSpot: two ends in words, and all outcomes over E2 for one picture and one table

With bone alone there is only a lower end. No flag rests on the upper one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.curve.range_of_e2 import HARM_AT_HIGH_E2, UpperEnd, upper_end
from e2analytics.models.shape import Verdict
from e2analytics.report.formatting import NOTHING, capitalised, interval, level, number
from e2analytics.report.sections.curve_wording import VERDICT_NAMES
from e2analytics.settings import FlagSettings
from e2analytics.tables.vocabulary import HAEMATOCRIT_HAZARD, HAZARDS, hazard_of

NAMES: Final = {
    **{
        hazard_of(kind): name
        for kind, name in {
            "breast_tenderness": "breast tenderness",
            "gynaecomastia": "gynaecomastia",
            "fluid_retention": "fluid retention",
            "low_libido": "low libido",
            "joint_pain": "joint pain",
            "hot_flush": "hot flushes",
            "mood": "mood complaints",
            "fracture": "fractures",
        }.items()
    },
    HAEMATOCRIT_HAZARD: "haematocrit above 54 %",
}
_HARM_AT_LOW_E2: Final = (Verdict.U_SHAPED, Verdict.LOW_SIDE_THRESHOLD, Verdict.RISING)
_PER_CENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class LanePoint:
    """An outcome at one E2, on a supported point; upwards is worse."""

    e2_pg_ml: float
    estimate: float
    band_low: float
    band_high: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One outcome over E2: what is drawn of it, and what is said of it.

    ``shows_low``, ``shows_high``: whether harm at low, at high E2 is earned. ``bottom`` and ``least_top`` are where
    its axis begins, None for where the curve does, and the least that it reaches.
    """

    name: str
    unit: str
    points: tuple[LanePoint, ...]
    verdict: str
    shows_low: bool
    shows_high: bool
    bottom: float | None = None
    least_top: float = 0.0


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One outcome in words, for the table under the picture."""

    name: str
    n_men: str
    n_events: str
    verdict: str
    lower_limit: str
    upper_limit: str
    adjusted_for: str


@dataclass(frozen=True, slots=True)
class SweetSpot:
    """Two ends, and the outcomes that they come from. ``lanes`` is empty where only bone was fitted."""

    lower_pg_ml: float
    lower: str
    upper_pg_ml: float | None
    upper: str
    sentence: str
    lanes: tuple[Lane, ...]
    rows: tuple[OutcomeRow, ...]
    alt: str


def describe(
    curve: pl.DataFrame,
    summary: pl.DataFrame,
    bone: Lane | None,
    *,
    lower: tuple[float, str],
    rules: FlagSettings,
) -> SweetSpot:
    """Say between which E2 the outcomes leave a range.

    Parameters
    ----------
    curve, summary : polars.DataFrame
        ``curve`` and ``curve_summary`` of one run.
    bone : Lane, optional
        Of the primary curve; None where it was not fitted.
    lower : pair of float and str
        The limit in use, pg/mL, and its origin in words.
    rules : FlagSettings
        How wide the interval of a limit may be.
    """
    upper = upper_end(summary, rules)
    beyond = {row["outcome"]: row for row in summary.iter_rows(named=True)}
    listed = [beyond[outcome] for outcome in HAZARDS if outcome in beyond]
    fitted = [row for row in listed if row["verdict"]]
    lanes = tuple(_lane(row, curve) for row in fitted)
    drawn = tuple(lane for lane in ((bone, *lanes) if bone and lanes else lanes) if lane.points)
    said = [f"{lane.name}: {lane.verdict}" for lane in drawn]
    sentence = _sentence(lower[0], upper)
    return SweetSpot(
        lower_pg_ml=lower[0],
        lower=lower[1],
        upper_pg_ml=upper.e2_pg_ml,
        upper=upper_in_words(upper),
        sentence=sentence,
        lanes=drawn,
        rows=tuple(_row(row) for row in listed),
        alt=f"Outcomes over E2 in lanes, upwards is worse. {sentence} {'; '.join(said)}.",
    )


def bone_lane(verdict: str | None, points: tuple[LanePoint, ...]) -> Lane:
    """Return the lane of bone, whose change is turned into a loss."""
    return Lane(
        name="bone loss",
        unit="%/year",
        points=points,
        verdict=_verdict(verdict, "faster bone loss"),
        shows_low=verdict in _HARM_AT_LOW_E2,
        shows_high=verdict in HARM_AT_HIGH_E2,
    )


def _lane(row: dict[str, Any], curve: pl.DataFrame) -> Lane:
    name = NAMES[row["outcome"]]
    points = curve.filter(pl.col("outcome") == row["outcome"], "supported").sort("e2_pg_ml")
    return Lane(
        name=name,
        unit="% a year",
        points=tuple(
            LanePoint(each["e2_pg_ml"], *(_PER_CENT * each[what] for what in _DRAWN))
            for each in points.iter_rows(named=True)
        ),
        verdict=_of_outcome(row),
        shows_low=row["verdict"] in _HARM_AT_LOW_E2,
        shows_high=row["verdict"] in HARM_AT_HIGH_E2,
        bottom=0.0,
        least_top=2 * _PER_CENT * row["delta"],
    )


_DRAWN: Final = ("estimate", "band_low", "band_high")


def _verdict(name: str | None, harm: str) -> str:
    return VERDICT_NAMES[name].format(harm=harm) if name else "not fitted"


def _of_outcome(row: dict[str, Any]) -> str:
    if row["verdict"] == Verdict.FLAT:
        # Of a rare outcome this says little: twice as many may still be fewer.
        return f"no difference of {level(_PER_CENT * row['delta'])} in 100 men; a smaller one is not ruled out"
    return _verdict(row["verdict"], f"{NAMES[row['outcome']]} more often")


def _sentence(lower_pg_ml: float, upper: UpperEnd) -> str:
    if upper.e2_pg_ml is None:
        return f"Only a lower end is known, {level(lower_pg_ml)} pg/mL; an upper end is not identifiable: {upper.why_not}."
    if upper.e2_pg_ml <= lower_pg_ml:
        return (
            f"The ends cross: bone asks for {level(lower_pg_ml)} pg/mL or more, and {NAMES[upper.outcome]} for "
            f"{number(upper.e2_pg_ml)} pg/mL or less. No range is named."
        )
    return f"The range is {level(lower_pg_ml)} to {number(upper.e2_pg_ml)} pg/mL."


def upper_in_words(end: UpperEnd) -> str:
    """Say where the upper end lies and what it comes from, or why there is none."""
    if end.e2_pg_ml is None:
        return f"Not identifiable: {end.why_not}."
    unsettled = "" if end.settled else " The interval is too wide to act on: not settled."
    return (
        f"{number(end.e2_pg_ml)} pg/mL (95 % interval {interval(end.ci_low, end.ci_high)}), from "
        f"{NAMES[end.outcome]}, the first outcome whose risk is shown to rise towards high E2.{unsettled}"
    )


def _row(row: dict[str, Any]) -> OutcomeRow:
    name = NAMES[row["outcome"]]
    why_not = "" if row["verdict"] else f": {row['why_not']}".rstrip(".")
    return OutcomeRow(
        name=capitalised(name),
        n_men=f"{row['n_patients']:,}",
        n_events=NOTHING if row["n_events"] is None else f"{row['n_events']:,}",
        verdict=capitalised(_of_outcome(row)) + why_not,
        lower_limit=_limit(row, "lower", supported=row["supported"]),
        upper_limit=_limit(row, "upper", supported=row["upper_limit_supported"]),
        adjusted_for=row["covariates"] if row["verdict"] else NOTHING,
    )


def _limit(row: dict[str, Any], side: str, *, supported: bool) -> str:
    value, low, high = (row[f"{side}_limit_{what}"] for what in ("pg_ml", "ci_low", "ci_high"))
    if value is None:
        return NOTHING
    doubt = "" if supported else ", not supported"
    return f"{number(value)} ({interval(low, high)}){doubt}"
