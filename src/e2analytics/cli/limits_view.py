"""What ``limits`` prints: the limit that flags are judged by, the fitted ones and the upper end of the sweet spot."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich.table import Table

from e2analytics.cli.terminal import out
from e2analytics.cli.wording import by_site, with_interval
from e2analytics.curve import limit
from e2analytics.curve.range_of_e2 import upper_end
from e2analytics.curve.rows import CHANGE
from e2analytics.report.sections.sweet_spot import upper_in_words
from e2analytics.settings import Settings
from e2analytics.store.store import Store
from e2analytics.tables.limit_in_use import limit_in_use


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
    """Show the fitted limits, the one in use and the upper end of the sweet spot."""
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
    upper = upper_in_words(upper_end(summary, settings.flag))
    out.print(f"Upper end of the sweet spot, information on which no flag rests: {upper}")
    site = settings.fit.primary_site
    name = site.replace("_", " ")
    objection = limit.objection_to(summary, site, settings.flag)
    out.print(
        f"No limit is proposed: of the {name} curve, {objection}."
        if objection
        else f"The limit of the {name} curve is proposed. See whose status it changes: e2analytics limits adopt "
        "--preview. To take it into use: e2analytics limits adopt --reason TEXT"
    )
