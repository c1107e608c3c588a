"""The results of one analyte as arrays: what the search for unit mix-ups reads.

In    candidate rows of labs, the feed of each file, the clinic of each man
Out   :class:`AnalyteResults`: codes in place of texts, and the names behind the codes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics import reference
from e2analytics.ingest.unit_errors.sources import KINDS, MONTH, months_of, named_by, with_sources
from e2analytics.models.unit_errors.arrays import UNKNOWN, Codes, Flags, Results
from e2analytics.reference.names import ESTRADIOL
from e2analytics.settings import SlipDecision, SlipSettings
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.months import month_of

PLACE: Final = "place_"
"""Name of a column: the place of a row among all rows of labs."""


class AnalyteResults(NamedTuple):
    """One analyte's results, their places among all rows, and the names behind the codes of sources.

    Censored results give no evidence: ``censored`` keeps them with the names of their sources.
    ``ratios`` are the factors that a mix-up can have, each with the unit declared and the real one.
    """

    name: str
    place: Codes
    results: Results
    names: tuple[list[str], ...]
    censored: pl.DataFrame
    ratios: dict[float, tuple[str, str]]


def read(
    labs: pl.LazyFrame,
    analyte: str,
    feeds: pl.DataFrame,
    clinics: pl.DataFrame,
    settings: SlipSettings,
) -> AnalyteResults:
    """Return the results of an analyte among candidate rows that have their place in ``PLACE``."""
    releases = [
        each for each in settings.decisions if each.action == "release" and each.analyte == analyte
    ]
    exact = (pl.col("value_low") == pl.col("value_high")).fill_null(False) & (
        pl.col("value_low") > 0
    )
    read = (
        labs.filter(exact)
        .select(
            PLACE,
            "patient_id",
            "performing_lab",
            "source_file",
            month_of(pl.col("collected_on")).alias(MONTH),
            log_value=pl.col("value_low").log(),
            # Whether a man is on testosterone yet is unknown.
            treated=pl.col("on_drug").cast(pl.Int8).fill_null(UNKNOWN)
            if analyte == ESTRADIOL
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
    censored = (
        with_sources(labs.filter(~exact), feeds, clinics)
        .filter(~pl.any_horizontal(pl.lit(False), *map(named_by, releases)))
        .select(PLACE, MONTH, *KINDS)
        .collect()
    )
    results = Results(
        log_value=read["log_value"].to_numpy(),
        man=man,
        month=month,
        treated=read["treated"].to_numpy(),
        sources=sources,
        released=_released(releases, month, sources, names),
    )
    return AnalyteResults(
        analyte, read[PLACE].to_numpy(), results, names, censored, _ratios(analyte)
    )


def _released(
    releases: Sequence[SlipDecision],
    month: Codes,
    sources: tuple[Codes, ...],
    names: tuple[list[str], ...],
) -> Flags:
    """Return which results a decision of the clinic has released."""
    released = np.zeros(len(month), dtype=bool)
    for decision in releases:
        kind = KINDS.index(decision.source_kind)
        if decision.source in names[kind]:
            here = sources[kind] == names[kind].index(decision.source)
            always = decision.months == "all"
            released |= here & (always | np.isin(month, months_of(decision)))
    return released


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
    """Return the value of each name in a table, as categories."""
    values = table.select(key, value).unique(key, keep="first")
    asked = pl.DataFrame({key: names}, schema={key: pl.String})
    return to_categories(asked.join(values, on=key, how="left", maintain_order="left"))[value]


def _of_each(code: Codes, value_of_code: Codes) -> Codes:
    """Return the value of each code; code -1 has none."""
    return np.append(value_of_code, np.int32(-1))[code]


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
