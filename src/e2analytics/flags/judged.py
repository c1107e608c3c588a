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
    asked = {
        "died_or_left": _died_or_left(on_drug, data.events),
        "under_18": data.patients.filter(adult_on() > as_of),
        "treated_for_cancer": _treated_for_cancer(data.medications, as_of),
        "not_on_testosterone": _not_on_testosterone(data, as_of),
    }
    men = on_drug.select("patient_id")
    return (
        pl.concat(
            men.join(found, on="patient_id", how="semi").with_columns(why=pl.lit(why))
            for why, found in asked.items()
        )
        .unique("patient_id", keep="first", maintain_order=True)
        .sort("patient_id")
    )


def without_the_drug(data: PatientData, apart: pl.DataFrame) -> PatientData:
    """Return the rows as the quality measures count them: men who are set apart take no aromatase inhibitor.

    Men who died or left keep it: a measure leaves them out from that day on, and not before.
    """
    never = apart.filter(pl.col("why") != "died_or_left").select("patient_id")
    is_apart = pl.col("patient_id").cast(pl.String).is_in(never["patient_id"].implode())
    off = [
        pl.when(~is_apart).then(name).otherwise(pl.lit(False)).alias(name)
        for name in ("on_drug", "on_other")
    ]
    return replace(
        data,
        episodes=data.episodes.join(never, on="patient_id", how="anti", maintain_order="left"),
        draws=data.draws.with_columns(off),
        pending_draws=data.pending_draws.with_columns(off),
    )


def _died_or_left(on_drug: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    ended = events.filter(pl.col("kind").is_in(["died", "left_clinic"]))
    # A man with a new order after he left has come back.
    return on_drug.join(ended.select("patient_id", "kind", "occurred_on"), on="patient_id").filter(
        (pl.col("kind") == "died") | (pl.col("occurred_on") >= pl.col("ordered_on"))
    )


def _treated_for_cancer(medications: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return the men who are given a drug that shows treatment of cancer, and no testosterone."""
    orders = medications.filter(pl.col("started_on") <= as_of)
    acting = orders.filter(treats_cancer(), acts_on(pl.lit(as_of)))
    in_force = pl.col("stopped_on").is_null() | (pl.col("stopped_on") > as_of)
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
    told = men.join(known, on="patient_id", how="semi").select("clinic_id").unique()
    return men.join(told, on="clinic_id", how="semi").join(known, on="patient_id", how="anti")


def _men_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col("patient_id").cast(pl.String)).unique()
