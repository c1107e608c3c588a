"""Keeps the state that a run leaves for the next one, as tables of the store: ``STORE/state/<name>``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from e2analytics.tables.state import State
from e2analytics.tables.sums import SUMS, Sums

STATE: Final = "state"
"""Folder of these tables."""
_BASIS: Final = "basis"
_FRAMES: Final = ("due", "shared")


def frames_of(state: State) -> dict[str, pl.DataFrame]:
    """Return a state as tables, by name."""
    basis = pl.DataFrame({"basis": [state.basis], "as_of": [state.as_of]})
    frames = {name: getattr(state, name) for name in _FRAMES}
    named = {_BASIS: basis, **frames, **state.sums}
    return {f"{STATE}/{name}": frame for name, frame in named.items()}


def read_state(read: Callable[[str], pl.DataFrame], stored: Mapping[str, object]) -> State | None:
    """Return the state that a run left; None if it left none, or not all of it.

    Parameters
    ----------
    read
        Reads a table of the run by its name.
    stored
        The tables of the run.
    """
    names = {_BASIS, *_FRAMES, *SUMS}
    if not {f"{STATE}/{name}" for name in names} <= stored.keys():
        return None
    frames = {name: read(f"{STATE}/{name}") for name in names}
    basis = frames[_BASIS].row(0, named=True)
    return State(
        basis=basis["basis"],
        as_of=basis["as_of"],
        due=frames["due"],
        shared=frames["shared"],
        sums=Sums({name: frames[name] for name in SUMS}),
    )
