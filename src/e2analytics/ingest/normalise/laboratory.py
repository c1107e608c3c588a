"""Normalises laboratory rows: analyte, unit, assay, and the interval that a result allows.

In    text rows of labs (``feeds.mapping``), with the columns to be read as ``raw_*``
Out   the same rows, same grain, with typed columns

Rows of one kind (test, code, unit, method, laboratory, status) are normalised once for all of them. A
result that is below or above a limit becomes the interval it allows; "not detected" has no limit
and stays unreadable.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.feeds.mapping import NOT_MEASURED
from e2analytics.feeds.parsing import finite, instant
from e2analytics.reference.names import ESTRADIOL, TESTOSTERONE
from e2analytics.spreadsheet import FORMULA
from e2analytics.tables.categoricals import TEXT, distinct, to_categories

OTHER_ANALYTE: Final = "other_analyte"

# ASCII digits only: \d is any digit of any script here, which no cast can read.
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_BELOW = r"<=?|=<|≤|(?:less|lower) than(?: or equal to)?|below|under"
_ABOVE = r">=?|=>|≥|(?:greater|more|higher) than(?: or equal to)?|above|over"
# "5.0 H", "5.0*", "5.0 (L)", "5.0 L *": laboratories print their flags next to the number.
_WORD = r"(?:hh?|ll?|aa?|high|low|abnormal|critical)"
_FLAG = rf"(?:\*{{1,3}}|\*?(?:\({_WORD}\)|\[{_WORD}\]|{_WORD})\*{{0,3}})"
# Beside the number only as its own column has it: 5.0 pg/mL, 45.2 %.
_UNIT = r"%|[a-zµμ\[\]]+[0-9]*/[a-z0-9]+"
_RESULT = (
    rf"^(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE}))?\s*(?P<number>{_NUMBER})"
    rf"(?:\s*(?P<unit>{_UNIT}))?(?:\s*{_FLAG}(?:\s+{_FLAG})*)?$"
)
_KIND: Final = ("test_name", "loinc", "raw_unit", "method", "performing_lab", "raw_status")
"""The kind of a laboratory row: many rows share one."""
_KEPT: Final = ("loinc", "performing_lab")
"""Columns of the kind that stay in the row, as categories."""
_OF_KIND: Final = (
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
    "code_contradicts_unit",
    "unknown_test",
    "formula_in_kind",
    "assay_by_method",
    "assay_otherwise",
    "status",
    *_KEPT,
)
_SEX_STEROIDS: Final = (ESTRADIOL, TESTOSTERONE)
_LOINC: Final = r"^[0-9]{3,6}-[0-9]$"
_NAMES_METHOD: Final = ("method", "test_name")


def normalise(rows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """Return the rows with typed columns; times without an offset are of ``timezone``."""
    kinds = distinct(rows.select(_KIND))
    known = _normalised_once(tuple(kinds.rows.iter_rows()))[kinds.of]
    measured = _with_interval(rows.drop(_KEPT).hstack(known))
    collected_at, collected_on = instant(rows["raw_collected_at"], timezone)
    reported_at, _ = instant(rows["raw_reported_at"], timezone)
    return measured.with_columns(
        collected_at=collected_at,
        collected_on=collected_on,
        reported_at=reported_at,
        assay=_assay(),
        excluded=_why_excluded(),
    ).with_columns(least_reportable=reference.least_reportable())


@lru_cache(maxsize=4)
def _normalised_once(kinds: tuple[tuple[str | None, ...], ...]) -> pl.DataFrame:
    """Normalise kinds of laboratory rows; the batches of one file mostly hold the same kinds."""
    named = pl.DataFrame(kinds, schema=dict.fromkeys(_KIND, pl.String()), orient="row")
    return to_categories(_normalised_kinds(named))


def _normalised_kinds(kinds: pl.DataFrame) -> pl.DataFrame:
    """Add to each kind of laboratory row its analyte, unit and factor, and what proves its assay."""
    named = (
        kinds.with_columns(
            spelling=reference.name_key(pl.col("test_name")),
            unit_spelling=reference.unit_key(pl.col("raw_unit")),
            names_sex_steroid=reference.names_sex_steroid(pl.col("test_name")),
            is_other_steroid_test=reference.is_other_steroid_test(pl.col("test_name")),
        )
        .join(reference.analyte_codes(), on="loinc", how="left", maintain_order="left")
        .join(reference.analyte_names(), on="spelling", how="left", maintain_order="left")
    )
    # A code of another test outweighs the name: names are shortened, codes are not.
    by_name = pl.when(pl.col("code_known").is_null()).then("analyte_by_name")
    contradicted = pl.col("analyte_by_code") != pl.col("analyte_by_name")
    contradicted |= pl.col("analyte_by_code").is_in(_SEX_STEROIDS) & pl.col("is_other_steroid_test")
    return (
        named.with_columns(analyte=pl.coalesce("analyte_by_code", by_name))
        .join(reference.units(), on=["analyte", "unit_spelling"], how="left", maintain_order="left")
        .join(reference.analytes(), on="analyte", how="left", maintain_order="left")
        .with_columns(
            code_contradicts_name=contradicted.fill_null(False),
            code_contradicts_unit=_code_contradicts_unit(),
            unknown_test=_unknown_test(),
            formula_in_kind=pl.any_horizontal(
                pl.col(name).str.contains(FORMULA).fill_null(False) for name in _KEPT
            ),
            assay_by_method=pl.coalesce(_assay_in(each, "methods") for each in _NAMES_METHOD),
            assay_otherwise=pl.coalesce("assay_by_code", _assay_by_laboratory()),
            status=pl.col("raw_status").str.to_uppercase().fill_null("F"),
        )
        .select(*_OF_KIND)
    )


def _code_contradicts_unit() -> pl.Expr:
    """Tell whether a unit is of moles and the LOINC, or its name, of mass; or the other way round.

    One of them is wrong, and a result of estradiol differs by a factor of 3.7.
    """
    in_moles = pl.col("unit_spelling").str.contains("mol")
    by_name = pl.col("test_name").str.to_lowercase().str.extract(reference.PROPERTY)
    contradicted = pl.any_horizontal(
        ((of_whom == "moles") != in_moles).fill_null(False)
        for of_whom in (pl.col("property_by_code"), by_name)
    )
    is_ours = pl.col("analyte").str.contains("^(?:estradiol|testosterone)")
    return (contradicted & is_ours & pl.col("factor").is_not_null()).fill_null(False)


def _unknown_test() -> pl.Expr:
    """Tell whether a test names estradiol or testosterone and may or may not be what we take it for.

    A LOINC that nobody here knows may be of another specimen than the short name beside it.
    """
    unknown_code = pl.col("code_known").is_null() & pl.col("loinc").str.contains(_LOINC)
    doubtful = pl.col("analyte").is_null() | unknown_code.fill_null(False)
    is_other = pl.col("is_other_steroid_test") | (
        pl.col("code_known").is_not_null() & pl.col("analyte_by_code").is_null()
    )
    return pl.col("names_sex_steroid") & doubtful & ~is_other


def _assay_in(column: str, words: str) -> pl.Expr:
    """Return the assay that a text names; null if none or both."""
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
            (pl.col("analyte") == ESTRADIOL)
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
    # Nearly all results are plain numbers. Of the others each wording is parsed once.
    at = (plain.is_null() & rows["raw_value"].is_not_null()).arg_true()
    parsed = _parsed(rows["raw_value"][at]).with_columns(_number_in(rows["raw_unit"][at]))
    flags = {
        name: pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True).scatter(at, parsed[name])
        for name in ("below", "above", "pending", "nothing")
    }
    below, above, pending, nothing = (pl.lit(each) for each in flags.values())
    value = finite(pl.lit(plain.scatter(at, parsed["number"]))) * pl.col("factor")
    return rows.with_columns(
        value_low=pl.when(below & (value >= 0)).then(0.0).otherwise(value),
        value_high=pl.when(~above).then(value),
        limit_below=pl.when(below).then(value),
        # A pending line must not supersede a final result.
        status=pl.when(pending & (pl.col("status") != "X")).then(_word("P")).otherwise("status"),
        no_result=pending | nothing,
    )


def _parsed(texts: pl.Series) -> pl.DataFrame:
    """Parse results that are not plain numbers: a number with its comparator, or words."""
    return pl.DataFrame({"wording": texts}).join(
        _wordings(texts.unique()), on="wording", how="left", maintain_order="left"
    )


def _number_in(units: pl.Series) -> pl.Expr:
    """Return the numbers; none beside which another unit is written than that of the row."""
    same = reference.unit_key(pl.col("unit")) == reference.unit_key(pl.lit(units))
    no_other = pl.col("unit").is_null() | same.fill_null(False)
    return pl.when(no_other).then("number").alias("number")


def _wordings(texts: pl.Series) -> pl.DataFrame:
    """Parse results that are not plain numbers: a number with its comparator, or words."""
    words = reference.load("analytes")["no_result"]
    text = pl.col("wording").str.to_lowercase()
    part = text.str.extract_groups(_RESULT).struct
    phrase = text.str.strip_chars(" .!*-()[]")
    return pl.DataFrame({"wording": texts.drop_nulls()}, schema={"wording": pl.String}).select(
        "wording",
        number=part.field("number").cast(pl.Float64, strict=False),
        below=part.field("below").is_not_null(),
        above=part.field("above").is_not_null(),
        unit=part.field("unit"),
        pending=phrase.is_in(words["pending"]),
        nothing=phrase.is_in(words["not_measured"]),
    )


def _why_excluded() -> pl.Expr:
    # A cancellation concerns whatever row has its number.
    cancelled = (pl.col("status") == "X").fill_null(False)
    known_to_be_other = pl.col("analyte").is_null() & ~pl.col("unknown_test")
    other = known_to_be_other & pl.col("test_name").is_not_null()
    return pl.coalesce(
        "excluded",
        pl.when(other & ~cancelled).then(pl.lit(OTHER_ANALYTE)),
        pl.when(pl.col("no_result") & ~cancelled).then(pl.lit(NOT_MEASURED)),
    )


def _assay() -> pl.Expr:
    """Return the assay, in order of proof (``methods`` of analytes.yaml and what follows it)."""
    table = reference.load("analytes")
    hedged = pl.col("comment").str.to_lowercase().str.contains("|".join(table["prose"]["hedges"]))
    blind = (pl.col("analyte") == ESTRADIOL) & (
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
