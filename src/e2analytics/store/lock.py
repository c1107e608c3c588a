"""The lock of a store: one publisher at a time. It names its holder and ends with its process.

On disk it is a lock of the operating system, in object storage a lease (``lease``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from e2analytics.errors import StoreError
from e2analytics.store.access import RUNS, DeltaTables
from e2analytics.store.lease import holding

_WAIT_SECONDS: Final = 5


@contextmanager
def writing(delta: DeltaTables) -> Iterator[None]:
    """Hold a store for writing; its folder is made if there is none.

    Raises
    ------
    StoreError
        If another run holds it; the message names the process.
    """
    with _leased(delta) if delta.is_remote else _locked(delta.uri):
        yield


@contextmanager
def _leased(delta: DeltaTables) -> Iterator[None]:
    with holding(delta.uri, _WAIT_SECONDS) as held:
        delta.fence = held.fence
        try:
            if held.taken_over and delta.is_table(RUNS):
                # From this commit on the run that fell silent cannot publish, should it wake up.
                delta.write(RUNS, delta.read(RUNS).clear(), "append")
            yield
        finally:
            delta.fence = None


@contextmanager
def _locked(uri: str) -> Iterator[None]:
    folder = _lock_folder(uri)
    holder = folder / ".holder"
    # The operating system drops the lock with the process that held it.
    lock = FileLock(folder / ".lock", timeout=_WAIT_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"The store {uri} is in use by {_name(holder)}. Wait until it is done, then run again."
        ) from None
    except OSError as error:
        raise _not_writable(uri, error) from None
    try:
        try:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        except OSError as error:
            raise _not_writable(uri, error) from None
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _name(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8") or "another process"
    except OSError:  # it is done just now, or has not yet said its name
        return "another process"


def _not_writable(uri: str, error: OSError) -> StoreError:
    return StoreError(
        f"The store {uri} cannot be written ({error.strerror}). Give e2analytics the right to write it, "
        "room on the disk, or another --store."
    )


def _lock_folder(uri: str) -> Path:
    folder = Path(uri)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The store {uri} cannot be made ({error.strerror}). Give another --store."
        ) from None
    return folder
