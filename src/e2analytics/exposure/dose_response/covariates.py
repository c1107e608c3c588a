"""Prepares the draws: which of them count, each with its dose and the covariates of its man.

In    E2 draws with their drug state, patients, laboratory results, episodes, changes of testosterone
Out   draws with covariates, imputed where unknown; the same as arrays
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.exposure import body_mass_index, testosterone_orders
from e2analytics.exposure.draws import why_unusable
from e2analytics.models import random_intercept
from e2analytics.models.dose_response import draw_check
from e2analytics.models.dose_response.fit import CONSTANT, DoseResponse, Prior
from e2analytics.models.dose_response.frozen import Imputation
from e2analytics.models.dose_response.types import Draws
from e2analytics.reference import constants
from e2analytics.reference.names import ANASTROZOLE, TESTOSTERONE

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
PATIENT_COVARIATES: Final = COVARIATES[1:]
"""Covariates of a man. Testosterone is the usual one under the order of the day, BMI the nearest."""
ORDER_OF_DRAWS: Final = ("patient_id", "collected_at", "result_id", "source_order", "source_line")
_ASSUMED_MG_PER_WEEK: Final = 1.0
"""Stands for an unknown dose where no draw has a known one."""


def usable_draws(draws: pl.DataFrame) -> pl.DataFrame:
    """Return the draws that the model describes, in a fixed order: sums are the same to the last digit."""
    return draws.filter(why_unusable().is_null()).sort(ORDER_OF_DRAWS)


def with_covariates(
    used: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    episodes: pl.DataFrame,
    changes: pl.DataFrame,
    aged_on: date,
) -> pl.DataFrame:
    """Return the draws with dose, changes of testosterone and covariates of their man; null where unknown."""
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
    # What is usual for him is so under one order.
    of_order = ["patient_id", "testosterone_changes"]
    dated = same_day.with_columns(
        testosterone_orders.count_until(same_day, changes, "collected_on")
    )
    usual = dated.group_by(of_order, maintain_order=True).agg(
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
    together = used.with_columns(testosterone_orders.count_until(used, changes, "collected_on"))
    for more, on in (
        (same_day, ["patient_id", "collected_on"]),
        (usual, of_order),
        (about, ["patient_id"]),
        (ever.with_columns(ever_on_drug=pl.lit(1.0)), ["patient_id"]),
    ):
        together = together.join(more, on=on, how="left", validate="m:1", maintain_order="left")
    return together.with_columns(
        pl.col("ever_on_drug", "t_mean", "t_count", "t_squares").fill_null(0.0),
        bmi_kg_m2=pl.coalesce(
            body_mass_index.nearest_to(together, labs, "collected_on"), "bmi_kg_m2"
        ),
        dose_mg_per_week=pl.when("on_drug").then("weekly_anastrozole_mg").otherwise(0.0),
    )


def learn_imputation(draws: pl.DataFrame, aged_on: date) -> Imputation:
    """Learn the values that stand where a man's own is not known."""
    men = draws.unique("patient_id", keep="first", maintain_order=True)
    orders = draws.unique(["patient_id", "testosterone_changes"], keep="first", maintain_order=True)
    doses = draws.filter(pl.col("dose_mg_per_week") > 0)["dose_mg_per_week"]
    # Polars types the mean and the median of every column alike; those of numbers are numbers.
    means = men.select(pl.col("bmi_kg_m2", "age_years").mean().fill_null(0.0)).row(0, named=True)
    return Imputation(
        random_intercept.fit(
            *(orders[name].to_numpy() for name in ("t_mean", "t_count", "t_squares"))
        ),
        means["bmi_kg_m2"],
        means["age_years"],
        aged_on,
        float(doses.median() or _ASSUMED_MG_PER_WEEK),  # type: ignore[arg-type]
        float(men.filter(~pl.col("on_drug"))["ever_on_drug"].mean() or 0.0),  # type: ignore[arg-type]
    )


def impute(draws: pl.DataFrame, imputation: Imputation) -> pl.DataFrame:
    """Fill unknown values, and add a digest of each man's draws: the same draws, the same digest."""
    usual_t, variance = imputation.testosterone.predict(
        draws["t_mean"].to_numpy(), draws["t_count"].to_numpy()
    )
    filled = draws.with_columns(
        pl.col("bmi_kg_m2").fill_null(imputation.bmi_kg_m2),
        pl.col("age_years").fill_null(imputation.age_years),
        pl.col("dose_mg_per_week").fill_null(imputation.assumed_mg_per_week),
        log_testosterone=pl.Series(usual_t),
        log_testosterone_variance=pl.Series(variance),
    ).with_columns(same_day=pl.coalesce("same_day", "log_testosterone"))
    reading = pl.struct(
        pl.int_range(pl.len()).over("patient_id"),
        "value_low",
        "value_high",
        "assay",
        "dose_mg_per_week",
        "collected_on",
        "testosterone_changes",
        "same_day",
        *PATIENT_COVARIATES,
    ).hash(seed=0)
    return filled.with_columns(
        draws_digest=reading.bitwise_xor().over("patient_id").cast(pl.String)
    )


def to_arrays(draws: pl.DataFrame) -> Draws:
    """Return the draws as arrays of the model; the covariates are those of ``COVARIATES``."""
    columns = {
        CONSTANT: np.ones(len(draws)),
        **{name: draws[name].to_numpy() for name in COVARIATES if name != CONSTANT},
    }
    return Draws(
        man=(draws["patient_id"].rank("dense").cast(pl.Int64) - 1).to_numpy(),
        low_pg_ml=draws["value_low"].to_numpy(),
        high_pg_ml=draws["value_high"].fill_null(np.inf).to_numpy(),
        ms=(draws["assay"] == "ms").to_numpy(),
        dose_mg_per_week=draws["dose_mg_per_week"].to_numpy(),
        # A testosterone result of the same day counts as measured.
        covariates=np.column_stack(
            list({**columns, "log_testosterone": draws["same_day"].to_numpy()}.values())
        ),
        day=to_days(draws["collected_on"]),
        segment=draws["testosterone_changes"].to_numpy(),
        n_men=n_men(draws),
    )


def without_outliers(draws: pl.DataFrame, model: DoseResponse) -> pl.DataFrame:
    """Leave out draws that fit neither the man's others nor the population."""
    return draws.filter(pl.Series(draw_check.inliers(model, to_arrays(draws))))


def to_days(dates: pl.Series) -> NDArray[np.float64]:
    """Return dates as days since 1970, as the model counts them."""
    return dates.cast(pl.Int32).cast(pl.Float64).to_numpy()


def n_men(draws: pl.DataFrame) -> int:
    """Count the men with a draw."""
    return draws["patient_id"].n_unique()
