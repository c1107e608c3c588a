"""The glossary is sorted, and explains what tables may hold."""

import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
GLOSSARY = (REPOSITORY / "GLOSSARY.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)
# Vocabularies whose words say themselves what they mean, in the contract that has them.
PLAIN = {"by", "event", "ever_on_drug", "piece", "why_not", "score_used"}
# Sites are explained by their label.
SITES = yaml.safe_load((REPOSITORY / "schemas/reference/sites.yaml").read_text())["sites"]
LABELLED = {site for site, facts in SITES.items() if facts["label"]}


def contracts() -> dict[str, dict[str, dict[str, object]]]:
    files = sorted((REPOSITORY / "schemas/contracts").glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text())["columns"] for file in files}


def test_terms_are_sorted_and_each_is_there_once():
    keys = [term.casefold().replace("`", "") for term in TERMS]

    assert len(keys) > 100
    assert keys == sorted(set(keys))


def test_every_word_that_a_column_may_hold_is_explained():
    missing = {
        f"{table}.{column}: {word}"
        for table, columns in contracts().items()
        for column, facts in columns.items()
        if column not in PLAIN
        for word in facts.get("isin", ())
        if f"`{word}`" not in GLOSSARY and word not in LABELLED
    }

    assert not missing


def test_every_term_in_italics_is_a_term():
    named = {
        word
        for line in GLOSSARY.splitlines()
        for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", line)
    }
    known = {part.strip() for term in TERMS for part in re.split(r",|\(", term)}

    ends = {word for word in named if word not in known and word.removesuffix("s") not in known}
    assert ends <= {"obstacle", "finding", "fit", "pointwise interval", "over-dispersion"}
