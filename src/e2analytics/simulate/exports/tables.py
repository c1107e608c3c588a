"""The tables of a canonical drop as text, and how suppliers write dates."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

Tables = Mapping[str, pl.DataFrame]
"""Text rows by table: `patients`, `labs`, `dxa`, `medications`, `events`, `precision`."""


def read_drop(drop: Path) -> dict[str, pl.DataFrame]:
    """Return the tables of a canonical drop in the order of their lines."""
    files = sorted(drop.glob("*.csv"))
    return {file.stem: pl.read_csv(file, infer_schema=False) for file in files}


def write_canonical(folder: Path, tables: Tables) -> None:
    """Write tables as canonical CSV."""
    for name, table in tables.items():
        table.write_csv(folder / f"{name}.csv")


def others(tables: Tables, *carried: str) -> dict[str, pl.DataFrame]:
    """Return the tables that a format does not carry."""
    return {name: table for name, table in tables.items() if name not in carried}


def dated(name: str, day: str) -> pl.Expr:
    """Return a column of ISO dates or times rewritten, days that no calendar has as well.

    >>> given = pl.DataFrame({"at": ["2025-02-30T08:30:00", "2025-03-01", None]})
    >>> given.select(dated("at", "${month}/${day}/${year}")).to_series().to_list()
    ['02/30/2025 08:30', '03/01/2025', None]
    """
    written = r"^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?:T(?<time>\d{2}:\d{2}):\d{2})?$"
    return pl.col(name).str.replace(written, f"{day} ${{time}}").str.strip_chars_end()


US_DAY = "${month}/${day}/${year}"


def with_people(rows: pl.DataFrame, tables: Tables, *columns: str) -> pl.DataFrame:
    """Add what the first line of each patient says of him; empty for somebody who has none."""
    people = tables["patients"].unique("patient_id", keep="first", maintain_order=True)
    return rows.join(
        people.select("patient_id", *columns),
        on="patient_id",
        how="left",
        maintain_order="left",
        validate="m:1",
    )


def result_code() -> pl.Expr:
    """Return the laboratory's own code of a result: its LOINC without the hyphen, or a local one."""
    own = pl.col("loinc").str.replace("-", "", literal=True)
    return pl.coalesce(own, pl.lit("LOCAL17"))
