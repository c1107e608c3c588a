"""Makes what a new clinic needs: the key, the configuration, the folders.

In    a folder, new or with some of it
Out   the key file (for its owner alone), ``e2analytics.toml``, the folders; and which of them are new

Never overwrites: what is there stays as it is, so that a second time changes nothing. A store that holds a
run gets no new key, because its patients could not be found under another.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from e2analytics.errors import UnreadableError
from e2analytics.run.settings_page import as_toml
from e2analytics.settings import DEFAULT_CONFIG
from e2analytics.store.store import Store

KEY_FILE: Final = "e2.key"
DROP: Final = "drop"
FEEDS: Final = "feeds"
STORE: Final = "store"
FOLDERS: Final = {
    DROP: "the exports of laboratories, scanners, pharmacies, the record system",
    FEEDS: "your own feed descriptions, one YAML file a supplier",
    STORE: "what runs publish",
    "reports": "the monthly reports",
}
"""Folders, and what they are for."""
_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077
_HEAD: Final = """\
# Settings of this clinic, made by `e2analytics init`: the defaults stand as comments. To change one, take its
# first # away. docs/settings.md explains each; those that may stand several times (equations between scanners,
# decisions on mixed-up units, new baselines) are only there.
#
# The time zone is that of the machine on which this was made: set the clinic's, such as America/New_York.

"""


@dataclass
class NewClinic:
    """What was made in ``folder``, and what was there already.

    Attributes
    ----------
    key_file
        The file of the key.
    made, kept
        Names of files and folders.
    key_is_readable_by_others
        The key file is not for its owner alone.
    key_is_missing
        There is no key file, but a store that was made with a key.
    """

    folder: Path
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    key_is_readable_by_others: bool = False
    key_is_missing: bool = False

    @property
    def key_file(self) -> Path:
        """The file of the key."""
        return self.folder / KEY_FILE


def make(folder: Path) -> NewClinic:
    """Make what is not there yet.

    Raises
    ------
    UnreadableError
        If something cannot be made; what was made before stays, and another call makes the rest.
    """
    clinic = NewClinic(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # First of all: a store without its key is the one thing that cannot be made again.
        _make_key(clinic)
        _make_file(clinic, f"{DEFAULT_CONFIG}", _configuration(), mode=0o644)
        for name in FOLDERS:
            is_new = not (folder / name).exists()
            (folder / name).mkdir(exist_ok=True)
            (clinic.made if is_new else clinic.kept).append(f"{name}/")
    except OSError as error:
        raise UnreadableError(
            f"{error.filename or folder} cannot be made ({error.strerror}). Nothing that was there was changed. "
            "Give a folder that you may write to."
        ) from None
    return clinic


def _make_key(clinic: NewClinic) -> None:
    key_file = clinic.key_file
    if not key_file.exists() and Store(f"{clinic.folder / STORE}").exists():
        clinic.key_is_missing = True
        return
    _make_file(clinic, KEY_FILE, f"{secrets.token_hex(32)}\n", mode=_OWNER_ONLY)
    clinic.key_is_readable_by_others = bool(key_file.stat().st_mode & _OTHERS)


def _make_file(clinic: NewClinic, name: str, content: str, *, mode: int) -> None:
    try:
        # Made with its mode: nobody can open it in between.
        file = os.open(clinic.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        clinic.kept.append(name)
        return
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(content)
    clinic.made.append(name)


def _configuration() -> str:
    return _HEAD + as_toml(timezone=f'"{_timezone_here()}"', feeds_folder=f'"{FEEDS}"')


def _timezone_here() -> str:
    """Return the IANA name of this machine's zone, UTC where it has none."""
    name = os.environ.get("TZ", "").lstrip(":") or f"{Path('/etc/localtime').resolve()}"
    name = name.rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
