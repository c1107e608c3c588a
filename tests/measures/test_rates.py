"""Rates: every month, clinic and measure, with intervals and sums."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from pydantic import ValidationError

from e2analytics.exposure.dose_response.ms_equivalents import with_ms_equivalents
from e2analytics.exposure.patient_data import linked
from e2analytics.measures import pending
from e2analytics.measures.clinic_rows import clinic_sums, clinics
from e2analytics.measures.rates import with_older
from e2analytics.reference import constants, measures
from e2analytics.settings import FlagSettings, LinkSettings
from tests.measures.men import AS_OF, LONG_AGO, e2, event, known, man, measure, order, result


def test_every_definition_loads_and_has_a_rule_and_a_source():
    defined = measures.load().measures

    assert [each.id for each in defined.values()] == (
        [f"M{n}" for n in range(1, 9)]
        + ["M9a", "M9b", "M10", "M11", "M11b", "M12a", "M12b", "M13", "M14", "M15"]
    )
    assert set(measure(known(), AS_OF)["measure"]) == set(defined)


@pytest.mark.parametrize(
    "wrong",
    [{"needs": []}, {"needs": ["mri"]}, {"direction": "up"}, {"days": {"until": 0}}, {"widow": 3}],
)
def test_a_definition_with_a_mistake_is_refused(wrong):
    defined = measures.load().model_dump()
    measures.Measures.model_validate(defined)
    defined["measures"]["baseline_dxa"] |= wrong

    with pytest.raises(ValidationError):
        measures.Measures.model_validate(defined)


def test_the_lines_are_those_of_the_flags():
    limits = {name: each.limits for name, each in measures.load().measures.items()}

    assert limits["e2_below_red_line"]["e2_pg_ml"] == constants.RED_LINE_E2.value
    assert limits["e2_below_amber_line"]["e2_pg_ml"] == constants.DEFAULT_LOWER_LIMIT_E2.value
    assert limits["response_to_low_e2"]["e2_pg_ml"] == constants.DEFAULT_LOWER_LIMIT_E2.value


# --- The table ----------------------------------------------------------------------------------


def test_the_table_has_every_month_clinic_and_measure_and_all_clinics_together():
    found = measure(known(patients=[man(), man("p2", "c2")]), AS_OF)

    assert len(found) == 24 * 3 * 18
    assert found.select("month", "clinic_id", "measure").is_unique().all()
    assert found["month"].unique().sort().to_list()[::23] == ["2024-10", "2026-09"]
    assert not found["suppressed"].any()


@pytest.mark.parametrize(
    ("as_of", "last"),
    [
        (date(2026, 9, 29), "2026-08"),
        (date(2026, 9, 30), "2026-09"),
        (date(2026, 2, 28), "2026-02"),
        (date(2026, 12, 31), "2026-12"),
    ],
)
def test_only_months_that_have_ended_are_measured(as_of, last):
    assert measure(known(), as_of, n_months=3)["month"].max() == last


def test_a_share_stands_with_its_interval_and_no_share_of_nobody_is_a_number():
    orders = [order(), order(patient_id="p2")]
    patients = [man(), man("p2")]
    given = known(
        medications=orders,
        patients=patients,
        labs=[result("vitamin_d_25oh", AS_OF, 30.0)],
        events=[event("fracture", LONG_AGO, each["patient_id"]) for each in patients],
    )

    found = measure(given, AS_OF, n_months=1).filter(pl.col("clinic_id") == "c1")

    columns = ["numerator", "denominator", "value", "ci_low", "ci_high", "not_measured"]
    tested = found.filter(pl.col("measure") == "vitamin_d_tested").select(columns).row(0)
    # Wilson, 1 of 2.
    assert tested == (
        1,
        2,
        0.5,
        pytest.approx(0.0945, abs=1e-4),
        pytest.approx(0.9055, abs=1e-4),
        None,
    )
    nobody = found.filter(pl.col("measure") == "bone_loss").select(columns).row(0)
    assert nobody == (0, 0, None, None, None, None)


def test_months_older_than_those_counted_keep_what_they_were_last_counted_at():
    # The first E2 of 2023 was withdrawn since.
    draws = [e2(date(2023, 6, 1)), e2(date(2025, 6, 1))]
    orders = [order(date(2023, 1, 1))]
    before = measure(known(medications=orders, labs=draws), date(2025, 5, 31))
    now = measure(known(medications=orders, labs=draws[1:]), date(2025, 7, 31))

    both = with_older(now, before).filter(
        pl.col("measure") == "ms_share", pl.col("clinic_id").is_null(), pl.col("denominator") > 0
    )

    assert both.select("month", "denominator", "counted_as_of").rows() == [
        ("2023-06", 1, date(2025, 5, 31)),
        ("2025-06", 1, date(2025, 7, 31)),
    ]
    assert with_older(now, before)["month"].n_unique() == 26


def test_clinics_together_are_the_sum_of_those_measured():
    patients = [man(f"p{n}", f"c{n % 3}") for n in range(1, 10)]
    orders = [order(patient_id=f"p{n}") for n in range(1, 10)]
    labs = [
        result("vitamin_d_25oh", AS_OF) | {"patient_id": f"p{n}", "result_id": f"r{n}"}
        for n in range(1, 6)
    ]
    fractured = [event("fracture", LONG_AGO, f"p{n}") for n in range(1, 10)]
    # Whatever a clinic sends, it has sent for a year.
    orders += [order(LONG_AGO, LONG_AGO, patient_id=f"p{n}") for n in range(1, 4)]
    labs += [
        result("vitamin_d_25oh", LONG_AGO) | {"patient_id": f"p{n}", "result_id": f"old{n}"}
        for n in range(1, 4)
    ]

    found = measure(
        known(first={}, patients=patients, medications=orders, labs=labs, events=fractured),
        AS_OF,
        n_months=1,
    ).filter(pl.col("measure") == "vitamin_d_tested")

    assert found.select("clinic_id", "numerator", "denominator").rows() == [
        (None, 5, 9),
        ("c0", 1, 3),
        ("c1", 2, 3),
        ("c2", 2, 3),
    ]


def test_without_any_man_every_measure_says_so():
    found = measure(known(first={}, patients=[]), AS_OF)

    assert len(found) == 24 * 18
    assert found["not_measured"].unique().to_list() == ["no_patients"]


def test_months_that_are_disjoint_count_every_unit_once(outputs):
    tables = outputs.tables
    none_waits = {
        name: tables[name].clear().with_columns(fate=pl.lit("")) for name in pending.TABLES
    }
    rows = pending.as_of_rows(tables, tables["patients"], none_waits, AS_OF)
    data = linked(rows, clinics(clinic_sums(rows), AS_OF), LinkSettings(), FlagSettings())
    given = replace(data, draws=with_ms_equivalents(data.draws, None))
    draws = given.draws

    found = measure(given, AS_OF, n_months=36)
    of_results = found.filter(pl.col("measure") == "ms_share", pl.col("clinic_id").is_not_null())

    in_months = draws.filter(
        (pl.col("on_drug") | pl.col("on_other")) & (pl.col("collected_on") >= date(2023, 10, 1))
    )
    assert of_results["denominator"].sum() == len(in_months)
    assert found.filter(pl.col("numerator") > pl.col("denominator")).is_empty()
