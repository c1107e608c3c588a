"""The clauses of a sig: which of its words belong together.

In    the words of a sig (``words``)
Out   clauses from left to right, without a gap; words that begin none are of kind ``unknown``

Sigs are short and their grammar is flat: a list of clauses, the longest first. A parser library would bring a
second language and settle ambiguities by itself; here two readings have a clause of their own, ``open``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from e2analytics.ingest.normalise.sig.words import DATE, DAY, DRUG, NO_NUMBER, NUMBER, VARIES

_N: Final = rf"(?P<n>{NUMBER})"
_M: Final = rf"(?P<m>{NUMBER})"
_ADVERB: Final = "daily|weekly|monthly|yearly"
_PERIOD: Final = "day|week|month|year"
_SPAN: Final = r"(?P<p>days?|d|hours|weeks?|months?|years?)"
_EVERY: Final = "(?:per|every|each)"
_WEEKLY: Final = f"(?:(?:of )?{_EVERY} week|weekly|of week)"
_AMOUNT: Final = "(?:mg|mcg|ml|tablet|product|dose)"
_COMMA: Final = r"(?:,|\.|and|per)"
_HOW_OFTEN_FOLLOWS: Final = (
    rf"(?=$|{NUMBER} times |{_EVERY} |times |(?:{_ADVERB}|at|and at|{DAY}) |[.,;] ?$)"
)

# Each clause takes words with a blank after each; of several that fit, the longest counts.
_CLAUSES: Final = [
    (kind, re.compile(pattern))
    for kind, pattern in (
        # How much.
        ("mg", f"{_N} mg "),
        ("mcg", f"{_N} mcg "),
        ("total", f"{_N} mg total "),
        ("ml", f"{_N} ml "),
        ("tablets", f"{_N} tablet "),
        ("tablets", rf"take (?P<n>[1-9]) {_HOW_OFTEN_FOLLOWS}"),
        ("product", f"{_N} product "),
        ("per_tablet", f"{_N} mg (?:per )?tablet "),
        ("per_tablet", rf"{_N} mg each (?!{DAY} )|each {_N.replace('<n>', '<e>')} mg "),
        ("per_tablet", rf"{DRUG} {_N} mg (?:tablet )?(?=(?:[:;,.-] )?(?:take|inject) )"),
        ("per_ml", f"{_N} mg per (?:{_M} )?ml "),
        ("several", rf"{_N} (?:times )?{_M} mg (?:tablet )?"),
        ("several", rf"{_N} \( {_M} mg \) tablet "),
        ("several", rf"{_N} (?:tablet of|of a) {_M} mg (?:tablet )?"),
        ("many", f"{_N} times {_M} tablet "),
        # How often.
        ("rate", f"(?:{_N} times )?{_EVERY} (?P<p>{_PERIOD}) "),
        ("rate", f"{_N} times (?P<p>{_PERIOD}) "),
        ("rate", f"(?:{_N} times )?(?:per )?(?P<p>{_ADVERB}) "),
        ("rate", f"{_N} (?:dose )?per (?P<p>{_PERIOD}) "),
        ("rate", f"{_N} dose (?:{_EVERY} )?(?P<p>{_PERIOD}|{_ADVERB}) "),
        ("rate", f"times {_N} (?:{_EVERY} (?P<p>{_PERIOD}) |(?P<q>{_ADVERB}) )"),
        ("rate", f"{_N} times {_EVERY} (?P<m>1) (?P<p>week|day) "),
        ("weekly", f"{_N} times {_EVERY} 7 days "),
        ("every", f"(?:1 times )?{_EVERY} {_M} {_SPAN} "),
        ("every", rf"(?:1 times )?{_EVERY} th{_M} {_SPAN} "),
        ("days_a_week", f"(?:for |{_EVERY} )?{_N} days? {_WEEKLY} "),
        ("days_numbered", rf"days? (?P<days>[1-7](?: {_COMMA})* [1-7](?:(?: {_COMMA})* [1-7])*) {_WEEKLY} "),
        ("alternate_weeks", "alternate weeks "),
        ("weekdays", rf"(?:{_EVERY} )?(?P<days>{DAY}(?:(?: {_COMMA})*(?: {_EVERY})? {DAY})*) "),
        ("every_other_weekday", rf"every 2 (?P<days>{DAY}) (?!(?:(?:{_COMMA}) )*{DAY} )"),
        ("time_of_day", "at (?P<days>morning|noon|evening|night) "),
        ("time_of_day", f"clock {NUMBER} (?:: {NUMBER} )?at (?P<days>morning|evening) "),
        ("once", "1 times "),
        ("single", "single |(?:times|for) 1 dose |1 times single "),
        # How often, in words that leave it open.
        ("open", f"{DAY} to {DAY} "),
        ("open", f"{NUMBER} times "),
        ("open", f"{NUMBER} times {_EVERY} {NUMBER} {_SPAN} "),
        ("open", f"(?:take )?(?!1 ){NUMBER} (?:weekly|monthly|yearly) "),
        ("open", f"(?:for )?{NUMBER} (?:days|weeks) (?:{_EVERY} (?:month|year|{NUMBER} {_SPAN.replace('?P<p>', '?:')})|monthly|yearly) "),
        # How long, and what needs no number.
        ("lasts", rf"(?:for|times) (?:{_N} (?P<p>days|weeks|months|years)|(?:1|a) (?P<q>day|week|month|year)) "),
        ("lasts", f"for {_N} (?P<p>day|d|week|month|year) "),
        ("count", f"(?:for|times) {_N} dose "),
        ("nothing", rf"(?:start|next) (?:{DAY}|today|{DATE}) (?!(?:(?:{_COMMA}) )+{DAY} )"),
        ("nothing", rf"(?:purpose|for) (?:object )+(?:(?:to|goal) {NUMBER} (?:(?:to|and) {NUMBER} )?(?!{_AMOUNT} |times |per |days? ))?"),
        ("nothing", rf"[,;.:()-] |and |of |take |inject |start |{DRUG} "),
        # Not always the same.
        ("varies", f"{VARIES} "),
        ("varies", rf"{NUMBER}(?: (?:{_AMOUNT}|times))?(?: {_EVERY} [a-z]+| (?:{_ADVERB}))? to (?={NUMBER} )"),
    )
]  # fmt: skip


class Clause(NamedTuple):
    """Some words of a sig: what they are, their numbers, and whether they stand in brackets."""

    kind: str
    text: str
    values: dict[str, str]
    in_brackets: bool


def find_clauses(text: str) -> Iterator[Clause]:
    """Yield the clauses of a text from left to right; a word that begins none is of kind ``unknown``."""
    at, depth = 0, 0
    while at < len(text):
        found = [
            (match.end(), kind, match)
            for kind, pattern in _CLAUSES
            if (match := pattern.match(text, at))
        ]
        if found:
            end, kind, match = max(found, key=lambda each: each[0])
            values = {name: value for name, value in match.groupdict().items() if value is not None}
        else:
            end, kind, values = text.index(" ", at) + 1, "unknown", {}
        depth += text.count("(", at, end) - text.count(")", at, end)
        yield Clause(kind, text[at:end], values, depth > 0)
        at = end


def value(clause: Clause, *names: str) -> float | None:
    """Return the first of the numbers that the clause has; None if it has none or an unreadable one."""
    written = next((clause.values[name] for name in names if name in clause.values), NO_NUMBER)
    return None if written == NO_NUMBER else float(written)
