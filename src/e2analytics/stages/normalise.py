"""Normalise: from a supplier's words to one scale, one code, one calendar.

In    text rows of one table (``feeds.mapping``), grain source_file, source_line, source_part
Out   the same rows, same grain, with typed columns; what was written stays beside them as ``raw_*``

Drops nothing and judges nothing. What cannot be understood becomes null next to its ``raw_*`` text,
which ``validate`` can count; ``apart`` names why a row is none of ours (another analyte, another drug,
a text that says that nothing was measured). A result that is below or above a limit becomes the interval
it allows; "not detected" has no limit and stays unreadable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import polars as pl

from e2analytics import reference, sig, vertebrae
from e2analytics.compact import TEXT, compact
from e2analytics.rules import FORMULA

OTHER_ANALYTE: Final = "other_analyte"
OTHER_DRUG: Final = "other_drug"
NOT_MEASURED: Final = "not_measured"
INVALID_SCAN: Final = "invalid_scan"
SAME_FREQUENCY_RATIO: Final = 0.1
"""How far doses_per_week may be from the sig's: every other day is written 3, 3.5 or 4. House rule."""

# ASCII digits only: \d is any digit of any script here, which no cast can read.
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_BELOW = r"<=?|=<|≤|(?:less|lower) than(?: or equal to)?|below|under"
_ABOVE = r">=?|=>|≥|(?:greater|more|higher) than(?: or equal to)?|above|over"
# "5.0 H", "5.0*", "5.0 (L)": laboratories print their flags beside the number.
_FLAG = r"(?:\*{1,3}|[(\[]?(?:hh?|ll?|aa?|high|low|abnormal|critical)[)\]]?\*?)"
_RESULT = rf"^(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE}))?\s*(?P<number>{_NUMBER})\s*{_FLAG}?$"
_INSTANT = (
    r"^(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
    r"(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>0[0-9]|1[0-4]):?(?P<minutes>[0-5][0-9]))?)?$"
)
# How most times are written, by length: twice as fast as the pattern above, which reads the rest.
_PLAIN_TIMES: Final = (
    (10, "%Y-%m-%d"),
    (19, "%Y-%m-%dT%H:%M:%S"),
    (19, "%Y-%m-%d %H:%M:%S"),
    (16, "%Y-%m-%dT%H:%M"),
    (16, "%Y-%m-%d %H:%M"),
)
_LOCAL: Final = pl.Datetime("us")
_DRUG: Final = ("raw_drug", "rxnorm")
_KIND: Final = ("test_name", "loinc", "raw_unit", "method", "performing_lab", "raw_status")
"""What a laboratory row has in common with many others: understood once for all of them."""
_KEPT: Final = ("loinc", "performing_lab")
"""What of it stays in the row, as a category like all that was understood."""
_UNDERSTOOD: Final = (
    "analyte",
    "unit",
    "factor",
    "least_possible",
    "most_possible",
    "least_plausible",
    "most_plausible",
    "least_by_ia",
    "least_by_ms",
    "code_contradicts_name",
    "formula_in_kind",
    "assay_by_method",
    "assay_otherwise",
    "status",
    *(f"{name}_" for name in _KEPT),
)
_NAMES_METHOD: Final = ("method", "test_name")


def normalise(target: str, rows: pl.DataFrame, *, timezone: str) -> pl.DataFrame:
    """Return the text rows of table ``target`` with typed columns.

    Parameters
    ----------
    target
        Name of the table.
    rows
        Text rows.
    timezone
        IANA name; of times that are written without an offset.
    """
    raw = rows.rename({name: f"raw_{name}" for name in _READ_AGAIN[target]})
    return _NORMALISERS[target](raw, timezone)


def _patients(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
    return rows.with_columns(
        sex=pl.col("raw_sex").str.to_uppercase(),
        birth_date=_day(rows["raw_birth_date"]),
        height_cm=_number("raw_height_cm"),
        weight_kg=_number("raw_weight_kg"),
        trt_started_on=_day(rows["raw_trt_started_on"]),
    )


def _labs(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    kinds = _understood_once(tuple(rows.select(_KIND).unique().sort(_KIND).iter_rows()))
    # Joins with small tables, not replace_strict: half the time and a fifth of the memory at 10 M rows.
    known = rows.join(kinds, on=_KIND, how="left", nulls_equal=True, maintain_order="left")
    measured = _with_interval(known.with_columns(pl.col(f"{name}_").alias(name) for name in _KEPT))
    collected_at, collected_on = _instant(rows["raw_collected_at"], timezone)
    reported_at, _ = _instant(rows["raw_reported_at"], timezone)
    return measured.with_columns(
        collected_at=collected_at,
        collected_on=collected_on,
        reported_at=reported_at,
        assay=_assay(),
        apart=_why_apart(),
    ).with_columns(least_reportable=reference.least_reportable())


@lru_cache(maxsize=4)
def _understood_once(kinds: tuple[tuple[str | None, ...], ...]) -> pl.DataFrame:
    """Understand kinds of laboratory rows; the batches of one file mostly hold the same."""
    named = pl.DataFrame(kinds, schema=dict.fromkeys(_KIND, pl.String()), orient="row")
    return compact(_understood(named), but=_KIND)


def _understood(kinds: pl.DataFrame) -> pl.DataFrame:
    """Add to each kind of laboratory row its analyte, unit and factor, and what proves its assay."""
    named = (
        kinds.with_columns(
            spelling=reference.name_key(pl.col("test_name")),
            unit_spelling=reference.unit_key(pl.col("raw_unit")),
        )
        .join(reference.analyte_codes(), on="loinc", how="left", maintain_order="left")
        .join(reference.analyte_names(), on="spelling", how="left", maintain_order="left")
    )
    # A code of something else outweighs the name beside it: names are what people shorten.
    by_name = pl.when(pl.col("code_known").is_null()).then("analyte_by_name")
    contradicted = pl.col("analyte_by_code") != pl.col("analyte_by_name")
    return (
        named.with_columns(analyte=pl.coalesce("analyte_by_code", by_name))
        .join(reference.units(), on=["analyte", "unit_spelling"], how="left", maintain_order="left")
        .join(reference.analytes(), on="analyte", how="left", maintain_order="left")
        .with_columns(
            code_contradicts_name=contradicted.fill_null(False),
            formula_in_kind=pl.any_horizontal(
                pl.col(name).str.contains(FORMULA).fill_null(False) for name in _KEPT
            ),
            assay_by_method=pl.coalesce(_assay_in(each, "methods") for each in _NAMES_METHOD),
            assay_otherwise=pl.coalesce("assay_by_code", _assay_by_laboratory()),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
            **{f"{name}_": pl.col(name) for name in _KEPT},
        )
        .select(*_KIND, *_UNDERSTOOD)
    )


def _assay_in(column: str, words: str) -> pl.Expr:
    """Tell which assay a text names; null if none or both."""
    text = pl.col(column).str.to_lowercase()
    patterns = reference.load("analytes")[words]
    ms, ia = (text.str.contains("|".join(patterns[assay])) for assay in ("ms", "ia"))
    return pl.when(ms & ~ia).then(pl.lit("ms")).when(ia & ~ms).then(pl.lit("ia"))


def _assay_by_laboratory() -> pl.Expr:
    laboratory = pl.col("performing_lab").str.to_lowercase()
    words = (
        pl.concat_str("test_name", "loinc", separator=" ", ignore_nulls=True)
        .str.to_lowercase()
        .str.extract_all(r"[\p{L}\p{N}]+")
    )
    return pl.coalesce(
        pl.when(
            (pl.col("analyte") == "estradiol")
            & laboratory.str.contains_any(known["laboratory"])
            & pl.any_horizontal(
                pl.all_horizontal(words.list.contains(word) for word in test.split())
                for test in known["tests"]
            )
        ).then(pl.lit(known["assay"]))
        for known in reference.load("analytes")["laboratories"]
    )


def _with_interval(rows: pl.DataFrame) -> pl.DataFrame:
    """Add a result as the interval of values that it allows, in the analyte's unit, and its status."""
    plain = rows["raw_value"].cast(pl.Float64, strict=False)
    # Nearly all results are plain numbers: of the others each wording is understood once.
    wording = pl.when(plain.is_null()).then("raw_value").alias("wording")
    worded = rows.with_columns(wording, plain=plain)
    read = worded.join(
        _wordings(worded["wording"].unique()), on="wording", how="left", maintain_order="left"
    )
    told = _finite(pl.coalesce("plain", "number")) * pl.col("factor")
    below, above, pending = (
        pl.col(name).fill_null(False) for name in ("below", "above", "pending")
    )
    return read.with_columns(
        value_low=pl.when(below & (told >= 0)).then(0.0).otherwise(told),
        value_high=pl.when(~above).then(told),
        limit_below=pl.when(below).then(told),
        # A line that waits for its result must not take the place of a final one.
        status=pl.when(pending & (pl.col("status") != "X")).then(_word("P")).otherwise("status"),
        no_result=pending | pl.col("nothing").fill_null(False),
    ).drop("wording", "plain", "number", "below", "above", "pending", "nothing")


def _wordings(texts: pl.Series) -> pl.DataFrame:
    """Understand results that are no plain numbers: a number with its comparator, or words."""
    words = reference.load("analytes")["no_result"]
    text = pl.col("wording").str.to_lowercase()
    part = text.str.extract_groups(_RESULT).struct
    said = text.str.strip_chars(" .!*-()[]")
    return pl.DataFrame({"wording": texts.drop_nulls()}, schema={"wording": pl.String}).select(
        "wording",
        number=part.field("number").cast(pl.Float64, strict=False),
        below=part.field("below").is_not_null(),
        above=part.field("above").is_not_null(),
        pending=said.is_in(words["pending"]),
        nothing=said.is_in(words["not_measured"]),
    )


def _why_apart() -> pl.Expr:
    # A cancellation is of whatever its number is of.
    cancelled = (pl.col("status") == "X").fill_null(False)
    other = pl.col("analyte").is_null() & pl.col("test_name").is_not_null()
    return pl.coalesce(
        "apart",
        pl.when(other & ~cancelled).then(pl.lit(OTHER_ANALYTE)),
        pl.when(pl.col("no_result") & ~cancelled).then(pl.lit(NOT_MEASURED)),
    )


def _assay() -> pl.Expr:
    """Tell the assay, in order of proof (``methods`` of analytes.yaml and what follows it)."""
    table = reference.load("analytes")
    hedged = pl.col("comment").str.to_lowercase().str.contains("|".join(table["prose"]["hedges"]))
    blind = (pl.col("analyte") == "estradiol") & (
        pl.col("limit_below") >= float(table["ia_when_limit_at_least_pg_ml"])
    )
    return pl.coalesce(
        "assay_by_method",
        pl.when(~hedged).then(_assay_in("comment", "prose")).cast(TEXT),
        "assay_otherwise",
        pl.when(blind).then(_word("ia")),
        _word("unknown"),
    )


def _word(text: str) -> pl.Expr:
    return pl.lit(text, dtype=TEXT)


def _dxa(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
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
            maker=pl.col("manufacturer").fill_null("unknown"), apart=pl.coalesce("apart", invalid)
        )
        .join(reference.site_limits(), on=["site", "maker"], how="left", maintain_order="left")
        .with_columns(
            scanned_on=_day(rows["raw_scanned_on"]),
            bmd_g_cm2=_number("raw_bmd_g_cm2"),
            t_score=_number("raw_t_score"),
            z_score=_number("raw_z_score"),
            body_fat_pct=_number("raw_body_fat_pct"),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
        )
    )


def _medications(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
    named, said = _drugs_named(rows), sig.doses(rows)
    told = (
        rows.join(named, on=_DRUG, how="left", nulls_equal=True, maintain_order="left")
        .join(said, on=sig.WORDING, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            started_on=_day(rows["raw_started_on"]),
            stopped_on=_day(rows["raw_stopped_on"]),
            days_supply=_days_supply(),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
        )
    )
    cancelled = (pl.col("status") == "X").fill_null(False)
    other = (pl.col("drugs_named") == 0) & pl.col("raw_drug").is_not_null() & ~cancelled
    return _with_dose(told).with_columns(
        stopped_on=pl.coalesce("stopped_on", _end_of_supply()),
        # A fill of unknown supply may be over: whatever its dose, it is not known to be in force.
        weekly_dose_mg=pl.when(~_supply_unknown()).then(
            pl.col("dose_mg") * pl.col("doses_per_week")
        ),
        apart=pl.coalesce("apart", pl.when(other).then(pl.lit(OTHER_DRUG))),
    )


def _drugs_named(rows: pl.DataFrame) -> pl.DataFrame:
    """Tell which drug each wording and code mean: ``drug`` is null unless they mean exactly one."""
    drugs = reference.load("drugs")["drugs"]
    wordings = rows.select(_DRUG).unique(maintain_order=True)
    is_named = {drug: _is_named(facts) for drug, facts in drugs.items()}
    classes = {drug: facts["class"] for drug, facts in drugs.items()}
    most = {drug: float(facts["possible_weekly_mg"][1]) for drug, facts in drugs.items()}
    return wordings.with_columns(
        drugs_named=pl.sum_horizontal(is_named.values()),
        drug=pl.coalesce(pl.when(is_it).then(pl.lit(drug)) for drug, is_it in is_named.items()),
    ).with_columns(
        pl.when(pl.col("drugs_named") == 1).then(each).alias(name)
        for name, each in {
            "drug": pl.col("drug"),
            "drug_class": pl.col("drug").replace_strict(classes, default=None),
            "most_weekly_mg": pl.col("drug").replace_strict(most, default=None),
        }.items()
    )


def _is_named(facts: Mapping[str, Any]) -> pl.Expr:
    written = pl.col("raw_drug").str.to_lowercase()
    named = written.str.contains(_any_word(facts["names"]))
    if "unless" in facts:
        named &= ~written.str.contains(_any_word(facts["unless"]))
    by_code = pl.col("rxnorm").str.to_uppercase().is_in(facts.get("codes", []))
    return named.fill_null(False) | by_code.fill_null(False)


def _any_word(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(words)})\b"


def _with_dose(rows: pl.DataFrame) -> pl.DataFrame:
    """Add dose and frequency: what the columns say, else what the sig says; nothing if they disagree.

    A sig that says that the dose varies outweighs any number. A negative number stays, to be rejected.
    """
    both = rows.with_columns(
        dose_mg=_finite(
            pl.col("raw_dose_mg").str.replace(r"(?i) ?mg$", "").cast(pl.Float64, strict=False)
        ),
        doses_per_week=_number("raw_doses_per_week"),
    )
    dose_differs = _differ("dose_mg", "sig_dose_mg", sig.SAME_DOSE_RATIO)
    often_differs = _differ("doses_per_week", "sig_doses_per_week", SAME_FREQUENCY_RATIO)
    return both.with_columns(
        dose_mg=_agreed("dose_mg", dose_differs),
        doses_per_week=_agreed("doses_per_week", often_differs),
        dose_contradicts_sig=dose_differs | often_differs,
    )


def _differ(column: str, said: str, ratio: float) -> pl.Expr:
    apart = (pl.col(column) - pl.col(said)).abs() > ratio * pl.max_horizontal(column, said)
    return (apart & (pl.col(column) >= 0)).fill_null(False)


def _agreed(column: str, differs: pl.Expr) -> pl.Expr:
    negative = (pl.col(column) < 0).fill_null(False)
    return pl.when(negative | ~(differs | pl.col("sig_varies"))).then(
        pl.coalesce(column, f"sig_{column}")
    )


def _days_supply() -> pl.Expr:
    least, most = reference.load("drugs")["possible_days_supply"]
    days = _number("raw_days_supply")
    return pl.when(days.is_between(least, most)).then(days.ceil().cast(pl.Int64))


def _supply_unknown() -> pl.Expr:
    unreadable = pl.col("raw_days_supply").is_not_null() & pl.col("days_supply").is_null()
    return unreadable & pl.col("stopped_on").is_null()


def _end_of_supply() -> pl.Expr:
    days = pl.col("days_supply") + int(reference.load("drugs")["days_after_supply"])
    end = pl.col("started_on") + pl.duration(days=days)
    # A last day that cannot be read is not one that is missing.
    return pl.when(pl.col("raw_stopped_on").is_null()).then(end)


def _events(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
    return rows.with_columns(
        kind=pl.col("kind").str.to_lowercase(), occurred_on=_day(rows["raw_occurred_on"])
    )


def _precision(rows: pl.DataFrame, _timezone: str) -> pl.DataFrame:
    return rows.with_columns(site=pl.col("site").str.to_lowercase(), cv_pct=_number("raw_cv_pct"))


def _number(name: str) -> pl.Expr:
    return _finite(pl.col(name).cast(pl.Float64, strict=False))


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)  # 1e400 is no number, nor are "inf" and "nan"


def _day(written: pl.Series) -> pl.Series:
    """Read the local date as it is written; an instant's own date counts, whatever its offset."""
    local, _ = _as_written(written)
    return local.dt.date()


def _instant(written: pl.Series, timezone: str) -> tuple[pl.Series, pl.Series]:
    """Read each time as an instant in UTC, and as the local date that is written."""
    local, offset = _as_written(written)
    here = _in_zone(local, timezone)
    if here.null_count() > local.null_count():
        # An hour that the clocks skipped: what was meant is at most an hour away.
        here = here.fill_null(_in_zone(local - timedelta(hours=1), timezone))
    if offset.null_count() < len(offset):
        here = (local - offset).dt.replace_time_zone("UTC").fill_null(here)
    return here, local.dt.date()


def _in_zone(local: pl.Series, timezone: str) -> pl.Series:
    zoned = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC")


def _as_written(written: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Read local times, and their offsets from UTC where they have one."""
    rows = pl.DataFrame({"text": written, "local": None}, schema_overrides={"local": _LOCAL})
    length = written.str.len_bytes()
    for n_bytes, format_ in _PLAIN_TIMES:
        if rows["local"].null_count() == written.null_count() or not (length == n_bytes).any():
            continue
        left = pl.when(pl.col("local").is_null() & (length == n_bytes))
        # Times are too many to be worth keeping what was read of each text.
        time = left.then("text").str.to_datetime(
            format_, time_unit="us", strict=False, cache=n_bytes == len("2020-01-01")
        )
        rows = rows.with_columns(local=pl.coalesce("local", time))
    if rows["local"].null_count() == written.null_count():
        return rows["local"], pl.repeat(None, len(rows), dtype=pl.Duration("us"), eager=True)
    rest = rows.select(
        pl.when(pl.col("local").is_null()).then("text").str.extract_groups(_INSTANT).alias("part")
    ).unnest("part")
    seconds = pl.col("second").fill_null("00")
    local = pl.format("{}T{}:{}", "day", pl.col("time").fill_null("00:00"), seconds)
    east = pl.duration(
        hours=pl.col("hours").cast(pl.Int64), minutes=pl.col("minutes").cast(pl.Int64)
    )
    read = rest.select(
        local=local.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False),
        offset=pl.when(pl.col("utc").is_not_null())
        .then(pl.duration(hours=0))
        .when(pl.col("sign") == "-")
        .then(-east)
        .otherwise(east),
    )
    return rows["local"].fill_null(read["local"]), read["offset"]


_READ_AGAIN: Final[Mapping[str, tuple[str, ...]]] = {
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
        "status",
    ),
    "events": ("occurred_on",),
    "precision": ("cv_pct",),
}

_NORMALISERS: Final[Mapping[str, Callable[[pl.DataFrame, str], pl.DataFrame]]] = {
    "patients": _patients,
    "labs": _labs,
    "dxa": _dxa,
    "medications": _medications,
    "events": _events,
    "precision": _precision,
}
