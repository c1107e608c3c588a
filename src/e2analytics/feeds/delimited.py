"""Reads delimited text: any delimiter, quote and encoding, header on any line.

In    a file of text
Out   every column as text, empty fields null; ``source_line`` (the first line of the file is 1); and
      ``short_line``: the line has fewer fields than the header

A line ends with LF, CRLF or, in a file without LF, CR. A quoted field may span lines; its row has the
number of the first. Blank lines, and lines of empty fields, are no rows.

A file that is empty, not text, cut off or not rectangular is refused as a whole, because its
lines can no longer be trusted. It is read block by block, each of whole rows. A defect of a row is found
with the row, one that only the end shows (a file that is cut off) at the end.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.columns import named
from e2analytics.feeds.marked_text import (
    CR,
    FIRST_BYTES,
    LF,
    SPACE,
    TAB,
    Codes,
    Positions,
    Text,
    joined,
    marked,
    pieces,
)
from e2analytics.feeds.marked_text import Options as Options  # one of each format's
from e2analytics.feeds.reader import Beginning

BLOCK_BYTES = 1 << 24
"""Read at once. Larger blocks are slower: they no longer fit into the processor's caches."""

LONGEST_LINE_BYTES = 1 << 20
"""A longer line is no row of a table."""

LONGEST_ROW_BYTES = 1 << 24
"""A longer row, of several lines, is one whose quote was never closed."""


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a file, block by block.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    texts = pieces(path, options, BLOCK_BYTES)
    start = _start(texts, options)
    # Polars gets places for names: it would rename what is there twice or empty.
    numbers = options.delimiter.join(map(str, range(len(start.names))))
    places = marked(numbers.encode() + b"\n", options)
    line = start.next_line
    ends = _Ends()
    for block in _blocks(chain([start.rest], texts), places, options):
        rows, n_lines = _parse(block.text, start.names, line, options)
        last_fields = rows[:, len(start.names) - 1]
        if block.is_cut_off and (rows["short_line"].any() or ends.are_longer_than(last_fields)):
            raise RefusedFileError("truncated_file", "its last line is cut off")
        ends.add(last_fields)
        line += n_lines
        yield Batch("", rows)
    if line == start.next_line:
        yield Batch("", _parse(places, start.names, line, options)[0])


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of a file; none where they are unknown."""
    try:
        return {"": _start(pieces(path, options, FIRST_BYTES), options).names}
    except RefusedFileError:
        return {}


def looks_like(beginning: Beginning) -> bool:
    """Return False: any text may be delimited, so that it is what looks like no other format."""
    return False


class _Start(NamedTuple):
    names: list[str]
    next_line: int
    rest: Text


def _start(texts: Iterator[Text], options: Options) -> _Start:
    """Read up to the header."""
    read, place, is_whole = marked(b"", options), None, False
    while place is None and not is_whole:
        piece = next(texts, None)
        is_whole = piece is None
        read = read if piece is None else joined([read, piece])
        place = _header_place(read.content, is_whole, options)
        _check_line_lengths(read.content)
    begin, end = place or (0, 0)
    header = read.content[begin:end]
    if not header.strip():
        if not read.content.strip() and not any(piece.content.strip() for piece in texts):
            raise RefusedFileError("empty_file", "it holds nothing, not even a header")
        raise RefusedFileError("missing_header", f"line {options.header_line} is not a header")
    names = named(_fields(header.decode(), options), options.repeated)
    return _Start(names, read.content.count(b"\n", 0, end) + 1, read.since(end))


def _header_place(text: bytes, is_whole: bool, options: Options) -> tuple[int, int] | None:
    """Return where the header begins and ends, if that is in ``text``."""
    begin = 0
    for _ in range(options.header_line - 1):
        begin = text.find(b"\n", begin) + 1
        if not begin:
            return None
    end, n_quotes = begin, 0
    while end == begin or n_quotes % 2:
        next_end = text.find(b"\n", end) + 1
        if not next_end:
            return (begin, len(text)) if is_whole else None
        n_quotes += text.count(options.quote.encode(), end, next_end) if options.quote else 0
        end = next_end
        if end - begin > LONGEST_LINE_BYTES:
            break  # an open quote, which the header's fields will show
    return begin, end


def _fields(line: str, options: Options) -> list[str]:
    try:
        return next(
            csv.reader(
                [line.rstrip("\r\n")],
                delimiter=options.delimiter,
                quotechar=options.quote,
                quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
                strict=True,
            )
        )
    except csv.Error:
        raise RefusedFileError("not_rectangular", "a quote of the header is not closed") from None


def _check_line_lengths(text: bytes) -> None:
    end = 0
    while len(text) - end > LONGEST_LINE_BYTES:
        end = text.rfind(b"\n", end, end + LONGEST_LINE_BYTES + 1) + 1
        if not end:
            raise RefusedFileError(
                "line_too_long", f"a line is longer than {LONGEST_LINE_BYTES:,} bytes"
            )


class _Block(NamedTuple):
    """Whole rows, after a line of places."""

    text: Text
    is_cut_off: bool
    """The last row has no line end."""


def _blocks(texts: Iterable[Text], places: Text, options: Options) -> Iterator[_Block]:
    none = marked(b"", options)
    held = none
    for text in texts:
        cut = _end_of_rows(held, text, options)
        if cut:
            block = joined([places, held, text.before(cut)])
            _check_line_lengths(block.content)
            yield _Block(block, is_cut_off=False)
            held = none
        held = joined([held, text.since(cut)])
        _check_line_lengths(held.content)
        if len(held.content) > LONGEST_ROW_BYTES:
            raise RefusedFileError("not_rectangular", "a quote is not closed")
    if held.content:
        yield _Block(joined([places, held, marked(b"\n", options)]), is_cut_off=True)


def _end_of_rows(held: Text, text: Text, options: Options) -> int:
    """Return where the last whole row of ``text`` ends, which goes on where ``held`` ends."""
    cut = text.content.rfind(b"\n") + 1
    if options.quote is None:
        return cut
    held_quotes, quotes = held.count(ord(options.quote)), text.places_of(ord(options.quote))
    while cut:
        n_before = int(np.searchsorted(quotes, cut))
        if (held_quotes + n_before) % 2 == 0:
            return cut
        # Go on where the quoted field opened that ``cut`` is inside of.
        opened = int(quotes[n_before - 1]) if n_before else 0
        cut = text.content.rfind(b"\n", 0, opened) + 1
    return 0


def _parse(block: Text, names: list[str], line: int, options: Options) -> tuple[pl.DataFrame, int]:
    """Return the rows of a block whose first is on ``line``, and how many lines it has."""
    n_lines = block.count(LF) - 1
    quotes = _quotes(block, options)
    try:
        raw = pl.read_csv(
            block.content,
            separator=options.delimiter,
            quote_char=options.quote,
            infer_schema=False,
            raise_if_empty=False,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # Not chained: the reader's message quotes the line.
        too_many = np.flatnonzero(_delimiters(block, quotes, options) >= len(names))
        raise _not_rectangular(
            _source_lines(block, quotes, line)[too_many[0]] if too_many.size else None
        ) from None
    raw.columns = names
    source_line = pl.int_range(line, line + n_lines, dtype=pl.Int64, eager=True)
    if len(raw) != n_lines:
        source_line = pl.Series(_source_lines(block, quotes, line), dtype=pl.Int64)
        if len(raw) != len(source_line):
            raise _not_rectangular(None)
        _check_no_swallowed_line(raw, source_line, line + n_lines, options)
    rows = raw
    if len(raw) != n_lines or _may_have_spaces_to_strip(block, quotes, options):
        rows = rows.with_columns(pl.all().str.strip_chars())
    if rows is not raw or (quotes[1::2] - quotes[::2] == 1).any():
        # Polars reads an empty field as null, but not one of white space or of two quotes.
        rows = rows.with_columns(pl.all().replace("", None))
    rows = rows.with_columns(
        source_line=source_line, short_line=_short_lines(raw, block, quotes, options)
    )
    if all(rows[name].null_count() for name in names):
        rows = rows.filter(pl.any_horizontal(pl.col(names).is_not_null()))
    return rows, n_lines


def _not_rectangular(line: int | None) -> RefusedFileError:
    detail = (
        "a quote is not closed, or there is text before or after a quoted field"
        if line is None
        else f"line {line} has more fields than the header"
    )
    return RefusedFileError("not_rectangular", detail)


def _codes(block: Text) -> Codes:
    return np.frombuffer(block.content, np.uint8)


def _quotes(block: Text, options: Options) -> Positions:
    """Return where quoted fields open and close, in turn.

    A quote inside a field that did not begin with one is a letter like any other.
    """
    if options.quote is None:
        return np.empty(0, np.intp)
    at = block.places_of(ord(options.quote))
    if not at.size:
        return at
    if at.size % 2:
        raise _not_rectangular(None)
    codes = _codes(block)
    opening, closing = at[::2], at[1::2]
    opens = _is_one_of(options, b"\n")[codes[opening - 1]]
    closes = _is_one_of(options, b"\r\n")[codes[closing + 1]]
    # The parser would leave the quotes out and put together what they separate.
    if (opens & ~closes).any():
        raise _not_rectangular(None)
    return at if opens.all() else at.reshape(-1, 2)[opens].ravel()


def _is_one_of(options: Options, others: bytes) -> npt.NDArray[np.bool_]:
    """Return a table of all bytes: which are the delimiter, the quote or one of ``others``."""
    table = np.zeros(256, np.bool_)
    table[[*options.delimiter.encode(), *(options.quote or "").encode(), *others]] = True
    return table


def _outside(at: Positions, quotes: Positions) -> Positions:
    return at[np.searchsorted(quotes, at) % 2 == 0] if quotes.size else at


def _source_lines(block: Text, quotes: Positions, line: int) -> Positions:
    """Return the lines on which rows begin."""
    line_ends = block.places_of(LF)
    # The line of places ends before row 1, hence the last end begins no row.
    begins = np.searchsorted(line_ends, _outside(line_ends, quotes)[:-1])
    return begins + line


def _delimiters(block: Text, quotes: Positions, options: Options) -> Positions:
    """Return how many delimiters each row has."""
    row_ends = _outside(block.places_of(LF), quotes)
    at = np.flatnonzero(_codes(block) == ord(options.delimiter))
    return np.diff(np.searchsorted(_outside(at, quotes), row_ends))


def _short_lines(
    raw: pl.DataFrame, block: Text, quotes: Positions, options: Options
) -> pl.Series | pl.Expr:
    """Return which rows have fewer fields than the header, by the cheapest proof."""
    n_delimiters = raw.width - 1
    none = pl.lit(False)
    if not raw[:, -1].null_count():
        return none
    if not quotes.size and block.content.count(options.delimiter.encode()) == n_delimiters * (
        len(raw) + 1
    ):
        return none  # none has more, or it would have been refused
    return pl.Series(_delimiters(block, quotes, options) < n_delimiters)


def _check_no_swallowed_line(
    raw: pl.DataFrame, source_line: pl.Series, next_line: int, options: Options
) -> None:
    # A quote that opens in one row and closes in another makes one field of all text between them.
    n_breaks = source_line.shift(-1, fill_value=next_line) - source_line - 1
    field = pl.all()
    breaks = field.str.count_matches("\n", literal=True)
    delimiters = field.str.count_matches(options.delimiter, literal=True)
    swallowed = (breaks > 0) & (delimiters >= breaks * (raw.width - 1))
    if raw.width > 1 and raw.filter(n_breaks > 0).select(pl.any_horizontal(swallowed.any())).item():
        raise RefusedFileError("not_rectangular", "a quoted field holds whole lines")


def _may_have_spaces_to_strip(block: Text, quotes: Positions, options: Options) -> bool:
    """Return whether a field may begin or end with white space, in a block without broken fields.

    Looking costs half as much as stripping.
    """
    if not block.content.isascii() or (options.delimiter != "\t" and block.count(TAB)):
        return True
    codes = _codes(block)
    returns, spaces = block.places_of(CR), block.places_of(SPACE)
    if (codes[returns + 1] != LF).any():
        return True
    at_edge = _is_one_of(options, b"\r\n")
    spaces = spaces[at_edge[codes[spaces - 1]] | at_edge[codes[spaces + 1]]]
    if not quotes.size or not spaces.size:
        return bool(spaces.size)
    # Inside of quotes a delimiter is a letter like any other.
    is_quoted = np.searchsorted(quotes, spaces) % 2 == 1
    quote = codes[quotes[0]]
    beside_quote = (codes[spaces - 1] == quote) | (codes[spaces + 1] == quote)
    return bool((~is_quoted | beside_quote).any())


@dataclass
class _Ends:
    """How long the last fields of all rows are.

    A file may be cut off inside its very last field: a date that lost a digit is shorter than all
    others, which are of one length.
    """

    n: int = 0
    shortest: int = 0
    longest: int = 0

    def add(self, last_fields: pl.Series) -> None:
        lengths = last_fields.drop_nulls().str.len_bytes()
        if lengths.is_empty():
            return
        # Polars types the least of every column alike; that of lengths is a number.
        low, high = int(lengths.min()), int(lengths.max())  # type: ignore[arg-type]
        self.shortest = min(low, self.shortest) if self.n else low
        self.longest = max(high, self.longest)
        self.n += len(lengths)

    def are_longer_than(self, last_fields: pl.Series) -> bool:
        same = self.n > 2 and self.shortest == self.longest
        return same and (last_fields.str.len_bytes() < self.longest).any()
