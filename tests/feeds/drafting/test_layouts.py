"""Eight layouts that no feed describes: their draft, with the few corrections of a person, reads them right.

The corrections stand in each test: what the draft asks for (TODO), and no more. The layouts are made up.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.drafting import draft
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.frames import Run
from e2analytics.run.steps import take_in
from e2analytics.settings import Settings
from e2analytics.tables.snapshot import Snapshot
from tests.feeds.transport import Column, transport

LAYOUTS = Path(__file__).parent / "layouts"
TODAY = date(2026, 9, 30)
KEY = b"the key of the tests, long enough"
WHO = {"417": "1961-03-14", "421": "1970-11-02", "433": "1958-07-30"}


class Read(NamedTuple):
    """What came of files read by a draft."""

    accepted: dict[str, pl.DataFrame]
    waiting: list[tuple[str, int]]
    unmatched: int


def corrected(text: str, corrections: Mapping[str, str]) -> str:
    """Make the corrections of a person: each text stands in the draft, and is replaced."""
    for before, after in corrections.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


def read(folder: Path, feeds: Mapping[str, str]) -> Read:
    """Read a drop by the shipped feeds and by ``feeds``: name of a file -> description."""
    described = folder.parent / "feeds"
    described.mkdir()
    for name, text in feeds.items():
        (described / f"{name}.yaml").write_text(text, encoding="utf-8")
    sources = Sources.from_drop(folder, load_feeds(described), KEY, today=TODAY)
    intake = take_in(sources, Snapshot(), Run(as_of=TODAY, settings=Settings()))
    number = {
        row["patient_id"]: row["source_patient_id"]
        for row in sources.crosswalk.iter_rows(named=True)
    }
    accepted = {
        table: (rows := intake.accepted(table)).with_columns(
            man=rows["patient_id"].cast(pl.String).replace(number)
            if "patient_id" in rows.columns
            else pl.lit("")
        )
        for table in ("patients", "labs", "medications")
    }
    rules = intake.quarantine.group_by("rule").len().sort("rule")
    waiting = [(f"{rule}", n) for rule, n in rules.rows()]
    return Read(accepted, waiting, len(sources.unmatched))


def results(found: Read) -> list[tuple[Any, ...]]:
    labs = found.accepted["labs"].with_columns(pl.col("analyte", "unit").cast(pl.String))
    columns = ("man", "collected_on", "analyte", "value_low", "value_high")
    return [
        (man, f"{day}", analyte, round(low, 1), round(high, 1))
        for man, day, analyte, low, high in labs.select(columns).sort(columns).rows()
    ]


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def with_patients(folder: Path, *numbers: str) -> None:
    """Add the men of a layout that does not know them itself, in the canonical layout."""
    lines = [
        "patient_id,clinic_id,sex,birth_date",
        *(f"{each},C1,M,1961-03-14" for each in numbers),
    ]
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")


def test_a_practice_systems_results(drop: Path):
    shutil.copy(LAYOUTS / "pms_results.csv", drop)
    text = draft(drop / "pms_results.csv", "pms_results")

    assert 'dates: ["%m/%d/%Y"]  # month first: 11 of 24 dates cannot be day first' in text
    assert "# 8: 5 numbers, 1 with <, 1 QNS (no result), 1 ND (TODO: below which limit?)" in text
    assert "# 3 different in 8: 99999 (8; 8 with zeros in front)" in text
    feed = corrected(
        text,
        {
            "{constant: new_supplier}": "{constant: north}",
            "value: Rslt ": 'value: {column: Rslt, values: {ND: "<5.0"}} ',
        },
    )
    found = read(drop, {"pms": feed})

    assert results(found) == [
        ("00417", "2026-01-05", "estradiol", 22.4, 22.4),
        ("00417", "2026-01-05", "testosterone_total", 812.0, 812.0),
        ("00417", "2026-06-20", "estradiol", 0.0, 5.0),
        ("00421", "2026-02-18", "estradiol", 18.1, 18.1),
        ("00421", "2026-02-18", "hematocrit", 49.1, 49.1),
        ("00433", "2026-03-02", "estradiol", 0.0, 5.0),
        ("00433", "2026-03-02", "testosterone_total", 455.0, 455.0),
    ]
    assert found.waiting == []
    assert found.accepted["patients"]["birth_date"].sort().to_list() == [
        date(1958, 7, 30),
        date(1961, 3, 14),
        date(1970, 11, 2),
    ]


def test_a_practice_systems_orders_end_and_are_not_withdrawn_when_they_are_discontinued(drop: Path):
    shutil.copy(LAYOUTS / "pms_medications.csv", drop)
    with_patients(drop, "00417", "00421", "00433")
    found = read(drop, {"pms": draft(drop / "pms_medications.csv", "pms")})

    orders = found.accepted["medications"].sort("order_id")
    assert orders.select("order_id", "man", "started_on", "stopped_on").rows() == [
        ("R1", "00417", date(2026, 1, 15), None),
        ("R2", "00417", date(2025, 11, 20), None),
        ("R3", "00421", date(2026, 2, 1), date(2026, 3, 15)),
    ]
    # R4 ended on a day that nobody says: it waits. R5 never was.
    assert found.waiting == [("unreadable_stopped_on", 1)]


def test_a_wide_table_with_a_column_for_each_test(drop: Path):
    shutil.copy(LAYOUTS / "wide_panel.csv", drop)
    text = draft(drop / "wide_panel.csv", "panel")

    assert "# a line holds 3 result(s), a column each" in text
    found = read(drop, {"panel": corrected(text, {"{constant: new_supplier}": "{constant: nord}"})})

    assert [each for each in results(found) if each[2] == "estradiol"] == [
        ("P-1001", "2026-01-05", "estradiol", 22.2, 22.2),
        ("P-1001", "2026-06-20", "estradiol", 0.0, 10.1),
        ("P-1002", "2026-02-11", "estradiol", 18.0, 18.0),
        ("P-1004", "2026-03-25", "estradiol", 28.0, 28.0),
        ("P-1005", "2026-03-30", "estradiol", 26.0, 26.0),
    ]
    assert len(results(found)) == 15
    assert found.waiting == []


def test_a_table_on_its_side_with_a_column_for_each_day(drop: Path):
    shutil.copy(LAYOUTS / "flowsheet.csv", drop)
    with_patients(drop, "00417", "00421")
    found = read(drop, {"flowsheet": draft(drop / "flowsheet.csv", "flowsheet")})

    assert results(found) == [
        ("00417", "2026-01-05", "estradiol", 22.4, 22.4),
        ("00417", "2026-01-05", "testosterone_total", 812.0, 812.0),
        ("00417", "2026-06-20", "estradiol", 0.0, 5.0),
        ("00417", "2026-06-20", "testosterone_total", 790.0, 790.0),
        ("00421", "2026-03-14", "estradiol", 18.1, 18.1),
        ("00421", "2026-03-14", "testosterone_total", 640.0, 640.0),
        ("00421", "2026-06-20", "estradiol", 17.2, 17.2),
        ("00421", "2026-06-20", "testosterone_total", 655.0, 655.0),
    ]
    assert found.waiting == []


def test_messages_whose_patient_number_is_the_specimens(drop: Path):
    shutil.copy(LAYOUTS / "reglab.hl7", drop)
    text = draft(drop / "reglab.hl7", "reglab")

    assert "# So the patient is taken from PID-2." in text
    found = read(drop, {"reglab": text})

    assert [each for each in results(found) if each[2] == "estradiol"] == [
        ("501", "2026-01-05", "estradiol", 22.4, 22.4),
        ("501", "2026-06-20", "estradiol", 9.1, 9.1),
        ("502", "2026-02-18", "estradiol", 18.1, 18.1),
    ]
    assert len(found.accepted["patients"]) == 2
    assert found.waiting == []


def test_bulk_data_under_names_of_its_own(drop: Path):
    for file in (LAYOUTS / "fhir_bulk").iterdir():
        shutil.copy(file, drop)
    # One draft is enough for all files of the export.
    found = read(drop, {"bulk": draft(drop / "Observation.0.txt", "bulk")})

    assert found.unmatched == 0
    assert results(found) == [
        ("p1", "2026-01-05", "estradiol", 22.4, 22.4),
        ("p1", "2026-06-20", "estradiol", 0.0, 5.0),
        ("p2", "2026-02-18", "estradiol", 18.1, 18.1),
    ]


def test_a_measurement_table_of_omop_in_other_clothes(drop: Path):
    shutil.copy(LAYOUTS / "omop_measurement.tsv", drop)
    with_patients(drop, "71", "72")
    found = read(drop, {"omop": draft(drop / "omop_measurement.tsv", "omop")})

    assert results(found) == [
        ("71", "2026-01-05", "estradiol", 22.4, 22.4),
        ("71", "2026-01-05", "testosterone_total", 812.0, 812.0),
        ("71", "2026-06-20", "estradiol", 0.0, 5.0),
        ("72", "2026-02-18", "estradiol", 18.1, 18.1),
    ]


def test_sas_columns_are_known_by_their_labels(drop: Path):
    columns = [
        Column("SUBJ", "Unique Subject Identifier", width=8),
        Column("C3", "Sequence Number"),
        Column("C4", "Lab Test or Examination Name", width=24),
        Column("C5", "Result or Finding in Original Units", width=8),
        Column("C6", "Original Units", width=8),
        Column("C7", "Date/Time of Specimen Collection", "DATE9"),
    ]
    rows: list[list[float | str | None]] = [
        ["417", 1.0, "Estradiol", "22.4", "pg/mL", 24_111.0],
        ["417", 2.0, "Testosterone", "812", "ng/dL", 24_111.0],
        ["421", 1.0, "Estradiol", "<5", "pg/mL", 24_277.0],
    ]
    (drop / "lb.xpt").write_bytes(transport(columns, rows))
    with_patients(drop, "417", "421")
    text = draft(drop / "lb.xpt", "trial")

    assert 'value: C5  # "Result or Finding in Original Units"; 3: 2 numbers, 1 with <' in text
    found = read(drop, {"trial": text})

    assert results(found) == [
        ("417", "2026-01-05", "estradiol", 22.4, 22.4),
        ("417", "2026-01-05", "testosterone_total", 812.0, 812.0),
        ("421", "2026-06-20", "estradiol", 0.0, 5.0),
    ]
