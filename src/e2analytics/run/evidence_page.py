"""Writes ``docs/evidence.md``: every cited number with its source, confidence and use.

In    schemas/reference/ and :mod:`e2analytics.reference.constants`
Out   one Markdown page, a section for each table of citations

``make docs`` writes it; a test keeps page and citations equal. Says nothing of its own: a number without a
source there has none here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from e2analytics.reference import constants, load, schemas_folder
from e2analytics.reference.drugs import meanings
from e2analytics.run.markdown import markdown_table, written_number
from e2analytics.settings import FlagSettings

_HEAD: Final = """\
# Evidence

<!-- Made by `make docs` from schemas/reference/ and src/e2analytics/reference/constants.py. -->

Every number that a clinician may act on, with its source. *Confidence*: `high`, `medium` or `low`; `unconfirmed`
marks a number from general knowledge that has not been checked against its source. "Our own rule" means that
there is no source. Thresholds of flags are settings: a clinic may choose its own.
"""
# The packages that read each table; a test imports them.
USERS: Final = {
    "analytes": ("ingest.normalise", "ingest.rules", "ingest.unit_errors"),
    "bone_references": ("ingest.rules", "exposure"),
    "drugs": ("ingest.normalise", "exposure"),
    "de_escalation": ("flags", "report"),
    "dxa_codes": ("feeds",),
    "early_signals": ("flags",),
    "flag_rules": ("flags",),
    "lifestyle": ("ingest.rules", "flags"),
    "measures": ("measures", "flags"),
    "sites": ("ingest.rules", "exposure"),
    "symptoms": ("ingest.normalise", "tables"),
}


def evidence_page_file() -> Path:
    """Return where the page is kept: beside ``schemas/``."""
    return schemas_folder().parent / "docs" / "evidence.md"


def as_markdown() -> str:
    """Return the page."""
    sections = (
        _constants(),
        _flag_rules(),
        _measures(),
        _analytes(),
        _laboratories(),
        _early_signals(),
        _lifestyle(),
        _symptoms(),
        _de_escalation(),
        _drugs(),
        _sites(),
        _bone_references(),
        _dxa_codes(),
    )
    return "\n".join((_HEAD, *sections))


def _constants() -> str:
    cited = {
        name: value for name, value in vars(constants).items() if isinstance(value, constants.Cited)
    }
    users = _packages_that_name(cited)
    rows = (
        (
            _words(name),
            written_number(c.value),
            c.unit,
            c.source,
            c.confidence,
            ", ".join(users[name]),
        )
        for name, c in cited.items()
    )
    head = ("number", "value", "unit", "source", "confidence", "used by")
    return "## Doses, time and bone\n\n" + markdown_table(head, rows)


def _flag_rules() -> str:
    rules = load("flag_rules")
    defaults = {name: field.default for name, field in FlagSettings.model_fields.items()}
    rows = []
    kinds = {"reasons": "reason", "statuses": "status", "tiers": "tier", "gaps": "gap"}
    for plural, kind in kinds.items():
        for name, entry in rules[plural].items():
            numbers = {key: defaults[key] for key in entry.get("settings", ())}
            numbers |= entry.get("limits", {})
            said = ", ".join(f"{key} {written_number(value)}" for key, value in numbers.items())
            rows.append((f"{name} ({kind})", said, entry["source"], entry["confidence"]))
    head = ("rule", "numbers (defaults of settings)", "source", "confidence")
    return _section("Flags", "flag_rules", markdown_table(head, rows))


def _measures() -> str:
    table = load("measures")
    rows: list[Sequence[str]] = [
        (name, written_number(table[name]), table[f"{name}_source"], "")
        for name in ("new_start_after_days", "silent_after_days")
    ]
    for entry in table["measures"].values():
        numbers = entry.get("days", {}) | entry.get("limits", {})
        said = ", ".join(f"{key} {written_number(value)}" for key, value in numbers.items())
        name = f"{entry['id']} {entry['name']}"
        rows.append((name, said, entry["source"], entry["confidence"]))
    head = ("measure", "days and limits", "source", "confidence")
    return _section("Measures", "measures", markdown_table(head, rows))


def _analytes() -> str:
    table = load("analytes")
    rows: list[Sequence[str]] = []
    for name, entry in table["analytes"].items():
        limits = (_range(entry["possible"]), _range(entry["plausible"]))
        mass = written_number(entry["molar_mass_g_mol"]) if "molar_mass_g_mol" in entry else ""
        rows.append((name, entry["unit"], *limits, mass, entry["source"]))
        for assay, least in entry.get("least_reportable", {}).items():
            number = f"{written_number(least['limit'])} or more"
            label = f"{name}, least reportable by {assay}"
            rows.append((label, entry["unit"], number, "", "", least["source"]))
    head = ("analyte", "unit", "possible", "plausible in men", "g/mol", "source")
    seen = Counter(
        code["seen"] for entry in table["analytes"].values() for code in entry["loinc"].values()
    )
    after = (
        f"LOINC: {seen['N']} names were seen in a public source, {seen['K']} are to be confirmed. Atomic weights: {table['atomic_weights_source']} A result “<{table['ia_when_limit_at_least_pg_ml']}” "
        f"or higher counts as immunoassay. {table['ia_when_limit_at_least_source']}\n"
    )
    return _section(
        "Results of laboratories", "analytes", markdown_table(head, rows) + "\n" + after
    )


def _laboratories() -> str:
    table = load("analytes")["laboratories"]
    rows = (
        (
            ", ".join(entry["laboratory"]),
            ", ".join(entry["tests"]),
            entry["assay"],
            entry["source"],
            entry["confidence"],
        )
        for entry in table
    )
    head = ("laboratory", "test", "assay", "source", "confidence")
    return _section("Assay by laboratory", "analytes", markdown_table(head, rows))


def _early_signals() -> str:
    table = load("early_signals")
    rows = [
        (
            entry["label"],
            f"CV within a man {written_number(entry['within_man_cv'])}, of the assay {written_number(entry['assay_cv'])}",
            entry["source"],
            entry["confidence"],
        )
        for entry in table["markers"].values()
    ]
    for entry in table["limits"].values():
        ends = [
            f"{side} {written_number(entry[side])}" for side in ("low", "high") if side in entry
        ]
        said = f"{', '.join(ends)} {entry['unit']}"
        rows.append((entry["label"], said, entry["source"], entry["confidence"]))
    return _section(
        "Early signals",
        "early_signals",
        markdown_table(("result", "numbers", "source", "confidence"), rows),
    )


def _lifestyle() -> str:
    table = load("lifestyle")
    rows = [
        (
            f"{entry['label']}, plausible",
            f"{_range(entry['plausible'])} {entry['unit']}",
            entry["source"],
            entry["confidence"],
        )
        for entry in table["entries"].values()
    ]
    needs = table["calcium_needs"]
    for each in needs["ages"]:
        said = f"need {each['need_mg']}, at most {each['most_mg']} mg/day"
        label = f"calcium intake of men from {each['from_years']} years"
        rows.append((label, said, needs["source"], needs["confidence"]))
    return _section(
        "Lifestyle", "lifestyle", markdown_table(("entry", "numbers", "source", "confidence"), rows)
    )


def _symptoms() -> str:
    rows = [
        (_words(kind), "; ".join(entry["spellings"]), entry["source"], entry["confidence"])
        for kind, entry in load("symptoms")["symptoms"].items()
    ]
    return _section(
        "Symptoms",
        "symptoms",
        markdown_table(("symptom", "is written", "source", "confidence"), rows),
    )


def _de_escalation() -> str:
    table = load("de_escalation")
    rows = [
        (
            _words(name),
            f"{written_number(each['value'])} {unit}",
            each["source"],
            each["confidence"],
        )
        for part, unit in (("days", "days"), ("lines", "pg/mL"))
        for name, each in table[part].items()
    ]
    return _section(
        "De-escalations",
        "de_escalation",
        markdown_table(("number", "value", "source", "confidence"), rows),
    )


def _drugs() -> str:
    table = load("drugs")
    rows = [
        (name, _range(entry["possible_weekly_mg"]), table["possible_weekly_mg_source"])
        for name, entry in table["drugs"].items()
    ]
    more = [
        (
            "days_after_supply",
            written_number(table["days_after_supply"]),
            table["days_after_supply_source"],
        ),
        (
            "shortest_prescription_days",
            written_number(table["shortest_prescription_days"]),
            table["shortest_prescription_days_source"],
        ),
        (
            "possible_days_supply",
            _range(table["possible_days_supply"]),
            table["possible_days_supply_source"],
        ),
    ]
    orders = markdown_table(("drug", "possible, mg per week", "source"), rows + more)
    return _section("Orders", "drugs", "\n\n".join((orders, _meanings(), _moves_bone(table))))


def _meanings() -> str:
    rows = [
        (name, each.effect.replace("_", " "), each.words, each.source, each.confidence)
        for name, each in meanings().items()
    ]
    return markdown_table(("class", "effect", "words", "source", "confidence"), rows)


def _moves_bone(table: dict[str, Any]) -> str:
    """Return what leaves the primary curve for a drug other than the inhibitor."""
    moves = table["moves_bone"]
    rows = [
        (name, _after(each["months_after"]), each["source"], each["confidence"])
        for name, each in moves["classes"].items()
    ]
    systemic = moves["glucocorticoid"]
    enough = f"{written_number(systemic['mg_per_day'])} mg a day for {systemic['days']} days"
    equal = ", ".join(
        f"{name} {written_number(entry['equals_5_mg_prednisone'])} mg"
        for name, entry in table["drugs"].items()
        if "equals_5_mg_prednisone" in entry
    )
    rows += [
        ("glucocorticoid", enough, systemic["source"], systemic["confidence"]),
        (
            "equal to 5 mg of prednisone",
            equal,
            moves["equivalents_source"],
            moves["equivalents_confidence"],
        ),
    ]
    return markdown_table(("moves bone", "counts", "source", "confidence"), rows)


def _after(months: int) -> str:
    return f"and {months} months after it" if months else "while it is given"


def _sites() -> str:
    table = load("sites")
    rows = [
        (
            site,
            _range(entry["possible"]),
            _range(entry["plausible"]),
            written_number(entry["max_precision_cv_pct"]),
        )
        for site, entry in table["sites"].items()
    ]
    head = ("site", "possible, g/cm2", "plausible, g/cm2", "least acceptable precision, %")
    scales = [
        (site, maker, written_number(scale["slope"]), written_number(scale["intercept_g_cm2"]))
        for site, makers in table["standardised_bmd"].items()
        for maker, scale in makers.items()
    ]
    other = markdown_table(("site", "maker", "slope", "intercept, g/cm2"), scales)
    body = (
        f"{markdown_table(head, rows)}\nOn a Hologic scanner. Source: {table['source']} Precision: {table['max_precision_source']}\n\nStandardised BMD, which carries "
        f"these limits to other makers and nothing else. Source: {table['standardised_bmd_source']}\n\n{other}"
    )
    return _section("BMD", "sites", body)


def _bone_references() -> str:
    table = load("bone_references")
    rows = [
        (
            f"{entry['site']} ({entry['maker']})",
            written_number(entry["mean_g_cm2"]),
            written_number(entry["sd_g_cm2"]),
            entry["source"],
            entry["confidence"],
        )
        for entry in table["references"]
    ]
    head = ("site (maker)", "mean, g/cm2", "SD, g/cm2", "source", "confidence")
    after = f"\nA reported T-score may differ by {written_number(table['tolerance_t'])}. {table['tolerance_t_source']}\n"
    doubted = table["doubted"]
    limits = (name for name in doubted if f"{name}_source" in doubted)
    each = "; ".join(
        f"`{name}` {written_number(doubted[name])}: {doubted[f'{name}_source']}" for name in limits
    )
    after += f"\nA score that BMD contradicts (confidence: {doubted['confidence']}): {each}\n"
    return _section("T-scores", "bone_references", markdown_table(head, rows) + after)


def _dxa_codes() -> str:
    table = load("dxa_codes")
    counts = Counter(entry["source"] for entry in table["codes"].values())
    rows = [(text, f"{counts[name]}") for name, text in table["sources"].items()]
    return _section("LOINC codes of DXA", "dxa_codes", markdown_table(("source", "codes"), rows))


def _packages_that_name(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the packages (or modules of the top level) whose source names each of ``names``."""
    root = Path(__file__).parents[1]
    texts = {file.relative_to(root).parts[0].removesuffix(".py"): "" for file in root.rglob("*.py")}
    for file in sorted(root.rglob("*.py")):
        place = file.relative_to(root).parts[0].removesuffix(".py")
        if place not in ("reference", "run"):
            texts[place] += file.read_text(encoding="utf-8")
    words = {place: set(re.findall(r"\w+", text)) for place, text in texts.items()}
    return {name: sorted(place for place in words if name in words[place]) for name in names}


def _section(title: str, table: str, body: str) -> str:
    users = ", ".join(f"`{package}`" for package in USERS[table])
    version = load(table)["version"]
    return f"## {title}\n\n`schemas/reference/{table}.yaml`, version {version}; used by {users}.\n\n{body}"


def _words(name: str) -> str:
    return name.lower().replace("_", " ").replace("e2", "E2").replace("lsc", "LSC")


def _range(limits: Sequence[float]) -> str:
    return f"{written_number(limits[0])} to {written_number(limits[1])}"


if __name__ == "__main__":
    evidence_page_file().write_text(as_markdown(), encoding="utf-8")
