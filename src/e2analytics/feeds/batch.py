"""A batch, which every reader yields: some rows of one record of a file, as text."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class Batch(NamedTuple):
    """Some rows of a file, in the file's order.

    Attributes
    ----------
    record
        Sheet of a workbook, kind of segment or resource; empty for a plain table.
    rows
        Every column text, empty fields null; ``source_line`` (from 1), ``short_line``, and
        ``source_part`` where one line or resource holds several rows.
    """

    record: str
    rows: pl.DataFrame
