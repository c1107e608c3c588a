"""Samples the rows of a drop to be made defective, without replacement, and makes new keys."""

from typing import Final

import numpy as np
import polars as pl

KEYS: Final = {
    "patients.csv": "patient_id",
    "labs.csv": "result_id",
    "dxa.csv": "scan_id",
    "medications.csv": "order_id",
    "events.csv": "event_id",
}
AT_LEAST: Final = 3


class RowSampler:
    """Hands out rows of annotated rows in random order.

    Parameters
    ----------
    rows : dict of str to DataFrame
        Annotated rows by file name.
    rng : numpy.random.Generator
        Shuffles them.
    """

    def __init__(self, rows: dict[str, pl.DataFrame], rng: np.random.Generator) -> None:
        self._rows = {name: rows[name] for name in KEYS}
        # Free rows in the order in which they are handed out; the rows themselves are never copied.
        self._free = {name: rng.permutation(len(rows[name])) for name in KEYS}
        self._next_number = {name: 10 * len(rows[name]) + 1 for name in KEYS}

    def share(self, name: str, share: float, only: pl.Expr | None = None) -> pl.DataFrame:
        """Take a share of a file's rows, at least `AT_LEAST`, among those that `only` allows."""
        return self.take(name, max(AT_LEAST, round(share * len(self._rows[name]))), only)

    def take(self, name: str, n: int, only: pl.Expr | None = None) -> pl.DataFrame:
        """Take up to `n` rows of a file, among those that `only` allows."""
        of_file, free = self._rows[name], self._free[name]
        allowed = np.ones(len(free), bool)
        if only is not None:
            allowed = of_file.select(only.fill_null(False)).to_series().to_numpy()[free]
        chosen = np.flatnonzero(allowed)[:n]
        self._free[name] = np.delete(free, chosen)
        return of_file[free[chosen]]

    def keys(self, name: str, n: int) -> pl.Series:
        """Return `n` new keys that look like the file's own."""
        style = self._rows[name][KEYS[name]][0]
        first = self._next_number[name]
        self._next_number[name] += n
        return pl.Series(
            KEYS[name], [f"{style[0]}{i:0{len(style) - 1}d}" for i in range(first, first + n)]
        )
