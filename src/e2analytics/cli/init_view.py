"""What ``init`` prints: what it made and kept, and the next steps, ready to be copied."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from e2analytics.cli.terminal import err, out
from e2analytics.key import KEY_FILE_VARIABLE, KEY_VARIABLE
from e2analytics.run.new_clinic import DROP, FEEDS, FOLDERS, KEY_FILE, NewClinic
from e2analytics.settings import DEFAULT_CONFIG


def print_made(clinic: NewClinic) -> None:
    """Say what is new, what was kept, and what to do next."""
    purposes = {
        KEY_FILE: "turns patient numbers into pseudonyms; for you alone",
        f"{DEFAULT_CONFIG}": "settings, each with its default as a comment",
        **{f"{name}/": purpose for name, purpose in FOLDERS.items()},
    }
    for name in clinic.made:
        out.print(f"Made  {name:<18}{purposes[name]}")
    for name in clinic.kept:
        out.print(f"Kept  {name:<18}was there already, and is as it was")
    _print_warnings(clinic)
    if clinic.key_is_missing:
        return
    if KEY_FILE in clinic.made:
        out.print(
            f"\nKeep a copy of {KEY_FILE} in another safe place: without it, later files cannot be joined to "
            "the store."
        )
    out.print("\nNext:")
    if clinic.folder.resolve() != Path.cwd():
        out.print(f"  cd {quote(f'{clinic.folder}')}")
    out.print(f"  export {KEY_FILE_VARIABLE}={quote(f'{clinic.key_file.resolve()}')}")
    out.print(f"  (put the exports into {DROP}/; check the time zone in {DEFAULT_CONFIG})")
    out.print(
        f"  e2analytics inspect {DROP}/*      # what each file is; of an unknown layout a draft for {FEEDS}/"
    )
    out.print(
        f"  e2analytics run --drop {DROP}     # publishes into store/, and says who is flagged"
    )


def _print_warnings(clinic: NewClinic) -> None:
    if clinic.key_is_missing:
        err.print(
            f"No key was made: store/ holds runs that were made with another. Put its file here as {KEY_FILE}, "
            f"or name it in {KEY_FILE_VARIABLE}."
        )
    if clinic.key_is_readable_by_others:
        err.print(
            f"Others can read the key. Make it yours alone: chmod 600 {quote(f'{clinic.key_file}')}"
        )
    if os.environ.get(KEY_VARIABLE):
        err.print(f"{KEY_VARIABLE} is set and wins over {KEY_FILE_VARIABLE}: unset one of the two.")
