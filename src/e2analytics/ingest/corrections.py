"""Writes the corrections that each supplier is asked for, as lists to send back.

In    quarantine, files
Out   for every feed and drop ``<feed>-<run>.csv``, and the same as ``.xlsx`` with a page of summary;
      a line for each file, line and rule

Says file (feed and hash), line, rule, column, advice and state: no value, no patient, no name of a
file. All its text is our own or an analyst's, so that no cell can hold a supplier's formula. The same
quarantine gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from e2analytics.errors import UnreadableError
from e2analytics.spreadsheet import Book, Style, Value, Wrapped

COLUMNS: Final = ("file", "line", "rule", "severity", "column", "advice", "state")
EXCEL_ROWS: Final = 1_048_576
"""Rows of a sheet, its header among them: the limit of the format."""

HOW_TO_SEND_BACK: Final = (
    "Mend these lines and send the rows again in any later file, under the same number (of the result, "
    "scan, order or event).",
    "Rows that were fine need not be sent again; sending them again does no harm.",
    "A line without a number is about the whole file: send that file again, under the same name.",
    "'reject' keeps the row out until it is mended. 'warn' let it in with a doubt: mend it if it is wrong.",
    "'resolved' needs nothing more.",
    "Line 1 is the header. A file is named by our feed and the first 12 digits of its SHA-256.",
)

_WIDTHS: Final = {"Summary": (38, 12, 12, 14, 80), "Lines": (34, 10, 28, 10, 20, 80, 10)}


def write(
    quarantine: pl.DataFrame, files: pl.DataFrame, folder: Path, *, run_id: str | None
) -> list[Path]:
    """Write the lists of every supplier and drop.

    Parameters
    ----------
    quarantine
        As in its contract; ``run_id`` is the run that first listed a line.
    files
        The ledger.
    folder
        Where to write; created if missing.
    run_id
        The one drop to write for; None for all.

    Returns
    -------
    list of Path
        The files written; none for a drop without corrections.

    Raises
    ------
    UnreadableError
        If the folder cannot be written.
    """
    listed = quarantine if run_id is None else quarantine.filter(pl.col("run_id") == run_id)
    drops = listed.select("feed", "run_id").unique().sort("feed", "run_id").rows()
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for feed, run in drops:
            lines = listed.filter((pl.col("feed") == feed) & (pl.col("run_id") == run))
            csv = folder / f"{feed}-{run}.csv"
            book = csv.with_suffix(".xlsx")
            _lines(lines).write_csv(csv)
            _write_book(book, lines, _files_of(lines, files, feed, run), title=csv.stem)
            written += [csv, book]
    except OSError as error:
        raise UnreadableError(
            f"{folder} cannot be written ({error.strerror or 'no such folder'})."
        ) from None
    return written


def _lines(quarantine: pl.DataFrame) -> pl.DataFrame:
    named = quarantine.rename({"source_file": "file", "source_line": "line"})
    return named.select(COLUMNS).sort("file", "line", "rule", "column", "state")


def _files_of(lines: pl.DataFrame, files: pl.DataFrame, feed: str, run_id: str) -> pl.DataFrame:
    """Return the ledger of a drop: the files that a run read of a feed, and those that its list names."""
    listed = pl.col("source_file").is_in(lines["source_file"].unique().to_list())
    read_then = (pl.col("feed") == feed) & (pl.col("run_id") == run_id)
    return files.filter(listed | read_then).sort("source_file")


def by_rule(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Count the lines of each rule, most open lines first.

    >>> by_rule(pl.DataFrame({"rule": ["a", "a"], "severity": "warn", "advice": "Look.",
    ...                       "state": ["open", "resolved"]})).rows()
    [('a', 'warn', 1, 1, 'Look.')]
    """
    return (
        quarantine.group_by("rule", "severity")
        .agg(
            (pl.col("state") == "open").sum().alias("open"),
            (pl.col("state") == "resolved").sum().alias("resolved"),
            # One rule may ask for different things in different tables.
            pl.col("advice").unique().sort().str.join(" / "),
        )
        .sort("open", "resolved", "rule", "severity", descending=[True, True, False, False])
    )


def _write_book(file: Path, quarantine: pl.DataFrame, files: pl.DataFrame, *, title: str) -> None:
    book = Book(file)
    summary = book.add_sheet("Summary", _WIDTHS["Summary"])
    lines = book.add_sheet("Lines", _WIDTHS["Lines"])
    for sheet, pages_high in ((summary, 1), (lines, 0)):
        sheet.set_landscape()
        sheet.fit_to_pages(1, pages_high)  # 0: no limit
    lines.freeze_panes(1, 0)
    lines.repeat_rows(0)
    for number, (values, style) in enumerate(_summary(quarantine, files, title)):
        book.write_row(summary, number, values, style)
    book.write_row(lines, 0, COLUMNS, "bold")
    listed = _lines(quarantine).head(EXCEL_ROWS - 1)
    for number, line in enumerate(listed.iter_rows(), start=1):
        book.write_row(lines, number, line)
    book.close()


def _summary(
    quarantine: pl.DataFrame, files: pl.DataFrame, title: str
) -> Iterator[tuple[Sequence[Value], Style]]:
    """Yield the rows of the summary, each with the style of its text."""
    resolved = int((quarantine["state"] == "resolved").sum())
    yield [f"Rows to mend: {title}"], "bold"
    yield [f"Open lines: {len(quarantine) - resolved:,}. Resolved lines: {resolved:,}."], "plain"
    if len(quarantine) >= EXCEL_ROWS:
        room = (
            f"Excel has room for the first {EXCEL_ROWS - 1:,} of {len(quarantine):,} lines: "
            f"all are in {title}.csv."
        )
        yield [room], "plain"
    yield [], "plain"
    yield ["How to send them back"], "bold"
    yield from (([advice], "plain") for advice in HOW_TO_SEND_BACK)
    yield [], "plain"
    yield ["Rule", "Severity", "Open", "Resolved", "Advice"], "bold"
    for *counts, advice in by_rule(quarantine).iter_rows():
        yield [*counts, Wrapped(advice)], "plain"
    yield [], "plain"
    yield ["File", "Rows read", "Accepted", "In quarantine", "Refused by rule"], "bold"
    read = files.select("source_file", "rows_read", "accepted", "quarantined", "refused")
    yield from ((file, "plain") for file in read.iter_rows())
