"""Turns patient identifiers into keyed pseudonyms at the door.

In    a patient identifier as a supplier writes it, and the namespace that it belongs to
Out   ``p`` and 20 hexadecimal digits: HMAC-SHA256 under the clinic's key, cut to 80 bits

The key comes from ``E2ANALYTICS_KEY`` or ``E2ANALYTICS_KEY_FILE`` only and is never stored; a store
keeps a check of it, so that another key is refused before anything is written.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from e2analytics.errors import ConfigurationError
from e2analytics.marker import MARKER_NAME

KEY_VARIABLE = "E2ANALYTICS_KEY"
KEY_FILE_VARIABLE = "E2ANALYTICS_KEY_FILE"
MIN_KEY_LENGTH = 16
_DEMO_KEY = b"the key of simulated patients only"
_DIGITS = 20


def read_key(drop: Path | None = None) -> bytes:
    """Return the clinic's key.

    Parameters
    ----------
    drop
        The folder about to be read; one with the simulator's marker may use the demo key.

    Raises
    ------
    ConfigurationError
        If there is no key, or one too short to protect anybody.
    """
    key = _configured_key()
    if key is None and drop is not None and (drop / MARKER_NAME).is_file():
        return _DEMO_KEY
    if key is None:
        raise ConfigurationError(
            "There is no key to turn patient identifiers into pseudonyms. Set "
            f"{KEY_FILE_VARIABLE} to a file that holds one (or {KEY_VARIABLE} to the key itself), "
            "for example one made by: python -c 'import secrets; print(secrets.token_hex(32))'. "
            "Keep it: without it, later files cannot be joined to this store."
        )
    if len(key) < MIN_KEY_LENGTH:
        raise ConfigurationError(
            f"The key has {len(key)} characters; {MIN_KEY_LENGTH} are the least that protects."
        )
    return key


def _configured_key() -> bytes | None:
    if value := os.environ.get(KEY_VARIABLE):
        return value.strip().encode()
    if path := os.environ.get(KEY_FILE_VARIABLE):
        try:
            return Path(path).read_bytes().strip()
        except OSError as error:
            raise ConfigurationError(
                f"The key file named by {KEY_FILE_VARIABLE} cannot be read ({error.strerror})."
            ) from None
    return None


def key_check(key: bytes) -> str:
    """Return what a store keeps to recognise its key; the key cannot be found from it."""
    return hmac.new(key, b"e2analytics: check of the key", hashlib.sha256).hexdigest()


def is_of_simulated_patients(check: str) -> bool:
    """Tell whether this is the check of the demo key."""
    return check == key_check(_DEMO_KEY)


def pseudonym(key: bytes, namespace: str, identifier: str) -> str:
    """Return the pseudonym of one patient.

    >>> pseudonym(b"0123456789abcdef", "clinic", "7") == pseudonym(b"0123456789abcdef", "lab", "7")
    False
    """
    return "p" + keyed_hash(key, namespace, identifier)[:_DIGITS]


def keyed_hash(key: bytes, namespace: str, text: str) -> str:
    """Return a hash of ``text`` that nobody can try names against without the key."""
    # The length in front keeps ("ab", "c") and ("a", "bc") apart.
    message = f"{len(namespace)}:{namespace}{text}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def pseudonymise(
    rows: pl.DataFrame, key: bytes, namespace: str, id_prefixes: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Replace ``patient_id`` of ``rows`` by pseudonyms; null stays null.

    Parameters
    ----------
    rows
        Rows with a ``patient_id``.
    key
        The clinic's key.
    namespace
        Whose numbering it is.
    id_prefixes
        Further columns that a feed made of the patient's number, with what stands before it.
    """
    identifiers = rows["patient_id"].drop_nulls().unique()
    names = pl.DataFrame(
        {
            "patient_id": identifiers,
            "pseudonym": [pseudonym(key, namespace, each) for each in identifiers],
        },
        schema={"patient_id": pl.String, "pseudonym": pl.String},
    )
    return (
        rows.join(names, on="patient_id", how="left", maintain_order="left")
        .with_columns(patient_id="pseudonym")
        .drop("pseudonym")
        .with_columns(
            pl.concat_str(pl.lit(prefix), "patient_id").alias(name)
            for name, prefix in (id_prefixes or {}).items()
        )
    )
