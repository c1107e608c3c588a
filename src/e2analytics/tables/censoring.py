"""Results as intervals: ``value_low`` to ``value_high`` holds what a laboratory reported."""

from __future__ import annotations

import polars as pl


def wholly_below(line: float) -> pl.Expr:
    """Tell whether the whole interval of a result lies below ``line``.

    >>> results = pl.DataFrame({"value_low": [0.0, 10.0, 9.9], "value_high": [10.0, 10.0, 9.9]})
    >>> results.select(wholly_below(10.0)).to_series().to_list()
    [True, False, True]
    """
    censored = pl.col("value_low") < pl.col("value_high")
    # "<10" lies below 10, 10 itself does not.
    below = (pl.col("value_high") < line) | ((pl.col("value_high") == line) & censored)
    return below.fill_null(False)
