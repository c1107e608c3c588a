"""Who is judged: the men whose E2 an aromatase inhibitor lowers beside testosterone, and why others are not.

In    the men on an aromatase inhibitor, the men's rows as of a day
Out   set apart   grain patient_id: ``why`` a man on the drug is not judged, the first that holds

He died or left the clinic; he is under 18; he is treated for breast or prostate cancer as far as orders tell,
which is a drug that stops the testicles or an antiandrogen, and no testosterone; he is not on testosterone. Nobody vanishes: men who
are set apart are counted by reason. Where a clinic sends nothing at all of testosterone, nothing follows from
its lack: a missing feed hides no danger.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

import polars as pl

from e2analytics.flags import rules as flag_rules
from e2analytics.reference.drugs import acts_on, gives_testosterone, treats_cancer
from e2analytics.reference.names import ANDROGEN
from e2analytics.tables.patient_data import PatientData, adult_on

WHY: Final = tuple(flag_rules.load().not_judged)
"""Why a man on the drug is not judged, in the order in which it is asked."""


def set_apart(on_drug: pl.DataFrame, data: PatientData, as_of: date) -> pl.DataFrame:
    """Return the men on the drug who are not judged, each with the first reason why.

    Parameters
    ----------
    on_drug
        The men on an aromatase inhibitor, with ``ordered_on``, the day of their last order of it.
    data
        Their rows.
    as_of
        The day.
    """
    asked = on_drug.select("patient_id", asked_on=pl.lit(as_of))
    gone = _died_or_left(on_drug, data.events)
    return _first_of({"died_or_left": gone, **_reasons(asked, data, as_of)}, asked)


def set_apart_from_measures(data: PatientData, washout_days: int, as_of: date) -> pl.DataFrame:
    """Return the men who were not judged while they were on the drug, each with the first reason why.

    Each is asked about on the last day on which he was on the drug, or within its washout, and had neither died nor
    left: going, or an end of the drug, makes no one a man who was judged.

    Parameters
    ----------
    data
        The men's rows.
    washout_days
        For how long a drug that has ended still counts.
    as_of
        The day.
    """
    washed_out = pl.col("ended_on") + pl.duration(days=washout_days)
    treated = (
        data.episodes.filter(pl.col("started_on") <= as_of)
        .group_by("patient_id")
        .agg(pl.col("ordered_on").max(), last_on=washed_out.fill_null(as_of).max())
    )
    gone = _died_or_left(treated, data.events)
    asked = treated.join(
        gone.group_by("patient_id").agg(gone_on=pl.col("occurred_on").min()),
        on="patient_id",
        how="left",
    ).select("patient_id", asked_on=pl.min_horizontal("last_on", "gone_on", pl.lit(as_of)))
    return _first_of(_reasons(asked, data, as_of), asked)


def without_the_drug(data: PatientData, apart: pl.DataFrame) -> PatientData:
    """Return the rows as the quality measures count them: men who are set apart take no aromatase inhibitor.

    Men who died or left keep it, unless they were not judged before: a measure leaves them out from that day on.
    """
    is_apart = pl.col("patient_id").cast(pl.String).is_in(apart["patient_id"].implode())
    off = [
        pl.when(~is_apart).then(name).otherwise(pl.lit(False)).alias(name)
        for name in ("on_drug", "on_other")
    ]
    return replace(
        data,
        episodes=data.episodes.join(apart, on="patient_id", how="anti", maintain_order="left"),
        draws=data.draws.with_columns(off),
        pending_draws=data.pending_draws.with_columns(off),
    )


def _reasons(asked: pl.DataFrame, data: PatientData, as_of: date) -> dict[str, pl.DataFrame]:
    """Return the men of each reason besides having gone, on the day ``asked_on`` of each."""
    ages = data.patients.select("patient_id", adult_on=adult_on()).join(asked, on="patient_id")
    return {
        "under_18": ages.filter(pl.col("adult_on") > pl.col("asked_on")),
        "treated_for_cancer": _treated_for_cancer(data.medications, asked),
        "not_on_testosterone": _not_on_testosterone(data, as_of),
    }


def _first_of(reasons: dict[str, pl.DataFrame], men: pl.DataFrame) -> pl.DataFrame:
    return (
        pl.concat(
            men.join(found, on="patient_id", how="semi").select("patient_id", why=pl.lit(why))
            for why, found in reasons.items()
        )
        .unique("patient_id", keep="first", maintain_order=True)
        .sort("patient_id")
    )


def _died_or_left(on_drug: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    ended = events.filter(pl.col("kind").is_in(["died", "left_clinic"]))
    # A man with a new order after he left has come back.
    return on_drug.join(ended.select("patient_id", "kind", "occurred_on"), on="patient_id").filter(
        (pl.col("kind") == "died") | (pl.col("occurred_on") >= pl.col("ordered_on"))
    )


def _treated_for_cancer(medications: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Return the men who were given a drug that shows treatment of cancer, and no testosterone."""
    day = pl.col("asked_on")
    orders = (
        medications.with_columns(pl.col("patient_id").cast(pl.String))
        .join(asked, on="patient_id")
        .filter(pl.col("started_on") <= day)
    )
    acting = orders.filter(treats_cancer(), acts_on(day))
    in_force = pl.col("stopped_on").is_null() | (pl.col("stopped_on") > day)
    replaced = orders.filter(gives_testosterone(), in_force)
    return _men_of(acting).join(_men_of(replaced), on="patient_id", how="anti")


def _not_on_testosterone(data: PatientData, as_of: date) -> pl.DataFrame:
    """Return the men with no order of testosterone, ended or waiting ones included, and no start of it.

    An order that has ended counts: who still takes the drug that goes with it is in more danger, not in less.
    """
    known = pl.concat(
        [
            _men_of(data.medications.filter(gives_testosterone(), pl.col("started_on") <= as_of)),
            _men_of(data.pending.filter(pl.col("what").cast(pl.String) == ANDROGEN)),
            _men_of(data.patients.filter(pl.col("trt_started_on") <= as_of)),
        ]
    )
    men = data.patients.select(pl.col("patient_id").cast(pl.String), "clinic_id")
    told = data.clinics.facts.filter("tells_of_testosterone")
    return men.join(told, on="clinic_id", how="semi").join(known, on="patient_id", how="anti")


def _men_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("patient_id").cast(pl.String)).unique()
