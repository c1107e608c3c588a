"""Step wrapper and timer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class StepWrapper(Protocol):
    """Wraps a step of a run: Prefect's task in a flow, nothing in a notebook."""

    def __call__(self, step: Callable[P, R], /) -> Callable[P, R]:
        """Return the step, wrapped."""
        ...


def unwrapped(step: Callable[P, R], /) -> Callable[P, R]:
    """Return a step as it is."""
    return step


class Timer:
    """Wraps each step and records how long it took.

    Attributes
    ----------
    seconds
        By name of the step, in the order in which the steps ended.
    """

    def __init__(self, wrap: StepWrapper) -> None:
        self._wrap = wrap
        self.seconds: dict[str, float] = {}

    def __call__(self, step: Callable[P, R], /) -> Callable[P, R]:
        """Return the step, wrapped and timed."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            result = self._wrap(step)(*args, **kwargs)
            self.seconds[step.__name__] = round(time.perf_counter() - started, 3)
            return result

        return timed
