"""Feed descriptions: the analyst's door."""

from pathlib import Path
from typing import get_args

import pytest

from e2analytics.errors import ConfigurationError
from e2analytics.feeds.description import Feed, FileDescription, UnreadableRule, load_feeds
from e2analytics.ingest.rules.row_rules import UNREADABLE_RULES

LAB = """\
feed: lab
description: d
format: {kind: delimited, delimiter: ";"}
dates: ["%d.%m.%Y"]
decimal: ","
timezone: Europe/Berlin
files:
  - {target: labs, name: 'results_*.txt', required: [Id], columns: {result_id: Id}}
"""


def described(text: str, folder: Path) -> Feed:
    (folder / "lab.yaml").write_text(text)
    return load_feeds(folder)[0]


def kind_of(**file: object) -> FileDescription:
    return FileDescription.model_validate({"target": "labs", "name": "*"} | file)


def test_a_new_supplier_is_one_yaml_file(tmp_path: Path):
    feed = described(LAB, tmp_path)

    assert (feed.feed, feed.namespace, feed.decimal) == ("lab", "default", ",")
    assert feed.format.model_dump() | {"delimiter": ";"} == feed.format.model_dump()
    assert [kind.target for kind in feed.files if kind.matches("Results_2024.TXT")] == ["labs"]
    assert not any(kind.matches("results_2024.csv") for kind in feed.files)


def test_ones_own_descriptions_come_before_those_that_are_shipped(tmp_path: Path):
    described(LAB, tmp_path)

    names = [feed.feed for feed in load_feeds(tmp_path)]

    assert names == ["lab", *(feed.feed for feed in load_feeds())]


def test_a_bare_word_is_a_format_with_its_defaults(tmp_path: Path):
    bare = described(LAB.replace('{kind: delimited, delimiter: ";"}', "delimited"), tmp_path)
    spelt_out = described(LAB.replace(', delimiter: ";"', ""), tmp_path)

    assert bare.format == spelt_out.format


def test_a_folder_of_descriptions_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="feeds_folder"):
        load_feeds(tmp_path / "feedz")


def test_two_descriptions_cannot_have_one_name(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(LAB.replace("feed: lab", "feed: canonical"))

    with pytest.raises(ConfigurationError, match="there is one called canonical"):
        load_feeds(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (LAB.replace("feed: lab", "feed: ["), "cannot be read"),
        (LAB + "colour: red", "colour"),
        (LAB.replace("feed: lab", "feed: My Lab"), "feed:"),
        (LAB.replace("result_id", "result"), "labs has no column result"),
        (LAB.replace("Europe/Berlin", "Berlin"), "timezone: .*IANA"),
        (LAB.replace('";"', '";;"'), "format.delimited.delimiter"),
        (LAB.replace("kind: delimited", "kind: fax"), "format: .*'fax'"),
        (LAB.replace("columns: {result_id: Id}", "imputed: []"), "one of columns, set_apart and"),
        (LAB.replace("columns: {result_id: Id}", "unreadable: torn"), "unreadable: .*unreadable_entry"),
        (LAB.replace("target: labs", "target: dxa").replace("columns: {result_id: Id}", "unreadable: unreadable_entry"), "listed under labs"),
        (LAB.replace("result_id: Id", "result_id: {join: [Id]}"), "result_id.join.join"),
        (LAB.replace("Id}}", "Id}, set_apart_when: {column: A, reason: r}}"), "one of equals"),
        (
            LAB.replace("Id}}", "Id}, set_apart_when: {column: A, equals: x, given: true, reason: r}}"),
            "one of equals",
        ),
    ],
)  # fmt: skip
def test_a_wrong_description_is_told_with_file_and_key(tmp_path: Path, wrong: str, told: str):
    with pytest.raises(ConfigurationError, match=r"lab\.yaml") as refused:
        described(wrong, tmp_path)

    refused.match(told)


def test_what_cannot_be_read_has_a_rule():
    assert get_args(UnreadableRule) == UNREADABLE_RULES


def test_records_are_taken_by_pattern_whatever_their_case():
    kind = kind_of(record="Results*", columns={"result_id": "Id"})

    assert kind.takes("RESULTS 2024")
    assert not kind.takes("Summary")


def test_a_signature_is_a_set_of_columns_of_one_record():
    kind = kind_of(record="Results*", header=["Id", "Analyte"], columns={"result_id": "Id"})

    assert kind.recognises({"Results": ["Analyte", "Id", "More"]})
    assert not kind.recognises({"Results": ["Id"], "Other": ["Id", "Analyte"]})
    assert not kind.recognises({})


def test_all_columns_that_anything_needs_are_known():
    kind = kind_of(
        required=["A"],
        one_of=["B"],
        header=["C"],
        columns={
            "result_id": {"join": ["D", "E"]},
            "test_name": {"first_of": ["F", {"column": "G"}, {"constant": "x"}]},
            "value": {"column": "H", "below_detection": {"column": "I", "equals": "1", "limit": 2}},
        },
        parts=[{"unit": "J"}],
        lookups=[{"name": "*", "on": "K", "columns": ["L"]}],
        set_apart_when={"column": "M", "given": True, "reason": "r"},
    )

    assert kind.columns_used() == set("ABCDEFGHIJKM")


def test_ids_made_of_the_patients_number_are_known():
    columns = {"patient_id": "MRN"}
    prefixed = kind_of(columns={**columns, "result_id": {"column": "MRN", "prefix": "E2-"}})
    joined = kind_of(columns={**columns, "result_id": {"join": ["Date", "MRN"]}})
    own = kind_of(columns={**columns, "result_id": "Accession"})

    assert prefixed.id_prefixes()["result_id"] == "E2-"
    assert prefixed.ids_with_the_patient_in() == set()
    assert joined.ids_with_the_patient_in() == {"result_id"}
    assert own.ids_with_the_patient_in() == set()


def test_a_column_that_yaml_takes_for_another_value_is_told_to_be_quoted(tmp_path: Path):
    with pytest.raises(
        ConfigurationError, match=r"(?s)columns\.result_id.*YAML takes it for False"
    ):
        described(LAB.replace("result_id: Id", "result_id: No"), tmp_path)
