"""The tables of a published run, read from the store when they are asked for: of all men, or of some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from e2analytics.store.history import StoredTable
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.registry import CANONICAL, OF_MEN, OF_THE_DAY, order_of
from e2analytics.tables.snapshot import Query, Tables, is_of

if TYPE_CHECKING:
    from e2analytics.store.store import Store

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


class StoredTables(Tables):
    """Tables of published runs, each read when it is asked for, and then kept.

    Parameters
    ----------
    store
        The store.
    of_each
        By name: where the table is stored, and the as-of day of its run.
    folder
        Of the tables in the store, with its slash.
    men
        Whose rows are read; None: of all.
    runs
        The manifests, where they are among the tables.
    """

    def __init__(
        self,
        store: Store,
        of_each: Mapping[str, tuple[StoredTable, date]],
        *,
        folder: str = "",
        men: pl.Series | None = None,
        runs: pl.DataFrame | None = None,
    ) -> None:
        super().__init__({} if runs is None else {"runs": runs})
        self._store = store
        self._of_each = of_each
        self._folder = folder
        self._men = men
        self._runs = runs
        self._part: StoredTables | None = None

    def __iter__(self) -> Iterator[str]:
        return iter({**self._of_each, **self._frames})

    def __len__(self) -> int:
        return len(self._of_each.keys() | self._frames.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._of_each or name in self._frames

    def __getitem__(self, name: str) -> pl.DataFrame:
        if name not in self._frames:
            self._frames[name] = self._collected(name)
        return self._frames[name]

    def ask(self, name: str, query: Query) -> pl.DataFrame:
        """Return what a query finds in a table, of which no more is read than it needs."""
        with self._store.delta.named_errors(name, "read"):
            rows = self._frames[name].lazy() if name in self._frames else self._scan(name)
            return query(rows).collect()

    def of(self, men: pl.Series) -> Tables:
        """Return the tables with the rows of some men, and those that name no patient."""
        # Several steps ask for the same men: what one has read is there for the next.
        if self._part is None or self._part._men is not men:
            self._part = StoredTables(
                self._store, self._of_each, folder=self._folder, men=men, runs=self._runs
            )
        return self._part

    def _collected(self, name: str) -> pl.DataFrame:
        with self._store.delta.named_errors(name, "read"):
            if name in CANONICAL:
                return to_categories(self._scan(name)).collect(engine="streaming")
            return self._scan(name).collect().sort(order_of(name))

    def _scan(self, name: str) -> pl.LazyFrame:
        at, as_of = self._of_each[name]
        men = self._men if name in OF_MEN else None
        rows = dated(self._store.scan(f"{self._folder}{name}", at, men), name, as_of)
        return rows if men is None else rows.filter(is_of(men))


def dated(rows: _Frame, name: str, as_of: date) -> _Frame:
    """Return rows with the day of their run where it was left out."""
    return rows.with_columns(pl.col(day).fill_null(as_of) for day in OF_THE_DAY.get(name, ()))
