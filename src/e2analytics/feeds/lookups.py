"""Joins the columns of companion files: the other tables of a database extract.

In    rows of one record of a file, and the drop of the file
Out   the same rows, same grain, with the looked-up columns; null where the companion has no such key,
      or has it twice with different contents
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import drop, formats
from e2analytics.feeds.description import Feed, FileDescription, Lookup
from e2analytics.feeds.reader import FormatOptions


def companions(folder: Path, kind: FileDescription) -> list[Path]:
    """Return the files of the drop that ``kind`` looks something up in.

    Raises
    ------
    RefusedFileError
        If one of them did not come along.
    """
    found: list[Path] = []
    for lookup in kind.lookups:
        of_this = _companions_of(folder, lookup)
        if not of_this:
            raise RefusedFileError(
                "missing_companion", f"the drop holds no file {lookup.name} to look columns up in"
            )
        found.extend(of_this)
    return found


def tables(folder: Path, feed: Feed, kind: FileDescription) -> list[pl.DataFrame]:
    """Return for each lookup of ``kind`` its keys, each once, with their columns.

    Raises
    ------
    RefusedFileError
        If a companion is missing or cannot be read.
    """
    return [_table(_companions_of(folder, lookup), feed, lookup) for lookup in kind.lookups]


def join(rows: pl.DataFrame, kind: FileDescription, found: list[pl.DataFrame]) -> pl.DataFrame:
    """Add the looked-up columns to ``rows``."""
    for lookup, table in zip(kind.lookups, found, strict=True):
        on = pl.col(lookup.on)
        rows = (
            rows.with_columns((ndc(on) if lookup.code == "ndc" else on).alias(_KEY))
            .join(table, on=_KEY, how="left", maintain_order="left", validate="m:1")
            .drop(_KEY)
        )
    return rows


_KEY = "looked up by"


def _companions_of(folder: Path, lookup: Lookup) -> list[Path]:
    return [
        path
        for path in drop.entries(folder).data
        if lookup.is_companion(path.name) and path.is_file()
    ]


def _table(paths: list[Path], feed: Feed, lookup: Lookup) -> pl.DataFrame:
    wanted = {_KEY: lookup.key or lookup.on, **lookup.columns}
    frames = []
    for path in paths:
        drop.check_place(path, path.parent)
        for batch in formats.read(path, _format(path, feed, lookup, wanted[_KEY])):
            if lookup.takes(batch.record) and wanted[_KEY] in batch.rows.columns:
                frames.append(_selected(batch.rows, lookup, wanted))
    rows = pl.concat(frames) if frames else pl.DataFrame(schema=dict.fromkeys(wanted, pl.String()))
    distinct = rows.filter(pl.col(_KEY).is_not_null()).unique(maintain_order=True)
    return distinct.filter(pl.len().over(_KEY) == 1)


def _format(path: Path, feed: Feed, lookup: Lookup, key: str) -> FormatOptions:
    if lookup.format is None:
        return feed.format
    columns = formats.header(path, lookup.format).values()
    return lookup.format if any(key in names for names in columns) else feed.format


def _selected(rows: pl.DataFrame, lookup: Lookup, wanted: dict[str, str]) -> pl.DataFrame:
    needed = {*wanted.values(), *([lookup.where.column] if lookup.where else [])}
    if missing := sorted(needed - set(rows.columns)):
        raise RefusedFileError(
            "missing_column", f"its companion {lookup.name} has no column {', '.join(missing)}"
        )
    if lookup.where is not None:
        rows = rows.filter(pl.col(lookup.where.column).is_in(lookup.where.equals))
    selected = rows.select(pl.col(source).alias(name) for name, source in wanted.items())
    return selected.with_columns(ndc(pl.col(_KEY))) if lookup.code == "ndc" else selected


def ndc(written: pl.Expr) -> pl.Expr:
    """Write a National Drug Code in its form of 11 digits; null where it could be two.

    Labeller, product and package have 5, 4 and 2 digits, or one of them one less, which the hyphens tell.
    Ten digits without hyphens, and those of which a spreadsheet took the zeros in front, are ambiguous.
    """
    text = written.str.strip_chars()
    part = text.str.extract_groups(r"^([0-9]{4,5})-([0-9]{3,4})-([0-9]{1,2})$").struct
    padded = pl.concat_str(
        part.field("1").str.zfill(5), part.field("2").str.zfill(4), part.field("3").str.zfill(2)
    )
    n_digits = text.str.count_matches("[0-9]")
    hyphenated = pl.when(n_digits.is_between(10, 11)).then(padded)
    return pl.when(text.str.contains(r"^[0-9]{11}$")).then(text).otherwise(hyphenated)
