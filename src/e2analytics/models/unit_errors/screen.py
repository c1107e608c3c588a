"""Screens the sources of a month for unit mix-ups by a cheap bound, generous on purpose.

A result counts by its deviation and its standard deviation, both rounded. A table, made once, holds what
every slip would gain by it, so that a month of a million results costs one pass.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from e2analytics.models.unit_errors.arrays import Codes
from e2analytics.models.unit_errors.slip_evidence import Vector, log_density
from e2analytics.models.unit_errors.source_levels import Scales

ENOUGH_LOG_BF: Final = 4.0
_SHARES: Final = np.array([0.02, 0.1, 0.4, 0.97])
_ODD_DEVIATION: Final = 0.5
_STEP: Final = 0.04
_REACH: Final = 6.0
_N_SDS: Final = 12


class Screen:
    """What each slip would gain by a result.

    Parameters
    ----------
    shifts : ndarray, shape (k,)
        Log factors.
    scales : Scales
    """

    def __init__(self, shifts: Vector, scales: Scales) -> None:
        known_well = scales.within_sd
        unknown = float(np.hypot(scales.within_sd, scales.between_sd))
        self._sds = np.linspace(known_well, unknown, _N_SDS)
        deviations = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
        at = deviations[:, None, None] - np.concatenate([[0.0], shifts])
        density = log_density(at, self._sds[:, None], scales.odd)
        gain = (density[..., 1:] - density[..., :1])[..., None]
        each = np.logaddexp(np.log1p(-_SHARES), np.log(_SHARES) + gain) - np.log1p(-_SHARES)
        self._table = each.reshape(len(deviations) * _N_SDS, len(shifts) * len(_SHARES))
        self._of_none = np.tile(np.log1p(-_SHARES), len(shifts))

    def log_bf(self, deviation: Vector, sd: Vector, code: Codes, n_sources: int) -> Vector:
        """Return about how strongly each source's results speak for their best slip: (n_sources,)."""
        odd = np.flatnonzero(np.abs(deviation) > _ODD_DEVIATION)
        step = (self._sds[-1] - self._sds[0]) / (_N_SDS - 1)
        across = np.rint((sd[odd] - self._sds[0]) / step).astype(np.int64)
        along = np.rint((np.clip(deviation[odd], -_REACH, _REACH) + _REACH) / _STEP).astype(
            np.int64
        )
        cell = along * _N_SDS + np.clip(across, 0, _N_SDS - 1)
        n_cells = len(self._table)
        counted = np.bincount(cell + n_cells * code[odd], minlength=n_sources * n_cells)
        counts = counted.reshape(n_sources, n_cells).astype(np.float64)
        n = np.bincount(code, minlength=n_sources)[:, None]
        best: Vector = (n * self._of_none + counts @ self._table).max(axis=1)
        return best
