"""Simulated clinics with a known truth: what the software is tested and shown on.

`simulate` writes a drop as clinics would send it and the truth that made it.
"""

from e2analytics.simulate.network import Story
from e2analytics.simulate.settings import (
    SHAPES,
    WORLDS,
    Shape,
    SimulationSettings,
    SimulationSummary,
    WorldName,
)
from e2analytics.simulate.write import simulate, write_sample

__all__ = [
    "SHAPES",
    "WORLDS",
    "Shape",
    "SimulationSettings",
    "SimulationSummary",
    "Story",
    "WorldName",
    "simulate",
    "write_sample",
]
