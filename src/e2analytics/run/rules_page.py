"""Writes ``docs/rules.md``: every rule that a clinician meets, with what it does, its source and what changed.

In    schemas/reference/
Out   one Markdown page, a table for each kind of rule

``make docs`` writes it; a test keeps page and rules equal. Says nothing of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from e2analytics.flags import rules as flag_rules
from e2analytics.reference import load, measures, row_rules, schemas_folder
from e2analytics.reference.drugs import confounders, meanings
from e2analytics.run.markdown import markdown_table, written_number
from e2analytics.settings import FlagSettings

_HEAD: Final = """\
# Rules

<!-- Made by `make docs` from schemas/reference/. -->

Every rule that decides what a clinician sees: what it does, its source, how sure we are of it (*confidence*:
`high`, `medium`, `low`; `unconfirmed`, from general knowledge and not checked), and what changed since the first version,
with the day. Thresholds are in [evidence](evidence.md) and [settings](settings.md). "Our own rule" means that there is no source.
"""
_COLUMNS: Final = ("rule", "what it does", "source", "confidence", "changed")
_SEVERITIES: Final = {"reject": "keeps the row out", "warn": "lets the row in, with a doubt"}
Row = tuple[str, str, str, str, str]


def rules_page_file() -> Path:
    """Return where the page is kept: beside ``schemas/``."""
    return schemas_folder().parent / "docs" / "rules.md"


def as_markdown() -> str:
    """Return the page."""
    rules = flag_rules.load()
    sections = (
        _section("The limit", "flag_rules", _limit(rules)),
        _section("Who is not judged", "flag_rules", _named(rules.not_judged)),
        _section("Status", "flag_rules", _named(rules.statuses)),
        _section("Tiers", "flag_rules", _tiers(rules)),
        _section("Reasons", "flag_rules", _reasons(rules)),
        _section("Gaps in care", "flag_rules", _gaps(rules)),
        _section("Quality measures", "measures", _measures()),
        _section("Early signals", "early_signals", _early_signals()),
        _section("Drugs beside the inhibitor", "drugs", _drugs()),
        _section("Scan pairs that leave the primary curve", "drugs", _moves_bone()),
        _unsourced("Why else a pair, a result or a scan is not used", _not_used()),
        _unsourced("Rows that wait, or are doubted", _rows()),
    )
    return "\n".join((_HEAD, *sections))


def _limit(rules: flag_rules.FlagRules) -> list[Row]:
    return [
        _row(name, each.rule + _defaults(each.settings), each) for name, each in rules.limit.items()
    ]


def _defaults(settings: Sequence[str]) -> str:
    """Return the defaults of settings, which a clinic may choose."""
    fields = FlagSettings.model_fields
    said = ", ".join(f"{name} {written_number(fields[name].default)}" for name in settings)
    return f" [{said}]" if said else ""


def _named(rules: Mapping[str, flag_rules.NotJudged | flag_rules.Status]) -> list[Row]:
    return [_row(name, f"{each.words}: {each.rule}", each) for name, each in rules.items()]


def _tiers(rules: flag_rules.FlagRules) -> list[Row]:
    def words(names: Sequence[str]) -> str:
        return ", or ".join(rules.reasons[name].words for name in names)

    rows = []
    for name, each in rules.tiers.items():
        said = f"`{each.tier}` where {words(each.any)}"
        said += f"; and {words(each.also)}" if each.also else ""
        said += f"; not where {words(each.unless)}" if each.unless else ""
        rows.append(_row(name, said, each))
    return rows


def _reasons(rules: flag_rules.FlagRules) -> list[Row]:
    roles = {"obstacle": "he is not assessable", "finding": "worth knowing"}
    return [
        _row(
            name, f"{each.words} ({roles[each.role]}): {each.rule}{_defaults(each.settings)}", each
        )
        for name, each in rules.reasons.items()
    ]


def _gaps(rules: flag_rules.FlagRules) -> list[Row]:
    defined = measures.load().measures
    return [
        _row(name, each.words + (f" ({defined[each.measure].id})" if each.measure else ""), each)
        for name, each in rules.gaps.items()
    ]


def _measures() -> list[Row]:
    return [
        _row(
            f"{each.id} {each.name}",
            f"{each.definition} {each.direction.capitalize()}er is better.",
            each,
        )
        for each in measures.load().measures.values()
    ]


def _early_signals() -> list[Row]:
    listed = load("early_signals")
    rows = [
        _row(
            each["label"],
            f"a change beyond its own reference change is told; a rise: {each['rise']}; a fall: {each['fall']}",
            each,
        )
        for each in listed["markers"].values()
    ]
    for each in listed["limits"].values():
        sides = (("low", "below"), ("high", "above"))
        ends = [f"{word} {written_number(each[side])}" for side, word in sides if side in each]
        rows.append(_row(each["label"], f"told {' or '.join(ends)} {each['unit']}", each))
    return rows


def _drugs() -> list[Row]:
    return [
        _row(
            name,
            f"{each.words} ({each.effect.replace('_', ' ')})"
            + ("; results under it leave the fit of the dose response" * (name in confounders())),
            each,
        )
        for name, each in meanings().items()
    ]


def _moves_bone() -> list[Row]:
    moves = load("drugs")["moves_bone"]
    rows = [
        _row(name, f"while it is given, and {each['months_after']} months after its end", each)
        for name, each in moves["classes"].items()
    ]
    systemic = moves["glucocorticoid"]
    enough = f"{written_number(systemic['mg_per_day'])} mg of prednisone a day for {systemic['days']} days"
    return [*rows, _row("glucocorticoid", enough, systemic)]


def _not_used() -> list[tuple[str, str, str]]:
    not_used = row_rules.load().not_used
    return [
        (f"{name} ({what})", words, "")
        for what, listed in (
            ("scan pair", not_used.scan_pairs),
            ("E2 result", not_used.draws),
            ("scan", not_used.scans),
            ("row", not_used.rows),
        )
        for name, words in listed.items()
    ]


def _rows() -> list[tuple[str, str, str]]:
    rules = row_rules.load()
    refused = dict.fromkeys(rules.file_rules, "refuses the file")
    kept_out = {str(name): "keeps the row out" for name in rules.reconcile_rules}
    by_severity = {name: _SEVERITIES[each.severity] for name, each in rules.row_rules.items()}
    every: dict[str, row_rules.Rule] = {
        **rules.row_rules,
        **rules.file_rules,
        **{str(name): each for name, each in rules.reconcile_rules.items()},
    }
    return [
        (name, f"{does}{_told(every[name])}", every[name].changed or "")
        for name, does in {**by_severity, **kept_out, **refused}.items()
    ]


def _told(rule: row_rules.Rule) -> str:
    words = f" ({rule.words})" if rule.words else ""
    return f"{words}. {rule.advice}"


def _row(name: str, does: str, rule: Any) -> Row:
    """Return a line of a rule, a model or an entry as it is written."""
    entry = rule if isinstance(rule, dict) else rule.model_dump()
    return (name, does, entry["source"], entry["confidence"], entry.get("changed") or "")


def _section(title: str, source: str, rows: Iterable[Row]) -> str:
    version = load(source)["version"]
    about = f"`schemas/reference/{source}.yaml`, version {version}."
    return f"## {title}\n\n{about}\n\n{markdown_table(_COLUMNS, rows)}"


def _unsourced(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    about = "`schemas/reference/row_rules.yaml`. Our own rules; the numbers in them have their sources in [evidence](evidence.md)."
    return f"## {title}\n\n{about}\n\n{markdown_table((*_COLUMNS[:2], _COLUMNS[-1]), rows)}"


if __name__ == "__main__":
    rules_page_file().write_text(as_markdown(), encoding="utf-8")
