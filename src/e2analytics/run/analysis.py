"""The order of the stages after the rows are in, once: frames in, frames out.

::

    taken_in -> seen -> linked -> responded -> exposed -> fitted -> flagged -> measured -> accounted
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

import polars as pl

from e2analytics.curve import fit as fitting
from e2analytics.curve import frozen_model, limit, rows, sensitivity
from e2analytics.curve.fit import Fitted
from e2analytics.curve.frozen_model import FrozenModel
from e2analytics.curve.rows import Measured
from e2analytics.exposure import densitometry, intervals
from e2analytics.exposure.dose_response import fit as dose_response
from e2analytics.exposure.dose_response import predict
from e2analytics.exposure.dose_response.fit import DoseResponseResult
from e2analytics.exposure.dose_response.tables import TABLES as DOSE_RESPONSE_TABLES
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import doses_in_interval, find_episodes, present_dose
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.flags import cohort as flag
from e2analytics.flags import context, evidence, gaps, lifecycle
from e2analytics.ingest import reconcile
from e2analytics.ingest.take_in import TakenIn
from e2analytics.measures import pending, rates
from e2analytics.measures.units import Known
from e2analytics.run import attrition
from e2analytics.run.timing import Step
from e2analytics.settings import Settings
from e2analytics.tables.limit_in_use import limit_in_use
from e2analytics.tables.registry import CANONICAL
from e2analytics.tables.snapshot import Snapshot, up_to

_PAIR: Final = ["patient_id", "site", "scan_id", "scan_id_2"]


class Linked(NamedTuple):
    """Who took what when, and what can be compared with what."""

    episodes: pl.DataFrame
    draws: pl.DataFrame
    pairs: pl.DataFrame
    waiting_draws: pl.DataFrame


class Exposed(NamedTuple):
    """The E2 of intervals, and along the doses held in them."""

    exposures: pl.DataFrame
    episodes: pl.DataFrame
    levels: pl.DataFrame


class Flagged(NamedTuple):
    """The tables about men on the drug, by name."""

    cohort: pl.DataFrame
    flags: pl.DataFrame
    flag_events: pl.DataFrame
    flag_evidence: pl.DataFrame
    gaps: pl.DataFrame
    context: pl.DataFrame
    projections: pl.DataFrame


def analyse(
    taken: TakenIn,
    before: Snapshot,
    settings: Settings,
    *,
    as_of: date,
    run_id: str,
    refit: bool,
    adopt: str | None,
    clock: Step,
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame, dict[str, int], str]:
    """Do all that comes after the rows are in; return the derived tables, losses, counts, model."""
    seen = clock(see)(taken, as_of)
    linked = clock(join)(seen, settings)
    model = None
    if not refit:
        curves = before.table("curve_summary")
        model = frozen_model.in_force(before.table("models"), curves, settings, as_of)
    responded = clock(respond_to_dose)(seen, linked, before, model, as_of)
    exposed = clock(measure_exposure)(seen, linked, responded, settings)
    if model is None:
        frames = (exposed.exposures, exposed.levels, responded.own_levels)
        model_id = frozen_model.name(frames, settings, as_of)
        measured = clock(measure_for_curves)(seen, linked, responded, exposed, settings)
        curve, summary, quantiles = clock(fit)(measured, settings, model_id)
        varied, prescribed = clock(vary)(measured, seen, linked, settings, model_id)
        how = frozen_model.settings_of_fit(settings)
        model = FrozenModel(model_id, responded.response, quantiles, how)
    else:
        curve, summary = before.table("curve"), before.table("curve_summary")
        varied, prescribed = before.table("curve_sensitivity"), before.table("prescribing")
    models = frozen_model.record(before.table("models"), model, as_of=as_of, run_id=run_id)
    limits = limit.adopt(
        before.table("limits"),
        summary,
        settings.fit,
        settings.flag,
        as_of=as_of,
        reason=adopt,
    )
    scanned = densitometry.classify(seen["dxa"], seen["patients"])
    flagged = clock(flag_men)(
        seen,
        linked,
        scanned,
        responded,
        exposed,
        before,
        limits,
        models,
        settings,
        as_of,
        model.model_id,
        run_id,
    )
    of_model = pl.lit(model.model_id).alias("model_id")
    measures = clock(count_measures)(seen, linked, scanned, before, as_of)
    losses = clock(account_for)(taken, seen, exposed, settings, run_id)
    derived = {
        "densitometry": scanned,
        "exposures": exposed.exposures,
        "exposure_episodes": exposed.episodes,
        "own_levels": responded.own_levels.with_columns(of_model),
        "dose_effects": responded.effects.with_columns(of_model),
        "e2_checks": responded.checks.with_columns(of_model),
        "levels": exposed.levels,
        "curve": curve,
        "curve_summary": summary,
        "curve_sensitivity": varied,
        "prescribing": prescribed,
        **flagged._asdict(),
        "limits": limits,
        "models": models,
        "measures": measures,
    }
    gone = flag.men_gone(linked.episodes, seen["events"], settings.flag, as_of)
    counts = {
        "men": len(seen["patients"]),
        "men_on_drug": len(flagged.cohort),
        "men_on_drug_died_or_left": gone,
        "men_flagged": int((flagged.flags["tier"] != "none").sum()),
    }
    return derived, losses, counts, model.model_id


def see(taken: TakenIn, as_of: date) -> dict[str, pl.DataFrame]:
    """Return the accepted rows of events on or before the as-of date, and what waits of them."""
    seen = up_to({table: taken.accepted(table) for table in CANONICAL}, as_of)
    men = seen["patients"] = reconcile.known_patients(taken.settled["patients"])
    seen["waiting"] = pending.waiting(taken.settled, men, as_of)
    seen["waiting_e2"] = pending.e2(taken.settled["labs"], men, as_of)
    return seen


def join(seen: Mapping[str, pl.DataFrame], settings: Settings) -> Linked:
    """Find the dosing episodes, the E2 draws under them and the scan pairs."""
    episodes = find_episodes(seen["medications"])
    return Linked(
        episodes,
        link_draws(seen["labs"], episodes, settings.flag),
        pair_scans(seen["dxa"], seen["patients"], seen["precision"], settings.link),
        link_draws(seen["waiting_e2"], episodes, settings.flag),
    )


def respond_to_dose(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    before: Snapshot,
    model: FrozenModel | None,
    as_of: date,
) -> DoseResponseResult:
    """Estimate the men's own E2: all men with a new model, those with new draws under a frozen one."""
    known = None
    if model:
        of_model = pl.col("model_id") == model.model_id
        kept = (
            before.table(name).filter(of_model).drop("model_id") for name in DOSE_RESPONSE_TABLES
        )
        known = DoseResponseResult(model.response, *kept)
    return dose_response.estimate(
        linked.draws,
        seen["patients"],
        seen["labs"],
        linked.episodes,
        as_of=as_of,
        before=known,
    )


def measure_exposure(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    responded: DoseResponseResult,
    settings: Settings,
) -> Exposed:
    """Estimate the E2 of every pair from the men's own."""
    doses = doses_in_interval(linked.pairs, linked.episodes)
    interval_e2 = predict.interval_exposure(responded.response, responded.own_levels, doses)
    exposures = intervals.exposures(
        linked.pairs,
        linked.draws,
        linked.episodes,
        interval_e2.pairs,
        seen["patients"],
        seen["labs"],
        settings.link,
    )
    levels = intervals.levels(seen["dxa"], seen["labs"], seen["patients"], settings.link)
    return Exposed(exposures, interval_e2.episodes, levels)


def measure_for_curves(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    responded: DoseResponseResult,
    exposed: Exposed,
    settings: Settings,
) -> Measured:
    """Add the pairs of the risk form: each scan with the next one at least a year later."""
    shortest = settings.link.shortest_years_of_risk
    of_risk = settings.link.model_copy(update={"shortest_years": shortest})
    pairs = pair_scans(seen["dxa"], seen["patients"], seen["precision"], of_risk).filter(
        pl.col("why_not").is_null()
    )
    # Most scans have the same next scan in both forms: what is known of these pairs stands.
    known = linked.pairs.select(_PAIR)
    others = linked._replace(pairs=pairs.join(known, on=_PAIR, how="anti", maintain_order="left"))
    added = measure_exposure(seen, others, responded, settings)
    long_enough = pl.col("years") >= shortest
    kept = exposed.exposures.filter(long_enough)
    of_kept = ["patient_id", "site", "first_scan_id"]
    return Measured(
        exposed.exposures,
        exposed.episodes,
        exposed.levels,
        pl.concat([kept, added.exposures]).sort("patient_id", "site", "first_on"),
        pl.concat([exposed.episodes.join(kept, on=of_kept, how="semi"), added.episodes]),
    )


def fit(measured: Measured, settings: Settings, model_id: str) -> Fitted:
    """Fit the curves of all sites."""
    return fitting.fit(measured, settings.fit, model_id=model_id)


def vary(
    measured: Measured,
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    settings: Settings,
    model_id: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fit the primary curve with other choices, and tell who is given the drug."""
    beside = sensitivity.Beside(linked.draws, seen["medications"])
    return (
        sensitivity.sensitivity(measured, beside, settings.fit, model_id=model_id),
        sensitivity.prescribing(measured, beside, settings.fit, model_id=model_id),
    )


def flag_men(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    scanned: pl.DataFrame,
    responded: DoseResponseResult,
    exposed: Exposed,
    before: Snapshot,
    limits: pl.DataFrame,
    models: pl.DataFrame,
    settings: Settings,
    as_of: date,
    model_id: str,
    run_id: str,
) -> Flagged:
    """Judge every man on the drug by the limit in use; tell what changed, what is missing, what would be."""
    present = present_dose(linked.episodes, as_of)
    men = predict.present_and_off_drug(responded.response, responded.own_levels, present)
    in_use = limit_in_use(limits, settings.flag, as_of=as_of)
    known = flag.Known(
        seen["patients"],
        seen["medications"],
        seen["labs"],
        seen["dxa"],
        scanned,
        seen["events"],
        linked.episodes,
        linked.draws,
        men,
        exposed.exposures,
    )
    quantiles = frozen_model.limit_uncertainty(models, in_use.model_id, in_use.site)
    was = lifecycle.Judged(before.table("cohort"), before.table("flags"))
    cohort = flag.cohort(
        known,
        in_use,
        quantiles,
        settings.flag,
        primary_site=settings.fit.primary_site,
        as_of=as_of,
        model_id=model_id,
        before=was.flags,
    )
    flags = lifecycle.flags(cohort, was.flags, as_of=as_of)
    now = lifecycle.Judged(cohort, flags)
    happened = lifecycle.events(was, now, as_of=as_of, run_id=run_id)
    on_anastrozole = cohort.filter(pl.col("e2_expected_pg_ml").is_not_null()).select("patient_id")
    projections = predict.projections(responded.response, responded.own_levels, on_anastrozole)
    ruled = evidence.Ruled(in_use, quantiles, settings.flag, predict.sd_of_draw(responded.response))
    return Flagged(
        cohort,
        flags,
        pl.concat([before.table("flag_events"), happened]),
        evidence.evidence(known, cohort, projections, ruled),
        gaps.gaps(known_of_care(seen, linked, scanned), cohort, flags, as_of),
        context.context(known, cohort),
        projections,
    )


def known_of_care(seen: Mapping[str, pl.DataFrame], linked: Linked, scanned: pl.DataFrame) -> Known:
    """Return what measures and gaps look at."""
    return Known(
        seen["patients"],
        seen["medications"],
        seen["labs"],
        seen["dxa"],
        seen["events"],
        linked.episodes,
        linked.draws,
        linked.pairs,
        scanned,
        seen["waiting"],
        linked.waiting_draws,
    )


def count_measures(
    seen: Mapping[str, pl.DataFrame],
    linked: Linked,
    scanned: pl.DataFrame,
    before: Snapshot,
    as_of: date,
) -> pl.DataFrame:
    """Count the quality measures of the months that have ended."""
    known = known_of_care(seen, linked, scanned)
    return rates.with_older(rates.measure(known, as_of), before.table("measures"))


def account_for(
    taken: TakenIn,
    seen: Mapping[str, pl.DataFrame],
    exposed: Exposed,
    settings: Settings,
    run_id: str,
) -> pl.DataFrame:
    """Say where rows, men and pairs of the primary site went."""
    site = settings.fit.primary_site
    of_primary = Measured(*exposed, exposed.exposures.clear(), exposed.episodes.clear())
    outcome = rows.first_outcome(of_primary, site)
    used = rows.complete(of_primary, site, outcome, settings.fit).rows
    pairs = exposed.exposures.filter(pl.col("site") == site)
    if outcome == rows.LEVEL:
        scans = seen["dxa"].filter(pl.col("site") == site)
        beside = exposed.levels.filter(pl.col("site") == site)
        men = attrition.patient_losses(
            seen["patients"], scans, beside, used, what="scan beside an E2"
        )
        pair_losses: list[attrition.Loss] = []
    else:
        men = attrition.patient_losses(
            seen["patients"], pairs, pairs.filter("usable"), used, what="scan pair"
        )
        pair_losses = attrition.pair_losses(pairs, used)
    chains = {
        "rows": (len(taken.lines), attrition.row_losses(taken.lines)),
        "patients": (len(seen["patients"]), men),
        "pairs": (len(pairs), pair_losses),
    }
    return attrition.table(run_id, chains)
