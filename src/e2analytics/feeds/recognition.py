"""Says why a file was matched to a feed, and which other feeds nearly match.

In    what :func:`e2analytics.feeds.drop.recognise` found, the feed descriptions
Out   sentences for the analyst who writes a description: names of columns, never a value
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from e2analytics.feeds import formats
from e2analytics.feeds.description import Feed, FileDescription
from e2analytics.feeds.drop import Match

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


def nearest(feeds: Sequence[Feed], path: Path, match: Match | None) -> tuple[str, ...]:
    """Say which other feeds describe a file like this one, and what it lacks to be theirs."""
    others = [feed for feed in feeds if match is None or feed.feed != match.feed.feed]
    headers = {each: formats.header(path, each) for each in {feed.format for feed in others}}
    misses = sorted(
        (miss for feed in others for miss in _misses(feed, path, headers[feed.format])),
        key=lambda miss: (miss.n_missing, -miss.n_there),
    )
    return tuple(dict.fromkeys(miss.sentence for miss in misses))[:NEAREST]


def _misses(feed: Feed, path: Path, headers: Mapping[str, list[str]]) -> Iterator[_Miss]:
    for kind in feed.files:
        asked = dict.fromkeys([*kind.header, *kind.required])
        for record, names in headers.items():
            there = [column for column in asked if column in names]
            # Half of the columns by chance is no near miss.
            if kind.takes(record) and there and len(there) * 2 > len(asked):
                missing = [column for column in asked if column not in names]
                yield _Miss(len(missing), len(there), _sentence(feed, kind, path, missing))


def _sentence(feed: Feed, kind: FileDescription, path: Path, missing: list[str]) -> str:
    lacks = [f"it lacks the columns {', '.join(missing)}"] if missing else []
    if not kind.matches(path.name):
        lacks.append(f"its name is not like {kind.name}")
    because = ", and ".join(lacks) or "another one was as good a match and came first"
    return f"{feed.feed} ({kind.target}): {because}"
