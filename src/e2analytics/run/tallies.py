"""Tallies: how many men, pairs, levels and draws come so far on their way to the models, and why others do not.

In    the men's rows, their exposures and levels
Out   tallies   grain unit, step, reason (``tables.sums``)

===========  ============  ====================================================================================
unit         step          reason
===========  ============  ====================================================================================
men          known         none
men          judged        none; on the drug
men          flagged       none
men          set_apart     why a man on the drug is not judged
men          with_*        none; a pair (scan) at the primary site
men          usable_*      none; a pair (level) that is usable
men          complete_*    covariates: men with a usable pair (level) in which all of these are known
pairs        unusable      ``why_not``
pairs        usable        covariates: those that are missing
levels       usable        the same
draws        unusable      why no model describes it
draws        confounded    why it does not show what an inhibitor does
draws        used          none
===========  ============  ====================================================================================

``*`` is ``pairs`` or ``levels``. Which of the two the primary curve has, and which covariates it uses, follows from
the tallies of all men: so there is one for each choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import combinations
from typing import Final, TypeAlias

import polars as pl

from e2analytics.curve import rows
from e2analytics.exposure.confounders import find_confounders, why_confounded
from e2analytics.exposure.draws import why_unusable
from e2analytics.flags import judged
from e2analytics.flags.cohort import men_on_drug
from e2analytics.run.attrition import Tallies
from e2analytics.run.frames import ExposureTables
from e2analytics.settings import FitSettings, Settings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.sums import SUMS, added_up
from e2analytics.tables.vocabulary import CURVE_COVARIATES

PAIRS: Final = "pairs"
LEVELS: Final = "levels"
WANTED: Final = {PAIRS: CURVE_COVARIATES, LEVELS: rows.LEVEL_COVARIATES}
"""By what the primary curve may be made of: the covariates that it should have."""
Tally: TypeAlias = tuple[str, str, str, int]


def tallies(
    data: PatientData,
    exposure: ExposureTables,
    cohort: pl.DataFrame,
    flags: pl.DataFrame,
    settings: Settings,
    as_of: date,
) -> pl.DataFrame:
    """Return the sum ``tallies`` of some men.

    Parameters
    ----------
    data, exposure, cohort, flags
        Of the men.
    settings
        Name the primary site, and say who is judged.
    as_of
        The day.
    """
    at_site = rows.at_site(settings.fit.primary_site)
    pairs, levels = exposure.exposures.filter(at_site), exposure.levels.filter(at_site)
    on_drug = men_on_drug(data.episodes, settings.flag, as_of)
    counted = [
        ("men", "known", "", _men(data.patients)),
        ("men", "judged", "", len(cohort)),
        ("men", "flagged", "", _men(flags.filter(pl.col("tier") != "none"))),
        *_by_reason("men", "set_apart", judged.set_apart(on_drug, data, as_of)["why"]),
        *_on_the_way(PAIRS, pairs, pairs.filter("usable")),
        *_by_reason(PAIRS, "unusable", pairs.filter(~pl.col("usable"))["why_not"]),
        *_on_the_way(LEVELS, data.dxa.filter(at_site), levels),
        *_of_draws(data, settings),
    ]
    return added_up("tallies", pl.DataFrame(counted, schema=SUMS["tallies"].schema, orient="row"))


def _men(of: pl.DataFrame) -> int:
    return of["patient_id"].n_unique()


def _by_reason(unit: str, step: str, reasons: pl.Series) -> Iterator[Tally]:
    for reason, n in reasons.value_counts().iter_rows():
        yield unit, step, reason, n


def _on_the_way(kind: str, found: pl.DataFrame, usable: pl.DataFrame) -> Iterator[Tally]:
    """Count the men with a pair or level, and the usable ones by the covariates that are missing or known."""
    wanted = WANTED[kind]
    yield "men", f"with_{kind}", "", _men(found)
    yield "men", f"usable_{kind}", "", _men(usable)
    for n in range(len(wanted) + 1):
        for used in combinations(wanted, n):
            yield "men", f"complete_{kind}", " ".join(used), _men(usable.drop_nulls(used))
    missing = pl.concat_str(
        (pl.when(pl.col(name).is_null()).then(pl.lit(name)) for name in wanted),
        separator=" ",
        ignore_nulls=True,
    )
    yield from _by_reason(kind, "usable", usable.select(missing).to_series())


def _of_draws(data: PatientData, settings: Settings) -> Iterator[Tally]:
    spells = find_confounders(data.patients, data.medications, settings.flag)
    unusable = data.draws.select(why_unusable()).to_series()
    confounded = why_confounded(data.draws, spells).filter(unusable.is_null())
    yield from _by_reason("draws", "unusable", unusable.drop_nulls())
    yield from _by_reason("draws", "confounded", confounded.drop_nulls())
    yield "draws", "used", "", confounded.null_count()


def primary_curve(tallied: Tallies, settings: FitSettings) -> tuple[str, tuple[str, ...]]:
    """Return what the primary curve is made of, ``PAIRS`` or ``LEVELS``, and its covariates.

    Parameters
    ----------
    tallied
        The tallies of all men.
    settings
        How many rows may lack a covariate.
    """
    n_pairs, n_levels = (tallied.total(kind, "unusable", "usable") for kind in WANTED)
    kind = LEVELS if rows.outcome_by(n_pairs, n_levels) == rows.LEVEL else PAIRS
    usable = tallied.by_reason(kind, "usable")
    n_missing = {
        name: sum(n for missing, n in usable.items() if name in missing.split())
        for name in WANTED[kind]
    }
    return kind, rows.covariates_by(n_missing, sum(usable.values()), settings)
