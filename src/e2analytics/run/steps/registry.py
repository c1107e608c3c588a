"""The steps by name, with what the terminal shows while each is at work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
STEPS: Final[dict[str, str]] = {}
"""By name, in order, what the terminal shows while a step of a whole run is at work."""


def step(message: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function as the next step of a run."""

    def register(function: Callable[P, R]) -> Callable[P, R]:
        STEPS[function.__name__] = message
        return function

    return register
