"""The rules of ingest in words: complete, without a misspelt name, and of use to a supplier."""

import re

import pytest
import yaml
from pydantic import ValidationError

from e2analytics import reference
from e2analytics.reference import row_rules
from e2analytics.reference.row_rules import RowRules
from e2analytics.settings import Settings, SlipSettings


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        (
            "row_rules",
            {"missing_shoe_size": {"severity": "warn", "advice": "Give it."}},
            "only one",
        ),
        ("tables", {"shoes": {"missing_shoe_size": "size"}}, "only one .* missing_shoe_size"),
        ("reconcile_rules", {"lost": {"column": "size", "advice": "Find it."}}, "Input should be"),
        ("file_rules", {"empty_file": "no full stop"}, "should match pattern"),
    ],
)
def test_a_misspelt_name_or_text_is_found_when_the_rules_are_loaded(
    section: str, change: dict[str, object], message: str
):
    written = reference.load("row_rules")

    with pytest.raises(ValidationError, match=message):
        RowRules.model_validate(written | {section: written[section] | change})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["missing_shoe_size"], "names no rule: missing_shoe_size"),
        (["empty_file", "empty_file"], "advises twice"),
    ],
)
def test_advice_for_the_clinic_is_about_one_known_rule_each(rules: list[str], message: str):
    written = reference.load("row_rules")

    with pytest.raises(ValidationError, match=message):
        RowRules.model_validate(
            written | {"for_the_clinic": [{"advice": "Buy shoes.", "rules": rules}]}
        )


def test_no_name_is_written_twice():
    # Of two equal keys YAML takes the last and is silent.
    file = reference.schemas_folder() / "reference" / "row_rules.yaml"
    sections = yaml.compose(file.read_text(encoding="utf-8")).value
    tables = {key.value: node.value for key, node in sections}["tables"]

    for mapping in [*(node.value for _, node in sections), *(node.value for _, node in tables)]:
        names = [pair[0].value for pair in mapping if isinstance(pair, tuple)]
        assert len(names) == len(set(names))


def test_advice_to_suppliers_speaks_of_nothing_of_ours():
    ours = re.compile(
        r"schemas|\.yaml|feed|setting|e2analytics|unit_slips|decisions|quarantine|drop\b|"
        + "|".join(
            name for name in (*Settings.model_fields, *SlipSettings.model_fields) if "_" in name
        )
    )
    rules = row_rules.load()
    to_suppliers = {
        **{name: rule.advice for name, rule in rules.row_rules.items()},
        **rules.file_rules,
        **{name: rule.advice for name, rule in rules.reconcile_rules.items()},
    }

    assert {
        name: found[0] for name, text in to_suppliers.items() if (found := ours.search(text))
    } == {}
