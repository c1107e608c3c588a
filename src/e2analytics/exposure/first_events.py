"""First events: when each man was at risk of an outcome beyond bone, and whether it came.

In    patient data of a day, spells in which another drug moves E2
Out   intervals at risk   grain outcome, patient_id, started_on

An outcome is a symptom by its ``detail``, a fracture, or a haematocrit above 54 %. A man is at risk from a draw to
the next one, for as long as the draw stands at the most, until his first event, his departure or death. The time is
cut into pieces of about a quarter, in which the hazard is taken as constant. An event that came before he was
observed is no first event: the man is left out. A clinic that has never sent a fracture, or never named a symptom,
does not say that none happened: its men are no rows of it. Of symptoms that is so by kind.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from e2analytics.exposure.draws import why_unusable
from e2analytics.reference import constants, measures
from e2analytics.reference.names import ANASTROZOLE, HEMATOCRIT
from e2analytics.settings import LinkSettings
from e2analytics.tables.censoring import wholly_above
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.vocabulary import HAEMATOCRIT_HAZARD, SYMPTOMS, hazard_of

_RECORD: Final = ("outcome", "patient_id", "from_on", "event_on", "to_on")


def intervals_at_risk(
    data: PatientData,
    confounders: pl.DataFrame,
    settings: LinkSettings,
    as_of: date,
) -> pl.DataFrame:
    """Return the intervals of each outcome in which its men were at risk.

    Parameters
    ----------
    data
        Of the as-of date.
    confounders
        ``confounders.find_confounders``: intervals with a day in these spells are left out.
    settings
        For how many days a draw stands.
    as_of
        The last day that is known.

    Returns
    -------
    DataFrame
        ``outcome``, ``patient_id``, ``clinic_id``; ``drawn_on``, the day of the last draw at the start; ``started_on``
        and ``planned_until``, had no event come; ``ended_on``, the day of the event or ``planned_until``; ``years``, as
        planned; ``event``. An interval holds its last day and not its first.
    """
    records = pl.concat([_of_symptoms(data), _of_fractures(data), _of_haematocrit(data)])
    if records.is_empty():
        return _NOTHING
    started, until = pl.col("started_on"), pl.min_horizontal("until", "to_on")
    event = (pl.col("event_on") <= pl.col("planned_until")).fill_null(False)
    return (
        records.join(
            _clear_of(_pieces(data, settings, as_of), _spells(data, confounders)), on="patient_id"
        )
        .filter(
            (started >= pl.col("from_on"))
            # A man whose first event has come is not at risk any more.
            & (started < pl.col("event_on")).fill_null(True)
            & (started < pl.col("to_on")).fill_null(True)
        )
        .with_columns(planned_until=until)
        .with_columns(
            event=event,
            ended_on=pl.when(event).then("event_on").otherwise("planned_until"),
            years=(pl.col("planned_until") - started).dt.total_days() / constants.DAYS_PER_YEAR,
        )
        .select(_NOTHING.columns)
        .sort("outcome", "patient_id", "started_on")
    )


_NOTHING: Final = pl.DataFrame(
    schema={
        "outcome": pl.String,
        "patient_id": pl.String,
        "clinic_id": pl.String,
        "drawn_on": pl.Date,
        "started_on": pl.Date,
        "planned_until": pl.Date,
        "ended_on": pl.Date,
        "years": pl.Float64,
        "event": pl.Boolean,
    }
)


def _of_symptoms(data: PatientData) -> pl.DataFrame:
    """Return from when each man's symptoms are on record, his first one of each kind, and until when they are known.

    A symptom without a name may be any: after it nothing is known of first ones.
    """
    symptoms = data.events.filter(pl.col("kind") == "symptom").select(
        "patient_id", "detail", day="occurred_on"
    )
    named = symptoms.drop_nulls("detail")
    first = named.group_by("patient_id", "detail").agg(event_on=pl.col("day").min())
    unnamed = (
        symptoms.filter(pl.col("detail").is_null())
        .group_by("patient_id")
        .agg(to_on=pl.col("day").min())
    )
    return (
        _recorded_from(named, data.patients, "detail")
        .join(first.cast({"detail": pl.String}), on=["patient_id", "detail"], how="left")
        .join(unnamed, on="patient_id", how="left")
        .with_columns(
            outcome=pl.col("detail").replace_strict({name: hazard_of(name) for name in SYMPTOMS})
        )
        .select(_RECORD)
    )


def _of_fractures(data: PatientData) -> pl.DataFrame:
    fractures = data.events.filter(pl.col("kind") == "fracture").select(
        "patient_id", day="occurred_on"
    )
    first = fractures.group_by("patient_id").agg(event_on=pl.col("day").min())
    return (
        _recorded_from(fractures, data.patients)
        .join(first, on="patient_id", how="left")
        .with_columns(outcome=pl.lit(hazard_of("fracture")), to_on=pl.lit(None, dtype=pl.Date))
        .select(_RECORD)
    )


def _recorded_from(events: pl.DataFrame, patients: pl.DataFrame, *kind: str) -> pl.DataFrame:
    """Return the men of clinics that have sent such events (of a kind), with the day of their clinic's first one."""
    of_clinic = patients.select("patient_id", "clinic_id")
    clinics = (
        events.join(of_clinic, on="patient_id")
        .group_by("clinic_id", *kind)
        .agg(from_on=pl.col("day").min())
    )
    return of_clinic.join(clinics, on="clinic_id").select(
        pl.col("patient_id", *kind).cast(pl.String), "from_on"
    )


def _of_haematocrit(data: PatientData) -> pl.DataFrame:
    """Return from his first haematocrit not above the line until his last result, and the first wholly above it."""
    line = measures.load().measures["haematocrit_high"].limits["hematocrit_pct"]
    results = data.labs.filter(
        (pl.col("analyte") == HEMATOCRIT)
        & ~pl.col("imputed").str.contains("collected_at", literal=True)
    )
    day = pl.col("collected_on")
    return (
        results.group_by("patient_id")
        .agg(
            from_on=day.filter(pl.col("value_high") <= line).min(),
            event_on=day.filter(wholly_above(line)).min(),
            to_on=day.max(),
        )
        .drop_nulls("from_on")
        .with_columns(pl.col("patient_id").cast(pl.String), outcome=pl.lit(HAEMATOCRIT_HAZARD))
        .select(_RECORD)
    )


def _pieces(data: PatientData, settings: LinkSettings, as_of: date) -> pl.DataFrame:
    """Return the time after each draw for which it stands, in pieces: patient_id, drawn_on, started_on, until."""
    drawn = (
        data.draws.filter(why_unusable().is_null())
        .select(pl.col("patient_id").cast(pl.String), drawn_on="collected_on")
        .unique()
    )
    standing = (
        drawn.sort("patient_id", "drawn_on")
        .with_columns(next_on=pl.col("drawn_on").shift(-1).over("patient_id"))
        .join(_departures(drawn, data.events), on=["patient_id", "drawn_on"], how="left")
        .with_columns(
            stands_until=pl.min_horizontal(
                "next_on",
                "gone_on",
                pl.col("drawn_on") + pl.duration(days=settings.carry_days),
                pl.lit(as_of),
            )
        )
    )
    length = (pl.col("stands_until") - pl.col("drawn_on")).dt.total_days()
    n_pieces = (length / constants.DAYS_AT_RISK.value).ceil().cast(pl.Int64)
    edge = {
        name: pl.col("drawn_on")
        + pl.duration(days=((pl.col("piece") + more) * length / n_pieces).round())
        for name, more in (("started_on", 0), ("until", 1))
    }
    return (
        standing.filter(length > 0)
        .with_columns(piece=pl.int_ranges(n_pieces))
        .explode("piece")
        .select("patient_id", "drawn_on", **edge)
        .join(
            data.patients.select(
                pl.col("patient_id").cast(pl.String), pl.col("clinic_id").cast(pl.String)
            ),
            on="patient_id",
        )
    )


def _departures(drawn: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Return when a man left or died on the day of a draw or after it: ``gone_on``; he may come back later."""
    gone = events.filter(pl.col("kind").is_in(["left_clinic", "died"]))
    return (
        drawn.join(
            gone.select(pl.col("patient_id").cast(pl.String), gone_on="occurred_on"),
            on="patient_id",
        )
        .filter(pl.col("gone_on") >= pl.col("drawn_on"))
        .group_by("patient_id", "drawn_on")
        .agg(pl.col("gone_on").min())
    )


def _spells(data: PatientData, confounders: pl.DataFrame) -> pl.DataFrame:
    """Return from when until when a man's E2 or his outcomes are another drug's, or he is a boy."""
    others = data.episodes.filter(pl.col("drug") != ANASTROZOLE)
    return pl.concat(
        [
            others.select(pl.col("patient_id").cast(pl.String), on="started_on", off="ended_on"),
            confounders.select(pl.col("patient_id").cast(pl.String), on="began_on", off="ended_on"),
        ]
    )


def _clear_of(pieces: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    """Leave out pieces with a day in a spell, as of scan pairs."""
    key = ["patient_id", "started_on"]
    within = (
        pieces.join(spells, on="patient_id")
        .filter(
            (pl.col("on") < pl.col("until"))
            & (pl.col("off") > pl.col("started_on")).fill_null(True)
        )
        .select(key)
    )
    return pieces.join(within, on=key, how="anti", maintain_order="left")
