"""Conversion: a decision puts results into their unit, and taken back leaves no trace."""

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.ingest.unit_errors import convert
from e2analytics.settings import SlipDecision, SlipSettings
from e2analytics.tables.categoricals import to_categories, to_contract_types

FEEDS = pl.DataFrame({"source_file": ["labs-0"], "feed": ["acme"]})
CLINICS = pl.DataFrame({"patient_id": ["m1", "m2"], "clinic_id": ["north", "south"]})
IN_PMOL_L = SlipDecision(
    source_kind="performing_lab",
    source="LAB-B",
    analyte="estradiol",
    months=("2026-03",),
    action="convert",
    declared="pg/mL",
    really="pmol/L",
)


def labs() -> pl.DataFrame:
    return pl.DataFrame(
        [
            ("m1", "LAB-B", "estradiol", date(2026, 3, 31), 98.1, 98.1, ""),
            ("m2", "LAB-B", "estradiol", date(2026, 3, 1), 0.0, 18.4, "clinic_id"),  # below 18.4
            ("m2", "LAB-B", "estradiol", date(2026, 3, 2), 550.7, None, ""),  # above 550.7
            ("m1", "LAB-B", "estradiol", date(2026, 4, 1), 27.0, 27.0, ""),
            ("m1", "LAB-A", "estradiol", date(2026, 3, 31), 27.0, 27.0, ""),
            ("m1", "LAB-B", "testosterone_total", date(2026, 3, 31), 600.0, 600.0, ""),
            (None, None, None, None, None, None, ""),
        ],
        schema={
            "patient_id": pl.String,
            "performing_lab": pl.String,
            "analyte": pl.String,
            "collected_on": pl.Date,
            "value_low": pl.Float64,
            "value_high": pl.Float64,
            "imputed": pl.String,
        },
        orient="row",
    ).with_columns(source_file=pl.lit("labs-0"))


def changed(rows: pl.DataFrame, *decisions: SlipDecision) -> pl.DataFrame:
    settings = SlipSettings(decisions=decisions)
    return to_contract_types(convert.convert(to_categories(rows), FEEDS, CLINICS, settings), "labs")


def applied(rows: pl.DataFrame, *decisions: SlipDecision) -> pl.DataFrame:
    new = changed(rows, *decisions)
    at = convert.AT
    return rows.with_row_index(at).update(new, on=at, include_nulls=True).drop(at)


def test_the_results_that_a_decision_names_are_put_into_their_unit_and_say_so():
    mark = "unit_converted:pg/mL:pmol/L"

    told = changed(labs(), IN_PMOL_L).select("at", "value_low", "value_high", "imputed")

    # The number as it was written, times the factor: as if the unit had been declared.
    assert told.rows() == [
        (0, 98.1 * 0.27238, 98.1 * 0.27238, mark),
        (1, 0.0, 18.4 * 0.27238, f"clinic_id {mark}"),
        (2, 550.7 * 0.27238, None, mark),
    ]


def test_nothing_is_converted_twice():
    once = applied(labs(), IN_PMOL_L)

    assert changed(once, IN_PMOL_L).is_empty()


def test_a_decision_taken_back_leaves_every_bit_as_it_came_in():
    assert_frame_equal(applied(applied(labs(), IN_PMOL_L)), labs(), check_exact=True)


def test_of_a_decision_that_was_wrong_the_new_one_starts_from_the_number_as_written():
    in_ng_dl = IN_PMOL_L.model_copy(update={"really": "ng/dL"})

    assert_frame_equal(
        applied(applied(labs(), IN_PMOL_L), in_ng_dl), applied(labs(), in_ng_dl), check_exact=True
    )


def test_where_two_decisions_name_a_row_the_first_counts():
    of_the_clinic = SlipDecision(
        source_kind="clinic",
        source="north",
        analyte="estradiol",
        months="all",
        action="convert",
        declared="pg/mL",
        really="ng/dL",
    )

    told = changed(labs(), IN_PMOL_L, of_the_clinic).select("at", "imputed")

    assert told.rows() == [
        (0, "unit_converted:pg/mL:pmol/L"),
        (1, "clinic_id unit_converted:pg/mL:pmol/L"),
        (2, "unit_converted:pg/mL:pmol/L"),
        (3, "unit_converted:pg/mL:ng/dL"),
        (4, "unit_converted:pg/mL:ng/dL"),
    ]


@pytest.mark.parametrize("decisions", [(), (IN_PMOL_L.model_copy(update={"source": "LAB-Z"}),)])
def test_where_nothing_is_named_nothing_changes(decisions: tuple[SlipDecision, ...]):
    assert changed(labs(), *decisions).is_empty()


def test_a_release_converts_nothing():
    release = SlipDecision(
        source_kind="feed", source="acme", analyte="estradiol", months="all", action="release"
    )

    assert changed(labs(), release).is_empty()
