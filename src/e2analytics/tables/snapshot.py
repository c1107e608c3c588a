"""The state between runs: the tables of a published run, and the rows that were not accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from e2analytics.tables.categoricals import to_categories, to_contract_types
from e2analytics.tables.registry import EVENT_DATE, schema_of

_SLICE: Final = 500_000
_NOT_ACCEPTED_COLUMNS: Final = {
    "excluded": pl.String,
    "reject": pl.String,
    "fate": pl.String,
    "why": pl.String,
}


@dataclass(frozen=True)
class Snapshot:
    """The tables of a published run; empty before the first.

    ``not_accepted`` holds the other rows of the canonical tables: superseded and withdrawn versions,
    duplicates, quarantined rows, and rows out of scope.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    not_accepted: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def table(self, name: str) -> pl.DataFrame:
        """Return a table; without rows if there is none yet."""
        return self.tables[name] if name in self.tables else empty_table(name)

    def rows(self, table: str) -> pl.DataFrame:
        """Return every row ever read of a canonical table, accepted or not, without its fate."""
        accepted = self.table(table).with_columns(
            pl.lit(None, dtype=pl.String).alias(name) for name in ("excluded", "reject")
        )
        not_accepted = (
            self.not_accepted[table] if table in self.not_accepted else empty_not_accepted(table)
        )
        return pl.concat(
            [to_categories(accepted), to_categories(not_accepted.drop("fate", "why"))],
            how="diagonal",
        )


class Sliced(Mapping[str, pl.DataFrame]):
    """Tables by name; the canonical ones keep texts as categories and are converted a slice at a time.

    Parameters
    ----------
    rows
        Rows of the canonical tables, texts as categories.
    others
        All other tables, in the types of their contracts.
    """

    def __init__(
        self,
        rows: Mapping[str, pl.DataFrame],
        others: Mapping[str, pl.DataFrame] | None = None,
    ) -> None:
        self._rows = rows
        self._others = others or {}

    def __iter__(self) -> Iterator[str]:
        return iter([*self._rows, *self._others])

    def __len__(self) -> int:
        return len(self._rows) + len(self._others)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self._others[name] if name in self._others else pl.concat(self.slices(name))

    def slices(self, name: str) -> Iterator[pl.DataFrame]:
        """Yield a canonical table's rows in the types of its contract; at least one slice, which may be empty."""
        rows = self._rows[name]
        for start in range(0, max(len(rows), 1), _SLICE):
            yield to_contract_types(rows.slice(start, _SLICE), name)

    def categorical(self, name: str) -> pl.DataFrame:
        """Return the rows of a canonical table with texts as categories."""
        return self._rows[name]


def slices(tables: Mapping[str, pl.DataFrame], name: str) -> Iterator[pl.DataFrame]:
    """Yield a table slice by slice; whole if it is not ``Sliced``."""
    if isinstance(tables, Sliced):
        yield from tables.slices(name)
    else:
        yield tables[name]


def categorical_rows(tables: Mapping[str, pl.DataFrame], name: str) -> pl.DataFrame:
    """Return a table with texts as categories."""
    return tables.categorical(name) if isinstance(tables, Sliced) else to_categories(tables[name])


@dataclass(frozen=True)
class Outputs:
    """Everything that a run produced.

    Attributes
    ----------
    tables
        By name, as in ``schemas/contracts/``: the full state after the run, not only what is new.
    not_accepted
        By canonical table: its rows that were not accepted, with ``fate`` and ``why``.
    outcome
        ``complete``, or ``incomplete`` if a file was refused.
    counts, timings
        For the manifest: rows by fate, men, flags; seconds by stage.
    """

    tables: Mapping[str, pl.DataFrame]
    not_accepted: Mapping[str, pl.DataFrame]
    outcome: str
    model_id: str
    counts: Mapping[str, int]
    timings: Mapping[str, float]


def empty_table(name: str) -> pl.DataFrame:
    """Return a table without rows."""
    return pl.DataFrame(schema=schema_of(name))


def empty_not_accepted(table: str) -> pl.DataFrame:
    """Return the columns of a canonical table's not-accepted rows, without rows."""
    return pl.DataFrame(schema={**schema_of(table), **_NOT_ACCEPTED_COLUMNS})


def up_to(tables: Mapping[str, pl.DataFrame], day: date) -> dict[str, pl.DataFrame]:
    """Return the rows of canonical tables dated on or before a day."""
    seen = {
        name: rows.filter(pl.col(EVENT_DATE[name]) <= pl.lit(day)) if name in EVENT_DATE else rows
        for name, rows in tables.items()
    }
    # A stop in the future has not happened.
    stopped = pl.when(pl.col("stopped_on") <= pl.lit(day)).then("stopped_on")
    return seen | {"medications": seen["medications"].with_columns(stopped_on=stopped)}
