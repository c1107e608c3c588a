"""A column of another name is not a column that is missing: without its stop date an order would seem in force."""

from datetime import date
from pathlib import Path

import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from tests.conftest import KEY

ORDER = "order_id,patient_id,drug,dose_mg,doses_per_week,started_on,{stop}\nM1,P1,anastrozole,0.5,2,2025-01-05,2026-01-05\n"
CLINIC = """\
feed: clinic
description: orders of a practice system
format: delimited
files:
  - target: medications
    name: "orders*.csv"
    header: [Order, Patient, Drug]
    columns: {order_id: Order, patient_id: Patient, drug: Drug, started_on: Begin, stopped_on: {first_of: [End, Stopped]}}
    UNUSED
"""


def refused(folder: Path, name: str, text: str, description: str = "") -> list[tuple[str, str]]:
    (folder / "drop").mkdir(exist_ok=True)
    (folder / "drop" / name).write_text(text)
    (folder / "feeds").mkdir()
    if description:
        (folder / "feeds" / "clinic.yaml").write_text(description)
    feeds = load_feeds(folder / "feeds") if description else load_feeds()
    sources = Sources.from_drop(folder / "drop", feeds, KEY, today=date(2026, 9, 30))
    return [(file.refused.rule, file.refused.detail) for file in sources.files if file.refused]


@pytest.mark.parametrize("stop", ["Stopped On", "stopped", "stoped_on", "stopped_at"])
def test_a_file_whose_stop_date_has_another_name_is_refused(tmp_path: Path, stop: str):
    (found,) = refused(tmp_path, "medications.csv", ORDER.format(stop=stop))

    assert found == (
        "renamed_column",
        f"of its columns `stopped_on` is missing, `{stop}` is there",
    )


@pytest.mark.parametrize("other", ["stopped_on", "comment", "pharmacy", "sent_at"])
def test_other_columns_of_no_use_are_only_reported(tmp_path: Path, other: str):
    assert refused(tmp_path, "medications.csv", ORDER.format(stop=other)) == []


@pytest.mark.parametrize(
    ("header", "unused", "rules"),
    [
        ("Begin,End", "", []),
        ("Begin,Stopped", "", []),
        ("Begin", "", []),
        ("Begin,End date", "", ["renamed_column"]),
        ("Begin,End date", "unused: [End date]", []),
        ("Beginning,End", "", ["renamed_column"]),
    ],
)
def test_one_of_several_names_is_enough_and_a_description_may_leave_columns_unread(
    tmp_path: Path, header: str, unused: str, rules: list[str]
):
    values = ",2026-01-05" * len(header.split(","))
    text = f"Order,Patient,Drug,{header}\nM1,P1,anastrozole{values}\n"

    found = refused(tmp_path, "orders.csv", text, CLINIC.replace("UNUSED", unused))

    assert [rule for rule, _ in found] == rules


def test_a_column_that_is_looked_up_is_not_one_that_was_renamed(tmp_path: Path):
    looked_up = CLINIC.replace("patient_id: Patient", "patient_id: Patient chart").replace(
        "UNUSED", 'lookups: [{name: "men.csv", "on": Patient, columns: [Patient chart]}]'
    )
    people = "  - {target: labs, name: men.csv, header: [Patient], set_apart: looked_up}\n"
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "men.csv").write_text("Patient,Patient chart\n501,P1\n")
    text = "Order,Patient,Drug,Begin,Patient chair\nM1,501,anastrozole,2026-01-05,x\n"

    assert refused(tmp_path, "orders.csv", text, looked_up + people) == []
