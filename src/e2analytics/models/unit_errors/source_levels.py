"""What results of one analyte are like before a slip is looked for: their scatter, each source's level.

Estimated from all sources at once by medians and held within clinical bounds: a source that slipped
moves them little.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from e2analytics.models.unit_errors.arrays import Codes
from e2analytics.models.unit_errors.slip_evidence import Integers, Vector

BETWEEN_SOURCES_SD: Final = 0.2  # assays and clinics differ (Ohlsson, JCEM 2013;98:E1097)

# Our own rules, on the natural log scale, where nothing else is said.
_WITHIN: Final = (0.15, 0.5, 0.28)  # a man's own results: least, most, where there are too few
_BETWEEN_MEN: Final = (0.25, 0.6, 0.4)
_ODD: Final = (0.004, 0.03)  # share of results that can lie anywhere
_IMPOSSIBLE_SDS: Final = 2.5  # of clinical knowledge: beyond, other sources are not believed
_LEAST_VOTE: Final = 10  # results that a source needs to count for others
_SAMPLE: Final = 300_000
_BIN, _N_BINS = 0.02, 800


@dataclass(frozen=True, slots=True)
class Scales:
    """How much one man's results scatter and men differ (log scale); share that can lie anywhere."""

    within_sd: float
    between_sd: float
    odd: float


@dataclass(slots=True)
class SourceLevels:
    """What is known of each source of one kind; arrays of shape (sources,)."""

    start: Vector
    start_variance: Vector
    level: Vector = field(init=False)
    variance: Vector = field(init=False)
    arrived: Vector = field(init=False)  # precision, its pull, precision without history or drug
    goes_on: Integers = field(init=False)
    goes_on_prior: Vector = field(init=False)

    def __post_init__(self) -> None:
        n = len(self.start)
        self.level, self.variance = self.start.copy(), self.start_variance.copy()
        self.arrived = np.zeros((5, n))
        self.goes_on = np.full(n, -1)
        self.goes_on_prior = np.zeros(n)


def scales_of(residual: Vector, key: Codes, month: Codes) -> Scales:
    """Estimate by medians how much men differ and how much a man varies, from a sample of men."""
    stride = max(1, len(key) // _SAMPLE)
    sample = np.flatnonzero(key % (3 * stride) < 3)
    order = sample[np.lexsort((month[sample], key[sample]))]
    same = key[order][1:] == key[order][:-1]
    step = np.diff(residual[order])[same]
    if len(step) < 50:
        return Scales(_WITHIN[2], _BETWEEN_MEN[2], _ODD[0])
    within = float(np.clip(np.median(np.abs(step)) / 0.6745 / np.sqrt(2), *_WITHIN[:2]))
    first = residual[order][np.concatenate([[True], ~same])]
    total = float(np.median(np.abs(first - np.median(first)))) / 0.6745
    between = float(np.clip(np.sqrt(max(total**2 - within**2, 0.0)), *_BETWEEN_MEN[:2]))
    odd = float(np.clip(np.mean(np.abs(step) > 4.5 * np.sqrt(2) * within) / 2, *_ODD))
    return Scales(within, between, odd)


def in_bins(residual: Vector) -> Codes:
    """Return the bin of each residual, for :func:`medians_of`."""
    at = np.clip(residual / _BIN + _N_BINS // 2, 0, _N_BINS - 1)
    return np.rint(at, out=at).astype(np.int16)


def medians_of(binned: Codes, code: Codes, n: int) -> tuple[Vector, Vector]:
    """Return the median of each source to a bin and its results, without sorting: shape (n,) each."""
    cell = code.astype(np.int64) * _N_BINS + binned
    count = np.bincount(cell, minlength=n * _N_BINS).reshape(n, _N_BINS)
    total = count.sum(axis=1)
    middle = np.argmax(count.cumsum(axis=1) >= (total / 2)[:, None], axis=1)
    return (middle - _N_BINS // 2) * _BIN, total.astype(np.float64)


def beginning(medians: Vector, counts: Vector, centre_sd: float) -> tuple[Vector, Vector]:
    """Return the prior of each source's level, and its variance."""
    votes = np.flatnonzero(counts >= _LEAST_VOTE)
    start, variance = np.zeros(len(medians)), np.zeros(len(medians))
    for source in range(len(medians)):
        others = medians[votes[votes != source]]
        n = len(others)
        middle = float(np.median(others)) if n else 0.0
        if abs(middle) > _IMPOSSIBLE_SDS * centre_sd:
            n, middle = 0, 0.0
        precision = 1 / centre_sd**2 + n / BETWEEN_SOURCES_SD**2
        start[source] = middle * (n / BETWEEN_SOURCES_SD**2) / precision
        variance[source] = BETWEEN_SOURCES_SD**2 + 1 / precision
    return start, variance
