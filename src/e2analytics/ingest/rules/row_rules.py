"""The condition of each row rule, by table: true where a row keeps the rule.

A condition that evaluates to null is not broken: what must be there has a rule of its own. Severity,
column, order and advice are those of ``schemas/reference/row_rules.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, get_args

import polars as pl

from e2analytics.feeds.description import UnreadableRule
from e2analytics.reference import lifestyle, vertebrae
from e2analytics.reference.bone_scores import contradicts_bmd
from e2analytics.spreadsheet import FORMULA
from e2analytics.tables.vocabulary import RESULT_STATUSES, SITES

Conditions = dict[str, pl.Expr]

EARLIEST_EVENT: Final = date(1987, 1, 1)  # the first clinical DXA scanners
EARLIEST_TRT: Final = date(1940, 1, 1)  # testosterone has been made since 1935
EARLIEST_BIRTH: Final = date(1900, 1, 1)
TOMORROW: Final = "tomorrow"
"""Name of a column that ``judge`` adds: the first day that cannot have happened yet."""

IMPOSSIBLE_VALUE: Final = "impossible_value"
VALUE_RULES: Final = frozenset({IMPOSSIBLE_VALUE, "implausible_value", "below_reportable"})
"""Rules of laboratory rows that ask nothing but the value: a converted one is judged by them again."""

UNREADABLE_RULES: Final[tuple[str, ...]] = get_args(UnreadableRule)
"""What a reader could not make rows of. Its table is unknown, so it is listed with labs."""

EVENT_KINDS: Final = (
    "symptom",
    "fracture",
    "dxa_refused",
    "counselling",
    "bone_plan",
    "ai_review",
    "left_clinic",
    "died",
)


def _written(column: str) -> pl.Expr:
    return pl.col(column).is_not_null()


def _unreadable(column: str) -> pl.Expr:
    # Only what was written can be unreadable.
    return _written(f"raw_{column}") & pl.col(column).is_null()


def _is_negative_zero(column: str) -> pl.Expr:
    """Tell which numbers are written as less than nothing and are nothing: a slip of the keys, as -1 is."""
    return (pl.col(column) == 0) & pl.col(f"raw_{column}").str.starts_with("-")


def _given(*columns: str) -> Conditions:
    return {f"missing_{column}": _written(column) for column in columns}


def _given_as_text(*columns: str) -> Conditions:
    # A text that cannot be read is not missing.
    return {f"missing_{column}": _written(f"raw_{column}") for column in columns}


def _readable(*columns: str) -> Conditions:
    return {f"unreadable_{column}": ~_unreadable(column) for column in columns}


def _date(column: str, *, earliest: date = EARLIEST_EVENT) -> Conditions:
    return {
        **_given_as_text(column),
        **_readable(column),
        f"impossible_{column}": pl.col(column).is_between(earliest, pl.col(TOMORROW)),
    }


def _no_formula(*columns: str, others: tuple[pl.Expr, ...] = ()) -> Conditions:
    # What is kept as it was written comes out again in exports, which people open in spreadsheets.
    formulas = [pl.col(column).str.contains(FORMULA) for column in columns]
    return {"formula": ~pl.any_horizontal(*formulas, *others)}


_WHOLE: Final = {"short_line": ~pl.col("short_line")}
_SITE: Final = {**_given("site"), "unknown_site": pl.col("site").is_in(SITES)}
_STATUS: Final = {"unknown_status": pl.col("status").is_in([*RESULT_STATUSES, "X"])}
_WITHDRAWN: Final = pl.col("status") == "X"
_NO_SPINE: Final = pl.col("site") != "lumbar_spine"

_PATIENTS: Final = {
    **_WHOLE,
    **_given("patient_id", "clinic_id"),
    **_no_formula("clinic_id"),
    **_given("sex"),
    "unknown_sex": pl.col("sex").is_in(["M", "F"]),
    **_date("birth_date", earliest=EARLIEST_BIRTH),
    **_readable("height_cm", "weight_kg", "trt_started_on"),
    "implausible_height": pl.col("height_cm").is_between(100, 250),
    "implausible_weight": pl.col("weight_kg").is_between(30, 350),
    "implausible_trt_started_on": pl.col("trt_started_on").is_between(
        EARLIEST_TRT, pl.col(TOMORROW)
    ),
}

_LABS: Final = {
    **_WHOLE,
    **_given("result_id", "patient_id", "test_name"),
    "unknown_test": ~pl.col("unknown_test"),
    **_no_formula("result_id", others=(pl.col("formula_in_kind"),)),
    **_date("collected_at"),
    # An instant has two columns; the local day is the one that is compared.
    "impossible_collected_at": pl.col("collected_on").is_between(EARLIEST_EVENT, pl.col(TOMORROW)),
    **_given_as_text("value", "unit"),
    "unknown_unit": ~(_written("raw_unit") & _written("analyte") & pl.col("factor").is_null()),
    "unreadable_value": ~(
        _written("raw_value") & _written("factor") & pl.col("value_low").is_null()
    ),
    # "<20" begins at 0, whatever is possible.
    IMPOSSIBLE_VALUE: (
        pl.col("value_low").is_between(pl.col("least_possible"), pl.col("most_possible"))
        | ((pl.col("value_low") == 0) & (pl.col("value_high") >= pl.col("least_possible")))
    )
    & pl.col("value_high").is_between(0, "most_possible", closed="right").fill_null(True),
    "code_contradicts_name": ~pl.col("code_contradicts_name"),
    "code_contradicts_unit": ~pl.col("code_contradicts_unit"),
    "implausible_value": (pl.col("value_low") <= pl.col("most_plausible"))
    & (pl.col("value_high") >= pl.col("least_plausible")).fill_null(True),
    "below_reportable": (pl.col("value_low") != pl.col("value_high"))
    | (pl.col("value_low") >= pl.col("least_reportable")),
    **_STATUS,
    **_readable("reported_at"),
}

_DXA: Final = {
    **_WHOLE,
    **_given("scan_id", "patient_id"),
    **_no_formula("scan_id", "scanner_id", "reference_db"),
    **_date("scanned_on"),
    **_SITE,
    **_given_as_text("bmd_g_cm2"),
    **_readable("bmd_g_cm2"),
    "impossible_bmd": pl.col("bmd_g_cm2").is_between(
        pl.col("least_possible"), pl.col("most_possible")
    ),
    "implausible_bmd": pl.col("bmd_g_cm2").is_between(
        pl.col("least_plausible"), pl.col("most_plausible")
    ),
    "score_contradicts_bmd": ~pl.col("bmd_g_cm2").is_between(
        pl.col("least_possible"), pl.col("most_possible")
    )
    | ~contradicts_bmd(),
    "implausible_t_score": pl.col("t_score").is_between(-10, 10),
    "implausible_z_score": pl.col("z_score").is_between(-10, 10),
    **_readable("t_score", "z_score", "body_fat_pct", "manufacturer", "side", "validity"),
    "unreadable_vertebrae": _NO_SPINE | ~_unreadable("vertebrae"),
    "too_few_vertebrae": _NO_SPINE | (vertebrae.count(pl.col("vertebrae")) >= 2),
    **_STATUS,
}

_MEDICATIONS: Final = {
    **_WHOLE,
    **_given("patient_id", "order_id"),
    **_no_formula("order_id"),
    **_given_as_text("drug"),
    "ambiguous_drug": pl.col("drugs_named") <= 1,
    "drug_not_understood": ~pl.col("drug_not_understood"),
    **_date("started_on"),
    **_readable("stopped_on"),
    "stopped_before_started": pl.col("stopped_on") >= pl.col("started_on"),
    "negative_dose": (pl.col("dose_mg") >= 0) & (pl.col("doses_per_week").fill_null(0) >= 0),
    "implausible_weekly_dose": pl.col("weekly_dose_mg").is_between(0, pl.col("most_weekly_mg")),
    # A doubt only: rejecting the order would make a man on the drug look like one off it.
    "dose_unknown": (pl.col("dose_mg") * pl.col("doses_per_week")).is_not_null(),
    "dose_contradicts_sig": ~pl.col("dose_contradicts_sig"),
    "dose_varies": ~pl.col("sig_varies"),
    **_readable("days_supply", "renewals"),
    **_STATUS,
}

_EVENTS: Final = {
    **_WHOLE,
    **_given("patient_id", "event_id", "kind"),
    **_no_formula("event_id"),
    "unknown_kind": pl.col("kind").is_in(EVENT_KINDS),
    **_date("occurred_on"),
    # A doubt only: rejecting the row would lose a symptom.
    "unknown_detail": ~_unreadable("detail"),
}

_LIFESTYLE: Final = {
    **_WHOLE,
    **_given("patient_id"),
    **_date("recorded_on"),
    **_readable(*lifestyle.ENTRIES),
    **{
        f"implausible_{name}": pl.col(name).is_between(*lifestyle.plausible(name))
        & ~_is_negative_zero(name)
        for name in lifestyle.ENTRIES
    },
    "nothing_recorded": pl.any_horizontal(_written(f"raw_{name}") for name in lifestyle.ENTRIES),
}

_PRECISION: Final = {
    **_WHOLE,
    **_given("clinic_id", "scanner_id"),
    **_no_formula("clinic_id", "scanner_id"),
    **_SITE,
    **_given_as_text("cv_pct"),
    **_readable("cv_pct"),
    "impossible_precision": pl.col("cv_pct").is_between(0.1, 10),
}


def _cancellable(conditions: Conditions, key: str) -> Conditions:
    # What is cancelled needs no more than the number of what it cancels.
    needed = {*_WHOLE, *_STATUS, f"missing_{key}", "formula"}
    return {
        name: keeps if name in needed else _WITHDRAWN | keeps for name, keeps in conditions.items()
    }


def _where_readable(conditions: Conditions) -> Conditions:
    # A line that could not be read breaks its own rule, not one for each column that it lacks.
    unread = ~pl.col("unreadable").is_null()
    return {
        name: unread | keeps if name.startswith("missing_") else keeps
        for name, keeps in conditions.items()
    }


def _without_unreadable_lines() -> Conditions:
    return {rule: pl.col("unreadable").ne_missing(pl.lit(rule)) for rule in UNREADABLE_RULES}


CONDITIONS: Final[Mapping[str, Mapping[str, pl.Expr]]] = {
    "patients": _PATIENTS,
    "labs": {**_without_unreadable_lines(), **_where_readable(_cancellable(_LABS, "result_id"))},
    "dxa": _cancellable(_DXA, "scan_id"),
    "medications": _cancellable(_MEDICATIONS, "order_id"),
    "events": _EVENTS,
    "lifestyle": _LIFESTYLE,
    "precision": _PRECISION,
}
