"""From a file to accepted results: whose they are, when they were drawn, what they say."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.reconcile import identity_status, reconcile
from tests.conftest import KEY

PATIENTS = "patient_id,clinic_id,sex,birth_date\n"


def reconciled(folder: Path, table: str = "labs") -> pl.DataFrame:
    """Return the rows of a drop with their fates, and each patient's own number."""
    sources = Sources.from_drop(folder, load_feeds(), KEY, today=date(2026, 11, 1))
    assert not [file.refused for file in sources.files if file.refused]
    found = reconcile(table, sources.rows[table], identity_status(sources.rows["patients"]))
    numbers = sources.crosswalk.select("patient_id", man="source_patient_id")
    return (
        found.with_columns(pl.col("patient_id").cast(pl.String))
        .join(numbers, on="patient_id", how="left", maintain_order="left")
        .sort("source_order", "source_line")
    )


def hl7(folder: Path, *segments: str) -> pl.DataFrame:
    (folder / "a.hl7").write_text("\r".join(segments) + "\r")
    return reconciled(folder)


def pid(man: str, born: str = "19700101") -> str:
    return f"PID|1||{man}^^^C1^MR||X^Y||{born}|M"


def test_one_number_of_two_laboratories_is_two_results(tmp_path: Path):
    found = hl7(
        tmp_path,
        "MSH|^~\\&|LIS|LABA|EHR|C1|20260905120000||ORU^R01|A1|P|2.5.1",
        pid("P1"),
        "OBR|1||5001^LABA|EST^Estradiol^L|||202609050730",
        "OBX|1|NM|2243-4^Estradiol^LN||6.0|pg/mL|||||F",
        "MSH|^~\\&|LIS|LABB|EHR|C1|20260906120000||ORU^R01|B1|P|2.5.1",
        pid("P2", "19700202"),
        "OBR|1||5001^LABB|EST^Estradiol^L|||202609060730",
        "OBX|1|NM|2243-4^Estradiol^LN||30|pg/mL|||||F",
    )

    assert found.select("man", "value_low", "fate").rows() == [
        ("P1", 6.0, "accepted"),
        ("P2", 30.0, "accepted"),
    ]


def test_a_panels_code_in_the_place_of_a_number_is_one_for_each_draw(tmp_path: Path):
    found = hl7(
        tmp_path,
        "MSH|^~\\&|LIS|LABA|EHR|C1|20260905120000||ORU^R01|A1|P|2.5.1",
        pid("P1"),
        "OBR|1||HORM^LAB|HORM^Hormones^L|||202603050730",
        "OBX|1|NM|2243-4^Estradiol^LN||6.0|pg/mL|||||F",
        "OBR|2||HORM^LAB|HORM^Hormones^L|||202609050730",
        "OBX|1|NM|2243-4^Estradiol^LN||30|pg/mL|||||F",
    )

    assert found["fate"].to_list() == ["accepted", "accepted"]


def test_a_correction_is_later_by_the_zone_of_its_message(tmp_path: Path):
    found = hl7(
        tmp_path,
        "MSH|^~\\&|LIS|LAB|EHR|C1|20260905120000-0500||ORU^R01|A|P|2.5.1",
        pid("P1"),
        "OBR|1||F1|EST^Estradiol^L|||202609050730|||||||||||||||||||F",
        "OBX|1|NM|2243-4^Estradiol^LN||20|pg/mL|||||F",
        "MSH|^~\\&|LIS|LAB|EHR|C1|20260905131500-0500||ORU^R01|B|P|2.5.1",
        pid("P1"),
        "OBR|1||F1|EST^Estradiol^L|||202609050730|||||||||||||||20260905130000|||C",
        "OBX|1|NM|2243-4^Estradiol^LN||8|pg/mL|||||C",
    )

    assert found.select("value_low", "fate").rows() == [(20.0, "superseded"), (8.0, "accepted")]
    assert found["collected_at"].to_list() == [datetime(2026, 9, 5, 12, 30, tzinfo=UTC)] * 2


def test_results_of_a_supplier_whose_pid_3_is_a_specimen_are_the_mans(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS + "501,c1,M,1970-01-01\n")
    messages = []
    for specimen, drawn, value in (
        ("20809880170", "202608010800", "6.1"),
        ("21109880171", "202609150800", "5.2"),
    ):
        messages += [
            "MSH|^~\\&|LCS|LCA|LIS|TEST9999|202609161532||ORU^R01|1|P|2.3",
            f"PID|1|501|{specimen}|A501|DOE^J||19700101|M",
            f"OBR|1|PO1^LIS|{specimen}^LCS|140244^Estradiol, Sensitive^L|||{drawn}",
            f"OBX|1|NM|140244^Estradiol, Sensitive^L||{value}|pg/mL|8.0-35.0|L||N|F",
        ]

    found = hl7(tmp_path, *messages)

    assert found.select("man", "value_low", "fate").rows() == [
        ("501", 6.1, "accepted"),
        ("501", 5.2, "accepted"),
    ]


def test_a_specimen_in_pid_3_of_an_unknown_supplier_makes_no_man(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS + "501,c1,M,1970-01-01\n")

    found = hl7(
        tmp_path,
        "MSH|^~\\&|LIS|LABX|EHR|C1|20260905120000||ORU^R01|A1|P|2.5.1",
        "PID|1|501|77001^^^LABX|A501|DOE^J||19700101|M",
        "OBR|1||77001|EST^Estradiol^L|||202609050730",
        "OBX|1|NM|2243-4^Estradiol^LN||6.0|pg/mL|||||F",
    )

    assert found.select("man", "fate", "why").rows() == [
        (None, "quarantined", "missing_patient_id")
    ]
    assert reconciled(tmp_path, "patients")["man"].to_list() == [None, "501"]


def test_a_time_of_report_in_obx_14_is_no_draw(tmp_path: Path):
    found = hl7(
        tmp_path,
        "MSH|^~\\&|ULTRA|LABX|WP|CLINIC|202609261039||ORU^R01|m1|P|2.3.1",
        pid("P1"),
        "OBR|1||14-1-E2-0|E2^OESTRADIOL^ULTRA||20260213|20260224|||||||||||||||202609261039",
        "OBX|1|NM|14715-7^Oestradiol :^LN||22|pmol/L|40 - 160||||F|||202609261039",
        "OBR|2||14-1-E2-1|E2^OESTRADIOL^ULTRA|||||||||||||||||||202609261039",
        "OBX|1|NM|14715-7^Oestradiol :^LN||25|pmol/L|40 - 160||||F|||20260926103900",
    )

    assert found.select("collected_on", "fate", "why").rows() == [
        (date(2026, 2, 24), "accepted", None),
        (None, "quarantined", "missing_collected_at"),
    ]


def test_a_workbook_says_what_its_cells_show(tmp_path: Path):
    sheets: dict[str, list[tuple[list[Any], dict[int, str]]]] = {
        "patients": [([123, "C1", "M", "1970-01-01"], {1: "0000000"})],
        "labs": [
            (["R1", 123, "2026-09-05", "Hematocrit", 0.452, "%"], {2: "0000000", 5: "0.0%"}),
            (["R2", 123, "2026-09-05", "Estradiol", 5, "pg/mL"], {2: "0000000", 5: '"<"0.0'}),
            (["R3", 123, "2026-09-06", "Estradiol", 0.2, "pg/mL"], {2: "0000000", 5: "0%"}),
        ],
    }
    headers = {
        "patients": ["patient_id", "clinic_id", "sex", "birth_date"],
        "labs": ["result_id", "patient_id", "collected_at", "test_name", "value", "unit"],
    }
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        sheet.append(headers[title])
        for line, (cells, number_formats) in enumerate(rows, start=2):
            sheet.append(cells)
            for place, number_format in number_formats.items():
                sheet.cell(line, place).number_format = number_format
    book.save(tmp_path / "book.xlsx")
    (tmp_path / "labs.csv").write_text(
        ",".join(headers["labs"]) + "\nR9,0000123,2026-09-06,Estradiol,20,pg/mL\n"
    )

    found = reconciled(tmp_path).sort("result_id")

    assert found.select("result_id", "man", "value_low", "value_high", "why").rows() == [
        ("R1", "0000123", 45.2, 45.2, None),
        ("R2", "0000123", 0.0, 5.0, None),
        # A percentage of what is no percentage: which of the two is meant, nobody can say.
        ("R3", "0000123", None, None, "unreadable_value"),
        ("R9", "0000123", 20.0, 20.0, None),
    ]
