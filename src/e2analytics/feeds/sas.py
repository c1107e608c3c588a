"""Reads SAS transport files (XPORT, version 5).

In    a file of one table, read in batches
Out   every column as text, missing null, whole numbers without a decimal point, dates and times of a SAS
      format as ISO 8601, and ``source_line``: the number of the observation, counted like the lines of a
      text file whose header is line 1
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import numpy as np
import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.columns import named
from e2analytics.feeds.excel_formats import as_shown
from e2analytics.feeds.reader import Beginning, FormatOptions

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 50_000
"""Observations that are read at once."""

_RECORD: Final = 80
_HEADER_OF_ANY_VERSION: Final = b"HEADER RECORD*******"
_HEADER: Final = _HEADER_OF_ANY_VERSION + b"LIBRARY HEADER RECORD!!!!!!!"
# pandas returns the zeros of XPORT as 5.4e-79, the smallest number of IBM's format.
_IBM_ZERO: Final = 1e-70
_FIRST_DAY: Final = np.datetime64("1960-01-01")
# By the beginning of the format's name, the longer one first: DATETIME is no DATE.
_UNITS: Final = {
    **dict.fromkeys(("DATETIME", "DATEAMPM", "MDYAMPM", "E8601DT", "B8601DT", "DTDATE"), "s"),
    **dict.fromkeys(("DATE", "MMDDYY", "DDMMYY", "YYMMDD", "E8601DA", "B8601DA", "WORDDAT", "WEEKDAT"), "D"),
}  # fmt: skip
_LONGEST_AGO_DAYS: Final = 200_000
"""SAS has dates from 1582; a number further from 1960 than five centuries is none."""


class Options(FormatOptions, frozen=True):
    """SAS transport has no options."""

    kind: Literal["sas"] = "sas"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the observations of a file, some at a time.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    with _opened(path) as file:
        try:
            reader = _reader(file)
            names = named(map(str, reader.columns))
            units = [_unit(field) or _format(field) for field in reader.fields]
            reader.nobs = _observations(file, reader)
            if not reader.nobs:
                yield Batch("", _rows(None, names, units, 0))
            for start in range(0, reader.nobs, BATCH_ROWS):
                yield Batch("", _rows(reader.read(BATCH_ROWS), names, units, start))
        except RefusedFileError:
            raise
        except Exception:
            # Not chained: the reader's message may quote a value.
            raise RefusedFileError("not_sas_transport", "its records cannot be read") from None


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of a file; none where they are unknown."""
    try:
        with _opened(path) as file:
            return {"": named(map(str, _reader(file).columns))}
    except Exception:
        return {}


def labels(path: Path) -> dict[str, str]:
    """Return what the file says of its columns: name -> label; none where that is unknown."""
    try:
        with _opened(path) as file:
            fields = _reader(file).fields
            names = named(field["name"].decode() for field in fields)
            written = (field["label"].decode("utf-8", "replace").strip() for field in fields)
            return {name: label for name, label in zip(names, written, strict=True) if label}
    except Exception:
        return {}


def looks_like(beginning: Beginning) -> bool:
    """Return whether a file begins like a SAS transport file of any version."""
    return beginning.content.startswith(_HEADER_OF_ANY_VERSION)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError:
        # Not chained: the name of the file may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be read") from None
    with file:
        beginning = file.read(len(_HEADER))
        if not beginning.strip():
            raise RefusedFileError("empty_file", "it holds nothing")
        if beginning != _HEADER:
            raise RefusedFileError(
                "not_sas_transport", "it does not begin like a SAS transport file"
            )
        if file.seek(0, SEEK_END) % _RECORD:
            raise RefusedFileError("truncated_file", "it does not end on a record of 80 bytes")
        file.seek(0)
        yield file


def _reader(file: BinaryIO) -> Any:
    import pandas as pd  # imported here: it takes a second, which only SAS files need

    # Any: the type stubs do not know what a reader of XPORT knows of its file.
    return pd.read_sas(file, format="xport", encoding="utf-8", iterator=True)


def _observations(file: BinaryIO, reader: Any) -> int:
    """Return how many observations a file has; blanks fill its last record.

    pandas takes empty texts at the end of the last observations for such blanks, and loses them.
    """
    length = reader.record_length
    n = (file.seek(0, SEEK_END) - reader.record_start) // length
    for _ in range((_RECORD - 1) // length):
        file.seek(reader.record_start + (n - 1) * length)
        if n and not file.read(length).strip(b" "):
            n -= 1
    file.seek(reader.record_start)
    return int(n)


def _unit(field: dict[str, Any]) -> str | None:
    """Return whether a column's numbers are days (``D``) or seconds (``s``) since 1960, by its format."""
    shown = field["nform"].decode("ascii", "replace").upper()
    units = (unit for start, unit in _UNITS.items() if shown.startswith(start))
    return next(units, None) if field["ntype"] == "numeric" else None


def _format(field: dict[str, Any]) -> str | None:
    """Return the spreadsheet's format for what SAS shows: zeros of ``Z7.``, the sign of ``PERCENT8.1``."""
    shown = field["nform"].decode("ascii", "replace").upper()
    if field["ntype"] != "numeric" or shown not in ("Z", "PERCENT", "PERCENTN"):
        return None
    return "0%" if shown != "Z" else "0" * field["nfl"] if field["num_decimals"] == 0 else None


def _rows(
    frame: pd.DataFrame | None, names: list[str], units: list[str | None], start: int
) -> pl.DataFrame:
    columns = {
        name: pl.Series(dtype=pl.String)
        if frame is None
        else _as_text(frame.iloc[:, place], units[place])
        for place, name in enumerate(names)
    }
    return pl.DataFrame(columns).with_columns(
        source_line=pl.int_range(pl.len(), dtype=pl.Int64) + start + 2, short_line=pl.lit(False)
    )


def _as_text(values: pd.Series[float], unit: str | None = None) -> pl.Series:
    if values.dtype.kind not in "fiu":
        return pl.Series(values.to_list(), dtype=pl.String).str.strip_chars().replace("", None)
    numbers = values.to_numpy(dtype=float)
    numbers = np.where(np.abs(numbers) < _IBM_ZERO, 0.0, numbers)
    texts = pl.Series(numbers).fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    if unit is None:
        return texts
    if unit in _UNITS.values():
        return _times(numbers, unit, texts)
    return pl.Series([text and as_shown(text, unit) for text in texts], dtype=pl.String)


def _times(
    numbers: np.ndarray[Any, np.dtype[np.floating[Any]]], unit: str, texts: pl.Series
) -> pl.Series:
    """Write days or seconds since 1960 as ISO 8601; what is no whole one within reach stays a number."""
    most = _LONGEST_AGO_DAYS * (86_400 if unit == "s" else 1)
    is_one = np.isfinite(numbers) & (np.abs(numbers) <= most) & (numbers == np.floor(numbers))
    counted = np.where(is_one, numbers, 0).astype(int)
    written = np.datetime_as_string(_FIRST_DAY + counted.astype(f"timedelta64[{unit}]"))
    return pl.select(
        pl.when(pl.Series(is_one)).then(pl.Series(written)).otherwise(texts).alias("")
    ).to_series()
