"""Writes FHIR files for tests and reads them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from e2analytics.feeds.fhir import reader as fhir

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
OPTIONS = fhir.Options(kind="fhir")


def lines(folder: Path, *resources: Any) -> Path:
    """Write an NDJSON file; what is text already stands as it is."""
    file = folder / "export.ndjson"
    written = (each if isinstance(each, str) else json.dumps(each) for each in resources)
    file.write_text("".join(f"{each}\n" for each in written), encoding="utf-8")
    return file


def bundle(folder: Path, *entries: Any) -> Path:
    """Write a Bundle of resources, or of whole entries where they have a fullUrl."""
    listed = [each if "fullUrl" in each else {"resource": each} for each in entries]
    return document(folder, {"resourceType": "Bundle", "type": "collection", "entry": listed})


def document(folder: Path, body: Any) -> Path:
    file = folder / "export.json"
    file.write_text(json.dumps(body), encoding="utf-8")
    return file


def rows(file: Path, record: str) -> list[dict[str, Any]]:
    """Return the rows of one record, without what is empty."""
    return [
        {name: value for name, value in row.items() if value is not None and name != "short_line"}
        for batch in fhir.read(file, OPTIONS)
        if batch.record == record
        for row in batch.rows.rows(named=True)
    ]


def places(file: Path) -> list[tuple[str, int, int]]:
    """Return record, line and part of every row."""
    return sorted(
        (batch.record, line, part)
        for batch in fhir.read(file, OPTIONS)
        for line, part in batch.rows.select("source_line", "source_part").rows()
    )


def coded(code: str, system: str = LOINC, **more: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, **more}]}
