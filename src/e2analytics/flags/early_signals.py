"""Early signals: what results beside E2 may say of bone and of the axis, before DXA shows anything.

In    laboratory results of the men
Out   grain patient_id: ``early_signals``, each result with its day and what it suggests, in words

Information: no status and no tier rests on it. Limits and reference changes: ``early_signals.yaml``. A result below
detection counts where all it may be lies below a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, log, sqrt
from typing import Any, Final

import polars as pl

from e2analytics import reference
from e2analytics.models.normal import Z95
from e2analytics.reference import constants
from e2analytics.reference.names import VITAMIN_D

_SEPARATOR: Final = "; "
_GONADOTROPINS: Final = ("lh", "fsh")
Result = dict[str, Any]


def early_signals(labs: pl.DataFrame) -> pl.DataFrame:
    """Return what the last results of each man suggest; men without any are not there."""
    table = reference.load("early_signals")
    analyte = pl.col("analyte").cast(pl.String)
    rows = (
        labs.filter(analyte.is_in([*table["markers"], *table["limits"]]))
        .sort("patient_id", "collected_at", "result_id")
        .select(
            pl.col("patient_id").cast(pl.String),
            analyte,
            pl.col("performing_lab").cast(pl.String),
            "collected_on",
            "value_low",
            "value_high",
        )
    )
    men: dict[str, dict[str, list[Result]]] = {}
    for row in rows.iter_rows(named=True):
        men.setdefault(row["patient_id"], {}).setdefault(row["analyte"], []).append(row)
    words = {patient_id: _SEPARATOR.join(_of_man(results)) for patient_id, results in men.items()}
    found = {patient_id: said for patient_id, said in words.items() if said}
    return pl.DataFrame(
        {"patient_id": list(found), "early_signals": list(found.values())},
        schema={"patient_id": pl.String, "early_signals": pl.String},
    )


def reference_change(marker: Mapping[str, Any]) -> tuple[float, float]:
    """Return by which shares a result must fall or rise to differ from the one before: 95 %, two-sided.

    >>> fall, rise = reference_change({"within_man_cv": 0.15, "assay_cv": 0.05})
    >>> round(fall, 2), round(rise, 2)
    (-0.35, 0.55)
    """
    spread = sqrt(log(1 + marker["within_man_cv"] ** 2 + marker["assay_cv"] ** 2))
    half = Z95 * sqrt(2) * spread
    return exp(-half) - 1, exp(half) - 1


def _of_man(results: Mapping[str, list[Result]]) -> Iterator[str]:
    table = reference.load("early_signals")
    for name, marker in table["markers"].items():
        if name in results:
            yield _marker(results[name], marker)
    last = {name: results[name][-1] for name in table["limits"] if name in results}
    if "pth" in last:
        yield _with(_parathyroid(last), last["pth"])
    if "magnesium" in last:
        low = "low: PTH and vitamin D act less" if _is("low", last["magnesium"]) else ""
        yield _with(low, last["magnesium"])
    if "pth" not in last and "calcium" in last and _is("high", last["calcium"]):
        yield _with("high: PTH would tell why", last["calcium"])
    yield from _axis(last)


def _marker(results: list[Result], marker: Mapping[str, Any]) -> str:
    last = results[-1]
    said = f"{marker['label']} {_shown(last)} {marker['unit']} on {last['collected_on']}"
    earlier = [row for row in results if row["collected_on"] < last["collected_on"]]
    if not earlier:
        return said
    before = earlier[-1]
    if before["performing_lab"] != last["performing_lab"]:
        return f"{said}, the one before it by another laboratory: not compared"
    if not (_is_exact(last) and _is_exact(before)):
        return said
    change = last["value_low"] / before["value_low"] - 1
    fall, rise = reference_change(marker)
    said += f", {change:+.0%} since {before['collected_on']}"
    if fall < change < rise:
        return f"{said}: within its reference change ({fall:+.0%} to {rise:+.0%})"
    direction = marker["rise"] if change > 0 else marker["fall"]
    return f"{said}, beyond its reference change ({fall:+.0%} to {rise:+.0%}): {direction}"


def _parathyroid(last: Mapping[str, Result]) -> str:
    """Say what a PTH suggests beside the calcium and the vitamin D near it."""
    pth = last["pth"]
    calcium, vitamin_d = (_near(last, name, pth) for name in ("calcium", VITAMIN_D))
    if not _is("high", pth):
        return ""
    if calcium and _is("high", calcium):
        return f"high beside calcium {_shown(calcium)} mg/dL: suggests primary hyperparathyroidism"
    if vitamin_d and _is("low", vitamin_d):
        return (
            f"high beside 25-OH vitamin D {_shown(vitamin_d)} ng/mL: suggests secondary "
            "hyperparathyroidism by lack of vitamin D"
        )
    return "high: suggests hyperparathyroidism; calcium, vitamin D and kidney function would tell which"


def _axis(last: Mapping[str, Result]) -> Iterator[str]:
    """Say what LH and FSH suggest together; of one alone only what it is."""
    given = [last[name] for name in _GONADOTROPINS if name in last]
    both = len(given) == len(_GONADOTROPINS)
    for place, result in enumerate(given):
        suggests = ""
        if place == len(given) - 1 and both:
            if all(_is("low", each) for each in given):
                suggests = "suppressed axis, as on testosterone: his E2 comes from what he is given"
            elif any(_is("high", each) for each in given):
                suggests = "raised: testes that answer little, and an axis that is not suppressed"
            elif not any(_is("low", each) for each in given):
                suggests = "axis not suppressed: his testes make testosterone and E2, too"
        yield _with(suggests, result)


def _near(last: Mapping[str, Result], name: str, other: Result) -> Result | None:
    result = last.get(name)
    if result is None:
        return None
    apart = abs((result["collected_on"] - other["collected_on"]).days)
    return result if apart <= constants.E2_CARRY_DAYS.value else None


def _is(side: str, result: Result) -> bool:
    limit = reference.load("early_signals")["limits"][result["analyte"]].get(side)
    if limit is None:
        return False
    if side == "low":
        return result["value_high"] is not None and bool(result["value_high"] < limit)
    return bool(result["value_low"] > limit)


def _with(suggests: str, result: Result) -> str:
    limits = reference.load("early_signals")["limits"][result["analyte"]]
    said = f"{limits['label']} {_shown(result)} {limits['unit']} on {result['collected_on']}"
    return f"{said}, {suggests}" if suggests else said


def _is_exact(result: Result) -> bool:
    return bool(result["value_low"] == result["value_high"] and result["value_low"] > 0)


def _shown(result: Result) -> str:
    low, high = result["value_low"], result["value_high"]
    if high is None:
        return f">{low:g}"
    return f"{low:g}" if low == high else f"<{high:g}" if low == 0 else f"{low:g} to {high:g}"
