"""Stores repeated texts as categories, 4 bytes each, to keep large tables small in memory.

In    rows of a canonical table
Out   the same rows with categories for all texts but the row's own id (:func:`to_categories`), or in
      the types of the table's contract again (:func:`to_contract_types`)

Ten million laboratory results take 1.5 GB this way, and 3 GB as text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache, reduce
from operator import xor
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from e2analytics.tables.registry import schema_of

TEXT: Final = pl.Categorical(pl.Categories("e2analytics"))
_OWN_IDS: Final = frozenset({"result_id", "scan_id", "order_id", "event_id"})


_MANY: Final = 1 << 20
"""Above this number of codes, an array with a place for each code would be too large."""
_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


def to_categories(rows: _Frame, *, keep: Collection[str] = _OWN_IDS) -> _Frame:
    """Return ``rows`` with texts as categories; the columns in ``keep`` stay text."""
    texts = [name for name, dtype in rows.collect_schema().items() if dtype == pl.String]
    return rows.with_columns(pl.col(name).cast(TEXT) for name in texts if name not in keep)


def to_contract_types(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return ``rows`` in the types of the table's contract; its other categories become text."""
    types = schema_of(table)
    return rows.with_columns(
        pl.col(name).cast(types.get(name, pl.String()))
        for name, dtype in rows.schema.items()
        if dtype == TEXT
    )


class Distinct(NamedTuple):
    """The distinct rows of a frame, and for each of its rows the position in ``rows``: ``of``."""

    rows: pl.DataFrame
    of: pl.Series


def distinct(rows: pl.DataFrame) -> Distinct:
    """Find the distinct rows of a frame, so that work on them serves all rows.

    >>> kinds = distinct(pl.DataFrame({"test": ["E2", "T", "E2"], "unit": ["pg/mL", None, "pg/mL"]}))
    >>> kinds.of.to_list(), len(kinds.rows)
    ([0, 1, 0], 2)
    """
    code, n = np.zeros(len(rows), np.int64), 1
    for column in rows:
        own, n_own = _numbered(column)
        if n * n_own > _MANY:
            own, n_own = _renumbered(own, n_own)
        if n * n_own > _MANY:
            code, n = _renumbered(code, n)
        code, n = code * n_own + own, n * n_own
    code, n = _renumbered(code, n)
    example = np.empty(n, np.int64)
    example[code] = np.arange(len(rows))
    return Distinct(rows[example], pl.Series(code))


def _numbered(texts: pl.Series) -> tuple[npt.NDArray[Any], int]:
    """Return a code for each text of a column, and an upper bound that all codes lie below."""
    numbered = texts if texts.dtype == TEXT else texts.cast(_none_of(texts.name).dtype)
    physical = numbered.to_physical()
    # Polars types the maximum of every column alike; that of category numbers is a number.
    none = int(physical.max() or 0) + 1  # type: ignore[arg-type]
    return physical.fill_null(none).to_numpy(), none + 1


@cache
def _none_of(column: str) -> pl.Series:
    """Return an empty column with categories of its own, so that their numbers are small.

    Polars keeps the numbers of categories as long as a series of them exists, even an empty one.
    """
    return pl.Series(dtype=pl.Categorical(pl.Categories(column, namespace="e2analytics")))


def _renumbered(code: npt.NDArray[Any], n: int) -> tuple[npt.NDArray[np.int64], int]:
    """Renumber codes below ``n`` without gaps; return them and their number."""
    if n > _MANY:
        known, code = np.unique(code, return_inverse=True)
        return code, len(known)
    occurs = np.zeros(n, np.bool_)
    occurs[code] = True
    return (np.cumsum(occurs) - 1)[code], int(np.count_nonzero(occurs))


def keys(rows: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Return a hash of some columns of each row, for comparisons within one process.

    Categories are hashed by their numbers: as texts they take six times as long. The hashes of columns are
    combined here: polars' hash of a struct takes three times as long.
    """
    numbers = [
        pl.col(name).to_physical() if rows.schema[name] == TEXT else pl.col(name) for name in names
    ]
    hashes = [number.hash(seed=place) for place, number in enumerate(numbers)]
    return rows.select(reduce(xor, hashes)).to_series()


def repeated(keys: pl.Series) -> pl.Series:
    """Return the distinct repeated keys."""
    # Nearly all keys differ: sorting takes half the time of counting them.
    in_order = np.sort(keys.to_numpy())
    return pl.Series(np.unique(in_order[1:][in_order[1:] == in_order[:-1]]), dtype=keys.dtype)
