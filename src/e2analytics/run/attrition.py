"""Attrition: where rows, men and scan pairs are lost before the primary curve, and E2 results before the dose response.

In    the sums ``row_fates`` and ``tallies``
Out   attrition   grain run_id, unit, position: n_in - n_out = n_left, one chain for each unit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import polars as pl

from e2analytics.tables.registry import schema_of
from e2analytics.tables.vocabulary import FATES


class Loss(NamedTuple):
    """How many leave at a step, and the reason."""

    step: str
    n_out: int
    reason: str


Chain: TypeAlias = tuple[int, list[Loss]]
"""How many came in, and the losses in order."""


class Tallies:
    """The tallies of all men, to be asked.

    Parameters
    ----------
    counted
        The sum ``tallies``.
    """

    def __init__(self, counted: pl.DataFrame) -> None:
        self._n: dict[tuple[str, str, str], int] = {
            (unit, step, reason): n for unit, step, reason, n in counted.iter_rows()
        }

    def n(self, unit: str, step: str, reason: str = "") -> int:
        """Return how many."""
        return self._n.get((unit, step, reason), 0)

    def by_reason(self, unit: str, step: str) -> dict[str, int]:
        """Return how many of each reason, by name of the reason."""
        return {each[2]: n for each, n in self._n.items() if each[:2] == (unit, step)}

    def total(self, unit: str, *steps: str) -> int:
        """Return how many, of every reason."""
        return sum(n for each, n in self._n.items() if each[0] == unit and each[1] in steps)


def row_losses(row_fates: pl.DataFrame) -> list[Loss]:
    """Return the losses between rows read and rows accepted.

    Parameters
    ----------
    row_fates
        The sum.
    """
    left = (
        row_fates.filter(pl.col("fate") != "accepted")
        .group_by("fate", "table", "why")
        .agg(pl.col("n").sum())
        .cast({"fate": pl.Enum(FATES)})
        .sort("fate", "table", "why")
    )
    return [
        Loss(f"{row['fate']} ({row['table']})", row["n"], row["why"] or row["fate"])
        for row in left.iter_rows(named=True)
    ]


def of_rows(row_fates: pl.DataFrame) -> Chain:
    """Return the chain of rows, from the sum ``row_fates``."""
    return int(row_fates["n"].sum()), row_losses(row_fates)


def of_men(tallied: Tallies, kind: str, used: Sequence[str]) -> dict[str, Chain]:
    """Return the chains of men, of pairs and of draws on their way to the models.

    Parameters
    ----------
    tallied
        The tallies of all men.
    kind
        What the primary curve is made of: ``pairs``, or ``levels`` where nothing can be paired.
    used
        Its covariates.
    """
    n_pairs = tallied.total("pairs", "unusable", "usable")
    n_draws = tallied.total("draws", "unusable", "confounded", "used")
    unlike = _by_reason(tallied, "draws", "unusable") + _by_reason(tallied, "draws", "confounded")
    return {
        "patients": (tallied.n("men", "known"), _of_men(tallied, kind, used)),
        "pairs": (n_pairs, _of_pairs(tallied, used) if kind == "pairs" else []),
        "draws": (n_draws, unlike),
    }


def _of_men(tallied: Tallies, kind: str, used: Sequence[str]) -> list[Loss]:
    what = {"pairs": "scan pair", "levels": "scan beside an E2"}[kind]
    with_any, usable = (tallied.n("men", f"{step}_{kind}") for step in ("with", "usable"))
    complete = tallied.n("men", f"complete_{kind}", " ".join(used))
    return [
        Loss(f"no {what}", tallied.n("men", "known") - with_any, f"no {what} at the primary site"),
        Loss(f"no usable {what}", with_any - usable, f"no usable {what}"),
        Loss("covariate missing", usable - complete, "incomplete covariates"),
    ]


def _of_pairs(tallied: Tallies, used: Sequence[str]) -> list[Loss]:
    incomplete = sum(
        n
        for missing, n in tallied.by_reason("pairs", "usable").items()
        if not set(used).isdisjoint(missing.split())
    )
    return [
        *_by_reason(tallied, "pairs", "unusable"),
        Loss("covariate missing", incomplete, "incomplete covariates"),
    ]


def _by_reason(tallied: Tallies, unit: str, step: str) -> list[Loss]:
    reasons = tallied.by_reason(unit, step)
    return [Loss(reason.replace("_", " "), n, reason) for reason, n in sorted(reasons.items())]


def table(run_id: str, chains: Mapping[str, Chain]) -> pl.DataFrame:
    """Return the table ``attrition``.

    Parameters
    ----------
    run_id
        The run.
    chains
        By unit: how many came in, and the losses in order.
    """
    rows: list[dict[str, object]] = []
    for unit, (n_in, losses) in chains.items():
        rows.append(
            _row(run_id, len(rows), "read" if unit == "rows" else "known", unit, n_in, 0, "")
        )
        for loss in losses:
            rows.append(_row(run_id, len(rows), loss.step, unit, n_in, loss.n_out, loss.reason))
            n_in -= loss.n_out
    return pl.DataFrame(rows, schema=schema_of("attrition"))


def _row(
    run_id: str, position: int, step: str, unit: str, n_in: int, n_out: int, reason: str
) -> dict[str, object]:
    return {
        "run_id": run_id,
        "position": position,
        "step": step,
        "unit": unit,
        "n_in": n_in,
        "n_out": n_out,
        "n_left": n_in - n_out,
        "reason": reason,
    }
