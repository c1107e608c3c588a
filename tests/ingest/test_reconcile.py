"""Settle: every source row has exactly one fate."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2analytics.ingest.normalise.tables import normalise
from e2analytics.ingest.reconcile import identity_status, reconcile
from e2analytics.ingest.rules.judge import judge
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.vocabulary import FATES
from tests.conftest import text_rows

MAN = {"patient_id": "p1", "clinic_id": "c", "sex": "M", "birth_date": "1970-01-01"}
RESULT = {
    "result_id": "r1",
    "patient_id": "p1",
    "collected_at": "2024-03-01",
    "test_name": "estradiol",
    "value": "20",
    "unit": "pg/mL",
}


def rows(table: str, *changes: dict[str, str | None]) -> pl.DataFrame:
    base = MAN if table == "patients" else RESULT
    text = text_rows(table, *({**base, **change} for change in changes))
    return judge(table, normalise(table, text, timezone="UTC"), today=date(2024, 6, 1))


def fates(*results: dict[str, str | None], patients: pl.DataFrame | None = None) -> list[str]:
    people = rows("patients", {}) if patients is None else patients
    return reconcile("labs", rows("labs", *results), identity_status(people))["fate"].to_list()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([{}], ["accepted"]),
        # The first row that says what the newest says is kept; whoever repeats it moves nothing.
        ([{}, {}], ["accepted", "duplicate"]),
        ([{"value": "20"}, {"value": "21"}], ["superseded", "accepted"]),
        # Newest report wins, wherever it stands.
        (
            [
                {"value": "21", "status": "C", "reported_at": "2024-03-09"},
                {"value": "20", "reported_at": "2024-03-02"},
            ],
            ["accepted", "superseded"],
        ),
        # A preliminary result never replaces a final one.
        (
            [
                {"value": "20", "reported_at": "2024-03-02"},
                {"value": "19", "status": "P", "reported_at": "2024-03-09"},
            ],
            ["accepted", "superseded"],
        ),
        ([{"status": "P"}, {"value": "21"}], ["superseded", "accepted"]),
        # Of one time of report a correction replaces what it corrects, wherever it stands ...
        (
            [
                {"value": "21", "status": "C", "reported_at": "2024-03-02"},
                {"value": "20", "reported_at": "2024-03-02"},
            ],
            ["accepted", "superseded"],
        ),
        # ... of another time it does not, and a later cancellation withdraws both.
        (
            [
                {"value": "21", "status": "C", "reported_at": "2024-03-02"},
                {"value": "20", "reported_at": "2024-03-03"},
            ],
            ["superseded", "accepted"],
        ),
        (
            [
                {"value": "21", "status": "C", "reported_at": "2024-03-02"},
                {"value": "20", "reported_at": "2024-03-02"},
                {"status": "X", "reported_at": "2024-03-02"},
            ],
            ["withdrawn", "withdrawn", "withdrawn"],
        ),
        # A cancellation withdraws every version of the key ...
        (
            [
                {"reported_at": "2024-03-02"},
                {"status": "X", "value": None, "reported_at": "2024-03-03"},
            ],
            ["withdrawn", "withdrawn"],
        ),
        ([{"status": "X"}], ["withdrawn"]),
        # ... until a newer correction comes.
        (
            [
                {"reported_at": "2024-03-02"},
                {"status": "X", "reported_at": "2024-03-03"},
                {"status": "C", "value": "22", "reported_at": "2024-03-04"},
            ],
            ["superseded", "superseded", "accepted"],
        ),
        # A correction that cannot be read does not take the good result away.
        (
            [{"reported_at": "2024-03-02"}, {"value": "see", "reported_at": "2024-03-03"}],
            ["accepted", "quarantined"],
        ),
        # ... but one that says that nothing could be measured takes its place.
        (
            [{"reported_at": "2024-03-02"}, {"value": "QNS", "reported_at": "2024-03-03"}],
            ["superseded", "set_apart"],
        ),
        # A row that waits gives way to a later one of its number that came in.
        (
            [{"value": "see"}, {"value": "20"}],
            ["superseded", "accepted"],
        ),
        # A correction without a time of report: file and line decide.
        (
            [{"reported_at": "2024-03-02"}, {"value": "21", "status": "C"}],
            ["superseded", "accepted"],
        ),
        ([{"reported_at": "2024-03-02"}, {"status": "X"}], ["withdrawn", "withdrawn"]),
        (
            [{"value": "21"}, {"reported_at": "2024-03-02", "status": "C"}],
            ["superseded", "accepted"],
        ),
        # A cancellation needs no more than the number of what it cancels.
        (
            [
                {},
                {
                    "status": "X",
                    "patient_id": None,
                    "collected_at": None,
                    "test_name": None,
                    "value": None,
                    "unit": None,
                },
            ],
            ["withdrawn", "withdrawn"],
        ),
        # One number for two tests, as an order has: neither is a version of the other.
        ([{}, {"test_name": "cortisol"}], ["quarantined", "set_apart"]),
        ([{"test_name": "cortisol"}, {}], ["set_apart", "quarantined"]),
        ([{}, {"test_name": "LH", "unit": "IU/L"}], ["quarantined", "quarantined"]),
        ([{"test_name": "cortisol"}, {"test_name": "glucose"}], ["set_apart", "set_apart"]),
        ([{}, {"status": "X", "test_name": None}], ["withdrawn", "withdrawn"]),
        ([{"test_name": "cortisol"}], ["set_apart"]),
        ([{"patient_id": "nobody"}], ["quarantined"]),
    ],
)
def test_versions_of_one_key(results: list[dict[str, str | None]], expected: list[str]):
    assert fates(*results) == expected


def test_of_another_file_a_newer_row_that_is_none_of_ours_takes_the_place_of_an_older_one():
    results = rows("labs", {}, {"test_name": "cortisol"}).with_columns(
        source_file=pl.Series(["file-1", "file-2"]), source_order=pl.Series([0, 1])
    )

    reconciled = reconcile("labs", results, identity_status(rows("patients", {})))

    assert reconciled["fate"].to_list() == ["superseded", "set_apart"]


def test_a_number_of_several_tests_takes_nothing_away_that_came_before():
    results = rows("labs", {}, {"value": "21"}, {"test_name": "cortisol"}).with_columns(
        source_file=pl.Series(["file-1", "file-2", "file-2"]), source_order=pl.Series([0, 1, 1])
    )

    reconciled = reconcile("labs", results, identity_status(rows("patients", {})))

    assert reconciled["fate"].to_list() == ["accepted", "quarantined", "set_apart"]


def test_a_womans_rows_are_set_apart_even_if_they_break_a_rule():
    woman = rows("patients", {"sex": "F"})

    assert fates({}, {"value": "9999999"}, patients=woman) == ["set_apart", "set_apart"]


@pytest.mark.parametrize(
    "other", [{"birth_date": "1971-01-01"}, {"sex": "F"}, {"assigning_authority": "HOSPB"}]
)
def test_one_number_with_two_identities_keeps_all_its_rows_out(other: dict[str, str | None]):
    people = rows("patients", {"assigning_authority": "HOSPA"}, other)
    identities = identity_status(people)

    assert fates({}, patients=people) == ["quarantined"]
    assert reconcile("patients", people, identities)["fate"].to_list() == ["quarantined"] * 2


def test_a_second_authority_counts_even_where_its_row_has_no_birth_date():
    people = rows(
        "patients",
        {"assigning_authority": "HOSPA"},
        {"assigning_authority": "HOSPB", "birth_date": None},
    )

    assert fates({}, patients=people) == ["quarantined"]


@pytest.mark.parametrize("other", [None, "hospa"])
def test_one_authority_or_none_named_is_one_man(other: str | None):
    people = rows("patients", {"assigning_authority": "HOSPA"}, {"assigning_authority": other})

    assert fates({}, patients=people) == ["accepted"]
    assert reconcile("patients", people, identity_status(people))["fate"].to_list() == [
        "accepted",
        "duplicate",
    ]


def test_a_row_without_a_birth_date_alone_makes_nobody_known():
    people = rows("patients", {"birth_date": None})

    assert fates({}, patients=people) == ["quarantined"]


def test_a_new_weight_replaces_the_old_one():
    people = rows("patients", {"weight_kg": "90"}, {"weight_kg": "80"})

    assert reconcile("patients", people, identity_status(people))["fate"].to_list() == [
        "superseded",
        "accepted",
    ]


RESULTS = st.lists(
    st.fixed_dictionaries(
        {
            "result_id": st.sampled_from(["r1", "r2", None]),
            "patient_id": st.sampled_from(["p1", "p2", "nobody", None]),
            "value": st.sampled_from(["20", "21", "<5", "QNS", None, "-1"]),
            "unit": st.sampled_from(["pg/mL", "IU/L", None]),
            "status": st.sampled_from(["F", "C", "P", "X", "?", None]),
            "reported_at": st.sampled_from(["2024-03-02", "2024-03-03", "soon", None]),
            "test_name": st.sampled_from(["estradiol", "cortisol", None]),
        }
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(RESULTS)
def test_every_row_has_exactly_one_fate_and_every_key_at_most_one_version(
    results: list[dict[str, str | None]],
):
    check_fates(results)


@pytest.mark.slow
@settings(max_examples=200)
@given(RESULTS)
def test_every_row_has_exactly_one_fate_and_every_key_at_most_one_version_however_often(
    results: list[dict[str, str | None]],
):
    check_fates(results)


def check_fates(results: list[dict[str, str | None]]) -> None:
    """Reconcile results of two known men, and see that no row has two fates and no key two versions."""
    people = rows("patients", {}, {"patient_id": "p2", "sex": "F"})

    reconciled = reconcile("labs", rows("labs", *results), identity_status(people))

    assert sorted(reconciled["source_line"]) == list(range(2, len(results) + 2))
    assert reconciled["fate"].is_in(FATES).all()
    accepted = reconciled.filter(pl.col("fate") == "accepted")
    assert not accepted.select("namespace", "result_id").is_duplicated().any()
    assert accepted["status"].is_in(["F", "C", "P"]).all()


def test_times_of_report_are_compared_as_instants():
    results = rows(
        "labs",
        {"value": "20", "reported_at": "2024-03-02T10:00+02:00"},
        {"value": "21", "reported_at": "2024-03-02T09:00Z"},
    )

    reconciled = reconcile("labs", results, identity_status(rows("patients", {})))

    assert reconciled["reported_at"].to_list() == [
        datetime(2024, 3, 2, 8, tzinfo=UTC),
        datetime(2024, 3, 2, 9, tzinfo=UTC),
    ]
    assert reconciled["fate"].to_list() == ["superseded", "accepted"]


OTHER = {"patient_id": "p2", "birth_date": "1971-02-02"}
TWO_MEN = rows("patients", {}, OTHER)


def whys(
    table: str, changed: pl.DataFrame, people: pl.DataFrame = TWO_MEN
) -> list[tuple[str, str | None]]:
    reconciled = reconcile(table, changed, identity_status(people))
    return reconciled.sort("source_order", "source_line").select("fate", "why").rows()


WAITS = ("quarantined", "number_of_several_patients")
UNKNOWN = ("quarantined", "unknown_patient")
ROW_OF = {
    "labs": RESULT,
    "dxa": {
        "scan_id": "s1",
        "patient_id": "p1",
        "scanned_on": "2024-03-01",
        "site": "total_hip",
        "bmd_g_cm2": "0.95",
    },
    "medications": {
        "order_id": "o1",
        "patient_id": "p1",
        "drug": "anastrozole",
        "dose_mg": "0.5",
        "doses_per_week": "2",
        "started_on": "2024-03-01",
    },
    "events": {
        "event_id": "e1",
        "patient_id": "p1",
        "kind": "fracture",
        "occurred_on": "2024-03-01",
    },
}


def rows_of(table: str, *changes: dict[str, str | None], nights: bool = False) -> pl.DataFrame:
    text = text_rows(table, *({**ROW_OF[table], **change} for change in changes))
    judged = judge(table, normalise(table, text, timezone="UTC"), today=date(2024, 6, 1))
    if nights:
        order = pl.int_range(len(judged), eager=True)
        judged = judged.with_columns(
            source_order=order, source_file=pl.format("file-{}", order).cast(TEXT)
        )
    return judged


@pytest.mark.parametrize("table", ROW_OF)
@pytest.mark.parametrize("nights", [False, True])
def test_rows_that_share_a_number_and_name_two_men_all_wait(table: str, nights: bool):
    shared = rows_of(table, {}, {"patient_id": "p2"}, {}, nights=nights)

    assert whys(table, shared) == [WAITS] * 3


@pytest.mark.parametrize(
    ("table", "other", "expected"),
    [
        # Whatever else keeps the other man's row out, the number names him.
        ("labs", {"patient_id": "nobody"}, [WAITS, UNKNOWN]),
        ("labs", {"patient_id": "p2", "value": "see"}, [WAITS, ("quarantined", "unreadable_value")]),
        ("labs", {"patient_id": "p2", "value": "QNS"}, [WAITS, ("set_apart", "not_measured")]),
        ("labs", {"patient_id": "p2", "test_name": "cortisol"}, [WAITS, ("set_apart", "other_analyte")]),
        ("labs", {"patient_id": "p2", "status": "C", "reported_at": "2024-03-09"}, [WAITS, WAITS]),
        ("labs", {"patient_id": "p2", "status": "X"}, [WAITS, WAITS]),
        ("medications", {"patient_id": "p2", "drug": "aspirin"}, [WAITS, ("set_apart", "other_drug")]),
        # The number of a scan is one man's at all of its sites.
        ("dxa", {"patient_id": "p2", "site": "femoral_neck"}, [WAITS, WAITS]),
        # Another number, or nobody's name, is no other man's row.
        ("dxa", {"patient_id": "p2", "scan_id": "s2"}, [("accepted", None)] * 2),
    ],
)  # fmt: skip
def test_the_number_of_another_mans_row_is_shared_whatever_becomes_of_it(
    table: str, other: dict[str, str | None], expected: list[tuple[str, str | None]]
):
    assert whys(table, rows_of(table, {}, other)) == expected
    assert whys(table, rows_of(table, other, {}, nights=True)) == expected[::-1]


def test_a_row_that_names_nobody_is_mended_by_a_later_one_of_its_number():
    nobody = {"patient_id": None}

    assert whys("labs", rows_of("labs", {}, nobody)) == [
        ("accepted", None),
        ("quarantined", "missing_patient_id"),
    ]
    assert whys("labs", rows_of("labs", nobody, {})) == [
        ("superseded", "mended"),
        ("accepted", None),
    ]


def test_a_womans_row_of_a_mans_number_does_not_take_its_place():
    people = rows("patients", {}, {**OTHER, "sex": "F"})

    assert whys("labs", rows_of("labs", {}, {"patient_id": "p2"}), people) == [
        WAITS,
        ("set_apart", "woman"),
    ]


@pytest.mark.parametrize("table", ["labs", "dxa", "medications"])
def test_a_number_is_one_mans_again_once_the_other_mans_row_is_cancelled(table: str):
    wrong = {"patient_id": "p2"}

    assert whys(table, rows_of(table, wrong, {**wrong, "status": "X"}, {}, nights=True)) == [
        ("withdrawn", None),
        ("withdrawn", None),
        ("accepted", None),
    ]
    assert whys(table, rows_of(table, {}, wrong, {**wrong, "status": "X"}, nights=True)) == [
        ("accepted", None),
        ("withdrawn", None),
        ("withdrawn", None),
    ]


def test_a_cancellation_that_names_nobody_does_not_say_which_of_two_men_is_meant():
    cancelled = {"patient_id": None, "status": "X"}

    assert whys("labs", rows_of("labs", {}, {"patient_id": "p2"}, cancelled)) == [WAITS] * 3


def test_a_row_of_nobody_known_is_not_mended_by_another_mans():
    typing_error = {"patient_id": "p11"}
    cancelled = {**typing_error, "status": "X"}

    assert whys("labs", rows_of("labs", typing_error, cancelled, {}, nights=True)) == [
        UNKNOWN,
        UNKNOWN,
        ("accepted", None),
    ]


def test_nights_and_one_drop_agree_on_a_number_of_two_men():
    changes = ({}, {"patient_id": "p2"}, {"result_id": "r2"}, {"patient_id": "p2", "value": "30"})

    assert whys("labs", rows_of("labs", *changes)) == whys(
        "labs", rows_of("labs", *changes, nights=True)
    )
