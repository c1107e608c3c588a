"""Strict JSON for FHIR: a text becomes a resource or is refused with the name of its problem.

In    the bytes of one resource or Bundle
Out   its elements; every number as the text it was written in, so that 0.10 stays 0.10

Refuses what readers of JSON understand differently (a key twice, NaN, a lone surrogate, NUL) and what
would exhaust them (nesting without end). The functions below walk through elements whose types nobody
has checked: what is not there, or is not what it should be, is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

Node = dict[str, Any]

NOT_JSON: Final = "not_json"
NOT_FHIR: Final = "not_fhir"
WRONG_ENCODING: Final = "wrong_encoding"
TOO_DEEP: Final = "too_deep"
DUPLICATE_KEY: Final = "duplicate_key"
NOT_TEXT: Final = "not_text"


class UnusableError(Exception):
    """A text that is no resource; it says which problem and no value."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def parse(content: bytes) -> Node:
    """Return the object that ``content`` is.

    Raises
    ------
    UnusableError
        With the name of the problem.
    """
    try:
        text = content.decode("utf-8")
        node = _DECODER.decode(text)
    except UnicodeDecodeError:
        raise UnusableError(WRONG_ENCODING) from None
    except RecursionError:
        raise UnusableError(TOO_DEEP) from None
    except ValueError:
        # Not chained: the parser's error carries the whole text.
        raise UnusableError(NOT_JSON) from None
    if not isinstance(node, dict):
        raise UnusableError(NOT_FHIR)
    # Only an escape can smuggle in what UTF-8 and the parser would refuse.
    if "\\u" in text and any(map(_is_no_text, _strings(node))):
        raise UnusableError(NOT_TEXT)
    return node


def _refused(_constant: str) -> None:
    raise ValueError


def _without_a_key_twice(pairs: list[tuple[str, Any]]) -> Node:
    node = dict(pairs)
    if len(node) < len(pairs):
        raise UnusableError(DUPLICATE_KEY)
    return node


_DECODER: Final = json.JSONDecoder(
    parse_float=str,
    parse_int=str,
    parse_constant=_refused,
    object_pairs_hook=_without_a_key_twice,
)


def _is_no_text(written: str) -> bool:
    return "\x00" in written or any("\ud800" <= letter <= "\udfff" for letter in written)


def _strings(node: Node) -> Iterator[str]:
    pending: list[Any] = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def child(node: Node, *path: str) -> Node:
    """Return the element at the end of ``path``; empty where there is none.

    >>> child({"code": {"text": "Estradiol"}}, "code")
    {'text': 'Estradiol'}
    >>> child({"code": "Estradiol"}, "code", "coding")
    {}
    """
    for name in path:
        below = node.get(name)
        node = below if isinstance(below, dict) else {}
    return node


def children(node: Node, name: str) -> list[Node]:
    """Return the elements of a list; what is none stays as an empty one, so that it is counted.

    >>> children({"note": [{"text": "fasting"}, 7]}, "note")
    [{'text': 'fasting'}, {}]
    """
    below = node.get(name)
    if isinstance(below, dict):
        return [below]
    return (
        [each if isinstance(each, dict) else {} for each in below]
        if isinstance(below, list)
        else []
    )


def text(node: Node, *path: str) -> str | None:
    """Return what is written at the end of ``path``, without the blanks around it.

    >>> text({"valueQuantity": {"value": "0.10"}}, "valueQuantity", "value")
    '0.10'
    """
    return _stripped(child(node, *path[:-1]).get(path[-1]))


def texts(node: Node, name: str) -> list[str]:
    """Return what is written in a list, the empty left out."""
    below = node.get(name)
    written = map(_stripped, below if isinstance(below, list) else [below])
    return [each for each in written if each is not None]


def is_true(node: Node, name: str) -> bool:
    """Return whether an element is the constant ``true``."""
    return node.get(name) is True


def _stripped(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return (value.strip() or None) if isinstance(value, str) else None
