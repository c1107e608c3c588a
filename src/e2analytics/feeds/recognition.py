"""Says why a file was matched to a feed, and which other feeds nearly match.

In    what :func:`e2analytics.feeds.drop.recognise` found, the feed descriptions
Out   sentences for the analyst who writes a description: names of columns, never a value
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from e2analytics.feeds import formats
from e2analytics.feeds.columns import differences
from e2analytics.feeds.description import Feed, FileDescription
from e2analytics.feeds.drop import Match
from e2analytics.feeds.reader import FormatOptions

NEAREST: Final = 3
"""Near misses that are reported."""


def reason(match: Match) -> str:
    """Say how a file was recognised."""
    names = ", ".join(dict.fromkeys(kind.name for kind in match.kinds))
    by_name = f"its name is like {names}"
    signature = dict.fromkeys(column for kind in match.kinds for column in kind.header)
    if signature and formats.of(match.feed.format).defines_columns:
        return f"{by_name}, and it begins like {match.feed.format.kind}"
    if signature:
        return f"{by_name}, and it has the columns {', '.join(signature)}"
    return f"{by_name}; no column was asked for"


class _Miss(NamedTuple):
    n_missing: int
    n_there: int
    sentence: str


_HEADER_LINES: Final = range(1, 11)
_DELIMITERS: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


def nearest(feeds: Sequence[Feed], path: Path, match: Match | None) -> tuple[str, ...]:
    """Say which other feeds describe a file like this one, and what it lacks to be theirs."""
    others = [feed for feed in feeds if match is None or feed.feed != match.feed.feed]
    headers = {each: formats.header(path, each) for each in {feed.format for feed in others}}
    misses = [miss for feed in others for miss in _misses(feed, path, headers[feed.format])]
    if match is None and not misses:
        misses = [*_written_otherwise(others, path), *_by_name(others, path, headers)]
    misses.sort(key=lambda miss: (miss.n_missing, -miss.n_there))
    return tuple(dict.fromkeys(miss.sentence for miss in misses))[:NEAREST]


def _written_otherwise(feeds: Sequence[Feed], path: Path) -> Iterator[_Miss]:
    """Look for a known header on another line, or between other delimiters."""
    headers: dict[FormatOptions, dict[str, list[str]]] = {}
    for feed in feeds:
        for options, how in _other_options(feed.format):
            if options not in headers:
                headers[options] = formats.header(path, options)
            for miss in _misses(feed, path, headers[options]):
                yield miss._replace(sentence=f"{miss.sentence}, and {how}")


def _other_options(options: FormatOptions) -> Iterator[tuple[FormatOptions, str]]:
    if not formats.of(options).has_header_line:
        return
    agreed = options.model_dump()
    delimiter = agreed.get("delimiter")
    for other, in_words in _DELIMITERS.items() if delimiter else [(None, "")]:
        for line in _HEADER_LINES:
            changes = {"header_line": line} | ({"delimiter": other} if other else {})
            how = [
                *([f"its header is line {line}"] if line != agreed["header_line"] else []),
                *([f"its delimiter is {in_words}"] if other != delimiter else []),
            ]
            if how:
                yield options.model_copy(update=changes), ", ".join(how)


def _by_name(
    feeds: Sequence[Feed], path: Path, headers: Mapping[FormatOptions, dict[str, list[str]]]
) -> Iterator[_Miss]:
    """Look for feeds that have files of this name; what the file holds instead is not told."""
    for feed in feeds:
        for kind in feed.files:
            present = {name for names in headers[feed.format].values() for name in names}
            missing = [column for column in kind.header if column not in present]
            # "*.csv" is the name of any file.
            is_telling = any(letter.isalnum() for letter in kind.name.rpartition(".")[0])
            if missing and is_telling and kind.matches(path.name):
                sentence = f"{feed.feed} ({kind.target}): {differences(missing, ())}"
                yield _Miss(len(missing), 0, sentence)


def _misses(feed: Feed, path: Path, headers: Mapping[str, list[str]]) -> Iterator[_Miss]:
    for kind in feed.files:
        asked = dict.fromkeys([*kind.header, *kind.required])
        for record, names in headers.items():
            there = [column for column in asked if column in names]
            # Half of the columns by chance is no near miss.
            of_sheet = kind.takes(record) or formats.of(feed.format).has_sheets
            if of_sheet and there and len(there) * 2 > len(asked):
                missing = [column for column in asked if column not in names]
                others = [name for name in names if name not in kind.columns_used()]
                lacks = [differences(missing, others)] if missing else []
                if not kind.takes(record):
                    lacks.append(f"its sheet is not called {kind.record}")
                yield _Miss(len(missing), len(there), _sentence(feed, kind, path, lacks))


def _sentence(feed: Feed, kind: FileDescription, path: Path, lacks: list[str]) -> str:
    if not kind.matches(path.name):
        lacks.append(f"its name is not like {kind.name}")
    if not lacks:
        return f"{feed.feed}: another one was as good a match and came first"
    return f"{feed.feed} ({kind.target}): {', and '.join(lacks)}"
