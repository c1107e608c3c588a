"""Who is told how far a run has come.

A flow's parameters are paths and dates; whoever watches cannot be one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


@contextmanager
def watched_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell ``listener`` the name of every step that begins inside."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(step: str) -> None:
    """Tell all who watch that ``step`` begins."""
    for listener in _listeners:
        listener(step)
