"""Mapping: a supplier's columns under the names of a table, still as text."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.feeds.description import Feed
from e2analytics.feeds.mapping import to_table, unpivoted


def feed(*, target: str = "labs", file: dict[str, Any], **options: Any) -> Feed:
    described = {"target": target, "name": "*"} | file
    return Feed.model_validate(
        {"feed": "x", "description": "x", "format": "delimited", "namespace": "n"}
        | options
        | {"files": [described]}
    )


def mapped(raw: dict[str, list[str | None]], described: Feed) -> pl.DataFrame:
    rows = pl.DataFrame(raw, schema=dict.fromkeys(raw, pl.String)).with_columns(
        source_line=pl.int_range(2, pl.len() + 2, dtype=pl.Int64), short_line=pl.lit(False)
    )
    return to_table(rows, described, described.files[0], source_file="f", source_order=3)


def column(
    name: str, source: object, raw: dict[str, list[str | None]], **options: Any
) -> list[Any]:
    target = "patients" if name in ("sex", "birth_date") else "labs"
    return mapped(raw, feed(target=target, file={"columns": {name: source}}, **options))[name].to_list()  # fmt: skip


WIDE = feed(
    target="dxa",
    file={
        "required": ["id", "hip", "neck", "ok"],
        "set_apart_when": {"column": "ok", "is_not": "1", "reason": "invalid_scan"},
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
    },
)
HIPS: dict[str, list[str | None]] = {
    "id": ["1", "2", "3", "4"],
    "hip": ["0.9", None, None, "0.8"],
    "neck": ["0.7", "0.6", None, None],
    "ok": ["1", "1", "1", "3"],
}


def test_a_line_with_several_results_becomes_several_rows_of_one_line():
    rows = mapped(HIPS, WIDE).sort("source_line", "source_part")

    assert rows.select("source_line", "scan_id", "site", "bmd_g_cm2", "excluded").rows() == [
        (2, "S-1", "total_hip", "0.9", None),
        (2, "S-1", "femoral_neck", "0.7", None),
        # Of a line with one result the empty part is no row ...
        (3, "S-2", "femoral_neck", "0.6", None),
        # ... but every line stays, so that it can be counted.
        (4, "S-3", "total_hip", None, "not_measured"),
        (5, "S-4", "total_hip", "0.8", "invalid_scan"),
    ]
    assert rows.select("imputed", "scanned_on", "namespace", "source_order").unique().rows() == [
        ("scanned_on", "2024-01-01", "n", 3)
    ]


def test_parts_that_the_reader_counted_and_parts_of_the_line_are_both_told_apart():
    raw = pl.DataFrame({name: values[:2] for name, values in HIPS.items()}).with_columns(
        source_line=pl.lit(7, pl.Int64), source_part=pl.Series([0, 1]), short_line=pl.lit(False)
    )

    rows = to_table(raw, WIDE, WIDE.files[0], source_file="f", source_order=0)

    places = rows.sort("source_part").select("source_line", "source_part", "scan_id", "site")
    assert places.rows() == [
        (7, 0, "S-1", "total_hip"),
        (7, 1, "S-1", "femoral_neck"),
        (7, 3, "S-2", "femoral_neck"),
    ]


def test_a_comment_code_turns_a_filled_value_into_what_was_measured():
    below = {"column": "v", "below_detection": {"column": "low", "equals": "1", "limit": 1.73}}

    assert column("value", below, {"v": ["1.22", "9"], "low": ["1", "0"]}) == ["<1.73", "9"]


def test_codes_are_translated_and_unknown_ones_stay_to_be_judged():
    sex = {"column": "sex", "values": {"1": "M", "2": "F"}}

    assert column("sex", sex, {"sex": ["2", "9", None]}) == ["F", "9", None]


def test_unknown_codes_become_what_is_said_but_an_empty_one_stays_empty():
    status = {"column": "s", "values": {"Cancelled": "X"}, "otherwise": "F"}

    assert column("status", status, {"s": ["Cancelled", "Done", None]}) == ["X", "F", None]


def test_a_code_can_mean_that_nothing_is_said():
    side = {"column": "s", "values": {"L": "left", "B": ""}, "otherwise": ""}

    assert column("test_name", side, {"s": ["L", "B", "?", None]}) == ["left", None, None, None]


def test_an_age_becomes_the_middle_of_its_year():
    age = {"age_years": "age", "known_on": date(2018, 8, 16)}

    assert column("birth_date", age, {"age": ["50", None]}) == ["1968-02-16", None]


def test_the_first_source_that_is_not_empty_counts():
    name = {"first_of": ["a", {"column": "b", "values": {"E": "estradiol"}}, {"constant": "?"}]}

    assert column("test_name", name, {"a": ["x", None, None], "b": ["E", "E", None]}) == [
        "x",
        "estradiol",
        "?",
    ]


def test_joined_columns_are_empty_where_the_first_one_is():
    raw = {"a": ["1", "1", None], "b": ["E2", None, "E2"]}

    assert column("result_id", {"join": ["a", "b"]}, raw) == ["1-E2", "1", None]


def test_different_parts_are_never_joined_to_one_number():
    raw = {
        "order": ["7", "7", "7", "7", None],
        "test": ["1", None, "1", None, "1"],
        "part": [None, "1", "1", None, "1"],
    }

    assert column("result_id", {"join": ["order", "test", "part"]}, raw) == [
        "7-1",
        "7--1",
        "7-1-1",
        "7",
        None,
    ]


def test_joined_columns_can_be_recoded_together():
    site = {"join": ["a", "b"], "by": " ", "values": {"Femur Total": "total_hip"}}

    assert column("test_name", site, {"a": ["Femur", "Femur"], "b": ["Total", "Shaft"]}) == [
        "total_hip",
        "Femur Shaft",
    ]


def test_a_column_that_a_file_lacks_is_empty():
    assert column("method", "technique", {"v": ["1", "2"]}) == [None, None]


@pytest.mark.parametrize(
    ("when", "excluded"),
    [
        ({"equals": "a"}, ["r", None, None, None]),
        ({"equals": ["a", "b"]}, ["r", "r", None, None]),
        ({"is_not": "a"}, [None, "r", "r", "r"]),
        ({"is_not": ["a", "b"]}, [None, None, "r", "r"]),
        ({"given": True}, ["r", "r", "r", None]),
    ],
)
def test_rows_that_are_none_of_ours_are_set_apart_by_a_column(
    when: dict[str, object], excluded: list[str | None]
):
    described = feed(
        file={"columns": {"value": "v"}, "set_apart_when": {"column": "k", "reason": "r", **when}}
    )

    rows = mapped({"v": ["1"] * 4, "k": ["a", "b", "c", None]}, described)

    assert rows["excluded"].to_list() == excluded


def test_rows_of_a_record_that_is_none_of_ours_are_all_set_apart():
    rows = mapped({"v": ["1", None]}, feed(file={"set_apart": "other_record"}))

    assert rows["excluded"].to_list() == ["other_record"] * 2
    assert rows["value"].null_count() == 2


def test_dates_of_the_suppliers_formats_become_iso_and_others_stay_as_they_are():
    written = ["31.12.2025 08:05", "31.12.2025", "30.02.2025", "2025-12-31", None]

    read = column("collected_at", "d", {"d": written}, dates=["%d.%m.%Y %H:%M", "%d.%m.%Y"])

    assert read == ["2025-12-31T08:05:00", "2025-12-31", "30.02.2025", "2025-12-31", None]


def test_a_clock_of_twelve_hours_is_read():
    written = ["12/31/2025 12:05 AM", "12/31/2025 12:05 PM", "12/31/2025 01:00 PM"]

    assert column("reported_at", "d", {"d": written}, dates=["%m/%d/%Y %I:%M %p"]) == [
        "2025-12-31T00:05:00",
        "2025-12-31T12:05:00",
        "2025-12-31T13:00:00",
    ]


@pytest.mark.parametrize("offset", ["Z", "-0500", "+01:00"])
def test_an_offset_stays_beside_the_local_time(offset: str):
    written = [f"31/12/2025 08:05{offset}"]

    read = column("collected_at", "d", {"d": written}, dates=["%d/%m/%Y %H:%M%z"])

    assert read == [f"2025-12-31T08:05:00{offset}"]


def test_a_z_in_a_suppliers_format_says_that_the_time_is_in_utc():
    read = column("collected_at", "d", {"d": ["05/03/2024 08:30Z"]}, dates=["%d/%m/%Y %H:%MZ"])

    assert read == ["2024-03-05T08:30:00Z"]


def test_a_constant_date_is_not_read_in_the_suppliers_formats():
    constant = {"constant": date(2024, 1, 2)}

    assert column("birth_date", constant, {"v": ["1"]}, dates=["%Y-%d-%m"]) == ["2024-01-02"]


def test_a_decimal_comma_becomes_a_point_and_a_point_no_number():
    written = ["23,4", "<5,0", "1.234", "1.234,5", None]

    assert column("value", "v", {"v": written}, decimal=",") == [
        "23.4",
        "<5.0",
        "1,234",
        "1,234.5",
        None,
    ]
    assert column("test_name", "v", {"v": ["25,OH"]}, decimal=",") == ["25,OH"]


def test_a_joined_number_may_have_something_in_front():
    raw: dict[str, list[str | None]] = {"a": ["1", None], "b": ["2", "3"]}

    assert column("result_id", {"join": ["a", "b"], "prefix": "E2-"}, raw) == ["E2-1-2", None]


def test_an_operator_in_a_column_of_its_own_is_joined_to_its_number():
    operator = {"column": "op", "values": {"4171756": "<", "4172703": ""}, "otherwise": "?"}
    value = {"first_of": [{"join": [operator, "v"], "by": ""}, "v"]}
    raw: dict[str, list[str | None]] = {
        "op": ["4171756", "4172703", None, "99"],
        "v": ["5", "6", "7", "8"],
    }

    # A code that nobody knows is no "equal": the row waits.
    assert column("value", value, raw) == ["<5", "6", "7", "?8"]


TURNED = {
    "columns": {"test_name": "Test", "collected_at": "Day", "value": "Result"},
    "unpivot": {"keep": ["Test", "Units"], "heading": "Day", "cell": "Result"},
    "not_measured_when_empty": "value",
}


def test_a_table_on_its_side_has_a_row_for_each_cell():
    described = feed(file=TURNED, dates=["%m/%d/%Y"])
    raw = pl.DataFrame(
        {
            "Test": ["Estradiol", "Testosterone"],
            "01/05/2026": ["22.1", "710"],
            "Units": ["pg/mL", "ng/dL"],
            "03/14/2026": ["<5", None],
            "source_line": [2, 3],
            "short_line": [False, False],
        }
    )

    rows = to_table(
        unpivoted(raw, described.files[0]),
        described,
        described.files[0],
        source_file="f",
        source_order=0,
    )

    shown = rows.select(
        "source_line", "source_part", "test_name", "collected_at", "value", "excluded"
    )
    assert shown.rows() == [
        (2, 0, "Estradiol", "2026-01-05", "22.1", None),
        (2, 1, "Estradiol", "2026-03-14", "<5", None),
        (3, 0, "Testosterone", "2026-01-05", "710", None),
        (3, 1, "Testosterone", "2026-03-14", None, "not_measured"),
    ]


def test_new_columns_of_a_table_on_its_side_have_names_of_their_own():
    turned = {"keep": ["Test"], "heading": "Test", "cell": "Result"}

    with pytest.raises(ValueError, match="heading and cell are new names"):
        feed(file={"columns": {"value": "Result"}, "unpivot": turned})
