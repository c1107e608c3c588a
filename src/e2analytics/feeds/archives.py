"""Unpacks the archives of a drop: ``.zip``, and ``.gz`` of one file.

In    entries of a drop, and a folder of the user's own to unpack into
Out   :class:`Entry` for every entry and every member: a file to read, or why it is passed over or refused

An archive is unpacked as a whole or refused as a whole; afterwards each member is a file like any other. The
files of one ``.zip`` lie in one folder, those of all ``.gz`` in another, so that they find the files that they
refer to. Refused are archives that would become huge, name places outside, or are damaged; of the members those
that are encrypted, archives again, or of the name of another.
"""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.drop import check_place
from e2analytics.feeds.side_files import kind_of

MOST_MEMBERS: Final = 10_000
MOST_BYTES_INSIDE: Final = 1 << 36
_MOST_TIMES_LARGER: Final = 200
_FEWEST_BYTES_DOUBTED: Final = 1 << 24
_CHUNK_BYTES: Final = 1 << 20
_READ: Final = frozenset({".zip", ".gz"})
_ARCHIVES: Final = _READ | {".7z", ".bz2", ".rar", ".tar", ".tgz", ".xz", ".zst"}
_DAMAGED: Final = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)
UNPACKED: Final = "an archive, unpacked"


@dataclass(frozen=True)
class Entry:
    """A file of a drop, or a member of one of its archives.

    Attributes
    ----------
    path
        Where it can be read.
    shown
        How the user knows it: a member as if its archive were a folder.
    no_data
        What it is, if nothing need be read from it.
    refused
        Why nothing of it can be read.
    """

    path: Path
    shown: Path
    no_data: str | None = None
    refused: RefusedFileError | None = None


def opened(paths: Iterable[Path], into: Path, side_files: Sequence[str] = ()) -> Iterator[Entry]:
    """Yield the entries of a drop with the members of its archives.

    Parameters
    ----------
    paths
        The entries.
    into
        An empty folder, of which each archive gets a part.
    side_files
        Patterns of names that the clinic knows to be no data.
    """
    for number, path in enumerate(paths):
        if path.suffix.lower() not in _READ or path.is_dir():
            yield Entry(path, path)
            continue
        is_zip = path.suffix.lower() == ".zip"
        folder = into / (f"{number}" if is_zip else "gz")
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            check_place(path, path.parent)
            members = _unzipped(path, folder) if is_zip else [_gunzipped(path, folder)]
        except RefusedFileError as refused:
            yield Entry(path, path, refused=refused)
            continue
        yield Entry(path, path, no_data=UNPACKED)
        for member in members:
            yield member if member.refused else _placed(member, side_files)


def _placed(member: Entry, side_files: Sequence[str]) -> Entry:
    return Entry(member.path, member.shown, no_data=kind_of(member.path, side_files))


def _unzipped(path: Path, folder: Path) -> list[Entry]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(members, path.stat().st_size)
            entries, taken = [], set[str]()
            for member in members:
                entry = _fate(member, path, folder, taken)
                taken.add(entry.path.name.lower())
                entries.append(entry)
                if entry.refused is None:
                    with archive.open(member) as content:
                        _copy(content, entry.path, member.file_size)
            return entries
    except _DAMAGED:
        # Not chained: the message may quote the name of a member.
        raise RefusedFileError(
            "damaged_archive", "it is damaged, or packed in an unusual way"
        ) from None
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be read or unpacked") from None


def _check(members: list[zipfile.ZipInfo], n_bytes: int) -> None:
    """Refuse an archive that would become huge, or whose members name other places."""
    inside = sum(member.file_size for member in members)
    if len(members) > MOST_MEMBERS or inside > _most_bytes(n_bytes):
        raise RefusedFileError("too_large_inside", "unpacked it is far larger than an export is")
    if any(_is_unsafe(member) for member in members):
        raise RefusedFileError("unsafe_archive", "a member names a place outside, or is a link")
    if not members:
        raise RefusedFileError("empty_file", "it holds no file")


def _most_bytes(n_bytes: int) -> int:
    return min(MOST_BYTES_INSIDE, max(_FEWEST_BYTES_DOUBTED, n_bytes * _MOST_TIMES_LARGER))


def _is_unsafe(member: zipfile.ZipInfo) -> bool:
    # What is written in the archive: zipfile itself cleans the name.
    name = member.orig_filename
    place = PurePosixPath(name)
    return (
        place.is_absolute()
        or ".." in place.parts
        or any(mark in name for mark in ("\\", ":", "\0"))
        or stat.S_ISLNK(member.external_attr >> 16)
    )


def _fate(member: zipfile.ZipInfo, path: Path, folder: Path, taken: set[str]) -> Entry:
    place = PurePosixPath(member.filename)
    hidden = "__MACOSX" in place.parts
    # What the Macintosh keeps beside each file has the name of a hidden one there, too.
    into, shown = folder / (f".{place.name}" if hidden else place.name), path / place
    refused = None
    if member.flag_bits & 0x1:
        refused = RefusedFileError("encrypted_member", "it is protected by a password")
    elif place.suffix.lower() in _ARCHIVES:
        refused = RefusedFileError("nested_archive", "it is an archive within an archive")
    elif into.name.lower() in taken and not hidden:
        refused = RefusedFileError("repeated_member", "another member has its name")
    return Entry(into, shown, refused=refused)


def _gunzipped(path: Path, folder: Path) -> Entry:
    into, shown = folder / path.stem, path / path.stem
    if into.suffix.lower() in _ARCHIVES:
        refused = RefusedFileError("nested_archive", "it is an archive within an archive")
        return Entry(into, shown, refused=refused)
    try:
        with gzip.open(path) as content:
            _copy(content, into, _most_bytes(path.stat().st_size))
    except EOFError:
        raise RefusedFileError("truncated_file", "it is cut off") from None
    except _DAMAGED:
        raise RefusedFileError("damaged_archive", "it is damaged, or no gzip file") from None
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be read or unpacked") from None
    return Entry(into, shown)


def _copy(content: IO[bytes] | gzip.GzipFile, into: Path, most_bytes: int) -> None:
    """Write what an archive holds; what it says of its own size may be wrong."""
    n_bytes = 0
    with into.open("wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > most_bytes:
                raise RefusedFileError(
                    "too_large_inside", "unpacked it is far larger than it may be"
                )
            file.write(chunk)
