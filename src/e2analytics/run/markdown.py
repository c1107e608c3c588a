"""Tables and numbers of generated pages, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def written_number(value: Any) -> str:
    """Return a number as it is read: thousands apart, no digit too many."""
    return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
