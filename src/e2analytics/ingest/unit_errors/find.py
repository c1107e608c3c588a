"""Slips: which results of a source came in another unit than they were declared in.

In    rows of labs, the feed of each file, the clinic of each man, what was decided
Out   evidence  grain source_kind, source, analyte, month: how strong, which factor, what was done and
                the lines of configuration that would release or convert it
      suspects  grain source_file, source_line, source_part: rows to be quarantined, with ``slip_id``

Changes no value: ``convert_slips`` alone does, and only what a line of configuration names.
Censored results give no evidence (a bound has slipped as well, but says little) and share the fate
of a month that slipped as a whole. Estradiol and total testosterone are watched: the analytes with
units a small factor apart whose levels decide a flag.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics import reference
from e2analytics.ingest.rules.row_rules import IMPOSSIBLE_VALUE
from e2analytics.ingest.unit_errors.sources import (
    KINDS,
    MONTH,
    conversions,
    mark,
    months_of,
    named_by,
    texts_with,
    with_sources,
)
from e2analytics.models.threads import one_blas_thread, side_by_side
from e2analytics.models.unit_errors import search
from e2analytics.models.unit_errors.arrays import UNKNOWN, Belief, Codes, Results, Slip
from e2analytics.settings import SlipSettings
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.months import month_of, year_month

KEY: Final = ("source_file", "source_line", "source_part")
_PLACE: Final = "place_"
_SUSPECT: Final = {_PLACE: pl.UInt32, "slip_id": pl.String}

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
    "no_history": "the source's level; its men have no earlier results",
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
# one. Testosterone: AUA 2018 aims at 450-600 ng/dL. The SD makes 10-60 pg/mL and 300-1000 ng/dL, the
# usual ranges, about 2 SD wide; the middles on TRT are an assumption, as in ``simulate.parameters``.
_MIDDLES: Final = {
    "estradiol": _Middle(untreated=34.0, treated=13.5, unknown=30.0, sd=0.22),
    "testosterone_total": _Middle(untreated=560.0, treated=560.0, unknown=560.0, sd=0.22),
}


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
        Settled rows, with ``on_drug``: whether the draw was on an aromatase inhibitor, null where nobody
        knows. Accepted ones are looked at, and those whose value cannot be: a slip may be why.
    feeds
        ``source_file -> feed``.
    clinics
        ``patient_id -> clinic_id``.
    settings
        When a slip is held for real, and what was decided.
    """
    small = to_categories(labs)
    lines = [_converted(small, feeds, clinics, settings)]
    suspects = [pl.DataFrame(schema=_SUSPECT)]
    placed = small.lazy().with_row_index(_PLACE).filter(_stands_or_cannot_be(small))

    def searched(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        own = placed.filter(pl.col("analyte") == name)
        return _of_analyte(_read(own, name, feeds, clinics, settings), settings)

    with one_blas_thread():
        of_each = side_by_side(searched, _MIDDLES)
    for evidence, suspected in of_each:
        lines.append(evidence)
        suspects.append(suspected)
    found = pl.concat(suspects)
    keys = labs[found[_PLACE]].select(KEY).with_columns(found["slip_id"])
    return Found(
        pl.concat(lines).sort("analyte", "month", "source_kind", "source"),
        keys.select(pl.col(name).cast(dtype) for name, dtype in SUSPECTS_SCHEMA.items()).sort(KEY),
    )


def _stands_or_cannot_be(labs: pl.DataFrame) -> pl.Expr:
    impossible = (pl.col("fate") == "quarantined") & (pl.col("why") == IMPOSSIBLE_VALUE)
    # A day that a feed made up has no month.
    made_up = pl.col("imputed").is_in(texts_with("collected_at", labs["imputed"]))
    return ((pl.col("fate") == "accepted") | impossible).fill_null(False) & ~made_up


class _Analyte(NamedTuple):
    """One analyte's results: their places among all, the names behind the codes of their sources.

    Censored ones give no evidence and stand apart, with the names of their sources.
    """

    name: str
    place: Codes
    results: Results
    names: tuple[list[str], ...]
    censored: pl.DataFrame
    ratios: dict[float, tuple[str, str]]


def _read(
    labs: pl.LazyFrame,
    analyte: str,
    feeds: pl.DataFrame,
    clinics: pl.DataFrame,
    settings: SlipSettings,
) -> _Analyte:
    releases = [
        each for each in settings.decisions if each.action == "release" and each.analyte == analyte
    ]
    exact = (pl.col("value_low") == pl.col("value_high")).fill_null(False) & (
        pl.col("value_low") > 0
    )
    read = (
        labs.filter(exact)
        .select(
            _PLACE,
            "patient_id",
            "performing_lab",
            "source_file",
            month_of(pl.col("collected_on")).alias(MONTH),
            log_value=pl.col("value_low").log(),
            # Who is not yet on testosterone nobody knows.
            treated=pl.col("on_drug").cast(pl.Int8).fill_null(UNKNOWN)
            if analyte == "estradiol"
            else pl.lit(UNKNOWN, dtype=pl.Int8),
        )
        .collect()
    )
    month = read[MONTH].to_numpy()
    man, men = _coded(read["patient_id"])
    file, files = _coded(read["source_file"])
    laboratory, laboratories = _coded(read["performing_lab"])
    # Few men and files, many rows: the rows are joined with nothing.
    clinic, clinic_names = _coded(_looked_up(men, clinics, "patient_id", "clinic_id"))
    feed, feed_names = _coded(_looked_up(files, feeds, "source_file", "feed"))
    sources = laboratory, _of_each(man, clinic), _of_each(file, feed)
    names = laboratories, clinic_names, feed_names
    released = np.zeros(len(month), dtype=bool)
    for decision in releases:
        kind = KINDS.index(decision.source_kind)
        if decision.source in names[kind]:
            here = sources[kind] == names[kind].index(decision.source)
            always = decision.months == "all"
            released |= here & (always | np.isin(month, months_of(decision)))
    censored = (
        with_sources(labs.filter(~exact), feeds, clinics)
        .filter(~pl.any_horizontal(pl.lit(False), *map(named_by, releases)))
        .select(_PLACE, MONTH, *KINDS)
        .collect()
    )
    results = Results(
        log_value=read["log_value"].to_numpy(),
        man=man,
        month=month,
        treated=read["treated"].to_numpy(),
        sources=sources,
        released=released,
    )
    return _Analyte(analyte, read[_PLACE].to_numpy(), results, names, censored, _ratios(analyte))


def _coded(column: pl.Series) -> tuple[Codes, list[str]]:
    """Return the place of each text in their order, -1 for none, and the texts in order.

    Categories are numbered over the whole process, in an order that is never the same again.
    """
    known = column.unique().drop_nulls().to_frame("text")
    known = known.with_columns(name=pl.col("text").cast(pl.String)).sort("name")
    physical = known["text"].to_physical().to_numpy()
    none = int(physical.max(initial=0)) + 1
    code = np.full(none + 1, -1, dtype=np.int32)
    code[physical] = np.arange(len(known), dtype=np.int32)
    return code[column.to_physical().fill_null(none).to_numpy()], known["name"].to_list()


def _looked_up(names: list[str], table: pl.DataFrame, key: str, value: str) -> pl.Series:
    """Return what a table says of each name, as categories."""
    said = table.select(key, value).unique(key, keep="first")
    asked = pl.DataFrame({key: names}, schema={key: pl.String})
    return to_categories(asked.join(said, on=key, how="left", maintain_order="left"))[value]


def _of_each(code: Codes, value_of_code: Codes) -> Codes:
    """Return the value of each code; code -1 has none."""
    return np.append(value_of_code, np.int32(-1))[code]


def _of_analyte(analyte: _Analyte, settings: SlipSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = search.find(analyte.results, _belief(analyte, settings))
    suspects = pl.concat(
        [
            pl.DataFrame(schema=_SUSPECT),
            *(_suspects(analyte, slip) for slip in found),
        ]
    ).unique(_PLACE, keep="first", maintain_order=True)
    counts = dict(suspects.group_by("slip_id").len().iter_rows())
    evidence = [_line(analyte, slip, counts.get(_id(analyte, slip), 0)) for slip in found]
    return pl.DataFrame(evidence, schema=EVIDENCE_SCHEMA, orient="row"), suspects


def _belief(analyte: _Analyte, settings: SlipSettings) -> Belief:
    middle = _MIDDLES[analyte.name]
    return Belief(
        centre=(np.log(middle.untreated), np.log(middle.treated), np.log(middle.unknown)),
        centre_sd=middle.sd,
        shifts=np.log(list(analyte.ratios)),
        slip_prior=settings.slips_per_1000_source_months / 1000,
        least_odds=settings.least_odds,
    )


def _ratios(analyte: str) -> dict[float, tuple[str, str]]:
    """Return the factors that a slip can have, each with the unit declared and the real one.

    Factors that no reader would miss, and pairs that mean the same, are left out.
    """
    units = reference.unit_factors(analyte)
    own_first = sorted(units, key=lambda unit: (units[unit] != 1.0, unit))
    ratios: dict[float, tuple[str, str]] = {}
    for declared in own_first:
        for really in own_first:
            ratio = round(units[declared] / units[really], 9)
            if 1.5 < max(ratio, 1 / ratio) < 150:
                ratios.setdefault(ratio, (declared, really))
    return dict(sorted(ratios.items()))


def _suspects(analyte: _Analyte, slip: Slip) -> pl.DataFrame:
    """Return the places of the suspects; of a month that slipped as a whole the censored ones too."""
    places = pl.DataFrame({_PLACE: analyte.place[slip.rows]})
    if slip.decided and slip.whole:
        kind = KINDS[slip.kind]
        too = analyte.censored.filter(
            pl.col(kind) == analyte.names[slip.kind][slip.source], pl.col(MONTH) == slip.month
        )
        places = pl.concat([places, too.select(_PLACE)])
    return places.with_columns(slip_id=pl.lit(_id(analyte, slip)))


def _id(analyte: _Analyte, slip: Slip) -> str:
    kind = KINDS[slip.kind]
    source = analyte.names[slip.kind][slip.source]
    factor = list(analyte.ratios)[slip.shift]
    return f"{kind}/{source}/{analyte.name}/{_spelled(slip.month)}/x{factor:.4g}"


def _line(analyte: _Analyte, slip: Slip, n_suspects: int) -> tuple[object, ...]:
    kind = KINDS[slip.kind]
    source = analyte.names[slip.kind][slip.source]
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
    if slip.whole or not slip.decided:
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
        _COMPARED_WITH[slip.doubt or slip.basis],
        action,
        _toml({**lines, "action": "release"}),
        convert,
    )


def _words(factor: float, pair: tuple[str, str]) -> str:
    by = f"{factor:.4g} times too high" if factor > 1 else f"{1 / factor:.4g} times too low"
    told = f"{by}: looks like {pair[1]} declared as {pair[0]}"
    decimal = np.isclose(abs(np.log10(factor)), 1)
    return f"{told}, or a decimal point in the wrong place" if decimal else told


def _toml(decision: dict[str, object]) -> str:
    # A JSON string or list of strings is one of TOML too.
    body = "\n".join(f"{name} = {json.dumps(value)}" for name, value in decision.items())
    return f"[[slips.decisions]]\n{body}"


def _converted(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """List what was converted: a line a decision and month."""
    lines = [pl.DataFrame(schema=EVIDENCE_SCHEMA)]
    for decision in conversions(settings):
        converted = pl.col("imputed").is_in(texts_with(mark(decision), labs["imputed"]))
        rows = with_sources(labs.lazy().filter(converted), feeds, clinics)
        months = rows.filter(named_by(decision)).group_by(MONTH).len().sort(MONTH)
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


def _spelled(month: int) -> str:
    return WITHOUT_MONTH if month < 0 else year_month(month)
