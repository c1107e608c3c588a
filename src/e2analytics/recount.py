"""Recount: why the measures of the month before are not what was published then.

In    the tables of this month's run and of the run of the month before
Out   grain clinic_id, measure: its counts as published, by today's rules, with the rows of then as they are
      now, and now

What changes from one to the next is due to a changed rule, to corrected data, to new data. No measure rests on
a model, so that a new model changes none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.stages import densitometry, link, measure, waiting
from e2analytics.stages.opportunities import Known
from e2analytics.state import up_to

STEPS: Final = ("published", "ruled", "corrected", "now")
_GRAIN: Final = ["clinic_id", "measure"]
_COUNTS: Final = ("numerator", "denominator")
_KEYS: Final = {
    "patients": ["namespace", "patient_id"],
    "labs": ["namespace", "result_id"],
    "dxa": ["namespace", "scan_id", "site"],
    "medications": ["namespace", "order_id"],
    "events": ["namespace", "event_id"],
    "precision": ["namespace", "clinic_id", "scanner_id", "site"],
}
WAITING: Final = {name: f"waiting_{name}" for name in waiting.TARGETS}
"""By canonical table the name of its rows that wait in quarantine: they count as well."""

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


def _known_then(now: Tables, before: Tables) -> dict[str, pl.DataFrame]:
    """Return the rows of now whose keys had come then, whatever became of them."""
    rows = {}
    for name, key in _KEYS.items():
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
    seen = up_to({name: tables[name] for name in _KEYS}, as_of)
    episodes = link.episodes(seen["medications"])
    waits = {name: tables[at] for name, at in WAITING.items()}
    waiting_e2 = waiting.e2(waits["labs"], seen["patients"], as_of)
    flag_settings = FlagSettings(**settings.get("flag", {}))
    link_settings = LinkSettings(**settings.get("link", {}))
    known = Known(
        seen["patients"],
        seen["medications"],
        seen["labs"],
        seen["dxa"],
        seen["events"],
        episodes,
        link.draws(seen["labs"], episodes, flag_settings),
        link.pairs(seen["dxa"], seen["patients"], seen["precision"], link_settings),
        densitometry.classify(seen["dxa"], seen["patients"]),
        waiting.waiting(waits, seen["patients"], as_of),
        link.draws(waiting_e2, episodes, flag_settings),
    )
    return measure.measure(known, as_of, n_months=1)
