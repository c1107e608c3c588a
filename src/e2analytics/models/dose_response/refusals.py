"""Draws and fits that a dose response does not rest on: it would claim what nothing shows.

Refuses readings that hardly differ (their spreads would collapse, and the fit never end), and estimates
of assays that no assay has, or that leave open where the average man lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2analytics.errors import TooLittleDataError
from e2analytics.models.dose_response.types import Draws

UNDETERMINED: Final = (
    "the E2 results do not determine a dose response. Supply more results that are numbers."
)
# Four fifths of all readings within 5 %: men alone differ by 40 %, and no assay reads one sample so twice.
_BULK, _LEAST_SPREAD = (10, 90), 0.05
_MOST_PRIOR_SDS = 4.0
# Of the average man's log E2: beyond it E2 is not known to a factor of seven either way.
_MOST_SD_OF_LEVEL = 1.0


def refuse_readings_all_alike(draws: Draws) -> None:
    """Raise ``TooLittleDataError`` where most readings are nearly one number."""
    readings = draws.low_pg_ml[draws.is_exact & (draws.low_pg_ml > 0)]
    if len(readings) and np.ptp(np.percentile(np.log(readings), _BULK)) < _LEAST_SPREAD:
        raise TooLittleDataError(
            "the E2 results hardly differ from man to man; no measurements do so. Check the E2 results of the "
            "clinic."
        )


def refuse_vague_level(draws: Draws, covariance: NDArray[np.float64]) -> None:
    """Raise ``TooLittleDataError`` where not even the average man's log E2 is known; its covariance comes first."""
    average = draws.covariates.mean(axis=0)
    of_level = covariance[: len(average), : len(average)]
    if average @ of_level @ average > _MOST_SD_OF_LEVEL**2:
        raise TooLittleDataError(UNDETERMINED)


def refuse_impossible_assays(
    estimates: Mapping[str, float], likely: Mapping[str, tuple[float, float]]
) -> None:
    """Raise ``TooLittleDataError`` where estimates of assays lie far from their likely mean, in its SDs."""
    far = [
        name
        for name, (mean, sd) in likely.items()
        if abs(estimates[name] - mean) > _MOST_PRIOR_SDS * sd
    ]
    if far:
        raise TooLittleDataError(
            f"the E2 results contradict what is known of assays ({', '.join(far)}). Check the E2 results of "
            "the clinic."
        )
