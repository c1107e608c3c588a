"""The men: who they are, when they are in care, and their E2 without any inhibitor.

Every array of `Men` has one entry per man; days count from the first day of the record.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.simulate import parameters as world
from e2analytics.simulate.settings import SimulationSettings

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Men:
    """Simulated men on testosterone; arrays of shape (n_men,).

    Attributes
    ----------
    entry_day, exit_day : ndarray
        First and last day in care; after the last one nothing of the man is put on file.
    left, died : ndarray of bool
        Whether he did so on his last day; the others are in care to the end of the record.
    """

    clinic: Integers
    age_years: Vector
    height_cm: Vector
    bmi_kg_m2: Vector
    body_fat_pct: Vector
    trt_start_day: Integers
    entry_day: Integers
    exit_day: Integers
    left: Flags
    died: Flags
    log_testosterone: Vector
    log_e2_off: Vector
    response: Vector

    def __len__(self) -> int:
        """Return the number of men."""
        return len(self.clinic)


def patient_ids(man: Integers) -> list[str]:
    """Return identifiers such as `P000123`; the first man is number 1."""
    return [f"P{number:06d}" for number in man + 1]


def clinic_ids(clinic: Integers) -> list[str]:
    """Return identifiers such as `C02`; the first clinic is number 1."""
    return [f"C{number:02d}" for number in clinic + 1]


def as_dates(day: Integers, settings: SimulationSettings) -> pl.Series:
    """Return calendar dates of days of the record, shape (n,)."""
    return pl.Series(np.datetime64(settings.opens_on, "D") + day.astype("timedelta64[D]"))


def recruit(settings: SimulationSettings, rng: np.random.Generator) -> Men:
    """Draw the men of a cohort."""
    n = settings.patients
    bmi = rng.normal(*world.BMI_KG_M2, n).clip(*world.BMI_RANGE_KG_M2)
    over = bmi - world.BMI_KG_M2[0]
    fat = world.BODY_FAT_PCT + world.BODY_FAT_PCT_PER_BMI * over
    body_fat = (fat + rng.normal(0, world.BODY_FAT_SD_PCT, n)).clip(8, 55)
    log_t_dev = rng.normal(0, world.TESTOSTERONE_BETWEEN_SD, n)
    trt_start = _therapy_starts(settings, rng)
    entry = np.maximum(trt_start, 0)
    exit_day, left, died = _exits(entry, settings, rng)
    return Men(
        clinic=rng.integers(settings.clinics, size=n),
        age_years=rng.normal(*world.AGE_YEARS, n).clip(*world.AGE_RANGE_YEARS),
        height_cm=rng.normal(*world.HEIGHT_CM, n),
        bmi_kg_m2=bmi,
        body_fat_pct=body_fat,
        trt_start_day=trt_start,
        entry_day=entry,
        exit_day=exit_day,
        left=left,
        died=died,
        log_testosterone=np.log(world.TESTOSTERONE_NG_DL) + log_t_dev,
        log_e2_off=np.log(world.E2_OFF_DRUG_PG_ML)
        + world.E2_PER_LOG_TESTOSTERONE * log_t_dev
        + world.E2_PER_BODY_FAT_PCT * (body_fat - world.BODY_FAT_PCT)
        + rng.normal(0, world.E2_BETWEEN_SD, n),
        response=rng.normal(0, world.RESPONSE_SD, n),
    )


def patients_table(
    men: Men, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    """Return `patients.csv`: one row per man."""
    n = len(men)
    weight_kg = men.bmi_kg_m2 * (men.height_cm / 100) ** 2
    born = np.rint(-world.DAYS_PER_YEAR * men.age_years).astype(np.int64)
    frame = pl.DataFrame(
        {
            "patient_id": patient_ids(np.arange(n)),
            "clinic_id": clinic_ids(men.clinic),
            "sex": ["M"] * n,
            "birth_date": as_dates(born, settings),
            "height_cm": men.height_cm.round(0),
            "weight_kg": weight_kg.round(1),
            "trt_started_on": as_dates(men.trt_start_day, settings),
        }
    )
    measured = rng.random((2, n)) >= world.UNMEASURED_SHARE
    return frame.with_columns(
        pl.when(pl.Series(measured[0])).then("height_cm"),
        pl.when(pl.Series(measured[1])).then("weight_kg"),
    )


def _therapy_starts(settings: SimulationSettings, rng: np.random.Generator) -> Integers:
    n = settings.patients
    before = -rng.integers(*world.STARTED_BEFORE_DAYS, size=n)
    during = rng.integers(0, settings.last_day - world.STARTS_BEFORE_END_DAYS, size=n)
    return np.where(rng.random(n) < world.STARTED_BEFORE_RECORD_SHARE, before, during)


def _exits(
    entry: Integers, settings: SimulationSettings, rng: np.random.Generator
) -> tuple[Integers, Flags, Flags]:
    """Return the last day in care of each man, and whether he left or died then."""
    earliest = entry + world.STAYS_AT_LEAST_DAYS
    day = rng.integers(earliest, settings.last_day)
    fate = rng.random(len(entry))
    died = fate < world.DIED_SHARE
    left = (fate >= world.DIED_SHARE) & (fate < world.DIED_SHARE + world.LEFT_SHARE)
    return np.where(left | died, day, settings.last_day), left, died
