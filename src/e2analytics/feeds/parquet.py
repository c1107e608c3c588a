"""Reads Parquet files.

In    a file of any writer
Out   every flat column as text: dates and times ISO 8601 (with the offset, if the column has a time
      zone), whole numbers without a decimal point, missing null; and ``source_line``: the number of
      the row, counted like the lines of a text file whose header is line 1

Columns of lists and structures, and of durations, are left out. A date outside of any calendar (in the
year 300,000) stays the bare number of the file, so that rules reject it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, Literal
from zoneinfo import available_timezones

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.columns import named
from e2analytics.feeds.reader import Beginning, FormatOptions

BATCH_ROWS = 100_000
"""Rows that are read at once."""

_MOST_BYTES_INSIDE: Final = 1 << 30
_MOST_TIMES_LARGER: Final = 200
_FEWEST_ROWS_DOUBTED: Final = 1_000_000
# Rows of people have an id each; a file with more rows per byte has none.
_MOST_ROWS_PER_BYTE: Final = 8
_MAGIC: Final = b"PAR1"
_MAGIC_ENCRYPTED: Final = b"PARE"
_EPOCH: Final = date(1970, 1, 1)
_DAYS: Final = ((date.min - _EPOCH).days, (date.max - _EPOCH).days)


class Options(FormatOptions, frozen=True):
    """Parquet has no options."""

    kind: Literal["parquet"] = "parquet"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a file, some of a row group at a time.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    try:
        with _opened(path) as file:
            yield from _batches(file)
    except RefusedFileError:
        raise
    except (Exception, pl.exceptions.PanicException):
        # Not chained: the reader's message may quote a value.
        raise RefusedFileError("not_parquet", "it is damaged") from None


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of a file; none where they are unknown."""
    try:
        with _opened(path) as file:
            return {"": list(_flat_columns(file).values())}
    except Exception:
        return {}


def looks_like(beginning: Beginning) -> bool:
    """Return whether a file begins like a Parquet file."""
    return beginning.content.startswith(_MAGIC)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        with path.open("rb") as file:
            begins_with = file.read(len(_MAGIC))
            n_bytes = path.stat().st_size
    except OSError:
        # Not chained: the name of the file may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be read") from None
    if not begins_with:
        raise RefusedFileError("empty_file", "it holds nothing")
    if begins_with == _MAGIC_ENCRYPTED:
        raise RefusedFileError("not_parquet", "it is encrypted")
    if begins_with != _MAGIC:
        raise RefusedFileError("not_parquet", "it does not begin like a Parquet file")
    file = pq.ParquetFile(path)
    _check_size(file.metadata, n_bytes)
    return file


def _check_size(metadata: pq.FileMetaData, n_bytes: int) -> None:
    """Refuse a small file that would become a huge table."""
    n_rows = metadata.num_rows
    inside = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    if (n_rows > _FEWEST_ROWS_DOUBTED and n_rows > n_bytes * _MOST_ROWS_PER_BYTE) or (
        inside > _MOST_BYTES_INSIDE and inside > n_bytes * _MOST_TIMES_LARGER
    ):
        raise RefusedFileError("too_large_inside", "it holds far more than its size can hold")


def _flat_columns(file: pq.ParquetFile) -> dict[str, str]:
    """Return the columns that become text: names in the file, and names in the rows."""
    schema = file.schema_arrow
    names = named(schema.names)
    return {
        field.name: name for field, name in zip(schema, names, strict=True) if _is_flat(field.type)
    }


def _is_flat(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_flat(kind.value_type)
    return any(
        is_one(kind)
        for is_one in (
            pa.types.is_null,
            pa.types.is_boolean,
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
            pa.types.is_date,
            pa.types.is_time,
            pa.types.is_timestamp,
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def _batches(file: pq.ParquetFile) -> Iterator[Batch]:
    columns = _flat_columns(file)
    n_read = 0
    for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
        rows = pl.DataFrame({columns[name]: _as_text(batch[name]) for name in batch.schema.names})
        yield Batch("", _with_lines(rows, n_read))
        n_read += len(rows)
    if n_read != file.metadata.num_rows:
        raise RefusedFileError("not_parquet", "it has not the rows that it says it has")
    if not n_read:
        yield Batch(
            "", _with_lines(pl.DataFrame(schema=dict.fromkeys(columns.values(), pl.String)), 0)
        )


def _with_lines(rows: pl.DataFrame, n_before: int) -> pl.DataFrame:
    return rows.with_columns(
        source_line=pl.int_range(pl.len(), dtype=pl.Int64) + n_before + 2, short_line=pl.lit(False)
    )


def _as_text(values: pa.Array) -> pl.Series:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_text(values.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return _instants_as_text(values)
    if pa.types.is_decimal(kind):
        values = values.cast(pa.string())
    series = pl.Series(values)
    if series.dtype.is_float():
        return series.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    if series.dtype == pl.Date:
        return _iso(series, _DAYS, "%Y-%m-%d")
    if series.dtype == pl.Time:
        return series.dt.to_string("%H:%M:%S%.f")
    return series.cast(pl.String).str.strip_chars().replace("", None)


def _instants_as_text(values: pa.Array) -> pl.Series:
    unit, zone = values.type.unit, values.type.tz
    if unit == "s":
        unit = "ms"  # polars has no seconds
    if zone is not None and zone not in available_timezones():
        zone = "UTC"  # nor offsets without a place; the instant is the same
    series = pl.Series(values.cast(pa.timestamp(unit, zone)))
    per_day = 24 * 60 * 60 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    inside = ((_DAYS[0] + 1) * per_day, (_DAYS[1] - 1) * per_day)  # in any time zone
    return _iso(series, inside, "%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if zone else ""))


def _iso(values: pl.Series, inside: tuple[int, int], written: str) -> pl.Series:
    number = values.to_physical()
    dated = values.set(~number.is_between(*inside), None).dt.to_string(written)
    return dated.zip_with(dated.is_not_null(), number.cast(pl.String))
