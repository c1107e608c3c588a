"""Prefetches the next batch in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(batches: Iterator[T]) -> Iterator[T]:
    """Yield ``batches`` in order; a thread makes the next one while the caller works on the last.

    An error in a batch is raised where that batch would be yielded.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as reader:
        upcoming = reader.submit(next, batches, None)
        while (batch := upcoming.result()) is not None:
            upcoming = reader.submit(next, batches, None)
            yield batch
