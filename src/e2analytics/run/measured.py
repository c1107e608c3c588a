"""The men's rows as quality measures count them, in a run and when a month is counted again.

In    the men's rows as of a day, the frozen dose response
Out   the same: men who are not judged take no inhibitor, E2 results have their equivalents of mass spectrometry
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from e2analytics.exposure.dose_response.ms_equivalents import with_ms_equivalents
from e2analytics.flags import judged
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import PatientData


def as_measured(
    data: PatientData, response: FrozenDoseResponse | None, settings: FlagSettings, as_of: date
) -> PatientData:
    """Return the rows as of a day as measures count them."""
    assays = response.model.population.assays if response else None
    draws = with_ms_equivalents(data.draws, assays)
    apart = judged.set_apart_from_measures(data, settings.washout_days, as_of)
    return judged.without_the_drug(replace(data, draws=draws), apart)
