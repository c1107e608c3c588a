"""Writes the draft of a feed description, with TODO where a guess is impossible.

In    a file that no feed describes
Out   YAML that :func:`e2analytics.feeds.description.load_feed` can load, with names of columns and no
      value but codes that ``schemas/drafting.yaml`` knows

Refuses a file in no format that e2analytics reads, and a table without a header.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from e2analytics.errors import UnreadableError
from e2analytics.feeds import formats
from e2analytics.feeds.description import Source, columns_named
from e2analytics.feeds.drafting import guess, sniff
from e2analytics.feeds.drafting.guess import Guess
from e2analytics.feeds.reader import FormatOptions
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.reference import schemas_folder

_SIGNATURE: Final = 4
_HEAD: Final = """\
# A draft by `e2analytics inspect`: a guess from the names of columns and the first {rows} rows. Check
# each line, settle each TODO. docs/feeds.md explains every key.
"""
_FEED: Final = """\
feed: new_supplier  # TODO: a name of its own: small letters, digits, _
description: "TODO: who sends this, from which system"
namespace: default  # TODO: another, if its patient numbers are not those of your other suppliers
"""
_COMMAS: Final = '# TODO: is the comma of numbers a decimal comma? Then: decimal: ","\n'
_UNREADABLE_DATES: Final = '# TODO: how are dates written? For example: dates: ["%d.%m.%Y %H:%M"]\n'


def draft(path: Path) -> str:
    """Return the draft of a feed description for a file.

    Raises
    ------
    UnreadableError
        If the file is in no format that e2analytics reads, or without a header.
    """
    sniffed = sniff.sniff(path)
    known = formats.of(sniffed.options)
    if known.shipped_feed is not None:
        return _copy_of(known.shipped_feed, path, sniffed.options)
    tables = {
        record: rows
        for record, rows in sniffed.tables.items()
        if not known.has_header_line or sniff.is_header(rows.columns, rows.rows())
    }
    if not tables:
        raise UnreadableError(sniff.NO_HEADER)
    guesses = {record: guess.guess(rows) for record, rows in tables.items()}
    head = _HEAD.format(rows=f"{sniff.SAMPLE_ROWS:,}") + _FEED + _format(sniffed.options)
    files: list[str] = []
    for record in sniffed.tables:
        # A plain table has no name.
        name = record if len(sniffed.tables) > 1 else None
        if record in tables:
            files += _files(path, name, tables[record], guesses[record])
        else:
            files += _other(path, record)
    return head + _writing(tables, guesses) + "files:\n" + "".join(f"{line}\n" for line in files)


def _format(options: FormatOptions) -> str:
    given = options.model_dump(exclude_defaults=True)
    return f"format: {_flow({'kind': options.kind, **given} if given else options.kind)}\n"


def _writing(tables: dict[str, pl.DataFrame], guesses: dict[str, tuple[Guess, ...]]) -> str:
    """Tell how dates and numbers are written, by the first table that shows it."""
    lines = ""
    found = [guess.dates(guesses[record], rows) for record, rows in tables.items()]
    dated = next((each for each in found if each.formats), None)
    if dated:
        lines += f"dates: {_flow(dated.formats)}"
        lines += "".join(f"  # TODO: or {_flow(other)}?" for other in dated.or_else) + "\n"
    elif not all(each.are_readable for each in found):
        lines += _UNREADABLE_DATES
    commas = [guess.decimal_comma(guesses[record], rows) for record, rows in tables.items()]
    if True in commas:
        lines += 'decimal: ","\n'
    elif None in commas:
        lines += _COMMAS
    if any("collected_at" in each.columns for some in guesses.values() for each in some):
        lines += "# timezone: Europe/Berlin  # TODO: of times without offset, if not that of the settings\n"
    return lines


def _files(
    path: Path, record: str | None, rows: pl.DataFrame, guesses: tuple[Guess, ...]
) -> Iterator[str]:
    if not guesses:
        yield f"  # TODO: which table does this fill? {', '.join(TEXT_COLUMNS)}"
        yield from _entry(path, "labs", record, rows.columns[:_SIGNATURE])
        yield "    set_apart: not_described  # TODO: instead, columns: {test_name: ...}"
    for each in guesses:
        needed = [name for name in guess.required(each.table) if name in each.columns]
        signature = list(
            dict.fromkeys(column for name in needed for column in columns_named(each.columns[name]))
        )
        yield from _entry(path, each.table, record, signature[:_SIGNATURE])
        yield f"    required: {_flow(signature)}"
        yield from _columns(each)
    used = {
        column
        for each in guesses
        for source in each.columns.values()
        for column in columns_named(source)
    }
    if unused := [name for name in rows.columns if name not in used]:
        yield f"    # Nothing uses: {_flow(unused)[1:-1]}"


def _entry(path: Path, table: str, record: str | None, signature: list[str]) -> Iterator[str]:
    yield f"  - target: {table}"
    yield f"    name: {_flow(f'*{path.suffix.lower()}')}"
    if record is not None:
        yield f"    record: {_flow(record)}"
    yield f"    header: {_flow(signature)}"


def _other(path: Path, record: str) -> Iterator[str]:
    yield "  # A sheet without a header."
    yield "  - target: labs"
    yield f"    name: {_flow(f'*{path.suffix.lower()}')}"
    yield f"    record: {_flow(record)}"
    yield "    set_apart: other_sheet"


def _columns(each: Guess) -> Iterator[str]:
    yield "    columns:"
    for name in TEXT_COLUMNS[each.table]:
        if name in each.columns:
            todo = "  # TODO: more codes than these stand there" * (name in each.unknown_codes)
            yield f"      {name}: {_flow(_spelt(each.columns[name]))}{todo}"
        elif name in each.missing:
            yield _TODO.get((each.table, name), f"      # TODO {name}: which column?")
    if each.table == "patients" and "clinic_id" in each.missing:
        yield "    imputed: [clinic_id]"


_TODO: Final = {
    ("patients", "clinic_id"): "      clinic_id: {constant: new_supplier}  # TODO: which clinic?",
    (
        "labs",
        "result_id",
    ): "      # TODO result_id: a number of its own, e.g. {join: [ORDER, TEST]}; the"
    " same when it is corrected",
    ("labs", "unit"): "      # TODO unit: which column, or if all are the same: {constant: pg/mL}",
    (
        "dxa",
        "site",
    ): "      # TODO site: which column, or if all are the same: {constant: lumbar_spine}",
    ("medications", "dose_mg"): "      # TODO dose_mg: which column? Or map strength and sig",
}


def _spelt(source: Source) -> Any:
    return source if isinstance(source, str) else source.model_dump(exclude_defaults=True)


def _flow(written: Any) -> str:
    """Write a value as YAML on one line.

    >>> _flow({"column": "A, B", "values": {"final": "F"}})
    '{column: "A, B", values: {final: F}}'
    """
    match written:
        case dict():
            return (
                f"{{{', '.join(f'{_flow(key)}: {_flow(each)}' for key, each in written.items())}}}"
            )
        case list() | tuple():
            return f"[{', '.join(map(_flow, written))}]"
        case str() if _PLAIN.fullmatch(written) and yaml.safe_load(written) == written:
            return written
        case str():
            quoted = yaml.safe_dump(written, default_style='"', allow_unicode=True, width=math.inf)
            return quoted.strip()
        case _:
            return json.dumps(written)


_PLAIN: Final = re.compile(r"[^\W\d](?:[\w ]*\w)?")


def _copy_of(shipped: str, path: Path, options: FormatOptions) -> str:
    """Return a shipped description for files that are called otherwise."""
    file = schemas_folder() / "feeds" / f"{shipped}.yaml"
    feed = yaml.safe_load(file.read_text(encoding="utf-8"))
    headers = formats.header(path, options)
    # The name is the one thing that tells these files from others; its numbers change.
    name = re.sub(r"[0-9]+", "*", path.name)
    for kind in feed["files"]:
        kind["name"] = name
        kind["header"] = headers.get(kind["record"], [])[:1]
    feed["feed"] = f"{shipped}_copy"
    return (
        f"# A draft by `e2analytics inspect`: the feed {shipped}, for files of another name.\n"
        "# TODO: check `name`: which files are meant?\n"
        + yaml.safe_dump(feed, sort_keys=False, allow_unicode=True, width=100)
    )
