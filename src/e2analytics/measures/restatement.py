"""Restatement: why last month's measures differ from those that were published then.

In    the tables of this month's run and of the run of the month before
Out   grain clinic_id, measure: counts as published, by today's rules, with prior rows as corrected, and now

From each count to the next, the difference is due to changed rules or another model, to corrected data, to new data.
All counts but the published one are under the model of this month's run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.measures import pending, rates, units
from e2analytics.measures.clinic_rows import clinic_sums, clinics
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import CANONICAL, key_of

STEPS: Final = ("published", "ruled", "corrected", "now")
_GRAIN: Final = ["clinic_id", "measure"]
_COUNTS: Final = ("numerator", "denominator")
PENDING: Final = {name: f"pending_{name}" for name in pending.TABLES}
"""By canonical table the name of its rows in quarantine: measures use them as well."""
_LASTING: Final = {
    "patients": ["birth_date", "height_cm"],
    "labs": ["analyte", "collected_on", "value_low", "value_high", "assay"],
    "dxa": ["scanned_on", "scanner_id", "bmd_g_cm2"],
    "medications": ["drug", "started_on", "weekly_dose_mg"],
}
"""Columns that flags depend on and that do not change later; a weight, or the end of an order, may."""

Tables = Mapping[str, pl.DataFrame]
Link = Callable[[AsOfRows, Clinics, LinkSettings, FlagSettings], PatientData]
"""Links draws, doses and scans, as measures count them, under the model of the run that is reported."""


def between(now: Tables, before: Tables, link: Link) -> pl.DataFrame:
    """Count the month of the run before in the four ways of ``STEPS``.

    Parameters
    ----------
    now, before
        Tables as published, and the rows in quarantine (``PENDING``); ``runs`` holds the run's own row only.
    link
        How draws, doses and scans are linked.

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
        ruled = _counted(before, settings, as_of, link)
    corrected = _counted(_rows_of_then(now, before), settings, as_of, link)
    steps = dict(zip(STEPS, (published, ruled, corrected, today), strict=True))
    found = today.select(_GRAIN)
    for step, counts in steps.items():
        named = counts.select(*_GRAIN, *(pl.col(name).alias(f"{step}_{name}") for name in _COUNTS))
        found = found.join(named, on=_GRAIN, how="left", nulls_equal=True, maintain_order="left")
    return found


def corrected_men(now: Tables, before: Tables) -> frozenset[str]:
    """Return the men with a row of then that was corrected, was removed or left quarantine since.

    Parameters
    ----------
    now, before
        As for :func:`between`.
    """
    return frozenset(
        man
        for name, lasting in _LASTING.items()
        for rows in _corrected(name, lasting, now, before)
        for man in rows["patient_id"]
    )


def _corrected(
    name: str, lasting: list[str], now: Tables, before: Tables
) -> Iterator[pl.DataFrame]:
    key = key_of(name)
    whole = list(dict.fromkeys([*key, "patient_id", *lasting]))
    yield before[name].join(now[name], on=whole, how="anti", nulls_equal=True)
    if name in PENDING:
        pending_then = before[PENDING[name]].drop_nulls("patient_id")
        yield pending_then.join(now[name], on=key, how="semi", nulls_equal=True)


def _rows_of_then(now: Tables, before: Tables) -> dict[str, pl.DataFrame]:
    """Return today's rows whose keys had come then: prior rows, corrected."""
    rows = {}
    for name in CANONICAL:
        key = key_of(name)
        names = [name, *([PENDING[name]] if name in PENDING else [])]
        had_come = pl.concat(before[each].select(key) for each in names)
        for each in names:
            rows[each] = now[each].join(had_come, on=key, how="semi", nulls_equal=True)
    return rows


def _rules(run: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what a measure depends on besides rows: the version, its settings and the model."""
    settings = json.loads(run["settings"])
    own = {name: settings.get(name) for name in ("link", "flag")}
    return run["package_version"], json.dumps(own, sort_keys=True), run["model_id"]


def _counted(tables: Tables, settings: Mapping[str, Any], as_of: date, link: Link) -> pl.DataFrame:
    """Count the month that ended on a day."""
    accepted = {name: tables[name] for name in CANONICAL}
    in_quarantine = {name: tables[at] for name, at in PENDING.items()}
    rows = pending.as_of_rows(accepted, tables["patients"], in_quarantine, as_of)
    link_settings = LinkSettings(**settings.get("link", {}))
    flag_settings = FlagSettings(**settings.get("flag", {}))
    of_clinics = clinic_sums(rows)
    data = link(rows, clinics(of_clinics, as_of), link_settings, flag_settings)
    ends = rates.month_ends(as_of, 1)
    counted = rates.unit_counts(units.care_units(data, ends).units, data.patients, ends)
    return rates.measures(counted, of_clinics["clinic_rows"], as_of, n_months=1)
