"""Attrition: where rows, men and scan pairs are lost before the primary curve, and E2 results before the dose response.

In    source rows with their fate, exposures, levels, the rows that the curve used, E2 results
Out   attrition   grain run_id, unit, position: n_in - n_out = n_left, one chain for each unit
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2analytics.tables.registry import schema_of
from e2analytics.tables.vocabulary import FATES


class Loss(NamedTuple):
    """How many leave at a step, and the reason."""

    step: str
    n_out: int
    reason: str


def row_losses(every_row: pl.DataFrame) -> list[Loss]:
    """Return the losses between rows read and rows accepted."""
    left = (
        every_row.filter(pl.col("fate") != "accepted")
        .group_by("fate", "table", "why")
        .len("n_out")
        .cast({"fate": pl.Enum(FATES), "table": pl.String, "why": pl.String})
        .sort("fate", "table", "why")
    )
    return [
        Loss(f"{row['fate']} ({row['table']})", row["n_out"], row["why"] or row["fate"])
        for row in left.iter_rows(named=True)
    ]


def patient_losses(
    patients: pl.DataFrame,
    paired: pl.DataFrame,
    usable: pl.DataFrame,
    analysed: pl.DataFrame,
    *,
    what: str,
) -> list[Loss]:
    """Return the losses of men between the table of patients and the primary curve.

    Parameters
    ----------
    patients, paired, usable, analysed
        Frames with a ``patient_id``: all men, those with a pair (or scan), those with a usable one,
        those with all covariates.
    what
        ``scan pair`` or ``scan beside an E2``.
    """
    men, with_pair, with_usable, complete = (
        frame["patient_id"].n_unique() for frame in (patients, paired, usable, analysed)
    )
    return [
        Loss(f"no {what}", men - with_pair, f"no {what} at the primary site"),
        Loss(f"no usable {what}", with_pair - with_usable, f"no usable {what}"),
        Loss("covariate missing", with_usable - complete, "incomplete covariates"),
    ]


def pair_losses(pairs: pl.DataFrame, analysed: pl.DataFrame) -> list[Loss]:
    """Return the losses of scan pairs of the primary site."""
    reasons = (
        pairs.filter(~pl.col("usable")).group_by("why_not").len("n_out").sort("why_not").rows()
    )
    usable = int(pairs["usable"].sum())
    return [
        *(Loss(reason.replace("_", " "), n_out, reason) for reason, n_out in reasons),
        Loss("covariate missing", usable - len(analysed), "incomplete covariates"),
    ]


def draw_losses(unusable: pl.Series, confounded: pl.Series) -> list[Loss]:
    """Return the losses of E2 results that the dose response is not fitted to.

    Parameters
    ----------
    unusable, confounded
        Of each result why the model does not describe it, or why it does not show what an inhibitor does; null
        where it does. The first goes before the second.
    """
    return [
        Loss(reason.replace("_", " "), n_out, reason)
        for reasons in (unusable, confounded.filter(unusable.is_null()))
        for reason, n_out in sorted(Counter(reasons.drop_nulls()).items())
    ]


def table(run_id: str, chains: Mapping[str, tuple[int, list[Loss]]]) -> pl.DataFrame:
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
