"""Textbook tests of the same rows: a quadratic, two lines, and shapes compared by prediction.

In    log E2, benefit (larger is better), covariates, weights, men
Out   Lind and Mehlum's test with Fieller's interval, Simonsohn's two lines, errors out of sample

Shown with the verdict, which never rests on them: a quadratic finds an optimum in every threshold,
and all take E2 as known exactly. Standard errors are clustered by man.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orth
from scipy.special import ndtr, stdtr, stdtrit

from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import N_STRAIGHT, design
from e2analytics.models.pspline import Array, Basis

_N_SPLINES = 10
"""As in Simonsohn's own programme."""
_MIDDLE = (0.1, 0.9)
"""Where a break may lie, quantiles of E2: each line keeps a tenth of the levels."""
_N_BREAKS = 40
_N_FOLDS = 10
_SEED = 0


@dataclass(frozen=True)
class Rows:
    """Rows with E2 taken as known.

    Attributes
    ----------
    log_e2, benefit, weight : array of shape (n,)
    covariates : array of shape (n, c)
    patient : integer array of shape (n,)
    """

    log_e2: Array
    benefit: Array
    covariates: Array
    weight: Array
    patient: NDArray[np.int64]

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.benefit)

    def take(self, some: NDArray[np.bool_]) -> Rows:
        """Keep some rows."""
        return Rows(
            self.log_e2[some],
            self.benefit[some],
            self.covariates[some],
            self.weight[some],
            self.patient[some],
        )


@dataclass(frozen=True)
class Slope:
    """A slope per unit of log E2, and the one-sided p value that it has the expected sign by chance."""

    value: float
    p: float


@dataclass(frozen=True)
class Quadratic:
    """Lind and Mehlum's test of an optimum.

    Attributes
    ----------
    low, high : Slope
        At the lowest and highest E2: rising, falling.
    p : float
        Of no optimum inside the data: the larger of the two.
    best_e2_pg_ml : float or None
        Top of the parabola; None where it opens upwards.
    ci_pg_ml : pair of float or None
        Fieller's 95 % interval; None where it is not bounded.
    """

    low: Slope
    high: Slope
    p: float
    best_e2_pg_ml: float | None
    ci_pg_ml: tuple[float, float] | None


@dataclass(frozen=True)
class TwoLines:
    """Simonsohn's test: a rising line below the break, a falling one above it.

    Attributes
    ----------
    break_pg_ml : float
    low, high : Slope
        Below and above the break.
    p : float
        Of no optimum: the larger of the two.
    """

    break_pg_ml: float
    low: Slope
    high: Slope
    p: float


@dataclass(frozen=True)
class Prediction:
    """How well a shape predicts men it was not fitted to.

    Attributes
    ----------
    error : float
        Weighted root mean square error, unit of the outcome.
    p_as_good : float or None
        One-sided, clustered by man: that it predicts as well as the best; None for the best.
    """

    error: float
    p_as_good: float | None


def quadratic(rows: Rows) -> Quadratic:
    """Fit a parabola in log E2 and ask whether its top lies inside the data.

    Notes
    -----
    Lind and Mehlum, Oxf Bull Econ Stat 2010;72:109; the top's interval by Fieller, J R Stat Soc B
    1954;16:175.
    """
    x = rows.log_e2
    found = _least_squares(np.column_stack([_ones(x), x, x**2, _centred(rows)]), rows)
    low, high = (
        found.slope(np.array([0.0, 1.0, 2 * end]), sign)
        for end, sign in ((x.min(), 1), (x.max(), -1))
    )
    linear, square = found.coefficients[1:3]
    best = float(np.exp(-linear / (2 * square))) if square < 0 else None
    return Quadratic(low, high, max(low.p, high.p), best, _fieller(found) if best else None)


def _fieller(found: _Clustered) -> tuple[float, float] | None:
    """Levels m at which the slope, linear + 2 square m, may be zero."""
    (linear, square), among = found.coefficients[1:3], found.covariance[1:3, 1:3]
    critical = float(stdtrit(found.dof, 0.975)) ** 2
    a = 4 * (square**2 - critical * among[1, 1])
    b = 4 * (linear * square - critical * among[0, 1])
    c = linear**2 - critical * among[0, 0]
    inside = b**2 - 4 * a * c
    if a <= 0 or inside < 0:
        return None
    ends = (-b + np.array([-1, 1]) * np.sqrt(inside)) / (2 * a)
    return float(np.exp(ends[0])), float(np.exp(ends[1]))


def two_lines(rows: Rows) -> TwoLines:
    """Break the curve where the flatter line gains most, and test both lines.

    Notes
    -----
    Simonsohn, Adv Methods Pract Psychol Sci 2018;1:538. A smoother gives the levels at which it is
    within one standard error of its top; lines broken at their median say which is the weaker; the
    break moves towards the stronger in proportion ("Robin Hood"). The smoother is ours, a P-spline
    by REML, and what is looked for is a top, whatever the sign of a quadratic.
    """
    top = _flat_top(rows)
    first = _broken(rows, float(np.median(top)))
    error = np.sqrt(np.diagonal(first.covariance)[1:3])
    strength = np.divide(np.abs(first.coefficients[1:3]), error, out=np.zeros(2), where=error > 0)
    # Where neither line has a slope, the middle.
    share = strength[1] / strength.sum() if strength.sum() > 0 else 0.5
    at = float(np.quantile(top, share))
    found = _broken(rows, at)
    low = found.slope(np.array([0.0, 1.0]), 1)
    high = found.slope(np.array([0.0, 0.0, 1.0]), -1)
    return TwoLines(float(np.exp(at)), low, high, max(low.p, high.p))


def _flat_top(rows: Rows) -> Array:
    """Levels of log E2 in the middle at which the smoother reaches its top within one error."""
    basis = Basis(float(rows.log_e2.min()), float(rows.log_e2.max()), _N_SPLINES)
    smoother = _spline(rows, basis)
    levels = np.unique(rows.log_e2)
    low, high = np.quantile(levels, _MIDDLE)
    levels = levels[(levels > low) & (levels < high)]
    height, error = smoother(levels, np.zeros((len(levels), rows.covariates.shape[1])))
    return np.asarray(levels[height + error >= height.max()])


def _spline(rows: Rows, basis: Basis) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Fit a P-spline by REML; return its height and error by level and covariates less their means."""
    covariates, mean = _centred(rows), np.average(rows.benefit, weights=rows.weight)
    columns = design(basis, basis.evaluate(rows.log_e2), covariates)
    table = np.column_stack([columns, rows.benefit - mean]) * np.sqrt(rows.weight)[:, None]
    n_fixed = N_STRAIGHT + covariates.shape[1]
    parts = decompose((table.T @ table)[None], np.array([float(len(rows))]), n_fixed)
    smoothing = parts.spectrum.reml()
    coefficients = parts.coefficients(smoothing)[0]
    covariance = parts.covariance(smoothing)[0] * parts.scale(smoothing)[0]

    def at(levels: Array, away: Array) -> tuple[Array, Array]:
        here = design(basis, basis.evaluate(levels), away)
        error = np.sqrt(np.einsum("ij,jk,ik->i", here, covariance, here))
        return mean + here @ coefficients, error

    return at


def _broken(rows: Rows, at: float) -> _Clustered:
    """Fit a line up to the break and another, of its own height, above it."""
    away = rows.log_e2 - at
    above = away > 0
    columns = [_ones(away), np.where(above, 0.0, away), np.where(above, away, 0.0)]
    return _least_squares(np.column_stack([*columns, above, _centred(rows)]), rows)


def out_of_sample(rows: Rows) -> Mapping[str, Prediction]:
    """Compare a line, a line with a plateau, a parabola and a spline by what they predict.

    Every man is predicted by a fit to the men of the other nine tenths.
    """
    fold = _folds(rows.patient)
    shapes = {
        "linear": _polynomial(1),
        "plateau": _plateau,
        "quadratic": _polynomial(2),
        "spline": _own_spline,
    }
    squares = {name: np.zeros(len(rows)) for name in shapes}
    for number in range(_N_FOLDS):
        left_out = fold == number
        if not left_out.any():
            continue
        known, asked = rows.take(~left_out), rows.take(left_out)
        for name, shape in shapes.items():
            squares[name][left_out] = (asked.benefit - shape(known, asked)) ** 2
    best = min(shapes, key=lambda name: float(rows.weight @ squares[name]))
    return {
        name: Prediction(
            float(np.sqrt(rows.weight @ squares[name] / rows.weight.sum())),
            None if name == best else _p_as_good(rows, squares[name] - squares[best]),
        )
        for name in shapes
    }


def _folds(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    man = np.unique(patient, return_inverse=True)[1]
    shuffled = np.random.default_rng(_SEED).permutation(man.max() + 1)
    return np.asarray(shuffled[man] % _N_FOLDS)


def _p_as_good(rows: Rows, worse: Array) -> float:
    """One-sided p of no greater squared error, by men."""
    man = np.unique(rows.patient, return_inverse=True)[1]
    by_man = np.bincount(man, rows.weight * worse)
    # Twins under the null: the sum over men is as likely above as below zero.
    spread = np.sqrt((by_man**2).sum())
    return float(ndtr(-by_man.sum() / spread)) if spread > 0 else 1.0


def _polynomial(degree: int) -> Callable[[Rows, Rows], Array]:
    def predict(known: Rows, asked: Rows) -> Array:
        powers = np.arange(degree + 1)
        return _predicted(
            known, asked, known.log_e2[:, None] ** powers, asked.log_e2[:, None] ** powers
        )

    return predict


def _plateau(known: Rows, asked: Rows) -> Array:
    """Predict by a line up to the break that fits best, level above."""
    low, high = np.quantile(known.log_e2, _MIDDLE).tolist()
    breaks = np.linspace(low, high, _N_BREAKS)
    at = breaks[np.argmax(_gains(known, np.minimum.outer(known.log_e2, breaks)))]

    def columns(rows: Rows) -> Array:
        return np.column_stack([_ones(rows.log_e2), np.minimum(rows.log_e2, at)])

    return _predicted(known, asked, columns(known), columns(asked))


def _gains(rows: Rows, columns: Array) -> Array:
    """By how much each column, shape (n, k), lessens the squared residuals, given the covariates."""
    root = np.sqrt(rows.weight)[:, None]
    given = orth(np.column_stack([_ones(rows.log_e2), rows.covariates]) * root)
    table = np.column_stack([rows.benefit, columns]) * root
    left = table - given @ (given.T @ table)
    explained = left[:, 1:].T @ left[:, 0]
    size, spread = (table[:, 1:] ** 2).sum(axis=0), (left[:, 1:] ** 2).sum(axis=0)
    # A column that the others hold already gains nothing; what is left of it is rounding.
    own = spread > np.finfo(float).eps * size
    gains: Array = np.divide(explained**2, spread, out=np.zeros(len(spread)), where=own)
    return gains


def _own_spline(known: Rows, asked: Rows) -> Array:
    basis = Basis(float(known.log_e2.min()), float(known.log_e2.max()), 2 * _N_SPLINES)
    away = asked.covariates - np.average(known.covariates, axis=0, weights=known.weight)
    return _spline(known, basis)(asked.log_e2, away)[0]


def _predicted(known: Rows, asked: Rows, fitted: Array, wanted: Array) -> Array:
    root = np.sqrt(known.weight)[:, None]
    table = np.column_stack([fitted, known.covariates]) * root
    coefficients = np.linalg.lstsq(table, known.benefit * root[:, 0], rcond=None)[0]
    return np.asarray(np.column_stack([wanted, asked.covariates]) @ coefficients)


@dataclass(frozen=True)
class _Clustered:
    """Least squares with a covariance that is clustered by man."""

    coefficients: Array
    covariance: Array
    dof: int

    def slope(self, contrast: Array, sign: int) -> Slope:
        """Test a contrast of the first coefficients for a sign."""
        n = len(contrast)
        value = float(contrast @ self.coefficients[:n])
        error = float(np.sqrt(contrast @ self.covariance[:n, :n] @ contrast))
        # Without any error nothing is known: an outcome that never varies.
        return Slope(value, float(stdtr(self.dof, -sign * value / error)) if error > 0 else 1.0)


def _least_squares(columns: Array, rows: Rows) -> _Clustered:
    """Fit by weighted least squares; errors as Stata's ``vce(cluster)``, t with men less one."""
    n, k = columns.shape
    bread = np.linalg.pinv((columns * rows.weight[:, None]).T @ columns)
    coefficients = bread @ columns.T @ (rows.weight * rows.benefit)
    scores = columns * (rows.weight * (rows.benefit - columns @ coefficients))[:, None]
    man = np.unique(rows.patient, return_inverse=True)[1]
    by_man = np.zeros((man.max() + 1, k))
    np.add.at(by_man, man, scores)
    n_men = len(by_man)
    few = n_men / (n_men - 1) * (n - 1) / (n - k)
    return _Clustered(coefficients, few * bread @ by_man.T @ by_man @ bread, n_men - 1)


def _ones(like: Array) -> Array:
    return np.ones(len(like))


def _centred(rows: Rows) -> Array:
    """Covariates less their weighted means."""
    return np.asarray(rows.covariates - np.average(rows.covariates, axis=0, weights=rows.weight))
