"""The order of the stages, once. Pure: frames in, frames out; ``store`` keeps them, ``flows`` time them.

::

    sources -> taken_in -> seen -> linked -> exposed -> fitted -> flagged -> accounted -> Outputs
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple, ParamSpec, Protocol, TypeVar

import polars as pl

from e2analytics.contracts import TABLES, columns_of, schema_of
from e2analytics.feeds.drop import Sources, empty_rows
from e2analytics.models.shrinkage import Shrinkage
from e2analytics.settings import Settings
from e2analytics.stages import account, expose, flag, limit, link, settle, validate
from e2analytics.stages import fit as fitting
from e2analytics.stages.fit import Fitted
from e2analytics.stages.limit import LimitInUse
from e2analytics.stages.normalise import normalise

CANONICAL: Final = ("patients", "labs", "dxa", "medications", "events", "precision")
DERIVED: Final = (
    "exposures",
    "levels",
    "curve",
    "curve_summary",
    "cohort",
    "flags",
    "limits",
    "models",
)
_EVENT_DATE: Final = {
    "labs": "collected_on",
    "dxa": "scanned_on",
    "medications": "started_on",
    "events": "occurred_on",
}
_ASIDE_COLUMNS: Final = {
    "apart": pl.String,
    "reject": pl.String,
    "fate": pl.String,
    "why": pl.String,
}

P = ParamSpec("P")
R = TypeVar("R")


class Step(Protocol):
    """Wraps a stage: Prefect's task in a flow, nothing at all in a notebook."""

    def __call__(self, stage: Callable[P, R], /) -> Callable[P, R]:
        """Return the stage, wrapped."""
        ...


def as_is(stage: Callable[P, R], /) -> Callable[P, R]:
    """Wrap nothing."""
    return stage


@dataclass(frozen=True)
class Snapshot:
    """The tables of a published run; empty before the first.

    ``aside`` holds the rows of the canonical tables that were not accepted: versions that gave way,
    rows that wait for their supplier or their patient, rows that are none of ours.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    aside: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def table(self, name: str) -> pl.DataFrame:
        """Return a table; an empty one with its columns if there is none yet."""
        return self.tables[name] if name in self.tables else empty_table(name)

    def rows(self, target: str) -> pl.DataFrame:
        """Return every row ever read of a canonical table, accepted or not, without its fate."""
        accepted = self.table(target).with_columns(
            pl.lit(None, dtype=pl.String).alias(name) for name in ("apart", "reject")
        )
        aside = self.aside[target] if target in self.aside else empty_aside(target)
        return pl.concat([accepted, aside.drop("fate", "why")], how="diagonal")


@dataclass(frozen=True)
class Outputs:
    """Everything that a run made.

    Attributes
    ----------
    tables
        By name, as in ``interfaces``: the full state after the run, not only what is new.
    aside
        By canonical table: its rows that were not accepted, with ``fate`` and ``why``.
    outcome
        ``complete``, or ``incomplete`` if a file was refused.
    counts, timings
        For the manifest: rows by fate, men, flags; seconds by stage.
    """

    tables: Mapping[str, pl.DataFrame]
    aside: Mapping[str, pl.DataFrame]
    outcome: str
    model_id: str
    counts: Mapping[str, int]
    timings: Mapping[str, float]


class TakenIn(NamedTuple):
    """Every row with its fate, the quarantine and the ledger."""

    settled: Mapping[str, pl.DataFrame]
    quarantine: pl.DataFrame
    files: pl.DataFrame
    lines: pl.DataFrame

    def accepted(self, target: str) -> pl.DataFrame:
        """Return the current rows of a canonical table."""
        rows = self.settled[target].filter(pl.col("fate") == "accepted")
        return rows.select(columns_of(target))

    def aside(self, target: str) -> pl.DataFrame:
        """Return the rows of a canonical table that were not accepted."""
        return self.settled[target].filter(pl.col("fate") != "accepted")


class Linked(NamedTuple):
    """Who took what when, and what can be compared with what."""

    episodes: pl.DataFrame
    draws: pl.DataFrame
    pairs: pl.DataFrame


class Exposed(NamedTuple):
    """The E2 of intervals and of men."""

    exposures: pl.DataFrame
    levels: pl.DataFrame
    men: pl.DataFrame
    shared: Shrinkage | None


def run(
    sources: Sources,
    settings: Settings,
    *,
    as_of: date,
    before: Snapshot | None = None,
    run_id: str = "run-000001",
    part: str = "all",
    refit: bool = False,
    adopt: str | None = None,
    step: Step = as_is,
    today: date | None = None,
) -> Outputs:
    """Run every stage on ``sources``, on top of what was known before.

    Parameters
    ----------
    sources
        What a drop brought.
    settings
        All that a clinic may choose.
    as_of
        The day on which everything is judged; later events are kept and not seen.
    before
        The published state that the sources add to.
    run_id
        Name of this run.
    part
        ``ingest`` stops after the rows are taken in; anything else does the rest too.
    refit
        Fit anew, though a model of this month is there.
    adopt
        Reason for which the fitted limit is taken into use.
    step
        Wraps every stage.
    today
        The day on which the sources are read; what lies after it and after ``as_of`` cannot be.

    Raises
    ------
    ContractError
        If a table does not keep its contract: a defect of e2analytics.
    TooLittleDataError
        If ``adopt`` finds no limit that may be taken into use.
    """
    before = before or Snapshot()
    clock = _Clock(step)
    taken = clock(take_in)(sources, before, settings, max(as_of, today or date.today()), run_id)
    if part == "ingest":
        derived = {name: before.table(name) for name in DERIVED}
        attrition = account.attrition(
            run_id, {"rows": (len(taken.lines), account.rows_chain(taken.lines))}
        )
        counts = _counts_of_rows(taken, sources)
        model_id = before.table("models").sort("fitted_as_of")["model_id"].last() or "none"
    else:
        derived, attrition, counts, model_id = _analyse(
            taken,
            before,
            settings,
            as_of=as_of,
            run_id=run_id,
            refit=refit,
            adopt=adopt,
            clock=clock,
        )
        counts = _counts_of_rows(taken, sources) | counts
    tables = {
        **{target: taken.accepted(target) for target in CANONICAL},
        "files": taken.files,
        "quarantine": taken.quarantine,
        "attrition": attrition,
        **derived,
    }
    return Outputs(
        tables={
            name: validate.check(frame, TABLES[name], table=name, stage="run")
            for name, frame in tables.items()
        },
        aside={target: taken.aside(target) for target in CANONICAL},
        outcome="incomplete" if any(file.refused for file in sources.files) else "complete",
        model_id=str(model_id),
        counts=counts,
        timings=clock.seconds,
    )


def _analyse(
    taken: TakenIn,
    before: Snapshot,
    settings: Settings,
    *,
    as_of: date,
    run_id: str,
    refit: bool,
    adopt: str | None,
    clock: _Clock,
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame, dict[str, int], str]:
    """Do all that comes after the rows are in; return the derived tables, losses, counts, model."""
    seen = clock(see)(taken, as_of)
    linked = clock(join)(seen, settings)
    frozen = None if refit else model_in_force(before.table("models"), as_of)
    exposed = clock(measure_exposure)(seen, linked, settings, frozen)
    model_id = frozen["model_id"] if frozen else _name_of_model(exposed, settings, as_of)
    fitted = _fitted_before(before, frozen) if frozen else clock(fit)(exposed, settings, model_id)
    models = _with_model(before.table("models"), exposed, fitted, model_id, as_of, run_id)
    limits = limit.adopt(
        before.table("limits"),
        fitted.summary,
        settings.fit,
        settings.flag,
        as_of=as_of,
        reason=adopt,
    )
    cohort, flags = clock(flag_men)(
        seen, linked, exposed, before, limits, models, settings, as_of, model_id
    )
    attrition = clock(account_for)(taken, seen, exposed, settings, run_id)
    derived = {
        "exposures": exposed.exposures,
        "levels": exposed.levels,
        "curve": fitted.curve,
        "curve_summary": fitted.summary,
        "cohort": cohort,
        "flags": flags,
        "limits": limits,
        "models": models,
    }
    gone = flag.men_gone(linked.episodes, seen["events"], settings.flag, as_of)
    counts = {
        "men": len(seen["patients"]),
        "men_on_drug": len(cohort),
        "men_on_drug_died_or_left": gone,
        "men_flagged": int((flags["tier"] != "none").sum()),
    }
    return derived, attrition, counts, model_id


class _Clock:
    """Wraps each stage and notes how long it took."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: Callable[P, R]) -> Callable[P, R]:
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            result = self._step(stage)(*args, **kwargs)
            self.seconds[stage.__name__] = round(time.perf_counter() - started, 3)
            return result

        return timed


def take_in(
    sources: Sources, before: Snapshot, settings: Settings, read_on: date, run_id: str
) -> TakenIn:
    """Normalise and judge what is new, then give every row ever read its fate."""
    judged = {}
    for target in CANONICAL:
        text = sources.rows[target] if target in sources.rows else empty_rows(target)
        new = normalise(target, text, timezone=settings.timezone)
        new = validate.judge(target, new, today=read_on)
        judged[target] = pl.concat([before.rows(target), new], how="diagonal")
    standing = settle.standings(judged["patients"])
    settled = {target: settle.settle(target, rows, standing) for target, rows in judged.items()}
    lines = account.lines(settled)
    files = account.ledger(_ledger(before.table("files"), sources, run_id), lines)
    feeds = files.select("source_file", "feed")
    quarantine = pl.concat(
        [
            *(settle.quarantine(target, rows, feeds) for target, rows in settled.items()),
            settle.refused(files),
        ]
    ).sort("source_file", "source_line", "rule")
    return TakenIn(settled, quarantine, files, lines)


def _ledger(before: pl.DataFrame, sources: Sources, run_id: str) -> pl.DataFrame:
    new = pl.DataFrame(
        [
            {
                "source_file": file.source_file,
                "sha256": file.sha256,
                "feed": file.feed,
                "target": file.target,
                "source_order": file.source_order,
                "run_id": run_id,
                "refused": file.refused.rule if file.refused else None,
                "rows_read": file.rows_read,
            }
            for file in sources.files
        ],
        schema={name: dtype for name, dtype in before.schema.items() if name not in settle.FATES},
    )
    # A file refused before may be read now, because its feed description was mended.
    kept = before.join(new, on="source_file", how="anti")
    return pl.concat([kept, new], how="diagonal").sort("source_order")


def see(taken: TakenIn, as_of: date) -> dict[str, pl.DataFrame]:
    """Return the accepted rows of events on or before the as-of date."""
    day = pl.lit(as_of)
    seen = {target: taken.accepted(target) for target in CANONICAL}
    for target, event_date in _EVENT_DATE.items():
        seen[target] = seen[target].filter(pl.col(event_date) <= day)
    # An end that lies ahead has not happened.
    stopped = pl.when(pl.col("stopped_on") <= day).then("stopped_on")
    seen["medications"] = seen["medications"].with_columns(stopped_on=stopped)
    return seen


def join(seen: Mapping[str, pl.DataFrame], settings: Settings) -> Linked:
    """Find the dosing episodes, the E2 draws under them and the scan pairs."""
    episodes = link.episodes(seen["medications"])
    return Linked(
        episodes,
        link.draws(seen["labs"], episodes, settings.flag),
        link.pairs(seen["dxa"], seen["precision"], settings.link),
    )


def measure_exposure(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    settings: Settings,
    frozen: Mapping[str, Any] | None,
) -> Exposed:
    """Estimate the men's own E2 and with it the exposure of every pair."""
    known = json.loads(frozen["parameters"])["dose_response"] if frozen else None
    shared = Shrinkage(**known) if known else None
    response = expose.respond(linked.draws, shared)
    exposures = expose.exposures(
        linked.pairs,
        linked.draws,
        linked.episodes,
        response.men,
        seen["patients"],
        seen["labs"],
        settings.link,
    )
    levels = expose.levels(seen["dxa"], seen["labs"], seen["patients"], settings.link)
    return Exposed(exposures, levels, response.men, response.shared)


def fit(exposed: Exposed, settings: Settings, model_id: str) -> Fitted:
    """Fit the curves of all sites."""
    return fitting.fit(exposed.exposures, exposed.levels, settings.fit, model_id=model_id)


def model_in_force(models: pl.DataFrame, as_of: date) -> dict[str, Any] | None:
    """Return the newest model fitted in the month of ``as_of``, up to that day; None: fit one."""
    fitted = pl.col("fitted_as_of")
    this_month = models.filter((fitted >= as_of.replace(day=1)) & (fitted <= as_of))
    return this_month.sort("fitted_as_of").row(-1, named=True) if len(this_month) else None


def _fitted_before(before: Snapshot, model: Mapping[str, Any]) -> Fitted:
    quantiles = json.loads(model["parameters"])["limit_quantiles_pg_ml"]
    return Fitted(before.table("curve"), before.table("curve_summary"), tuple(quantiles))


def _name_of_model(exposed: Exposed, settings: Settings, as_of: date) -> str:
    """Name a model by its month and by what it was fitted to: the same inputs, the same name."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    for frame in (exposed.exposures, exposed.levels, exposed.men):
        digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return f"{as_of:%Y-%m-%d}-{digest.hexdigest()[:8]}"


def _with_model(
    models: pl.DataFrame,
    exposed: Exposed,
    fitted: Fitted,
    model_id: str,
    as_of: date,
    run_id: str,
) -> pl.DataFrame:
    if model_id in models["model_id"]:
        return models
    parameters = {
        "dose_response": asdict(exposed.shared) if exposed.shared else None,
        "limit_quantiles_pg_ml": list(fitted.limit_quantiles_pg_ml),
    }
    row = {
        "model_id": model_id,
        "fitted_as_of": as_of,
        "run_id": run_id,
        "parameters": json.dumps(parameters, sort_keys=True),
    }
    return pl.concat([models, pl.DataFrame([row], schema=models.schema)])


def flag_men(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    exposed: Exposed,
    before: Snapshot,
    limits: pl.DataFrame,
    models: pl.DataFrame,
    settings: Settings,
    as_of: date,
    model_id: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judge every man on the drug by the limit in use, and tell which flags are new."""
    now = link.at_present_dose(linked.draws, linked.episodes, as_of)
    men = expose.respond(now, exposed.shared).men if exposed.shared else exposed.men
    limit_in_use = limit.in_use(limits, settings.flag, as_of=as_of)
    known = flag.Known(
        seen["patients"],
        linked.episodes,
        linked.draws,
        men,
        exposed.exposures,
        seen["dxa"],
        seen["events"],
    )
    cohort = flag.cohort(
        known,
        limit_in_use,
        _uncertainty(limit_in_use, models),
        settings.flag,
        primary_site=settings.fit.primary_site,
        as_of=as_of,
        model_id=model_id,
    )
    return cohort, flag.flags(cohort, before.table("flags"), as_of=as_of)


def _uncertainty(limit_in_use: LimitInUse, models: pl.DataFrame) -> list[float]:
    source = models.filter(pl.col("model_id").eq_missing(pl.lit(limit_in_use.model_id)))
    if source.is_empty():
        return []
    quantiles: list[float] = json.loads(source["parameters"][0])["limit_quantiles_pg_ml"]
    return quantiles


def account_for(
    taken: TakenIn,
    seen: Mapping[str, pl.DataFrame],
    exposed: Exposed,
    settings: Settings,
    run_id: str,
) -> pl.DataFrame:
    """Say where rows, men and pairs of the primary site went."""
    site = settings.fit.primary_site
    used = fitting.complete_rows(exposed.exposures, exposed.levels, site, settings.fit).rows
    pairs = exposed.exposures.filter(pl.col("site") == site)
    if fitting.outcome_of(exposed.exposures, exposed.levels, site) == fitting.LEVEL:
        scans = seen["dxa"].filter(pl.col("site") == site)
        beside = exposed.levels.filter(pl.col("site") == site)
        men = account.patients_chain(
            seen["patients"], scans, beside, used, what="scan beside an E2"
        )
        pair_losses: list[account.Loss] = []
    else:
        men = account.patients_chain(
            seen["patients"], pairs, pairs.filter("usable"), used, what="scan pair"
        )
        pair_losses = account.pairs_chain(pairs, used)
    chains = {
        "rows": (len(taken.lines), account.rows_chain(taken.lines)),
        "patients": (len(seen["patients"]), men),
        "pairs": (len(pairs), pair_losses),
    }
    return account.attrition(run_id, chains)


def _counts_of_rows(taken: TakenIn, sources: Sources) -> dict[str, int]:
    return {
        "rows_read": int(taken.files["rows_read"].sum()),
        **{fate: int(taken.files[fate].sum()) for fate in settle.FATES},
        "rows_read_now": sum(file.rows_read for file in sources.files),
        "files_read_now": sum(file.refused is None for file in sources.files),
        "files_refused_now": sum(file.refused is not None for file in sources.files),
        "files_known": len(sources.known),
        "files_unmatched": len(sources.unmatched),
    }


def empty_table(name: str) -> pl.DataFrame:
    """Return a table without rows."""
    return pl.DataFrame(schema=schema_of(name))


def empty_aside(target: str) -> pl.DataFrame:
    """Return no rows of a canonical table's other fates."""
    return pl.DataFrame(schema={**schema_of(target), **_ASIDE_COLUMNS})
