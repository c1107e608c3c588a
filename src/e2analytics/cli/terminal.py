"""The two consoles: results go to standard output, progress and messages to standard error."""

from __future__ import annotations

from rich.console import Console

# No markup: a path may hold brackets.
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
