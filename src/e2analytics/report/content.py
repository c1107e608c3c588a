"""The Report object: every number and sentence of the monthly report, ready to be set on a page.

In    the tables of one published run, by name (``e2analytics.tables.registry``), and the month
Out   Report, frozen; the same tables give the same report

Renderers (HTML now) read it and do no arithmetic. This is the inside version: it lists men by
pseudonym and suppresses nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.errors import ConfigurationError, ContractError, TooLittleDataError
from e2analytics.flags import judged
from e2analytics.report.formatting import NOTHING, month_name
from e2analytics.report.sections import (
    changes,
    curves,
    de_escalations,
    dose_response,
    flag_context,
    header,
    headlines,
    ingest,
    measures,
    men,
    quality,
)
from e2analytics.report.sections import methods as prose
from e2analytics.report.sections.methods import Rules
from e2analytics.tables.months import last_day

MOST_IN_FULL: Final = 500
"""Our own rule: of more men the report of all clinics lists each in a line, and their clinics' what flags rest on."""


@dataclass(frozen=True, slots=True)
class Report:
    """One month, all sections; of all clinics, or of one.

    Attributes
    ----------
    clinic
        The clinic whose report it is; None for all together.
    in_full
        Whether men are listed with what their flags rest on; else the reports of their clinics do that.
    quality, intake
        None in a clinic's report: files and rows carry no clinic, and those of other clinics are
        not shown to it.
    """

    header: header.Header
    clinic: str | None
    headlines: tuple[headlines.Headline, ...]
    changes: changes.Changes
    measures: measures.Measures
    quality: quality.Quality | None
    ingest: ingest.Intake | None
    dose_response: dose_response.DoseResponse
    curves: curves.Curves
    counts: men.Counts
    flagged: men.Flagged
    in_full: bool
    gaps: tuple[flag_context.Gap, ...]
    grounds: tuple[flag_context.GroundsOfMan, ...]
    not_assessable: men.NotAssessable
    de_escalations: de_escalations.DeEscalations
    methods: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


# Long by what it is given and by its list of sections: the table of contents of the report.
def build(
    tables: Mapping[str, pl.DataFrame],
    *,
    month: str,
    clinic: str | None = None,
    restated: pl.DataFrame | None = None,
    corrected: Collection[str] | None = None,
    before: Mapping[str, pl.DataFrame] | None = None,
) -> Report:
    """Compute the report of one month.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame
        ``runs``, ``files``, ``attrition``, ``quarantine``, ``dose_effects``, ``e2_checks``, ``exposures``,
        ``quality``, ``unit_slips``, ``scanner_shifts``, ``curve``, ``curve_summary``, ``curve_sensitivity``, ``prescribing``,
        ``cohort``, ``flags``, ``flag_events``, ``flag_evidence``, ``gaps``, ``context``, ``de_escalations``, ``projections``,
        ``limits``, ``models``, ``measures``, ``patients`` and ``precision``, as the run published them; ``runs`` and
        ``attrition`` may hold other runs too.
    month : str
        ``YYYY-MM``. The report is of the first run published with the month's last day as its
        as-of date.
    clinic : str, optional
        Whose report it is; by default that of all clinics together.
    restated : polars.DataFrame, optional
        How the month before is counted now, of :func:`e2analytics.measures.restatement.between`; None if it has no run.
    corrected : collection of str, optional
        Of whom its rows were corrected, of :func:`e2analytics.measures.restatement.corrected_men`; None if it has no run.
    before : mapping of str to polars.DataFrame, optional
        ``curve`` and ``curve_summary`` of the month before; None if it has no run.

    Returns
    -------
    Report

    Raises
    ------
    ConfigurationError
        If ``month`` is not a month, or the clinic is unknown.
    TooLittleDataError
        If no run was published for the month's last day.
    ContractError
        If ``cohort`` or ``flags`` are of another day than the run.
    """
    run = _run_of(tables["runs"], _last_day(month))
    _same_day(tables, run["as_of"])
    settings, manifest = json.loads(run["settings"]), json.loads(run["counts"])
    rules = Rules.of(settings)
    intake = _intake(tables, run, manifest)
    here = _of_clinic(tables, clinic)
    counts = _counts(here, manifest, clinic)
    in_full = _in_full(here)
    context = _flag_context(here) if in_full else {}
    flagged = men.flagged(here["flags"], month=month, context=context)
    shape = _curves(here, rules, run["as_of"], before)
    unlike = measures.without_precision(tables["patients"], tables["precision"])
    care = _care(here, rules, unlike, month, clinic)
    return Report(
        header=header.describe(run, here, intake, month),
        clinic=clinic,
        headlines=_headlines(counts, flagged, care, shape, intake, month, clinic),
        changes=changes.describe(
            here["flags"],
            here["flag_events"],
            restated,
            as_of=run["as_of"],
            clinic=clinic,
            corrected=corrected,
        ),
        measures=care,
        quality=_quality(here, month) if clinic is None else None,
        ingest=intake if clinic is None else None,
        dose_response=dose_response.describe(here["dose_effects"], here["e2_checks"]),
        curves=shape,
        counts=counts,
        flagged=flagged,
        in_full=in_full,
        gaps=flag_context.missing(here["gaps"], [man.patient_id for man in _listed(flagged)]),
        grounds=_grounds(here, flagged) if in_full else (),
        not_assessable=men.not_assessable(here["cohort"]),
        de_escalations=de_escalations.describe(
            here["de_escalations"], as_of=run["as_of"], in_full=in_full
        ),
        methods=prose.methods(rules),
        settings=tuple(flat(settings)),
    )


def _intake(
    tables: Mapping[str, pl.DataFrame], run: Mapping[str, Any], manifest: Mapping[str, int]
) -> ingest.Intake:
    return ingest.describe(
        tables["files"],
        tables["attrition"],
        tables["quarantine"],
        run_id=run["run_id"],
        n_unmatched=manifest.get("files_unmatched", 0),
    )


def _counts(
    tables: Mapping[str, pl.DataFrame], manifest: Mapping[str, int], clinic: str | None
) -> men.Counts:
    """Count the men of the cohort, and, of all clinics together, those on the drug who are not in it."""
    of_all = clinic is None
    return men.tally(
        tables["cohort"],
        tables["patients"],
        n_died_or_left=manifest.get("men_on_drug_died_or_left", 0) if of_all else 0,
        not_judged=_not_judged(manifest) if of_all else {},
    )


def _care(
    tables: Mapping[str, pl.DataFrame],
    rules: Rules,
    unlike: Mapping[str, Collection[str]],
    month: str,
    clinic: str | None,
) -> measures.Measures:
    return measures.describe(
        tables["measures"],
        month=month,
        clinic=clinic,
        rebased=rules.measures.rebased,
        unlike=unlike,
    )


def _headlines(
    counts: men.Counts,
    flagged: men.Flagged,
    care: measures.Measures,
    shape: curves.Curves,
    intake: ingest.Intake,
    month: str,
    clinic: str | None,
) -> tuple[headlines.Headline, ...]:
    data = headlines.data_of_all(intake) if clinic is None else headlines.data_of_clinic(care)
    return headlines.five(counts, flagged, care, shape, data, month_name=month_name(month))


def _quality(tables: Mapping[str, pl.DataFrame], month: str) -> quality.Quality:
    return quality.describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month=month
    )


def _listed(flagged: men.Flagged) -> tuple[men.FlaggedMan, ...]:
    return (*flagged.pressing, *flagged.watch)


def _grounds(
    tables: Mapping[str, pl.DataFrame], flagged: men.Flagged
) -> tuple[flag_context.GroundsOfMan, ...]:
    """Return what the flags of critical men rest on."""
    critical = [man.patient_id for man in _listed(flagged) if man.tier == "critical"]
    return flag_context.grounds(tables["flag_evidence"], critical)


def _curves(
    tables: Mapping[str, pl.DataFrame],
    rules: Rules,
    as_of: date,
    before: Mapping[str, pl.DataFrame] | None,
) -> curves.Curves:
    return curves.describe(
        {**tables, "limits": tables["limits"].filter(pl.col("adopted_on") <= as_of)},
        primary_site=rules.fit.primary_site,
        rules=rules.flag,
        before=before,
    )


def _not_judged(manifest: Mapping[str, int]) -> dict[str, int]:
    """Return how many men on the drug are not judged, by reason, other than those who died or left."""
    return {
        why: manifest.get(f"men_on_drug_{why}", 0) for why in judged.WHY if why != "died_or_left"
    }


def _in_full(tables: Mapping[str, pl.DataFrame]) -> bool:
    """Return whether men are listed with what their flags rest on: if they are few, or of one clinic."""
    n_flagged = len(men.still_open(tables["flags"]))
    return n_flagged <= MOST_IN_FULL or tables["cohort"]["clinic_id"].n_unique() <= 1


def _flag_context(tables: Mapping[str, pl.DataFrame]) -> Mapping[str, flag_context.FlagContext]:
    """Return the context of every man with an open flag."""
    flagged = men.still_open(tables["flags"])
    return flag_context.of_men(
        *(
            tables[name].join(flagged, on="patient_id", how="semi", maintain_order="left")
            for name in ("gaps", "context", "projections")
        )
    )


def _of_clinic(
    tables: Mapping[str, pl.DataFrame], clinic: str | None
) -> Mapping[str, pl.DataFrame]:
    """Keep the men of a clinic; what all clinics share, such as the curve, stays."""
    if clinic is None:
        return tables
    here = pl.col("clinic_id") == clinic
    of_men = ("patients", "cohort", "flags", "flag_events", "gaps", "context", "de_escalations")
    kept = {name: tables[name].filter(here) for name in of_men}
    if kept["patients"].is_empty():
        raise ConfigurationError(f"report: no patient is of a clinic {clinic!r}.")
    return {**tables, **kept}


def _last_day(month: str) -> date:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise ConfigurationError("report: the month must be written YYYY-MM, for example 2026-09.")
    return last_day(month)


def _run_of(runs: pl.DataFrame, as_of: date) -> dict[str, Any]:
    published = runs.filter(pl.col("as_of") == as_of).sort("finished_at", "run_id")
    if published.is_empty():
        raise TooLittleDataError(
            f"report: no run was published with as-of {as_of.isoformat()}. "
            f"Run `e2analytics run --as-of {as_of.isoformat()}` first."
        )
    return published.row(0, named=True)


def _same_day(tables: Mapping[str, pl.DataFrame], as_of: date) -> None:
    # A resolved flag keeps the day on which the man was last in the cohort.
    frames = {"cohort": tables["cohort"], "flags": men.still_open(tables["flags"])}
    for name, frame in frames.items():
        others = int((frame["as_of"] != as_of).sum())
        if others:
            raise ContractError("report", name, {"as_of is the run's": others})


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Name each setting by its path: ``curve.site``."""
    for name, value in sorted(settings.items()):
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", NOTHING if value is None else str(value)
