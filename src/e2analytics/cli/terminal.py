"""The two consoles: results go to standard output, progress and messages to standard error."""

from __future__ import annotations

import io
import sys

from rich.console import Console

# No markup: a path may hold brackets.
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def printable(text: str) -> str:
    """Return a text, such as a name of a file, without the control characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def print_on_any_terminal() -> None:
    """Let letters that a terminal of few cannot show be written by their numbers; none ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
