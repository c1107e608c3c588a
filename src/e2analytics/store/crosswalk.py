"""Crosswalk: the patient number behind each pseudonym, encrypted and separate from the tables.

In    ``patient_id`` (pseudonym), ``source_patient_id`` and ``namespace`` of the patients of a drop
Out   STORE/crosswalk   grain patient_id: ``sealed``, number and namespace, encrypted
      STORE/audit       who opened it, when, and how many rows; no pseudonym

AES-256-GCM under a key that HKDF-SHA256 derives from the clinic's key, with a random nonce for each row. A row
is bound to its pseudonym: opening refuses a row that was changed or moved to another pseudonym. It does not
notice a deleted row. Only the verb ``crosswalk`` opens it; no stage reads it.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from e2analytics.errors import ConfigurationError, TooLittleDataError, UnreadableError
from e2analytics.key import key_check
from e2analytics.spreadsheet import harmless
from e2analytics.store.store import Store

CROSSWALK: Final = "crosswalk"
AUDIT: Final = "audit"
COLUMNS: Final = ("patient_id", "source_patient_id", "namespace")

_SEALED: Final = {"patient_id": pl.String(), "sealed": pl.Binary()}
_LABEL: Final = b"e2analytics: crosswalk, AES-256-GCM"
_NONCE_BYTES: Final = 12  # NIST SP 800-38D: 96 bits; random ones are good for 2^32 rows of a key
_OWNER_ONLY: Final = 0o600
_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def seal(names: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Encrypt the patient number behind each pseudonym.

    Parameters
    ----------
    names
        ``patient_id``, ``source_patient_id``, ``namespace``.
    key
        The clinic's key.

    Returns
    -------
    pl.DataFrame
        ``patient_id`` and ``sealed``, in the order of the pseudonyms, which does not show the order of the file.
    """
    cipher = _cipher(key)
    rows = names.select(COLUMNS).sort("patient_id").rows()
    return pl.DataFrame(
        [(pseudonym, _seal(cipher, pseudonym, *behind)) for pseudonym, *behind in rows],
        schema=_SEALED,
        orient="row",
    )


def _seal(cipher: AESGCM, pseudonym: str, source_patient_id: str, namespace: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    behind = json.dumps([source_patient_id, namespace]).encode()
    return nonce + cipher.encrypt(nonce, behind, pseudonym.encode())


def unseal(sealed: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Decrypt what :func:`seal` made.

    Raises
    ------
    ConfigurationError
        If rows were sealed under another key, or were changed since.
    """
    cipher = _cipher(key)
    rows = []
    for pseudonym, content in sealed.select(list(_SEALED)).sort("patient_id").iter_rows():
        try:
            nonce, secret = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
            behind = json.loads(cipher.decrypt(nonce, secret, pseudonym.encode()))
        except (InvalidTag, ValueError):
            continue
        rows.append((pseudonym, *behind))
    if shut := len(sealed) - len(rows):
        raise ConfigurationError(
            f"{shut:,} of {len(sealed):,} rows of the crosswalk cannot be opened with this key: they "
            "were sealed under another one, or changed since. Set the key that the store was written "
            "with; if it is that one, restore the table crosswalk from a backup."
        )
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(key))


def add(store: Store, names: pl.DataFrame, key: bytes) -> int:
    """Add the pseudonyms that the store does not have yet; return their number.

    Must be called while :func:`e2analytics.store.lock.writing` holds the store, and before the run is published: a
    pseudonym of a published table can then always be opened.

    Parameters
    ----------
    store
        The store to add to.
    names
        ``patient_id``, ``source_patient_id``, ``namespace``; rows without a patient are left out.
    key
        The clinic's key, already checked against the store.
    """
    known = _kept(store, CROSSWALK, _SEALED)
    new = (
        names.drop_nulls("patient_id").unique("patient_id").join(known, on="patient_id", how="anti")
    )
    if len(new):
        store.delta.write(CROSSWALK, seal(new, key), "append")
    return len(new)


def export(store: Store, key: bytes, file: Path) -> int:
    """Write the opened crosswalk to a new file that its owner alone can read; return its rows.

    The audit line is written first, so that every opening has one. An identifier that a spreadsheet would
    take for a formula gets an apostrophe in front, and so does one that begins with an apostrophe: remove
    the first apostrophe to get the identifier back.

    Raises
    ------
    ConfigurationError
        If the key is not the store's, or the crosswalk was changed.
    TooLittleDataError
        If the store has no crosswalk.
    UnreadableError
        If the file is there already, cannot be written, or cannot be kept from others.
    """
    store.check(key_check(key))
    sealed = _kept(store, CROSSWALK, _SEALED)
    if sealed.is_empty():
        raise TooLittleDataError(
            f"The store {store.uri} has no crosswalk: nothing with a patient was read into it since "
            "it keeps one. Run e2analytics with --drop first."
        )
    names = unseal(sealed, key)
    try:
        _write_for_owner(store, names, file)
    except FileExistsError:
        raise UnreadableError(
            f"{file} is there already. Give another name, or remove it first: patients' numbers are "
            "never written over something else."
        ) from None
    except OSError as error:
        raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None
    return len(names)


def _write_for_owner(store: Store, names: pl.DataFrame, file: Path) -> None:
    # Made with its rights, and never through a link: there is no moment at which others can read it.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as handle:
        try:
            if os.fstat(descriptor).st_mode & _OF_OTHERS:
                raise UnreadableError(
                    f"{file} would be readable by others: its disk keeps no rights of files. "
                    "Give a file on another disk."
                )
            _note(store, "crosswalk opened", len(names))
            names.select(harmless(pl.all())).write_csv(handle)
        except BaseException:
            file.unlink(missing_ok=True)
            raise


def _note(store: Store, what: str, rows: int) -> None:
    line = {"at": [datetime.now(UTC)], "who": [_who()], "what": [what], "rows": [rows]}
    store.delta.write(AUDIT, pl.DataFrame(line, schema_overrides={"rows": pl.Int64}), "append")


def _who() -> str:
    # The user of the process: the environment could name any other.
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _kept(store: Store, name: str, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    return store.delta.read(name) if store.delta.is_table(name) else pl.DataFrame(schema=schema)
