"""Finds the files of a drop, and the feed that describes each.

In    a folder and the feed descriptions
Out   :class:`Match` for every file that a feed describes; the others as they are

A file is recognised by its name and, where a description gives a signature, by the columns of its
header. A file that needs its header to be recognised, and is too damaged to show it, is refused under the
first feed that has files of its kind: as an unmatched file it would be lost. Folders inside the folder are
no files of it, and nothing outside it is read. A file that is neither data of a feed nor a side file
(``side_files``) breaks the contract with its supplier.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import formats
from e2analytics.feeds.description import Feed, FileDescription
from e2analytics.feeds.reader import FormatOptions
from e2analytics.feeds.side_files import kind_of
from e2analytics.reference import row_rules
from e2analytics.reference.simulation_marker import MARKER_NAME, TRUTH_NAME


@dataclass(frozen=True)
class Match:
    """A file of a drop and what describes it: one kind for each table that it fills."""

    path: Path
    feed: Feed
    kinds: tuple[FileDescription, ...]


@dataclass(frozen=True)
class Entries:
    """What a drop holds.

    Attributes
    ----------
    data
        Entries that are, or may be, data, by name.
    passed_over
        The others, and what each is.
    """

    data: list[Path]
    passed_over: dict[Path, str]


def entries(folder: Path, side_files: Sequence[str] = ()) -> Entries:
    """Return the entries of a drop.

    Parameters
    ----------
    folder
        The drop.
    side_files
        Patterns of names that the clinic knows to be no data.

    Raises
    ------
    UnreadableError
        If the folder cannot be read.
    """
    try:
        every = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UnreadableError(
            f"The drop {folder} cannot be read ({error.strerror}). Give the folder of suppliers' files."
        ) from None
    simulated = any(path.name == MARKER_NAME for path in every)
    of_simulator = (MARKER_NAME, TRUTH_NAME) if simulated else ()
    kinds = {
        path: "of the simulator" if path.name in of_simulator else kind_of(path, side_files)
        for path in every
    }
    return Entries(
        [path for path, kind in kinds.items() if kind is None],
        {path: kind for path, kind in kinds.items() if kind is not None},
    )


def check_place(path: Path, folder: Path) -> None:
    """Refuse what is no plain file of the folder: a link that leads out, a device, a pipe.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise RefusedFileError("outside_drop", "it is a link to something outside the drop")
        if not stat.S_ISREG(path.stat().st_mode):
            raise RefusedFileError("not_a_file", "it is a device or a pipe")
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None


def recognise(feeds: Sequence[Feed], path: Path) -> Match | None:
    """Return the feed of a file; one whose signature its header shows comes before all others.

    A file that is not there yet to be opened, or broken, is recognised by its name alone.
    """
    headers = _Headers(path)
    by_name = [(feed, [kind for kind in feed.files if kind.matches(path.name)]) for feed in feeds]
    for feed, kinds in by_name:
        signed = tuple(kind for kind in kinds if kind.header and kind.recognises(headers.of(feed)))
        if signed:
            unsigned = tuple(kind for kind in kinds if not kind.header and kind.record != "*")
            return Match(path, feed, signed + unsigned)
    for feed, kinds in by_name:
        # One that asks for a signature and does not find it describes other files of such a name.
        if kinds and not any(kind.header for kind in kinds):
            return Match(path, feed, tuple(kinds))
    for feed, kinds in by_name:
        if kinds and not headers.of(feed) and _is_damaged(path, feed):
            return Match(path, feed, tuple(kinds))
    return None


def _is_damaged(path: Path, feed: Feed) -> bool:
    """Return whether the feed's reader refuses a file, whatever it holds."""
    try:
        check_place(path, path.parent)
        next(formats.read(path, feed.format), None)
    except RefusedFileError as refused:
        return row_rules.load().file_rules[refused.rule].damaged
    return False


class _Headers:
    """The columns of one file, read once for each format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: dict[FormatOptions, dict[str, list[str]]] = {}

    def of(self, feed: Feed) -> dict[str, list[str]]:
        if not self._is_file:
            return {}
        if feed.format not in self._read:
            self._read[feed.format] = formats.header(self._path, feed.format)
        return self._read[feed.format]

    @cached_property
    def _is_file(self) -> bool:
        try:
            return self._path.is_file()
        except OSError:
            return False
