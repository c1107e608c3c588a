"""How a stage is called: wrapped, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Step(Protocol):
    """Wraps a stage: Prefect's task in a flow, nothing at all in a notebook."""

    def __call__(self, stage: Callable[P, R], /) -> Callable[P, R]:
        """Return the stage, wrapped."""
        ...


def as_is(stage: Callable[P, R], /) -> Callable[P, R]:
    """Wrap nothing."""
    return stage


class Clock:
    """Wraps each stage and notes how long it took."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: Callable[P, R], /) -> Callable[P, R]:
        """Return the stage, wrapped and timed."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            started = time.perf_counter()
            result = self._step(stage)(*args, **kwargs)
            self.seconds[stage.__name__] = round(time.perf_counter() - started, 3)
            return result

        return timed
