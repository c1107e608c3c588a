"""Drafts of feed descriptions: what is guessed of an unknown file, and that no value comes out."""

import json
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2analytics.errors import UnreadableError
from e2analytics.feeds import drop
from e2analytics.feeds.description import Feed, Join, load_feed
from e2analytics.feeds.drafting import draft, guess, vocabulary, writing
from e2analytics.feeds.drafting.draft import _flow
from e2analytics.feeds.drafting.sniff import is_header, sniff
from e2analytics.feeds.text_columns import TEXT_COLUMNS

REPOSITORY = Path(__file__).parents[3]
LABS = """\
MRN;Analyte;Result;Units;Date Collected;Remark
4711;Estradiol;21,5;pg/mL;13.02.2024 07:50;secret
4712;Estradiol;22,5;pg/mL;01.03.2024;secret
"""


def drafted(path: Path) -> Feed:
    """Draft and load: whatever the file, the draft is a description."""
    file = path.with_suffix(".yaml")
    file.write_text(draft(path), encoding="utf-8")
    return load_feed(file)


def written(tmp_path: Path, text: str, *, encoding: str = "utf-8", name: str = "new.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_draft_says_how_the_file_is_written_and_what_its_columns_are(tmp_path: Path):
    feed = drafted(written(tmp_path, LABS, encoding="utf-16"))

    assert feed.format.model_dump(exclude_defaults=True) == {
        "delimiter": ";",
        "encoding": "utf-16",
    }
    assert feed.dates == ("%d.%m.%Y", "%d.%m.%Y %H:%M")
    assert feed.decimal == ","
    (kind,) = feed.files
    assert kind.target == "labs"
    assert kind.columns == {
        "patient_id": "MRN",
        "collected_at": "Date Collected",
        "test_name": "Analyte",
        "value": "Result",
        "unit": "Units",
        "result_id": Join(join=("MRN", "Date Collected", "Analyte")),
    }


def test_a_drafted_feed_recognises_its_file(tmp_path: Path):
    path = written(tmp_path, LABS)

    found = drop.recognise([drafted(path)], path)

    assert found is not None
    assert found.feed.feed == "new_supplier"


def test_a_draft_names_columns_and_no_value(tmp_path: Path):
    text = draft(written(tmp_path, LABS))

    assert "# Nothing uses: Remark" in text
    for value in ("4711", "21,5", "secret", "2024"):
        assert value not in text


def test_what_is_not_known_is_to_do(tmp_path: Path):
    text = draft(written(tmp_path, LABS))

    assert "feed: new_supplier  # TODO" in text
    # No column is a number of a result: what stands in for it is said so.
    assert (
        "result_id: {join: [MRN, Date Collected, Analyte]}  # each of 2 rows has its own. TODO: is there a"
        " number that a correction keeps?" in text
    )


def test_what_nothing_fills_is_to_do(tmp_path: Path):
    text = draft(written(tmp_path, "MRN;Analyte;Result;Date Collected\n1;E2;5;2024-01-02\n"))

    assert "# TODO unit: which column, or if all are the same: {constant: pg/mL}" in text


def test_a_file_with_sex_and_birth_date_fills_patients_too(tmp_path: Path):
    header, *rows = LABS.splitlines()
    text = "\n".join([f"{header};DOB;Sex", *(f"{row};02.03.1970;w" for row in rows)]) + "\n"

    labs, patients = drafted(written(tmp_path, text)).files

    assert (labs.target, patients.target) == ("labs", "patients")
    assert patients.imputed == ("clinic_id",)
    assert patients.columns["sex"].model_dump()["values"] == {"w": "F"}  # type: ignore[union-attr]


def test_known_codes_are_mapped_and_unknown_ones_only_told_of(tmp_path: Path):
    header, *rows = LABS.splitlines()
    codes = ["Endbefund", "hidden"]
    text = "\n".join([f"{header};Status", *(f"{r};{c}" for r, c in zip(rows, codes, strict=True))])

    described = draft(written(tmp_path, text + "\n"))

    assert "status: {column: Status, values: {Endbefund: F}}  # TODO: more codes" in described
    assert "hidden" not in described


def test_date_and_time_in_two_columns_are_joined(tmp_path: Path):
    text = (
        "MRN,Analyte,Result,Units,Collection Date,Collection Time\n7,E2,21,pg/mL,02/13/2024,07:50\n"
    )

    feed = drafted(written(tmp_path, text))

    assert feed.files[0].columns["collected_at"].model_dump() == {  # type: ignore[union-attr]
        "join": ("Collection Date", "Collection Time"),
        "by": " ",
        "values": None,
        "prefix": "",
    }
    assert feed.dates == ("%m/%d/%Y %H:%M",)


def test_dates_that_can_be_read_in_two_ways_are_not_guessed(tmp_path: Path):
    text = "MRN,Analyte,Result,Units,Collected\n7,E2,21,pg/mL,02/03/2024\n"

    described = draft(written(tmp_path, text))

    assert "# TODO: how are dates written? Each of these reads all of them" in described
    assert '\n# dates: ["%m/%d/%Y"]\n# dates: ["%d/%m/%Y"]\n' in described
    assert drafted(written(tmp_path, text)).dates == ()


def test_dates_that_nobody_can_read_are_asked_about(tmp_path: Path):
    text = "MRN,Analyte,Result,Units,Collected\n7,E2,21,pg/mL,Tuesday last\n"

    assert "# TODO: how are dates written?" in draft(written(tmp_path, text))


@pytest.mark.parametrize(
    ("values", "decimal_comma"),
    [
        (["1,5", "<2,25"], True),
        (["1.5", "1,500"], False),
        (["1,500", "2,250"], None),
        (["12", "negative"], False),
        (["1,500", "2,2"], True),
    ],
)
def test_a_comma_is_decimal_if_it_cannot_group_thousands(
    values: list[str], decimal_comma: bool | None
):
    assert writing.decimal_comma(pl.Series(values)) is decimal_comma


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "windows-1252"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_told(tmp_path: Path, encoding: str, told: str, delimiter: str):
    rows = [["MRN", "Größe", "Note"], ["1", "178", "a"], ["2", "181", "b"]]
    text = "".join(f"{delimiter.join(row)}\n" for row in rows)

    sniffed = sniff(written(tmp_path, text, encoding=encoding))

    assert sniffed.options.model_dump(include={"delimiter", "encoding"}) == {
        "delimiter": delimiter,
        "encoding": told,
    }
    assert sniffed.tables[""].columns == ["MRN", "Größe", "Note"]


def test_a_header_may_stand_below_a_title(tmp_path: Path):
    text = f"Export of September\nMade by: Dr. Smith\n\n{LABS}"

    described = draft(written(tmp_path, text))

    assert "header_line: 4" in described
    assert "Smith" not in described


def test_rows_without_a_header_are_never_taken_for_one(tmp_path: Path):
    rows = LABS.split("\n", 1)[1]

    with pytest.raises(UnreadableError, match="none of its first lines looks like a header") as at:
        draft(written(tmp_path, rows))

    assert "4711" not in str(at.value)


@pytest.mark.parametrize(
    ("names", "rows", "is_one"),
    [
        (["MRN", "Result"], [["1", "2"]], True),
        (["Smith", "5.1"], [["Jones", "6.1"]], False),
        (["Smith", "1970-01-02"], [["Jones", "1971-01-02"]], False),
        (["Smith", "male"], [["Jones", "male"]], False),  # stands there again
        (["Smith", "male"], [["Jones", "female"]], False),  # no numbers below
        (["a letter to the clinic " * 4, "b"], [["x", "1"]], False),
        (["MRN"], [["1"]], False),
    ],
)
def test_a_header_is_names_above_data(names: list[str], rows: list[list[str]], is_one: bool):
    assert is_header(names, rows) is is_one


def test_a_table_that_is_no_table_of_ours_is_set_apart_to_be_described(tmp_path: Path):
    feed = drafted(written(tmp_path, "Invoice;Amount;Currency\n1;20;EUR\n2;30;EUR\n"))

    assert feed.files[0].set_apart == "not_described"


def test_sheets_are_described_one_by_one(tmp_path: Path):
    import openpyxl

    book = openpyxl.Workbook()
    book.worksheets[0].title = "Results"
    for line in ["Laboratory", *LABS.replace(",", ".").splitlines()]:
        book.worksheets[0].append(line.split(";"))
    smith = book.create_sheet("Smith")
    for year in (1970, 1971, 1972):
        smith.append(["Smith", year])
    path = tmp_path / "new.xlsx"
    book.save(path)

    feed = drafted(path)

    assert feed.format.model_dump(exclude_defaults=True) == {"header_line": 2}
    assert feed.format.kind == "excel"
    assert [(kind.record, kind.set_apart) for kind in feed.files] == [
        ("Results", None),
        ("Smith", "other_sheet"),
    ]


def test_parquet_is_described_by_its_columns(tmp_path: Path):
    path = tmp_path / "new.parquet"
    pl.DataFrame(
        {"MRN": ["1"], "Analyte": ["E2"], "Result": [1.5], "Units": ["pg/mL"], "Collected": ["x"]}
    ).write_parquet(path)

    feed = drafted(path)

    assert feed.format.kind == "parquet"
    assert feed.files[0].name == "*.parquet"
    assert feed.files[0].target == "labs"


@pytest.mark.parametrize(
    ("name", "text", "shipped"),
    [
        ("results_2024.txt", "MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5.1\r", "hl7_oru"),
        ("export.jsonl", '{"resourceType": "Patient", "id": "1"}\n', "fhir_r4"),
    ],
)
def test_messages_under_another_name_get_a_copy_of_their_feed(
    tmp_path: Path, name: str, text: str, shipped: str
):
    path = written(tmp_path, text, name=name)

    feed = drafted(path)

    assert feed.feed == f"{shipped}_copy"
    found = drop.recognise([feed], path)
    assert found is not None
    assert "2024" not in found.kinds[0].name


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"One column\nand\nno more\n",
        b'{"name": "no resource"}',
        b"PAR1 but no more",
        b"PK\x03\x04 but no archive",
        b"\xd0\xcf\x11\xe0 an old workbook",
        b"",
    ],
)
def test_what_is_in_no_format_of_ours_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "new.bin"
    path.write_bytes(content)

    with pytest.raises(UnreadableError):
        draft(path)


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names, min_size=2, max_size=5, unique=True), st.sampled_from(",;\t|"))
def test_a_draft_can_be_loaded_whatever_the_columns_are_called(
    tmp_path: Path, columns: list[str], delimiter: str
):
    quoted = ['"' + name.replace('"', '""') + '"' for name in columns]
    text = f"{delimiter.join(quoted)}\n{delimiter.join('1' for _ in columns)}\n"
    path = written(tmp_path, text)

    # It may have no header, or a name that makes the text something else.
    with suppress(UnreadableError):
        drafted(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_drafted_or_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "new.bin"
    path.write_bytes(content)

    with suppress(UnreadableError):
        drafted(path)


def test_the_words_name_columns_and_codes_that_exist():
    columns = {target: guess.required(target) for target in TEXT_COLUMNS}

    for target, needed in columns.items():
        assert set(needed) <= set(vocabulary.columns(target, needed)), "each knows its own name"
        assert set(vocabulary.columns(target, [])) == set()


@pytest.mark.parametrize("target", TEXT_COLUMNS)
def test_the_canonical_columns_are_their_own(target: str):
    found = vocabulary.columns(target, TEXT_COLUMNS[target])

    assert all(name == column for name, column in found.items())


@pytest.mark.parametrize(
    "text", [json.dumps(word) for word in ("on", "1,2", "a: b", "#", "é\u2028", "\x07")]
)
def test_any_name_of_a_column_is_quoted_as_it_must_be(tmp_path: Path, text: str):
    name = json.loads(text)

    assert yaml.safe_load(f"[{_flow(name)}, {_flow({'column': name})}]") == [name, {"column": name}]


def test_a_file_of_lifestyle_is_known_by_its_answers(tmp_path: Path):
    text = "MRN,Date,Calcium intake (mg),Resistance sessions per week\n4711,2024-03-01,900,3\n"

    (kind,) = drafted(written(tmp_path, text)).files

    assert (kind.target, kind.columns) == (
        "lifestyle",
        {
            "patient_id": "MRN",
            "recorded_on": "Date",
            "calcium_mg_per_day": "Calcium intake (mg)",
            "resistance_sessions_per_week": "Resistance sessions per week",
        },
    )


def test_a_patient_and_a_day_alone_are_no_lifestyle():
    rows = pl.DataFrame({"MRN": ["4711"], "Visit Date": ["2024-03-01"], "Remark": ["secret"]})

    assert "lifestyle" not in {found.table for found in guess.guess(rows)}
