"""Copies a shipped description for a supplier who needs another.

In    a file whose columns its reader defines (HL7, FHIR), or a feed of tables
Out   the shipped description, of HL7 and FHIR for files named like this one; where the patient's number of HL7 seems to be the
      specimen's, with the field that holds the patient's, and what shows it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from e2analytics.feeds import formats
from e2analytics.feeds.drafting import evidence
from e2analytics.feeds.reader import FormatOptions
from e2analytics.reference import schemas_folder
from e2analytics.reference.yaml_text import from_yaml

_MOST_BATCHES: Final = 4
_WHOSE_NUMBERS: Final = "# TODO: are these patient numbers those of your other files? See “One man in several systems” in docs/feeds.md."
_NUMBERS: Final = {
    "external_id": "PID-2",
    "alternate_id": "PID-4",
    "id_mr": "PID-3 of type MR",
    "id_pi": "PID-3 of type PI",
    "id_pt": "PID-3 of type PT",
    "account_number": "PID-18",
}
"""Where a patient's number may be beside the first of PID-3, the likeliest first."""


def copy_of_tables(shipped: str, name: str) -> str | None:
    """Return the shipped description of a database's or laboratory's tables, to be changed; none if none is shipped.

    It is the same to the letter, with its comments, under another name, and so comes before the shipped one.
    """
    file = schemas_folder() / "feeds" / f"{shipped}.yaml"
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    head = (
        f"# A draft by `e2analytics inspect`: the feed {shipped} as it is, to be changed. It comes before that one.\n"
        f"{_WHOSE_NUMBERS}\n"
    )
    return head + re.sub(rf"(?m)^feed: {re.escape(shipped)}$", f"feed: {name}", text, count=1)


def copy_of(shipped: str, path: Path, options: FormatOptions, name: str | None) -> str:
    """Return a shipped description for files that are called otherwise."""
    file = schemas_folder() / "feeds" / f"{shipped}.yaml"
    feed = from_yaml(file.read_text(encoding="utf-8"))
    headers = formats.header(path, options)
    for kind in feed["files"]:
        kind["name"] = f"*{path.suffix.lower()}" if path.suffix else re.sub(r"\d+", "*", path.name)
        kind["header"] = headers.get(kind["record"], [])[:1]
    feed["feed"] = name or f"{shipped}_copy"
    comments = [
        f"# A draft by `e2analytics inspect`: the feed {shipped}, for another supplier or files of another name.",
        "# TODO: check `name`: which files are meant?",
    ]
    if options.kind == "fhir":
        comments.append(_WHOSE_NUMBERS)
    if options.kind == "hl7v2":
        comments += _patients_number(path, options, feed)
    return "".join(f"{line}\n" for line in comments) + yaml.safe_dump(
        feed, sort_keys=False, allow_unicode=True, width=100
    )


def _patients_number(path: Path, options: FormatOptions, feed: dict[str, Any]) -> Iterator[str]:
    """Say which numbers of patients there are, and take another than PID-3 where that is the specimen's."""
    batches = islice(formats.read(path, options), _MOST_BATCHES)
    found = [batch.rows for batch in batches if batch.record == "OBX"]
    if not found:
        return
    rows = pl.concat(found, how="diagonal_relaxed")
    places = {"first_id": "PID-3", **_NUMBERS}
    there = [name for name in places if name in rows.columns and rows[name].count()]
    for name in there:
        yield f"# {places[name]} ({name}): {evidence.of_numbers(rows[name])}"
    if not _is_a_specimen(rows):
        return
    others = [name for name in _NUMBERS if name in there]
    yield "# PID-3 is the number of a specimen or an order here, or another in every message: no patient's."
    if not others:
        yield "# TODO: no other field holds a number of the patient: ask the supplier for one."
        return
    taken = others[0]
    yield f"# So the patient is taken from {places[taken]}. TODO: are these the numbers of your other files?"
    # Of results, orders and the man himself: one number, or one man would be two.
    for kind in feed["files"]:
        if "patient_id" in kind.get("columns", {}):
            kind["columns"]["patient_id"] = taken
            # It is that of PID-3.
            kind["columns"].pop("assigning_authority", None)


def _is_a_specimen(rows: pl.DataFrame) -> bool:
    first, filler = rows["first_id"], rows["filler"]
    if len(rows) and first.null_count() < len(rows):
        equal = (first == filler).fill_null(False).sum()
        if 2 * equal >= len(rows):
            return True
    per_order = rows.select("first_id", "filler").unique()
    others = [name for name in _NUMBERS if rows[name].count()]
    # A number for each order, while another field repeats its own: the same man was there again.
    return any(
        rows[name].n_unique() < per_order["first_id"].n_unique() == len(per_order) > 1
        for name in others
    )
