"""A drop: which feed a file is, what is known already, what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import polars as pl
import pytest

from e2analytics.errors import UnreadableError
from e2analytics.feeds import formats
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.reader import FormatOptions
from e2analytics.ingest.read_drop import Sources
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.snapshot import Outputs
from tests.conftest import KEY

PATIENTS = "patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\n"
LABS_WITHOUT_UNIT = "result_id,patient_id,collected_at,test_name,value\nR1,P1,2024-01-01,E2,9\n"


def read(folder: Path, **known: object) -> Sources:
    return Sources.from_drop(folder, load_feeds(), KEY, **known)  # type: ignore[arg-type]


def test_a_file_without_a_required_column_is_refused_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)
    (tmp_path / "labs.csv").write_text(LABS_WITHOUT_UNIT)

    sources = read(tmp_path)

    refused = {file.table: file.refused and file.refused.rule for file in sources.files}
    assert refused == {"labs": "missing_column", "patients": None}
    assert set(sources.rows) == {"patients"}


def test_patient_numbers_do_not_come_through_the_door(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)

    rows = to_contract_types(read(tmp_path).rows["patients"], "patients")

    assert "P1" not in rows["patient_id"].to_list()
    assert rows["patient_id"].str.contains(r"^p[0-9a-f]{20}$").all()


def test_files_are_named_by_feed_and_hash_whatever_they_are_called(tmp_path: Path):
    (tmp_path / "patients-of-John-Smith.csv").write_text(PATIENTS)

    (file,) = read(tmp_path).files

    assert file.source_file.startswith("canonical-patients-")
    assert "Smith" not in file.source_file


def test_the_same_content_is_read_once(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(PATIENTS)
    (tmp_path / "patients-again.csv").write_text(PATIENTS)

    sources = read(tmp_path)

    assert len(sources.files) == 1
    assert len(sources.known) == 1


def test_a_file_is_read_again_only_if_what_describes_it_changed(clinic: Path, outputs: Outputs):
    ledger = outputs.tables["files"]
    described_otherwise = ledger.with_columns(described_by=pl.lit("an older description"))

    again = Sources.from_drop(clinic / "drop", load_feeds(), KEY, ledger=ledger)
    anew = Sources.from_drop(clinic / "drop", load_feeds(), KEY, ledger=described_otherwise)

    assert (len(again.files), len(again.known)) == (0, 6)
    # It keeps the place in the order that it had.
    assert {f.source_file: f.source_order for f in anew.files} == dict(
        ledger.select("source_file", "source_order").rows()
    )


def test_the_same_bytes_under_a_wrong_name_do_not_hide_a_file(tmp_path: Path):
    (tmp_path / "labs.csv").write_text(PATIENTS)
    (tmp_path / "patients.csv").write_text(PATIENTS)

    sources = read(tmp_path)

    assert len(sources.rows["patients"]) == 1
    assert [file.table for file in sources.files if file.refused] == ["labs"]


def test_a_file_that_cannot_be_opened_is_refused_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "labs-of-Smith.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "patients.csv").write_text(PATIENTS)

    sources = read(tmp_path)

    refused = [file for file in sources.files if file.refused]
    assert [file.refused.rule for file in refused if file.refused] == ["unreadable_file"]
    assert "Smith" not in refused[0].source_file
    assert len(sources.rows["patients"]) == 1


def test_a_file_that_is_written_to_while_it_is_read_is_refused_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "patients.csv").write_text(PATIENTS)
    growing = tmp_path / "precision.csv"
    growing.write_text("clinic_id,scanner_id,site,cv_pct\nC1,S1,total_hip,1.2\n")
    as_it_is = formats.read

    def and_somebody_writes(path: Path, options: FormatOptions) -> Iterator[Any]:
        yield from as_it_is(path, options)
        if path == growing:
            with path.open("a") as file:
                file.write("C1,S1,femoral_neck,1.9\n")

    monkeypatch.setattr(formats, "read", and_somebody_writes)

    sources = read(tmp_path)

    refused = {file.path.name: file.refused.rule for file in sources.files if file.refused}
    assert refused == {"precision.csv": "changed_while_read"}
    assert "precision" not in sources.rows
    assert len(sources.rows["patients"]) == 1


def test_a_folder_in_a_drop_is_told_whatever_it_is_called(tmp_path: Path):
    (tmp_path / "labs.csv").mkdir()
    (tmp_path / "2026-03").mkdir()
    (tmp_path / ".cache").mkdir()

    assert [path.name for path in read(tmp_path).unmatched] == ["2026-03", "labs.csv"]


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["some", "words"])
    book.save(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def with_member(path: Path, name: str, content: bytes) -> None:
    with ZipFile(path) as old:
        others = {each: old.read(each) for each in old.namelist() if each != name}
    with ZipFile(path, "w", ZIP_DEFLATED) as new:
        for each, bytes_ in {**others, name: content}.items():
            new.writestr(each, bytes_)


SHEET = "xl/worksheets/sheet1.xml"
ENTITIES = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet>&a;</worksheet>'


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (cut, "not_excel"),
        (lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600)), "not_excel"),
        (lambda path: with_member(path, SHEET, ENTITIES), "not_excel"),
        (lambda path: with_member(path, SHEET, bytes(50_000_000)), "too_large_inside"),
    ],
)
def test_a_damaged_workbook_is_refused_whoever_sent_it(
    tmp_path: Path, damage: Callable[[Path], None], rule: str
):
    workbook(tmp_path / "from somebody.xlsx")
    assert len(read(tmp_path).unmatched) == 1

    damage(tmp_path / "from somebody.xlsx")
    (file,) = read(tmp_path).files

    assert file.refused is not None
    assert file.refused.rule == rule


def test_ids_made_of_the_patients_number_are_made_of_his_pseudonym(tmp_path: Path):
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds" / "survey.yaml").write_text(
        "feed: survey\ndescription: d\nformat: delimited\nfiles:\n"
        "  - {target: events, name: 'survey*.csv', required: [N],\n"
        "     columns: {event_id: {column: N, prefix: E-}, patient_id: N, kind: {constant: symptom}}}\n"
    )
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "survey.csv").write_text("N\nP77\n")

    read_now = Sources.from_drop(tmp_path / "drop", load_feeds(tmp_path / "feeds"), KEY)
    rows = to_contract_types(read_now.rows["events"], "events")

    assert rows["event_id"][0] == "E-" + rows["patient_id"][0]
    assert "P77" not in str(rows.rows())


def test_a_file_that_no_feed_describes_is_reported(tmp_path: Path):
    (tmp_path / "invoice.csv").write_text("a,b\n1,2\n")
    (tmp_path / "README.md").write_text("What this is.")
    (tmp_path / ".DS_Store").write_text("")

    assert [path.name for path in read(tmp_path).unmatched] == ["invoice.csv"]


def test_extra_columns_are_allowed_and_reported(tmp_path: Path):
    (tmp_path / "patients.csv").write_text(
        "nickname,patient_id,clinic_id,sex,birth_date\nJo,P1,C1,M,1970-01-01\n"
    )

    (file,) = read(tmp_path).files

    assert file.unused == ("nickname",)


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(UnreadableError, match="Give the folder of suppliers' files"):
        read(tmp_path / "nowhere")


def test_orders_are_read_again_once_the_drug_they_refer_to_has_come(tmp_path: Path):
    (tmp_path / "MedicationRequest.ndjson").write_text(
        '{"resourceType":"MedicationRequest","id":"r1","status":"active","intent":"order",'
        '"medicationReference":{"reference":"Medication/m1"},"subject":{"reference":"Patient/p1"},'
        '"authoredOn":"2026-08-01"}\n'
    )
    before = read(tmp_path)
    ledger = pl.DataFrame(
        [
            {
                "source_file": file.source_file,
                "source_order": file.source_order,
                "described_by": file.described_by,
                "refused": None,
            }
            for file in before.files
        ]
    )
    (tmp_path / "Medication.ndjson").write_text(
        '{"resourceType":"Medication","id":"m1","code":{"text":"Anastrozole 1 mg"}}\n'
    )

    after = read(tmp_path, ledger=ledger)

    assert before.rows["medications"]["reject"].to_list() == ["missing_drug"]
    assert after.rows["medications"]["drug"].to_list() == ["anastrozole"]
    assert after.files[-1].source_file == before.files[0].source_file
