"""Additive statistics of a curve: what each man's rows add to the fit.

In    rows with weights, and the plan that all parts share
Out   ``ClusterGrams``: a Gram matrix of each cluster, which parts add up to the whole

Nothing else of the rows is needed to fit, to resample men or to know the influence of each man on the
curve. Rows are worked through in blocks that fit the processor's cache, so that memory grows with
clusters and not with rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array, are_points
from e2analytics.models.rows import Codes, CurveData
from e2analytics.models.threads import side_by_side

_BLOCK_ROWS = 8_192
# Rows of points have fewer columns. Many short steps would leave threads waiting for one another.
_BLOCK_POINTS = 32_768
# Cubic splines that are not zero in a knot interval.
_N_NEAR = 4


@dataclass(frozen=True)
class ClusterGrams:
    """Additive statistics of each cluster: what its rows add to the fit.

    Attributes
    ----------
    upper : array of shape (clusters, q (q + 1) / 2)
        Upper triangle of each cluster's weighted Gram matrix.
    n_rows : array of shape (clusters,)
    n_columns : int
        q: columns of the design and, last, the outcome.
    """

    upper: Array
    n_rows: Array
    n_columns: int

    def __add__(self, other: Self) -> Self:
        """Add what another part says of the same clusters."""
        return type(self)(self.upper + other.upper, self.n_rows + other.n_rows, self.n_columns)

    def whole(self) -> tuple[Array, Array]:
        """Gram matrix and number of rows of all clusters, shapes (1, q, q) and (1,)."""
        return self.square(self.upper.sum(axis=0)[None]), self.n_rows.sum()[None]

    def square(self, upper: Array) -> Array:
        """Gram matrices from their upper triangles, shape (r, q, q)."""
        rows, columns = np.triu_indices(self.n_columns)
        place = np.empty((self.n_columns, self.n_columns), np.intp)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        # No place is out of range; only in clip mode does numpy write straight to its result.
        squares: Array = np.take(upper, place, axis=1, mode="clip")
        return squares


def collect(data: CurveData, weight: Array, plan: Plan) -> ClusterGrams:
    """Sum the weighted cross-products of each cluster's rows.

    Parameters
    ----------
    data : CurveData
        All rows, or a part of them that keeps each man whole.
    weight : array of shape (n,)
    plan : Plan
    """
    order = _by_cluster(data.patient, plan)
    if order is not None:
        data, weight = data.take(order), weight[order]
    return _collected(lambda rows: plan.columns(data.take(rows)), data.patient, weight, plan)


def collect_columns(columns: Array, patient: Codes, weight: Array, plan: Plan) -> ClusterGrams:
    """Do what ``collect`` does with columns of shape (n, q) that are there already."""
    order = _by_cluster(patient, plan)
    if order is not None:
        columns, patient, weight = columns[order], patient[order], weight[order]
    return _collected(lambda rows: columns[rows].copy(), patient, weight, plan)


def _by_cluster(patient: Codes, plan: Plan) -> NDArray[np.intp] | None:
    """Return the order of rows in which clusters ascend; None where they do."""
    cluster = plan.cluster(patient)
    ascend = bool(np.all(cluster[1:] >= cluster[:-1]))
    return None if ascend else np.argsort(cluster, kind="stable")


def _collected(
    columns: Callable[[slice], Array], patient: Codes, weight: Array, plan: Plan
) -> ClusterGrams:
    """Sum the cross-products of rows whose clusters ascend."""
    sizes = np.bincount(plan.cluster(patient), minlength=plan.n_clusters)
    triangle = np.triu_indices(plan.n_columns)
    upper = np.zeros((plan.n_clusters, len(triangle[0])))

    def add(block: tuple[slice, slice]) -> None:
        clusters, rows = block
        weighted = columns(rows)
        weighted *= np.sqrt(weight[rows])[:, None]
        for alike, stack in _stacks(weighted, sizes[clusters]):
            grams = stack.swapaxes(1, 2) @ stack
            upper[clusters.start + alike] = grams[:, triangle[0], triangle[1]]

    # Each block writes to its own clusters: the order of the work does not matter.
    side_by_side(add, _blocks(sizes))
    return ClusterGrams(upper, sizes.astype(np.float64), plan.n_columns)


def whole_gram(data: CurveData, weight: Array, plan: Plan) -> tuple[Array, Array]:
    """Gram matrix and number of rows without regard to men, shapes (1, q, q) and (1,)."""
    if are_points(data.log_e2_mean, data.log_e2_sd, data.episode_weight):
        return _gram_of_points(data, weight, plan)
    blocks = [partial(plan.plain_columns, data.take(rows)) for rows in _pieces(len(data))]
    return _gram(blocks, weight, plan)


def blocks_of_columns(data: CurveData, plan: Plan) -> Sequence[Array]:
    """Columns and the outcome for ``gram_of_blocks``, which may be called again."""
    return side_by_side(lambda rows: plan.plain_columns(data.take(rows)), _pieces(len(data)))


def gram_of_blocks(blocks: Sequence[Array], weight: Array, plan: Plan) -> tuple[Array, Array]:
    """Do what ``whole_gram`` does with columns that are there already."""
    return _gram([partial(np.copy, block) for block in blocks], weight, plan)


def _gram(blocks: Sequence[Callable[[], Array]], weight: Array, plan: Plan) -> tuple[Array, Array]:
    def gram(block: Callable[[], Array], rows: slice) -> Array:
        weighted = block()
        weighted *= np.sqrt(weight[rows])[:, None]
        return weighted.T @ weighted

    # Summed in the order of rows: the same bytes again.
    plain = np.sum(side_by_side(gram, blocks, _pieces(len(weight))), axis=0)
    return _turned(plain, plan), np.array([float(len(weight))])


def _turned(plain: Array, plan: Plan) -> Array:
    """Gram matrix of the model's columns, shape (1, q, q), from that of the plain ones.

    The columns are combinations of the plain ones: one product here saves one a row.
    """
    total: Array = plan.from_plain.T @ plain @ plan.from_plain
    return total[None]


def _gram_of_points(data: CurveData, weight: Array, plan: Plan) -> tuple[Array, Array]:
    """Do what ``_gram`` does where E2 is known exactly, in less than half of the time.

    All rows of a knot interval have the same four splines, and the others are zero: so the sums of
    each interval are those of few columns, and are put where these belong.
    """
    weighted = bool(np.any(weight != 1))

    def grams(rows: slice) -> Array:
        return _grams_of_intervals(data.take(rows), weight[rows] if weighted else None, plan)

    of_intervals = np.sum(side_by_side(grams, _pieces(len(data), _BLOCK_POINTS)), axis=0)
    plain = np.zeros((plan.n_columns, plan.n_columns))
    for interval, gram in enumerate(of_intervals):
        places = np.r_[interval : interval + _N_NEAR, plan.basis.n_basis : plan.n_columns]
        plain[np.ix_(places, places)] += gram
    return _turned(plain, plan), np.array([float(len(weight))])


def _grams_of_intervals(data: CurveData, weight: Array | None, plan: Plan) -> Array:
    """Sum the weighted cross-products of each knot interval's rows.

    Returns
    -------
    array of shape (intervals, 4 + c + 1, 4 + c + 1)
        Of the four splines, the covariates and the outcome.
    """
    interval, splines = plan.basis.pieces(data.log_e2_mean[:, 0])
    # The shorter an integer, the faster numpy sorts.
    order = np.argsort(interval.astype(np.min_scalar_type(plan.basis.n_intervals)), kind="stable")
    columns = (*splines, *data.covariates.T, data.outcome)
    in_order = np.empty((len(columns), len(data)))
    for column, place in zip(columns, in_order, strict=True):
        # No row is out of range; only in clip mode does numpy write straight to the place.
        column.take(order, out=place, mode="clip")
    in_order[_N_NEAR:-1] -= plan.covariate_means[:, None]
    in_order[-1] -= plan.outcome_mean
    if weight is not None:
        in_order *= np.sqrt(weight)[order]
    grams = np.empty((plan.basis.n_intervals, len(columns), len(columns)))
    ends = np.cumsum(np.bincount(interval, minlength=len(grams))).tolist()
    for gram, start, end in zip(grams, [0, *ends], ends, strict=False):
        np.matmul(in_order[:, start:end], in_order[:, start:end].T, out=gram)
    return grams


def _pieces(n_rows: int, block: int = _BLOCK_ROWS) -> list[slice]:
    return [slice(start, start + block) for start in range(0, n_rows, block)]


def _blocks(sizes: NDArray[np.intp]) -> Iterator[tuple[slice, slice]]:
    """Yield runs of whole clusters, about equally long, and of their rows in the order of clusters."""
    ends = np.cumsum(sizes)
    n_rows = int(sizes.sum())
    n_blocks = -(-n_rows // _BLOCK_ROWS)
    last = np.searchsorted(ends, np.linspace(0, n_rows, n_blocks + 1)[1:])
    first, first_row = 0, 0
    for end in (np.unique(last) + 1).tolist():
        yield slice(first, end), slice(first_row, int(ends[end - 1]))
        first, first_row = end, int(ends[end - 1])


def _stacks(rows: Array, sizes: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """Yield clusters with equally many rows as one stack, shape (alike, size, q)."""
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        yield alike, rows[starts[alike, None] + np.arange(size)]
