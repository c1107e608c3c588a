"""What a supplier's row must satisfy, rule by rule: a name a clinician can read, and advice.

A rule's expression is true where a row keeps it. Where it evaluates to null it is not broken: what
must be there has a rule of its own. ``reject`` keeps a row out; ``warn`` lets it in with a doubt.

``advice`` goes back to the supplier, who knows nothing of e2analytics; what the clinic's own analyst can do
about a rule is in :data:`FOR_THE_CLINIC`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

import polars as pl

from e2analytics.reference import vertebrae
from e2analytics.tables.vocabulary import SITES

Severity = Literal["reject", "warn"]

EARLIEST_EVENT: Final = date(1987, 1, 1)  # the first clinical DXA scanners
EARLIEST_TRT: Final = date(1940, 1, 1)  # testosterone has been made since 1935
EARLIEST_BIRTH: Final = date(1900, 1, 1)
IMPOSSIBLE_VALUE: Final = "impossible_value"
FORMULA_RULE: Final = "formula"
TOMORROW: Final = "tomorrow"
"""Name of a column that ``validate`` adds: the first day that cannot have happened yet."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a row must satisfy."""

    name: str
    column: str
    severity: Severity
    advice: str
    keeps: pl.Expr


@dataclass(frozen=True, slots=True)
class FileRule:
    """One thing that a file must satisfy before its rows are looked at."""

    name: str
    advice: str


@dataclass(frozen=True, slots=True)
class SettledRule:
    """One thing that only all rows together can tell; each keeps a row out."""

    name: str
    column: str
    advice: str


FILE_RULES: Final = {
    rule.name: rule
    for rule in (
        FileRule("empty_file", "The file is empty. Send the export again."),
        FileRule("truncated_file", "The file is cut off. Send the whole export again."),
        FileRule(
            "not_text", "The file is not text in the encoding that was agreed. Export it again."
        ),
        FileRule(
            "wrong_encoding", "Export the file in the encoding that was agreed (UTF-8 if none was)."
        ),
        FileRule("duplicate_column", "Give every column a name of its own."),
        FileRule(
            "not_rectangular", "A line has too many fields or an open quote. Export it again."
        ),
        FileRule(
            "line_too_long", "A line or message is too long to be one. Export the file again."
        ),
        FileRule("too_many_columns", "The header has too many columns to be one. Export it again."),
        FileRule(
            "missing_header",
            "The header is not on the line that was agreed. Export the file again.",
        ),
        FileRule(
            "missing_column",
            "A column is missing, or called otherwise than agreed. Export the file with all its columns.",
        ),
        FileRule("not_sas_transport", "Send a SAS transport file (XPORT, version 5)."),
        FileRule("not_excel", "Save the workbook as .xlsx, without a password, and send it again."),
        FileRule("too_large_inside", "The file is too large once unpacked. Send it in parts."),
        FileRule("not_hl7", "Send HL7 version 2 messages; each begins with an MSH segment."),
        FileRule("not_json", "The file is not JSON. Export it again."),
        FileRule("not_fhir", "Send FHIR R4 resources: NDJSON, a bundle or a resource."),
        FileRule("not_parquet", "The file is not Parquet, or damaged. Export it again."),
        FileRule(
            "changed_while_read", "The file was still being written. Send it again when it is done."
        ),
        FileRule("outside_drop", "Send the file itself, not a link to another place."),
        FileRule("not_a_file", "Send a plain file, not a device or a pipe."),
        FileRule(
            "missing_companion",
            "Send the tables of one export together: columns are looked up in another file.",
        ),
        FileRule("unreadable_file", "The file could not be opened. Send it again."),
    )
}


def _given(column: str, what: str) -> Rule:
    return Rule(
        f"missing_{column}", column, "reject", f"Give {what} in every row.", _written(column)
    )


def _written(column: str) -> pl.Expr:
    return pl.col(column).is_not_null()


def _readable(column: str, how: str, severity: Severity = "reject") -> Rule:
    # Only what was written can be unreadable.
    keeps = ~(_written(f"raw_{column}") & pl.col(column).is_null())
    return Rule(f"unreadable_{column}", column, severity, f"Write {how}.", keeps)


def _date(column: str, what: str, *, earliest: date = EARLIEST_EVENT) -> list[Rule]:
    return [
        Rule(f"missing_{column}", column, "reject", f"Give {what}.", _written(f"raw_{column}")),
        _readable(column, "dates as YYYY-MM-DD"),
        Rule(
            f"impossible_{column}",
            column,
            "reject",
            "Check the date: it lies in the future or before such records existed.",
            pl.col(column).is_between(earliest, pl.col(TOMORROW)),
        ),
    ]


def _collected() -> list[Rule]:
    # An instant has two columns: what is written decides both.
    return [
        Rule(
            "missing_collected_at",
            "collected_at",
            "reject",
            "Give the time of the draw.",
            _written("raw_collected_at"),
        ),
        _readable("collected_at", "times as YYYY-MM-DDTHH:MM"),
        Rule(
            "impossible_collected_at",
            "collected_at",
            "reject",
            "Check the date: it lies in the future or before such records existed.",
            pl.col("collected_on").is_between(EARLIEST_EVENT, pl.col(TOMORROW)),
        ),
    ]


def _within(column: str, low: pl.Expr, high: pl.Expr, *, name: str, severity: Severity) -> Rule:
    return Rule(
        name,
        column,
        severity,
        f"Check {column} and its unit: {'impossible' if severity == 'reject' else 'far from what is usual'}.",
        pl.col(column).is_between(low, high),
    )


_WHOLE: Final = Rule(
    "short_line",
    "",
    "reject",
    "The line or record is cut off or cannot be read. Write every field, an empty one too.",
    ~pl.col("short_line"),
)
_READABLE: Final = pl.col("unreadable").is_null()
_UNREADABLE: Final = (
    Rule(
        "unreadable_segment",
        "",
        "reject",
        "A message, or a line in it, is damaged or says not whose results it holds: some may be lost. "
        "Send the whole message again.",
        pl.col("unreadable").ne_missing(pl.lit("unreadable_segment")),
    ),
    Rule(
        "unreadable_entry",
        "",
        "reject",
        "A line or entry is no FHIR resource in JSON and UTF-8. Export it again.",
        pl.col("unreadable").ne_missing(pl.lit("unreadable_entry")),
    ),
)
UNREADABLE_RULES: Final = tuple(rule.name for rule in _UNREADABLE)
"""What a reader could not make rows of: nobody knows which table it belongs to, so it stands with labs."""

FORMULA: Final = r"^(?:[=@]|[+\-].*[^A-Za-z0-9.\-_])"
"""What a spreadsheet would take for a formula and act on; a number such as -7 it only shows."""


def _no_formula(*columns: str, others: pl.Expr | None = None) -> Rule:
    # What is kept as it was written comes out again in exports, which people open in spreadsheets.
    formulas = [pl.col(column).str.contains(FORMULA) for column in columns]
    return Rule(
        FORMULA_RULE,
        columns[0],
        "reject",
        "A cell begins like a formula (=, @). Export what the cell shows, not the formula.",
        ~pl.any_horizontal(*formulas, *([] if others is None else [others])),
    )


_SITE: Final = (
    _given("site", "the site of the scan"),
    Rule(
        "unknown_site",
        "site",
        "reject",
        f"Write the site as one of {', '.join(SITES)}.",
        pl.col("site").is_in(SITES),
    ),
)
_SOMEBODY: Final = _given("patient_id", "the patient's number")
_WITHDRAWN: Final = pl.col("status") == "X"
_STATUS: Final = Rule(
    "unknown_status",
    "status",
    "reject",
    "Write the status as F, C, P or X.",
    pl.col("status").is_in(["F", "C", "P", "X"]),
)


def _unless_withdrawn(rule: Rule) -> Rule:
    # A cancelled result need not say anything but its number.
    return replace(rule, keeps=_WITHDRAWN | rule.keeps)


PATIENT_RULES: Final = (
    _WHOLE,
    _SOMEBODY,
    _given("clinic_id", "the clinic"),
    _no_formula("clinic_id"),
    Rule("missing_sex", "sex", "reject", "Give the sex as M or F.", _written("sex")),
    Rule(
        "unknown_sex", "sex", "reject", "Write the sex as M or F.", pl.col("sex").is_in(["M", "F"])
    ),
    *_date("birth_date", "the date of birth", earliest=EARLIEST_BIRTH),
    _readable("height_cm", "the height in cm as a number", "warn"),
    _within("height_cm", pl.lit(100), pl.lit(250), name="implausible_height", severity="warn"),
    _readable("weight_kg", "the weight in kg as a number", "warn"),
    _within("weight_kg", pl.lit(30), pl.lit(350), name="implausible_weight", severity="warn"),
    _readable("trt_started_on", "dates as YYYY-MM-DD", "warn"),
    Rule(
        "implausible_trt_started_on",
        "trt_started_on",
        "warn",
        "Check the start of testosterone: before it was in use, or in the future.",
        pl.col("trt_started_on").is_between(EARLIEST_TRT, pl.col(TOMORROW)),
    ),
)

LAB_RULES: Final = (
    _WHOLE,
    _given("result_id", "the laboratory's number of the result"),
    _no_formula("result_id", others=pl.col("formula_in_kind")),
    _SOMEBODY,
    _given("test_name", "the name of the test"),
    *_collected(),
    Rule(
        "missing_value",
        "value",
        "reject",
        "Give the result, or leave the row out until there is one.",
        _written("raw_value"),
    ),
    Rule("missing_unit", "unit", "reject", "Give the unit.", _written("raw_unit")),
    Rule(
        "unknown_unit",
        "unit",
        "reject",
        "Write the unit in UCUM or as it is usual for this test, such as pg/mL, pmol/L or ng/dL.",
        ~(_written("raw_unit") & _written("analyte") & pl.col("factor").is_null()),
    ),
    Rule(
        "unreadable_value",
        "value",
        "reject",
        "Write a number with a decimal point, or <number or >number; for ND give the limit.",
        ~(_written("raw_value") & _written("factor") & pl.col("value_low").is_null()),
    ),
    Rule(
        IMPOSSIBLE_VALUE,
        "value",
        "reject",
        "Check the result and its unit: no such level can be.",
        pl.col("value_low").is_between(pl.col("least_possible"), pl.col("most_possible"))
        & pl.col("value_high").is_between(0, "most_possible", closed="right").fill_null(True),
    ),
    Rule(
        "code_contradicts_name",
        "loinc",
        "reject",
        "The code and the name of the test are of different analytes. Find out which is right.",
        ~pl.col("code_contradicts_name"),
    ),
    Rule(
        "implausible_value",
        "value",
        "warn",
        "Check the result and its unit: far from what a man's result is like.",
        (pl.col("value_low") <= pl.col("most_plausible"))
        & (pl.col("value_high") >= pl.col("least_plausible")).fill_null(True),
    ),
    Rule(
        "below_reportable",
        "value",
        "warn",
        "Check the result: lower than an assay of its kind can tell; give it as <limit.",
        (pl.col("value_low") != pl.col("value_high"))
        | (pl.col("value_low") >= pl.col("least_reportable")),
    ),
    _STATUS,
    _readable("reported_at", "times as YYYY-MM-DDTHH:MM", "warn"),
)

VALUE_RULES: Final = frozenset({IMPOSSIBLE_VALUE, "implausible_value", "below_reportable"})
"""Rules of laboratory rows that ask nothing but the value: a conversion is judged by them again."""

_NO_SPINE: Final = pl.col("site") != "lumbar_spine"
DXA_RULES: Final = (
    _WHOLE,
    _given("scan_id", "the scanner's number of the scan"),
    _no_formula("scan_id", "scanner_id", "reference_db"),
    _SOMEBODY,
    *_date("scanned_on", "the date of the scan"),
    *_SITE,
    Rule(
        "missing_bmd_g_cm2",
        "bmd_g_cm2",
        "reject",
        "Give the bone mineral density; in FHIR, in the same file as its scores.",
        _written("raw_bmd_g_cm2"),
    ),
    _readable("bmd_g_cm2", "the density in g/cm2 as a number"),
    _within(
        "bmd_g_cm2",
        pl.col("least_possible"),
        pl.col("most_possible"),
        name="impossible_bmd",
        severity="reject",
    ),
    _within(
        "bmd_g_cm2",
        pl.col("least_plausible"),
        pl.col("most_plausible"),
        name="implausible_bmd",
        severity="warn",
    ),
    _within("t_score", pl.lit(-10), pl.lit(10), name="implausible_t_score", severity="warn"),
    _readable("t_score", "the T-score as a number", "warn"),
    _within("z_score", pl.lit(-10), pl.lit(10), name="implausible_z_score", severity="warn"),
    _readable("z_score", "the Z-score as a number", "warn"),
    _readable("body_fat_pct", "the body fat in % as a number", "warn"),
    _readable("manufacturer", "the maker as Hologic, GE Lunar, Norland or Osteosys", "warn"),
    _readable("side", "the side as left, right or both", "warn"),
    _readable("validity", "0 or valid, or an invalidity code 1, 3, 4, 5 or 6"),
    Rule(
        "unreadable_vertebrae",
        "vertebrae",
        "warn",
        "Write the vertebrae as L1-L4 or L1,L2,L4.",
        _NO_SPINE | ~(_written("raw_vertebrae") & pl.col("vertebrae").is_null()),
    ),
    Rule(
        "too_few_vertebrae",
        "vertebrae",
        "reject",
        "Analyse the spine with two vertebrae or more (ISCD 2023).",
        _NO_SPINE | (vertebrae.count(pl.col("vertebrae")) >= 2),
    ),
    _STATUS,
)

MEDICATION_RULES: Final = (
    _WHOLE,
    _SOMEBODY,
    _given("order_id", "the number of the order"),
    _no_formula("order_id"),
    Rule("missing_drug", "drug", "reject", "Give the drug.", _written("raw_drug")),
    Rule(
        "ambiguous_drug",
        "drug",
        "reject",
        "Name one drug in an order; a compound of two is two orders.",
        pl.col("drugs_named") <= 1,
    ),
    *_date("started_on", "the first day of the order"),
    _readable("stopped_on", "dates as YYYY-MM-DD"),
    Rule(
        "stopped_before_started",
        "stopped_on",
        "reject",
        "Check the two dates.",
        pl.col("stopped_on") >= pl.col("started_on"),
    ),
    Rule(
        "negative_dose",
        "dose_mg",
        "reject",
        "Check the dose.",
        (pl.col("dose_mg") >= 0) & (pl.col("doses_per_week").fill_null(0) >= 0),
    ),
    _within(
        "weekly_dose_mg",
        pl.lit(0),
        pl.col("most_weekly_mg"),
        name="implausible_weekly_dose",
        severity="warn",
    ),
    # Kept with a doubt: rejecting it would make a man on the drug look like one off it.
    Rule(
        "dose_unknown",
        "dose_mg",
        "warn",
        "Give the dose in mg and doses_per_week, or a sig that says how often.",
        (pl.col("dose_mg") * pl.col("doses_per_week")).is_not_null(),
    ),
    Rule(
        "dose_contradicts_sig",
        "dose_mg",
        "warn",
        "The dose and the sig say different things. Find out which is right.",
        ~pl.col("dose_contradicts_sig"),
    ),
    Rule(
        "dose_varies",
        "dose_mg",
        "warn",
        "The sig leaves the dose open (as needed, a range, a taper). Say what is taken.",
        ~pl.col("sig_varies"),
    ),
    _readable(
        "days_supply",
        "the days' supply of every fill as a number from 1 to 1000; without it nobody knows when the fill "
        "ended",
        "warn",
    ),
    _STATUS,
)

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

EVENT_RULES: Final = (
    _WHOLE,
    _SOMEBODY,
    _given("event_id", "the number of the event"),
    _no_formula("event_id"),
    _given("kind", "the kind of event"),
    Rule(
        "unknown_kind",
        "kind",
        "reject",
        f"Write the kind as one of {', '.join(EVENT_KINDS)}.",
        pl.col("kind").is_in(EVENT_KINDS),
    ),
    *_date("occurred_on", "the date"),
)

PRECISION_RULES: Final = (
    _WHOLE,
    _given("clinic_id", "the clinic"),
    _given("scanner_id", "the scanner"),
    _no_formula("clinic_id", "scanner_id"),
    *_SITE,
    Rule(
        "missing_cv_pct",
        "cv_pct",
        "reject",
        "Give the precision error in %.",
        _written("raw_cv_pct"),
    ),
    _readable("cv_pct", "the precision error in % as a number"),
    _within("cv_pct", pl.lit(0.1), pl.lit(10), name="impossible_precision", severity="reject"),
)


def _cancellable(rules: Sequence[Rule], key: str) -> tuple[Rule, ...]:
    # What is cancelled needs no more than the number of what it cancels.
    needed = {_WHOLE.name, _STATUS.name, f"missing_{key}", FORMULA_RULE}
    return tuple(rule if rule.name in needed else _unless_withdrawn(rule) for rule in rules)


def _where_readable(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    # Of what could not be read nothing is there: only what must be there asks for it.
    return tuple(
        replace(rule, keeps=~_READABLE | rule.keeps) if rule.name.startswith("missing_") else rule
        for rule in rules
    )


ROW_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "patients": PATIENT_RULES,
    "labs": (*_UNREADABLE, *_where_readable(_cancellable(LAB_RULES, "result_id"))),
    "dxa": _cancellable(DXA_RULES, "scan_id"),
    "medications": _cancellable(MEDICATION_RULES, "order_id"),
    "events": EVENT_RULES,
    "precision": PRECISION_RULES,
}

UNKNOWN_PATIENT: Final = "unknown_patient"
CONFLICTING_IDENTITY: Final = "conflicting_identity"
SUSPECTED_UNIT_SLIP: Final = "suspected_unit_slip"
NUMBER_OF_SEVERAL_TESTS: Final = "number_of_several_tests"

SETTLED_RULES: Final = {
    rule.name: rule
    for rule in (
        SettledRule(
            UNKNOWN_PATIENT,
            "patient_id",
            "Send the patient's row; this one is tried again at every run.",
        ),
        SettledRule(
            CONFLICTING_IDENTITY,
            "patient_id",
            "One patient number has two dates of birth or sexes. Find out who is who: give one of two "
            "people another number; tell the clinic if it is one man and the newest row is right.",
        ),
        SettledRule(
            NUMBER_OF_SEVERAL_TESTS,
            "result_id",
            "One number stands for results of different tests, as an order's number does. Give every "
            "result a number of its own.",
        ),
        SettledRule(
            SUSPECTED_UNIT_SLIP,
            "value",
            "These results look as if they were in another unit than declared. Send those that are "
            "again, with their right unit and under the same number; tell the clinic if they are right.",
        ),
    )
}

_WORDS_OF_A_FEED: Final = (
    "If the supplier always writes it so, teach the word under “values” of the feed's description."
)
_LAYOUT_OF_A_FEED: Final = (
    "If the export has changed for good, change the feed's description; “e2analytics inspect” shows what "
    "the file holds."
)
_DATES_OF_A_FEED: Final = (
    "If the supplier always writes dates so, add the format to “dates” of the feed's description."
)
_NUMBERS_OF_A_FEED: Final = (
    "If the export has no such number, “join” one from other columns in the feed's description."
)
_LIMITS: Final = "The limits, with their sources, stand in schemas/reference/."
FOR_THE_CLINIC: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("unknown_sex", "unknown_site", "unknown_status", "unknown_kind"), _WORDS_OF_A_FEED
    ),
    **dict.fromkeys(
        ("unreadable_manufacturer", "unreadable_side", "unreadable_validity"), _WORDS_OF_A_FEED
    ),
    **dict.fromkeys(
        (
            "not_text",
            "wrong_encoding",
            "not_rectangular",
            "missing_header",
            "missing_column",
            "duplicate_column",
        ),
        _LAYOUT_OF_A_FEED,
    ),
    **dict.fromkeys(
        (
            "unreadable_birth_date",
            "unreadable_trt_started_on",
            "unreadable_collected_at",
            "unreadable_reported_at",
            "unreadable_scanned_on",
            "unreadable_started_on",
            "unreadable_stopped_on",
            "unreadable_occurred_on",
        ),
        _DATES_OF_A_FEED,
    ),
    **dict.fromkeys(
        ("missing_result_id", "missing_scan_id", "missing_order_id", "missing_event_id"),
        _NUMBERS_OF_A_FEED,
    ),
    **dict.fromkeys(
        (
            "impossible_value",
            "implausible_value",
            "below_reportable",
            "impossible_bmd",
            "implausible_bmd",
            "implausible_weekly_dose",
        ),
        _LIMITS,
    ),
    "missing_clinic_id": "If all its patients are of one clinic, make it a “constant” in the feed's description.",
    "unknown_unit": "If the unit is right, add its spelling to schemas/reference/analytes.yaml, or under "
    "“values” of the feed's description.",
    "unreadable_value": "If the supplier writes decimal commas, say so in the feed's description (“decimal”).",
    "missing_companion": "Put the tables of one export into one drop, or change “lookups” of the feed's "
    "description.",
    "changed_while_read": "Let the drop be filled before the run starts.",
    "outside_drop": "Put the file itself into the drop.",
    "unreadable_file": "Give whoever runs e2analytics the right to read the file.",
    UNKNOWN_PATIENT: "Put the file with the patients into the same drop or a later one.",
    CONFLICTING_IDENTITY: "If it is one man and the newest row is right, name his pseudonym in "
    "“identities_settled”.",
    NUMBER_OF_SEVERAL_TESTS: "“join” the order's number and the test's code in the feed's description.",
    SUSPECTED_UNIT_SLIP: "“e2analytics export unit_slips” shows the evidence, and the lines of "
    "“slips.decisions” that release or convert the results.",
}
"""What the clinic's analyst can do about a rule, beside asking the supplier; of some rules nothing."""
