"""Converts results to the unit that a decision of the clinic names, and reverts that.

In    every row of labs ever read, the feed of each file, the clinic of each man, what was decided
Out   the rows whose value changes, with ``at``, their places among all; everything else stays

A converted row names its conversion in ``imputed`` (``unit_converted:pg/mL:pmol/L``, declared and
real): it is not converted again, and once the decision is removed its value is restored. Rows in
quarantine are converted too: in the wrong unit a value may be impossible.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.ingest.rules.judge import judge_values
from e2analytics.ingest.unit_errors.sources import (
    CONVERTED,
    conversions,
    mark,
    named_by,
    texts_with,
    with_sources,
)
from e2analytics.settings import SlipSettings
from e2analytics.tables.categoricals import to_categories

AT: Final = "at"
_MARK: Final = rf"{CONVERTED}:\S+"
_DECLARED, _REALLY = 1, 2  # places in a mark
_DIGITS: Final = 14
"""More than a supplier writes, fewer than arithmetic keeps: a restored number is the same to the bit."""


def converted(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """Return every row, converted where a decision says so, with new values validated again.

    Parameters
    ----------
    labs, feeds, clinics, settings
        As for :func:`convert`.
    """
    changed = convert(labs, feeds, clinics, settings)
    if changed.is_empty():
        return labs
    judged = to_categories(judge_values(changed))
    new = judged.select(AT, "value_low", "value_high", "imputed", "failed_rules", "reject")
    rows = labs.with_row_index(AT).update(new, on=AT, how="left", include_nulls=True)
    return rows.drop(AT)


def convert(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """Return the rows that a decision converts, or that a removed decision restores, with their new values.

    Parameters
    ----------
    labs
        Compact rows.
    feeds
        ``source_file -> feed``.
    clinics
        ``patient_id -> clinic_id``.
    settings
        The decisions; where two name a row, the first counts.
    """
    decisions = conversions(settings)
    marked = pl.col("imputed").is_in(texts_with(CONVERTED, labs["imputed"]))
    of_interest = marked | pl.col("analyte").is_in([each.analyte for each in decisions])
    rows = labs.lazy().with_row_index(AT).filter(of_interest)
    wanted = pl.coalesce(
        *(pl.when(named_by(each)).then(pl.lit(mark(each))) for each in decisions),
        pl.lit(None, dtype=pl.String),
    )
    changing = (
        with_sources(rows, feeds, clinics)
        .with_columns(wanted=wanted)
        .filter(marked | pl.col("wanted").is_not_null())
        .with_columns(pl.col("imputed", "analyte").cast(pl.String))
        .with_columns(in_force=pl.col("imputed").str.extract(f"({_MARK})"))
        .filter(pl.col("wanted").ne_missing(pl.col("in_force")))
        .collect()
    )
    return to_categories(_in_the_unit_wanted(changing).select(AT, *labs.columns))


def _in_the_unit_wanted(rows: pl.DataFrame) -> pl.DataFrame:
    """Read the number as written in the unit that a decision names, or as declared where none does."""
    is_now = pl.coalesce(_unit_in("in_force", _REALLY), _unit_in("wanted", _DECLARED))
    will_be = pl.coalesce(_unit_in("wanted", _REALLY), _unit_in("in_force", _DECLARED))
    other_words = pl.col("imputed").str.replace(_MARK, "").str.strip_chars()
    return (
        rows.with_columns(is_now=is_now, will_be=will_be)
        .join(_factors("is_now"), on=["analyte", "is_now"], how="left", maintain_order="left")
        .join(_factors("will_be"), on=["analyte", "will_be"], how="left", maintain_order="left")
        .with_columns(
            (pl.col("value_low", "value_high") / pl.col("factor_is_now")).round_sig_figs(_DIGITS)
            * pl.col("factor_will_be"),
            imputed=pl.concat_str(
                other_words, pl.col("wanted"), separator=" ", ignore_nulls=True
            ).str.strip_chars(),
        )
    )


def _unit_in(marks: str, place: int) -> pl.Expr:
    return pl.col(marks).str.split(":").list.get(place)


def _factors(unit: str) -> pl.DataFrame:
    """Return ``analyte, unit -> factor`` to the analyte's own unit."""
    return pl.DataFrame(
        [
            {"analyte": analyte, unit: name, f"factor_{unit}": factor}
            for analyte in reference.load("analytes")["analytes"]
            for name, factor in reference.unit_factors(analyte).items()
        ]
    )
