"""Curves of pygam and statsmodels, those that are installed: ``python curve_peers_python.py folder``.

Files are those of ``curve_peers.R``. Imports nothing of e2analytics, as the peers may live in another
environment.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

Z95 = 1.959963984540054


def main(folder: str) -> None:
    """Fit all cohorts of a folder."""
    for fit in (pygam_curve, glmgam_curves):
        for file in sorted(Path(folder).glob("*.rows")):
            rows = np.fromfile(file).reshape(-1, 8)
            grid = np.fromfile(file.with_suffix(".grid"))
            try:
                said = fit(rows, grid)
            except ImportError:
                break
            for name, curve in said.items():
                np.asarray(curve, dtype=np.float64).tofile(file.with_suffix(f".{name}.fit"))


def pygam_curve(rows: np.ndarray, grid: np.ndarray) -> dict[str, np.ndarray]:
    """20 splines, smoothing by its grid search (GCV)."""
    from pygam import LinearGAM, l, s

    centred = rows[:, 4:] - rows[:, 4:].mean(axis=0)
    design = np.column_stack([rows[:, 2], centred])
    n_covariates = centred.shape[1]
    terms = s(0, n_splines=20)
    for column in range(1, n_covariates + 1):
        terms += l(column, lam=1e-6)
    weight = rows[:, 3] / rows[:, 3].mean()
    tried = np.array([[lam, *[1e-6] * n_covariates] for lam in np.logspace(-3, 3, 11)])
    model = LinearGAM(terms).gridsearch(
        design, rows[:, 1], weights=weight, lam=tried, progress=False
    )
    at = np.column_stack([grid, np.zeros((len(grid), n_covariates))])
    low, high = model.confidence_intervals(at, width=0.95).T
    return {"pygam": np.stack([model.predict(at), low, high])}


def glmgam_curves(rows: np.ndarray, grid: np.ndarray) -> dict[str, np.ndarray]:
    """20 splines, penalty by AIC; intervals as they come, and clustered by man."""
    from statsmodels.gam.api import BSplines, GLMGam

    centred = rows[:, 4:] - rows[:, 4:].mean(axis=0)
    exog = np.column_stack([np.ones(len(rows)), centred])
    basis = BSplines(rows[:, [2]], df=[20], degree=[3])
    weight = rows[:, 3] / rows[:, 3].mean()
    model = GLMGam(rows[:, 1], exog=exog, smoother=basis, alpha=[1.0], var_weights=weight)
    model.fit()  # its search wants a scale
    model.alpha = [
        float(each) for each in np.atleast_1d(model.select_penweight(criterion="aic")[0])
    ]
    at = np.zeros((len(grid), exog.shape[1]))
    at[:, 0] = 1.0
    design = np.column_stack([at, basis.transform(grid[:, None])])
    found = {}
    for name, how in (
        ("GLMGam", {}),
        ("GLMGam_clustered", {"cov_type": "cluster", "cov_kwds": {"groups": rows[:, 0]}}),
    ):
        fit = model.fit(**how)
        estimate = design @ np.asarray(fit.params)
        covariance = np.asarray(fit.cov_params())
        error = np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design))
        found[name] = np.stack([estimate, estimate - Z95 * error, estimate + Z95 * error])
    return found


if __name__ == "__main__":
    main(sys.argv[1])
