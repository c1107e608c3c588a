"""Writes the draft of a feed description, with its evidence, and TODO where nothing decides.

In    a file that no feed describes
Out   YAML that :func:`e2analytics.feeds.description.load_feed` can load, with names of columns, counts and
      shapes, and no value but codes that ``schemas/drafting.yaml`` knows

Refuses a file in no format that e2analytics reads, and a table without a header.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from e2analytics.errors import UnreadableError
from e2analytics.feeds import formats
from e2analytics.feeds.description import Source, columns_named
from e2analytics.feeds.drafting import copies, guess, headings, sniff, writing
from e2analytics.feeds.drafting.guess import Guess
from e2analytics.feeds.reader import FormatOptions
from e2analytics.feeds.text_columns import DATES, NUMBERS, TEXT_COLUMNS

_SIGNATURE: Final = 4
_HEAD: Final = """\
# A draft by `e2analytics inspect`: a guess from the names of columns and the first {rows} rows. What shows it
# stands behind each line. Check the lines, answer each TODO. docs/feeds.md explains every key.
"""
_FEED: Final = """\
feed: {feed}  # TODO: a name of its own: small letters, digits, _
description: "TODO: who sends this, from which system"
namespace: default  # TODO: another, if its patient numbers are not those of your other suppliers
"""
_COMMAS: Final = '# TODO: is the comma of numbers a decimal comma? Then: decimal: ","\n'
_UNREADABLE_DATES: Final = '# TODO: how are dates written? For example: dates: ["%d.%m.%Y %H:%M"]\n'
_UNDECIDED: Final = """\
# TODO: how are dates written? Each of these reads all of them, and nothing decides. Ask the supplier, then take
# one line's # away. Until then, rows wait.
"""


def draft(path: Path, name: str | None = None) -> str:
    """Return the draft of a feed description for a file.

    Parameters
    ----------
    path
        The file.
    name
        Name of the new feed, if it has one already.

    Raises
    ------
    UnreadableError
        If the file is in no format that e2analytics reads, or without a header.
    """
    sniffed = sniff.sniff(path)
    known = formats.of(sniffed.options)
    if known.shipped_feed is not None:
        return copies.copy_of(known.shipped_feed, path, sniffed.options, name)
    tables = {
        record: rows
        for record, rows in sniffed.tables.items()
        if not known.has_header_line or sniff.is_header(rows.columns, rows.rows())
    }
    if not tables:
        raise UnreadableError(sniff.NO_HEADER)
    guesses = {record: guess.guess(rows, sniffed.labels) for record, rows in tables.items()}
    feed = _FEED.format(feed=name or "new_supplier")
    if name is not None:
        feed = feed.replace("  # TODO: a name of its own: small letters, digits, _", "")
    head = _HEAD.format(rows=f"{sniff.SAMPLE_ROWS:,}") + feed + _format(sniffed.options)
    files: list[str] = []
    for record in sniffed.tables:
        # A plain table has no name.
        called = record if len(sniffed.tables) > 1 else None
        if record in tables:
            files += _files(path, called, tables[record], guesses[record], sniffed.labels)
        else:
            files += _other(path, record)
    return head + _writing(tables, guesses) + "files:\n" + "".join(f"{line}\n" for line in files)


def feed_name(file: Path) -> str | None:
    """Return the name of the feed that a file describes; none if nothing of it can be one.

    >>> feed_name(Path("feeds/Labor Muster.yaml")), feed_name(Path("---.yaml"))
    ('labor_muster', None)
    """
    return re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_") or None


def _format(options: FormatOptions) -> str:
    given = options.model_dump(exclude_defaults=True)
    return f"format: {_flow({'kind': options.kind, **given} if given else options.kind)}\n"


def _writing(tables: Mapping[str, pl.DataFrame], guesses: Mapping[str, tuple[Guess, ...]]) -> str:
    """Tell how dates and numbers are written, over all tables: a feed has one way."""
    dates = writing.dates(dict(_texts(DATES, tables, guesses)))
    lines = ""
    if dates.formats:
        lines += f"dates: {_flow(dates.formats)}  # {dates.evidence}\n"
    elif dates.undecided:
        lines += _UNDECIDED + "".join(f"# dates: {_flow(each)}\n" for each in dates.undecided)
    elif not dates.are_readable:
        lines += _UNREADABLE_DATES
    numbers = writing.joined(texts for _, texts in _texts(NUMBERS, tables, guesses))
    commas = writing.decimal_comma(numbers)
    if commas is None:
        lines += _COMMAS
    elif commas:
        lines += 'decimal: ","  # no number has a point, and not all commas can group thousands\n'
    if any("collected_at" in each.columns for some in guesses.values() for each in some):
        lines += "# timezone: Europe/Berlin  # TODO: of times without offset, if not that of the settings\n"
    return lines


def _texts(
    names: Iterable[str],
    tables: Mapping[str, pl.DataFrame],
    guesses: Mapping[str, tuple[Guess, ...]],
) -> Iterator[tuple[str, pl.Series]]:
    for record, some in guesses.items():
        for each in some:
            for part in (each.columns, *each.parts):
                for name in sorted(set(names) & set(part)):
                    texts = guess.texts_of(part[name], tables[record])
                    yield next(columns_named(part[name]), name), texts


def _files(
    path: Path,
    record: str | None,
    rows: pl.DataFrame,
    guesses: tuple[Guess, ...],
    labels: Mapping[str, str],
) -> Iterator[str]:
    if not guesses:
        yield f"  # TODO: which table does this fill? {', '.join(TEXT_COLUMNS)}"
        yield from _entry(path, "labs", record, rows.columns[:_SIGNATURE])
        yield "    set_apart: not_described  # TODO: instead, columns: {test_name: ...}"
        yield from _unused(rows.columns, labels)
        return
    for each in guesses:
        needed = _needed(each, rows)
        yield from _entry(path, each.table, record, needed[:_SIGNATURE])
        yield f"    required: {_flow(needed)}"
        if each.unpivot is not None:
            turned = each.unpivot.model_dump()
            yield f"    unpivot: {_flow(turned)}  # a row a test, a column a day"
        yield from _columns(each, labels)
        yield from _parts(each, labels)
    used = {
        column
        for each in guesses
        for part in (each.columns, *each.parts)
        for source in part.values()
        for column in columns_named(source)
    }
    turned_days = any(each.unpivot for each in guesses)
    left = [
        name
        for name in rows.columns
        if name not in used and not (turned_days and headings.is_day(name))
    ]
    yield from _unused(left, labels)


def _needed(each: Guess, rows: pl.DataFrame) -> list[str]:
    """Return the columns without which a file is another: of required columns, and of all results."""
    sources = [each.columns[name] for name in guess.required(each.table) if name in each.columns]
    sources += [part[name] for part in each.parts for name in part]
    named = dict.fromkeys(column for source in sources for column in columns_named(source))
    return [name for name in named if name in rows.columns]


def _unused(names: list[str], labels: Mapping[str, str]) -> Iterator[str]:
    if not names:
        return
    labelled = [f"{_flow(name)}{_label(name, labels)}" for name in names]
    if any(name in labels for name in names):
        yield "    # Nothing uses:"
        yield from (f"    #   {each}" for each in labelled)
    else:
        yield f"    # Nothing uses: {', '.join(labelled)}"


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


def _columns(each: Guess, labels: Mapping[str, str]) -> Iterator[str]:
    yield "    columns:"
    for name in TEXT_COLUMNS[each.table]:
        note = each.notes.get(name, "")
        if name in each.columns:
            source = each.columns[name]
            said = [note] if note else []
            if name in each.unknown_codes:
                said.append("TODO: more codes than these stand there")
            labelled = "".join(_label(column, labels) for column in columns_named(source)).strip()
            comment = "; ".join(filter(None, (labelled, *said)))
            yield f"      {name}: {_flow(_spelt(source))}" + f"  # {comment}" * bool(comment)
        elif note:
            yield f"      # TODO {name}: {note}"
        elif name in each.missing:
            yield _TODO.get((each.table, name), f"      # TODO {name}: which column?")
    if each.table == "patients" and "clinic_id" in each.missing:
        yield "    imputed: [clinic_id]"


def _parts(each: Guess, labels: Mapping[str, str]) -> Iterator[str]:
    if each.parts:
        note = each.notes.get(guess.PARTS, "")
        yield f"    parts:  # a line holds {len(each.parts):,} result(s), a column each" + (
            f". {note}" * bool(note)
        )
    for part in each.parts:
        measured = part.get("value", part.get("bmd_g_cm2"))
        label = "".join(_label(column, labels) for column in columns_named(measured or ""))
        yield f"      - {_flow({name: _spelt(source) for name, source in part.items()})}" + (
            f"  #{label}" * bool(label)
        )
        if each.table == "labs" and "unit" not in part:
            yield "        # TODO: its unit: unit: {constant: pg/mL}; the file does not say it"
    if unknown := each.notes.get(guess.UNKNOWN_PARTS):
        what = "site is each of these" if each.table == "dxa" else "test is each of these"
        yield f"      # TODO: which {what}? If it is one of ours, a part as above: {unknown}"
    if each.parts or each.unpivot:
        empty = "bmd_g_cm2" if each.table == "dxa" else "value"
        yield f"    not_measured_when_empty: {empty}"


_TODO: Final = {
    ("patients", "clinic_id"): "      clinic_id: {constant: new_supplier}  # TODO: which clinic?",
    ("patients", "sex"): "      # TODO sex: which column, or if all are men: {constant: M}",
    (
        "labs",
        "result_id",
    ): "      # TODO result_id: a number of its own, e.g. {join: [ORDER, TEST]}; the"
    " same when it is corrected",
    ("labs", "collected_at"): "      # TODO collected_at: which column, or if all are of one day:"
    " {constant: 2026-09-30}",
    ("labs", "unit"): "      # TODO unit: which column, or if all are the same: {constant: pg/mL}",
    (
        "dxa",
        "site",
    ): "      # TODO site: which column, or if all are the same: {constant: lumbar_spine}",
    ("medications", "dose_mg"): "      # TODO dose_mg: which column? Or map strength and sig",
}


def _label(column: str, labels: Mapping[str, str]) -> str:
    text = labels.get(column)
    return f' "{" ".join(text.split())}"' if text else ""


def _spelt(source: Source) -> Any:
    if isinstance(source, str):
        return source
    return source.model_dump(exclude_defaults=True)


def _flow(written: Any) -> str:
    """Write a value as YAML on one line.

    >>> _flow({"column": "A, B", "values": {"final": "F"}})
    '{column: "A, B", values: {final: F}}'
    """
    match written:
        case dict():
            pairs = (f"{_flow(key)}: {_flow(each)}" for key, each in written.items())
            return f"{{{', '.join(pairs)}}}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, written))}]"
        case str() if _PLAIN.fullmatch(written) and yaml.safe_load(written) == written:
            return written
        case str():
            quoted = yaml.safe_dump(written, default_style='"', allow_unicode=True, width=math.inf)
            return quoted.strip()
        case bool():
            return str(written).lower()
        case _:
            return f"{written}"


_PLAIN: Final = re.compile(r"[^\W\d](?:[\w ]*\w)?")
