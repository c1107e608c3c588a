"""The lease of a store in object storage: one publisher at a time, on whatever host.

::

    STORE/lease.json  who holds the store, since when, and a token that every holder raises

It is written only on the condition that it still is what was read, so that of two runs one wins. Its holder
renews it for as long as it lives. Another run takes it over once it has not changed for its term on that run's
own clock: clocks of two hosts are never compared. A holder that was only paused finds a larger token than its
own, and none of its writes succeeds (:class:`Fence`).
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PreconditionError,
)
from obstore.store import from_url

from e2analytics.errors import StoreError

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion
    from obstore.store import ObjectStore

_FILE: Final = "lease.json"
_TERM_SECONDS: Final = 60.0
# Several within a term, so that a lost request does not end it; and soon enough to see that a holder lives.
_RENEW_SECONDS: Final = 4.0
_POLL_SECONDS: Final = 0.5
# With the 30 s of a request less than a term: one that hangs does not cost the lease.
_RETRY_TIMEOUT: Final = timedelta(seconds=10)


@dataclass(frozen=True)
class Fence:
    """The right of one holder to write, which ends when another run takes the store over.

    Attributes
    ----------
    uri
        Address of the store.
    token
        Larger than that of every holder before.
    """

    uri: str
    token: int

    def check(self) -> None:
        """Refuse to write if the lease is no longer this holder's.

        Raises
        ------
        StoreError
            If another run has taken the store over, or the lease cannot be read.
        """
        found = _read(_open(self.uri), self.uri)
        if found is None or found.lease.token != self.token or found.lease.holder is None:
            raise self.lost()

    def lost(self) -> StoreError:
        """Return the error of a holder whose lease was taken over."""
        return StoreError(
            f"This run lost the store {self.uri} to another one: it gave no sign of life for "
            f"{_TERM_SECONDS:.0f} seconds, as its host was paused or cut off. Nothing of it was published. "
            "Run again; what the other run read is not read twice."
        )


@dataclass(frozen=True)
class _Lease:
    """The content of the file; ``holder`` is None once it was given back."""

    token: int
    holder: str | None
    since: str
    term_seconds: float
    acquisition: str
    renewals: int = 0


class _Found(NamedTuple):
    lease: _Lease
    version: UpdateVersion


class Held(NamedTuple):
    """A lease that this process holds; whether it was taken over from a holder that fell silent."""

    fence: Fence
    taken_over: bool


@contextmanager
def holding(uri: str, wait_seconds: float) -> Iterator[Held]:
    """Hold the lease of the store at ``uri``.

    Parameters
    ----------
    uri
        Address of the store.
    wait_seconds
        How long to wait for a holder that is at work. A silent one is waited for until its term is over.

    Raises
    ------
    StoreError
        If another run is at work, the storage cannot be reached, or it does not refuse writes whose condition
        fails.
    """
    objects = _open(uri)
    found, taken_over = _acquire(objects, uri, wait_seconds)
    keeper = _Keeper(objects, uri, found)
    try:
        keeper.check_conditions()
        keeper.start()
        yield Held(Fence(uri, found.lease.token), taken_over)
    finally:
        keeper.give_back()


class _Keeper:
    """Renews a lease in a thread until it is given back."""

    def __init__(self, objects: ObjectStore, uri: str, found: _Found) -> None:
        self._objects = objects
        self._uri = uri
        self._found = found
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_done, name="lease", daemon=True)

    def check_conditions(self) -> None:
        """Refuse a storage that would let two runs write over each other."""
        before = self._found.version
        self._renew()
        content = self._found.lease
        if _put(self._objects, self._uri, content, "create") or _put(
            self._objects, self._uri, content, before
        ):
            raise _unconditional(self._uri)

    def start(self) -> None:
        self._thread.start()

    def give_back(self) -> None:
        """Say that the store is free; a lease that cannot be given back ends with its term."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(StoreError):
            _put(
                self._objects,
                self._uri,
                replace(self._found.lease, holder=None),
                self._found.version,
            )

    def _renew_until_done(self) -> None:
        while not self._done.wait(_RENEW_SECONDS):
            # A network that is away for a while is no loss: the next renewal tells whether it was too long.
            with suppress(StoreError):
                if not self._renew():
                    return

    def _renew(self) -> bool:
        """Return whether the lease is still ours."""
        lease = replace(self._found.lease, renewals=self._found.lease.renewals + 1)
        if version := _put(self._objects, self._uri, lease, self._found.version):
            self._found = _Found(lease, version)
            return True
        # Our own renewal may have arrived although its answer was lost.
        found = _read(self._objects, self._uri)
        if found is None or found.lease.acquisition != lease.acquisition:
            return False
        self._found = found
        return True


def _acquire(objects: ObjectStore, uri: str, wait_seconds: float) -> tuple[_Found, bool]:
    """Take the lease when it is free; return it, and whether its holder had fallen silent."""
    mine = uuid4().hex
    began = time.monotonic()
    seen: _Lease | None = None
    seen_at = began
    alive = taken_over = False
    while True:
        found = _read(objects, uri)
        if found is None:
            _put(objects, uri, _new_lease(mine, before=None), "create")
            continue
        if found.lease.acquisition == mine:
            return found, taken_over
        now = time.monotonic()
        if found.lease != seen:
            alive, seen, seen_at = seen is not None, found.lease, now
        silent = now - seen_at > found.lease.term_seconds
        if found.lease.holder is None or silent:
            taken_over = found.lease.holder is not None
            _put(objects, uri, _new_lease(mine, before=found.lease), found.version)
            continue
        if alive and now - began >= wait_seconds:
            raise _in_use(uri, found.lease)
        time.sleep(_POLL_SECONDS)


def _new_lease(acquisition: str, before: _Lease | None) -> _Lease:
    now = datetime.now(UTC)
    # In milliseconds where there is none before: a file that was removed must not bring a smaller token.
    token = before.token + 1 if before else int(now.timestamp() * 1000)
    return _Lease(
        token=token,
        holder=f"process {os.getpid()} on {socket.gethostname()}",
        since=f"{now:%Y-%m-%d %H:%M} UTC",
        term_seconds=_TERM_SECONDS,
        acquisition=acquisition,
    )


def _open(uri: str) -> ObjectStore:
    try:
        # Options of the client would replace those of the environment (AWS_ALLOW_HTTP, for example).
        return from_url(uri, retry_config={"max_retries": 3, "retry_timeout": _RETRY_TIMEOUT})
    except BaseError:
        raise StoreError(
            f"{uri} is no address of a store. Give a folder, or an address that begins with s3://, gs://, "
            "az:// or abfss://."
        ) from None


def _read(objects: ObjectStore, uri: str) -> _Found | None:
    with _named_errors(uri):
        try:
            answer = obstore.get(objects, _FILE)
        except FileNotFoundError:
            return None
        content = bytes(answer.bytes())
    try:
        return _Found(_Lease(**json.loads(content)), _version(answer.meta))
    except (TypeError, ValueError):
        raise StoreError(
            f"The file {_FILE} of the store {uri}, which says who holds it, is damaged. Remove it once no "
            "run is at work, then run again."
        ) from None


def _put(objects: ObjectStore, uri: str, lease: _Lease, mode: PutMode) -> UpdateVersion | None:
    """Write the lease if the condition holds; return its version, or None if it does not hold."""
    with _named_errors(uri):
        try:
            content = json.dumps(asdict(lease)).encode()
            return _version(obstore.put(objects, _FILE, content, mode=mode))
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None


def _version(result: obstore.PutResult | obstore.ObjectMeta) -> UpdateVersion:
    version: UpdateVersion = {}
    if e_tag := result["e_tag"]:
        version["e_tag"] = e_tag
    if number := result["version"]:
        version["version"] = number
    return version


@contextmanager
def _named_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except (NotSupportedError, NotImplementedError):
        raise _unconditional(uri) from None
    except (BaseError, OSError) as error:
        raise StoreError(
            f"The store {uri} cannot be reached ({type(error).__name__}). Check the address, the network and "
            "the credentials, and the right to read and write there."
        ) from None


def _unconditional(uri: str) -> StoreError:
    return StoreError(
        f"The storage of {uri} does not refuse a write whose condition fails (If-None-Match, If-Match), so "
        "two runs could write over each other. Use a storage that does, or a newer version of its server; "
        "no table was written."
    )


def _in_use(uri: str, lease: _Lease) -> StoreError:
    return StoreError(
        f"The store {uri} is in use by {lease.holder} since {lease.since}. Wait until it is done, then run "
        "again."
    )
