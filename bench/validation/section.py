"""What a section is made of, and how its repetitions are spread over the processors."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import altair as alt
import polars as pl
from rich.progress import track

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and what it says, for those who cannot see it."""

    picture: alt.TopLevelMixin
    says: str


@dataclass(frozen=True, slots=True)
class Section:
    """Text (Markdown), tables and charts, in the order of reading."""

    parts: tuple[str | pl.DataFrame | Chart, ...]


class SectionModule(Protocol):
    """A module of this package that validates one thing."""

    NAME: str
    TITLE: str
    REPLICATES: int

    def run(self, replicates: int, seed: int) -> Section:
        """Repeat the simulations ``replicates`` times; the same seed gives the same numbers."""
        ...


def in_parallel(
    repeat: Callable[[Job], Result], jobs: Sequence[Job], what: str = "simulations"
) -> list[Result]:
    """Return ``repeat(job)`` of every job, in their order; one process per processor.

    Parameters
    ----------
    repeat
        A function of a module (a process must find it by its name).
    jobs
        What differs between the repetitions: seeds, scenarios.
    what
        Name of the progress bar.
    """
    # One thread each: the processes share the processors already.
    for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ[threads] = "1"
    # Spawned: polars does not survive a fork.
    with multiprocessing.get_context("spawn").Pool() as pool:
        return list(track(pool.imap(repeat, jobs), what, total=len(jobs)))
