"""Work in parallel threads: as many as polars may have, and results in order."""

from threading import Barrier

import numpy as np
import pytest

from e2analytics.models.dose_response.fit import fit
from e2analytics.models.threads import side_by_side
from e2analytics.simulate.dose_cohorts import COVARIATES, CohortDesign, simulate


def test_two_threads_work_at_once_and_results_come_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLARS_MAX_THREADS", "2")
    # Nobody passes it alone.
    both = Barrier(2, timeout=60)

    def halved(number: int, among: int) -> float:
        both.wait()
        return number / among

    assert side_by_side(halved, [6, 4], [2, 2]) == [3.0, 2.0]


def test_one_thread_does_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    begun: list[int] = []

    def note(number: int) -> int:
        begun.append(number)
        return len(begun)

    assert side_by_side(note, [5, 3, 4]) == [1, 2, 3]
    assert begun == [5, 3, 4]


def test_a_fit_in_two_threads_is_that_in_one(monkeypatch: pytest.MonkeyPatch):
    draws = simulate(CohortDesign(n_men=120, seed=6)).draws
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("POLARS_MAX_THREADS", threads)
        found.append(fit(draws, COVARIATES).vector)

    np.testing.assert_array_equal(*found)
