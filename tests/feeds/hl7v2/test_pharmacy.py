"""HL7 v2 messages of pharmacies: orders, dispensings, and doses that were given."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from tests.conftest import KEY
from tests.feeds.hl7v2.hl7_files import PID, a_message, fates, read


def msh(kind: str) -> str:
    return f"MSH|^~\\&|RX|PHARM|EHR|CLINIC|20260310090000-0500||{kind}|M1|P|2.5.1"


RDE, RDS, RAS = msh("RDE^O11^RDE_O11"), msh("RDS^O13^RDS_O13"), msh("RAS^O17^RAS_O17")
ORC = "ORC|NW|P7^EHR|F7^PHARM||||||20260302100000"
DRUG = "199224^anastrozole 1 MG Oral Tablet^RXNORM"
TQ1 = "TQ1|1||BIW||||20260303|"


def rx(*segments: str) -> dict[str, Any]:
    (row,) = read(a_message(*segments))["RX"].rows(named=True)
    return {name: value for name, value in row.items() if value is not None}


def medications(folder: Path, *segments: str) -> list[tuple[Any, ...]]:
    (folder / "rx.hl7").write_bytes(a_message(*segments).encode())
    found = Sources.from_drop(folder, load_feeds(), KEY, today=date(2026, 9, 30)).rows
    columns = ("drug", "weekly_dose_mg", "started_on", "stopped_on", "status", "excluded", "reject")
    return found["medications"].select(pl.col(columns).cast(pl.String)).rows()


def test_an_encoded_order_is_a_row(tmp_path: Path):
    segments = (RDE, PID, ORC, f"RXE||{DRUG}|1||mg{'|' * 20}1|mg", TQ1)

    row = rx(*segments)
    assert (row["order_id"], row["patient_id"], row["rxnorm"]) == ("P7^EHR", "M001", "199224")
    assert (row["dose_mg"], row["sig"], row["strength"]) == ("1", "1 mg BIW", "1 mg")
    assert fates(a_message(*segments)) == {"PID": 1, "RX": 1}
    assert medications(tmp_path, *segments) == [
        ("anastrozole", "2.0", "2026-03-03", None, "F", None, None)
    ]


@pytest.mark.parametrize(
    ("rxe", "timing", "expected"),
    [
        # Instructions in words come before coded amounts.
        (f"RXE||{DRUG}|1||mg||^take 1 tablet twice weekly", None, ("2.0", "2026-03-02", None)),
        # A pattern that contradicts the words leaves the dose open, one that agrees does not; two are two doses.
        (f"RXE||{DRUG}|1||mg||^1 mg once a week", TQ1, (None, "2026-03-03", None)),
        (f"RXE||{DRUG}|1||mg||^1 mg Monday and Thursday", TQ1, ("2.0", "2026-03-03", None)),
        (
            f"RXE||{DRUG}|1||mg||^1 mg once a week",
            "TQ1|1||SEE TEXT||||20260303",
            ("1.0", "2026-03-03", None),
        ),
        (f"RXE||{DRUG}|1||mg", "TQ1|1||QAM~QPM||||20260303", ("14.0", "2026-03-03", None)),
        # The timing of older releases, in RXE-1: start, end, duration.
        (f"RXE|^QOD^^20260305^20260405|{DRUG}|1||mg", None, ("3.5", "2026-03-05", "2026-04-05")),
        (f"RXE|^BIW^W2^20260305|{DRUG}|1||mg", None, ("2.0", "2026-03-05", "2026-03-19")),
        (f"RXE||{DRUG}|1||mg", "TQ1|1||BIW|||10^D|20260303", ("2.0", "2026-03-03", "2026-03-13")),
        # What is open stays unknown: a range, as needed, a pattern nobody knows, two patterns, a hold.
        (f"RXE||{DRUG}|1|2|mg", TQ1, (None, "2026-03-03", None)),
        (f"RXE||{DRUG}|1||mg", "TQ1|1||BIW||||20260303||PRN", (None, "2026-03-03", None)),
        (f"RXE||{DRUG}|1||mg", "TQ1|1||QXYZ||||20260303", (None, "2026-03-03", None)),
        (f"RXE||{DRUG}|1||mL", TQ1, (None, "2026-03-03", None)),
    ],
)
def test_dose_and_days_of_an_order(
    tmp_path: Path, rxe: str, timing: str | None, expected: tuple[str | None, ...]
):
    segments = filter(None, (RDE, PID, ORC, rxe, timing))

    ((_, *found),) = medications(tmp_path, *segments)

    assert tuple(found[:3]) == expected


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("NW", ("2.0", "2026-03-03", None, "F", None, None)),
        # Discontinued: it ends, and is not withdrawn.
        ("DC", ("2.0", "2026-03-03", "2026-03-09", "F", None, None)),
        ("OD", ("2.0", "2026-03-03", "2026-03-09", "F", None, None)),
        ("CA", ("2.0", "2026-03-03", None, "X", None, None)),
        ("HD", (None, "2026-03-03", None, "F", None, None)),
        ("UA", ("2.0", "2026-03-03", None, "F", "not_an_order", None)),
    ],
)
def test_what_is_asked_of_an_order_decides_whether_it_stands(
    tmp_path: Path, control: str, expected: tuple[Any, ...]
):
    orc = f"ORC|{control}|P7^EHR|F7^PHARM||||||20260309100000"

    ((_, *found),) = medications(tmp_path, RDE, PID, orc, f"RXE||{DRUG}|1||mg", TQ1)

    assert tuple(found) == expected


def test_a_discontinuation_that_does_not_say_when_the_order_began_waits(tmp_path: Path):
    orc = "ORC|DC|P7^EHR|||||||20260309100000"

    ((_, *found),) = medications(tmp_path, RDE, PID, orc, f"RXE||{DRUG}|1||mg")

    assert found[-1] == "missing_started_on"


def test_a_duration_that_is_neither_days_nor_weeks_leaves_the_end_unknown(tmp_path: Path):
    row = rx(RDE, PID, ORC, f"RXE|^BIW^L3^20260305|{DRUG}|1||mg")

    assert row["stopped_on"] == "unknown"


def test_a_dispensing_is_a_fill_of_unknown_supply(tmp_path: Path):
    rxd = f"RXD|2|{DRUG}|20260304153000|24|TAB||RX100842|||||||||1|mg"
    segments = (RDS, PID, ORC, f"RXE||{DRUG}|1||mg||^1 mg twice weekly", rxd)

    assert rx(*segments)["order_id"] == "RX100842-2-2026-03-04T15:30:00-0500"
    assert medications(tmp_path, *segments) == [
        ("anastrozole", None, "2026-03-04", None, "F", None, None)
    ]


@pytest.mark.parametrize(
    ("completion", "status"), [("CP", "F"), ("PA", "F"), ("RE", "X"), ("", "F")]
)
def test_a_given_dose_is_one_dose_on_its_day(tmp_path: Path, completion: str, status: str):
    rxa = f"RXA|0|1|20260304080000|20260304080000|{DRUG}|1|mg|||||||||||||{completion}"

    assert medications(tmp_path, RAS, PID, ORC, rxa) == [
        ("anastrozole", None, "2026-03-04", "2026-03-05", status, None, None)
    ]


def test_every_order_of_a_message_is_a_row_of_its_patient():
    other = PID.replace("M001", "M002")
    second = ORC.replace("P7", "P8")
    rxe = f"RXE||{DRUG}|1||mg"

    rows = read(a_message(RDE, PID, ORC, rxe, second, rxe, other, ORC.replace("P7", "P9"), rxe))[
        "RX"
    ]

    assert rows.select("patient_id", "order_id").rows() == [
        ("M001", "P7^EHR"),
        ("M001", "P8^EHR"),
        ("M002", "P9^EHR"),
    ]


def test_an_order_of_nobody_is_listed_as_damaged():
    assert fates(a_message(RDE, ORC, f"RXE||{DRUG}|1||mg")) == {"damaged": 1}
