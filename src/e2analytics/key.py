"""The clinic's key: read from the environment, and recognised by a check that a store keeps.

In    ``E2ANALYTICS_KEY``, or the file that ``E2ANALYTICS_KEY_FILE`` names; nothing else
Out   the key, as bytes; and its check, from which the key cannot be found

The key turns patient identifiers into pseudonyms and encrypts the crosswalk. It is never stored. A store
keeps the check, so that another key is refused before anything is written.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Final

from e2analytics.errors import ConfigurationError

KEY_VARIABLE: Final = "E2ANALYTICS_KEY"
KEY_FILE_VARIABLE: Final = "E2ANALYTICS_KEY_FILE"
MIN_KEY_LENGTH: Final = 16
_DEMO_KEY: Final = b"the key of simulated patients only"


def read_key(*, simulated: bool = False) -> bytes:
    """Return the clinic's key.

    Parameters
    ----------
    simulated
        The patients are simulated: without a key of the clinic, the demo key serves.

    Raises
    ------
    ConfigurationError
        If there is no key, or one too short to protect anybody.
    """
    key = _configured_key()
    if key is None and simulated:
        return _DEMO_KEY
    if key is None:
        raise ConfigurationError(
            "There is no key to turn patient identifiers into pseudonyms. Set "
            f"{KEY_FILE_VARIABLE} to a file that holds one (or {KEY_VARIABLE} to the key itself), "
            "for example one made by: python3 -c 'import secrets; print(secrets.token_hex(32))'. "
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
