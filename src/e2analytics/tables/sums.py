"""Sums: everything that crosses men, as counts that can be added up and taken away.

In    counts of some men's rows
Out   ``Sums``, of each name of ``SUMS`` a frame: one row a key, its counts exact integers

Rates, grades, losses and what is known of clinics are made from these and from nothing else. So the sums of all men
are those of any parts of them added up, and the sums of today are those of before, less the old rows of the men whose
rows changed, plus their new ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

import polars as pl

PolarsType: TypeAlias = pl.DataType | type[pl.DataType]


class Counted(NamedTuple):
    """The columns of a sum: the key with its types, and what is counted of each key, Int64."""

    key: Mapping[str, PolarsType]
    counts: tuple[str, ...] = ("n",)

    @property
    def schema(self) -> dict[str, PolarsType]:
        """Columns with their types."""
        return {**self.key, **dict.fromkeys(self.counts, pl.Int64)}


SUMS: Final[Mapping[str, Counted]] = {
    # Rows ever read, by their fate and its reason. The rows of a file are the sum of its fates.
    "row_fates": Counted(
        {"source_file": pl.String, "table": pl.String, "fate": pl.String, "why": pl.String}
    ),
    # Rows that stand or wait, by the day on which they happened (null: impossible, or the table has none), and how
    # many are complete, accepted, plausible; of a day that their supplier sent, which can be compared with others.
    "row_quality": Counted(
        {"table": pl.String, "source_file": pl.String, "day": pl.Date},
        ("n_rows", "complete", "accepted", "plausible", "dated"),
    ),
    # Laboratory results by whole minutes from draw to report and month of the draw (``tables.months``).
    "report_delays": Counted({"feed": pl.String, "month": pl.Int32, "minutes": pl.Int64}),
    # Rows that clinics sent, by their source (``tables.clinics``) and day. One row counts for several sources.
    "clinic_rows": Counted({"clinic_id": pl.String, "source": pl.String, "on": pl.Date}),
    # Scans by the maker that they name (null: none).
    "scanner_makers": Counted(
        {"clinic_id": pl.String, "scanner_id": pl.String, "manufacturer": pl.String}
    ),
    # Units of quality measures that were due in a month.
    "unit_counts": Counted(
        {"month_end": pl.Date, "clinic_id": pl.String, "measure": pl.String},
        ("numerator", "denominator", "n_excepted", "n_reported_separately"),
    ),
    # Men, pairs, levels and draws on their way to the models (``run.tallies``).
    "tallies": Counted({"unit": pl.String, "step": pl.String, "reason": pl.String}),
}
"""By name: the grain of each sum and what it counts."""


class Sums(Mapping[str, pl.DataFrame]):
    """Every sum of ``SUMS`` by name: sorted by key, each key once, none whose counts are all 0.

    Parameters
    ----------
    counted
        By name: frames with the columns of their sum at least, in which a key may occur more than once. A sum
        that is not there is without rows.
    """

    def __init__(self, counted: Mapping[str, pl.DataFrame]) -> None:
        if unknown := sorted(counted.keys() - SUMS.keys()):
            raise KeyError(f"there is no sum {', '.join(unknown)}")
        self._frames = {name: added_up(name, counted.get(name)) for name in SUMS}

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


def none() -> Sums:
    """Return the sums of nobody."""
    return Sums({})


def plus(a: Sums, b: Sums) -> Sums:
    """Return the sums of two parts, together."""
    return Sums({name: pl.concat([a[name], b[name]]) for name in SUMS})


def minus(a: Sums, b: Sums) -> Sums:
    """Return the sums of a whole without those of a part."""
    return Sums(
        {
            name: pl.concat([a[name], b[name].with_columns(-pl.col(counted.counts))])
            for name, counted in SUMS.items()
        }
    )


def added_up(name: str, rows: pl.DataFrame | None) -> pl.DataFrame:
    """Return a sum in its one form: its columns, sorted by key, each key once, none whose counts are all 0.

    Parameters
    ----------
    name
        Of ``SUMS``.
    rows
        Counts in which a key may occur more than once; None counts nothing.
    """
    key, counts = list(SUMS[name].key), list(SUMS[name].counts)
    if rows is None:
        return pl.DataFrame(schema=SUMS[name].schema)
    return (
        rows.lazy()
        .select(pl.col(column).cast(dtype) for column, dtype in SUMS[name].schema.items())
        .group_by(key)
        .agg(pl.col(counts).sum())
        .filter(pl.any_horizontal(pl.col(counts) != 0))
        .sort(key)
        .collect()
    )
