"""Input and result of the search for unit mix-ups, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.unit_errors.slip_evidence import Integers, Vector

Flags = NDArray[np.bool_]
Codes = NDArray[np.integer[Any]]
Basis = Literal["own_results", "population", "continued", "either_side"]
Doubt = Literal["treatment", "no_history"]

UNTREATED, TREATED, UNKNOWN = 0, 1, 2
"""Values of ``Results.treated``: whether the drug that moves this analyte was at work at the draw."""

WHOLE: Final = 0.8
"""A slip of at least this share of a month's results is of all of them; of less, row by row."""


@dataclass(frozen=True, slots=True)
class Results:
    """Uncensored results of one analyte; arrays of shape (n,).

    Attributes
    ----------
    log_value : ndarray
        Log of the result in the analyte's unit, as declared.
    man, month : ndarrays of int
        Codes from 0; months in order of time.
    treated : ndarray of int
        ``UNTREATED``, ``TREATED`` or ``UNKNOWN``.
    sources : tuple of ndarrays of int
        One per kind of source, codes from 0, -1 for none; of two kinds that explain a slip equally
        well, the first is blamed.
    released : ndarray of bool
        The clinic has decided that these are right: never under suspicion.
    """

    log_value: Vector
    man: Codes
    month: Codes
    treated: Codes
    sources: tuple[Codes, ...]
    released: Flags

    def of(self, some: Integers) -> Results:
        """Return some of the results."""
        return Results(
            self.log_value[some],
            self.man[some],
            self.month[some],
            self.treated[some],
            tuple(code[some] for code in self.sources),
            self.released[some],
        )


@dataclass(frozen=True, slots=True)
class Belief:
    """What is known before any result is seen.

    Attributes
    ----------
    centre : tuple of 3 floats
        Log of the level in the middle of men untreated, treated, unknown.
    centre_sd : float
        How sure that is.
    shifts : ndarray, shape (k,)
        Log factors of the slips that are possible.
    slip_prior : float
        Share of source-months with a slip.
    least_odds : float
        Posterior odds from which a slip is held for real.
    """

    centre: tuple[float, float, float]
    centre_sd: float
    shifts: Vector
    slip_prior: float = 0.005
    least_odds: float = 10.0


@dataclass(frozen=True, slots=True)
class Slip:
    """A source's month that slipped, or (not ``decided``) a source that may have.

    Attributes
    ----------
    kind, source, month : int
        Codes of the source; ``month`` is -1 where no month is decided.
    shift : int
        Index in ``Belief.shifts``.
    log_bf : float
        Natural log of the Bayes factor; of all months together where the basis is ``population``.
    share : float
        Share of the results that slipped.
    basis : str
        What it was compared with; ``either_side``: the months before may be the wrong ones.
    n_results, n_with_history : int
        Results that were weighed, and of those the ones of men with results elsewhere or earlier.
    rows : ndarray of int
        Places of the suspects.
    decided : bool
    doubt : str or None
        Why a group that looks like a slip is not decided: ``treatment``, a change of which explains it as
        well; ``no_history``, a part of a month whose men nothing is known of.
    """

    kind: int
    source: int
    month: int
    shift: int
    log_bf: float
    share: float
    basis: Basis
    n_results: int
    n_with_history: int
    rows: Integers
    decided: bool
    doubt: Doubt | None = None

    @property
    def whole(self) -> bool:
        """Whether all results of the source and month share its fate."""
        return self.share >= WHOLE
