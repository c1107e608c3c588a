import numpy as np

from e2analytics.models.bootstrap import Bootstrap
from e2analytics.models.gram_matrices import ClusterGrams


def grams_of(rows, cluster):
    """Gram matrices of rows, summed by cluster."""
    upper = np.stack([(row[:, None] * row)[np.triu_indices(len(row))] for row in rows])
    n_clusters = cluster.max() + 1
    sums = np.zeros((n_clusters, upper.shape[1]))
    np.add.at(sums, cluster, upper)
    return ClusterGrams(sums, np.bincount(cluster).astype(float), rows.shape[1])


def resampled(grams, n_replicates, seed):
    drawn = Bootstrap(grams, n_replicates, seed)
    cohorts = [drawn.resampled(block) for block in drawn.blocks()]
    return np.concatenate([each[0] for each in cohorts]), np.concatenate([n for _, n in cohorts])


def test_a_man_is_drawn_with_all_his_rows_or_not_at_all():
    rows = np.array([[1.0], [1.0], [1.0], [10.0], [10.0]])

    sums, n_rows = resampled(grams_of(rows, np.array([0, 0, 0, 1, 1])), 200, seed=1)
    drawn_second = sums[:, 0, 0] // 100 // 2
    drawn_first = (sums[:, 0, 0] - 200 * drawn_second) / 3

    np.testing.assert_array_equal(n_rows, 2 * drawn_second + 3 * drawn_first)
    np.testing.assert_array_equal(drawn_first, drawn_first.round())


def test_replicates_vary_as_men_do_not_as_rows_do():
    # Forty men with 25 equal rows each: the mean is known as well as from forty rows.
    level = np.random.default_rng(3).normal(size=40)
    rows = np.column_stack([np.ones(1000), np.repeat(level, 25)])

    sums, _ = resampled(grams_of(rows, np.repeat(np.arange(40), 25)), 4000, seed=2)
    means = sums[:, 0, 1] / sums[:, 0, 0]

    np.testing.assert_allclose(means.std(), level.std() / np.sqrt(40), rtol=0.1)


def test_times_drawn_have_mean_and_variance_one():
    _, n_rows = resampled(grams_of(np.ones((500, 1)), np.arange(500)), 2000, seed=5)

    np.testing.assert_allclose(n_rows.mean(), 500, rtol=0.005)
    np.testing.assert_allclose(n_rows.var(), 500, rtol=0.1)


def test_the_same_seed_gives_the_same_cohorts_and_another_does_not():
    rows = np.random.default_rng(0).normal(size=(60, 4))
    grams = grams_of(rows, np.arange(60) // 3)

    first, again, other = (resampled(grams, 50, seed)[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_number_of_replicates_that_fills_no_block_is_kept():
    cohorts, n_rows = resampled(grams_of(np.ones((5, 1)), np.arange(5)), 127, seed=0)

    assert len(cohorts) == len(n_rows) == 127
