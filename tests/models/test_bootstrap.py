import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from e2analytics.models import bootstrap


def rows_of(n_rows, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, 4))


@settings(deadline=None)
@given(patient=st.lists(st.integers(-5, 5), min_size=1, max_size=40))
def test_grams_of_men_add_up_to_the_gram_of_all_rows(patient):
    rows = rows_of(len(patient))
    weight = np.linspace(0.5, 2, len(patient))

    grams = bootstrap.cluster_grams(rows, weight, np.array(patient))
    whole, n_rows = grams.whole()

    np.testing.assert_allclose(whole[0], (rows * weight[:, None]).T @ rows, atol=1e-12)
    assert n_rows == len(patient)
    assert len(grams.upper) == len(set(patient))


def test_a_man_is_drawn_with_all_his_rows_or_not_at_all():
    patient = np.array([7, 7, 7, 2, 2])
    rows = np.array([[1.0], [1.0], [1.0], [10.0], [10.0]])

    sums, n_rows = bootstrap.cluster_grams(rows, np.ones(5), patient).resampled(200, seed=1)
    drawn_two = sums[:, 0, 0] // 100 // 2
    drawn_seven = (sums[:, 0, 0] - 200 * drawn_two) / 3

    np.testing.assert_array_equal(n_rows, 2 * drawn_two + 3 * drawn_seven)
    np.testing.assert_array_equal(drawn_seven, drawn_seven.round())


def test_replicates_vary_as_men_do_not_as_rows_do():
    # Forty men with 25 equal rows each: the mean is known as well as from forty rows.
    level = np.random.default_rng(3).normal(size=40)
    rows = np.column_stack([np.ones(1000), np.repeat(level, 25)])

    grams, _ = bootstrap.cluster_grams(rows, np.ones(1000), np.repeat(np.arange(40), 25)).resampled(
        4000, seed=2
    )
    means = grams[:, 0, 1] / grams[:, 0, 0]

    np.testing.assert_allclose(means.std(), level.std() / np.sqrt(40), rtol=0.1)


def test_times_drawn_have_mean_and_variance_one():
    rows = np.ones((500, 1))

    _, n_rows = bootstrap.cluster_grams(rows, np.ones(500), np.arange(500)).resampled(2000, 5)

    np.testing.assert_allclose(n_rows.mean(), 500, rtol=0.005)
    np.testing.assert_allclose(n_rows.var(), 500, rtol=0.1)


def test_the_same_seed_gives_the_same_cohorts_and_another_does_not():
    grams = bootstrap.cluster_grams(rows_of(60), np.ones(60), np.arange(60) // 3)

    first, again, other = (grams.resampled(50, seed)[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_resampling_in_blocks_changes_nothing(monkeypatch):
    grams = bootstrap.cluster_grams(rows_of(60), np.ones(60), np.arange(60) // 2)
    at_once, _ = grams.resampled(50, seed=1)

    monkeypatch.setattr(bootstrap, "_BLOCK_BYTES", 8 * 30 * 7)
    in_blocks, _ = grams.resampled(50, seed=1)

    np.testing.assert_allclose(in_blocks, at_once, rtol=1e-12)


def test_very_many_men_are_resampled_in_groups_of_neighbours(monkeypatch):
    monkeypatch.setattr(bootstrap, "MAX_CLUSTERS", 10)
    rows = rows_of(50)

    grams = bootstrap.cluster_grams(rows, np.ones(50), np.arange(25).repeat(2))

    # 25 men in at most 10 groups: three men each, the last group one.
    np.testing.assert_array_equal(grams.n_rows, [6] * 8 + [2])
    np.testing.assert_allclose(grams.whole()[0][0], rows.T @ rows)
