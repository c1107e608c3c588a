"""The report as PDF: tagged, with bookmarks and page numbers, set by Typst.

In    the document of a report, and what stands at the head and foot of every sheet
Out   PDF, the same bytes for the same report on every machine

Fonts are those inside Typst, never the machine's. The date of the file is the report's as-of date, so that
it does not differ when it is made again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cache
from importlib import resources
from itertools import pairwise
from math import sqrt
from typing import Any, Final, cast

import typst

from e2analytics.report.formats.document import Block, Boxes, Cell, Document, Picture, Row, Table

STANDARD: Final = "ua-1"
"""PDF/UA-1: reading order, alt texts, language; Typst refuses to write what does not keep it."""
WIDE_TABLES: Final = ("men",)
"""Tables of these classes have sheets of their own, laid across."""
_WORDS, _SENTENCE = 24, 60
"""Letters of a cell."""
_SEVERAL: Final = 2
_PT_PER_PX: Final = 0.56
_MOST_PT: Final = 515
_WIDTH: Final = re.compile(r'\b(?:width="([\d.]+)"|viewBox="\S+ \S+ ([\d.]+) )')


@dataclass(frozen=True, slots=True)
class Edges:
    """What stands at the head and the foot of every sheet, and the day that the file carries."""

    warning: str
    subject: str
    origin: str
    as_of: date


def render_pdf(document: Document, edges: Edges) -> bytes:
    """Set a document on sheets of A4.

    Returns
    -------
    bytes
        A tagged PDF (PDF/UA-1).
    """
    pictures: list[str] = []
    blocks = [_described(block, pictures) for block in document.blocks]
    about = {**asdict(edges), "as_of": edges.as_of.isoformat(), "title": document.title}
    files = {
        "main": _template(),
        "report.json": json.dumps({"about": about, "blocks": blocks}).encode(),
        **{f"{number}.svg": svg.encode() for number, svg in enumerate(pictures)},
    }
    return typst.compile(
        cast(bytes, files),  # a dictionary of files is taken, and missing in the types
        font_paths=_fonts(),
        pdf_standards=STANDARD,
        timestamp=datetime.combine(edges.as_of, time(), UTC),
    )


@cache
def _template() -> bytes:
    return resources.files("e2analytics.report").joinpath("templates", "report.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)


def _described(block: Block, pictures: list[str]) -> Mapping[str, Any]:
    """Return a block for the template; pictures become files."""
    match block:
        case Boxes(role, boxes):
            described: Mapping[str, Any] = {
                "role": role,
                "boxes": [[_described(part, pictures) for part in box] for box in boxes],
            }
        case Picture(svg, alt):
            pictures.append(svg)
            described = {
                "file": f"{len(pictures) - 1}.svg",
                "alt": alt,
                "width_pt": _width_pt(svg),
            }
        case Table():
            across = not set(WIDE_TABLES).isdisjoint(block.role.split())
            body = [asdict(cell) for row in _kept_together(block) for cell in row]
            described = {
                **asdict(block),
                "head": [asdict(cell) for row in block.head for cell in row],
                "n_head_rows": len(block.head),
                "body": body,
                "n_columns": block.n_columns,
                "shares": _shares(block),
                "across": across,
            }
        case _:
            described = asdict(block)
    return {"kind": type(block).__name__.lower(), **described}


def _shares(table: Table) -> list[int]:
    """Share the width of a table with several columns of sentences by how long these are; 0: as needed.

    Left alone, the columns of single words would take as much as those of sentences.
    """
    as_needed = [0] * table.n_columns
    if any(len(row) != table.n_columns for row in (*table.head, *table.body)):
        return as_needed
    columns = zip(*(map(_length, row) for row in table.body), strict=True)
    longest = [max(lengths) for lengths in columns]
    if sum(length > _SENTENCE for length in longest) < _SEVERAL:
        return as_needed
    # By the root: twice the text needs twice the area, and a cell may be taller, too.
    return [0 if length <= _WORDS else round(10 * sqrt(length)) for length in longest]


def _length(cell: Cell) -> int:
    return len(cell.text)


def _kept_together(table: Table) -> list[Row]:
    """Let the first cell of a row reach over the notes below it: Typst breaks no page inside a cell."""
    rows = list(table.body)
    for above, notes in pairwise(range(len(rows))):
        if (
            len(rows[notes]) == 1
            and rows[notes][0].colspan == table.n_columns
            and len(rows[above]) > 1
        ):
            rows[above] = (replace(rows[above][0], rowspan=2), *rows[above][1:])
            rows[notes] = (replace(rows[notes][0], colspan=table.n_columns - 1),)
    return rows


def _width_pt(svg: str) -> float:
    found = _WIDTH.search(svg.partition(">")[0])
    width = next(filter(None, found.groups())) if found else _MOST_PT
    return min(float(width) * _PT_PER_PX, _MOST_PT)
