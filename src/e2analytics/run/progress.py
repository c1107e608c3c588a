"""Progress listeners.

The parameters of a flow are addresses and dates: a listener cannot be one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


@contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Call ``listener`` with the name of every step that begins inside."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report_progress(step: str) -> None:
    """Tell every listener that ``step`` begins."""
    for listener in _listeners:
        listener(step)
