"""Inspect: which feed a file is and why, what would become of its rows, and that no patient is shown."""

import io
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from e2analytics.cli.inspect_view import EXIT_REFUSED, exit_code, show
from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.ingest.unrecognised_values import RARE
from e2analytics.run.inspect import InspectedFile, Inspection, inspect
from e2analytics.settings import Settings

TODAY = date(2026, 9, 30)
PATIENTS = """\
patient_id,clinic_id,sex,birth_date
P1,C1,M,1970-01-01
P2,C1,M,1971-01-01
P3,C1,M,1972-01-01
P4,C1,M,1973-01-01
"""
LABS = """\
result_id,patient_id,collected_at,test_name,value,unit,remark
R1,P1,2024-01-01,Estradiol,21.5,pg/mL,a
R2,P2,2024-01-01,Estradiol,22.5,furlong,b
R3,P3,2024-01-01,Estradiol,23.5,furlong,c
R4,P4,2024-01-01,Estradiol,24.5,furlong,d
R5,P1,2024-01-01,Ferritin,25.5,ug/L,e
R6,P2,2024-01-01,Ferritin,26.5,ug/L,f
R7,P3,2024-01-01,Ferritin,27.5,ug/L,g
R8,P4,2024-01-01,Seen by Smith,28.5,ug/L,h
R9,P4,2024-01-01,Estradiol,29.5,cubit,i
"""


def looked(*paths: Path, settings: Settings | None = None, rows_shown: int = 0) -> Inspection:
    return inspect(paths, settings or Settings(), today=TODAY, rows_shown=rows_shown)


def shown(inspection: Inspection, draft_file: Path | None = None) -> str:
    written = io.StringIO()
    show(inspection, Console(file=written, width=100, markup=False, highlight=False), draft_file)
    return written.getvalue()


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    path.write_text(PATIENTS)
    return path


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    path = tmp_path / "labs.csv"
    path.write_text(LABS)
    return path


def fates(file: InspectedFile) -> dict[tuple[str, str | None], int]:
    return {(fate, why): n for fate, why, n in file.fates.select("fate", "why", "n_rows").rows()}


def words(file: InspectedFile) -> list[tuple[str, str, int]]:
    return file.unknown.select("what", "text", "n_rows").rows()


def test_files_are_judged_together_as_one_drop(patients: Path, labs: Path):
    both = looked(patients, labs)

    assert fates(both.files[0]) == {("accepted", None): 4}
    assert fates(both.files[1]) == {
        ("accepted", None): 1,
        ("set_apart", "other_analyte"): 4,
        ("quarantined", "unknown_unit"): 4,
    }
    assert not both.patients_missing


def test_rows_without_the_patients_file_wait_and_it_is_said_why(labs: Path):
    alone = looked(labs)

    assert fates(alone.files[0])["quarantined", "unknown_patient"] == 1
    assert alone.patients_missing
    assert "Inspect both together" in shown(alone)


def test_problems_come_with_count_first_lines_and_advice(patients: Path, labs: Path):
    (row,) = looked(patients, labs).files[1].problems.rows(named=True)

    assert (row["rule"], row["severity"], row["n_rows"]) == ("unknown_unit", "reject", 4)
    assert row["lines"] == [3, 4, 5]
    assert "UCUM" in row["advice"]
    # The supplier knows nothing of our files; what the analyst can do is told beside it.
    told = shown(looked(patients, labs))
    assert "What you can do yourself" in told
    assert "analytes.yaml" in told


def test_unknown_words_are_shown_if_several_patients_share_them(patients: Path, labs: Path):
    # "Seen by Smith" may be a patient's, "cubit" stands once: neither comes out.
    assert words(looked(patients, labs).files[1]) == [
        ("test", "Ferritin", 3),
        ("test", RARE, 1),
        ("unit", "furlong", 3),
        ("unit", RARE, 1),
    ]


def test_a_word_of_many_rows_of_one_patient_is_rare(tmp_path: Path):
    rows = "".join(f"R{n},P1,2024-01-01,Smith,{n},pg/mL\n" for n in range(5))
    (tmp_path / "labs.csv").write_text(LABS.splitlines()[0].removesuffix(",remark") + "\n" + rows)

    assert words(looked(tmp_path / "labs.csv").files[0]) == [("test", RARE, 5)]


def test_a_long_text_is_rare_however_often_it_stands(tmp_path: Path):
    long = "telephoned " * 8
    rows = "".join(f"R{n},P{n},2024-01-01,{long},{n},pg/mL\n" for n in range(5))
    (tmp_path / "labs.csv").write_text(LABS.splitlines()[0].removesuffix(",remark") + "\n" + rows)

    assert words(looked(tmp_path / "labs.csv").files[0]) == [("test", RARE, 5)]


def test_no_value_and_no_number_of_a_patient_is_shown_unless_asked(patients: Path, labs: Path):
    silent = shown(looked(patients, labs))
    asked = shown(looked(patients, labs, rows_shown=2))

    for text in ("P1", "R1", "21.5", "1970-01-01", "Smith", "cubit"):
        assert text not in silent
    for text in ("P1", "R1", "21.5", "1970-01-01", "Smith", "cubit", "line 3"):
        assert text in asked
    assert "R3" not in asked  # the third row


def test_nothing_of_the_rows_is_kept_in_memory_unless_asked(patients: Path):
    (mapped,) = looked(patients).files[0].mapped

    assert mapped.first_rows is None
    (mapped,) = looked(patients, rows_shown=1).files[0].mapped
    assert mapped.first_rows is not None
    assert mapped.first_rows["patient_id"].to_list() == ["P1"]


def test_the_mapping_shows_what_fills_each_column_and_what_is_not_there(labs: Path):
    text = shown(looked(labs))

    assert "test_name       <- test_name" in text
    assert "loinc           <- loinc (not in the file)" in text
    assert "Nothing fills: comment." in text
    assert "Nothing uses: remark." in text


def test_it_says_by_what_a_file_was_recognised_and_what_it_nearly_was(tmp_path: Path):
    path = tmp_path / "results of September.csv"
    path.write_text(
        "Specimen ID,Result Code,Result Code Name,Date Collected,Patient ID,Result,Units\n"
        "S1,1,Estradiol,01/02/2024,P1,22,pg/mL\n"
    )

    (file,) = looked(path).files

    assert file.feed is not None
    assert file.feed.feed == "labcorp_like"
    assert file.why == (
        "its name is like *.csv, and it has the columns "
        "Specimen ID, Result Code, Result Code Name, Date Collected"
    )


def test_a_near_miss_names_the_columns_or_the_name_that_are_missing(tmp_path: Path):
    misnamed, without_code = tmp_path / "results.csv", tmp_path / "export.csv"
    misnamed.write_text(LABS)
    without_code.write_text(
        "Specimen ID,Result Code Name,Date Collected,Patient ID,Result,Units\n"
        "S1,Estradiol,01/02/2024,P1,22,pg/mL\n"
    )

    first, second = looked(misnamed, without_code).files

    assert first.nearest == ("canonical (labs): its name is not like labs*.csv",)
    assert second.nearest == ("labcorp_like (labs): `Result Code` is missing",)
    assert "No feed describes it" in shown(looked(misnamed))


def test_a_refused_file_is_told_with_rule_and_advice_and_the_others_are_inspected(
    tmp_path: Path, patients: Path
):
    broken = tmp_path / "labs.csv"
    broken.write_text(LABS + '"')

    both = looked(broken, patients)

    refused = both.files[0].refused
    assert isinstance(refused, RefusedFileError)
    assert f"REFUSED {refused}" in shown(both)
    assert "Nothing of it would be kept" in shown(both)
    assert fates(both.files[1]) == {("accepted", None): 4}
    assert both.files[0].draft is None  # it is the feed's, and broken
    assert exit_code(both) == EXIT_REFUSED == 10
    assert exit_code(looked(patients)) == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("labs.csv", "there is no such file"),
        ("folder.csv", "it is a folder; give its files"),
        ("link.csv", "outside_drop"),
        ("picture.png", "it is in no format that e2analytics reads"),
        ("empty.csv", "empty_file"),
    ],
)
def test_what_cannot_be_read_is_said_and_ends_with_exit_code_10(
    tmp_path: Path, name: str, says: str
):
    drop = tmp_path / "drop"
    (drop / "folder.csv").mkdir(parents=True)
    (drop / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (drop / "empty.csv").touch()
    (tmp_path / "elsewhere.csv").write_text(LABS)
    (drop / "link.csv").symlink_to(tmp_path / "elsewhere.csv")

    inspection = looked(drop / name)

    assert says in shown(inspection)
    assert exit_code(inspection) == EXIT_REFUSED


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("MRN,Analyte,Result,Units,Collected\n7,E2,21.5,pg/mL,01.02.2024\n", "missing_column"),
        ("MRN;Analyte;Result;Units;Collected\n7;E2;21,5;pg/mL;01.02.2024\n", "not_rectangular"),
    ],
)
def test_a_file_taken_by_its_name_alone_gets_a_draft_if_its_columns_are_others(
    tmp_path: Path, text: str, rule: str
):
    path = tmp_path / "labs_2024.csv"
    path.write_text(text)

    (file,) = looked(path).files

    assert isinstance(file.refused, RefusedFileError)
    assert file.refused.rule == rule
    assert file.draft is not None
    assert "value: Result" in file.draft
    assert "see the draft" in shown(looked(path))


def test_the_marker_of_a_simulated_drop_is_no_file_of_it(tmp_path: Path, patients: Path):
    marker = tmp_path / "SIMULATED.json"
    marker.write_text("{}\n")

    inspection = looked(patients, marker)

    assert [file.path for file in inspection.files] == [patients]
    assert exit_code(inspection) == 0


def test_the_same_content_twice_is_said_to_be_read_once(tmp_path: Path, patients: Path):
    again = tmp_path / "patients-again.csv"
    shutil.copy(patients, again)

    inspection = looked(patients, again, patients)

    assert [file.is_repeated for file in inspection.files] == [False, True]
    assert "it would be read once" in shown(inspection)


def test_a_companion_is_looked_for_in_the_files_own_folder(tmp_path: Path):
    feeds, drop = tmp_path / "feeds", tmp_path / "drop"
    feeds.mkdir()
    drop.mkdir()
    (feeds / "two.yaml").write_text(
        "feed: two\ndescription: d\nformat: delimited\nfiles:\n"
        "  - target: patients\n    name: men.csv\n    lookups:\n"
        '      - {name: sites.csv, "on": KEY, columns: [CLINIC]}\n'
        "    columns: {patient_id: ID, clinic_id: CLINIC, sex: SEX, birth_date: BORN}\n"
    )
    (drop / "men.csv").write_text("ID,KEY,SEX,BORN\nP1,1,M,1970-01-01\n")
    settings = Settings(feeds_folder=feeds)

    without = looked(drop / "men.csv", settings=settings).files[0]
    (drop / "sites.csv").write_text("KEY,CLINIC\n1,north\n")
    with_it = looked(drop / "men.csv", settings=settings).files[0]

    assert isinstance(without.refused, RefusedFileError)
    assert without.refused.rule == "missing_companion"
    assert fates(with_it) == {("accepted", None): 1}
    assert with_it.mapped[0].absent == frozenset()


def test_records_of_a_file_are_mapped_one_by_one_and_unused_sheets_are_told(tmp_path: Path):
    path = tmp_path / "book.xlsx"
    sheets = {"patients": PATIENTS, "labs": LABS, "notes": "a,b\n1,2\n"}
    _write_workbook(path, sheets)

    (file,) = looked(path).files

    assert [mapped.kind.target for mapped in file.mapped] == ["patients", "labs"]
    assert fates(file)["accepted", None] in (1, 4)
    assert set(file.unused) == {"remark", "all of notes"}


def _write_workbook(path: Path, sheets: dict[str, str]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, text in sheets.items():
        sheet = book.create_sheet(title)
        for line in text.splitlines():
            sheet.append(line.split(","))
    book.save(path)


def test_messages_show_only_records_that_the_file_holds(tmp_path: Path):
    path = tmp_path / "one.hl7"
    path.write_text(
        "MSH|^~\\&|A|LAB|B|CLINIC|20240102||ORU^R01|1|P|2.5.1\r"
        "PID|1||P1^^^A^MR||Doe^John||19700101|M\r"
        "OBR|1||F1|2243-4^Estradiol^LN|||20240101\r"
        "OBX|1|NM|2243-4^Estradiol^LN||21.5|pg/mL|||||F\r"
    )

    (file,) = looked(path).files

    assert [(each.kind.record, each.kind.target) for each in file.mapped] == [
        ("PID", "patients"),
        ("OBX", "labs"),
    ]
    assert "Doe" not in shown(looked(path))
    assert file.unused == ()


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path):
    path = tmp_path / "observations.ndjson"
    rows = [
        f'{{"resourceType":"Observation","id":"o{n}","status":"final",'
        f'"subject":{{"reference":"Patient/p{n}"}},"code":{{"text":"\\u001b[31mred"}},'
        f'"effectiveDateTime":"2024-01-01","valueQuantity":{{"value":1,"unit":"x"}}}}\n'
        for n in range(4)
    ]
    path.write_text("".join(rows))

    assert "\x1b" not in shown(looked(path, rows_shown=2))


def test_the_draft_goes_to_a_new_file_and_nothing_is_written_over(tmp_path: Path, patients: Path):
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("MRN;Analyte;Result;Units;Collected\n7;E2;21,5;pg/mL;01.02.2024\n")
    file = tmp_path / "supplier.yaml"

    text = shown(looked(unknown), file)

    assert "feed: new_supplier" in file.read_text()
    assert "feed: new_supplier" not in text
    with pytest.raises(UnreadableError, match="cannot be written"):
        shown(looked(unknown), file)
    with pytest.raises(UnreadableError, match="drafts for 0 of the files"):
        shown(looked(patients), tmp_path / "other.yaml")


def test_inspection_tells_how_far_it_has_come(patients: Path, labs: Path):
    told: list[str] = []

    inspect([patients, labs], Settings(), today=TODAY, report_progress=told.append)

    assert told[0] == "Reading patients.csv"
    assert told[-1] == "Reading labs.csv: 9 rows for labs"


def test_every_line_has_a_fate_that_is_shown(clinic: Path):
    paths = sorted((clinic / "drop").glob("*.csv"))

    for file in looked(*paths).files:
        lines = pl.read_csv(file.path, infer_schema=False).height
        assert file.refused is None
        assert file.fates["n_rows"].sum() == lines, file.path.name


PEOPLE = """\
person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,person_source_value
501,8507,1970,1,1,P1
"""


def test_a_feed_of_tables_is_drafted_as_the_shipped_one_to_be_changed(tmp_path: Path):
    path = tmp_path / "person.csv"
    path.write_text(PEOPLE)

    (file,) = inspect([path], Settings(), today=TODAY, new_feed="our_omop").files

    assert file.draft is not None
    assert "\nfeed: our_omop\n" in file.draft
    assert "\nnamespace: omop\n" in file.draft
    assert 'name: "*measurement*.csv"' in file.draft  # the other tables of the export as well


def test_a_man_in_two_namespaces_is_said_to_count_twice(tmp_path: Path, patients: Path):
    (tmp_path / "person.csv").write_text(PEOPLE)

    text = " ".join(shown(looked(patients, tmp_path / "person.csv")).split())

    assert "of 2 namespaces: default (canonical); omop (omop_cdm_5_4)." in text
    assert "would count as two men" in text
    assert "Patients' numbers are of" not in shown(looked(patients))


def test_one_man_of_a_database_and_the_clinic_is_one_by_his_chart_number(
    tmp_path: Path, patients: Path
):
    # As docs/feeds.md says, “One man in several systems”.
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (tmp_path / "person.csv").write_text(PEOPLE)
    (file,) = inspect([tmp_path / "person.csv"], Settings(), today=TODAY, new_feed="ours").files
    assert file.draft is not None
    text = file.draft.replace("namespace: omop", "namespace: default")
    (feeds / "ours.yaml").write_text(
        text.replace("patient_id: person_id\n", "patient_id: person_source_value\n")
    )

    both = looked(patients, tmp_path / "person.csv", settings=Settings(feeds_folder=feeds))

    assert "Patients' numbers are of" not in shown(both)
    rows = [fates(file) for file in both.files]
    assert rows == [
        {("accepted", None): 3, ("superseded", None): 1},
        {("accepted", None): 1},
    ]
    assert "superseded  by a newer row" in shown(both)


def test_a_draft_that_nobody_finished_is_named_with_its_lines(tmp_path: Path, patients: Path):
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    (feeds / "acme.yaml").write_text(
        "# A draft. Answer each TODO.\n"
        "feed: acme\ndescription: Acme\nformat: delimited\nfiles:\n  - target: labs\n"
        '    name: "*.acme"\n    columns: {result_id: A}\n    # TODO patient_id: which column?\n'
    )

    text = shown(looked(patients, settings=Settings(feeds_folder=feeds)))

    assert "acme.yaml still asks something in line 9" in " ".join(text.split())
    assert "still asks" not in shown(looked(patients))


def test_a_wrong_loinc_is_told_of_and_can_be_corrected_in_the_feed(tmp_path: Path, patients: Path):
    labs = tmp_path / "acme.csv"
    labs.write_text(
        "Nr,MRN,Drawn,Test,Code,Result,Unit\n"
        "R1,P1,2024-01-01,Estradiol,35384-4,21.5,pg/mL\n"
        "R2,P2,2024-01-01,Estradiol,35384-4,22.5,pg/mL\n"
    )
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    feed = (
        "feed: acme\ndescription: Acme\nformat: delimited\nfiles:\n  - target: labs\n"
        '    name: "acme.csv"\n    header: [Nr, Code]\n    columns: {result_id: Nr, patient_id: MRN, '
        "collected_at: Drawn, test_name: Test, loinc: LOINC, value: Result, unit: Unit}\n"
    )
    fates_by_loinc = {}
    for loinc in (
        "Code",
        '{column: Code, values: {"35384-4": "35384-7"}}',
        '{column: Code, values: {"35384-4": ""}}',
    ):
        (feeds / "acme.yaml").write_text(feed.replace("LOINC", loinc))
        found = looked(patients, labs, settings=Settings(feeds_folder=feeds))
        fates_by_loinc[loinc] = fates(found.files[1])
        if loinc == "Code":
            assert "its LOINC code is not known" in " ".join(shown(found).split())

    assert [*fates_by_loinc.values()] == [
        {("quarantined", "unknown_test"): 2},
        {("accepted", None): 2},
        {("accepted", None): 2},
    ]


def test_a_feed_that_came_second_is_named_once_whatever_tables_it_fills(tmp_path: Path):
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    path = tmp_path / "Patient.ndjson"
    path.write_text('{"resourceType": "Patient", "id": "p1", "gender": "male"}\n')
    (file,) = inspect([path], Settings(), today=TODAY, new_feed="ours").files
    (feeds / "ours.yaml").write_text(file.draft or "")

    (file,) = looked(path, settings=Settings(feeds_folder=feeds)).files

    assert file.nearest == ("fhir_r4: another one was as good a match and came first",)
