"""Respond: what E2 every man really has, off the drug and at any dose, and how sure that is.

In    E2 draws with their dose (``link``), patients, laboratory results, episodes
Out   own_levels   grain patient_id: his own level and response under the model of the month
      dose_effects grain dose: how far a dose lowers the average man's E2
      e2_checks    grain by, name: whether the draws of an assay, clinic, laboratory or dose fit it

The model of the month is fitted once. In the nights between, only men whose draws have changed are
looked at again, at fixed parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.exposure import body_mass_index
from e2analytics.models import random_intercept
from e2analytics.models.dose_response import draw_check, predict
from e2analytics.models.dose_response.fit import CONSTANT, MIN_MEN, PRIORS, DoseResponse, Prior
from e2analytics.models.dose_response.fit import fit as fit_dose_response
from e2analytics.models.dose_response.predict import Own, Predicted
from e2analytics.models.dose_response.random_effects import Draws
from e2analytics.models.normal import Z95
from e2analytics.models.proportion import wilson
from e2analytics.models.random_intercept import Usual
from e2analytics.reference import constants
from e2analytics.reference.names import ANASTROZOLE, TESTOSTERONE
from e2analytics.tables.registry import schema_of

TABLES: Final = ("own_levels", "dose_effects", "e2_checks")
"""What is kept of a model of a month, in the order of ``Responded``."""
COVARIATES: Final = (
    CONSTANT,
    "log_testosterone",
    "bmi_kg_m2",
    "age_years",
    "ever_on_drug",
)
COVARIATE_PRIORS: Final[Mapping[str, Prior]] = {
    "log_testosterone": Prior(
        0.0, 1.0, "most male E2 is aromatised testosterone; proportional would be 1"
    ),
    "bmi_kg_m2": Prior(0.0, 0.1, "fat aromatises; 0.1 would be e-fold in 10 kg/m2"),
    "age_years": Prior(0.0, 0.05, "hardly a prior: keeps a column without variation from 0/0"),
    "ever_on_drug": Prior(0.0, 0.5, "men who are given the drug had a higher E2 to begin with"),
}
PROJECTED_MG_PER_WEEK: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 7.0)
_ASSUMED_MG_PER_WEEK = 1.0
_CHECKED: Final = {
    "assay": "assay",
    "clinic": "clinic_id",
    "laboratory": "performing_lab",
    "dose": "dose_band",
}
_LEAST_DRAWS_TO_JUDGE = 30
_TOLERATED_OUTSIDE = 0.10
_TOLERATED_SHIFT_SD = 0.5
_DOSE_BANDS: Final = {
    "off the drug": 0.0,
    "up to 0.5 mg a week": 0.5,
    "0.5 to 1 mg a week": 1.0,
    "1 to 2 mg a week": 2.0,
    "above 2 mg a week": np.inf,
}
_OF_A_MAN: Final = ("log_testosterone", "bmi_kg_m2", "age_years", "ever_on_drug")
_PARTS: Final = ("level", "response")
_SHIFTING: Final = (*COVARIATES, "logit_emax", "log_ed50", "log_ia_slope", "ia_constant_pg_ml")


@dataclass(frozen=True)
class Context:
    """What stands beside the model of a month.

    Attributes
    ----------
    testosterone
        How log testosterone (ng/dL) differs between men and swings within one.
    bmi_kg_m2, age_years
        Means over men: what stands where a man's is not known.
    aged_on
        Day on which ages are counted.
    assumed_mg_per_week
        Stands for a dose that is not known: the man's own response then holds what it really was.
    """

    testosterone: Usual
    bmi_kg_m2: float
    age_years: float
    aged_on: date
    assumed_mg_per_week: float


@dataclass(frozen=True)
class MonthResponse:
    """The dose response of a month, with all that is needed to score new draws by it."""

    model: DoseResponse
    context: Context


class Responded(NamedTuple):
    """The response of a month (None: too few men), every man's own level, what doses do, how draws fit."""

    response: MonthResponse | None
    own_levels: pl.DataFrame
    effects: pl.DataFrame
    checks: pl.DataFrame


class Along(NamedTuple):
    """Log E2 of men over what they held: of each episode, and the time-weighted mean of each pair."""

    episodes: pl.DataFrame
    pairs: pl.DataFrame


def respond(
    draws: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    episodes: pl.DataFrame,
    *,
    as_of: date,
    before: Responded | None = None,
) -> Responded:
    """Return every man's own level, by the response of the month or by one fitted now.

    Parameters
    ----------
    draws
        E2 draws with their drug state. Those in transition, under another aromatase inhibitor, of a day
        that the feed made up, or that say nothing, are left out.
    patients, labs, episodes
        What the level depends on: body mass index, age, testosterone, whether he ever had the drug.
    as_of
        The day.
    before
        What came out under the model of the month: a man whose draws are the same keeps his row. None, or
        without a response: one is fitted, if 30 men have a draw.
    """
    used = _used(draws)
    if before is None or before.response is None:
        if used["patient_id"].n_unique() < MIN_MEN:
            return Responded(None, *(_empty(name) for name in TABLES))
        beside = _beside(used, patients, labs, episodes, as_of)
        context = _context(beside, as_of)
        known = _completed(beside, context)
        response = MonthResponse(_fitted(known), context)
        scored = _scored(known, response)
        return Responded(response, scored.men, _effects(known, response), _checks(scored.draws))
    context = before.response.context
    known = _completed(_beside(used, patients, labs, episodes, context.aged_on), context)
    same = before.own_levels.join(known, on=["patient_id", "draws_digest"], how="semi")
    changed = known.join(same, on="patient_id", how="anti", maintain_order="left")
    men = _scored(changed, before.response).men
    return before._replace(own_levels=pl.concat([same, men]).sort("patient_id"))


def now_and_off(
    response: MonthResponse | None, own_levels: pl.DataFrame, present: pl.DataFrame
) -> pl.DataFrame:
    """Return log E2 at the present dose (``on``) and off the drug, jointly, of men on the drug.

    Parameters
    ----------
    response, own_levels
        As ``respond`` gave them.
    present
        ``link.present_dose``: patient_id, present_mg_per_week (null if not known).
    """
    men = own_levels.join(present, on="patient_id")
    if response is None or men.is_empty():
        names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
        return men.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in names)
    dose = men["present_mg_per_week"].fill_null(response.context.assumed_mg_per_week).to_numpy()
    predicted = _predicted(response, men, np.column_stack([dose, np.zeros_like(dose)]))
    return men.with_columns(
        on_mean=predicted.mean[:, 0],
        off_mean=predicted.mean[:, 1],
        on_sd=predicted.sd[:, 0],
        off_sd=predicted.sd[:, 1],
        covariance=predicted.covariance[:, 0, 1],
    )


def sd_of_draw(response: MonthResponse | None) -> float | None:
    """Return the scatter (log scale) of one draw by mass spectrometry around a man's own level."""
    return response.model.common.assays.sd_ms if response else None


def projections(
    response: MonthResponse | None, own_levels: pl.DataFrame, of_men: pl.DataFrame
) -> pl.DataFrame:
    """Return what E2 would be at common doses, of the men named: information, never an order."""
    men = own_levels.join(of_men, on="patient_id", how="semi").sort("patient_id")
    if response is None or men.is_empty():
        return _empty("projections")
    doses = np.array(PROJECTED_MG_PER_WEEK)
    predicted = _predicted(response, men, np.tile(doses, (len(men), 1)))
    mean, spread = predicted.mean.ravel(), Z95 * predicted.sd.ravel()
    return pl.DataFrame(
        {
            "patient_id": men["patient_id"].gather(np.repeat(np.arange(len(men)), len(doses))),
            "weekly_anastrozole_mg": np.tile(doses, len(men)),
            "e2_pg_ml": np.exp(mean),
            "e2_ci_low_pg_ml": np.exp(mean - spread),
            "e2_ci_high_pg_ml": np.exp(mean + spread),
        }
    )


def along(response: MonthResponse | None, own_levels: pl.DataFrame, held: pl.DataFrame) -> Along:
    """Return log E2 along what men held between two scans.

    Parameters
    ----------
    response, own_levels
        As ``respond`` gave them.
    held
        ``link.held``: pair, patient_id, weekly_dose_mg (0 off the drug, null unknown) and ``share`` of
        the days.
    """
    known = held.join(own_levels.select("patient_id"), on="patient_id", how="semi").sort(
        "pair", "weekly_dose_mg"
    )
    if response is None or known.is_empty():
        nothing = pl.lit(None, dtype=pl.Float64)
        return Along(
            _empty("exposure_episodes"),
            held.select("pair").unique().with_columns(log_e2=nothing, log_e2_sd=nothing),
        )
    row = (known["pair"].rank("dense").cast(pl.Int64) - 1).to_numpy()
    column = known.select(pl.int_range(pl.len()).over("pair")).to_series().to_numpy()
    dose, share = np.zeros((2, row[-1] + 1, column.max() + 1))
    dose[row, column] = (
        known["weekly_dose_mg"].fill_null(response.context.assumed_mg_per_week).to_numpy()
    )
    share[row, column] = known["share"].to_numpy()
    pairs = known.unique("pair", keep="first", maintain_order=True).select("pair", "patient_id")
    men = pairs.join(own_levels, on="patient_id", how="left", maintain_order="left")
    predicted = _predicted(response, men, dose)
    variance = np.einsum("nk,nkl,nl->n", share, predicted.covariance, share)
    return Along(
        known.select(
            "patient_id",
            "site",
            first_scan_id="scan_id",
            weekly_anastrozole_mg="weekly_dose_mg",
            share="share",
            log_e2_mean=pl.Series(predicted.mean[row, column]),
            log_e2_sd=pl.Series(predicted.sd[row, column]),
        ),
        pairs.select("pair").with_columns(
            log_e2=np.einsum("nk,nk->n", share, predicted.mean), log_e2_sd=np.sqrt(variance)
        ),
    )


def _empty(table: str) -> pl.DataFrame:
    return pl.DataFrame(schema=schema_of(table)).drop("model_id", strict=False)


def _used(draws: pl.DataFrame) -> pl.DataFrame:
    """Return the draws that the model is about, in one order: sums are the same to the last digit."""
    return draws.filter(
        ~pl.col("in_transition")
        & ~pl.col("on_other")
        & ~pl.col("imputed").str.contains("collected_at", literal=True)
        # Between nothing and anything, or nothing at all: it says nothing.
        & ((pl.col("value_low") > 0) | (pl.col("value_high") > 0))
    ).sort("patient_id", "collected_at", "result_id", "source_order", "source_line")


def _beside(
    used: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    episodes: pl.DataFrame,
    aged_on: date,
) -> pl.DataFrame:
    """Return the draws with what is known of the man beside them; null where it is not."""
    # In one order, so that sums are the same to the last digit.
    testosterone = (
        labs.filter(
            (pl.col("analyte") == TESTOSTERONE)
            & (pl.col("value_low") == pl.col("value_high"))
            & (pl.col("value_low") > 0)
        )
        .select("patient_id", "collected_on", same_day=pl.col("value_low").log())
        .sort(pl.all())
    )
    same_day = testosterone.group_by("patient_id", "collected_on", maintain_order=True).agg(
        pl.col("same_day").mean()
    )
    of_man = same_day.group_by("patient_id", maintain_order=True).agg(
        t_mean=pl.col("same_day").mean(),
        t_count=pl.len().cast(pl.Float64),
        t_squares=pl.col("same_day").var(ddof=0) * pl.len(),
    )
    age = (pl.lit(aged_on) - pl.col("birth_date")).dt.total_days() / constants.DAYS_PER_YEAR
    about = patients.join(body_mass_index.last_measured(labs), on="patient_id", how="left").select(
        "patient_id",
        "clinic_id",
        bmi_kg_m2=pl.coalesce("measured_bmi", body_mass_index.from_height_and_weight()),
        age_years=age,
    )
    ever = episodes.filter(pl.col("drug") == ANASTROZOLE).select("patient_id").unique()
    together = used
    for more, on in (
        (same_day, ["patient_id", "collected_on"]),
        (of_man, ["patient_id"]),
        (about, ["patient_id"]),
        (ever.with_columns(ever_on_drug=pl.lit(1.0)), ["patient_id"]),
    ):
        together = together.join(more, on=on, how="left", validate="m:1", maintain_order="left")
    return together.with_columns(
        pl.col("ever_on_drug", "t_mean", "t_count", "t_squares").fill_null(0.0),
        dose_mg_per_week=pl.when("on_drug").then("weekly_anastrozole_mg").otherwise(0.0),
    )


def _context(beside: pl.DataFrame, aged_on: date) -> Context:
    """Learn what stands where a man's own value is not known."""
    men = beside.unique("patient_id", keep="first", maintain_order=True)
    doses = beside.filter(pl.col("dose_mg_per_week") > 0)["dose_mg_per_week"]
    means = men.select(pl.col("bmi_kg_m2", "age_years").mean().fill_null(0.0)).row(0, named=True)
    return Context(
        random_intercept.fit(
            *(men[name].to_numpy() for name in ("t_mean", "t_count", "t_squares"))
        ),
        means["bmi_kg_m2"],
        means["age_years"],
        aged_on,
        float(doses.median() or _ASSUMED_MG_PER_WEEK),  # type: ignore[arg-type]
    )


def _completed(beside: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Fill what is not known, and name each man's draws by a digest: the same draws, the same name."""
    usual_t, variance = context.testosterone.of(
        beside["t_mean"].to_numpy(), beside["t_count"].to_numpy()
    )
    filled = beside.with_columns(
        pl.col("bmi_kg_m2").fill_null(context.bmi_kg_m2),
        pl.col("age_years").fill_null(context.age_years),
        pl.col("dose_mg_per_week").fill_null(context.assumed_mg_per_week),
        log_testosterone=pl.Series(usual_t),
        log_testosterone_variance=pl.Series(variance),
    ).with_columns(same_day=pl.coalesce("same_day", "log_testosterone"))
    reading = pl.struct(
        pl.int_range(pl.len()).over("patient_id"),
        "value_low",
        "value_high",
        "assay",
        "dose_mg_per_week",
        "same_day",
        *_OF_A_MAN,
    ).hash(seed=0)
    return filled.with_columns(
        draws_digest=reading.bitwise_xor().over("patient_id").cast(pl.String)
    )


def _fitted(known: pl.DataFrame) -> DoseResponse:
    """Fit what men have in common without the draws that, by a first rough fit, fit nothing else of their man.

    Draws of an unknown assay count as immunoassay, but where there are known ones they must not say
    how immunoassay differs: many of them are mass spectrometry.
    """
    of_known_assay = known.filter(pl.col("assay") != "unknown")
    enough = (of_known_assay["assay"] == "ia").sum() >= MIN_MEN
    taken = of_known_assay if enough and _n_men(of_known_assay) >= MIN_MEN else known
    priors = {**PRIORS, **COVARIATE_PRIORS}
    first = fit_dose_response(_arrays(taken), COVARIATES, priors=priors, roughly=True)
    kept = _fitting(taken, first)
    return fit_dose_response(_arrays(kept), COVARIATES, priors=priors, start=first)


def _n_men(known: pl.DataFrame) -> int:
    return known["patient_id"].n_unique()


def _arrays(known: pl.DataFrame) -> Draws:
    columns = {
        CONSTANT: np.ones(len(known)),
        **{name: known[name].to_numpy() for name in COVARIATES if name != CONSTANT},
    }
    return Draws(
        man=(known["patient_id"].rank("dense").cast(pl.Int64) - 1).to_numpy(),
        low_pg_ml=known["value_low"].to_numpy(),
        high_pg_ml=known["value_high"].fill_null(np.inf).to_numpy(),
        ms=(known["assay"] == "ms").to_numpy(),
        dose_mg_per_week=known["dose_mg_per_week"].to_numpy(),
        # On its own day testosterone counts as measured then.
        covariates=np.column_stack(
            list({**columns, "log_testosterone": known["same_day"].to_numpy()}.values())
        ),
        n_men=_n_men(known),
    )


def _fitting(known: pl.DataFrame, model: DoseResponse) -> pl.DataFrame:
    """Leave out draws that fit neither the man's others nor what men have in common."""
    return known.filter(pl.Series(draw_check.fitting(model, _arrays(known))))


def _own(known: pl.DataFrame, model: DoseResponse) -> tuple[Own, Draws]:
    draws = _arrays(known)
    return predict.own(model, draws), draws


class _Scored(NamedTuple):
    men: pl.DataFrame
    draws: pl.DataFrame


def _scored(known: pl.DataFrame, response: MonthResponse) -> _Scored:
    """Return every man's own level, and every draw with how far it lies from the expected."""
    if known.is_empty():
        return _Scored(_empty("own_levels"), known)
    kept = _fitting(known, response.model)
    own, draws = _own(kept, response.model)
    on, ms = pl.col("on_drug"), pl.col("assay") == "ms"
    counted = known.group_by("patient_id", maintain_order=True).agg(
        pl.col("draws_digest", *_OF_A_MAN, "log_testosterone_variance").first(),
        n_draws=pl.len().cast(pl.Int64),
        n_on=on.sum().cast(pl.Int64),
        n_ms=ms.sum().cast(pl.Int64),
        n_ms_on=(ms & on).sum().cast(pl.Int64),
    )
    n_kept = kept.group_by("patient_id", maintain_order=True).agg(n_kept=pl.len().cast(pl.Int64))
    posterior = {
        "level_mean": own.mean[:, 0],
        "response_mean": own.mean[:, 1],
        "level_variance": own.covariance[:, 0, 0],
        "level_response_covariance": own.covariance[:, 0, 1],
        "response_variance": own.covariance[:, 1, 1],
        **{
            f"{part}_by_{name}": own.carried[:, i, j]
            for i, part in enumerate(_PARTS)
            for j, name in enumerate(_SHIFTING)
        },
    }
    men = counted.with_columns(
        n_outliers=pl.col("n_draws") - n_kept["n_kept"],
        **{name: pl.Series(values) for name, values in posterior.items()},
    ).select(_empty("own_levels").columns)
    z = draw_check.z_scores(response.model, own, draws)
    return _Scored(men, kept.with_columns(z=pl.Series(z)))


def _predicted(
    response: MonthResponse, men: pl.DataFrame, dose_mg_per_week: NDArray[np.float64]
) -> Predicted:
    """Return log E2 of men (rows of ``own_levels``) at doses of shape (n, k)."""
    carried = np.stack(
        [men.select(f"{part}_by_{name}" for name in _SHIFTING).to_numpy() for part in _PARTS],
        axis=1,
    )
    both = men["level_response_covariance"].to_numpy()
    covariance = np.stack(
        [
            np.column_stack([men["level_variance"].to_numpy(), both]),
            np.column_stack([both, men["response_variance"].to_numpy()]),
        ],
        axis=1,
    )
    own = Own(men.select("level_mean", "response_mean").to_numpy(), covariance, carried)
    covariates = np.column_stack([np.ones(len(men)), men.select(COVARIATES[1:]).to_numpy()])
    of_testosterone = response.model.vector[COVARIATES.index("log_testosterone")]
    return predict.predict(
        response.model,
        own,
        covariates,
        dose_mg_per_week,
        of_testosterone**2 * men["log_testosterone_variance"].to_numpy(),
    )


def _effects(known: pl.DataFrame, response: MonthResponse) -> pl.DataFrame:
    doses = np.array(PROJECTED_MG_PER_WEEK[1:])
    low, middle, high = predict.suppression(response.model, doses)
    held = known.group_by("dose_mg_per_week").agg(n_men=pl.col("patient_id").n_unique())
    shares = response.model.prior_share()
    return (
        pl.DataFrame(
            {
                "weekly_anastrozole_mg": doses,
                "suppression_pct": 100 * middle,
                "ci_low_pct": 100 * low,
                "ci_high_pct": 100 * high,
            }
        )
        .join(
            held,
            left_on="weekly_anastrozole_mg",
            right_on="dose_mg_per_week",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("n_men").fill_null(0).cast(pl.Int64),
            prior_share=pl.lit(max(shares["logit_emax"], shares["log_ed50"])),
        )
    )


def _dose_band() -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("dose_mg_per_week") <= most).then(pl.lit(name))
        for name, most in _DOSE_BANDS.items()
    )


def _checks(draws: pl.DataFrame) -> pl.DataFrame:
    """Say of every assay, clinic, laboratory and dose whether its exact draws lie where they should."""
    exact = draws.filter(pl.col("value_low") == pl.col("value_high")).with_columns(
        dose_band=_dose_band()
    )
    groups = [
        exact.filter(pl.col(column).is_not_null())
        .group_by(name=column)
        .agg(
            n_draws=pl.len().cast(pl.Int64),
            n_outside=(pl.col("z").abs() > Z95).sum().cast(pl.Int64),
            mean_z=pl.col("z").mean(),
            sd_z=pl.col("z").std(),
        )
        .select(
            by=pl.lit(by),
            name="name",
            n_draws="n_draws",
            n_outside="n_outside",
            mean_z="mean_z",
            sd_z="sd_z",
        )
        for by, column in _CHECKED.items()
    ]
    checked = pl.concat(groups).sort("by", "name")
    outside = wilson(checked["n_outside"].to_numpy(), checked["n_draws"].to_numpy())
    enough = pl.col("n_draws") >= _LEAST_DRAWS_TO_JUDGE
    far = pl.col("mean_z").abs() > _TOLERATED_SHIFT_SD + 2 / pl.col("n_draws").sqrt()
    return checked.with_columns(
        share_outside=pl.col("n_outside") / pl.col("n_draws"),
        fits=pl.when(enough).then(~far & (pl.Series(outside.ci_low) <= _TOLERATED_OUTSIDE)),
    ).select(_empty("e2_checks").columns)
