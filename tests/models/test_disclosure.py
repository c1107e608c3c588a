"""Disclosure control: tables one can check by hand, and an attack that tries to get hidden counts back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from e2analytics.models.disclosure import Released, Table, crossed, protect

X = np.nan


def with_margins(parts: list[list[int]]) -> Table:
    return crossed(parts, row_sums=[[1] * len(parts)], column_sums=[[1] * len(parts[0])])


def of_clinics(met: list[int], of: list[int]) -> Table:
    """A measure by clinic: met, not met, and both; the last row is all clinics."""
    not_met = np.subtract(of, met)
    return crossed(np.column_stack([met, not_met]), [[1] * len(met)], [[1, 1]])


NUMERATOR_AND_DENOMINATOR = [True, False, True]


def test_every_sum_of_a_table_is_in_it():
    table = with_margins([[1, 2], [3, 4], [5, 6]])

    np.testing.assert_array_equal(table.counts, [[1, 2, 3], [3, 4, 7], [5, 6, 11], [9, 12, 21]])
    assert not np.any(table.relations @ table.counts.ravel())
    # Four rows of two and a sum, two rows of sums over three and one of their sum.
    assert table.relations.shape == (7, 12)


def test_large_counts_and_zeros_are_shown_as_they_are():
    table = with_margins([[11, 0], [40, 12]])

    np.testing.assert_array_equal(protect(table).shown, table.counts)


def test_one_small_count_needs_three_others_in_a_table_with_margins():
    table = with_margins([[3, 20, 50], [30, 40, 60], [70, 80, 90]])

    released = protect(table)

    # The cheapest rectangle: 3, 20, 30 and 40.
    np.testing.assert_array_equal(
        released.shown,
        [[X, X, 50, 73], [X, X, 60, 130], [70, 80, 90, 240], [103, 140, 200, 443]],
    )
    np.testing.assert_array_equal(released.hidden, np.isnan(released.shown))


def test_two_hidden_counts_that_only_add_up_to_five_are_not_enough():
    released = protect(with_margins([[3, 2, 15, 400]]))

    # 3 + 2 = 5 would say of each that it is 1-4; with 15 among them either can be 10.
    np.testing.assert_array_equal(released.shown[0], [X, X, X, 400, 420])


def test_a_zero_is_never_hidden_to_protect_another():
    released = protect(with_margins([[4, 0, 0, 25]]))

    np.testing.assert_array_equal(released.shown[0], [X, 0, 0, X, 29])


def test_a_total_is_hidden_where_nothing_else_helps():
    np.testing.assert_array_equal(protect(with_margins([[4, 0, 11]])).shown[0], [X, 0, X, 15])
    np.testing.assert_array_equal(protect(with_margins([[4, 0, 0]])).shown[0], [X, 0, 0, X])


def test_all_counts_small_are_all_hidden():
    released = protect(with_margins([[1, 2], [2, 1]]))

    assert released.hidden.all()


def test_the_few_who_do_not_meet_a_measure_are_protected_too():
    # 195 of 200 at the first clinic: printed both, they would tell of 5 men.
    released = protect(of_clinics([195, 100], [200, 150]), NUMERATOR_AND_DENOMINATOR)

    assert released.hidden[0].any()


def test_a_small_numerator_takes_one_other_clinic_with_it():
    released = protect(of_clinics([4, 30, 60], [120, 130, 150]), NUMERATOR_AND_DENOMINATOR)

    np.testing.assert_array_equal(released.shown[:, 0], [X, X, 60, 94])
    np.testing.assert_array_equal(released.shown[:, 2], [120, 130, 150, 400])


def test_the_difference_of_two_printed_counts_is_protected():
    # Below 10, from 10 to 16, and the rest; printed are below 10, below 16 and all: 14 and 20 tell of 6.
    table = crossed([[14, 6, 200]], column_sums=[[1, 1, 0], [1, 1, 1]])

    released = protect(table, printed=[True, False, False, True, True])

    np.testing.assert_array_equal(released.hidden[0, [0, 3]].any(), True)
    assert released.shown[0, 4] == 220


def test_a_table_for_its_clinics_hides_enough_that_none_can_subtract_itself():
    table = of_clinics([4, 30, 60, 70], [120, 130, 150, 160])

    released = protect(table, NUMERATOR_AND_DENOMINATOR, readers=[0, 1, 2, 3])

    # With the second clinic alone beside the first, the second would know that the first has 4.
    np.testing.assert_array_equal(released.shown[:, 0], [X, X, X, 70, 164])


def test_of_two_clinics_the_total_is_hidden_too():
    table = of_clinics([4, 30], [120, 130])

    released = protect(table, NUMERATOR_AND_DENOMINATOR, readers=[0, 1])

    assert np.isnan(released.shown[[0, 2], 0]).all()


def test_what_is_not_printed_is_not_shown():
    released = protect(of_clinics([50], [100]), NUMERATOR_AND_DENOMINATOR)

    assert np.isnan(released.shown[:, 1]).all()
    assert not released.hidden[:, 1].any()


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        (1, [0, 11, 12, 13, 47, 83]),
        # Never as a count of 1-10: 11 and 12 go up.
        (5, [0, 15, 15, 15, 45, 85]),
        (10, [0, 20, 20, 20, 50, 80]),
        (25, [0, 25, 25, 25, 50, 75]),
    ],
)
def test_counts_are_rounded_to_the_base_and_never_into_1_to_10(base, shown):
    table = crossed([[0, 11, 12, 13, 47, 83]])

    np.testing.assert_array_equal(protect(table, base=base).shown[0], shown)


@pytest.mark.parametrize("counts", [[[1, 2, 4]], [[-1, 2, 1]]])
def test_a_table_that_does_not_add_up_is_refused_without_its_counts(counts):
    relations = sparse.csr_array(np.array([[-1, -1, 1]]))

    with pytest.raises(ValueError, match="do not add up"):
        protect(Table(np.array(counts), relations))


# --- The attack --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What an attacker has: the layout of a table, which cells are printed, and what was shown of them.

    Every cell is a sum of parts over ``rows`` and over ``columns``. The true parts are there to be
    compared with what he finds.
    """

    parts: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    printed: NDArray[np.bool_]
    released: Released
    own_row: int | None = None

    @property
    def own(self) -> NDArray[np.bool_]:
        """Cells that the attacker knows beforehand."""
        own = np.zeros(self.printed.shape, dtype=bool)
        if self.own_row is not None:
            own[self.own_row] = True
        return own.ravel()

    @cached_property
    def members(self) -> NDArray[np.int64]:
        return np.kron(self.rows, self.columns)

    @cached_property
    def true(self) -> NDArray[np.int64]:
        return self.members @ self.parts.ravel()

    @cached_property
    def small(self) -> NDArray[np.int64]:
        return np.flatnonzero((self.true >= 1) & (self.true <= 10) & ~self.own)


def with_zeros_alone(case: Case) -> Case:
    """Return the case in which nothing is shown but the zeros."""
    counts = case.true.reshape(case.printed.shape)
    hidden = case.printed & (counts > 0)
    shown = np.where(case.printed & ~hidden, 0.0, np.nan)
    return replace(case, released=Released(shown, hidden))


def known_of(case: Case, base: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return between what every cell lies, for one who knows how counts are rounded and hidden."""
    shown, hidden = case.released.shown.ravel(), case.released.hidden.ravel()
    reach = base / 2 if base > 1 else 0
    lifted = base > 1 and shown == base * (10 // base + 1)
    low = np.where(hidden, 1, np.where(lifted, 11, np.maximum(shown - reach, 0)))
    high = np.where(hidden, np.inf, np.where(shown == 0, 0, shown + reach))
    seen = case.printed.ravel()
    assert np.all((low <= case.true) & (case.true <= high) | ~seen), "the attacker is misinformed"
    return np.where(case.own, case.true, low), np.where(case.own, case.true, high)


def could_be(cases: Sequence[Case], base: int) -> list[tuple[int, int, int, int]]:
    """Return of every small count its case, its cell, and the least and the most that it could be.

    Whole numbers only. The cases do not share a part, so that one program answers for all of them: the
    sum of one cell of each is least where each is least.
    """
    known = [known_of(case, base) for case in cases]
    seen = [case.printed.ravel() | case.own for case in cases]
    matrix = sparse.block_diag(
        [case.members[own] for case, own in zip(cases, seen, strict=True)], format="csr"
    )
    low, high = (
        np.concatenate([ends[side][own] for ends, own in zip(known, seen, strict=True)])
        for side in (0, 1)
    )
    bounded = np.isfinite(high)
    above = sparse.vstack([-matrix, matrix[bounded]], format="csr")
    limit = np.concatenate([-low, high[bounded]])
    cuts = np.cumsum([0, *(case.parts.size for case in cases)])
    found = []
    for turn in range(max(len(case.small) for case in cases)):
        objective = np.zeros(cuts[-1])
        asked = [(k, case.small[turn]) for k, case in enumerate(cases) if turn < len(case.small)]
        for k, cell in asked:
            objective[cuts[k] : cuts[k + 1]] = cases[k].members[cell]
        ends = []
        for sign in (1, -1):
            # Ten thousand stands for no bound at all.
            solved = linprog(
                sign * objective, A_ub=above, b_ub=limit, bounds=(0, 1e4), integrality=1
            )
            assert solved.status == 0
            ends.append(solved.x)
        for k, cell in asked:
            least, most = (
                round(cases[k].members[cell] @ end[cuts[k] : cuts[k + 1]]) for end in ends
            )
            found.append((k, int(cell), least, most))
    return found


def random_case(rng: np.random.Generator, base: int, to_clinics: bool = False) -> Case:
    """Return a table with margins, of numerators and denominators, or of nested lines, released."""
    kind = rng.choice(["margins", "pairs", "nested"])
    n_rows = int(rng.integers(2, 5))
    n_columns = {"margins": int(rng.integers(2, 5)), "pairs": 2, "nested": 3}[kind]
    # From tables where nearly all is small to such where nearly nothing is.
    mean = rng.choice([1, 4, 15, 60], size=(1, n_columns))
    parts = rng.negative_binomial(1, 1 / (1 + mean), size=(n_rows, n_columns))
    row_sums = np.ones((1, n_rows), dtype=np.int64)
    column_sums = np.array([[0, 1, 1], [1, 1, 1]] if kind == "nested" else [[1] * n_columns])
    printed_columns = {
        "margins": [True] * (n_columns + 1),
        "pairs": [True, False, True],
        "nested": [False, False, True, True, True],
    }[kind]
    printed = np.broadcast_to(printed_columns, (n_rows + 1, len(printed_columns)))
    return Case(
        parts,
        np.vstack([np.eye(n_rows, dtype=np.int64), row_sums]),
        np.vstack([np.eye(n_columns, dtype=np.int64), column_sums]),
        printed,
        protect(
            crossed(parts, row_sums, column_sums),
            printed,
            base,
            readers=range(n_rows) if to_clinics else (),
        ),
    )


@pytest.mark.parametrize(
    ("n_tables", "base"),
    [
        (100, 1),
        (100, 5),
        pytest.param(200, 5, marks=pytest.mark.slow),
        pytest.param(1000, 1, marks=pytest.mark.slow),
    ],
)
def test_no_small_count_of_random_tables_can_be_narrowed(n_tables, base):
    rng = np.random.default_rng(11)
    n_small = sum(
        unharmed([random_case(rng, base) for _ in range(100)], base) for _ in range(n_tables // 100)
    )
    assert n_small > 4 * n_tables


@pytest.mark.parametrize("n_tables", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_no_clinic_can_subtract_itself(n_tables):
    rng = np.random.default_rng(12)
    tables = [random_case(rng, base=1, to_clinics=True) for _ in range(n_tables)]
    cases = [replace(table, own_row=row) for table in tables for row in range(len(table.parts))]

    assert unharmed(cases, base=1) > len(cases)


def unharmed(cases: Sequence[Case], base: int) -> int:
    """Check that every small count could be anything from 1 to 10, and return how many there are."""

    def narrowed(found: list[tuple[int, int, int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
        return {
            (k, cell): (max(least, 1), min(most, 10))
            for k, cell, least, most in found
            if least > 1 or most < 10
        }

    found = could_be(cases, base)
    # What zeros and one's own row tell by themselves is no leak: a sum of two counts that are not zero is 2
    # or more, and the sum of one's own count and of zeros is one's own.
    told = sorted({k for k, _ in narrowed(found)})
    anyway = narrowed(could_be([with_zeros_alone(cases[k]) for k in told], base))
    of_cases = {(told[k], cell): ends for (k, cell), ends in anyway.items()}
    assert narrowed(found).items() <= of_cases.items()
    return len(found)


def test_the_attack_gets_back_what_is_hidden_by_itself():
    table = with_margins([[3, 20, 50], [30, 40, 60]])
    small = (table.counts >= 1) & (table.counts <= 10)
    naive = Case(
        np.array([[3, 20, 50], [30, 40, 60]]),
        np.vstack([np.eye(2), np.ones(2)]).astype(np.int64),
        np.vstack([np.eye(3), np.ones(3)]).astype(np.int64),
        np.full(table.counts.shape, True),
        Released(np.where(small, np.nan, table.counts), small),
    )

    assert could_be([naive], base=1) == [(0, 0, 3, 3)]
