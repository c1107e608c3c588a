r"""Dose response of E2: population parameters, fitted by marginal likelihood.

The model is that of ``types``: log E2 = covariates + dose + the man's own level + his own response +
his own slow movement + the reading's error. Coefficients, dose, spreads and assays are estimated together by maximising the
likelihood integrated over what is the men's own, times weak priors where few clinics have the data: an
Emax or an ED50 that the data cannot carry stays at its prior, and ``prior_share`` says so.

Steps follow the sum of outer products of the men's scores (Berndt, Hall, Hall and Hausman, Ann Econ Soc
Meas 1974;3:653) and, where these get slow (readings with heavier tails than the model's), the exact curvature. Its
inverse at the end is the covariance of the estimates. Of more than 20,000 men a sample says how the top bends:
that touches no estimate, and standard errors by up to 3 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from e2analytics.errors import TooLittleDataError
from e2analytics.models.dose_response import assay, refusals
from e2analytics.models.dose_response.batches import Batch, batches
from e2analytics.models.dose_response.propagation import Sites, integrate
from e2analytics.models.dose_response.types import PARAMETERS, Draws, Population
from e2analytics.models.threads import one_blas_thread, side_by_side

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MIN_MEN: Final = 30
"""Fewer men do not show how men differ."""
CONSTANT: Final = "constant"
_MAX_STEPS = 200
_MEN_TO_START_WITH, _MEN_FOR_CURVATURE = 5_000, 20_000
_SMALL_STEP, _NOISE, _TOLERANCE = 1e-6, 1e-9, 1e-8
_NEAR, _SLOW = 1.0, 0.5
_POLISHING_ROUNDS, _STEPS_OF_A_ROUND = 4, 6
_DIFFERENCE, _LEAST_MOVE, _SMALL_MOVE = 3e-6, 1e-9, 1e-4
_ROUNDS_NEARBY, _MOST_ROUNDS = 3, 60
_NOT_AT_THE_TOP, _HALVINGS = 0.01, 8


class Prior(NamedTuple):
    """A normal prior of a parameter, with its source."""

    mean: float
    sd: float
    source: str


PRIORS: Final[Mapping[str, Prior]] = {
    "logit_emax": Prior(
        float(np.log(4)),
        0.75,
        "0.80 (0.48-0.95): 80 % after 14 days of 1 mg a day, in women (label); 86 % by letrozole in men with "
        "normal testosterone",
    ),
    "log_ed50": Prior(
        float(np.log(0.32)),
        1.0,
        "0.32 mg/week (0.05-2.3): with Emax 0.80 gives -66 % at 1.5 mg/week (Punjani, Sex Med 2021;9:100378, "
        "men on testosterone, chosen for high E2)",
    ),
    "log_sd_ms": Prior(
        float(np.log(0.22)),
        0.5,
        "0.22 (0.08-0.60): ICC of one E2 0.73 in postmenopausal women over five years; men: none found",
    ),
    "log_ia_slope": Prior(
        0.0,
        0.15,
        "1.0 (0.75-1.34): upper reference limits of men, immunoassay 40-43, MS 35-42 pg/mL",
    ),
    "ia_constant_pg_ml": Prior(
        2.5, 3.0, "2.5 (-3.4-8.4): lower reference limits of men, immunoassay 11-12, MS 8-10 pg/mL"
    ),
    "log_ia_cv": Prior(float(np.log(0.24)), 0.5, "as mass spectrometry, and the assay's own error"),
    "log_ia_sd_pg_ml": Prior(
        float(np.log(5.0)),
        0.5,
        "5 pg/mL (1.9-13): rank correlation with MS 0.53-0.76 in men (Ohlsson, JCEM 2013;98:E1097)",
    ),
    "log_sd_level": Prior(float(np.log(0.4)), 1.0, "hardly a prior: keeps a spread from 0"),
    "response_per_level": Prior(0.0, 0.5, "none known"),
    "log_sd_response": Prior(
        float(np.log(0.22)), 0.5, "0.22 (0.08-0.60): no source; a house assumption"
    ),
    # So wide that it lets movement vanish: a tighter one kept it near 0.03 where nobody moves, and the intervals of
    # men with many draws too wide.
    "log_sd_movement": Prior(
        float(np.log(0.1)),
        3.0,
        "0.10 (0.0003-36): CV within men 14 % over ten weeks, the assay and the swing of days in it (Guldhaug et al.), "
        "and reference change limit 38 % (Ahokoski et al., Clin Chem Lab Med 1998;36:485); over years: none found",
    ),
    # What is forgotten from one draw to the next cannot be told from the scatter of one draw.
    "log_days_movement": Prior(
        float(np.log(270.0)), 0.6, "270 days (83-875): no source; our own rule"
    ),
    "log_sd_jump": Prior(float(np.log(0.2)), 1.0, "0.20 (0.03-1.4): no source; our own rule"),
}
"""Weak priors; each mean with the range that it leaves likely (95 %)."""


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """Population parameters with their uncertainty; q of them.

    Attributes
    ----------
    names : tuple of str
        Covariates, then the model's own (``types.PARAMETERS``).
    vector : ndarray, shape (q,)
        Estimates.
    covariance : ndarray, shape (q, q)
        Of the estimates.
    log_likelihood : float
        At the estimates, priors left out.
    n_men, n_draws, n_censored : int
        What it was estimated from.
    """

    names: tuple[str, ...]
    vector: Vector
    covariance: Matrix
    log_likelihood: float
    n_men: int
    n_draws: int
    n_censored: int

    @property
    def population(self) -> Population:
        """The estimates, as the parts of the model."""
        return Population.from_vector(self.vector)

    @property
    def n_covariates(self) -> int:
        """Number of covariates, the constant included."""
        return len(self.names) - len(PARAMETERS)

    @property
    def standard_error(self) -> Vector:
        """Standard errors, shape (q,)."""
        return np.sqrt(np.diag(self.covariance))

    def with_level_variance(self, added: float) -> Self:
        """Return the response of men whose own levels differ by more than those of men alike, by a variance."""
        place = self.names.index("log_sd_level")
        vector = self.vector.copy()
        vector[place] = np.log(np.exp(2 * vector[place]) + added) / 2
        return replace(self, vector=vector)

    def prior_share(self, priors: Mapping[str, Prior] = PRIORS) -> dict[str, float]:
        """Return the prior's share of what is known of each parameter: 0 none, 1 all."""
        variances = dict(zip(self.names, np.diag(self.covariance).tolist(), strict=True))
        return {name: min(1.0, variances[name] / prior.sd**2) for name, prior in priors.items()}


def fit(
    draws: Draws,
    covariate_names: Sequence[str],
    *,
    priors: Mapping[str, Prior] = PRIORS,
    start: DoseResponse | None = None,
    approximate: bool = False,
) -> DoseResponse:
    """Estimate the population parameters.

    Parameters
    ----------
    draws
        Draws of E2; the first covariate is the constant.
    covariate_names
        Names of the covariates, ``CONSTANT`` first.
    priors
        By parameter or covariate; what has none is estimated from the data alone.
    start
        A fit to nearly the same draws: saves steps, changes nothing.
    approximate
        Stop near the top, with the covariance that the men's scores give: enough to find outlying draws.

    Raises
    ------
    ValueError
        If there are fewer than 30 men with a draw.
    TooLittleDataError
        If the draws do not determine the parameters, hardly differ, or contradict what is known of assays.
    """
    n_men = len(np.unique(draws.man))
    if n_men < MIN_MEN:
        raise ValueError(f"{n_men} men have an E2 draw; {MIN_MEN} are needed")
    refusals.refuse_readings_all_alike(draws)
    names = (*covariate_names, *PARAMETERS)
    prior = _PriorTerms.of(names, priors)
    first = start.vector if start else _start(draws, names, priors)
    part = n_men // _MEN_TO_START_WITH
    if part > 1 and not approximate:
        # Of many men every few say nearly where the top is and how it bends.
        some = _Likelihood(draws.take(draws.man % part == 0))
        first, covariance, _ = _polish(some, prior, _climb(some, prior, first), some)
        men = _Likelihood(draws)
        vector = _approach(men, prior, first, covariance / part)
    else:
        men = _Likelihood(draws)
        vector = _climb(men, prior, first, until=_NEAR if approximate else _SMALL_STEP)
    if approximate:
        at = men.at(vector)
        covariance = np.linalg.inv(at.products + np.diag(prior.precision)).astype(np.float64)
        log_likelihood = at.value
    else:
        share = n_men // _MEN_FOR_CURVATURE
        sample = _Likelihood(draws.take(draws.man % share == 0)) if share > 1 else men
        vector, covariance, log_likelihood = _polish(men, prior, vector, sample)
        refusals.refuse_vague_level(draws, covariance)
        likely = {name: PRIORS[name][:2] for name in assay.PARAMETERS}
        refusals.refuse_impossible_assays(dict(zip(names, vector.tolist(), strict=True)), likely)
    return DoseResponse(
        names,
        vector,
        covariance,
        log_likelihood,
        n_men,
        len(draws.man),
        int(np.sum(~draws.is_exact)),
    )


class _PriorTerms(NamedTuple):
    """The priors of all parameters: precision 0 where there is none."""

    mean: Vector
    precision: Vector

    @classmethod
    def of(cls, names: Sequence[str], priors: Mapping[str, Prior]) -> _PriorTerms:
        flat = Prior(0.0, np.inf, "")
        of_each = [priors.get(name, flat) for name in names]
        return cls(
            np.array([prior.mean for prior in of_each]),
            np.array([prior.sd**-2 for prior in of_each]),
        )

    def log_density(self, vector: Vector) -> float:
        return float(-0.5 * self.precision @ (vector - self.mean) ** 2)

    def score(self, vector: Vector) -> Vector:
        return np.asarray(-self.precision * (vector - self.mean))


class _Evaluation(NamedTuple):
    """The log-likelihood at a parameter, its derivative, and the outer products of the men's scores."""

    value: float
    score: Vector
    products: Matrix


class _Likelihood:
    """Log-likelihood of all batches of men; keeps where their sites stood."""

    def __init__(self, draws: Draws) -> None:
        self._batches = list(batches(draws))
        self.n_men = sum(len(batch.men) for batch in self._batches)
        self._sites: list[Sites | None] = [None] * len(self._batches)

    def at(
        self, vector: Vector, *, until: float = _LEAST_MOVE, nearby: bool = False
    ) -> _Evaluation:
        """Return value, scores and their products; nearby ones start from the same sites each time."""
        population = Population.from_vector(vector)
        # A step this small moves sites by as little, and each round leaves a tenth of what is missing.
        rounds = _ROUNDS_NEARBY if nearby else _MOST_ROUNDS

        def one(batch: Batch, start: Sites | None) -> tuple[Sites, _Evaluation]:
            with np.errstate(over="ignore", invalid="ignore"):  # A leap too far is not taken.
                integrated = integrate(batch, population, start, until=until, rounds=rounds)
            scores = integrated.scores
            value = float(integrated.log_likelihood.sum())
            return integrated.stood, _Evaluation(value, scores.sum(axis=0), scores.T @ scores)

        with one_blas_thread():
            done = side_by_side(one, self._batches, self._sites)
        if not nearby:
            self._sites = [sites for sites, _ in done]
        return _total(at for _, at in done)


def _total(parts: Iterable[_Evaluation]) -> _Evaluation:
    values, scores, products = zip(*parts, strict=True)
    return _Evaluation(sum(values), np.sum(scores, axis=0), np.sum(products, axis=0))


def _start(draws: Draws, names: Sequence[str], priors: Mapping[str, Prior]) -> Vector:
    """Start at the priors, and at the least squares of what is exact and off the drug."""
    prior_of = {**PRIORS, **priors}
    vector = np.array([prior_of[name].mean if name in prior_of else 0.0 for name in names])
    exact = draws.is_exact & (draws.low_pg_ml > 0)
    off = exact & (draws.dose_mg_per_week == 0)
    rows = off if off.sum() >= MIN_MEN else exact
    if rows.any():
        vector[0] = float(np.mean(np.log(draws.low_pg_ml[rows])))
    else:
        vector[0] = float(np.log(30.0))
    return vector


def _climb(
    men: _Likelihood,
    prior: _PriorTerms,
    vector: Vector,
    *,
    until: float = _SMALL_STEP,
    stop_when_slow: bool = True,
) -> Vector:
    """Maximise by steps along the men's scores, each shortened until it goes up."""
    here, damping, before = men.at(vector, until=_SMALL_MOVE), 0.0, np.inf
    for _ in range(_MAX_STEPS):
        score = here.score + prior.score(vector)
        curvature = here.products + np.diag(prior.precision)
        scale = np.diag(curvature).clip(1e-8)
        step = np.linalg.solve(curvature + damping * np.diag(scale), score)
        step *= min(1.0, 1.0 / np.abs(step).max())
        moved = vector + step
        there = men.at(moved, until=_SMALL_MOVE)
        gain = there.value + prior.log_density(moved) - here.value - prior.log_density(vector)
        gain = gain if np.isfinite(gain) else -np.inf
        promised = float(score @ step)
        # Where a step brings far less than it promised, it leapt over the top: the next is shorter.
        if gain < 0.1 * promised and promised > _NOISE * abs(here.value):
            damping = max(4 * damping, 0.05)
        elif damping:
            damping = damping / 4 if damping > 0.01 else 0.0
        if gain < -1e-7 * abs(here.value):
            continue
        vector, here = moved, there
        is_slow = promised < _NEAR and promised > _SLOW * before
        if promised < until or (is_slow and stop_when_slow):
            break
        before = promised
    return vector


def _approach(men: _Likelihood, prior: _PriorTerms, vector: Vector, covariance: Matrix) -> Vector:
    """Come near the top by Newton steps on a curvature that is nearly the right one."""
    before = np.inf
    for _ in range(_MAX_STEPS):
        score = men.at(vector, until=_SMALL_MOVE).score + prior.score(vector)
        step = covariance @ score
        promised = float(score @ step)
        if promised > _SLOW * before:
            break
        vector, before = vector + step * min(1.0, 1.0 / np.abs(step).max()), promised
        if promised < _SMALL_STEP:
            break
    return vector


def _polish(
    men: _Likelihood, prior: _PriorTerms, vector: Vector, sample: _Likelihood
) -> tuple[Vector, Matrix, float]:
    """End with Newton steps on the curvature that a sample shows; return estimates, covariance, log-likelihood."""
    share = sample.n_men / men.n_men
    for _ in range(_POLISHING_ROUNDS):
        curvature = _curvature(sample, vector) / share + np.diag(prior.precision)
        if np.linalg.eigvalsh(curvature)[0] <= 0:  # still on a slope
            vector = _climb(men, prior, vector, stop_when_slow=False)
            curvature = _curvature(sample, vector) / share + np.diag(prior.precision)
        covariance: Matrix = np.linalg.inv(curvature).astype(np.float64)
        at, promised = men.at(vector), []
        for _ in range(_STEPS_OF_A_ROUND):
            score = at.score + prior.score(vector)
            step = covariance @ score
            promised.append(float(score @ step))
            vector, at = _uphill(men, prior, vector, at, step * min(1.0, 1.0 / np.abs(step).max()))
            if promised[-1] < _TOLERANCE:
                break
        # The curvature is that of where it ended, to the digits of a standard error.
        if promised[0] < _TOLERANCE:
            break
    if np.linalg.eigvalsh(curvature)[0] <= 0 or not promised[-1] < _NOT_AT_THE_TOP:
        raise TooLittleDataError(refusals.UNDETERMINED)
    return vector, covariance, at.value


def _uphill(
    men: _Likelihood, prior: _PriorTerms, vector: Vector, at: _Evaluation, step: Vector
) -> tuple[Vector, _Evaluation]:
    """Take a step, halved while it leads down."""
    least = at.value + prior.log_density(vector) - _NOISE * abs(at.value)
    for halved in range(_HALVINGS):
        moved = vector + step / 2**halved
        there = men.at(moved)
        if there.value + prior.log_density(moved) >= least:
            break
    return moved, there


def _curvature(men: _Likelihood, vector: Vector) -> Matrix:
    """Return minus the second derivatives of the log-likelihood, by differences of the first."""
    here = men.at(vector).score
    steps = _DIFFERENCE * np.eye(len(vector))
    second = np.array([here - men.at(vector + step, nearby=True).score for step in steps])
    second /= _DIFFERENCE
    return np.asarray((second + second.T) / 2)
