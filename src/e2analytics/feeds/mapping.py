"""Maps a supplier's columns to the columns of a table, still as text.

In    rows of one record of a file as its reader gave them
Out   the text columns of the table (``text_columns.TEXT_COLUMNS``), where each row came from, which
      columns the feed declared (``imputed``), why a row is excluded (``excluded``), and the rule by which
      it could not be read (``unreadable``)

Dates in the supplier's formats become ISO 8601 and decimal commas become points; a text that cannot be
parsed stays as written. A line that holds several results becomes several rows with the
same ``source_line``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from e2analytics.feeds import formats
from e2analytics.feeds.description import (
    Age,
    BelowDetection,
    Column,
    Comparator,
    Constant,
    Feed,
    FileDescription,
    FirstOf,
    Join,
    Source,
)
from e2analytics.feeds.no_rows import COLUMNS_OF_READERS, why_no_row
from e2analytics.feeds.text_columns import DATES, NUMBERS, TEXT_COLUMNS
from e2analytics.tables.categoricals import TEXT

NOT_MEASURED = "not_measured"
_SIGN: Final = r"^\s*(<=|>=|=<|=>|<|>|≤|≥)"
_OFFSET = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"


def to_table(
    raw: pl.DataFrame, feed: Feed, kind: FileDescription, *, source_file: str, source_order: int
) -> pl.DataFrame:
    """Return some rows of one file as text rows of ``kind.target``; a footer is one without content."""
    # Files of other formats have no lines but rows.
    has_lines = formats.of(feed.format).has_header_line
    if has_lines and (why := why_no_row(raw)) is not None:
        names = [name for name in raw.columns if name not in COLUMNS_OF_READERS]
        is_row = pl.lit(why.is_null())
        blank = raw.with_columns(pl.when(is_row).then(name).alias(name) for name in names)
        rows = _mapped(blank, feed, kind, source_file, source_order)
        return _without_content(rows, raw.select("source_line", why=why), kind)
    return _mapped(raw, feed, kind, source_file, source_order)


def _without_content(
    rows: pl.DataFrame, lines: pl.DataFrame, kind: FileDescription
) -> pl.DataFrame:
    """Exclude what is no row, once a line; constants of the description are none of its content."""
    no_rows = lines.filter(pl.col("why").is_not_null()).unique("source_line")
    marked = rows.join(no_rows, on="source_line", how="left", maintain_order="left")
    is_row = pl.col("why").is_null()
    return (
        marked.with_columns(
            *(pl.when(is_row).then(name).alias(name) for name in TEXT_COLUMNS[kind.target]),
            excluded=pl.coalesce(pl.col("why").cast(pl.String), "excluded"),
        )
        .filter(is_row | pl.col("source_line").is_first_distinct())
        .drop("why")
    )


def _mapped(
    raw: pl.DataFrame, feed: Feed, kind: FileDescription, source_file: str, source_order: int
) -> pl.DataFrame:
    read_part = pl.col("source_part") if "source_part" in raw.columns else pl.lit(0)
    parts = [
        raw.select(
            pl.lit(source_file, dtype=TEXT).alias("source_file"),
            "source_line",
            "short_line",
            (read_part * len(kind.parts) + number).cast(pl.Int64).alias("source_part"),
            pl.lit(source_order, dtype=pl.Int64).alias("source_order"),
            pl.lit(feed.namespace, dtype=TEXT).alias("namespace"),
            pl.lit(" ".join(kind.imputed), dtype=TEXT).alias("imputed"),
            _excluded(kind, raw.columns).alias("excluded"),
            pl.lit(kind.unreadable, dtype=pl.String).alias("unreadable"),
            *_columns({**kind.columns, **part}, feed, kind.target, raw.columns),
        )
        for number, part in enumerate(kind.parts)
    ]
    return _without_empty_parts(pl.concat(parts), kind)


def unpivoted(raw: pl.DataFrame, kind: FileDescription) -> pl.DataFrame:
    """Return a row for each cell of a table that is turned on its side; of any other, the table itself.

    >>> from e2analytics.feeds.description import FileDescription, Unpivot
    >>> turned = Unpivot(keep=("Test",), heading="Day", cell="Result")
    >>> kind = FileDescription(target="labs", name="*", columns={"value": "Result"}, unpivot=turned)
    >>> raw = pl.DataFrame({"Test": ["E2"], "2026-01-05": ["22"], "2026-03-14": ["<5"], "source_line": [2]})
    >>> unpivoted(raw.with_columns(short_line=False), kind).select("Test", "Day", "Result", "source_part").rows()
    [('E2', '2026-01-05', '22', 0), ('E2', '2026-03-14', '<5', 1)]
    """
    if kind.unpivot is None:
        return raw
    kept = [
        name for name in raw.columns if name in (*kind.unpivot.keep, "source_line", "short_line")
    ]
    headings = [name for name in raw.columns if name not in kept]
    places = pl.DataFrame(
        {kind.unpivot.heading: headings, "source_part": range(len(headings))},
        schema={kind.unpivot.heading: pl.String, "source_part": pl.Int64},
    )
    cells = raw.unpivot(
        headings, index=kept, variable_name=kind.unpivot.heading, value_name=kind.unpivot.cell
    ).cast({kind.unpivot.cell: pl.String})
    return cells.join(places, on=kind.unpivot.heading, how="left", maintain_order="left").sort(
        "source_line", "source_part", maintain_order=True
    )


def _columns(
    sources: Mapping[str, Source], feed: Feed, table: str, present: list[str]
) -> list[pl.Expr]:
    return [
        _in_our_writing(name, sources[name], feed, present).alias(name)
        if name in sources
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in TEXT_COLUMNS[table]
    ]


def _in_our_writing(name: str, source: Source, feed: Feed, present: list[str]) -> pl.Expr:
    text = _text(source, present)
    if isinstance(source, Age | Constant):
        return text
    if name in DATES and feed.dates:
        return _iso(text, feed.dates)
    if name in NUMBERS and feed.decimal == ",":
        # A point then groups thousands or is a typing error: as a comma it cannot be read as a number.
        return text.str.replace_many([",", "."], [".", ","])
    return text


def _text(source: Source, present: list[str]) -> pl.Expr:
    match source:
        case str():
            return pl.col(source) if source in present else pl.lit(None, dtype=pl.String)
        case Constant(constant=value):
            return pl.lit(str(value))
        case Age(age_years=column, known_on=day):
            years = pl.col(column).cast(pl.Float64, strict=False).round(0).cast(pl.Int32)
            # The middle of the year of life: half a year off at the most.
            return pl.lit(day).dt.offset_by(pl.format("-{}mo", years * 12 + 6)).cast(pl.String)
        case FirstOf(first_of=sources):
            return pl.coalesce(_text(each, present) for each in sources)
        case Join(join=sources, by=between, values=values, prefix=prefix):
            text = _joined([_text(each, present) for each in sources], between)
            text = text if values is None else text.replace(values)
            return pl.concat_str(pl.lit(prefix), text) if prefix else text
        case Column():
            return _recoded(source, present)


def _joined(parts: list[pl.Expr], between: str) -> pl.Expr:
    """Join texts; empty ones at the end are left out, earlier ones keep their place.

    Order 7, test 1 and order 7, no test, part 1 are two numbers: 7-1 and 7--1.
    """
    first, *others = parts
    rest = pl.lit(None, dtype=pl.String)
    for part in reversed(others):
        longer = pl.concat_str(part.fill_null(""), rest, separator=between)
        rest = pl.coalesce(longer, part)
    return pl.coalesce(pl.concat_str(first, rest, separator=between), first)


def _recoded(source: Column, present: list[str]) -> pl.Expr:
    text = _text(source.column, present)
    if source.unless_same_as is not None:
        text = pl.when(text.ne_missing(_text(source.unless_same_as, present))).then(text)
    if source.unless_given is not None:
        text = pl.when(_text(source.unless_given, present).is_null()).then(text)
    if source.below_detection is not None:
        text = _below_detection(text, source.below_detection, present)
    if source.values is not None:
        known = text.is_in(list(source.values))
        recoded = text.replace(source.values)
        if source.otherwise is not None:
            recoded = (
                pl.when(known | text.is_null()).then(recoded).otherwise(pl.lit(source.otherwise))
            )
        text = pl.when(recoded != "").then(recoded)
    if source.comparator is not None:
        text = _compared(text, source.comparator, present)
    if source.unit is not None:
        plain = text.str.contains(r"^\s*[0-9.,]+\s*$")
        text = pl.when(plain).then(text + f" {source.unit}").otherwise(text)
    return pl.concat_str(pl.lit(source.prefix), text) if source.prefix else text


def _below_detection(text: pl.Expr, below: BelowDetection, present: list[str]) -> pl.Expr:
    if below.times is None:
        limit = pl.lit(f"<{below.limit:g}")
    else:
        limit = "<" + (text.cast(pl.Float64, strict=False) * below.times).round_sig_figs(4).cast(
            pl.String
        )
    is_below = _text(below.column, present) == below.equals
    return pl.when(is_below).then(limit).otherwise(text)


def _compared(text: pl.Expr, comparator: Comparator, present: list[str]) -> pl.Expr:
    """Write a value's comparator in front of it; a ``?``, which no result has, where it is not clear."""
    code = _text(comparator.column, present)
    known = code.is_in(list(comparator.values))
    coded = (
        pl.when(known | code.is_null()).then(code.replace(comparator.values)).otherwise(pl.lit("?"))
    )
    signs = [_sign(text)]
    if comparator.written_in is not None:
        signs.append(_sign(_text(comparator.written_in, present)))
    signs.append(pl.when(coded != "").then(coded))
    first = pl.coalesce(signs)
    differ = pl.any_horizontal((each != first).fill_null(False) for each in signs)
    sign = pl.when(differ).then(pl.lit("?")).otherwise(first).fill_null("")
    return sign + text.str.replace(_SIGN, "")


def _sign(text: pl.Expr) -> pl.Expr:
    return text.str.extract(_SIGN, 1).replace({"≤": "<=", "=<": "<=", "≥": ">=", "=>": ">="})


def _iso(text: pl.Expr, formats: tuple[str, ...]) -> pl.Expr:
    """Write dates as ISO 8601; an offset stays, so that the local date does."""
    readings = [_read_as(text, written) for written in formats]
    return pl.coalesce(*readings, text)


def _read_as(text: pl.Expr, written: str) -> pl.Expr:
    if written.endswith("Z") and not written.endswith("%Z"):
        # Not only a letter: it says that the time is in UTC.
        return _read_as(text, f"{written[:-1]}%z")
    if written.endswith("%z"):
        local = _read_as(text.str.replace(_OFFSET, "").str.strip_chars_end(), written[:-2].rstrip())
        return local + text.str.extract(_OFFSET, 1)
    if any(mark in written for mark in ("%H", "%I", "%T", "%R")):
        return text.str.to_datetime(written, time_unit="us", strict=False).dt.strftime(
            "%Y-%m-%dT%H:%M:%S"
        )
    return text.str.to_date(written, strict=False).dt.strftime("%Y-%m-%d")


def _excluded(kind: FileDescription, present: list[str]) -> pl.Expr:
    if kind.set_apart is not None:
        return pl.lit(kind.set_apart)
    when = kind.set_apart_when
    if when is None:
        return pl.lit(None, dtype=pl.String)
    written = _text(when.column, present)
    if when.given:
        excluded = written.is_not_null()
    elif when.equals is not None:
        excluded = written.is_in(when.equals)
    else:
        excluded = ~written.is_in(when.is_not or ()).fill_null(False)
    return pl.when(excluded).then(pl.lit(when.reason))


def _without_empty_parts(rows: pl.DataFrame, kind: FileDescription) -> pl.DataFrame:
    """Mark results that were not measured; of a line with several keep those that are present."""
    if kind.not_measured_when_empty is None:
        return rows
    empty = pl.col(kind.not_measured_when_empty).is_null()
    marked = rows.with_columns(
        excluded=pl.coalesce("excluded", pl.when(empty).then(pl.lit(NOT_MEASURED)))
    )
    parts = len(kind.parts)
    line = ["source_line", pl.col("source_part") // parts]
    first_of_all_empty = empty.all().over(line) & (pl.col("source_part") % parts == 0)
    return marked.filter(~empty | first_of_all_empty)
