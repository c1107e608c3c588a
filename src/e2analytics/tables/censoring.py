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


def wholly_above(line: float) -> pl.Expr:
    """Tell whether the whole interval of a result lies above ``line``.

    >>> results = pl.DataFrame({"value_low": [54.0, 54.0, 54.1, 0.0], "value_high": [None, 54.0, 54.1, 60.0]})
    >>> results.select(wholly_above(54.0)).to_series().to_list()
    [True, False, True, False]
    """
    censored = pl.col("value_low").eq_missing(pl.col("value_high")).not_()
    # ">54" lies above 54, 54 itself does not.
    above = (pl.col("value_low") > line) | ((pl.col("value_low") == line) & censored)
    return above.fill_null(False)


def point_value() -> pl.Expr:
    """Return one number for each result; "<5" stands at ``5 / sqrt(2)``, an open end is null.

    >>> results = pl.DataFrame({"value_low": [0.0, 20.0, 60.0], "value_high": [5.0, 20.0, None]})
    >>> results.select(point_value().round(2)).to_series().to_list()
    [3.54, 20.0, None]
    """
    low, high = pl.col("value_low"), pl.col("value_high")
    return pl.when(low == 0).then(high / 2**0.5).otherwise((low * high).sqrt())
