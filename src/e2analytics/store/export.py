"""Writes a table to one file: CSV, Parquet or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

import polars as pl

from e2analytics.errors import UnreadableError

Format = Literal["csv", "parquet", "json"]


def write_table(frame: pl.DataFrame, file: Path, format: Format) -> None:
    """Write ``frame`` to ``file``.

    Raises
    ------
    UnreadableError
        If the file cannot be written.
    """
    try:
        match format:
            case "csv":
                frame.write_csv(file)
            case "parquet":
                frame.write_parquet(file)
            case "json":
                frame.write_json(file)
            case _:
                assert_never(format)
    except OSError as error:
        raise UnreadableError(
            f"{file} cannot be written ({error.strerror or 'no such folder'})."
        ) from None
