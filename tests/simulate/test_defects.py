"""The answer key against an independent reading of the files by the contract's rules."""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

Row = dict[str, str]
Fates = dict[int, str]

KEYS = {
    "labs.csv": "result_id",
    "dxa.csv": "scan_id",
    "medications.csv": "order_id",
    "events.csv": "event_id",
}
DAYS = {
    "patients.csv": "birth_date",
    "labs.csv": "collected_at",
    "dxa.csv": "scanned_on",
    "medications.csv": "started_on",
    "events.csv": "occurred_on",
}
KNOWN_UNITS = {
    "Estradiol": {"pg/mL", "pmol/L"},
    "Testosterone": {"ng/dL", "nmol/L"},
    "Vitamin D": {"ng/mL"},
    "Hematocrit": {"%"},
}


def read(drop: Path, name: str) -> dict[int, Row]:
    """Rows by line number; the header is line 1."""
    with (drop / name).open(newline="", encoding="utf-8") as file:
        return dict(enumerate(csv.DictReader(file), start=2))


def is_a_past_day(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).date() <= date(2026, 9, 30)
    except ValueError:
        return False


def fate_of_values(name: str, row: Row) -> str | None:
    """What becomes of a row for its own values, or None where they are in order."""
    if not is_a_past_day(row[DAYS[name]]):
        return "quarantined"
    if name == "labs.csv":
        return fate_of_result(row)
    limits = {"dxa.csv": ("bmd_g_cm2", 0.2, 2.2), "medications.csv": ("dose_mg", 0.01, 500)}
    if name in limits:
        column, low, high = limits[name]
        return None if low <= float(row[column]) <= high else "quarantined"
    return None


def fate_of_result(row: Row) -> str | None:
    analyte = next((start for start in KNOWN_UNITS if row["test_name"].startswith(start)), None)
    if analyte is None:
        return "set_apart"
    number = float(row["value"].lstrip("<>"))
    in_order = row["unit"] in KNOWN_UNITS[analyte] and 0 < number < 5000
    return None if in_order else "quarantined"


def fates_of_people(patients: dict[int, Row]) -> Callable[[str], str | None]:
    """How a patient's identity settles the fate of all his rows; None for a man."""
    identities = defaultdict(set)
    for row in patients.values():
        identities[row["patient_id"]].add((row["birth_date"], row["sex"]))

    def fate(patient_id: str) -> str | None:
        known = identities.get(patient_id, set())
        if len(known) != 1:
            return "quarantined"
        return "set_apart" if next(iter(known))[1] == "F" else None

    return fate


def fates_of_versions(versions: list[tuple[int, Row]]) -> Fates:
    """Settle one key: the newest report wins, then the line; P never replaces; X withdraws."""
    final = [v for v in versions if v[1].get("status") != "P"] or versions
    winner = max(final, key=lambda v: (v[1].get("reported_at", ""), v[0]))
    if winner[1].get("status") == "X":
        return {line: "withdrawn" for line, _ in versions}
    fates = {line: "duplicate" if row == winner[1] else "superseded" for line, row in versions}
    # Of rows that say the same, the first is kept.
    return fates | {min(line for line, fate in fates.items() if fate == "duplicate"): "accepted"}


def resolve(rows: dict[int, Row], key: str, settled: Callable[[Row], str | None]) -> Fates:
    fates = {line: fate for line, row in rows.items() if (fate := settled(row))}
    by_key = defaultdict(list)
    for line, row in rows.items():
        if line not in fates:
            by_key[row[key]].append((line, row))
    for versions in by_key.values():
        fates |= fates_of_versions(versions)
    return fates


def resolve_drop(drop: Path) -> dict[str, Fates]:
    patients = read(drop, "patients.csv")
    of_person = fates_of_people(patients)
    fates = {
        "patients.csv": resolve(
            patients,
            "patient_id",
            lambda row: fate_of_values("patients.csv", row) or of_person(row["patient_id"]),
        )
    }
    for name, key in KEYS.items():
        fates[name] = resolve(
            read(drop, name),
            key,
            lambda row, name=name: of_person(row["patient_id"]) or fate_of_values(name, row),
        )
    return fates


@pytest.fixture(scope="module")
def answers(cohort) -> pl.DataFrame:
    return pl.read_csv(cohort.truth / "defects.csv")


@pytest.fixture(scope="module")
def lines(cohort) -> dict[str, dict[int, Row]]:
    return {name: read(cohort.drop, name) for name in DAYS}


def test_the_contract_gives_every_row_the_fate_that_the_answer_key_expects(cohort, answers):
    expected = {
        (file, line): fate
        for file, line, fate in answers.select("file", "line", "expected_fate").iter_rows()
    }

    for name, fates in resolve_drop(cohort.drop).items():
        wrong = [
            (name, line, fate)
            for line, fate in fates.items()
            if expected.get((name, line), "accepted") != fate
        ]
        assert wrong == []
        assert dict(Counter(fates.values())) == cohort.rows[name]


def test_a_line_is_named_once_and_every_kind_of_defect_is_there(answers):
    assert answers.select("file", "line").is_duplicated().sum() == 0
    counts = answers.group_by("kind").len().sort("kind")
    assert counts["kind"].to_list() == [
        "cancellation",
        "cancelled",
        "corrected",
        "double_identity",
        "exact_duplicate",
        "future_date",
        "impossible_date",
        "impossible_value",
        "late_preliminary",
        "missing_unit",
        "older_version",
        "orphan",
        "other_analyte",
        "overlapping_orders",
        "stopped_drug",
        "unknown_dose",
        "unknown_unit",
        "woman",
    ]
    assert counts["len"].min() >= 3


def planted(answers: pl.DataFrame, lines: dict[str, dict[int, Row]], kind: str) -> Iterable[Row]:
    chosen = answers.filter(pl.col("kind") == kind)
    return [lines[file][line] for file, line in chosen.select("file", "line").iter_rows()]


@pytest.mark.parametrize(
    ("kind", "is_so"),
    [
        ("unknown_unit", lambda row: row["unit"] in {"IU/L", "U/L"}),
        ("missing_unit", lambda row: row["unit"] == ""),
        ("corrected", lambda row: row["status"] == "C"),
        ("cancellation", lambda row: row["status"] == "X"),
        ("late_preliminary", lambda row: row["status"] == "P"),
        ("other_analyte", lambda row: row["test_name"] in {"Glucose", "Local panel 17"}),
        ("overlapping_orders", lambda row: row["stopped_on"] == ""),
        ("stopped_drug", lambda row: row["stopped_on"] != ""),
        ("unknown_dose", lambda row: row["sig"] == "as directed" and row["doses_per_week"] == ""),
        ("future_date", lambda row: "2062" in "".join(row.values())),
    ],
)
def test_the_line_of_a_defect_shows_the_defect(answers, lines, kind, is_so):
    rows = planted(answers, lines, kind)

    assert rows
    assert [row for row in rows if not is_so(row)] == []


def test_a_twin_has_the_same_key_and_only_a_duplicate_has_the_same_content(answers, lines):
    keys = KEYS | {"patients.csv": "patient_id"}
    twins = answers.drop_nulls("twin_line")

    for file, line, kind, twin in twins.select("file", "line", "kind", "twin_line").iter_rows():
        row, other = lines[file][line], lines[file][twin]
        assert row[keys[file]] == other[keys[file]]
        assert (row == other) == (kind == "exact_duplicate")
    assert set(twins["expected_fate"]) == {"duplicate", "superseded", "withdrawn"}


def test_some_older_versions_stand_below_the_newer_one(answers):
    below = answers.filter(kind="older_version", file="labs.csv").select(
        (pl.col("line") > pl.col("twin_line")).mean()
    )

    assert 0.2 < below.item() < 0.5


def test_the_accepted_rows_are_the_clean_drop(cohort, clean, answers):
    for name, table in clean.items():
        refused = answers.filter(pl.col("file") == name, pl.col("expected_fate") != "accepted")[
            "line"
        ]
        spoilt = pl.read_csv(cohort.drop / name, infer_schema=False).with_row_index("line", 2)
        accepted = spoilt.filter(~pl.col("line").is_in(refused.implode())).drop("line")
        # A corrected result says so, and an overlapping order has lost its end: all else is equal.
        changeable = [column for column in ("status", "stopped_on") if column in table.columns]
        assert accepted.drop(changeable).equals(table.drop(changeable)), name
