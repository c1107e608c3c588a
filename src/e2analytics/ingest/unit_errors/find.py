"""Finds results that came in another unit than they were declared in.

In    rows of labs, the feed of each file, the clinic of each man, the clinic's decisions
Out   evidence  grain source_kind, source, analyte, month (:mod:`e2analytics.ingest.unit_errors.evidence`)
      suspects  grain source_file, source_line, source_part: rows to be quarantined, with ``slip_id``

Changes no value: ``convert`` alone does, and only what a line of configuration names. Censored results
give no evidence (a bound has slipped as well, but says little) and share the fate of a month that slipped
as a whole. Estradiol and total testosterone are watched: their units differ by a small factor, and their
levels decide a flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.ingest.rules.row_rules import IMPOSSIBLE_VALUE
from e2analytics.ingest.unit_errors import analyte_results, evidence
from e2analytics.ingest.unit_errors.analyte_results import PLACE, AnalyteResults
from e2analytics.ingest.unit_errors.sources import KINDS, MONTH, texts_with
from e2analytics.models.threads import one_blas_thread, side_by_side
from e2analytics.models.unit_errors import search
from e2analytics.models.unit_errors.arrays import Belief, Slip
from e2analytics.reference.names import ESTRADIOL, TESTOSTERONE
from e2analytics.settings import SlipSettings
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.source import ROW

_SUSPECT: Final = {PLACE: pl.UInt32, "slip_id": pl.String}
SUSPECTS_SCHEMA: Final = {
    "source_file": pl.String,
    "source_line": pl.Int64,
    "source_part": pl.Int64,
    "slip_id": pl.String,
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
    ESTRADIOL: _Middle(untreated=34.0, treated=13.5, unknown=30.0, sd=0.22),
    TESTOSTERONE: _Middle(untreated=560.0, treated=560.0, unknown=560.0, sd=0.22),
}


class MixUps(NamedTuple):
    """Evidence of unit mix-ups, and the results under suspicion."""

    evidence: pl.DataFrame
    suspects: pl.DataFrame


def find(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> MixUps:
    """Look for unit mix-ups in every source and month.

    Parameters
    ----------
    labs
        Rows with their fate and ``on_drug``: whether the draw was on an aromatase inhibitor, null where
        unknown. Candidates are the accepted ones, and those with an impossible value: a unit mix-up may
        be why.
    feeds
        ``source_file -> feed``.
    clinics
        ``patient_id -> clinic_id``.
    settings
        When a mix-up is held to be real, and what was decided.
    """
    small = to_categories(labs)
    lines = [evidence.of_conversions(small, feeds, clinics, settings)]
    suspects = [pl.DataFrame(schema=_SUSPECT)]
    placed = small.lazy().with_row_index(PLACE).filter(_candidates(small))

    def searched(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        own = placed.filter(pl.col("analyte") == name)
        return _of_analyte(analyte_results.read(own, name, feeds, clinics, settings), settings)

    with one_blas_thread():
        of_each = side_by_side(searched, _MIDDLES)
    for found_lines, found_suspects in of_each:
        lines.append(found_lines)
        suspects.append(found_suspects)
    places = pl.concat(suspects)
    keys = labs[places[PLACE]].select(ROW).with_columns(places["slip_id"])
    return MixUps(
        pl.concat(lines).sort("analyte", "month", "source_kind", "source"),
        keys.select(pl.col(name).cast(dtype) for name, dtype in SUSPECTS_SCHEMA.items()).sort(ROW),
    )


def _candidates(labs: pl.DataFrame) -> pl.Expr:
    impossible = (pl.col("fate") == "quarantined") & (pl.col("why") == IMPOSSIBLE_VALUE)
    # A day that a feed imputed has no month.
    imputed_day = pl.col("imputed").is_in(texts_with("collected_at", labs["imputed"]))
    return ((pl.col("fate") == "accepted") | impossible).fill_null(False) & ~imputed_day


def _of_analyte(
    analyte: AnalyteResults, settings: SlipSettings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    slips = search.find(analyte.results, _belief(analyte, settings))
    suspects = pl.concat(
        [
            pl.DataFrame(schema=_SUSPECT),
            *(_suspects(analyte, slip) for slip in slips),
        ]
    ).unique(PLACE, keep="first", maintain_order=True)
    counts = dict(suspects.group_by("slip_id").len().iter_rows())
    lines = [
        evidence.line(analyte, slip, counts.get(evidence.slip_id(analyte, slip), 0))
        for slip in slips
    ]
    return pl.DataFrame(lines, schema=evidence.EVIDENCE_SCHEMA, orient="row"), suspects


def _belief(analyte: AnalyteResults, settings: SlipSettings) -> Belief:
    middle = _MIDDLES[analyte.name]
    return Belief(
        centre=(np.log(middle.untreated), np.log(middle.treated), np.log(middle.unknown)),
        centre_sd=middle.sd,
        shifts=np.log(list(analyte.ratios)),
        slip_prior=settings.slips_per_1000_source_months / 1000,
        least_odds=settings.least_odds,
    )


def _suspects(analyte: AnalyteResults, slip: Slip) -> pl.DataFrame:
    """Return the places of the suspects; of a month that slipped as a whole the censored ones too."""
    places = pl.DataFrame({PLACE: analyte.place[slip.rows]})
    if slip.decided and slip.whole:
        kind = KINDS[slip.kind]
        too = analyte.censored.filter(
            pl.col(kind) == analyte.names[slip.kind][slip.source], pl.col(MONTH) == slip.month
        )
        places = pl.concat([places, too.select(PLACE)])
    return places.with_columns(slip_id=pl.lit(evidence.slip_id(analyte, slip)))
