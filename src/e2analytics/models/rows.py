"""Rows of a curve: scan pairs with their exposure, covariates and outcome, as arrays.

In    arrays, one row per usable scan pair (or other row) of one site and outcome
Out   ``CurveData``, which can be cut into parts that keep each man whole

Does not fit or judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class CurveData:
    """Usable scan pairs (or other rows) of one site and outcome.

    Attributes
    ----------
    log_e2 : array of shape (n,)
        Point exposure of each row, log pg/mL: decides support and range.
    log_e2_mean, log_e2_sd : array of shape (n, s)
        Normal posterior of log E2 in each of s episodes of the row's interval.
    episode_weight : array of shape (n, s)
        Share of the interval's time; rows sum to one.
    covariates : array of shape (n, c)
        Linear terms, any units; c may be 0.
    outcome : array of shape (n,)
    patient : integer array of shape (n,)
        Equal codes are one man.
    sampling_variance : array of shape (n,)
        Variance of the outcome due to measurement alone; all zero if unknown.
    """

    log_e2: Array
    log_e2_mean: Array
    log_e2_sd: Array
    episode_weight: Array
    covariates: Array
    outcome: Array
    patient: Codes
    sampling_variance: Array

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.outcome)

    @classmethod
    def at_points(
        cls,
        log_e2: Array,
        outcome: Array,
        patient: Codes,
        covariates: Array | None = None,
        sampling_variance: Array | None = None,
    ) -> Self:
        """Rows whose E2 is taken as known exactly; arrays of shape (n,), covariates (n, c)."""
        n = len(log_e2)
        return cls(
            log_e2=log_e2,
            log_e2_mean=log_e2[:, None],
            log_e2_sd=np.zeros((n, 1)),
            episode_weight=np.ones((n, 1)),
            covariates=np.empty((n, 0)) if covariates is None else covariates,
            outcome=outcome,
            patient=patient,
            sampling_variance=np.zeros(n) if sampling_variance is None else sampling_variance,
        )

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Keep some rows, in the order given."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def parts(self, n_parts: int) -> Sequence[Self]:
        """Cut into parts; a man's rows stay together."""
        part = numbered(self.patient) % n_parts
        return [self.take(part == number) for number in range(n_parts)]


def distinct(codes: Codes) -> Codes:
    """Give each code once, ascending."""
    if not _ascend(codes):
        return np.unique(codes)
    once: Codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)]]
    return once


def numbered(codes: Codes) -> Codes:
    """Give the number of each row's code among the distinct ones, from 0, shape (n,)."""
    if not _ascend(codes):
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return np.cumsum(np.concatenate([[False], codes[1:] != codes[:-1]]))[: len(codes)]


def _ascend(codes: Codes) -> bool:
    """Whether rows are in the order of codes, as they are in most tables: nothing to sort then."""
    return bool(np.all(codes[1:] >= codes[:-1]))
