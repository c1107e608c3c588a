"""Abrupt shifts of a scanner: simulated, recovered, and not seen where there are none."""

import numpy as np
import pytest

from e2analytics.models.scanner_shift import Changes, find, find_all

SHIFT_ON = 1400


def scanner(
    seed: int,
    *,
    n_men: int = 30,
    n_scans: int = 3,
    step_pct: tuple[float, ...] = (0.0, 0.0),
    mean_pct_per_year: float = -0.5,
    only: int | None = None,
) -> Changes:
    """Men scanned every one to two years at two sites; BMD steps on day ``SHIFT_ON``, at one site or both."""
    rng = np.random.default_rng(seed)
    day = np.cumsum(rng.integers(365, 730, (n_men, n_scans)), axis=1) + rng.integers(
        0, 900, (n_men, 1)
    )
    own = rng.normal(mean_pct_per_year, 1.0, (n_men, 1, 1))
    level = own * day[..., None] / 365.25 + rng.normal(0, [1.2, 1.5], (n_men, n_scans, 2))
    level += np.where(day[..., None] >= SHIFT_ON, step_pct, 0.0)
    change = np.diff(level, axis=1).reshape(-1, 2)
    if only is not None:
        change[:, 1 - only] = np.nan
    return Changes(day[:, :-1].ravel(), day[:, 1:].ravel(), change)


@pytest.mark.parametrize("step", [5.0, -5.0, 12.0])
def test_a_step_at_all_sites_is_found_with_its_date_and_size(step: float):
    changes = scanner(1, step_pct=(step, step))
    days = np.concatenate([changes.start, changes.end])

    found = find(changes)

    assert found is not None
    assert found.first <= days[days >= SHIFT_ON].min() <= found.last
    assert found.ci_low_pct < step < found.ci_high_pct
    assert found.p_value < 0.001


def test_a_replaced_scanner_whose_men_have_one_pair_each_is_found():
    found = find(scanner(2, n_men=12, n_scans=2, step_pct=(12.0, 13.0)))

    assert found is not None
    assert found.step_pct == pytest.approx(12.5, abs=2)


def test_one_site_is_enough_where_no_other_is_scanned():
    found = find(scanner(3, step_pct=(6.0, 6.0), only=0))

    assert found is not None
    assert found.step_pct == pytest.approx(6, abs=1.5)


def test_a_step_at_one_of_two_sites_is_no_shift_of_the_scanner():
    assert find(scanner(4, step_pct=(8.0, 0.0))) is None


def test_a_slow_loss_however_fast_is_no_step():
    assert find(scanner(5, mean_pct_per_year=-3.0)) is None


def test_one_man_who_lost_much_is_no_step():
    changes = scanner(6)
    changes.change_pct[0] = -30.0

    assert find(changes) is None


def test_fewer_than_five_men_show_no_common_step():
    assert find(scanner(7, n_men=4, n_scans=2, step_pct=(15.0, 15.0))) is None


def test_no_change_at_all_finds_nothing():
    none = np.empty(0, np.int64)

    assert find_all(Changes(none, none, np.empty((0, 2)))) == []


def test_two_shifts_are_both_found():
    changes = scanner(8, n_men=80, n_scans=5, step_pct=(8.0, 8.0))
    later = (changes.start < 2100) & (changes.end >= 2100)
    changes.change_pct[later] -= 8.0

    found = find_all(changes)

    assert [round(shift.step_pct / 8) for shift in found] == [1, -1]
    assert found[0].last < found[1].first


def rates(n: int, first_seed: int = 0, **of_scanner: object) -> float:
    found = [find(scanner(seed, **of_scanner)) for seed in range(first_seed, first_seed + n)]  # type: ignore[arg-type]
    return sum(shift is not None for shift in found) / n


def test_false_alarms_are_rare_and_a_step_of_five_per_cent_is_nearly_always_found():
    assert rates(300) <= 0.005
    assert rates(50, step_pct=(5.0, 5.0)) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "of_scanner",
    [
        {},
        {"n_men": 8, "n_scans": 2},
        {"n_men": 200, "n_scans": 5},
        {"mean_pct_per_year": -2.0},
        {"mean_pct_per_year": -2.0, "n_scans": 2},
    ],
)
def test_false_alarms_stay_within_one_in_a_thousand_scanners(of_scanner: dict[str, object]):
    assert rates(3000, **of_scanner) <= 0.002
