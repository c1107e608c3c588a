"""The flow diagram: one chain of attrition as boxes and arrows, placed by hand.

In    Chain
Out   Diagram: what to draw and where; ``templates/flow.svg.j2`` draws it and escapes the text
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

from e2analytics.report.sections.ingest import Chain, Step

WIDTH: Final = 420
"""Width of a diagram, in its own units; a line of text is 15 of them high."""

LINE: Final = 19
PADDING: Final = 9
GAP: Final = 12
SIDE_X: Final = 118
SPINE_X: Final = 46
CHARACTERS: Final = 38


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its lines of text, each with its baseline; the first is set in bold."""

    x: int
    y: int
    width: int
    height: int
    text_x: int
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Those who leave: an arrow from the spine to a box, and how many are left after it."""

    box: Box
    arrow: str
    left: str
    left_x: int
    left_y: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """One chain, from the box at its start to the box at its end; arrows as SVG paths."""

    width: int
    height: int
    start: Box
    branches: tuple[Branch, ...]
    end: Box
    spine: str
    alt: str


def draw(chain: Chain) -> Diagram:
    """Place the boxes of ``chain`` from top to bottom."""
    start = _box(0, 1, WIDTH - 2, [chain.start])
    branches: list[Branch] = []
    y = start.y + start.height + GAP
    for step in chain.steps:
        branches.append(_branch(step, y))
        y += branches[-1].box.height + GAP
    end = _box(0, y + GAP, WIDTH - 2, [chain.end])
    return Diagram(
        width=WIDTH,
        height=end.y + end.height + 2,
        start=start,
        branches=tuple(branches),
        end=end,
        spine=f"M{SPINE_X} {start.y + start.height}V{end.y - 1}l-5 -9h10l-5 9",
        alt=f"{chain.equation}.",
    )


def _branch(step: Step, y: int) -> Branch:
    lines = [
        f"− {step.n_out:,} {step.label}",
        *textwrap.wrap(step.reason, CHARACTERS, break_on_hyphens=False),
    ]
    box = _box(SIDE_X, y, WIDTH - SIDE_X - 2, lines)
    middle = box.y + box.height // 2
    return Branch(
        box=box,
        arrow=f"M{SPINE_X} {middle}H{SIDE_X}l-9 -5v10l9 -5",
        left=f"{step.n_left:,}",
        left_x=SPINE_X + 7,
        left_y=middle + LINE,
    )


def _box(x: int, y: int, width: int, lines: list[str]) -> Box:
    baselines = tuple((y + PADDING + 14 + LINE * row, text) for row, text in enumerate(lines))
    return Box(x + 1, y, width, 2 * PADDING + LINE * len(lines), x + 11, baselines)
