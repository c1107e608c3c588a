"""What ``status`` prints: the last runs, the rows of every table, the limit in use and the open flags."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from rich.table import Column, Table

from e2analytics.cli.limits_view import print_limit_in_use
from e2analytics.cli.terminal import out, printable
from e2analytics.cli.wording import news, tiers
from e2analytics.ingest.source_file import NO_FEED
from e2analytics.settings import Settings
from e2analytics.store.store import Store
from e2analytics.tables.registry import EVENT_DATE


def print_status(store: Store, published: dict[str, Any], settings: Settings) -> None:
    """Show the last runs, the rows of every table, the limit in use and the open flags."""
    out.print(_runs(store))
    out.print(_rows(store, published))
    _print_files_not_read(store, published)
    print_limit_in_use(store, published, settings)
    out.print(f"Flagged men: {tiers(store.table('flags', published))}.")
    _print_news(store, published)


def _print_news(store: Store, published: dict[str, Any]) -> None:
    """Say what the newest run that judged men changed."""
    judged = store.runs().filter(pl.col("part") != "ingest")
    if len(judged):
        newest = judged.row(-1, named=True)
        changed = news(store.table("flag_events", published), newest["run_id"])
        out.print(f"New in {newest['run_id']} as of {newest['as_of']}: {changed}.")


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


def _print_files_not_read(store: Store, published: dict[str, Any]) -> None:
    open_ = store.table("quarantine", published).filter(
        (pl.col("state") == "open") & pl.col("source_line").is_null()
    )
    for row in open_.sort("source_file").iter_rows(named=True):
        out.print(f"Not read: {row['source_file']} ({row['rule']}). {printable(row['advice'])}")


def _rows(store: Store, published: dict[str, Any]) -> Table:
    files = store.table("files", published).filter(pl.col("feed") != NO_FEED)
    feed_name = Column("feed", overflow="fold")  # eighty letters are narrow, and a name is copied
    listing = Table(
        feed_name, "table", "files", "accepted", "not accepted", "newest event", title="Rows"
    )
    for feed, table in files.select("feed", "table").unique().sort("feed", "table").rows():
        of_feed = files.filter((pl.col("feed") == feed) & (pl.col("table") == table))
        accepted, read = int(of_feed["accepted"].sum()), int(of_feed["rows_read"].sum())
        listing.add_row(
            feed,
            table,
            f"{len(of_feed)}",
            f"{accepted:,}",
            f"{read - accepted:,}",
            _newest(store.table(table, published), of_feed, table),
        )
    return listing


def _newest(rows: pl.DataFrame, files: pl.DataFrame, table: str) -> str:
    if table not in EVENT_DATE:
        return "-"
    days = rows.filter(pl.col("source_file").is_in(files["source_file"].to_list()))[
        EVENT_DATE[table]
    ]
    return f"{days.sort().to_list()[-1]}" if len(days) else "-"
