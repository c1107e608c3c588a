"""What came in and what was left out.

In    files, attrition, quarantine of one run
Out   Intake: chains that visibly add up, fates by feed, rules by feed, refused files

Says so where a chain does not add up; never mends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final

import polars as pl

from e2analytics.ingest.source_file import NO_FEED
from e2analytics.report.formatting import count, listing, percent, plain
from e2analytics.report.sections import reasons
from e2analytics.report.sections.broken_rules import (
    Refusal,
    RuleCount,
    count_by_rule,
    feed_and_table,
    refusals,
)
from e2analytics.tables.vocabulary import FATES

FATE_NAMES: Final = {name: plain(name) for name in FATES}
UNITS: Final = {
    "rows": ("row", "rows", "Rows: from the files to the tables"),
    "patients": ("man", "men", "Men: from those known to those in the curve"),
    "pairs": ("scan pair", "scan pairs", "Scan pairs of the primary curve"),
    "draws": (
        "E2 result",
        "E2 results",
        "E2 results: from those known to those of the dose response",
    ),
}
START_NAMES: Final = {"rows": "read", "patients": "known", "pairs": "found", "draws": "known"}
END_NAMES: Final = {
    "rows": "accepted",
    "patients": "in the primary curve",
    "pairs": "in the primary curve",
    "draws": "fit the dose response",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One way out of a chain: ``n_out`` leave, ``n_left`` go on."""

    label: str
    reason: str
    n_out: int
    n_left: int


@dataclass(frozen=True, slots=True)
class Chain:
    """From what was there to what is left, in one unit."""

    title: str
    start: str
    end: str
    steps: tuple[Step, ...]
    equation: str
    adds_up: bool


@dataclass(frozen=True, slots=True)
class FeedRows:
    """Files and rows of one feed, or of all (``fates`` in the order of :data:`FATES`)."""

    feed: str
    n_files: int
    n_files_new: int
    n_rows: int
    fates: tuple[int, ...]
    adds_up: bool


@dataclass(frozen=True, slots=True)
class RowsOut:
    """Rows of one table that are not used, for one reason."""

    fate: str
    table: str
    reason: str
    n: int


@dataclass(frozen=True, slots=True)
class Intake:
    """What came in and what was left out; empty tuples where there is nothing to say."""

    chains: tuple[Chain, ...]
    feeds: tuple[FeedRows, ...]
    total: FeedRows | None
    rows_out: tuple[RowsOut, ...]
    rules: tuple[RuleCount, ...]
    refusals: tuple[Refusal, ...]
    n_refused_now: int
    left_out: str
    n_of_no_feed_now: int = 0


def describe(
    files: pl.DataFrame,
    attrition: pl.DataFrame,
    quarantine: pl.DataFrame,
    *,
    run_id: str,
    n_unmatched: int,
) -> Intake:
    """Count what one run read, kept and left out.

    Parameters
    ----------
    files, attrition, quarantine : polars.DataFrame
        As in :mod:`e2analytics.tables.registry`; ``attrition`` may hold other runs too.
    run_id : str
        The run that the report is about.
    n_unmatched : int
        Files that were in the drop and belong to no feed; they were not read.
    """
    steps = attrition.filter(pl.col("run_id") == run_id)
    waiting = quarantine.filter(pl.col("state") == "open")
    of_feeds = files.filter(pl.col("feed") != NO_FEED)
    named = of_feeds.with_columns(feed=feed_and_table())
    ledger = [_feed_rows(part, run_id) for _, part in _by_feed(named)]
    total = _feed_rows(of_feeds, run_id, name="all feeds") if ledger else None
    refused_now = files.filter(pl.col("refused").is_not_null(), run_id=run_id)
    return Intake(
        chains=tuple(
            _chain(unit, steps.filter(pl.col("unit") == unit).sort("position"))
            for unit in UNITS
            if unit in steps["unit"]
        ),
        feeds=tuple(ledger),
        total=total,
        rows_out=_rows_out(steps),
        rules=count_by_rule(waiting),
        refusals=refusals(files, waiting),
        n_refused_now=len(refused_now),
        n_of_no_feed_now=len(refused_now.filter(refused=NO_FEED)),
        left_out=_left_out(total) + _unmatched(n_unmatched),
    )


def _by_feed(files: pl.DataFrame) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    return list(files.sort("feed", "source_file").group_by("feed", maintain_order=True))


def _feed_rows(files: pl.DataFrame, run_id: str, *, name: str = "") -> FeedRows:
    fates = tuple(int(files[fate].sum()) for fate in FATES)
    n_rows = int(files["rows_read"].sum())
    return FeedRows(
        feed=name or str(files["feed"][0]),
        n_files=files.height,
        n_files_new=int((files["run_id"] == run_id).sum()),
        n_rows=n_rows,
        fates=fates,
        adds_up=n_rows == sum(fates),
    )


def _chain(unit: str, steps: pl.DataFrame) -> Chain:
    one, many, title = UNITS[unit]
    first, last = int(steps["n_in"][0]), int(steps["n_left"][-1])
    ways_out = _steps(steps)
    said = [f"{step.n_out:,} {step.label}" for step in ways_out]
    parts = [*said, f"{last:,} {END_NAMES[unit]}"]
    return Chain(
        title=title,
        start=f"{count(first, one, many)} {START_NAMES[unit]}",
        end=f"{count(last, one, many)} {END_NAMES[unit]}",
        steps=ways_out,
        equation=f"{first:,} {START_NAMES[unit]} = {' + '.join(parts)}",
        adds_up=_adds_up(steps),
    )


def _steps(steps: pl.DataFrame) -> tuple[Step, ...]:
    """Put the ways out of a chain together by name: ``duplicate (labs)`` with ``duplicate (dxa)``."""
    # The row that opens a chain says how many there were; none leaves at it.
    rows = [row for row in steps.iter_rows(named=True) if row["n_out"] or row["reason"]]
    return tuple(
        _step(label, list(together))
        for label, together in groupby(rows, key=lambda row: _label(row))
    )


def _rows_out(steps: pl.DataFrame) -> tuple[RowsOut, ...]:
    """List why rows are not used, fate by fate."""
    out = steps.filter(pl.col("unit") == "rows", pl.col("n_out") > 0).sort("position")
    parted = [
        (*step.partition(" ("), reason, n)
        for step, reason, n in out.select("step", "reason", "n_out").iter_rows()
    ]
    return tuple(
        RowsOut(plain(fate), table.removesuffix(")"), reasons.in_words(reason), n)
        for fate, _, table, reason, n in parted
    )


def _label(row: Mapping[str, Any]) -> str:
    return plain(str(row["step"]).partition(" (")[0])


def _step(label: str, rows: Sequence[Mapping[str, Any]]) -> Step:
    n_out = sum(row["n_out"] for row in rows)
    return Step(label, _why(label, rows), n_out, rows[-1]["n_left"])


def _why(label: str, rows: Sequence[Mapping[str, Any]]) -> str:
    by_table: Counter[str] = Counter()
    for row in rows:
        by_table[str(row["step"]).partition(" (")[2].removesuffix(")")] += row["n_out"]
    if "" not in by_table:
        return ", ".join(f"{table} {n:,}" for table, n in by_table.items())
    why = reasons.in_words(str(rows[0]["reason"]))
    return "" if why == label else why


def _adds_up(steps: pl.DataFrame) -> bool:
    each = (steps["n_in"] - steps["n_out"] == steps["n_left"]).all()
    joined = pairwise(zip(steps["n_in"], steps["n_left"], strict=True))
    return bool(each) and all(before[1] == after[0] for before, after in joined)


def _left_out(total: FeedRows | None) -> str:
    """Say how many rows are not used, and how many of them wait for a correction."""
    if total is None or not total.n_rows:
        return "No rows were read."
    fates = dict(zip(FATES, total.fates, strict=True))
    accepted, quarantined = fates.pop("accepted"), fates.pop("quarantined")
    done = listing(f"{n:,} {FATE_NAMES[fate]}" for fate, n in fates.items() if n)
    return (
        f"Of {count(total.n_rows, 'row')} read, {accepted:,} are in use. "
        f"{quarantined:,} ({percent(quarantined, total.n_rows)}) wait in quarantine for a correction"
        + (f"; nothing need be done about the rest: {done}." if done else ".")
    )


def _unmatched(n_files: int) -> str:
    files = count(n_files, "file belongs", "files belong")
    return (
        f" {files} to no feed and {'was' if n_files == 1 else 'were'} not read." if n_files else ""
    )
