"""Mapping: a supplier's columns under the names of a table, still as text."""

from datetime import date

import polars as pl

from e2analytics.feeds.description import Feed
from e2analytics.feeds.mapping import to_table

WIDE = Feed.model_validate(
    {
        "feed": "wide",
        "description": "One line, two sites.",
        "format": "delimited",
        "files": [
            {
                "target": "dxa",
                "name": "*.csv",
                "required": ["id", "hip", "neck", "ok"],
                "valid_when": {"column": "ok", "equals": "1"},
                "columns": {
                    "scan_id": {"column": "id", "prefix": "S-"},
                    "scanned_on": {"constant": date(2024, 1, 1)},
                },
                "parts": [
                    {"site": {"constant": "total_hip"}, "bmd_g_cm2": "hip"},
                    {"site": {"constant": "femoral_neck"}, "bmd_g_cm2": "neck"},
                ],
                "not_measured_when_empty": "bmd_g_cm2",
                "imputed": ["scanned_on"],
            }
        ],
    }
).files[0]


def mapped(raw: pl.DataFrame) -> pl.DataFrame:
    return to_table(raw, WIDE, namespace="n", source_file="f", source_order=3)


def test_a_line_with_several_results_becomes_several_rows_of_one_line():
    raw = pl.DataFrame(
        {
            "id": ["1", "2", "3", "4"],
            "hip": ["0.9", None, None, "0.8"],
            "neck": ["0.7", "0.6", None, None],
            "ok": ["1", "1", "1", "3"],
            "source_line": [2, 3, 4, 5],
            "short_line": [False] * 4,
        }
    )

    rows = mapped(raw).sort("source_line", "source_part")

    assert rows.select("source_line", "scan_id", "site", "bmd_g_cm2", "apart").rows() == [
        (2, "S-1", "total_hip", "0.9", None),
        (2, "S-1", "femoral_neck", "0.7", None),
        # Of a line with one result the empty part is no row ...
        (3, "S-2", "femoral_neck", "0.6", None),
        # ... but every line stays, so that it can be counted.
        (4, "S-3", "total_hip", None, "not_measured"),
        (5, "S-4", "total_hip", "0.8", "invalid_scan"),
    ]
    assert rows["imputed"].unique().to_list() == ["scanned_on"]
    assert rows["scanned_on"].unique().to_list() == ["2024-01-01"]


def source(table: str, **columns: object) -> pl.DataFrame:
    kind = Feed.model_validate(
        {
            "feed": "x",
            "description": "x",
            "format": "delimited",
            "files": [{"target": table, "name": "*", "required": [], "columns": columns}],
        }
    ).files[0]
    raw = pl.DataFrame(
        {"v": ["1.22", "9"], "low": ["1", "0"], "sex": ["2", "9"], "age": ["50", None]}
    ).with_columns(source_line=pl.int_range(2, 4), short_line=pl.lit(False))
    return to_table(raw, kind, namespace="n", source_file="f", source_order=0)


def test_a_comment_code_turns_a_filled_value_into_what_was_measured():
    below = {"column": "v", "below_detection": {"column": "low", "equals": "1", "limit": 1.73}}

    assert source("labs", value=below)["value"].to_list() == ["<1.73", "9"]


def test_codes_are_translated_and_unknown_ones_stay_to_be_judged():
    sex = {"column": "sex", "values": {"1": "M", "2": "F"}}

    assert source("patients", sex=sex)["sex"].to_list() == ["F", "9"]


def test_an_age_becomes_the_middle_of_its_year():
    age = {"age_years": "age", "known_on": date(2018, 8, 16)}

    assert source("patients", birth_date=age)["birth_date"].to_list() == ["1968-02-16", None]


def test_a_column_that_a_file_lacks_is_empty():
    assert source("labs", method="technique")["method"].null_count() == 2
