"""The canonical tables as sheets of one workbook: `schemas/feeds/canonical_excel.yaml`.

Dates are dates and numbers are numbers, as somebody who types them would have it; what is neither
(`<5.0`, a day that no calendar has) stays text. Nothing is lost.
"""

from pathlib import Path

import polars as pl

from e2analytics.simulate.exports.parquet import typed
from e2analytics.simulate.exports.tables import Tables
from e2analytics.spreadsheet import Book


def write(folder: Path, tables: Tables) -> Tables:
    """Write every table; nothing is left."""
    book = Book(folder / "clinic.xlsx")
    for name, table in tables.items():
        sheet = book.add_sheet(name)
        book.write_row(sheet, 0, table.columns)
        rows = zip(_cells(table).iter_rows(), table.iter_rows(), strict=True)
        for number, (cells, texts) in enumerate(rows, start=1):
            values = [
                text if cell is None else cell for cell, text in zip(cells, texts, strict=True)
            ]
            book.write_row(sheet, number, values)
    book.close()
    return {}


def _cells(table: pl.DataFrame) -> pl.DataFrame:
    cells = typed(table)
    if "value" not in cells.columns:
        return cells
    return cells.with_columns(pl.col("value").cast(pl.Float64, strict=False))
