"""Reads delimited text: UTF-8, comma, header on the first line.

In    the bytes of a file
Out   every column as text, empty fields null; ``source_line`` (the header is line 1); and
      ``short_line``: the line has fewer fields than the header

A file that is empty, not text, cut off or not rectangular is refused as a whole, because what it
says can no longer be trusted line by line.
"""

from __future__ import annotations

import csv
import re

import polars as pl

from e2analytics.errors import RefusedFileError

_BOM = b"\xef\xbb\xbf"
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def read(content: bytes) -> pl.DataFrame:
    """Return the rows of a file.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    text = _checked(content.removeprefix(_BOM))
    names = _header(text)
    rows = _parse(text, names)
    _check_not_truncated(text, rows)
    return rows.with_columns(
        short_line=pl.col("source_line").is_in(_short_lines(text, len(names)).to_list())
    )


def _checked(content: bytes) -> bytes:
    if not content.strip():
        raise RefusedFileError("empty_file", "it holds nothing, not even a header")
    if control := _NO_TEXT.search(content):
        line = content.count(b"\n", 0, control.start()) + 1
        raise RefusedFileError("not_text", f"line {line} holds control bytes: not text, or UTF-16")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RefusedFileError("wrong_encoding", f"line {line} is not UTF-8") from None
    return content


def _header(text: bytes) -> list[str]:
    names = [name.strip() for name in _fields(text.partition(b"\n")[0])]
    if not names:
        raise RefusedFileError("missing_column", "its first line is not a header")
    if len(set(names)) < len(names):
        raise RefusedFileError("duplicate_column", "two columns of the header have the same name")
    return names


def _fields(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode().rstrip("\r\n")], strict=True), [])
    except csv.Error:
        raise RefusedFileError("not_rectangular", "a quote is not closed") from None


def _parse(text: bytes, names: list[str]) -> pl.DataFrame:
    try:
        rows = pl.read_csv(text, infer_schema=False, raise_if_empty=False)
        rows.columns = names
    except pl.exceptions.PolarsError:
        # Not chained: the reader's message quotes the line.
        raise RefusedFileError(
            "not_rectangular", "a line has more fields than the header, or a quote is not closed"
        ) from None
    _check_no_swallowed_line(rows)
    return _with_lines(rows.with_columns(pl.all().str.strip_chars().replace("", None)))


def _check_no_swallowed_line(rows: pl.DataFrame) -> None:
    # A quote that opens in one row and closes in another takes all between them for one field.
    field = pl.all()
    commas = field.str.count_matches(",", literal=True) >= rows.width - 1
    swallowed = field.str.contains("\n", literal=True) & commas
    if rows.width > 1 and rows.select(pl.any_horizontal(swallowed).any()).item():
        raise RefusedFileError("not_rectangular", "a quoted field holds whole lines")


def _short_lines(text: bytes, columns: int) -> pl.Series:
    """Return the numbers of lines that have fewer fields than the header.

    Lines with a quote are not counted: a comma inside quotes is none.
    """
    lines = pl.read_csv(
        text, has_header=False, separator="\x1f", quote_char=None, infer_schema=False,
        new_columns=["line"],
    )  # fmt: skip
    line = pl.col("line")
    fields = line.str.count_matches(",", literal=True) + 1
    short = (
        (fields < columns) & ~line.str.contains('"', literal=True) & (line.str.strip_chars() != "")
    )
    return lines.select((pl.arg_where(short) + 1).cast(pl.Int64)).to_series()


def _with_lines(rows: pl.DataFrame) -> pl.DataFrame:
    # A quoted field may span lines, so that rows are not lines.
    breaks = pl.sum_horizontal(
        pl.col(rows.columns).str.count_matches("\n", literal=True).fill_null(0)
    )
    line = pl.int_range(pl.len(), dtype=pl.Int64) + 2 + (breaks.cum_sum() - breaks).cast(pl.Int64)
    numbered = rows.with_columns(source_line=line)
    return numbered.filter(~pl.all_horizontal(pl.col(rows.columns).is_null()))  # blank lines


def _check_not_truncated(text: bytes, rows: pl.DataFrame) -> None:
    if text.endswith(b"\n") or rows.is_empty():
        return
    if any("\n" in (field or "") for field in rows[:, :-1].row(-1)):
        return  # a quoted field that spans lines and was closed
    last = text.rpartition(b"\n")[2]
    columns = rows.width - 1  # without source_line
    if len(_fields(last)) < columns or _shorter_than_the_rest(rows[:, columns - 1]):
        raise RefusedFileError("truncated_file", "its last line is cut off")


def _shorter_than_the_rest(values: pl.Series) -> bool:
    # The file may be cut inside its very last field: a date that lost a digit is shorter than all
    # others, which are of one length.
    lengths = values.str.len_chars()
    last, others = lengths[-1], lengths[:-1].drop_nulls()
    return last is not None and len(others) > 2 and others.n_unique() == 1 and last < others[0]
