"""Reads FHIR R4: Bulk Data (NDJSON, a resource a line), Bundles and single resources (``.json``).

In    a file; ``.json`` is one resource or Bundle, any other name a resource a line
Out   batches of these records, every column text (``COLUMNS``):
        Patient           a Patient                                             (``patients``)
        Death             one who has died
        Observation       a value of an Observation, its own or a component's   (``observations``)
        DXA               a bone density with its scores                        (``scans``)
        DXA score         where such a score stood; its value is in the DXA row
        Medication        an order, a statement or a dispensing                 (``medications``)
        DiagnosticReport  a report; what it found are rows of their own
        other             any other resource
        unreadable        a line or entry that is no resource, with its ``problem``
      ``source_line`` is the line, or the number of the entry of a Bundle, from 1; ``source_part`` numbers
      the rows of one line from 0: a resource's own, its components', those of what it contains

Every resource has at least one row. Drugs, devices and scores of bone densities may stand in other files of the
drop, as Bulk Data writes them. Lines are read one by one; DXA rows, which are few, come at the end of the file, when
all scores are known. A ``.json`` is read whole and needs eight times its size in
memory, hence its limit of 256 MiB. A file is refused that is empty, cut off, too large or without any
resource; a single bad line is a row of ``unreadable``, and the rest goes on.

The standard json module reads it: models of all FHIR resources are large, and refuse a whole resource for
an element that is not needed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.fhir import (
    medications,
    neighbours,
    nodes,
    observations,
    patients,
    scans,
)
from e2analytics.feeds.fhir.nodes import UnusableError, children, text
from e2analytics.feeds.fhir.observations import Row
from e2analytics.feeds.fhir.resources import (
    LOINC,
    Directory,
    Resource,
    code,
    patient_id,
    unfold,
    unfold_bundle,
)
from e2analytics.feeds.fhir.scans import Reading
from e2analytics.feeds.reader import Beginning, FormatOptions

REPORT: Final = "DiagnosticReport"
OTHER: Final = "other"
UNREADABLE: Final = "unreadable"
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    patients.RECORD: patients.COLUMNS,
    patients.DEATH_RECORD: patients.DEATH_COLUMNS,
    observations.RECORD: observations.COLUMNS,
    scans.RECORD: scans.COLUMNS,
    scans.SCORE_RECORD: scans.SCORE_COLUMNS,
    medications.RECORD: medications.COLUMNS,
    REPORT: ("report_id", "patient_id", "loinc", "status"),
    OTHER: ("resource_type",),
    UNREADABLE: ("problem",),
}
"""The columns of every record."""

_LONGEST_LINE = 16 * 2**20
_LARGEST_DOCUMENT = 256 * 2**20
_HEAD = 2**20
_LINE_SUFFIXES: Final = frozenset({".ndjson", ".jsonl"})
_ROWS_A_BATCH = 50_000
_BOM = b"\xef\xbb\xbf"
# What is wrong with a single document, as a rule of files; a line keeps the finer word.
_RULES: Final = {
    nodes.WRONG_ENCODING: ("wrong_encoding", "it is not UTF-8"),
    nodes.NOT_TEXT: ("not_text", "it holds characters that are no text"),
    nodes.NOT_FHIR: ("not_fhir", "it holds no FHIR resource"),
    nodes.TOO_DEEP: ("not_json", "it is nested too deep"),
    nodes.DUPLICATE_KEY: ("not_json", "an object has a key twice"),
    nodes.NOT_JSON: ("not_json", "it cannot be read as JSON"),
}


class Options(FormatOptions, frozen=True):
    """FHIR has no options."""

    kind: Literal["fhir"]


class _Unusable(NamedTuple):
    line: int
    problem: str


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a file.

    Raises
    ------
    RefusedFileError
        At any moment, with the rule that the file breaks.
    """
    try:
        if path.stat().st_size == 0:
            raise RefusedFileError("empty_file", "it holds nothing")
        if _is_document(path):
            resources = list(_document(path))
            yield from _batches(
                path, resources, Directory(lambda: resources, lambda: _others(path))
            )
        else:
            directory = Directory(
                lambda: _holding(path, neighbours.DIRECTORY), lambda: _others(path)
            )
            yield from _batches(path, _lines(path), directory)
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be read") from None


def companions(path: Path) -> list[Path]:
    """Return the files of the drop that a file's references may lead to."""
    return neighbours.needed(path)


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of every record that a FHIR file may hold; none if it is no such file."""
    columns = {record: list(names) for record, names in COLUMNS.items()}
    if path.suffix.lower() in _LINE_SUFFIXES:
        return columns  # the name says it, even of a file that is broken
    try:
        with path.open("rb") as file:
            is_fhir = b'"resourceType"' in file.read(_HEAD)
    except OSError:
        return {}
    return columns if is_fhir else {}


def looks_like(beginning: Beginning) -> bool:
    """Return whether a file begins like FHIR resources.

    Raises
    ------
    RefusedFileError
        If it is other JSON, which no reader takes.
    """
    if beginning.text.lstrip()[:1] not in ("{", "["):
        return False
    if not header(beginning.path, Options(kind="fhir")):
        raise RefusedFileError("not_fhir", "it is JSON and holds no FHIR resources")
    return True


def _is_document(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _document(path: Path) -> Iterator[Resource]:
    if path.stat().st_size > _LARGEST_DOCUMENT:
        raise RefusedFileError(
            "too_large_inside",
            "a Bundle of more than 256 MiB; send it as NDJSON, a resource a line",
        )
    try:
        body = nodes.parse(path.read_bytes().removeprefix(_BOM))
    except UnusableError as error:
        raise RefusedFileError(*_RULES[error.problem]) from None
    if text(body, "resourceType") is None:
        raise RefusedFileError(*_RULES[nodes.NOT_FHIR])
    is_bundle = text(body, "resourceType") == "Bundle" and children(body, "entry")
    return unfold_bundle(body) if is_bundle else unfold(body, 1)


def _lines(path: Path) -> Iterator[Resource | _Unusable]:
    first_problem, usable = None, False
    for line, content, ended in _raw_lines(path):
        try:
            body = nodes.parse(content)
        except UnusableError as error:
            if not ended and content.startswith(b"{") and not content.endswith(b"}"):
                raise RefusedFileError("truncated_file", "its last line is cut off") from None
            first_problem = first_problem or error.problem
            yield _Unusable(line, error.problem)
            continue
        for resource in unfold(body, line):
            usable = usable or resource.type is not None
            yield resource
    if not usable:
        raise RefusedFileError(*_RULES[first_problem or nodes.NOT_FHIR])


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the number and content of each line that is not blank, and whether it ends."""
    with path.open("rb") as file:
        line = 0
        while content := file.readline(_LONGEST_LINE + 1):
            line += 1
            ended = content.endswith(b"\n")
            if len(content) > _LONGEST_LINE and not ended:
                raise RefusedFileError("line_too_long", f"line {line} is longer than 16 MiB")
            stripped = (content.removeprefix(_BOM) if line == 1 else content).strip()
            if stripped:
                yield line, stripped, ended


def _holding(path: Path, pattern: re.Pattern[bytes]) -> Iterator[Resource]:
    """Yield the resources of the lines of a file, or of a document, that hold a pattern."""
    if _is_document(path):
        yield from _document(path)
        return
    for line, content, _ in _raw_lines(path):
        if pattern.search(content):
            try:
                yield from unfold(nodes.parse(content), line)
            except UnusableError:
                continue  # the first reading has counted it


def _others(path: Path) -> Iterator[Resource]:
    """Yield the drugs and devices of the files beside a file."""
    for each in neighbours.with_directory(path):
        with suppress(RefusedFileError):  # it is refused when its own turn comes
            yield from _holding(each, neighbours.DIRECTORY)


def _readings_beside(path: Path, directory: Directory) -> Iterator[Reading]:
    """Yield the DXA readings of the files beside a file."""
    for file in neighbours.with_scans(path):
        with suppress(RefusedFileError):
            for each in _holding(file, neighbours.scan_codes()):
                for _, row in _rows(each, directory):
                    if isinstance(row, Reading):
                        yield replace(row, resource=(file.name, *row.resource[1:]))


def _batches(
    path: Path, resources: Iterable[Resource | _Unusable], directory: Directory
) -> Iterator[Batch]:
    rows: dict[str, list[dict[str, object]]] = {record: [] for record in COLUMNS}
    readings: list[tuple[Reading, int, int]] = []
    line, part, held = 0, 0, 0
    for each in resources:
        if each.line != line:
            line, part = each.line, 0
        for record, row in _rows(each, directory):
            if isinstance(row, Reading):
                own = replace(row, resource=(path.name, *row.resource[1:]))
                readings.append((own, line, part))
            else:
                rows[record].append({**row, "source_line": line, "source_part": part})
                held += 1
            part += 1
        if held >= _ROWS_A_BATCH:
            yield from _frames(rows)
            held = 0
    others = _readings_beside(path, directory) if readings else ()
    for record, row, line, part in scans.joined(readings, others):
        rows[record].append({**row, "source_line": line, "source_part": part})
    yield from _frames(rows)


def _rows(each: Resource | _Unusable, directory: Directory) -> Iterator[tuple[str, Row | Reading]]:
    if isinstance(each, _Unusable):
        yield UNREADABLE, {"problem": each.problem}
    elif each.type is None:
        yield UNREADABLE, {"problem": nodes.NOT_FHIR}
    elif each.type == "Patient":
        yield from patients.read(each)
    elif each.type == "Observation":
        for row in observations.read(each, directory):
            yield observations.RECORD, row
    elif each.type in medications.TYPES:
        for row in medications.read(each, directory):
            yield medications.RECORD, row
    elif each.type == REPORT:
        yield REPORT, _report(each)
    else:
        yield OTHER, {"resource_type": each.type}


def _report(report: Resource) -> Row:
    return {
        "report_id": report.id,
        "patient_id": patient_id(report),
        "loinc": code(nodes.child(report.body, "code"), LOINC),
        "status": text(report.body, "status"),
    }


def _frames(rows: dict[str, list[dict[str, object]]]) -> Iterator[Batch]:
    for record, collected in rows.items():
        if collected:
            schema = {
                **dict.fromkeys(COLUMNS[record], pl.String),
                "source_line": pl.Int64,
                "source_part": pl.Int64,
            }
            frame = pl.DataFrame(collected, schema=schema)
            yield Batch(record, frame.with_columns(short_line=pl.lit(False)))
            collected.clear()
