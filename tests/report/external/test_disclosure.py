"""What may leave of the men of several clinics: tables one can check by hand, and an attack on the levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import LinearConstraint

from e2analytics.report.external.disclosure import Level, Shown, release
from e2analytics.report.external.men import LEVELS
from tests.report.attack import least_and_most

X = math.nan
FLAGS = (
    Level(("known",), {}),
    Level(("flagged", "not_flagged"), {}, whole="known", silent=("not_flagged",)),
)


def of_flags(known: list[int], flagged: list[int], base: int = 1) -> Shown:
    rest = [n - m for n, m in zip(known, flagged, strict=True)]
    return release(FLAGS, {"known": known, "flagged": flagged, "not_flagged": rest}, base)


def test_large_counts_are_shown_with_their_sum():
    shown = of_flags([100, 200], [30, 40])

    np.testing.assert_array_equal(shown["known"], [100, 200, 300])
    np.testing.assert_array_equal(shown["flagged"], [30, 40, 70])


def test_counts_are_rounded_each_by_itself():
    shown = of_flags([102, 201, 301], [33, 41, 52], base=5)

    np.testing.assert_array_equal(shown["known"], [100, 200, 300, 605])
    np.testing.assert_array_equal(shown["flagged"], [35, 40, 50, 125])


def test_the_few_who_are_not_in_a_part_hide_it():
    # 95 of 100 flagged: beside the 100 they would tell of 5 men.
    shown = of_flags([100, 200, 300], [95, 40, 50])

    np.testing.assert_array_equal(shown["known"], [100, 200, 300, 600])
    assert math.isnan(shown["flagged"][0])
    assert np.isnan(shown["flagged"]).sum() > 1


def test_parts_of_a_whole_that_is_hidden_are_not_told():
    shown = of_flags([8, 200, 300, 400], [0, 40, 50, 60])

    hidden = np.isnan(shown["known"])
    assert hidden[0]
    assert hidden.sum() == 3
    assert np.isnan(shown["flagged"][hidden]).all()


def test_of_one_clinic_the_parts_of_a_whole_are_told_or_none():
    np.testing.assert_array_equal(of_flags([100], [30])["flagged"], [30, 30])
    np.testing.assert_array_equal(of_flags([100], [4])["flagged"], [X, X])


def test_without_clinics_all_is_zero():
    np.testing.assert_array_equal(of_flags([], [])["flagged"], [0])


# --- The attack --------------------------------------------------------------------------------------------


def network(rng: np.random.Generator, n_clinics: int, size: float) -> dict[str, list[int]]:
    """Return counts of every part of :data:`LEVELS`, of clinics from tiny to large."""
    counts: dict[str, NDArray[np.int64]] = {}
    for level in LEVELS:
        if level.whole is None:
            whole = rng.negative_binomial(1.0, 1 / (1 + size), size=n_clinics)
        else:
            whole = _sum(counts, level.whole)
        shares = rng.dirichlet(np.full(len(level.parts), 0.6))
        parts = np.array([rng.multinomial(n, shares) for n in whole]).reshape(n_clinics, -1)
        counts |= dict(zip(level.parts, parts.T, strict=True))
    return {name: values.tolist() for name, values in counts.items()}


def _sum(counts: Mapping[str, NDArray[np.int64]], name: str) -> NDArray[np.int64]:
    if name in counts:
        return counts[name]
    parts = next(level.sums[name] for level in LEVELS if name in level.sums)
    return np.sum([counts[part] for part in parts], axis=0)


class Attack:
    """One who has every outside report, knows the rules and perhaps his own clinic: integer programming.

    He knows that a zero is never hidden, unless with the whole that it is a part of.
    """

    def __init__(self, counts: Mapping[str, Sequence[int]], shown: Shown, own: int | None) -> None:
        true = {name: np.array(values) for name, values in counts.items()}
        self.names = [name for level in LEVELS for name in level.parts]
        n = len(true[self.names[0]])
        size = len(self.names) * n
        self.place = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(self.names)}
        self.cells: list[tuple[NDArray[np.float64], int]] = []
        rows: list[NDArray[np.float64]] = []
        low: list[float] = []
        high: list[float] = []

        def add(row: NDArray[np.float64], least: float, most: float) -> None:
            rows.append(row)
            low.append(least)
            high.append(most)

        def row_of(name: str, clinics: Sequence[int]) -> NDArray[np.float64]:
            row = np.zeros(size)
            parts = next((lv.sums[name] for lv in LEVELS if name in lv.sums), (name,))
            for part in parts:
                row[np.arange(size)[self.place[part]][list(clinics)]] = 1
            return row

        everyone = [*([k] for k in range(n)), list(range(n))]
        for level in LEVELS:
            for name in (*level.parts, *level.sums):
                for at, clinics in enumerate(everyone):
                    row = row_of(name, clinics)
                    value = int(_sum(true, name)[clinics].sum())
                    is_own = own is not None and clinics == [own]
                    if is_own:
                        add(row, value, value)
                    elif name in shown and not math.isnan(shown[name][at]):
                        add(row, shown[name][at], shown[name][at])
                        assert shown[name][at] == value
                    elif name in shown and (level.whole is None or shown[level.whole][at] > 0):
                        add(row, 1, np.inf)
                    if 1 <= value <= 10 and not is_own:
                        self.cells.append((row, value))
            if level.whole:
                for clinics in everyone[:-1]:
                    parts = np.sum([row_of(part, clinics) for part in level.parts], axis=0)
                    add(parts - row_of(level.whole, clinics), 0, 0)
        self._constraint = LinearConstraint(sparse.csr_array(np.array(rows)), low, high)

    def could_be(self, cell: NDArray[np.float64]) -> tuple[int, int]:
        """Return the least and the most that a cell could be."""
        return least_and_most(cell, self._constraint)


@pytest.mark.parametrize("seed", range(6))
def test_no_count_of_few_men_can_be_derived_from_all_reports_together(seed: int):
    rng = np.random.default_rng(seed)
    counts = network(rng, n_clinics=int(rng.integers(1, 6)), size=float(rng.choice([8, 40, 150])))
    attack = Attack(counts, release(LEVELS, counts, 1), own=None)

    assert [value for cell, value in attack.cells if len(set(attack.could_be(cell))) == 1] == []
    assert attack.cells


def test_no_clinic_derives_those_of_another_from_its_own():
    counts = network(np.random.default_rng(1), n_clinics=4, size=60)
    shown = release(LEVELS, counts, 1)

    for own in range(4):
        attack = Attack(counts, shown, own)
        told = [value for cell, value in attack.cells if len(set(attack.could_be(cell))) == 1]
        assert told == []


def test_the_attack_gets_back_what_is_hidden_by_itself():
    counts = network(np.random.default_rng(3), n_clinics=3, size=60)
    true = {name: np.array(values) for name, values in counts.items()}
    naive: Shown = {}
    for level in LEVELS:
        for name in (*level.parts, *level.sums):
            values = _sum(true, name)
            with_sum = np.append(values, values.sum()).astype(float)
            naive[name] = np.where((with_sum >= 1) & (with_sum <= 10), X, with_sum)

    attack = Attack(counts, naive, own=None)
    assert any(len(set(attack.could_be(cell))) == 1 for cell, _ in attack.cells)
