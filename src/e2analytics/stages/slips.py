"""Slips: which results of a source came in another unit than they were declared in.

In    accepted rows of labs, the feed of each file, the clinic of each man, what was decided
Out   evidence  grain source_kind, source, analyte, month: how strong, which factor, what was done and
                the lines of configuration that would release or convert it
      suspects  grain source_file, source_line, source_part: rows to be quarantined, with ``slip_id``

Changes no value: ``apply_decisions`` alone converts, and only what a line of configuration names.
Censored results give no evidence (a bound has slipped as well, but says little) and share the fate
of a month that slipped as a whole. Estradiol and total testosterone are watched: the analytes with
units a small factor apart whose levels decide a flag.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.models import unit_slip
from e2analytics.models.slip_evidence import Integers
from e2analytics.models.unit_slip import Belief, Results, Slip
from e2analytics.slip_settings import SlipDecision, SlipSettings, units_of

KINDS: Final = ("performing_lab", "clinic", "feed")
KEY: Final = ("source_file", "source_line", "source_part")
CONVERTED: Final = "unit_converted"
"""What ``imputed`` names in a row whose unit a decision gave: it is not converted again."""

EVIDENCE_SCHEMA: Final = {
    "slip_id": pl.String,
    "source_kind": pl.String,
    "source": pl.String,
    "analyte": pl.String,
    "month": pl.String,
    "factor": pl.Float64,
    "direction": pl.String,
    "n_results": pl.Int64,
    "n_suspects": pl.Int64,
    "n_with_history": pl.Int64,
    "share": pl.Float64,
    "log10_bayes_factor": pl.Float64,
    "compared_with": pl.String,
    "action": pl.String,
    "release_line": pl.String,
    "convert_line": pl.String,
}
SUSPECTS_SCHEMA: Final = {
    "source_file": pl.String,
    "source_line": pl.Int64,
    "source_part": pl.Int64,
    "slip_id": pl.String,
}
WITHOUT_MONTH: Final = "all"
NOT_ENOUGH: Final = "not_enough_to_tell"

_COMPARED_WITH: Final[dict[str, str]] = {
    "own_results": "the men's own earlier results",
    "population": "other sources and clinical knowledge",
    "continued": "the month before, which slipped",
    "treatment": "the men's own earlier results; a change of treatment explains it as well",
    "either_side": "the men's own earlier results; they may be the wrong ones",
}


@dataclass(frozen=True, slots=True)
class _Middle:
    """Where the middle of men lies, in the analyte's unit, and how sure that is (log scale)."""

    untreated: float
    treated: float
    unknown: float
    sd: float


# Untreated by an aromatase inhibitor: men on testosterone, above the 25-30 pg/mL of other men (Leder,
# JCEM 2004;89:1174) and below the 65 of men chosen for high E2 (Punjani, Sex Med 2021;9:100378); treated:
# -66 % in the latter, part of it regression to the mean. Unknown: few of all men on testosterone take
# one. Testosterone: AUA 2018 aims at 450-600 ng/dL. The SD makes 10-60 pg/mL and 300-1000 ng/dL (evidence
# D4) about 2 SD wide; the middles on TRT are an assumption, as in ``simulate.parameters`` (mem).
_MIDDLES: Final = {
    "estradiol": _Middle(untreated=34.0, treated=13.5, unknown=30.0, sd=0.22),
    "testosterone_total": _Middle(untreated=560.0, treated=560.0, unknown=560.0, sd=0.22),
}


WATCHED: Final = tuple(_MIDDLES)
"""The analytes in which slips are looked for."""


class Found(NamedTuple):
    """What was found, and whom it concerns."""

    evidence: pl.DataFrame
    suspects: pl.DataFrame


def find(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> Found:
    """Look for slips of unit in every source and month.

    Parameters
    ----------
    labs
        Accepted rows in the shape of :class:`e2analytics.contracts.Labs`; a column ``on_drug``
        (Boolean, null where nobody knows) tells draws on an aromatase inhibitor, if there is one.
    feeds
        ``source_file -> feed``.
    clinics
        ``patient_id -> clinic_id``.
    settings
        When a slip is held for real, and what was decided.
    """
    placed = _with_sources(labs.lazy().with_row_index("place_"), feeds, clinics)
    lines = [_converted(placed, settings)]
    suspects = [pl.DataFrame(schema=SUSPECTS_SCHEMA)]
    for name in _MIDDLES:
        analyte = _read(placed, name, settings)
        if analyte.rows.is_empty():
            continue
        evidence, quarantined = _of_analyte(labs, analyte, settings)
        lines.append(evidence)
        suspects.append(quarantined)
    order = ["analyte", "month", "source_kind", "source"]
    return Found(
        pl.concat(lines).sort(order),
        pl.concat(suspects).sort(KEY),
    )


def apply_decisions(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """Convert the results that a decision names; every other row stays as it is.

    A converted row carries ``unit_converted`` in ``imputed`` and is not converted again.

    Parameters
    ----------
    labs, feeds, clinics
        As for :func:`find`; other columns of ``labs`` are kept.
    settings
        The decisions; where two name a row, the first counts.
    """
    chosen = [each for each in settings.decisions if each.action == "convert"]
    if not chosen:
        return labs
    rows = _with_sources(labs.lazy(), feeds, clinics)
    factor = pl.coalesce(
        pl.when(_named_by(decision)).then(pl.lit(decision.factor)) for decision in chosen
    )
    fresh = ~pl.col("imputed").str.contains(CONVERTED, literal=True)
    marked = pl.concat_str("imputed", pl.lit(CONVERTED), separator=" ").str.strip_chars()
    return (
        rows.with_columns(factor_=pl.when(fresh).then(factor))
        .with_columns(
            pl.col("value_low", "value_high") * pl.col("factor_").fill_null(1.0),
            imputed=pl.when(pl.col("factor_").is_null()).then("imputed").otherwise(marked),
        )
        .select(labs.columns)
        .collect()
    )


def _with_sources(labs: pl.LazyFrame, feeds: pl.DataFrame, clinics: pl.DataFrame) -> pl.LazyFrame:
    """Add ``clinic``, ``feed`` and the month; the laboratory is in the rows."""
    feed = feeds.lazy().select("source_file", "feed").unique("source_file", keep="first")
    clinic = (
        clinics.lazy().select("patient_id", clinic="clinic_id").unique("patient_id", keep="first")
    )
    month = (pl.col("collected_on").dt.year() * 12 + pl.col("collected_on").dt.month() - 1).cast(
        pl.Int64
    )
    return (
        labs.with_columns(month_=month)
        .join(feed, on="source_file", how="left", maintain_order="left")
        .join(clinic, on="patient_id", how="left", maintain_order="left")
    )


def _named_by(decision: SlipDecision) -> pl.Expr:
    named = (pl.col(decision.source_kind) == decision.source) & (
        pl.col("analyte") == decision.analyte
    )
    if decision.months != "all":
        named &= pl.col("month_").is_in([_number(month) for month in decision.months])
    return named.fill_null(False)


class _Analyte(NamedTuple):
    """One analyte's results: places in labs, value, codes of man, month, treatment and sources."""

    name: str
    rows: pl.DataFrame
    names: dict[str, list[str]]
    ratios: dict[float, tuple[str, str] | None]


def _read(placed: pl.LazyFrame, analyte: str, settings: SlipSettings) -> _Analyte:
    exact = (pl.col("value_low") == pl.col("value_high")) & (pl.col("value_low") > 0)
    rows = (
        placed.filter(analyte=analyte)
        .select(
            "place_",
            "month_",
            *KINDS,
            # A censored result has no value here: it gives no evidence.
            value=pl.when(exact).then("value_low"),
            man="patient_id",
            treated=_treated(analyte, placed),
            released=_released(settings),
        )
        .collect()
    )
    names = {column: sorted(rows[column].drop_nulls().unique()) for column in ("man", *KINDS)}
    for column, known in names.items():
        rows = _coded(rows, column, known)
    return _Analyte(analyte, rows, names, _ratios(analyte))


def _of_analyte(
    labs: pl.DataFrame, analyte: _Analyte, settings: SlipSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    weighed = np.flatnonzero(analyte.rows["value"].is_not_null().to_numpy())
    found = unit_slip.find(_results(analyte, weighed), _belief(analyte, settings))
    slips = [_without_guesses(slip) for slip in found]
    suspects = pl.concat(
        [
            pl.DataFrame(schema=SUSPECTS_SCHEMA),
            *(_suspects(labs, analyte, slip, weighed) for slip in slips),
        ]
    ).unique(KEY, keep="first", maintain_order=True)
    counts = dict(suspects.group_by("slip_id").len().iter_rows())
    evidence = [_line(analyte, slip, counts.get(_id(analyte, slip), 0)) for slip in slips]
    return pl.DataFrame(evidence, schema=EVIDENCE_SCHEMA, orient="row"), suspects


def _without_guesses(slip: Slip) -> Slip:
    """Leave a part of a month undecided where its men have no other results.

    A few low results of men never seen before are boys, or men on letrozole, as well as a slip: taken
    out, they would hide the very danger that they show (NHANES 2017-20: 139 of 4,058).
    """
    if slip.whole or slip.n_with_history:
        return slip
    return replace(slip, decided=False, rows=slip.rows[:0])


def _coded(codes: pl.DataFrame, column: str, known: list[str]) -> pl.DataFrame:
    # A join with the sorted names: categoricals are numbered over the whole process.
    numbers = pl.DataFrame({column: known}, schema={column: pl.String}).with_row_index("code_")
    return (
        codes.join(numbers, on=column, how="left", maintain_order="left")
        .with_columns(pl.col("code_").cast(pl.Int64).fill_null(-1).alias(column))
        .drop("code_")
    )


def _treated(analyte: str, placed: pl.LazyFrame) -> pl.Expr:
    """Tell whether the man was on an inhibitor; who is not yet on testosterone nobody knows."""
    if analyte != "estradiol" or "on_drug" not in placed.collect_schema():
        return pl.lit(unit_slip.UNKNOWN, pl.Int64)
    return pl.col("on_drug").cast(pl.Int64).fill_null(unit_slip.UNKNOWN)


def _released(settings: SlipSettings) -> pl.Expr:
    chosen = [each for each in settings.decisions if each.action == "release"]
    return pl.any_horizontal(pl.lit(False), *(_named_by(each) for each in chosen))


def _results(analyte: _Analyte, weighed: Integers) -> Results:
    rows = analyte.rows[weighed]
    return Results(
        log_value=rows["value"].log().to_numpy(),
        man=rows["man"].to_numpy(),
        month=rows["month_"].to_numpy(),
        treated=rows["treated"].to_numpy(),
        sources=tuple(rows[kind].to_numpy() for kind in KINDS),
        released=rows["released"].to_numpy(),
    )


def _belief(analyte: _Analyte, settings: SlipSettings) -> Belief:
    middle = _MIDDLES[analyte.name]
    return Belief(
        centre=(np.log(middle.untreated), np.log(middle.treated), np.log(middle.unknown)),
        centre_sd=middle.sd,
        shifts=np.log(list(analyte.ratios)),
        slip_prior=settings.slips_per_1000_source_months / 1000,
        least_odds=settings.least_odds,
    )


def _ratios(analyte: str) -> dict[float, tuple[str, str] | None]:
    """Return the factors that a slip can have, each with the unit declared and the real one.

    A decimal point can slip without any unit (null). Factors that no reader would miss, and pairs
    that mean the same, are left out.
    """
    units = units_of(analyte)
    own_first = sorted(units, key=lambda unit: (units[unit] != 1.0, unit))
    ratios: dict[float, tuple[str, str] | None] = {}
    for declared in own_first:
        for really in own_first:
            ratio = round(units[declared] / units[really], 9)
            if 1.5 < max(ratio, 1 / ratio) < 150:
                ratios.setdefault(ratio, (declared, really))
    for ratio in (10.0, 0.1):
        ratios.setdefault(ratio, None)
    return dict(sorted(ratios.items()))


def _suspects(labs: pl.DataFrame, analyte: _Analyte, slip: Slip, weighed: Integers) -> pl.DataFrame:
    """Return the keys of the suspects; of a month that slipped as a whole the censored ones too."""
    if slip.decided and slip.whole:
        rows = analyte.rows.filter(
            (pl.col(KINDS[slip.kind]) == slip.source)
            & (pl.col("month_") == slip.month)
            & ~pl.col("released")
        )
    else:
        rows = analyte.rows[weighed[slip.rows]]
    return labs[rows["place_"]].select(*KEY, slip_id=pl.lit(_id(analyte, slip)))


def _id(analyte: _Analyte, slip: Slip) -> str:
    kind = KINDS[slip.kind]
    source = analyte.names[kind][slip.source]
    factor = list(analyte.ratios)[slip.shift]
    return f"{kind}/{source}/{analyte.name}/{_spelled(slip.month)}/x{factor:.4g}"


def _line(analyte: _Analyte, slip: Slip, n_suspects: int) -> tuple[object, ...]:
    kind = KINDS[slip.kind]
    source = analyte.names[kind][slip.source]
    factor, pair = list(analyte.ratios.items())[slip.shift]
    done = "quarantined" if n_suspects else "released"
    action = done if slip.decided else NOT_ENOUGH
    lines = {
        "source_kind": kind,
        "source": source,
        "analyte": analyte.name,
        "months": WITHOUT_MONTH if slip.month < 0 else [_spelled(slip.month)],
    }
    convert = None
    # Only some of the results: a conversion of all would make the right ones wrong.
    if pair and (slip.whole or not slip.decided):
        convert = _toml({**lines, "action": "convert", "declared": pair[0], "really": pair[1]})
    return (
        _id(analyte, slip),
        kind,
        source,
        analyte.name,
        _spelled(slip.month),
        factor,
        _words(factor, pair),
        slip.n_results,
        n_suspects,
        slip.n_with_history,
        slip.share,
        slip.log_bf / np.log(10),
        _COMPARED_WITH["treatment" if slip.unclear else slip.basis],
        action,
        _toml({**lines, "action": "release"}),
        convert,
    )


def _words(factor: float, pair: tuple[str, str] | None) -> str:
    by = f"{factor:.4g} times too high" if factor > 1 else f"{1 / factor:.4g} times too low"
    if pair is None:
        return f"{by}: looks like a decimal point in the wrong place"
    return f"{by}: looks like {pair[1]} declared as {pair[0]}"


def _toml(decision: dict[str, object]) -> str:
    # A JSON string or list of strings is one of TOML too.
    body = "\n".join(f"{name} = {json.dumps(value)}" for name, value in decision.items())
    return f"[[slips.decisions]]\n{body}"


def _converted(rows: pl.LazyFrame, settings: SlipSettings) -> pl.DataFrame:
    """List what was converted: a line a decision and month."""
    lines = [pl.DataFrame(schema=EVIDENCE_SCHEMA)]
    marked = rows.filter(pl.col("imputed").str.contains(CONVERTED, literal=True))
    for decision in settings.decisions:
        if decision.action != "convert":
            continue
        months = marked.filter(_named_by(decision)).group_by("month_").len().sort("month_")
        # What was declared was wrong by the inverse of what made it right.
        factor = 1 / decision.factor
        pair = (str(decision.declared), str(decision.really))
        told = {
            "source_kind": decision.source_kind,
            "source": decision.source,
            "analyte": decision.analyte,
            "factor": factor,
            "direction": _words(factor, pair),
            "n_suspects": 0,
            "compared_with": "a line of the configuration",
            "action": "converted",
        }
        lines.extend(
            pl.DataFrame(
                [{**told, "month": _spelled(month), "n_results": n}], schema=EVIDENCE_SCHEMA
            )
            for month, n in months.collect().iter_rows()
        )
    named = pl.format("{}/{}/{}/{}/converted", "source_kind", "source", "analyte", "month")
    return pl.concat(lines).with_columns(slip_id=named)


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _spelled(month: int) -> str:
    if month < 0:
        return WITHOUT_MONTH
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
