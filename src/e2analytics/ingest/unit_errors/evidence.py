"""Evidence of unit mix-ups: one line for each suspicion, and for each conversion that was decided.

Out   evidence  grain source_kind, source, analyte, month: how strong, which factor, what was done and
                the lines of configuration that would release or convert the results
"""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import polars as pl

from e2analytics.ingest.unit_errors.analyte_results import AnalyteResults
from e2analytics.ingest.unit_errors.sources import (
    KINDS,
    MONTH,
    conversions,
    mark,
    named_by,
    texts_with,
    with_sources,
)
from e2analytics.models.unit_errors.arrays import Slip
from e2analytics.settings import SlipSettings
from e2analytics.tables.months import year_month

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


def slip_id(analyte: AnalyteResults, slip: Slip) -> str:
    """Name a suspicion by source, analyte, month and factor."""
    kind = KINDS[slip.kind]
    source = analyte.names[slip.kind][slip.source]
    factor = list(analyte.ratios)[slip.shift]
    return f"{kind}/{source}/{analyte.name}/{_month_name(slip.month)}/x{factor:.4g}"


def line(analyte: AnalyteResults, slip: Slip, n_suspects: int) -> tuple[object, ...]:
    """Return the line of a suspicion, in the order of ``EVIDENCE_SCHEMA``."""
    kind = KINDS[slip.kind]
    source = analyte.names[slip.kind][slip.source]
    factor, pair = list(analyte.ratios.items())[slip.shift]
    done = "quarantined" if n_suspects else "released"
    action = done if slip.decided else NOT_ENOUGH
    lines = {
        "source_kind": kind,
        "source": source,
        "analyte": analyte.name,
        "months": WITHOUT_MONTH if slip.month < 0 else [_month_name(slip.month)],
    }
    convert = None
    # Only some of the results: a conversion of all would make the right ones wrong.
    if slip.whole or not slip.decided:
        convert = _toml({**lines, "action": "convert", "declared": pair[0], "really": pair[1]})
    return (
        slip_id(analyte, slip),
        kind,
        source,
        analyte.name,
        _month_name(slip.month),
        factor,
        _direction(factor, pair),
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


def of_conversions(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """List the conversions: one line for each decision and month."""
    lines = [pl.DataFrame(schema=EVIDENCE_SCHEMA)]
    for decision in conversions(settings):
        converted = pl.col("imputed").is_in(texts_with(mark(decision), labs["imputed"]))
        rows = with_sources(labs.lazy().filter(converted), feeds, clinics)
        months = rows.filter(named_by(decision)).group_by(MONTH).len().sort(MONTH)
        # What was declared was wrong by the inverse of what made it right.
        factor = 1 / decision.factor
        pair = (str(decision.declared), str(decision.really))
        same_for_all_months = {
            "source_kind": decision.source_kind,
            "source": decision.source,
            "analyte": decision.analyte,
            "factor": factor,
            "direction": _direction(factor, pair),
            "n_suspects": 0,
            "compared_with": "a line of the configuration",
            "action": "converted",
        }
        lines.extend(
            pl.DataFrame(
                [{**same_for_all_months, "month": _month_name(month), "n_results": n}],
                schema=EVIDENCE_SCHEMA,
            )
            for month, n in months.collect().iter_rows()
        )
    named = pl.format("{}/{}/{}/{}/converted", "source_kind", "source", "analyte", "month")
    return pl.concat(lines).with_columns(slip_id=named)


def _direction(factor: float, pair: tuple[str, str]) -> str:
    by = f"{factor:.4g} times too high" if factor > 1 else f"{1 / factor:.4g} times too low"
    mix_up = f"{by}: looks like {pair[1]} declared as {pair[0]}"
    decimal = np.isclose(abs(np.log10(factor)), 1)
    return f"{mix_up}, or a decimal point in the wrong place" if decimal else mix_up


def _toml(decision: dict[str, object]) -> str:
    # A JSON string or list of strings is one of TOML too.
    body = "\n".join(f"{name} = {json.dumps(value)}" for name, value in decision.items())
    return f"[[slips.decisions]]\n{body}"


def _month_name(month: int) -> str:
    return WITHOUT_MONTH if month < 0 else year_month(month)
