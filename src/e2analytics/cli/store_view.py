"""What ``status`` and ``limits`` show: what a store holds, and the limit that flags are judged by."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from rich.table import Column, Table

from e2analytics.cli.terminal import by_site, out, tiers, with_interval
from e2analytics.curve import limit
from e2analytics.curve.rows import CHANGE
from e2analytics.settings import Settings
from e2analytics.store.store import Store
from e2analytics.tables.contracts import EVENT_DATE
from e2analytics.tables.limit_in_use import limit_in_use


def print_status(store: Store, published: dict[str, Any], settings: Settings) -> None:
    """Show the last runs, the rows of every table, the limit in use and the open flags."""
    out.print(_runs(store))
    out.print(_rows(store, published))
    print_limit_in_use(store, published, settings)
    out.print(f"Flagged men: {tiers(store.table('flags', published))}.")


def _runs(store: Store) -> Table:
    table = Table(
        "run", "as of", "finished (UTC)", "outcome", "rows read", "flagged", title="Last runs"
    )
    for manifest in store.runs().tail(5).iter_rows(named=True):
        counts = json.loads(manifest["counts"])
        table.add_row(
            manifest["run_id"],
            f"{manifest['as_of']}",
            f"{manifest['finished_at']:%Y-%m-%d %H:%M}",
            manifest["outcome"],
            f"{counts['rows_read_now']:,}",
            f"{counts.get('men_flagged', '-')}",
        )
    return table


def _rows(store: Store, published: dict[str, Any]) -> Table:
    files = store.table("files", published)
    feed_name = Column("feed", overflow="fold")  # eighty letters are narrow, and a name is copied
    table = Table(
        feed_name, "table", "files", "accepted", "not accepted", "newest event", title="Rows"
    )
    for feed, target in files.select("feed", "target").unique().sort("feed", "target").rows():
        of_feed = files.filter((pl.col("feed") == feed) & (pl.col("target") == target))
        accepted, read = int(of_feed["accepted"].sum()), int(of_feed["rows_read"].sum())
        table.add_row(
            feed,
            target,
            f"{len(of_feed)}",
            f"{accepted:,}",
            f"{read - accepted:,}",
            _newest(store.table(target, published), of_feed, target),
        )
    return table


def _newest(rows: pl.DataFrame, files: pl.DataFrame, target: str) -> str:
    if target not in EVENT_DATE:
        return "-"
    days = rows.filter(pl.col("source_file").is_in(files["source_file"].to_list()))[
        EVENT_DATE[target]
    ]
    return f"{days.sort().to_list()[-1]}" if len(days) else "-"


def print_limit_in_use(store: Store, published: dict[str, Any], settings: Settings) -> None:
    """Show the limit that flags are judged by, and since when."""
    adopted = store.table("limits", published)
    in_use = limit_in_use(adopted, settings.flag, as_of=published["as_of"])
    since = (
        f", since {adopted['adopted_on'].to_list()[-1]}: {adopted['reason'].to_list()[-1]}"
        if in_use.source == "fitted"
        else ""
    )
    out.print(f"Limit in use: {in_use.lower_limit_pg_ml:.1f} pg/mL ({in_use.source}{since}).")


def print_limits(store: Store, published: dict[str, Any], settings: Settings) -> None:
    """Show the fitted limits beside the one in use."""
    print_limit_in_use(store, published, settings)
    table = Table(
        "site", "lower limit, pg/mL (95 %)", "supported", "verdict", "why not", title="Fitted"
    )
    summary = store.table("curve_summary", published)
    for row in by_site(summary.filter(pl.col("outcome") == CHANGE)).iter_rows(named=True):
        found = row["lower_limit_pg_ml"] is not None
        table.add_row(
            row["site"],
            with_interval(row, "lower") if found else "none",
            "yes" if row["supported"] else "no",
            row["verdict"] or "not fitted",
            row["why_not"] or "",
        )
    out.print(table)
    if len(limit.candidates(summary, settings.fit, settings.flag)):
        out.print("To take the fitted limit into use: e2analytics limits adopt --reason TEXT")
    else:
        out.print(limit.why_no_candidate(settings.fit, settings.flag))
