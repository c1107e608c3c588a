"""Free estradiol: the one root against all equations of the equilibrium at once, and what errors make of it."""

import numpy as np
import pytest
from scipy.optimize import root

from e2analytics.models.free_estradiol import Constants, Sample, free_e2, with_interval

SODERGARD = Constants(3.14e8, 4.21e4, 5.97e8, 4.06e4)


def sample(*rows: tuple[float, float, float, float]) -> Sample:
    """E2 pg/mL, testosterone ng/dL, SHBG nmol/L, albumin g/dL of each man."""
    return Sample(*np.array(rows, dtype=float).reshape(-1, 4).T)


def by_brute_force(
    e2_pg_ml: float, testosterone_ng_dl: float, shbg_nmol_l: float, albumin_g_dl: float
) -> float:
    """Solve the mass balance of both steroids and both proteins together; albumin may run short."""
    totals = np.array(
        [
            e2_pg_ml * 1e-9 / 272.38,
            testosterone_ng_dl * 1e-8 / 288.42,
            shbg_nmol_l * 1e-9,
            albumin_g_dl * 10 / 66_500,
        ]
    )

    def balance(log_free: np.ndarray) -> np.ndarray:
        e2, testosterone, shbg, albumin = np.exp(log_free) * totals
        e2_bound = e2 * SODERGARD.e2_shbg * shbg, e2 * SODERGARD.e2_albumin * albumin
        t_bound = (
            testosterone * SODERGARD.testosterone_shbg * shbg,
            testosterone * SODERGARD.testosterone_albumin * albumin,
        )
        held = np.array(
            [
                e2 + sum(e2_bound),
                testosterone + sum(t_bound),
                shbg + e2_bound[0] + t_bound[0],
                albumin + e2_bound[1] + t_bound[1],
            ]
        )
        return np.asarray(held / totals - 1)

    found = root(balance, np.log([0.02, 0.02, 0.5, 1.0]), tol=1e-12)
    assert found.success
    return float(np.exp(found.x[0]) * e2_pg_ml)


@pytest.mark.parametrize(
    "man",
    [
        (25.0, 520.0, 35.0, 4.3),
        (19.0, 700.0, 115.0, 4.2),
        (60.0, 1500.0, 10.0, 4.8),  # more testosterone than SHBG can hold
        (5.0, 20.0, 60.0, 3.0),
        (200.0, 3000.0, 250.0, 4.0),
    ],
)
def test_it_solves_all_equations_of_the_equilibrium(man: tuple[float, float, float, float]):
    assert free_e2(sample(man), SODERGARD)[0] == pytest.approx(by_brute_force(*man), rel=1e-4)


def test_a_normal_man_has_the_fractions_of_the_paper():
    free = free_e2(sample((25.0, 520.0, 45.0, 4.3)), SODERGARD)[0]
    on_albumin = free * 4.21e4 * 43 / 66_500

    # 16 men: 2.4 % free, 68-70 % on albumin, 28-30 % on SHBG.
    assert free / 25 == pytest.approx(0.024, abs=0.002)
    assert on_albumin / 25 == pytest.approx(0.69, abs=0.04)


def test_without_shbg_only_albumin_binds_and_testosterone_sets_e2_free():
    free = free_e2(
        sample((20.0, 0.0, 0.0, 4.3), (20.0, 100.0, 60.0, 4.3), (20.0, 1500.0, 60.0, 4.3)),
        SODERGARD,
    )

    assert free[0] == pytest.approx(20 / (1 + 4.21e4 * 43 / 66_500))
    assert free[1] < free[2]


def test_the_interval_comes_from_the_errors_of_the_assays():
    man = sample((19.0, 700.0, 115.0, 4.2))
    none, of_e2 = sample((0, 0, 0, 0)), sample((0.1, 0, 0, 0))
    both = sample((0.1, 0, 0.1, 0))

    exact = with_interval(man, none, SODERGARD)
    by_e2 = with_interval(man, of_e2, SODERGARD)
    by_both = with_interval(man, both, SODERGARD)

    assert exact.ci_low == exact.pg_ml == exact.ci_high
    # Free E2 is as good as proportional to E2.
    assert by_e2.ci_high[0] / by_e2.pg_ml[0] == pytest.approx(np.exp(1.96 * 0.1), rel=1e-3)
    assert by_both.ci_low[0] < by_e2.ci_low[0] < by_e2.ci_high[0] < by_both.ci_high[0]


def test_of_nobody_there_is_nothing():
    assert with_interval(sample(), sample(), SODERGARD).pg_ml.tolist() == []
