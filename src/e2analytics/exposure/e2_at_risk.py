"""E2 over a man's time at risk, from nothing but what was known of him when it began.

In    intervals at risk (``first_events``), patient data, the frozen dose response
Out   E2 and covariates   grain interval
      episodes            grain interval, dose: mean and SD of log E2 and the share of the interval's days

For each draw the man is a man of his own, with the draws, results and treatment until then. A path through all of
his draws would be better known where no event came than where one did, because draws of years after an event are
not used: that alone would bend the curve. The dose of a day in the interval is the one in force on it.

Men who are given the drug had a higher E2 to begin with. A man who has not been given it may be one of them: to take
him for one who never is would put his E2 too low, the more the fewer draws he has. He is a man of either kind, by the
share of men who are given it later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import polars as pl

from e2analytics.exposure import body_mass_index
from e2analytics.exposure.dose_response import predict
from e2analytics.exposure.dose_response.covariates import (
    PATIENT_COVARIATES,
    impute,
    usable_draws,
    with_covariates,
)
from e2analytics.exposure.dose_response.predict import IntervalExposure
from e2analytics.exposure.episodes import doses_on_days
from e2analytics.exposure.testosterone_orders import find_changes
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.reference import constants
from e2analytics.reference.names import BODY_MASS_INDEX, TESTOSTERONE
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.vocabulary import CURVE_COVARIATES, INTERVAL_AT_RISK, WHOLE_MAN

_KNOWN: Final = ["patient_id", "drawn_on"]
_EVER: Final = "ever_on_drug"


class E2AtRisk(NamedTuple):
    """E2 and covariates of intervals, and E2 under each dose held in them; ``interval`` names one."""

    intervals: pl.DataFrame
    episodes: pl.DataFrame


def e2_at_risk(
    at_risk: pl.DataFrame, data: PatientData, response: FrozenDoseResponse | None
) -> E2AtRisk:
    """Return E2 over the intervals, each once though several outcomes have it.

    Parameters
    ----------
    at_risk
        ``first_events.intervals_at_risk``.
    data
        Of the as-of date.
    response
        The frozen model: of all men, and so of later draws too; what is said of one man is not. None with too few.
    """
    if response is None or at_risk.is_empty():
        return _NOTHING
    intervals = (
        at_risk.select(*INTERVAL_AT_RISK, "drawn_on")
        .unique(INTERVAL_AT_RISK, maintain_order=True)
        .with_columns(
            known=pl.concat_str(*_KNOWN, separator=" "),
            interval=pl.concat_str(*INTERVAL_AT_RISK, separator=" "),
        )
    )
    draws = _as_known(intervals, data, response)
    changes = find_changes(data.medications).cast({"patient_id": pl.String})
    of_known = intervals.select("patient_id", "known").unique(maintain_order=True)
    found = _exposure(
        response,
        draws,
        changes.join(of_known, on="patient_id").select("changed_on", patient_id="known"),
        _doses(intervals, data.episodes),
    )
    level = intervals.with_row_index("pair").join(found.pairs, on="pair", how="left")
    return E2AtRisk(
        level.join(_background(level, draws, data.patients), on="interval", how="left").select(
            *INTERVAL_AT_RISK,
            "interval",
            "log_e2",
            *CURVE_COVARIATES,
            e2_pg_ml=pl.col("log_e2").exp(),
        ),
        found.episodes.select(
            "weekly_anastrozole_mg",
            "share",
            "log_e2_mean",
            "log_e2_sd",
            interval="first_scan_id",
        ),
    )


_NOTHING: Final = E2AtRisk(
    pl.DataFrame(
        schema={
            **{"patient_id": pl.String, "started_on": pl.Date, "ended_on": pl.Date},
            "interval": pl.String,
            **dict.fromkeys(("log_e2", *CURVE_COVARIATES, "e2_pg_ml"), pl.Float64),
        }
    ),
    pl.DataFrame(
        schema={
            "weekly_anastrozole_mg": pl.Float64,
            **dict.fromkeys(("share", "log_e2_mean", "log_e2_sd"), pl.Float64),
            "interval": pl.String,
        }
    ),
)


def _as_known(
    intervals: pl.DataFrame, data: PatientData, response: FrozenDoseResponse
) -> pl.DataFrame:
    """Return for each draw at which an interval begins the man's draws until then; ``patient_id`` names both.

    The covariates beside a draw are those known on the day of the last one. ``bmi_known`` and ``t_mean`` are not
    imputed.
    """
    days = intervals.select(*_KNOWN, "known").unique(maintain_order=True)

    def known(rows: pl.DataFrame, day: str) -> pl.DataFrame:
        return (
            rows.with_columns(pl.col("patient_id").cast(pl.String))
            .join(days, on="patient_id")
            .filter(pl.col(day) <= pl.col("drawn_on"))
            .drop("patient_id", "drawn_on")
            .rename({"known": "patient_id"})
        )

    measured = data.labs.filter(pl.col("analyte").is_in([TESTOSTERONE, BODY_MASS_INDEX]))
    people = (
        data.patients.with_columns(pl.col("patient_id").cast(pl.String))
        .join(days, on="patient_id")
        .drop("patient_id")
        .rename({"known": "patient_id"})
    )
    covered = with_covariates(
        known(usable_draws(data.draws), "collected_on"),
        people,
        known(body_mass_index.with_body_fat(measured, data.patients, data.dxa), "collected_on"),
        known(data.episodes, "started_on"),
        known(find_changes(data.medications), "changed_on"),
        response.imputation.aged_on,
    )
    ordered = covered.sort(
        "patient_id", "collected_at", "result_id", "source_order", "source_line"
    ).with_columns(bmi_known="bmi_kg_m2")
    return impute(ordered, response.imputation)


def _exposure(
    response: FrozenDoseResponse, draws: pl.DataFrame, changes: pl.DataFrame, doses: pl.DataFrame
) -> IntervalExposure:
    """Return E2 over the intervals of men who had had the drug when these began, and of the others."""
    had_it = pl.col(_EVER) > 0
    later = response.imputation.given_later
    either = draws.filter(~had_it).with_columns(pl.lit(later).alias(_EVER))
    found = []
    for of_kind, known in ((response, draws.filter(had_it)), (_of_either_kind(response), either)):
        men = known.group_by("patient_id", maintain_order=True).agg(
            pl.col(*PATIENT_COVARIATES, "log_testosterone_variance").last()
        )
        held = doses.join(men, on="patient_id", how="semi", maintain_order="left")
        found.append(predict.interval_exposure(of_kind, men, known, changes, held))
    return IntervalExposure(*(pl.concat(parts) for parts in zip(*found, strict=True)))


def _of_either_kind(response: FrozenDoseResponse) -> FrozenDoseResponse:
    """Return the response of men of whom a share have the level of men who are given the drug."""
    later = response.imputation.given_later
    higher = response.model.vector[response.model.names.index(_EVER)]
    varied = response.model.with_level_variance(later * (1 - later) * higher**2)
    return replace(response, model=varied)


def _doses(intervals: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """Return the doses held in the intervals, in the shape of scan pairs, of each man as he was known."""
    as_pairs = intervals.select(
        "patient_id",
        site=pl.lit(WHOLE_MAN),
        scan_id="interval",
        scanned_on="started_on",
        scanned_on_2="ended_on",
    )
    spells = episodes.with_columns(pl.col("patient_id").cast(pl.String))
    known = intervals.select("interval", "known")
    return (
        doses_on_days(as_pairs, spells)
        .drop("patient_id")
        .join(known, left_on="scan_id", right_on="interval", maintain_order="left")
        .rename({"known": "patient_id"})
    )


def _background(
    intervals: pl.DataFrame, draws: pl.DataFrame, patients: pl.DataFrame
) -> pl.DataFrame:
    """Return the covariates of each interval at its start: null where unknown, never imputed."""
    last = draws.group_by("patient_id", maintain_order=True).agg(
        pl.col("bmi_known", "t_mean", "t_count").last()
    )
    started = pl.col("started_on")
    return (
        intervals.join(last, left_on="known", right_on="patient_id", how="left")
        .join(
            patients.select(pl.col("patient_id").cast(pl.String), "birth_date", "trt_started_on"),
            on="patient_id",
            how="left",
        )
        .select(
            "interval",
            age_years=(started - pl.col("birth_date")).dt.total_days() / constants.DAYS_PER_YEAR,
            bmi_kg_m2="bmi_known",
            log_testosterone=pl.when(pl.col("t_count") > 0).then("t_mean"),
            # Before TRT there is no time on it.
            years_on_trt=(
                (started - pl.col("trt_started_on")).dt.total_days() / constants.DAYS_PER_YEAR
            ).clip(0),
        )
    )
