"""Seconds of one refit of resampled men by pygam and statsmodels, those that are installed.

``python python_refits.py rows.bin columns n``; imports nothing of e2analytics, as the peers may live
in another environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np


def main(file: str, n_columns: int, n_refits: int) -> None:
    """Print a JSON object of seconds."""
    rows = np.fromfile(file).reshape(-1, n_columns)
    if len(rows) >= 1_000_000:
        print("{}")
        return
    rng = np.random.default_rng(0)
    starts = np.flatnonzero(np.diff(rows[:, 0], prepend=-1))
    men = np.split(np.arange(len(rows)), starts[1:])
    found = {}
    for name, make in (("pygam", pygam_fit), ("statsmodels GLMGam", glmgam_fit)):
        try:
            fit = make()
        except ImportError:
            continue
        seconds = []
        for _ in range(n_refits):
            drawn = np.concatenate([men[i] for i in rng.integers(len(men), size=len(men))])
            taken = rows[drawn]
            start = time.perf_counter()
            fit(taken[:, 2], taken[:, 3:], taken[:, 1])
            seconds.append(time.perf_counter() - start)
        found[name] = min(seconds)
    print(json.dumps(found))


def pygam_fit() -> Callable[[np.ndarray, np.ndarray, np.ndarray], object]:
    """Smoothing by its grid search over eleven values (GCV)."""
    from pygam import LinearGAM, l, s

    def fit(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> object:
        terms = s(0, n_splines=20)
        for column in range(1, z.shape[1] + 1):
            terms += l(column, lam=1e-6)
        lam = [[value] * 1 for value in np.logspace(-3, 3, 11)]
        grid = [[*value, *[1e-6] * z.shape[1]] for value in lam]
        model = LinearGAM(terms)
        return model.gridsearch(np.column_stack([x, z]), y, lam=np.array(grid), progress=False)

    return fit


def glmgam_fit() -> Callable[[np.ndarray, np.ndarray, np.ndarray], object]:
    """Smoothing fixed: it has no fast way to choose it."""
    from statsmodels.gam.api import BSplines, GLMGam

    def fit(x: np.ndarray, z: np.ndarray, y: np.ndarray) -> object:
        basis = BSplines(x[:, None], df=[20], degree=[3])
        exog = np.column_stack([np.ones(len(x)), z])
        return GLMGam(y, exog=exog, smoother=basis, alpha=[1.0]).fit()

    return fit


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
