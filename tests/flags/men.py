"""Men by their rows: what the tests of flags build a cohort from."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.flags import cohort
from e2analytics.flags.criteria import Criteria
from e2analytics.measures.clinic_rows import clinic_sums, clinics
from e2analytics.settings import FlagSettings
from e2analytics.tables.limit_in_use import LimitInUse
from e2analytics.tables.patient_data import CHANGE_PROBABILITIES, Estimates, PatientData
from e2analytics.tables.snapshot import empty_table
from e2analytics.tables.sums import none

AS_OF = date(2024, 12, 31)
LIMIT = LimitInUse(16.0, "literature", None, None)


def ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "started_on": ago(300),
        "stopped_on": None,
        "dose_mg": 0.5,
        "doses_per_week": 2.0,
        "weekly_dose_mg": 1.0,
        "weekdays": None,
        "listed_on": None,
        "source_file": "orders",
        "source_line": 2,
        "source_order": 0,
        **changes,
    }


def draw(**changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "analyte": "estradiol",
        "result_id": "r1",
        "collected_on": ago(30),
        "value_low": 20.0,
        "value_high": 20.0,
        "assay": "ms",
        "source_file": "labs",
        "source_line": 7,
        **changes,
    }
    return {**row, "collected_at": datetime.combine(row["collected_on"], datetime.min.time(), UTC)}


def own(off: float = 3.7, on: float = 3.2, sd: float = 0.1, n_ms: int = 4) -> dict[str, Any]:
    """A man's own log E2 off and on the drug (40 and 25 pg/mL unless said otherwise)."""
    return {
        "patient_id": "p1",
        "n_draws": 4,
        "n_on": 3,
        "n_ms": n_ms,
        "n_ms_on": n_ms,
        "off_mean": off,
        "off_sd": sd,
        "on_mean": on,
        "on_sd": sd,
        "covariance": 0.5 * sd * sd,
    }


def steady(changed_on: date | None = None, **probabilities: float) -> dict[str, Any]:
    """How probable it is that a man's E2 has changed; it has not unless said otherwise."""
    none = dict.fromkeys(CHANGE_PROBABILITIES, 0.01)
    return {
        "patient_id": "p1",
        **none,
        **probabilities,
        "changed_on": changed_on,
        "testosterone_since": None,
    }


def patients() -> pl.DataFrame:
    row = {"patient_id": "p1", "clinic_id": "c1", "birth_date": date(1960, 1, 1)}
    return pl.DataFrame([row], schema=empty_table("patients").schema)


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "site": "total_hip",
        "first_scan_id": "s1",
        "second_scan_id": "s2",
        "first_on": ago(900),
        "second_on": ago(60),
        "change_pct": -6.0,
        "annual_change_pct": -2.6,
        "lsc_pct": 5.0,
        "lsc_verdict": "loss",
        **changes,
    }


def pairs(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=empty_table("exposures").schema)


def scan(**changes: Any) -> dict[str, Any]:
    return {
        "namespace": "default",
        "scan_id": "s2",
        "patient_id": "p1",
        "site": "total_hip",
        "scanned_on": ago(60),
        **changes,
    }


def known_of(
    orders: list[dict[str, Any]] | None = None,
    draws: list[dict[str, Any]] | None = None,
    man: dict[str, Any] | None = None,
    events: list[tuple[str, date]] | None = None,
    bone_class: str | None = None,
    loss: bool = False,
    scanned: list[dict[str, Any]] | None = None,
    paired: list[dict[str, Any]] | None = None,
    waiting: list[tuple[str, date]] | None = None,
    change: dict[str, Any] | None = None,
) -> tuple[PatientData, Estimates]:
    doses = ("weekly_dose_mg", "dose_mg", "doses_per_week")
    medications = pl.DataFrame(
        orders if orders is not None else [order()],
        schema_overrides={
            "stopped_on": pl.Date,
            "weekdays": pl.String,
            "listed_on": pl.Date,
            **dict.fromkeys(doses, pl.Float64),
        },
    )
    episodes = find_episodes(medications)
    given = [draw()] if draws is None else draws
    labs = (
        pl.DataFrame(given, schema_overrides={"value_high": pl.Float64})
        if given
        else empty_table("labs")
    )
    data = PatientData(
        patients=patients(),
        medications=medications,
        labs=labs,
        dxa=empty_table("dxa"),
        densitometry=pl.DataFrame(
            scanned or ([scan(bone_class=bone_class)] if bone_class else []),
            schema=empty_table("densitometry").schema,
        ),
        scanner_shifts=empty_table("scanner_shifts"),
        clinics=clinics(none(), AS_OF),
        episodes=episodes,
        draws=link_draws(labs, episodes, FlagSettings()),
        lifestyle=empty_table("lifestyle"),
        precision=empty_table("precision"),
        pairs=pl.DataFrame(),
        pending=pl.DataFrame(
            [{"patient_id": "p1", "what": what, "happened_on": on} for what, on in waiting or []],
            schema={"patient_id": pl.String, "what": pl.String, "happened_on": pl.Date},
        ),
        pending_e2=pl.DataFrame(),
        pending_draws=pl.DataFrame(),
        events=pl.DataFrame(
            [
                {
                    "patient_id": "p1",
                    "kind": kind,
                    "occurred_on": when,
                    "source_file": "events",
                    "source_line": 2,
                }
                for kind, when in events or []
            ],
            schema=empty_table("events").schema,
        ),
    )
    estimates = Estimates(
        e2=pl.DataFrame([man or own()]),
        changes=pl.DataFrame(
            [change or steady()],
            schema_overrides={"changed_on": pl.Date, "testosterone_since": pl.Date},
        ),
        exposures=pairs(paired or ([pair()] if loss else [])),
    )
    return with_clinics(data), estimates


def with_clinics(data: PatientData, as_of: date = AS_OF) -> PatientData:
    """Add what follows from the rows of all men of a clinic."""
    return replace(data, clinics=clinics(clinic_sums(data), as_of))


def criteria(as_of: date = AS_OF, sd_of_draw: float | None = None) -> Criteria:
    return Criteria(
        as_of=as_of,
        limit=LIMIT,
        limit_quantiles_pg_ml=[],
        model_id="m",
        sd_of_draw=sd_of_draw,
        settings=FlagSettings(),
    )


def judge(
    orders: list[dict[str, Any]] | None = None,
    draws: list[dict[str, Any]] | None = None,
    man: dict[str, Any] | None = None,
    *,
    as_of: date = AS_OF,
    before: pl.DataFrame | None = None,
    sd_of_draw: float | None = None,
    **others: Any,
) -> pl.DataFrame:
    data, estimates = known_of(orders, draws, man, **others)
    return cohort.cohort(
        data,
        estimates,
        criteria(as_of, sd_of_draw),
        before=empty_table("flags") if before is None else before,
    )


LOW_BY_DRUG = own(off=3.7, on=2.5)  # 40 off, 12 on
LOW_ANYWAY = own(off=2.5, on=2.4)  # 12 off, 11 on
DANGER = own(off=3.7, on=2.0)  # 40 off, 7 on
