"""What differs between two reports, and why.

In    the tables of two published runs: those of this report, and those that it is compared with
Out   Comparison: how the two were made, which numbers differ, and for how many men what reason

For the clinic's own eyes: nothing is hidden.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.flags import rules as flag_rules
from e2analytics.flags.lifecycle import FlagState, events
from e2analytics.reference import measures as definitions
from e2analytics.report.content import flat
from e2analytics.report.formatting import NOTHING, STATUS_NAMES, TIER_NAMES, count, number
from e2analytics.report.sections.men import still_open
from e2analytics.tables.vocabulary import OPEN_TIERS

# A list of pseudonyms: its length is shown, its members are not.
_NAMES_PATIENTS: Final = "identities_settled"
_FATES: Final = ("accepted", "superseded", "withdrawn", "quarantined")
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that is not what it was; ``NOTHING`` where one of the two has none."""

    name: str
    there: str
    here: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why flags and statuses differ, and of how many men; a man may have several."""

    words: str
    n_men: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports compared; ``making`` are the differences in how they were made."""

    here: str
    there: str
    making: tuple[Difference, ...]
    data: tuple[str, ...]
    numbers: tuple[Difference, ...]
    reasons: tuple[Reason, ...]

    @property
    def same(self) -> bool:
        """Return whether nothing differs."""
        return not (self.making or self.data or self.numbers or self.reasons)


def compare(here: Tables, there: Tables) -> Comparison:
    """Compare the tables of two runs; ``runs`` holds one row each."""
    run, other = (tables["runs"].row(0, named=True) for tables in (here, there))
    return Comparison(
        here=f"{run['run_id']} as of {run['as_of']}",
        there=f"{other['run_id']} as of {other['as_of']}",
        making=_differing(dict(_making(run)), dict(_making(other))),
        data=tuple(_data(here["files"], there["files"])),
        numbers=_differing(dict(_numbers(here)), dict(_numbers(there))),
        reasons=_reasons(here, there),
    )


def _differing(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[Difference, ...]:
    names = dict.fromkeys([*here, *there])
    return tuple(
        Difference(name, there.get(name, NOTHING), here.get(name, NOTHING))
        for name in names
        if here.get(name) != there.get(name)
    )


def _making(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say by which software, model and settings a run was made."""
    yield "Software", f"e2analytics {run['package_version']}"
    yield "Model", run["model_id"]
    settings = json.loads(run["settings"])
    patients = settings.pop(_NAMES_PATIENTS, [])
    yield f"Setting {_NAMES_PATIENTS}", count(len(patients), "patient")
    for name, value in flat(settings):
        yield f"Setting {name}", value


def _data(here: pl.DataFrame, there: pl.DataFrame) -> Iterator[str]:
    """Say which files came, and what became of rows that both know."""
    new = here.join(there, on="source_file", how="anti")
    gone = there.join(here, on="source_file", how="anti")
    if len(new):
        yield f"New data: {count(len(new), 'file')} with {count(int(new['rows_read'].sum()), 'row')}."
    if len(gone):
        yield f"Data of {count(len(gone), 'file')} that this report does not have."
    both = here.join(there, on="source_file", suffix="_there")
    moved = {fate: int((both[fate] - both[f"{fate}_there"]).sum()) for fate in _FATES}
    said = [f"{n:+,} {fate}" for fate, n in moved.items() if n]
    if said:
        yield f"Corrected data: of the rows that both know, {', '.join(said)}."


def _numbers(tables: Tables) -> Iterator[tuple[str, str]]:
    """Name the numbers of a report."""
    cohort, flags = tables["cohort"], still_open(tables["flags"])
    yield "Men known", f"{tables['patients'].height:,}"
    yield "Men on an aromatase inhibitor", f"{cohort.height:,}"
    statuses = Counter(cohort["status"])
    for status, words in STATUS_NAMES.items():
        yield f"Men {words}", f"{statuses[status]:,}"
    tiers = Counter(flags["tier"])
    for tier in OPEN_TIERS:
        yield f"Open flags, {TIER_NAMES[tier].lower()}", f"{tiers[tier]:,}"
    for row in tables["curve_summary"].sort("site", "outcome").iter_rows(named=True):
        name = f"Curve {row['site']}, {row['outcome']}"
        yield f"{name}: verdict", row["verdict"] or "not fitted"
        yield f"{name}: lower limit, pg/mL", number(row["lower_limit_pg_ml"])
    limits = tables["limits"].sort("adopted_on")
    yield "Limit in use, pg/mL", number(limits["lower_limit_pg_ml"].last() if len(limits) else None)  # type: ignore[arg-type]
    yield from _measures(tables["measures"])


def _measures(table: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Name the measures of all clinics, month by month: an earlier month may have been counted anew."""
    named = definitions.load().measures
    # Older months may have been counted by a measure that is no more.
    defined = pl.col("measure").is_in(list(named))
    rows = table.filter(pl.col("clinic_id").is_null(), defined).sort("month", "measure")
    for row in rows.iter_rows(named=True):
        counted = row["not_measured"] is None
        said = f"{row['numerator']:,} of {row['denominator']:,}" if counted else "not measured"
        yield f"{named[row['measure']].id} {named[row['measure']].name}, {row['month']}", said


def _reasons(here: Tables, there: Tables) -> tuple[Reason, ...]:
    """Count the men whose flag or status differs, by which of their inputs differs."""
    run = here["runs"].row(0, named=True)
    was, now = (FlagState(tables["cohort"], tables["flags"]) for tables in (there, here))
    changed = events(was, now, as_of=run["as_of"], run_id=run["run_id"])
    by_man = changed.select("patient_id", pl.col("why").str.split("; ")).explode("why").unique()
    counted = Counter(by_man["why"])
    words = flag_rules.load().changes
    return tuple(Reason(words[name], counted[name]) for name in words if counted[name])
