"""A migration that ends itself by SIGKILL at a chosen write; run in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from e2analytics.store import access, by_man, delta
from e2analytics.store.migrate import migrate
from e2analytics.store.store import Store


def migrate_store(uri: str) -> None:
    """Migrate without a word."""
    migrate(Store(uri), announce=lambda _: None, report_progress=lambda _: None)


def killed_at_write(uri: str, number: int, after: bool) -> None:
    """Migrate, and end before or after the write of that number, counted from 1."""
    writes = iter(range(1, 1000))

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def one(*args: Any, **kwargs: Any) -> Any:
            here = next(writes) == number
            if here and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = write(*args, **kwargs)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return one

    access.write_deltalake = counted(access.write_deltalake)  # type: ignore[attr-defined]
    by_man.write_files = counted(by_man.write_files)  # type: ignore[attr-defined]
    migrate_store(uri)


def killed_between_files(uri: str, number: int) -> None:
    """Migrate, and end when so many files of rows are written and not yet part of their table."""
    files, add = iter(range(1, 1000)), delta._added

    def added(*args: Any) -> Any:
        made = add(*args)
        if next(files) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return made

    delta._added = added
    migrate_store(uri)
