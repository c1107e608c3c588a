"""Recount: why the measures of the month before are not what was published then.

In    the tables of this month's run and of the run of the month before
Out   grain clinic_id, measure: its counts as published, by today's rules, with the rows of then as they are
      now, and now

What changes from one to the next is due to a changed rule, to corrected data, to new data. No measure rests on
a model, so that a new model changes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.exposure import densitometry
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.measures import pending, rates
from e2analytics.measures.units import Known
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.registry import CANONICAL, key_of
from e2analytics.tables.snapshot import up_to

STEPS: Final = ("published", "ruled", "corrected", "now")
_GRAIN: Final = ["clinic_id", "measure"]
_COUNTS: Final = ("numerator", "denominator")
WAITING: Final = {name: f"waiting_{name}" for name in pending.TABLES}
"""By canonical table the name of its rows that wait in quarantine: they count as well."""
_SAID: Final = {
    "patients": ["birth_date", "height_cm"],
    "labs": ["analyte", "collected_on", "value_low", "value_high", "assay"],
    "dxa": ["scanned_on", "scanner_id", "bmd_g_cm2"],
    "medications": ["drug", "started_on", "weekly_dose_mg"],
}
"""What a flag is judged on, of what a row said once and for all: a weight, or the end of an order, may follow."""

Tables = Mapping[str, pl.DataFrame]


def between(now: Tables, before: Tables) -> pl.DataFrame:
    """Count the month of the run before in four ways.

    Parameters
    ----------
    now, before
        Tables as published, and what waited then (``WAITING``); ``runs`` holds the run's own row alone.

    Returns
    -------
    DataFrame
        ``clinic_id``, ``measure`` and of each step of ``STEPS`` its numerator and denominator.
    """
    run, run_before = (tables["runs"].row(0, named=True) for tables in (now, before))
    as_of: date = run_before["as_of"]
    month = f"{as_of:%Y-%m}"
    published, today = (
        tables["measures"].filter(pl.col("month") == month) for tables in (before, now)
    )
    settings = json.loads(run["settings"])
    ruled = published
    if _rules(run) != _rules(run_before):
        ruled = _counted(before, settings, as_of)
    corrected = _counted(_known_then(now, before), settings, as_of)
    steps = dict(zip(STEPS, (published, ruled, corrected, today), strict=True))
    found = today.select(_GRAIN)
    for step, counts in steps.items():
        named = counts.select(*_GRAIN, *(pl.col(name).alias(f"{step}_{name}") for name in _COUNTS))
        found = found.join(named, on=_GRAIN, how="left", nulls_equal=True, maintain_order="left")
    return found


def corrected_men(now: Tables, before: Tables) -> frozenset[str]:
    """Return the men of whom a row that had come then says otherwise now, is gone, or no longer waits.

    Parameters
    ----------
    now, before
        As for :func:`between`.
    """
    return frozenset(
        man
        for name, said in _SAID.items()
        for rows in _corrected(name, said, now, before)
        for man in rows["patient_id"]
    )


def _corrected(name: str, said: list[str], now: Tables, before: Tables) -> Iterator[pl.DataFrame]:
    key = key_of(name)
    whole = list(dict.fromkeys([*key, "patient_id", *said]))
    yield before[name].join(now[name], on=whole, how="anti", nulls_equal=True)
    if name in WAITING:
        waited = before[WAITING[name]].drop_nulls("patient_id")
        yield waited.join(now[name], on=key, how="semi", nulls_equal=True)


def _known_then(now: Tables, before: Tables) -> dict[str, pl.DataFrame]:
    """Return the rows of now whose keys had come then, whatever became of them."""
    rows = {}
    for name in CANONICAL:
        key = key_of(name)
        names = [name, *([WAITING[name]] if name in WAITING else [])]
        had_come = pl.concat(before[each].select(key) for each in names)
        for each in names:
            rows[each] = now[each].join(had_come, on=key, how="semi", nulls_equal=True)
    return rows


def _rules(run: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a measure may change with though no row does."""
    settings = json.loads(run["settings"])
    own = {name: settings.get(name) for name in ("link", "flag")}
    return run["package_version"], json.dumps(own, sort_keys=True)


def _counted(tables: Tables, settings: Mapping[str, Any], as_of: date) -> pl.DataFrame:
    """Count the month that ended on a day."""
    seen = up_to({name: tables[name] for name in CANONICAL}, as_of)
    episodes = find_episodes(seen["medications"])
    waits = {name: tables[at] for name, at in WAITING.items()}
    waiting_e2 = pending.e2(waits["labs"], seen["patients"], as_of)
    flag_settings = FlagSettings(**settings.get("flag", {}))
    link_settings = LinkSettings(**settings.get("link", {}))
    known = Known(
        seen["patients"],
        seen["medications"],
        seen["labs"],
        seen["dxa"],
        seen["events"],
        episodes,
        link_draws(seen["labs"], episodes, flag_settings),
        pair_scans(seen["dxa"], seen["patients"], seen["precision"], link_settings),
        densitometry.classify(seen["dxa"], seen["patients"]),
        pending.waiting(waits, seen["patients"], as_of),
        link_draws(waiting_e2, episodes, flag_settings),
    )
    return rates.measure(known, as_of, n_months=1)
