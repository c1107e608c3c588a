"""The textbook's tests against R (``tests/reference/textbook.R``) and against known truths."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2analytics.models import textbook
from e2analytics.models.textbook import Rows
from tests.models.weyl import rows_of

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "textbook.json").read_text())


def weyl_rows(shape: str) -> Rows:
    rows = rows_of(1000, "weighted")
    harm = 3 * np.maximum(rows.log_e2 - np.log(35), 0) if shape == "u" else 0.0
    covariates = np.column_stack([rows.z1, rows.z2])
    return Rows(rows.log_e2, rows.change - harm, covariates, rows.weight, np.arange(1000) // 4)


def made(n_men: int, seed: int, curve) -> Rows:
    """Three rows of each man, whose deviation they share; E2 is 6 to 80 pg/mL."""
    rng = np.random.default_rng(seed)
    man = np.repeat(np.arange(n_men), 3)
    log_e2 = rng.uniform(np.log(6), np.log(80), len(man))
    noise = rng.normal(0, 0.7, n_men)[man] + rng.normal(0, 1.5, len(man))
    return Rows(log_e2, curve(log_e2) + noise, np.empty((len(man), 0)), np.ones(len(man)), man)


def threshold(log_e2):
    return -2 * np.maximum(np.log(20) - log_e2, 0)


def u_shape(log_e2):
    return threshold(log_e2) - 2 * np.maximum(log_e2 - np.log(30), 0)


@pytest.mark.parametrize("shape", ["threshold", "u"])
def test_the_parabola_its_errors_and_fiellers_interval_are_those_of_r(shape: str):
    theirs, ours = REFERENCE[f"quadratic {shape}"], textbook.quadratic(weyl_rows(shape))

    np.testing.assert_allclose([ours.low.value, ours.low.p], theirs["low"], rtol=1e-8)
    np.testing.assert_allclose([ours.high.value, ours.high.p], theirs["high"], rtol=1e-8)
    assert ours.best_e2_pg_ml == pytest.approx(theirs["best"][0], rel=1e-8)
    np.testing.assert_allclose(ours.ci_pg_ml, theirs["ci"], rtol=1e-8)


@pytest.mark.parametrize("shape", ["threshold", "u"])
def test_the_break_and_both_lines_are_those_of_r(shape: str):
    theirs, ours = REFERENCE[f"two_lines {shape}"], textbook.two_lines(weyl_rows(shape))

    assert ours.break_pg_ml == pytest.approx(theirs["at"][0], rel=1e-8)
    np.testing.assert_allclose([ours.low.value, ours.low.p], theirs["low"], rtol=1e-7)
    np.testing.assert_allclose([ours.high.value, ours.high.p], theirs["high"], rtol=1e-7)


def test_a_parabola_finds_an_optimum_in_a_threshold_and_two_lines_do_not():
    cohorts = [made(1500, seed, threshold) for seed in range(20)]

    parabolas = [textbook.quadratic(rows).p <= 0.05 for rows in cohorts]
    lines = [textbook.two_lines(rows).p <= 0.05 for rows in cohorts]

    assert np.mean(parabolas) == 1.0
    assert np.mean(lines) <= 0.2


def test_both_find_an_optimum_that_is_there():
    rows = made(1500, 1, u_shape)
    lines, parabola = textbook.two_lines(rows), textbook.quadratic(rows)
    of_parabola = textbook.quadratic(made(1500, 1, lambda log_e2: -2 * (log_e2 - 3) ** 2))

    assert max(lines.p, parabola.p) < 0.001
    assert 17 < lines.break_pg_ml < 35
    assert of_parabola.ci_pg_ml is not None
    assert of_parabola.ci_pg_ml[0] < np.exp(3) < of_parabola.ci_pg_ml[1]


def test_a_parabola_that_opens_upwards_has_no_best_e2():
    found = textbook.quadratic(made(500, 1, lambda log_e2: -u_shape(log_e2)))

    assert (found.best_e2_pg_ml, found.ci_pg_ml) == (None, None)
    assert found.p > 0.5


def test_fiellers_interval_is_not_bounded_where_the_curve_may_be_a_line():
    found = textbook.quadratic(made(300, 3, lambda log_e2: 2 * log_e2))

    assert found.ci_pg_ml is None


@pytest.mark.parametrize(
    ("curve", "best", "worse"),
    [
        (threshold, {"plateau", "spline"}, ["linear", "quadratic"]),
        (lambda log_e2: 2 * log_e2, {"linear", "plateau", "spline", "quadratic"}, []),
        (lambda log_e2: -2 * (log_e2 - 3) ** 2, {"quadratic", "spline"}, ["linear", "plateau"]),
    ],
)
def test_men_who_were_left_out_are_predicted_best_by_the_true_shape(curve, best, worse):
    found = textbook.out_of_sample(made(2000, 1, curve))

    least = min(found, key=lambda name: found[name].error)
    assert least in best
    assert found[least].p_as_good is None
    for name in worse:
        assert found[name].p_as_good < 0.05
    # Noise alone: 0.7 shared by a man's rows, 1.5 of each.
    assert found[least].error == pytest.approx(np.hypot(0.7, 1.5), rel=0.03)


def test_a_man_is_never_predicted_by_his_own_rows():
    rows = made(200, 1, threshold)
    fold = textbook._folds(rows.patient)

    for man in range(200):
        assert len(set(fold[rows.patient == man])) == 1
    assert np.bincount(fold).min() >= 60 - 3


def test_an_outcome_that_never_varies_claims_nothing():
    rows = made(100, 1, threshold)
    still = Rows(rows.log_e2, np.zeros(300), rows.covariates, rows.weight, rows.patient)

    assert textbook.quadratic(still).p > 0.05
    assert textbook.two_lines(still).p > 0.05


def test_a_plateau_breaks_where_least_squares_fits_best_whatever_the_covariates():
    rows = made(200, 3, threshold)
    age = rows.log_e2 + np.sin(np.arange(len(rows)))
    # A covariate twice, and a constant: their columns add nothing.
    beside = np.column_stack([age, age, np.ones(len(rows))])
    rows = replace(rows, covariates=beside, weight=1 + np.arange(len(rows)) % 3)
    bent = np.minimum.outer(rows.log_e2, np.linspace(np.log(8), np.log(60), 9))

    root = np.sqrt(rows.weight)[:, None]
    known = np.column_stack([np.ones(len(rows)), beside]) * root

    def squares(columns):
        outcome = rows.benefit * root[:, 0]
        return np.sum((outcome - columns @ np.linalg.lstsq(columns, outcome)[0]) ** 2)

    lessened = [
        squares(known) - squares(np.column_stack([known, each * root[:, 0]])) for each in bent.T
    ]
    np.testing.assert_allclose(textbook._gains(rows, bent), lessened, rtol=1e-8)
    assert textbook._gains(rows, age[:, None]) == 0
