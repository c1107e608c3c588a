"""Quality: shares with their denominators, and nothing where the data cannot tell."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from e2analytics.ingest import quality, quality_counts

FILES = pl.DataFrame(
    {
        "source_file": ["acme-labs-1", "gene-dxa-1"],
        "feed": ["acme", "gene"],
        "run_id": ["run-000001", "run-000002"],
    }
)
READ_ON = {"run-000001": date(2026, 3, 31), "run-000002": date(2026, 4, 30)}
LABS = {
    "source_file": pl.String,
    "fate": pl.String,
    "failed_rules": pl.String,
    "result_id": pl.String,
    "patient_id": pl.String,
    "collected_at": pl.Datetime("us", "UTC"),
    "collected_on": pl.Date,
    "analyte": pl.String,
    "value_low": pl.Float64,
    "unit": pl.String,
    "assay": pl.String,
    "reported_at": pl.Datetime("us", "UTC"),
    "imputed": pl.String,
}
DRAWN = datetime(2026, 3, 2, 8, tzinfo=UTC)
RESULT = {
    "source_file": "acme-labs-1",
    "fate": "accepted",
    "failed_rules": "",
    "result_id": "r",
    "patient_id": "p",
    "collected_at": DRAWN,
    "collected_on": DRAWN.date(),
    "analyte": "estradiol",
    "value_low": 20.0,
    "unit": "pg/mL",
    "assay": "ms",
    "reported_at": DRAWN + timedelta(days=3),
    "imputed": "",
}
UNREADABLE = {"fate": "quarantined", "failed_rules": "unreadable_value", "value_low": None}


def labs(*changes: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{**RESULT, **change} for change in changes], schema=LABS)


def grade(read_on: dict[str, date] = READ_ON, **rows: pl.DataFrame) -> pl.DataFrame:
    """Return the grades of rows, by table."""
    delays = quality_counts.report_delays(rows["labs"], FILES)
    return quality.grade(quality_counts.row_quality(rows), delays, FILES, read_on=read_on)


def graded(*changes: dict[str, object]) -> dict[str, object]:
    return grade(labs=labs(*changes)).row(0, named=True)


def share(row: dict[str, object], name: str) -> tuple[object, object, object]:
    return row[f"{name}_n"], row[f"{name}_of"], row[name]


def test_a_month_of_a_feed_is_one_row_with_every_share_and_its_denominator():
    good = [{}] * 22
    doubted = {"failed_rules": "old_unit"}
    found = grade(labs=labs(*good, UNREADABLE, doubted, {"assay": "unknown"}))

    expected = pl.DataFrame(
        {
            "feed": ["acme"],
            "table": ["labs"],
            "month": ["2026-03"],
            "n_rows": [25],
            "completeness_n": [23],
            "completeness_of": [25],
            "completeness": [0.92],
            "completeness_grade": ["C"],
            "conformance_n": [24],
            "conformance_of": [25],
            "conformance": [0.96],
            "conformance_grade": ["C"],
            "plausibility_n": [23],
            "plausibility_of": [24],
            "plausibility": [23 / 24],
            "plausibility_grade": ["C"],
            "days_to_report": [3.0],
            "days_to_report_of": [24],
            "timeliness_grade": ["A"],
            "days_to_read": [29.0],
            "days_to_read_of": [24],
            "grade": ["C"],
        }
    )
    assert_frame_equal(found, expected)


@pytest.mark.parametrize("fate", ["set_apart", "superseded", "duplicate", "withdrawn"])
def test_only_rows_that_stand_or_wait_are_judged(fate: str):
    row = graded({}, {**UNREADABLE, "fate": fate})

    assert row["n_rows"] == 1
    assert share(row, "completeness") == (1, 1, 1.0)
    assert share(row, "conformance") == (1, 1, 1.0)


def test_rows_kept_as_categories_are_counted_alike():
    rows = labs({}, {"imputed": "collected_at"}, UNREADABLE, {"failed_rules": "old_unit"})
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    compact = rows.cast(dict.fromkeys(texts, pl.Categorical(pl.Categories("of the test"))))

    found = grade(labs=compact)

    assert_frame_equal(found, grade(labs=rows))


def test_what_was_not_accepted_says_nothing_about_plausibility():
    row = graded(UNREADABLE, UNREADABLE)

    assert share(row, "plausibility") == (0, 0, None)
    assert share(row, "conformance") == (0, 2, 0.0)
    assert row["plausibility_grade"] is None
    assert row["days_to_report"] is None


def test_a_row_whose_patient_nobody_knows_does_not_conform():
    # It breaks no rule of its own; but a feed that numbers its patients otherwise must not get an A.
    row = graded({}, {"fate": "quarantined", "failed_rules": ""})

    assert share(row, "conformance") == (1, 2, 0.5)


def test_the_assay_is_wanted_of_estradiol_only():
    row = graded({"assay": "unknown"}, {"assay": "unknown", "analyte": "hematocrit"})

    assert share(row, "completeness") == (1, 2, 0.5)


def test_what_the_feed_declared_was_not_supplied():
    row = graded({"imputed": "collected_at"}, {"imputed": "unit_of_something"}, {})

    assert share(row, "completeness") == (2, 3, 2 / 3)
    # A declared day is no day of a draw.
    assert row["days_to_report_of"] == 2
    assert row["days_to_read_of"] == 2


def test_times_that_cannot_be_are_no_times():
    row = graded({"reported_at": DRAWN - timedelta(days=1)}, {"reported_at": None})

    assert (row["days_to_report"], row["days_to_report_of"]) == (None, 0)


def test_a_run_whose_day_is_not_known_says_nothing_about_time():
    found = grade({}, labs=labs({}))

    assert found.select("days_to_read", "days_to_read_of").row(0) == (None, 0)


def test_dates_that_cannot_be_make_no_month_of_their_own():
    of_1899 = {
        "collected_on": date(1899, 12, 30),
        "fate": "quarantined",
        "failed_rules": "impossible_collected_at",
    }
    found = grade(labs=labs({}, of_1899, {"collected_on": None, **UNREADABLE}))

    assert found.select("month", "n_rows").rows() == [(None, 2), ("2026-03", 1)]


def test_tables_without_a_day_have_one_row_a_feed():
    precision = pl.DataFrame(
        {
            "source_file": ["gene-dxa-1"] * 2,
            "fate": ["accepted"] * 2,
            "failed_rules": [""] * 2,
            "clinic_id": ["c", "c"],
            "scanner_id": ["s", "s"],
            "site": ["total_hip", "lumbar_spine"],
            "cv_pct": [1.0, None],
        }
    )

    found = grade(precision=precision, labs=labs({}))

    assert found.select("feed", "table", "month", "completeness", "days_to_read").rows() == [
        ("acme", "labs", "2026-03", 1.0, 29.0),
        ("gene", "precision", None, 0.5, None),
    ]


def test_few_rows_are_told_but_not_graded():
    row = graded(*[{}] * (quality.MIN_ROWS - 1))
    assert (row["completeness"], row["completeness_grade"], row["grade"]) == (1.0, None, None)

    row = graded(*[{}] * quality.MIN_ROWS)
    assert (row["completeness_grade"], row["grade"]) == ("A", "A")


@pytest.mark.parametrize(
    ("days", "letter"), [(0, "A"), (7, "A"), (7.5, "B"), (14, "B"), (30, "C"), (31, "D")]
)
def test_late_reports_lower_the_grade_of_all(days: float, letter: str):
    row = graded(*[{"reported_at": DRAWN + timedelta(days=days)}] * 20)

    assert (row["timeliness_grade"], row["grade"]) == (letter, letter)


def test_without_times_of_report_the_grade_is_of_what_is_known():
    row = graded(*[{"reported_at": None}] * 20)

    assert (row["timeliness_grade"], row["grade"]) == (None, "A")


def test_no_rows_give_no_grades():
    assert grade(labs=labs()).is_empty()


def test_every_scale_says_where_it_comes_from_and_falls_one_way():
    for scale in quality.SCALES.values():
        assert scale.source == quality.OUR_OWN_RULE
        assert scale.a > scale.b > scale.c or scale.a < scale.b < scale.c


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "fate": st.sampled_from(
                    ["accepted", "duplicate", "superseded", "withdrawn", "quarantined", "set_apart"]
                ),
                "failed_rules": st.sampled_from(["", "old_unit", "impossible_collected_at"]),
                "value_low": st.none() | st.floats(0, 100),
                "analyte": st.sampled_from([None, "estradiol", "shbg"]),
                "collected_on": st.none() | st.dates(date(2026, 1, 1), date(2026, 3, 1)),
            }
        ),
        max_size=30,
    )
)
def test_every_row_that_stands_or_waits_counts_once_and_no_share_exceeds_its_denominator(
    changes: list[dict[str, object]],
):
    found = grade(labs=labs(*changes))

    judged = [change for change in changes if change["fate"] in {"accepted", "quarantined"}]
    assert found["n_rows"].sum() == len(judged)
    for name in ("completeness", "conformance", "plausibility"):
        assert (found[f"{name}_n"] <= found[f"{name}_of"]).all()
        assert (found[f"{name}_of"] <= found["n_rows"]).all()
        assert (found[name].is_null() == (found[f"{name}_of"] == 0)).all()
