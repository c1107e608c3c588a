r"""Draws, parameters and posteriors of the dose response.

For draw j of man i, with :math:`u_i` his level and :math:`s_i` his response beyond what his covariates and
his dose say,

.. math:: \eta_{ij} = x_{ij}'\beta + g(d_{ij}) + u_i + on_{ij} s_i,

and a reading of :math:`\eta_{ij}` by ``assay``. :math:`u` and :math:`s` are jointly normal over men. A man
without a draw on the drug needs one effect only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.assay import Assays
from e2analytics.models.dose_response.dose_effect import Effect, effect

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

PARAMETERS = (
    "logit_emax",
    "log_ed50",
    *assay.PARAMETERS,
    "log_sd_level",
    "response_per_level",
    "log_sd_response",
)
"""Parameters common to all men, after the coefficients, in the order of ``Integrated.scores``."""


@dataclass(frozen=True, slots=True)
class Draws:
    """m draws of E2 of n men.

    Attributes
    ----------
    man : ndarray of int, shape (m,)
        Which man, 0 ... n_men - 1.
    low_pg_ml, high_pg_ml : ndarray, shape (m,)
        The reading: equal unless censored, 0 and inf where open.
    ms : ndarray of bool, shape (m,)
        By mass spectrometry; all others count as immunoassay.
    dose_mg_per_week : ndarray, shape (m,)
        Anastrozole in force, at steady state; 0 off it.
    covariates : ndarray, shape (m, p)
        What else the level depends on, the constant included.
    n_men : int
        Number of men; one may have no draw.
    """

    man: Integers
    low_pg_ml: Vector
    high_pg_ml: Vector
    ms: Flags
    dose_mg_per_week: Vector
    covariates: Matrix
    n_men: int

    def take(self, rows: Flags | Integers) -> Draws:
        """Keep some of the draws; the men stay the same."""
        return Draws(
            self.man[rows],
            self.low_pg_ml[rows],
            self.high_pg_ml[rows],
            self.ms[rows],
            self.dose_mg_per_week[rows],
            self.covariates[rows],
            self.n_men,
        )

    @property
    def is_exact(self) -> Flags:
        """Whether each reading is a number, not an interval."""
        return np.asarray(self.low_pg_ml == self.high_pg_ml)


@dataclass(frozen=True, slots=True)
class Population:
    """Parameters common to all men, with p covariates.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
        Of the covariates, on log E2.
    logit_emax, log_ed50 : float
        Of the dose (``dose_effect``).
    log_sd_level, response_per_level, log_sd_response : float
        Men's own levels are normal with that SD; a response is normal around ``response_per_level`` times
        the level, with its own SD.
    assays : Assays
        How the assays read.
    """

    coefficients: Vector
    logit_emax: float
    log_ed50: float
    log_sd_level: float
    response_per_level: float
    log_sd_response: float
    assays: Assays

    @classmethod
    def from_vector(cls, vector: Vector) -> Population:
        """Return the parameters of a vector (p + 10,): coefficients, then ``PARAMETERS``."""
        rest = dict(zip(PARAMETERS, vector[-len(PARAMETERS) :].tolist(), strict=True))
        return cls(
            vector[: -len(PARAMETERS)],
            rest["logit_emax"],
            rest["log_ed50"],
            rest["log_sd_level"],
            rest["response_per_level"],
            rest["log_sd_response"],
            Assays(
                np.exp(rest["log_sd_ms"]),
                np.exp(rest["log_ia_slope"]),
                rest["ia_constant_pg_ml"],
                np.exp(rest["log_ia_cv"]),
                np.exp(rest["log_ia_sd_pg_ml"]),
            ),
        )

    @property
    def vector(self) -> Vector:
        """The parameters as a vector (p + 10,): coefficients, then ``PARAMETERS``."""
        assays = self.assays
        return np.array(
            [
                *self.coefficients,
                self.logit_emax,
                self.log_ed50,
                np.log(assays.sd_ms),
                np.log(assays.ia_slope),
                assays.ia_constant_pg_ml,
                np.log(assays.ia_cv),
                np.log(assays.ia_sd_pg_ml),
                self.log_sd_level,
                self.response_per_level,
                self.log_sd_response,
            ]
        )

    def effect(self, dose_mg_per_week: Vector) -> Effect:
        """Return what doses do to log E2 of the average man."""
        return effect(dose_mg_per_week, self.logit_emax, self.log_ed50)

    def precision(self, n_effects: int) -> Matrix:
        """Return the inverse covariance of the first ``n_effects`` of (level, response)."""
        level = np.exp(-2 * self.log_sd_level)
        if n_effects == 1:
            return np.array([[level]])
        slope, own = self.response_per_level, np.exp(-2 * self.log_sd_response)
        return np.array([[level + slope**2 * own, -slope * own], [-slope * own, own]])

    def log_determinant(self, n_effects: int) -> float:
        """Return the log determinant of that covariance."""
        return 2 * (self.log_sd_level + (self.log_sd_response if n_effects == 2 else 0.0))


@dataclass(frozen=True, slots=True)
class Rows:
    """Draws of one kind within a block, sorted by man; r of them."""

    man: Integers  # within the block
    draws: Draws
    on: Vector


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over the exact draws by mass spectrometry of a man at a dose; c of them, sorted by man.

    ``gram`` of shape (c, p + 1, p + 1) holds the sums of products of (covariates, log E2), whose first
    covariate is the constant: its first row are the counts and sums.
    """

    man: Integers
    dose_mg_per_week: Vector
    on: Vector
    gram: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """Men of one kind, integrated over together.

    Attributes
    ----------
    men : ndarray of int, shape (b,)
        Which men.
    n_effects : int
        1 if none of them was seen on the drug.
    cells, exact_ia, censored_ms, censored_ia
        Their draws: exact by mass spectrometry, and the others.
    """

    men: Integers
    n_effects: int
    cells: Cells
    exact_ia: Rows
    censored_ms: Rows
    censored_ia: Rows

    @property
    def is_normal(self) -> bool:
        """Whether all draws are exact readings by mass spectrometry."""
        return not (len(self.exact_ia.man) + len(self.censored_ms.man) + len(self.censored_ia.man))


@dataclass(frozen=True, slots=True)
class Posterior:
    """Normal approximation of b men's own effects: mean (b, e), covariance (b, e, e)."""

    mean: Matrix
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Integrated:
    """A block integrated over its men's effects.

    ``log_likelihood`` of shape (b,); ``scores`` of shape (b, p + 10), its derivatives by the p coefficients
    and ``PARAMETERS``; ``posterior``, the moments.
    """

    log_likelihood: Vector
    scores: Matrix
    posterior: Posterior
