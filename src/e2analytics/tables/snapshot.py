"""The state between runs: the tables of a published run, and the rows that were not accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, TypeAlias

import polars as pl

from e2analytics.tables.categoricals import to_categories, to_contract_types
from e2analytics.tables.registry import EVENT_DATE, OF_MEN, OF_THE_DAY, order_of, schema_of
from e2analytics.tables.state import State

Query: TypeAlias = Callable[[pl.LazyFrame], pl.LazyFrame]
_SLICE: Final = 500_000
_NOT_ACCEPTED_COLUMNS: Final = {
    "excluded": pl.String,
    "reject": pl.String,
    "fate": pl.String,
    "why": pl.String,
}


class Tables(Mapping[str, pl.DataFrame]):
    """Tables by name, of all men or of some; here in memory."""

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self._frames = dict(frames)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self._frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def ask(self, name: str, query: Query) -> pl.DataFrame:
        """Return what a query finds in a table, of which no more is read than it needs."""
        return query(self[name].lazy()).collect()

    def of(self, men: pl.Series) -> Tables:
        """Return the tables with the rows of some men, and those that name no patient."""
        return Tables({name: of_men(name, frame, men) for name, frame in self.items()})


def of_men(name: str, rows: pl.DataFrame, men: pl.Series) -> pl.DataFrame:
    """Return the rows of some men, and those that name no patient; all rows of a table that is about many."""
    return rows.filter(is_of(men)) if name in OF_MEN else rows


def is_of(men: pl.Series) -> pl.Expr:
    """Return which rows are of some men, or name no patient."""
    named = pl.col("patient_id").cast(pl.String)
    return named.is_in(men.implode()).fill_null(True)


@dataclass(frozen=True)
class Snapshot:
    """The tables of a published run; empty before the first.

    ``not_accepted`` holds the other rows of the canonical tables: superseded and withdrawn versions,
    duplicates, quarantined rows, and rows out of scope. ``state`` is None where the next run must compute all anew.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    not_accepted: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    state: State | None = None

    def of(self, men: pl.Series | None) -> Snapshot:
        """Return what is known of some men, and of nobody in particular; None: of all."""
        if men is None:
            return self
        tables, not_accepted = (
            _as_tables(frames).of(men) for frames in (self.tables, self.not_accepted)
        )
        return replace(self, tables=tables, not_accepted=not_accepted)

    def table(self, name: str) -> pl.DataFrame:
        """Return a table; without rows if there is none yet."""
        return self.tables[name] if name in self.tables else empty_table(name)

    def rows(self, table: str) -> pl.DataFrame:
        """Return every row ever read of a canonical table, with the fate that it had."""
        accepted = self.table(table).with_columns(
            *(pl.lit(None, dtype=pl.String).alias(name) for name in ("excluded", "reject", "why")),
            fate=pl.lit("accepted"),
        )
        not_accepted = (
            self.not_accepted[table] if table in self.not_accepted else empty_not_accepted(table)
        )
        return pl.concat([to_categories(accepted), to_categories(not_accepted)], how="diagonal")

    def rows_where(self, table: str, columns: Sequence[str], which: pl.Expr) -> pl.DataFrame:
        """Return some columns, as text, of every row ever read of a canonical table for which ``which`` holds.

        ``which`` may ask for ``fate`` and ``why``, which are among the columns.
        """

        def accepted(rows: pl.LazyFrame) -> pl.LazyFrame:
            nothing = pl.lit(None, dtype=pl.String)
            return others(rows.with_columns(fate=pl.lit("accepted"), why=nothing))

        def others(rows: pl.LazyFrame) -> pl.LazyFrame:
            named = rows.select(*columns, "fate", "why")
            return named.with_columns(pl.selectors.categorical().cast(pl.String)).filter(which)

        found = [others(empty_not_accepted(table).lazy()).collect()]
        for tables, query in ((self.tables, accepted), (self.not_accepted, others)):
            if table in tables:
                found.append(_as_tables(tables).ask(table, query))
        return pl.concat(found)


def _as_tables(tables: Mapping[str, pl.DataFrame]) -> Tables:
    return tables if isinstance(tables, Tables) else Tables(tables)


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
        By name, as in ``schemas/contracts/``. Of tables about many all rows; of tables with rows of men those of
        ``men``.
    not_accepted
        By canonical table: their rows that were not accepted, with ``fate`` and ``why``.
    outcome
        ``complete``, or ``incomplete`` if a file was refused.
    counts, timings
        For the manifest: rows by fate, men, flags; seconds by stage.
    men
        Whose rows the tables hold, with those of nobody; None: of all men.
    state
        For the next run; None: it must compute all anew.
    """

    tables: Mapping[str, pl.DataFrame]
    not_accepted: Mapping[str, pl.DataFrame]
    outcome: str
    model_id: str
    counts: Mapping[str, int]
    timings: Mapping[str, float]
    men: pl.Series | None = None
    state: State | None = None

    def after(self, before: Snapshot) -> Outputs:
        """Return the outputs of all men: those of ``men`` in place of what was known of them before."""
        if self.men is None or self.state is None or before.state is None:
            return self
        days = before.state.as_of, self.state.as_of
        return replace(
            self,
            men=None,
            tables=_with_others(self.tables, before.tables, self.men, *days),
            not_accepted=_with_others(self.not_accepted, before.not_accepted, self.men, *days),
        )


def _with_others(
    now: Mapping[str, pl.DataFrame],
    before: Mapping[str, pl.DataFrame],
    men: pl.Series,
    then: date,
    today: date,
) -> dict[str, pl.DataFrame]:
    together = dict(now)
    for name in now.keys() & before.keys() & OF_MEN:
        of_the_day = [
            pl.when(pl.col(day) == then).then(pl.lit(today)).otherwise(day).alias(day)
            for day in OF_THE_DAY.get(name, ())
        ]
        others = to_contract_types(before[name], name).filter(~is_of(men)).with_columns(of_the_day)
        together[name] = pl.concat([others.select(now[name].columns), now[name]]).sort(
            order_of(name)
        )
    return together


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
