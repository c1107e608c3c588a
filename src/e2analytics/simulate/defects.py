"""Defects as clinics send them, planted in a clean drop, with the answer to each.

No defect changes the truth: planted rows are duplicates, older versions or rows that must not be
used, and every one has exactly one right fate. All are changed copies of rows of the drop.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from e2analytics.simulate.annotated_file import Fate, annotated, file_and_answers, planted
from e2analytics.simulate.parameters import AS_DIRECTED
from e2analytics.simulate.row_sampler import KEYS, RowSampler
from e2analytics.simulate.settings import SimulationSettings

# Shares of a file's rows per kind of defect; strangers per man. All assumptions.
DUPLICATE_SHARE: Final = 0.004
VERSION_SHARE: Final = 0.0015  # of each way that a row has several versions
BAD_ROW_SHARE: Final = 0.0005
MISREAD_SHARE: Final = 0.01
STRANGER_SHARE: Final = 0.008
ROWS_PER_STRANGER: Final = {"labs.csv": 4, "dxa.csv": 3, "medications.csv": 1, "events.csv": 1}
# Slips of the key: 2062 for 2026, a day and a month that no calendar has.
FUTURE_TIME: Final = "2062-03-14T08:30:00"
FUTURE_DATE: Final = "2062-03-14"
NO_SUCH_TIME: Final = "2025-02-30T08:30:00"
NO_SUCH_DATE: Final = "2025-13-05"

IS_E2: Final = pl.col("test_name").str.starts_with("Estradiol")
IS_TESTOSTERONE: Final = pl.col("test_name").str.starts_with("Testosterone")
IS_NUMBER: Final = ~pl.col("value").str.contains("[<>]")


@dataclass(frozen=True)
class DefectiveDrop:
    """A drop with its defects.

    Attributes
    ----------
    drop : dict of str to DataFrame
        Every file as text, in the order of its lines.
    answers : DataFrame
        `file`, `line`, `kind`, `expected_fate`, `rule`, and `twin_line`: the row that replaces it.
    rows : dict of str to dict of str to int
        Expected rows per file and fate.
    """

    drop: dict[str, pl.DataFrame]
    answers: pl.DataFrame
    rows: dict[str, dict[str, int]]


def plant_defects(
    tables: dict[str, pl.DataFrame], settings: SimulationSettings, rng: np.random.Generator
) -> DefectiveDrop:
    """Plant defects in a clean drop, or none where the settings say so.

    Parameters
    ----------
    tables : dict of str to DataFrame
        The clean drop by file name.
    settings : SimulationSettings
        `defects` is read.
    rng : numpy.random.Generator
        Chooses the rows.
    """
    annotated_files = {name: annotated(table) for name, table in tables.items()}
    if settings.defects:
        annotated_files = _with(
            annotated_files, _all_defects(annotated_files, RowSampler(annotated_files, rng))
        )
    files = {name: file_and_answers(name, rows) for name, rows in annotated_files.items()}
    return DefectiveDrop(
        drop={name: table for name, (table, _) in files.items()},
        answers=pl.concat([answers for _, answers in files.values()]),
        rows={name: _count_fates(rows) for name, rows in annotated_files.items()},
    )


def _with(
    annotated_files: dict[str, pl.DataFrame], defects: Iterator[tuple[str, pl.DataFrame]]
) -> dict[str, pl.DataFrame]:
    """Return the annotated_files with planted rows; one at the place of a clean row replaces it."""
    extra: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for name, rows in defects:
        extra[name].append(rows)
    return annotated_files | {
        name: pl.concat(
            [annotated_files[name].join(pl.concat(rows), on="_place", how="anti"), *rows]
        )
        for name, rows in extra.items()
    }


def _count_fates(rows: pl.DataFrame) -> dict[str, int]:
    counts = rows["_fate"].value_counts().sort("_fate")
    return dict(counts.iter_rows())


def _all_defects(
    annotated_files: dict[str, pl.DataFrame], sampler: RowSampler
) -> Iterator[tuple[str, pl.DataFrame]]:
    for name in KEYS:
        rows = sampler.share(name, DUPLICATE_SHARE)
        yield name, planted(rows, "exact_duplicate", "duplicate", "identical", twin=0)
    yield from _strangers(sampler)
    yield from (("labs.csv", rows) for rows in _laboratory_versions(sampler))
    yield from (("labs.csv", rows) for rows in _unusable_results(sampler))
    yield from (("dxa.csv", rows) for rows in _scans(sampler))
    yield from (
        ("medications.csv", rows) for rows in _orders(annotated_files["medications.csv"], sampler)
    )
    yield from (("patients.csv", rows) for rows in _patients(sampler))


def _older(rows: pl.DataFrame, *, offset: int = -1) -> pl.DataFrame:
    """Mark changed copies as older versions of the rows they were copied from."""
    return planted(rows, "older_version", "superseded", "newest_version", offset=offset, twin=0)


def _scaled(column: str, factor: float, decimals: int) -> pl.Expr:
    return (pl.col(column).cast(pl.Float64) * factor).round(decimals).cast(pl.String)


def _hours_after(column: str, hours: int) -> pl.Expr:
    later = pl.col(column).str.to_datetime().dt.offset_by(f"{hours}h")
    return later.dt.to_string("%Y-%m-%dT%H:%M:%S")


def _with_new_keys(name: str, rows: pl.DataFrame, sampler: RowSampler) -> pl.DataFrame:
    return rows.with_columns(sampler.keys(name, len(rows)))


def _laboratory_versions(sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Corrected, preliminary and cancelled results."""
    other_value = _scaled("value", 0.8, 1)
    before = _hours_after("collected_at", 3).alias("reported_at")
    after = _hours_after("reported_at", 5).alias("reported_at")
    # In half of the corrections the older version stands on the later line: the time of report decides.
    for offset in (-1, 1):
        rows = sampler.share("labs.csv", VERSION_SHARE, IS_NUMBER)
        yield _older(rows.with_columns(before, value=other_value), offset=offset)
        corrected = rows.with_columns(status=pl.lit("C"))
        yield planted(corrected, "corrected", "accepted", "newest_version", offset=0)
    rows = sampler.share("labs.csv", VERSION_SHARE, IS_NUMBER)
    yield _older(rows.with_columns(before, value=other_value, status=pl.lit("P")))
    rows = sampler.share("labs.csv", VERSION_SHARE, IS_NUMBER)
    late = rows.with_columns(after, value=other_value, status=pl.lit("P"))
    yield planted(late, "late_preliminary", "superseded", "preliminary_never_replaces", twin=0)
    rows = _with_new_keys("labs.csv", sampler.share("labs.csv", VERSION_SHARE), sampler)
    yield planted(rows, "cancelled", "withdrawn", "cancelled", offset=1, twin=2)
    withdrawal = rows.with_columns(after, status=pl.lit("X"))
    yield planted(withdrawal, "cancellation", "withdrawn", "cancelled", offset=2)


def _unusable_results(sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Results that no rule lets in, and analytes out of scope."""
    recipes: tuple[tuple[str, Fate, str, pl.Expr, dict[str, str | None]], ...] = (
        ("impossible_value", "quarantined", "impossible_value", IS_E2, {"value": "-5.0"}),
        ("impossible_value", "quarantined", "impossible_value", IS_TESTOSTERONE, {"value": "1000000"}),
        ("unknown_unit", "quarantined", "unknown_unit", IS_E2 & IS_NUMBER, {"unit": "IU/L"}),
        ("unknown_unit", "quarantined", "unknown_unit", IS_TESTOSTERONE & IS_NUMBER, {"unit": "U/L"}),
        ("missing_unit", "quarantined", "missing_unit", IS_E2 & IS_NUMBER, {"unit": None}),
        ("future_date", "quarantined", "impossible_collected_at", IS_E2, {"collected_at": FUTURE_TIME, "reported_at": FUTURE_TIME}),
        ("impossible_date", "quarantined", "unreadable_collected_at", IS_E2, {"collected_at": NO_SUCH_TIME}),
        ("other_analyte", "set_apart", "other_analyte", IS_E2, {"loinc": "2345-7", "test_name": "Glucose", "value": "95", "unit": "mg/dL"}),
        ("other_analyte", "set_apart", "other_analyte", IS_E2, {"loinc": None, "test_name": "Local panel 17", "value": "1.0"}),
    )  # fmt: skip
    for kind, fate, rule, only, values in recipes:
        rows = sampler.share("labs.csv", BAD_ROW_SHARE, only)
        yield planted(_changed("labs.csv", rows, values, sampler), kind, fate, rule)


def _changed(
    name: str, rows: pl.DataFrame, values: dict[str, str | None], sampler: RowSampler
) -> pl.DataFrame:
    """Return rows with new keys and, in some columns, one text for all of them."""
    texts = [pl.lit(text, pl.String).alias(column) for column, text in values.items()]
    return _with_new_keys(name, rows, sampler).with_columns(texts)


def _scans(sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Plant scans that were read again, and scans that cannot be."""
    rows = sampler.share("dxa.csv", 2 * VERSION_SHARE)
    yield _older(rows.with_columns(_scaled("bmd_g_cm2", 0.95, 3)))
    recipes: tuple[tuple[str, str, dict[str, str | None]], ...] = (
        ("impossible_value", "impossible_bmd", {"bmd_g_cm2": "12.0"}),
        ("future_date", "impossible_scanned_on", {"scanned_on": FUTURE_DATE}),
        ("impossible_date", "unreadable_scanned_on", {"scanned_on": NO_SUCH_DATE}),
    )
    for kind, rule, values in recipes:
        rows = _changed("dxa.csv", sampler.share("dxa.csv", BAD_ROW_SHARE), values, sampler)
        yield planted(rows, kind, "quarantined", rule)


def _orders(orders: pl.DataFrame, sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Orders written again, impossible ones, and lawful ones that are easily misread."""
    rows = sampler.share("medications.csv", 2 * VERSION_SHARE)
    yield _older(rows.with_columns(_scaled("dose_mg", 2.0, 2)))
    recipes: tuple[tuple[str, str, dict[str, str | None]], ...] = (
        ("impossible_value", "negative_dose", {"dose_mg": "-1.0"}),
        (
            "impossible_date",
            "unreadable_started_on",
            {"started_on": NO_SUCH_DATE, "stopped_on": None},
        ),
    )
    for kind, rule, values in recipes:
        rows = sampler.share("medications.csv", BAD_ROW_SHARE)
        rows = _changed("medications.csv", rows, values, sampler)
        yield planted(rows, kind, "quarantined", rule)
    yield from _easily_misread(orders, sampler)


def _easily_misread(orders: pl.DataFrame, sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Orders that overlap the next one, that stopped for good, or whose dose is missing."""
    following = pl.col("started_on").shift(-1).over("patient_id", "drug", order_by="started_on")
    replaced = orders.filter(pl.col("stopped_on") == following)
    last_stopped = orders.filter(pl.col("stopped_on").is_not_null() & following.is_null())
    recipes = (
        ("overlapping_orders", "overlap", pl.col("order_id").is_in(replaced["order_id"].implode())),
        ("stopped_drug", "washed_out", pl.col("order_id").is_in(last_stopped["order_id"].implode())),
        ("unknown_dose", "dose_unknown", pl.col("sig") == AS_DIRECTED),
    )  # fmt: skip
    for kind, rule, only in recipes:
        rows = sampler.share("medications.csv", MISREAD_SHARE, only)
        if kind == "overlapping_orders":
            rows = rows.with_columns(stopped_on=pl.lit(None, pl.String))
        yield planted(rows, kind, "accepted", rule, offset=0)


def _patients(sampler: RowSampler) -> Iterator[pl.DataFrame]:
    """Men weighed again, and people whose birthday does not exist."""
    weighed = sampler.share("patients.csv", 2 * VERSION_SHARE, pl.col("weight_kg").is_not_null())
    yield _older(weighed.with_columns(_scaled("weight_kg", 1.03, 1)))
    rows = sampler.share("patients.csv", BAD_ROW_SHARE)
    rows = _changed("patients.csv", rows, {"birth_date": NO_SUCH_DATE}, sampler)
    yield planted(rows, "impossible_date", "quarantined", "unreadable_birth_date")


def _strangers(sampler: RowSampler) -> Iterator[tuple[str, pl.DataFrame]]:
    """People who are not among the men, with rows in every file."""
    kinds: tuple[tuple[str, Fate, str], ...] = (
        ("woman", "set_apart", "woman"),
        ("double_identity", "quarantined", "conflicting_identity"),
        ("orphan", "quarantined", "unknown_patient"),
    )
    for kind, fate, rule in kinds:
        people = _with_new_keys(
            "patients.csv", sampler.share("patients.csv", STRANGER_SHARE), sampler
        )
        for nth, version in enumerate(_registered(kind, people)):
            yield "patients.csv", planted(version, kind, fate, rule, offset=1 + nth)
        for name, per_person in ROWS_PER_STRANGER.items():
            rows = _with_new_keys(name, sampler.take(name, per_person * len(people)), sampler)
            owner = people["patient_id"].gather(np.arange(len(rows)) // per_person)
            yield name, planted(rows.with_columns(owner), kind, fate, rule)


def _registered(kind: str, people: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the rows that a kind of stranger has in `patients.csv`: one, two that differ, or none."""
    a_year_later = pl.col("birth_date").str.to_date().dt.offset_by("1y").dt.to_string("%Y-%m-%d")
    match kind:
        case "woman":
            return [people.with_columns(sex=pl.lit("F"))]
        case "double_identity":
            return [people, people.with_columns(birth_date=a_year_later)]
        case _:
            return []
