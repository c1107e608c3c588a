"""Text that a spreadsheet must not take for a formula (OWASP, CSV injection)."""

from __future__ import annotations

from typing import Final

import polars as pl

_FORMULA: Final = r"^(['=+\-@\t\r\n＝＋－＠])"


def harmless(text: pl.Expr) -> pl.Expr:
    """Put an apostrophe before what opens a formula, and before an apostrophe, so that it can be undone.

    Examples
    --------
    >>> cells = pl.DataFrame({"cell": ["=1+1", "@a", "'", "12 mg"]})
    >>> cells.select(harmless(pl.col("cell")))["cell"].to_list()
    ["'=1+1", "'@a", "''", '12 mg']
    """
    return text.str.replace(_FORMULA, "'$1")
