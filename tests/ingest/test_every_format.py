"""What holds in every format: whose a number is, on which day blood was drawn, what a comparator says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import openpyxl
import polars as pl
import pytest

from e2analytics.feeds.description import Feed, load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.reconcile import identity_status, reconcile
from e2analytics.settings import Settings
from tests.conftest import KEY
from tests.feeds.test_sas import transport

PATIENTS = "patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\nP2,C1,M,1971-02-02\n"
HEADER = ("result_id", "patient_id", "collected_at", "test_name", "value", "unit")


class Draw(NamedTuple):
    """A result in words: its number, man, time and value."""

    number: str = "R1"
    man: str = "P1"
    at: str = "2026-09-06T08:00:00"
    value: str = "20"

    def fields(self) -> tuple[str, ...]:
        return (self.number, self.man, self.at, "Estradiol", self.value, "pg/mL")


def csv(folder: Path, draws: list[Draw]) -> None:
    lines = [HEADER, *(draw.fields() for draw in draws)]
    (folder / "labs.csv").write_text("".join(",".join(line) + "\n" for line in lines))


def excel(folder: Path, draws: list[Draw]) -> None:
    book = openpyxl.Workbook()
    book.active.title = "labs"
    for line in [HEADER, *(draw.fields() for draw in draws)]:
        book.active.append(line)
    book.save(folder / "book.xlsx")


def parquet(folder: Path, draws: list[Draw]) -> None:
    pl.DataFrame([draw.fields() for draw in draws], schema=HEADER, orient="row").write_parquet(
        folder / "labs.parquet"
    )


def sas(folder: Path, draws: list[Draw]) -> None:
    # The table of these tests has a number and a text: a file for each man, whom its description names.
    for man in dict.fromkeys(draw.man for draw in draws):
        own = [(float(draw.number[1:]), draw.at) for draw in draws if draw.man == man]
        (folder / f"{man}.xpt").write_bytes(transport(own, 40))


def fhir(folder: Path, draws: list[Draw]) -> None:
    men = [
        {"resourceType": "Patient", "id": man, "gender": "male", "birthDate": born}
        for man, born in (("P1", "1970-01-01"), ("P2", "1971-02-02"))
    ]
    results = [
        {
            "resourceType": "Observation",
            "id": draw.number,
            "status": "final",
            "code": {"text": "Estradiol"},
            "subject": {"reference": f"Patient/{draw.man}"},
            "effectiveDateTime": draw.at,
            "valueQuantity": {
                "value": float(draw.value.strip("<>")),
                "unit": "pg/mL",
                **({"comparator": draw.value[0]} if draw.value[0] in "<>" else {}),
            },
        }
        for draw in draws
    ]
    text = "".join(json.dumps(each) + "\n" for each in [*men, *results])
    (folder / "x.ndjson").write_text(text)


def hl7(folder: Path, draws: list[Draw]) -> None:
    messages = []
    for draw in draws:
        day, _, time = draw.at.replace(":", "").replace("Z", "+0000").partition("T")
        at = day.replace("-", "") + time
        born = {"P1": "19700101", "P2": "19710202"}[draw.man]
        comparator = draw.value[0] if draw.value[0] in "<>" else ""
        messages += [
            "MSH|^~\\&|LIS|LAB|EHR|C1|20261002||ORU^R01|M|P|2.5.1",
            f"PID|1||{draw.man}^^^C1^MR||X||{born}|M",
            f"OBR|1||{draw.number}^LAB|EST^Estradiol^L|||{at}|||||||||||||||20261002|||F",
            f"OBX|1|SN|E2^Estradiol^L||{comparator}^{draw.value.strip('<>')}|pg/mL|||||F",
        ]
    (folder / "a.hl7").write_text("\r".join(messages) + "\r")


def of_sas(man: str) -> Feed:
    """Return the description of one man's SAS file."""
    labs = {
        "target": "labs",
        "name": f"{man}.xpt",
        "columns": {
            "result_id": {"column": "SEQN", "prefix": "R"},
            "patient_id": {"constant": man},
            "collected_at": "TEXT",
            "test_name": {"constant": "Estradiol"},
            "value": {"constant": "20"},
            "unit": {"constant": "pg/mL"},
        },
    }
    return Feed.model_validate(
        {
            "feed": f"sas_{man.lower()}",
            "description": "One man.",
            "format": {"kind": "sas"},
            "files": [labs],
        }
    )


FORMATS: dict[str, Callable[[Path, list[Draw]], None]] = {
    each.__name__: each for each in (csv, excel, parquet, sas, fhir, hl7)
}
FEEDS = (*load_feeds(), of_sas("P1"), of_sas("P2"))
every_format = pytest.mark.parametrize("kind", FORMATS)


def labs(folder: Path, kind: str, *draws: Draw, timezone: str = "UTC") -> pl.DataFrame:
    """Return the results of a drop with their fates, in the order of the file."""
    FORMATS[kind](folder, list(draws))
    (folder / "patients.csv").write_text(PATIENTS)
    sources = Sources.from_drop(
        folder, FEEDS, KEY, settings=Settings(timezone=timezone), today=date(2026, 11, 1)
    )
    assert not [file.refused for file in sources.files if file.refused]
    identities = identity_status(sources.rows["patients"])
    return reconcile("labs", sources.rows["labs"], identities).sort("source_order", "source_line")


@every_format
def test_a_number_of_two_men_keeps_both_results_waiting(kind: str, tmp_path: Path):
    found = labs(tmp_path, kind, Draw(), Draw(man="P2", at="2026-09-07T08:00:00", value="20"))

    assert found["why"].to_list() == ["number_of_several_patients"] * 2
    assert found["fate"].to_list() == ["quarantined"] * 2


@every_format
@pytest.mark.parametrize(
    ("written", "timezone", "day"),
    [
        ("2026-10-01T00:30:00Z", "America/Los_Angeles", "2026-09-30"),
        ("2026-10-01T00:30:00+00:00", "America/Los_Angeles", "2026-09-30"),
        ("2026-09-30T17:30:00-07:00", "America/Los_Angeles", "2026-09-30"),
        ("2026-09-30T23:30:00Z", "Europe/Berlin", "2026-10-01"),
        ("2026-09-30T23:30:00Z", "UTC", "2026-09-30"),
        ("2026-09-30T23:30:00", "America/Los_Angeles", "2026-09-30"),
        # A laboratory elsewhere: the day is that of where the blood was drawn.
        ("2026-10-01T00:30:00+09:00", "America/Los_Angeles", "2026-10-01"),
        ("2026-10-01", "America/Los_Angeles", "2026-10-01"),
        ("2026-10-01", "Pacific/Auckland", "2026-10-01"),
    ],
)
def test_the_day_of_a_draw_is_local(
    kind: str, written: str, timezone: str, day: str, tmp_path: Path
):
    found = labs(tmp_path, kind, Draw(at=written), timezone=timezone)

    assert found["collected_on"].to_list() == [date.fromisoformat(day)]
    assert found["fate"].to_list() == ["accepted"]


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "sas"])
@pytest.mark.parametrize(
    ("written", "interval"), [("<5.0", (0.0, 5.0)), (">1500", (1500.0, None)), ("20", (20.0, 20.0))]
)
def test_a_comparator_makes_an_interval(
    kind: str, written: str, interval: tuple[float, float | None], tmp_path: Path
):
    found = labs(tmp_path, kind, Draw(value=written))

    assert found.select("value_low", "value_high").rows() == [interval]
