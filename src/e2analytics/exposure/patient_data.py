"""Patient data: the rows of a day with their episodes, E2 draws, scan pairs and bone classes."""

from __future__ import annotations

from dataclasses import fields

import polars as pl

from e2analytics.exposure import densitometry
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.exposure.scanner_shifts import find_shifts
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows, PatientData


def linked(
    rows: AsOfRows,
    clinics: Clinics,
    link_settings: LinkSettings,
    flag_settings: FlagSettings,
    shifts: pl.DataFrame | None = None,
) -> PatientData:
    """Find the dosing episodes, the E2 draws under them, the scan pairs and the bone classes.

    Parameters
    ----------
    rows
        The men's rows.
    clinics
        What follows from the rows of all men of their clinics.
    link_settings, flag_settings
        How draws and scans are linked.
    shifts
        Of their scanners, found in the scans of all men; None: ``rows`` are all men's.
    """
    episodes = find_episodes(rows.medications)
    if shifts is None:
        shifts = find_shifts(rows.dxa, rows.patients, link_settings)
    return PatientData(
        **{field.name: getattr(rows, field.name) for field in fields(AsOfRows)},
        clinics=clinics,
        episodes=episodes,
        draws=link_draws(rows.labs, episodes, flag_settings),
        pending_draws=link_draws(rows.pending_e2, episodes, flag_settings),
        pairs=pair_scans(
            rows.dxa, rows.patients, rows.precision, link_settings, shifts, clinics.makers
        ),
        densitometry=densitometry.classify(rows.dxa, rows.patients),
        scanner_shifts=shifts,
    )
