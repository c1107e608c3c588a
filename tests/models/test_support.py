import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.models.support import men_near, supported_points

GRID = np.linspace(0, 5, 26)
ROWS = st.lists(st.tuples(st.integers(0, 5), st.floats(-1, 6)), min_size=1, max_size=30)


@given(ROWS)
def test_a_man_counts_once_at_every_point_that_a_row_of_his_is_near(rows):
    patient, log_e2 = (np.array(column) for column in zip(*rows, strict=True))
    expected = [
        len({man for man, level in rows if level - 0.2 <= point <= level + 0.2}) for point in GRID
    ]

    assert men_near(log_e2, patient, GRID, 0.2).tolist() == expected


def test_points_need_enough_men_and_the_central_range():
    grid = np.arange(6.0)
    men = np.array([99, 30, 29, 30, 30, 99])

    supported = supported_points(grid, men, 30, central=(0.5, 4.5))

    # Points 0 and 5 lie outside the range, 2 has 29 men, 1 is an island; 3 and 4 are the run.
    assert supported.tolist() == [False, False, False, True, True, False]


def test_nothing_is_supported_where_nobody_is():
    assert not supported_points(np.arange(4.0), np.zeros(4, dtype=int), 30, (0, 4)).any()
