"""Keeps rows small while they are many: repeated texts as categories, 4 bytes each.

In    rows of a canonical table
Out   the same rows; every text but the row's own id is a category (:func:`compact`), or text again as
      the table's contract says (:func:`plain`)

Ten million laboratory results take 1.5 GB so, and 3 GB as text.
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
"""Codes that are too many to have a place each."""
_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


def compact(rows: _Frame, *, but: Collection[str] = _OWN_IDS) -> _Frame:
    """Return ``rows`` with repeated texts as categories; texts in ``but`` stay as they are."""
    texts = [name for name, dtype in rows.collect_schema().items() if dtype == pl.String]
    return rows.with_columns(pl.col(name).cast(TEXT) for name in texts if name not in but)


def plain(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return ``rows`` in the types of the table's contract; other columns are text again."""
    types = schema_of(table)
    return rows.with_columns(
        pl.col(name).cast(types.get(name, pl.String()))
        for name, dtype in rows.schema.items()
        if dtype == TEXT
    )


class Distinct(NamedTuple):
    """What rows say, each of it once: ``rows``, and ``of`` which of them each row is."""

    rows: pl.DataFrame
    of: pl.Series


def distinct(rows: pl.DataFrame) -> Distinct:
    """Find the different rows of a frame of texts that repeat: what is done for these is done for all.

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
    """Return a number for each text of a column, and below which number they are."""
    numbered = texts if texts.dtype == TEXT else texts.cast(_none_of(texts.name).dtype)
    physical = numbered.to_physical()
    # Polars types the largest of any column alike; of category numbers it is one.
    none = int(physical.max() or 0) + 1  # type: ignore[arg-type]
    return physical.fill_null(none).to_numpy(), none + 1


@cache
def _none_of(column: str) -> pl.Series:
    """Return no texts of a column that has categories of its own: their numbers are small.

    As long as there is a series of them, even an empty one, polars keeps the numbers.
    """
    return pl.Series(dtype=pl.Categorical(pl.Categories(column, namespace="e2analytics")))


def _renumbered(code: npt.NDArray[Any], n: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return codes below ``n`` numbered anew, without gaps, and how many there are."""
    if n > _MANY:
        known, code = np.unique(code, return_inverse=True)
        return code, len(known)
    occurs = np.zeros(n, np.bool_)
    occurs[code] = True
    return (np.cumsum(occurs) - 1)[code], int(np.count_nonzero(occurs))


def keys(rows: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Return a hash of some columns of each row, for comparisons within one process.

    Categories go in by their numbers: as texts they take six times as long. The columns' hashes are put
    together here: of a structure of columns it takes three times as long.
    """
    numbers = [
        pl.col(name).to_physical() if rows.schema[name] == TEXT else pl.col(name) for name in names
    ]
    hashes = [number.hash(seed=place) for place, number in enumerate(numbers)]
    return rows.select(reduce(xor, hashes)).to_series()


def repeated(keys: pl.Series) -> pl.Series:
    """Return the keys that are there more than once, each of them once."""
    # Sorted, as nearly all differ: half the time of a table of them.
    in_order = np.sort(keys.to_numpy())
    return pl.Series(np.unique(in_order[1:][in_order[1:] == in_order[:-1]]), dtype=keys.dtype)
