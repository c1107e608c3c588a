"""What a run prints: the rows read and their fates, the curves, the flags, what was not read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import polars as pl

from e2analytics.cli.terminal import err, out, printable
from e2analytics.cli.wording import by_site, news, tiers, unsettled_in_words, with_interval
from e2analytics.feeds.description import unsettled
from e2analytics.flags import judged
from e2analytics.run.job import JobResult
from e2analytics.tables.vocabulary import FATES


def print_done(done: JobResult, store: str, feeds_folder: Path | None = None) -> None:
    """Sum up a run: what was read and what became of it, the curves, the flags, what to do next.

    Parameters
    ----------
    done
        The run.
    store
        Address of the store.
    feeds_folder
        The clinic's own descriptions: those with a TODO are named.
    """
    counts = done.outputs.counts
    out.print(
        f"{done.manifest['run_id']} as of {done.manifest['as_of']}: {done.manifest['outcome']}."
    )
    out.print(_files(counts))
    fates = " + ".join(f"{counts[fate]:,} {fate.replace('_', ' ')}" for fate in FATES)
    out.print(f"All rows ever read: {counts['rows_read']:,} = {fates}.")
    for line in curves(done.table("curve_summary")):
        out.print(line)
    if "men" in counts:
        flagged = tiers(done.table("flags"))
        out.print(
            f"{counts['men']:,} men, {counts['men_on_drug']:,} on an aromatase inhibitor; "
            f"flagged: {flagged}."
        )
        apart = {why: counts.get(f"men_on_drug_{why}", 0) for why in judged.WHY}
        if any(apart.values()):
            named = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in apart.items() if n)
            out.print(f"On such a drug, and not judged: {named}.")
        changed = news(done.table("flag_events"), done.manifest["run_id"])
        out.print(f"New in this run: {changed}.")
    out.print(f"Store: {store}   (overview: e2analytics status --store {quote(store)})")
    _print_what_was_not_read(done, store)
    for file, lines in unsettled(feeds_folder).items():
        err.print(printable(unsettled_in_words(file, lines)))


def _print_what_was_not_read(done: JobResult, store: str) -> None:
    for file in done.sources.files:
        if file.refused and not file.is_of_no_feed:
            err.print(f"REFUSED {_name(file.path)}: {file.refused}. Nothing of it was stored.")
    unused = {file.path: file.unused for file in done.sources.files if file.unused}
    for path, names in unused.items():
        err.print(printable(f"Nothing uses these of {path}: {', '.join(names)}"))
    for file in done.sources.files:
        if file.refused and file.is_of_no_feed:
            err.print(
                f"NO FEED takes {_name(file.path)}: {printable(file.refused.detail)}. Nothing of it was read."
            )
    if done.sources.passed_over:
        named = ", ".join(f"{file.path.name} ({file.kind})" for file in done.sources.passed_over)
        err.print(f"Passed over, no data: {printable(named)}")
    print_what_to_do(done.outputs.counts, store)


def print_what_to_do(counts: Mapping[str, int], store: str) -> None:
    """Say what to do about rows that wait and files that were not read."""
    if waiting := counts["quarantined"]:
        err.print(
            f"{waiting:,} row(s) wait: e2analytics returns --store {quote(store)} --out FOLDER lists file, line, "
            "rule and advice."
        )
    if refused := counts["files_refused_now"]:
        err.print(f"The run was published without {refused} file(s): mend them and run again.")
    if unmatched := counts["files_unmatched"]:
        err.print(
            f"The run was published without {unmatched} file(s) of no feed: e2analytics inspect FILE drafts "
            "a description; name what is no data in side_files of the configuration."
        )


def _name(path: Path) -> str:
    return printable(f"{path}")


def _files(counts: Mapping[str, int]) -> str:
    parts = [f"Read {counts['files_read_now']} file(s) with {counts['rows_read_now']:,} rows"]
    if counts["files_known"]:
        parts.append(f"{counts['files_known']} known already")
    if counts["files_refused_now"]:
        parts.append(f"{counts['files_refused_now']} refused")
    if counts["files_unmatched"]:
        parts.append(f"{counts['files_unmatched']} of no feed")
    return ", ".join(parts) + "."


def curves(summary: pl.DataFrame) -> list[str]:
    """Say what each curve shows; those that were not fitted for one reason are said once."""
    rows = by_site(summary).rows(named=True)
    missing: dict[str, list[str]] = {}
    for row in rows:
        if row["verdict"] is None:
            missing.setdefault(row["why_not"], []).append(_of(row))
    not_fitted = [
        f"Not fitted: {'; '.join(names) if len(names) < len(rows) else 'any curve'}. {why[:1].upper()}{why[1:]}"
        for why, names in missing.items()
    ]
    return [*(_curve(row) for row in rows if row["verdict"] is not None), *not_fitted]


def _of(row: dict[str, Any]) -> str:
    return f"{row['site'].replace('_', ' ')}, {row['outcome']}"


def _curve(row: dict[str, Any]) -> str:
    counted = f"({row['n_intervals']:,} rows of {row['n_patients']:,} men)"
    text = f"{_of(row)}: {row['verdict']} {counted}"
    for side in ("lower", "upper"):
        if row[f"{side}_limit_pg_ml"] is not None:
            text += f", {side} limit {with_interval(row, side)} pg/mL"
    return text + "."
