r"""Draws and parameters of the dose response.

For draw j of man i at time :math:`t_j`, with :math:`u_i` his level, :math:`s_i` his response beyond what his
covariates and his dose say, and :math:`z_i` his movement,

.. math:: \eta_{ij} = x_{ij}'\beta + g(d_{ij}) + u_i + on_{ij} s_i + z_i(t_j) + J_i(t_j),

and a reading of :math:`\eta_{ij}` by ``assay``. :math:`u` and :math:`s` are jointly normal over men. :math:`z` is a
stationary Ornstein-Uhlenbeck process; :math:`J` takes a normal step, for good, at each change of the testosterone
order after his first draw. ``state_space`` has their algebra, ``propagation`` the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.assay import Assays
from e2analytics.models.dose_response.dose_effect import Effect, effect
from e2analytics.models.dose_response.state_space import Spreads

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
    "log_sd_movement",
    "log_days_movement",
    "log_sd_jump",
)
"""Parameters common to all men, after the coefficients, in the order of
``propagation.Integrated.scores``."""


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
    day : ndarray, shape (m,)
        When, in days since any day that all share.
    segment : ndarray of int, shape (m,)
        Changes of the man's testosterone order until then; never fewer on a later day.
    n_men : int
        Number of men; one may have no draw.
    """

    man: Integers
    low_pg_ml: Vector
    high_pg_ml: Vector
    ms: Flags
    dose_mg_per_week: Vector
    covariates: Matrix
    day: Vector
    segment: Integers
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
            self.day[rows],
            self.segment[rows],
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
    log_sd_movement, log_days_movement : float
        SD of a man's slow movement at any time, and the days after which 1 / e of it is left.
    log_sd_jump : float
        SD of the lasting step that one change of the testosterone order brings.
    assays : Assays
        How the assays read.
    """

    coefficients: Vector
    logit_emax: float
    log_ed50: float
    log_sd_level: float
    response_per_level: float
    log_sd_response: float
    log_sd_movement: float
    log_days_movement: float
    log_sd_jump: float
    assays: Assays

    @classmethod
    def from_vector(cls, vector: Vector) -> Population:
        """Return the parameters of a vector (p + 13,): coefficients, then ``PARAMETERS``."""
        rest = dict(zip(PARAMETERS, vector[-len(PARAMETERS) :].tolist(), strict=True))
        return cls(
            vector[: -len(PARAMETERS)],
            rest["logit_emax"],
            rest["log_ed50"],
            rest["log_sd_level"],
            rest["response_per_level"],
            rest["log_sd_response"],
            rest["log_sd_movement"],
            rest["log_days_movement"],
            rest["log_sd_jump"],
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
        """The parameters as a vector (p + 13,): coefficients, then ``PARAMETERS``."""
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
                self.log_sd_movement,
                self.log_days_movement,
                self.log_sd_jump,
            ]
        )

    @property
    def spreads(self) -> Spreads:
        """How men differ and move."""
        return Spreads(
            self.log_sd_level,
            self.response_per_level,
            self.log_sd_response,
            self.log_sd_movement,
            self.log_days_movement,
            self.log_sd_jump,
        )

    def effect(self, dose_mg_per_week: Vector) -> Effect:
        """Return what doses do to log E2 of the average man."""
        return effect(dose_mg_per_week, self.logit_emax, self.log_ed50)
