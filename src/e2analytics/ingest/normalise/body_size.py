"""Reads heights and weights with the unit that is written beside them.

In    a column of text: 180, 180 cm, 1.8 m, 71 in, 5'11", 5 ft 11 in; 82, 82 kg, 180 lb
Out   the number in cm or kg; null where a text is none of these
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.feeds.parsing import finite, number

CM_IN_INCH: Final = 2.54  # exact, by definition of the inch
KG_IN_POUND: Final = 0.45359237  # exact, by definition of the avoirdupois pound

_N = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_INCH = "(?:in|inch|inches|\"|″|”|'')"
_FOOT = "(?:ft|foot|feet|'|′|’)"


def height_cm(column: str) -> pl.Expr:
    """Return a height in cm."""
    text = _text(column)
    feet = text.str.extract_groups(rf"^{_N} ?{_FOOT}(?: ?{_N} ?{_INCH}?)?$").struct
    whole, rest = _number(feet.field("1")), _number(feet.field("2")).fill_null(0)
    return finite(
        pl.coalesce(
            number(column),
            _in(text, "cm", 1),
            _in(text, "m", 100),
            _in(text, _INCH, CM_IN_INCH),
            pl.when(rest < 12).then((whole * 12 + rest) * CM_IN_INCH),
        )
    )


def weight_kg(column: str) -> pl.Expr:
    """Return a weight in kg."""
    text = _text(column)
    return finite(
        pl.coalesce(
            number(column),
            _in(text, "kgs?", 1),
            _in(text, "(?:lbs?|pounds?)", KG_IN_POUND),
        )
    )


def _text(column: str) -> pl.Expr:
    return pl.col(column).str.to_lowercase().str.strip_chars().str.replace_all(r"\s+", " ")


def _in(text: pl.Expr, unit: str, factor: float) -> pl.Expr:
    return _number(text.str.extract(rf"^{_N} ?{unit}\.?$", 1)) * factor


def _number(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)
