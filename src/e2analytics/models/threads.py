"""Numpy work in parallel threads: numpy releases the interpreter while it computes.

In    a function and what it is to be called with
Out   its results, in order, whoever finishes first

As many threads as polars uses: one variable, ``POLARS_MAX_THREADS``, bounds both; by default the processors.

Of many small products a second thread of BLAS costs more than it brings: :func:`one_blas_thread`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


def side_by_side(function: Callable[..., Result], *arguments: Iterable[object]) -> list[Result]:
    """Do what ``list(map(function, *arguments))`` does, with as many threads as there may be."""
    threads = _thread_count()
    if threads == 1:
        return list(map(function, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, *arguments))


def _thread_count() -> int:
    """Return how many threads polars would use on a machine of our own."""
    configured = os.environ.get("POLARS_MAX_THREADS")
    return int(configured) if configured else os.cpu_count() or 1


def one_blas_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread for as long as the context lasts."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> ThreadpoolController:
    """Find the libraries once: to look for them takes 2 ms. Numpy's and scipy's are loaded by now."""
    return ThreadpoolController()
