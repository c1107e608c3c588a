"""Rows made of Weyl sequences, frac(i sqrt(prime)): the data of ``reference/*.R``.

The same numbers come out of any language, so that references need no stored data.
"""

from dataclasses import dataclass

import numpy as np

PRIMES = (
    *(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89),
    *(97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173),
)


@dataclass(frozen=True)
class Rows:
    """Arrays of shape (n,); ``lost`` is 0 or 1."""

    log_e2: np.ndarray
    z1: np.ndarray
    z2: np.ndarray
    weight: np.ndarray
    change: np.ndarray
    log_years: np.ndarray
    lost: np.ndarray


def weyl(n: int, column: int) -> np.ndarray:
    """Return n numbers that lie in 0-1 like uniform ones; ``column`` 1 is of the first prime."""
    return np.arange(1, n + 1) * np.sqrt(PRIMES[column - 1]) % 1


def bell(n: int, first: int) -> np.ndarray:
    """Return n numbers like normal ones: twelve columns less six, mean 0, variance 1."""
    return sum(weyl(n, column) for column in range(first, first + 12)) - 6


def rows_of(n: int, kind: str) -> Rows:
    """Make n rows; ``kind`` is plain, weighted, ties, collinear, outliers (all weighted) or risk."""
    x = np.log(6) + (np.log(80) - np.log(6)) * weyl(n, 1)
    if kind == "ties":
        x = np.round(10 * x) / 10
    z1, own = bell(n, 2), weyl(n, 14) - 0.5
    z2 = z1 + 0.01 * own if kind == "collinear" else 0.5 * (x - 3) + own
    weight = np.ones(n) if kind in ("plain", "risk") else 0.3 + 2.7 * weyl(n, 15)
    harm = np.clip((np.log(20) - x) / np.log(2), 0, 1)
    change = -2.5 * harm + 0.4 * z1 - 0.2 * z2 + 2 * bell(n, 16) / np.sqrt(weight)
    if kind == "outliers":
        change = change + np.where(weyl(n, 28) < 0.02, 30, 0)
    years = 1 + 4 * weyl(n, 29)
    hazard = np.exp(-2.2 + 0.5 * np.log(years) + 1.2 * harm + 0.2 * z1 - 0.1 * z2)
    lost = (weyl(n, 30) < 1 - np.exp(-hazard)).astype(float)
    return Rows(x, z1, z2, weight, change, np.log(years), lost)
