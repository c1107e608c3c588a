"""What ``inspect`` shows: of each file its feed, the mapping, what would become of its rows.

Names of columns and counts; a value only where :func:`e2analytics.run.inspect.inspect` was asked to keep
some. What comes from a file is shown without its control characters, which a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Final

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from e2analytics.cli.terminal import err, printable
from e2analytics.cli.wording import unsettled_in_words
from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import formats
from e2analytics.feeds.description import Age, Column, Constant, FirstOf, Join, Source
from e2analytics.feeds.drafting import feed_name
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.ingest.unrecognised_values import RARE
from e2analytics.reference import row_rules
from e2analytics.report.formatting import plain
from e2analytics.report.sections.reasons import in_words
from e2analytics.run.inspect import InspectedFile, Inspection, Mapped

EXIT_REFUSED: Final = UnreadableError.exit_code
_CODES_SHOWN: Final = 6
_SAID_OF: Final = {"superseded": "by a newer row, here or of another of these files"}
_ROWS_SIDE_BY_SIDE: Final = 4
_WHERE_TO_ADD: Final = (
    "Add tests, units and drugs to schemas/reference/, other words to `values` of the feed's "
    "description. A test or drug outside our scope need not be added: its rows are set apart."
)
_NO_PATIENT: Final = "missing_patient_id"
_RARE_ARE_HIDDEN: Final = "Rare and long texts may be a patient's: --show-values shows them."
_COUNTS_TWICE: Final = (
    "A man who is in files of two of them would count as two men. If that is so, see “One man in several systems” "
    "in docs/feeds.md."
)
_PATIENTS_MISSING: Final = (
    "unknown_patient: the file with their patients is not among these. Inspect both together; in a run "
    "such rows wait until the patient is known."
)


@contextmanager
def reading_bar() -> Iterator[Callable[[str], None]]:
    """Show on standard error how far the reading has come; yields the function to call with a message."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Reading")
        yield lambda message: bars.update(bar, description=printable(message))


def show(inspection: Inspection, console: Console, draft_file: Path | None = None) -> None:
    """Print what was found.

    Parameters
    ----------
    inspection
        What was found.
    console
        Where to print; without markup.
    draft_file
        A new file to write the draft to, which is printed otherwise.

    Raises
    ------
    UnreadableError
        If there is not one draft for ``draft_file``, or it cannot be written; after all was printed.
    """
    shown: set[_ShownMapping] = set()
    is_drafted_below = draft_file is None and len(inspection.files) == 1
    see = "see the draft" if draft_file or is_drafted_below else "the end says how to draft one"
    for file in inspection.files:
        _show_file(file, console, shown, see)
    if inspection.patients_missing:
        console.print(_PATIENTS_MISSING)
    if len(names := _numbers_of(inspection)) > 1:
        console.print(f"\nPatients' numbers are of {len(names)} namespaces: {'; '.join(names)}.")
        console.print(_COUNTS_TWICE)
    for description, lines in inspection.unsettled.items():
        console.print(unsettled_in_words(description, lines))
    if draft_file is not None:
        _write_draft(inspection, draft_file)
        files = " ".join(quote(_name(file.path)) for file in inspection.files)
        console.print(
            f"Draft: {_name(draft_file)}. Answer each TODO in it, then see what it accepts:"
        )
        console.print(
            f"  e2analytics inspect {files} --feeds {quote(_name(draft_file.parent))}",
            soft_wrap=True,
        )
        return
    drafted = [file for file in inspection.files if file.draft is not None]
    if len(inspection.files) == 1:
        for file in drafted:
            console.print(f"\nDraft for {_name(file.path)}:\n")
            # As it is: a line that is broken is another YAML.
            console.print(f"{file.draft}", end="", soft_wrap=True)
    elif drafted:
        console.print("\nTo draft a description, one for each layout:")
        for file in drafted:
            console.print(f"  {_how_to_draft(file.path)}", soft_wrap=True)


def _numbers_of(inspection: Inspection) -> list[str]:
    """Return each namespace of patients' numbers with the feeds that use it."""
    feeds: dict[str, dict[str, None]] = {}
    for file in inspection.files:
        if file.feed is not None and any("patient_id" in each.kind.columns for each in file.mapped):
            feeds.setdefault(file.feed.namespace, {})[file.feed.feed] = None
    return [f"{namespace} ({', '.join(names)})" for namespace, names in feeds.items()]


def _how_to_draft(path: Path) -> str:
    name = feed_name(path) or "new_supplier"
    return f"e2analytics inspect {quote(_name(path))} --draft feeds/{name}.yaml"


def exit_code(inspection: Inspection) -> int:
    """Return 0, or that of a file that cannot be read or is refused."""
    return EXIT_REFUSED if any(file.refused for file in inspection.files) else 0


def _write_draft(inspection: Inspection, file: Path) -> None:
    drafts = [each.draft for each in inspection.files if each.draft is not None]
    if len(drafts) != 1:
        raise UnreadableError(
            f"There are drafts for {len(drafts)} of the files, and --draft names one file to write. "
            "Give one file: alone, one that a feed describes is drafted, too."
        )
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(drafts[0])
    except OSError as error:
        raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None


_ShownMapping = tuple[int, frozenset[str]]
"""A mapping already printed: the entry of a description, and the columns missing from the file."""


def _show_file(file: InspectedFile, console: Console, shown: set[_ShownMapping], see: str) -> None:
    console.print(f"\n{_name(file.path)}")
    if file.no_data is not None:
        console.print(f"  A run passes it over as no data: {file.no_data}.")
        return
    if file.feed is not None:
        console.print(f"  Feed: {file.feed.feed} ({file.feed.description})")
        console.print(f"  Why: {printable(file.why)}.")
    elif file.refused is None:
        console.print(
            f"  No feed describes it: a run would read nothing of it and be incomplete (exit 11). {see.capitalize()}."
        )
    for sentence in file.nearest:
        console.print(f"  Not {printable(sentence)}.")
    for mapped in file.mapped:
        this = id(mapped.kind), mapped.absent
        _show_mapping(mapped, console, is_shown=this in shown and mapped.first_rows is None)
        shown.add(this)
    if file.mapped and file.feed is not None and formats.of(file.feed.format).defines_columns:
        console.print("  Its columns are explained in docs/feeds.md, “Columns of HL7 and FHIR”.")
    if file.refused is not None:
        console.print(f"  REFUSED {_refusal(file.refused)}")
        if file.draft is not None:
            console.print(f"  If it is another supplier's file than the feed's, {see}.")
        return
    if file.is_repeated:
        console.print("  Another of these files has the same content: it would be read once.")
    if not file.fates.is_empty():
        _show_rows(file, console)
    if file.unused:
        console.print(f"  Nothing uses: {', '.join(map(printable, file.unused))}.")


def _refusal(refused: UnreadableError) -> str:
    if isinstance(refused, RefusedFileError):
        advice = [
            row_rules.load().file_rules[refused.rule].advice,
            row_rules.for_the_clinic().get(refused.rule, ""),
        ]
        return f"{refused}. Nothing of it would be kept. {' '.join(advice)}".strip()
    return f"{refused}."


def _show_mapping(mapped: Mapped, console: Console, *, is_shown: bool) -> None:
    kind = mapped.kind
    record = "" if kind.record == "*" else f" from {printable(kind.record)}"
    if kind.set_apart is not None:
        console.print(f"  Rows{record} are set apart: {kind.set_apart}.")
        return
    if kind.unreadable is not None:
        console.print(f"  Rows{record} wait until they are sent again: {kind.unreadable}.")
        return
    if is_shown:
        console.print(f"  Mapping to {kind.target}{record}: as above.")
        return
    console.print(f"  Mapping to {kind.target}{record}:")
    table = _table("", "")
    for number, part in enumerate(kind.parts, start=1):
        several = f" (result {number} of a line)" if len(kind.parts) > 1 else ""
        for name, source in part.items():
            table.add_row(f"{name}{several}", f"<- {_in_words(source, mapped.absent)}")
    for name, source in kind.columns.items():
        table.add_row(name, f"<- {_in_words(source, mapped.absent)}")
    console.print(_indented(table))
    filled = {name for part in (kind.columns, *kind.parts) for name in part}
    if empty := [name for name in TEXT_COLUMNS[kind.target] if name not in filled]:
        console.print(f"  Nothing fills: {', '.join(empty)}.")
    if mapped.first_rows is not None:
        console.print("  First rows as mapped:")
        for rows in mapped.first_rows.iter_slices(_ROWS_SIDE_BY_SIDE):
            console.print(_indented(_first_rows(rows)))


def _in_words(source: Source, absent: frozenset[str]) -> str:
    def named(column: str) -> str:
        return printable(column) + " (not in the file)" * (column in absent)

    match source:
        case str():
            return named(source)
        case Constant(constant=text):
            return f"always “{text}”"
        case Age(age_years=column, known_on=day):
            return f"{named(column)}, an age in years on {day}"
        case FirstOf(first_of=sources):
            return ", else ".join(_in_words(each, absent) for each in sources)
        case Join(join=sources, by=between, values=values, prefix=prefix):
            written = [_in_words(each, absent) for each in sources]
            text = f" “{between}” ".join(written) + _codes(values, None)
            return f"“{prefix}” {text}" if prefix else text
        case Column(column=column, values=values, otherwise=otherwise):
            unit = f" in {source.unit}" if source.unit else ""
            sign = source.comparator and f"{named(source.comparator.column)} before "
            return (sign or "") + named(column) + unit + _codes(values, otherwise)


def _codes(values: dict[str, str] | None, otherwise: str | None) -> str:
    if values is None:
        return ""
    known = [f"{printable(text)} = {code}" for text, code in values.items()]
    more = [f"{len(known) - _CODES_SHOWN} more"] * (len(known) > _CODES_SHOWN)
    rest = [f"others = {otherwise}"] * (otherwise is not None)
    return f": {', '.join([*known[:_CODES_SHOWN], *more, *rest])}"


def _first_rows(rows: pl.DataFrame) -> Table:
    """Show rows side by side: a table of them has more columns than a terminal."""
    filled = rows.select(each for each in rows if each.name != "source_line" and each.count())
    table = _table("", *(f"line {line}" for line in rows["source_line"]))
    for column in filled:
        table.add_row(column.name, *(printable(text or "") for text in column))
    return table


def _show_rows(file: InspectedFile, console: Console) -> None:
    for (table,), fates in file.fates.group_by("table", maintain_order=True):
        console.print(f"  Its {fates['n_rows'].sum():,} row(s) for {table} would be:")
        rows = _table("rows", "fate", "reason")
        for fate, why, n_rows in fates.select("fate", "why", "n_rows").rows():
            said = _reason(why) or _SAID_OF.get(fate, "")
            rows.add_row(f"{n_rows:,}", fate.replace("_", " "), said)
        console.print(_indented(rows))
    if not file.problems.is_empty():
        rules = set(file.problems["rule"])
        console.print("  Problems, and the first lines that have them:")
        problems = _table("rows", "rule", "", "lines", "what the supplier can do")
        for row in file.problems.iter_rows(named=True):
            lines = ", ".join(map(str, row["lines"]))
            problems.add_row(
                f"{row['n_rows']:,}", row["rule"], row["severity"], lines, row["advice"]
            )
        console.print(_indented(problems))
        _show_what_the_clinic_can_do(file.problems, console)
        if file.feed and formats.of(file.feed.format).kind == "hl7v2" and _NO_PATIENT in rules:
            console.print(
                "  Is the patient's number in another field than PID-3? This looks for it:"
            )
            console.print(f"    {_how_to_draft(file.path)}", soft_wrap=True)
    if not file.unknown.is_empty():
        console.print("  Unrecognised values:")
        unrecognised = _table("rows", "column", "as written")
        for table, what, text, n_rows in file.unknown.rows():
            unrecognised.add_row(f"{n_rows:,}", f"{what} of {table}", printable(text))
        console.print(_indented(unrecognised))
        if (file.unknown["text"] == RARE).any():
            console.print(f"  {_RARE_ARE_HIDDEN}")
        console.print(f"  {_WHERE_TO_ADD}")


def _reason(name: str | None) -> str:
    """Say a reason by its name, and in words where the name does not say it.

    >>> _reason("woman"), _reason("unknown_unit"), _reason(None)
    ('woman: of a woman', 'unknown_unit', '')
    """
    words = in_words(name or "")
    return f"{name}: {words}" if words != plain(name or "") else name or ""


def _show_what_the_clinic_can_do(problems: pl.DataFrame, console: Console) -> None:
    advice = row_rules.for_the_clinic()
    rules = [rule for rule in problems["rule"].unique(maintain_order=True) if rule in advice]
    if not rules:
        return
    console.print("  What you can do yourself:")
    table = _table("", "")
    for rule in rules:
        table.add_row(rule, advice[rule])
    console.print(_indented(table))


def _table(*columns: str) -> Table:
    table = Table(box=None, show_header=any(columns), header_style="", padding=(0, 2, 0, 0))
    for column in columns:
        # Advice may take several lines, a name is read whole.
        table.add_column(
            column,
            justify="right" if column == "rows" else "left",
            overflow="fold",
            no_wrap=column in ("rule", "rows"),
        )
    return table


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 0, 4))


def _name(path: Path) -> str:
    return printable(f"{path}")
