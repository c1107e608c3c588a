"""Abrupt shifts of scanners: a step in the BMD of a scanner's own men, at one date and all sites.

In    the accepted rows of dxa and patients, the clinic's decisions
Out   scanner_shifts   grain clinic_id, scanner_id, maker, first_on (``tables.exposure.ScannerShifts``)

A new calibration, another detector or a replaced device that kept its name looks like bone lost or gained.
Changes no BMD: pairs across a shift are not compared (``scan_pairs``) unless the clinic releases it.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from e2analytics.exposure.scanners import with_maker_unsure
from e2analytics.models import scanner_shift
from e2analytics.models.scanner_shift import Changes, Shift
from e2analytics.settings import LinkSettings, ShiftRelease
from e2analytics.tables.registry import schema_of

NOT_PAIRED: Final = "not_paired"
RELEASED: Final = "released"
_DEVICE: Final = ["clinic_id", "scanner_id", "maker"]
_SAME: Final = [*_DEVICE, "patient_id", "site", "side", "vertebrae"]
_VISIT: Final = [*_DEVICE, "patient_id", "start", "end"]
_DAY_ZERO: Final = date(1970, 1, 1)


def find_shifts(dxa: pl.DataFrame, patients: pl.DataFrame, settings: LinkSettings) -> pl.DataFrame:
    """Return the shifts of every scanner, with their evidence and what becomes of pairs across them.

    Parameters
    ----------
    dxa, patients
        Accepted scans, and the men with their clinic.
    settings
        ``shifts_released`` names the shifts that the clinic holds to be none.
    """
    visits = _changes(dxa, patients)
    sites = [name for name in visits.columns if name not in _VISIT]
    rows = []
    for device, of_device in visits.group_by(_DEVICE, maintain_order=True):
        changes = Changes(
            of_device["start"].cast(pl.Int64).to_numpy(),
            of_device["end"].cast(pl.Int64).to_numpy(),
            of_device.select(sites).to_numpy().astype(np.float64),
        )
        scanned = [name for name in sites if of_device[name].is_not_null().any()]
        rows += [
            _row(device, shift, scanned, settings) for shift in scanner_shift.find_all(changes)
        ]
    return pl.DataFrame(rows, schema=schema_of("scanner_shifts"))


def _changes(dxa: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """Return each man's changes from scan to scan on one device, a column for each site, 100 x log BMD."""
    scans = (
        dxa.filter(~pl.col("imputed").str.contains("scanned_on", literal=True))
        .join(patients.select("patient_id", "clinic_id"), on="patient_id")
        .drop_nulls("scanner_id")
        .pipe(with_maker_unsure)
        .filter(~pl.col("maker_unsure"))
        .with_columns(
            # A scan that names no maker is of the one that the others name.
            maker=pl.col("manufacturer").drop_nulls().first().over("clinic_id", "scanner_id")
        )
        .with_columns(maker=pl.coalesce("manufacturer", "maker"))
        .sort("scanned_on", "scan_id")
        .unique([*_SAME, "scanned_on"], keep="last", maintain_order=True)
    )
    before = {name: pl.col(name).shift().over(_SAME) for name in ("scanned_on", "bmd_g_cm2")}
    changes = scans.with_columns(
        start=before["scanned_on"],
        end="scanned_on",
        change_pct=100 * (pl.col("bmd_g_cm2") / before["bmd_g_cm2"]).log(),
    ).drop_nulls("start")
    return changes.pivot(
        "site", index=_VISIT, values="change_pct", aggregate_function="mean", sort_columns=True
    ).sort(_VISIT)


def _row(
    device: tuple[object, ...], shift: Shift, sites: list[str], settings: LinkSettings
) -> dict[str, object]:
    clinic_id, scanner_id, maker = device
    first_on, last_on = (_DAY_ZERO + timedelta(days=day) for day in (shift.first, shift.last))
    release = ShiftRelease(
        clinic_id=str(clinic_id), scanner_id=str(scanner_id), first_on=first_on, last_on=last_on
    )
    released = any(_same_shift(each, release) for each in settings.shifts_released)
    return {
        "clinic_id": clinic_id,
        "scanner_id": scanner_id,
        "maker": maker,
        "first_on": first_on,
        "last_on": last_on,
        "sites": " ".join(sites),
        "step_pct": shift.step_pct,
        "step_ci_low_pct": shift.ci_low_pct,
        "step_ci_high_pct": shift.ci_high_pct,
        "p_value": shift.p_value,
        "n_across": shift.n_across,
        "n_compared": shift.n_compared,
        "action": RELEASED if released else NOT_PAIRED,
        "release_line": _toml(release),
    }


def _same_shift(decided: ShiftRelease, found: ShiftRelease) -> bool:
    """Return whether a decision is of a shift: more scans may narrow its days, not move them elsewhere."""
    same = (decided.clinic_id, decided.scanner_id) == (found.clinic_id, found.scanner_id)
    return same and decided.first_on <= found.last_on and found.first_on <= decided.last_on


def _toml(release: ShiftRelease) -> str:
    # A JSON string is one of TOML too; dates stand there without quotes.
    body = "\n".join(
        f"{name} = {json.dumps(value) if isinstance(value, str) else value.isoformat()}"
        for name, value in release.model_dump().items()
    )
    return f"[[link.shifts_released]]\n{body}"


def lies_between(shifts: pl.DataFrame) -> pl.Expr:
    """Return which pairs of scans a shift that holds may lie between, on the scanner of either."""
    held = shifts.filter(pl.col("action") == NOT_PAIRED)
    between = [
        (pl.col("clinic_id") == row["clinic_id"])
        & (
            (pl.col("scanner_id") == row["scanner_id"])
            | (pl.col("scanner_id_2") == row["scanner_id"])
        )
        & (pl.col("scanned_on") < row["last_on"])
        & (pl.col("scanned_on_2") >= row["first_on"])
        for row in held.iter_rows(named=True)
    ]
    return pl.any_horizontal(pl.lit(False), *between)
