"""Numpy's work side by side: numpy lets other threads go on while it computes.

In    a function and what it is to be called with
Out   its results, in order, whoever finishes first

As many threads as polars uses, so that one setting (``POLARS_MAX_THREADS``) bounds both.

Of many small products a second thread of BLAS costs more than it brings: :func:`one_blas_thread`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

from polars import thread_pool_size
from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


def side_by_side(function: Callable[..., Result], *arguments: Iterable[object]) -> list[Result]:
    """Do what ``list(map(function, *arguments))`` does, with as many threads as there may be."""
    if thread_pool_size() == 1:
        return list(map(function, *arguments))
    with ThreadPoolExecutor(thread_pool_size()) as pool:
        return list(pool.map(function, *arguments))


def one_blas_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread for as long as the context lasts."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> ThreadpoolController:
    """Find the libraries once: to look for them takes 2 ms. Numpy's and scipy's are loaded by now."""
    return ThreadpoolController()
