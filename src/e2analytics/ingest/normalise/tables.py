"""Normalises text rows: a supplier's words become one scale, one code, one calendar.

In    text rows of one table (``feeds.mapping``), grain source_file, source_line, source_part
Out   the same rows, same grain, with typed columns; the text as written stays as ``raw_*``

Drops nothing and judges nothing. What cannot be parsed becomes null next to its ``raw_*`` text, which
``rules`` then count; ``excluded`` names why a row is outside the analysis (another analyte, another drug,
nothing measured).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.feeds.parsing import birthday, day, finite, number
from e2analytics.ingest.normalise import body_size, drugs, laboratory, sig
from e2analytics.reference import lifestyle, symptoms, vertebrae
from e2analytics.tables.vocabulary import NO_RENEWALS

OTHER_DRUG: Final = "other_drug"
INVALID_SCAN: Final = "invalid_scan"
SAME_FREQUENCY_RATIO: Final = 0.1
"""Relative difference within which doses_per_week agrees with the sig: every other day is written 3, 3.5 or 4. Our own rule."""


def normalise(table: str, rows: pl.DataFrame, *, timezone: str) -> pl.DataFrame:
    """Return the text rows of ``table`` with typed columns.

    Parameters
    ----------
    table
        Name of the table.
    rows
        Text rows.
    timezone
        IANA name; of times that are written without an offset, and of the days of those in UTC.
    """
    raw = rows.rename({name: f"raw_{name}" for name in _KEPT_AS_RAW[table]})
    return _NORMALISERS[table](raw, timezone)


def _patients(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    return rows.with_columns(
        sex=pl.col("raw_sex").str.to_uppercase(),
        birth_date=birthday(rows["raw_birth_date"]),
        height_cm=body_size.height_cm("raw_height_cm"),
        weight_kg=body_size.weight_kg("raw_weight_kg"),
        trt_started_on=day(rows["raw_trt_started_on"], timezone),
        assigning_authority=pl.col("assigning_authority").str.to_lowercase(),
    )


def _dxa(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    words = {
        name: reference.dxa_word(name, pl.col(f"raw_{name}"))
        for name in ("manufacturer", "side", "validity")
    }
    invalid = pl.when(pl.col("validity") == "invalid").then(pl.lit(INVALID_SCAN))
    return (
        rows.with_columns(
            site=pl.col("site").str.to_lowercase(),
            vertebrae=vertebrae.normal_form(pl.col("raw_vertebrae")),
            **words,
        )
        .with_columns(
            maker=pl.col("manufacturer").fill_null("unknown"),
            excluded=pl.coalesce("excluded", invalid),
        )
        .join(reference.site_limits(), on=["site", "maker"], how="left", maintain_order="left")
        .with_columns(
            scanned_on=day(rows["raw_scanned_on"], timezone),
            bmd_g_cm2=_measured("raw_bmd_g_cm2"),
            t_score=number("raw_t_score"),
            z_score=number("raw_z_score"),
            body_fat_pct=_measured("raw_body_fat_pct"),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
        )
    )


def _medications(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    named, sigs = drugs.named(rows), sig.doses(rows)
    orders = (
        rows.join(named, on=drugs.WORDING, how="left", nulls_equal=True, maintain_order="left")
        .join(sigs, on=sig.WORDING, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            started_on=day(rows["raw_started_on"], timezone),
            stopped_on=day(rows["raw_stopped_on"], timezone),
            weekdays=_weekdays(rows["weekdays"]),
            days_supply=_days_supply(),
            renewals=_renewals(),
            listed_on=pl.lit(None, dtype=pl.Date),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
        )
    )
    cancelled = (pl.col("status") == "X").fill_null(False)
    other = (
        (pl.col("drugs_named") == 0)
        & pl.col("raw_drug").is_not_null()
        & ~pl.col("drug_not_understood")
        & ~cancelled
    )
    return _with_dose(orders).with_columns(
        stopped_on=_end_of_implant(
            pl.coalesce("stopped_on", _end_of_supply(), _end_of_sig()),
        ),
        # A fill of unknown supply may be over: whatever its dose, it is not known to be in force. An implant has
        # no dose a week.
        weekly_dose_mg=pl.when(~_supply_unknown() & pl.col("implant_days").is_null()).then(
            pl.col("dose_mg") * pl.col("doses_per_week")
        ),
        excluded=pl.coalesce("excluded", pl.when(other).then(pl.lit(OTHER_DRUG))),
    )


def _renewals() -> pl.Expr:
    written = pl.col("raw_renewals").str.to_lowercase()
    return pl.when(written == NO_RENEWALS).then(written)


def _weekdays(written: pl.Series) -> pl.Series:
    wordings = written.cast(pl.String).unique()
    named = {each: sig.named_weekdays(each) for each in wordings}
    return written.cast(pl.String).replace_strict(named, return_dtype=pl.String)


def _with_dose(rows: pl.DataFrame) -> pl.DataFrame:
    """Add dose, frequency and days of the week: of the columns, else of the sig; null if they disagree.

    A sig with a varying dose outweighs any number. One that is not understood adds nothing, and what it names
    must not contradict the columns. A negative number stays, to be rejected.
    """
    both = rows.with_columns(
        dose_mg=finite(
            # "05" may have lost its point.
            pl.when(~pl.col("raw_dose_mg").str.contains("^0[0-9]")).then(
                pl.col("raw_dose_mg").str.replace(r"(?i) ?mg$", "").cast(pl.Float64, strict=False)
            )
        ),
        doses_per_week=number("raw_doses_per_week"),
    )
    dose_differs = _differ("dose_mg", sig.SAME_DOSE_RATIO)
    often_differs = _differ("doses_per_week", SAME_FREQUENCY_RATIO)
    days_differ = (pl.col("weekdays") != pl.col("sig_weekdays")).fill_null(False)
    return both.with_columns(
        dose_mg=_agreed("dose_mg", dose_differs),
        doses_per_week=_agreed("doses_per_week", often_differs | days_differ),
        weekdays=pl.when(~days_differ).then(pl.coalesce("weekdays", "sig_weekdays")),
        dose_contradicts_sig=dose_differs | often_differs | days_differ,
    )


def _differ(column: str, ratio: float) -> pl.Expr:
    """Return whether the sig names a number that is not the column's."""
    number = pl.col(column)
    differ = [
        (number - pl.col(named)).abs() > ratio * pl.max_horizontal(column, named)
        for named in (f"least_{column}", f"most_{column}")
    ]
    return (pl.any_horizontal(differ) & (number >= 0)).fill_null(False)


def _agreed(column: str, differs: pl.Expr) -> pl.Expr:
    negative = (pl.col(column) < 0).fill_null(False)
    return pl.when(negative | ~(differs | pl.col("sig_varies"))).then(
        pl.coalesce(column, f"sig_{column}")
    )


def _days_supply() -> pl.Expr:
    least, most = reference.load("drugs")["possible_days_supply"]
    days = number("raw_days_supply")
    return pl.when(days.is_between(least, most)).then(days.ceil().cast(pl.Int64))


def _days_of_fill() -> pl.Expr:
    # "For 10 days" may be shorter than what was handed out.
    written = pl.col("raw_days_supply").is_not_null()
    return pl.when(written).then(pl.min_horizontal("days_supply", _days_of_course()))


def _days_of_course() -> pl.Expr:
    """Return after how many days a sig ends its order; none where that may be one supply of several."""
    days = pl.col("sig_lasts_days")
    return pl.when(days < int(reference.load("drugs")["shortest_prescription_days"])).then(days)


def _supply_unknown() -> pl.Expr:
    unreadable = pl.col("raw_days_supply").is_not_null() & _days_of_fill().is_null()
    return unreadable & pl.col("stopped_on").is_null()


def _end_of_supply() -> pl.Expr:
    days = _days_of_fill() + int(reference.load("drugs")["days_after_supply"])
    end = pl.col("started_on") + pl.duration(days=days)
    # An unreadable last day is not a missing one.
    return pl.when(pl.col("raw_stopped_on").is_null()).then(end)


def _end_of_implant(ended: pl.Expr) -> pl.Expr:
    """Let an implant last: the day on which it was put in is not its last one."""
    lasts = pl.col("started_on") + pl.duration(days=pl.col("implant_days"))
    return pl.when(ended.is_not_null()).then(pl.max_horizontal(ended, lasts))


def _end_of_sig() -> pl.Expr:
    end = pl.col("started_on") + pl.duration(days=_days_of_course())
    return pl.when(pl.col("raw_stopped_on").is_null() & pl.col("raw_days_supply").is_null()).then(
        end
    )


def _measured(name: str) -> pl.Expr:
    """Read a number beside which its column's own unit may be written, as sheets show it: 25.0%."""
    unit = next(unit for ending, unit in _UNITS.items() if name.endswith(ending))
    written = pl.col(name).str.replace(rf"(?i)\s*{unit}$", "")
    return finite(written.cast(pl.Float64, strict=False))


_UNITS: Final = {"_g_cm2": "g/cm[2²]", "_pct": "%"}


def _events(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    kind = pl.col("kind").str.to_lowercase()
    return rows.with_columns(
        kind=kind,
        occurred_on=day(rows["raw_occurred_on"], timezone),
        detail=pl.when(kind == "symptom").then(symptoms.kind_of(pl.col("raw_detail"))),
    )


def _lifestyle(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    return rows.with_columns(
        *(number(f"raw_{name}").alias(name) for name in lifestyle.ENTRIES),
        recorded_on=day(rows["raw_recorded_on"], timezone),
    )


def _precision(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
    return rows.with_columns(site=pl.col("site").str.to_lowercase(), cv_pct=_measured("raw_cv_pct"))


_KEPT_AS_RAW: Final[Mapping[str, tuple[str, ...]]] = {
    "patients": ("sex", "birth_date", "height_cm", "weight_kg", "trt_started_on"),
    "labs": ("collected_at", "value", "unit", "status", "reported_at"),
    "dxa": (
        "scanned_on",
        "bmd_g_cm2",
        "t_score",
        "z_score",
        "body_fat_pct",
        "manufacturer",
        "side",
        "vertebrae",
        "validity",
        "status",
    ),
    "medications": (
        "drug",
        "dose_mg",
        "doses_per_week",
        "started_on",
        "stopped_on",
        "days_supply",
        "renewals",
        "status",
    ),
    "events": ("occurred_on", "detail"),
    "lifestyle": ("recorded_on", *lifestyle.ENTRIES),
    "precision": ("cv_pct",),
}

_NORMALISERS: Final[Mapping[str, Callable[[pl.DataFrame, str], pl.DataFrame]]] = {
    "patients": _patients,
    "labs": laboratory.normalise,
    "dxa": _dxa,
    "medications": _medications,
    "events": _events,
    "lifestyle": _lifestyle,
    "precision": _precision,
}
