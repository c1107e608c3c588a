"""What ``--preview`` prints: whose status or tier would change."""

from __future__ import annotations

import polars as pl
from rich.table import Table

from e2analytics.cli.terminal import out
from e2analytics.run.job import Preview


def print_preview(preview: Preview) -> None:
    """Show whose status or tier would change, and from what to what; nothing was published."""
    compared = preview.was.select("patient_id", "status", "tier").join(
        preview.would_be.select("patient_id", "status", "tier"), on="patient_id", suffix="_then"
    )
    changed = compared.filter(
        (pl.col("status") != pl.col("status_then")) | (pl.col("tier") != pl.col("tier_then"))
    )
    limits = [
        f"{frame['lower_limit_pg_ml'][0]:.1f}" if len(frame) else "none"
        for frame in (preview.was, preview.would_be)
    ]
    out.print(
        f"Preview, nothing was published. Limit {limits[0]} pg/mL, then {limits[1]}. Of "
        f"{len(compared):,} men on an aromatase inhibitor {len(changed):,} would change."
    )
    if changed.is_empty():
        return
    table = Table("status, tier now", "then", "men", "who (pseudonyms)", title="Would change")
    groups = changed.group_by("status", "tier", "status_then", "tier_then").agg(
        pl.col("patient_id").sort()
    )
    for status, tier, status_then, tier_then, men in groups.sort(groups.columns[:4]).rows():
        table.add_row(
            f"{status}, {tier}", f"{status_then}, {tier_then}", f"{len(men)}", "\n".join(men)
        )
    out.print(table)
