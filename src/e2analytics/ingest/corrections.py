"""Returns: what a supplier is asked to mend, as lists that can go back to them.

In    quarantine, files
Out   for every feed and drop ``<feed>-<run>.csv``, and the same as ``.xlsx`` with a page of summary;
      a line for each file, line and rule

Says file (feed and hash), line, rule, column, advice and state: no value, no patient, no name of a
file. All its text is our own or an analyst's, so that no cell can hold a supplier's formula. The same
quarantine gives the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import polars as pl
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.writer.excel import ExcelWriter

from e2analytics.errors import UnreadableError

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
_BOLD: Final = Font(bold=True)
_WRAPPED: Final = Alignment(wrap_text=True, vertical="top")
_EPOCH: Final = datetime(1980, 1, 1)  # the earliest time that a zip archive can say


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
        Where to; made if it is not there.
    run_id
        The one drop to write for; None for all.

    Returns
    -------
    list of Path
        What was written; nothing for a drop in which nothing was to be mended.

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
    """Return the ledger of a drop: what a run read of a feed, and whatever its list is about."""
    listed = pl.col("source_file").is_in(lines["source_file"].unique().to_list())
    read_then = (pl.col("feed") == feed) & (pl.col("run_id") == run_id)
    return files.filter(listed | read_then).sort("source_file")


def by_rule(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Count the lines of each rule, those with the most to mend first.

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
    book = Workbook(write_only=True)
    book.properties.creator = "e2analytics"
    book.properties.created = book.properties.modified = _EPOCH
    summary = _sheet(book, "Summary")
    for row in _summary(summary, quarantine, files, title):
        summary.append(row)
    sheet = _sheet(book, "Lines")
    sheet.append(_bold(sheet, COLUMNS))
    for line in _lines(quarantine).head(EXCEL_ROWS - 1).iter_rows():
        sheet.append(line)
    with _Undated(file, "w", ZIP_DEFLATED) as archive:
        ExcelWriter(book, archive).save()


def _summary(
    sheet: Any, quarantine: pl.DataFrame, files: pl.DataFrame, title: str
) -> Iterator[Sequence[Any]]:
    resolved = int((quarantine["state"] == "resolved").sum())
    yield _bold(sheet, [f"Rows to mend: {title}"])
    yield [f"Open lines: {len(quarantine) - resolved:,}. Resolved lines: {resolved:,}."]
    if len(quarantine) >= EXCEL_ROWS:
        yield [
            f"Excel has room for the first {EXCEL_ROWS - 1:,} of {len(quarantine):,} lines: "
            f"all are in {title}.csv."
        ]
    yield []
    yield _bold(sheet, ["How to send them back"])
    yield from ([advice] for advice in HOW_TO_SEND_BACK)
    yield []
    yield _bold(sheet, ["Rule", "Severity", "Open", "Resolved", "Advice"])
    for *facts, advice in by_rule(quarantine).iter_rows():
        yield [*facts, _cell(sheet, advice, alignment=_WRAPPED)]
    yield []
    yield _bold(sheet, ["File", "Rows read", "Accepted", "In quarantine", "Refused by rule"])
    yield from files.select(
        "source_file", "rows_read", "accepted", "quarantined", "refused"
    ).iter_rows()


def _sheet(book: Workbook, name: str) -> Any:
    # Any: the type stubs do not know that a sheet that is only written has columns and a page, too.
    sheet: Any = book.create_sheet(name)
    for letter, width in zip("ABCDEFG", _WIDTHS[name], strict=False):
        sheet.column_dimensions[letter].width = width
    sheet.page_setup.orientation = "landscape"
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.page_setup.fitToHeight = 1 if name == "Summary" else 0
    if name == "Lines":
        sheet.freeze_panes = "A2"
        sheet.print_title_rows = "1:1"
    return sheet


def _bold(sheet: Any, texts: Sequence[str]) -> list[Any]:
    return [_cell(sheet, text, font=_BOLD) for text in texts]


def _cell(sheet: Any, text: str, **style: Font | Alignment) -> Any:
    cell = WriteOnlyCell(sheet, text)
    for name, value in style.items():
        setattr(cell, name, value)
    return cell


class _Undated(ZipFile):
    """A zip archive that does not tell when it was made."""

    def writestr(self, zinfo_or_arcname: str | ZipInfo, data: Any, *_: Any, **__: Any) -> None:
        """Add ``data`` under a name, without its time."""
        super().writestr(_undated(str(zinfo_or_arcname)), data)

    def write(self, filename: str | PathLike[str], arcname: Any = None, *_: Any, **__: Any) -> None:
        """Add a file under ``arcname``, without its time."""
        info = _undated(str(arcname))
        # Its size is not known beforehand: a sheet may need the long form of the format.
        with Path(filename).open("rb") as source, self.open(info, "w", force_zip64=True) as entry:
            shutil.copyfileobj(source, entry)


def _undated(name: str) -> ZipInfo:
    info = ZipInfo(name, _EPOCH.timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    return info
