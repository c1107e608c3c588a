"""The rules of ingest in words: complete, without a misspelt name, and of use to a supplier."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import e2analytics
from e2analytics import reference
from e2analytics.reference import row_rules
from e2analytics.reference.row_rules import RowRules
from e2analytics.settings import Settings, SlipSettings

SOURCE = Path(e2analytics.__file__).parent


def refusals(source: str) -> Iterator[str]:
    """Yield the rules by which a module refuses files, each given as a text or in a table of texts."""
    tree = ast.parse(source)
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RefusedFileError"):
            match node.args:
                case [ast.Constant(value=str(rule)), _]:
                    yield rule
                case [ast.Starred(value=ast.Subscript(value=ast.Name(id=table)))]:
                    yield from (rule for rule, _ in map(ast.literal_eval, tables[table].values))
                case _:
                    pytest.fail(f"line {node.lineno}: give the rule as a text: {ast.unparse(node)}")


def test_refusals_are_found_as_texts_and_in_tables():
    source = """
_RULES: Final = {"too_deep": ("not_json", "it is nested too deep")}
def read():
    raise errors.RefusedFileError("empty_file", "it holds nothing") from None
    raise RefusedFileError(*_RULES[problem])
"""

    assert list(refusals(source)) == ["empty_file", "not_json"]


def test_every_rule_by_which_a_file_is_refused_has_its_advice_and_no_other_has():
    raised = {
        rule
        for file in sorted(SOURCE.rglob("*.py"))
        for rule in refusals(file.read_text(encoding="utf-8"))
    }

    assert raised == set(row_rules.load().file_rules)


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
        ("file_rules", {"empty_file": {"advice": "no full stop"}}, "should match pattern"),
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
    nested = {key.value: node.value for key, node in sections}
    parts = [node.value for _, node in (*nested["tables"], *nested["not_used"])]

    for mapping in [*nested.values(), *parts]:
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
        **{name: rule.advice for name, rule in rules.file_rules.items()},
        **{name: rule.advice for name, rule in rules.reconcile_rules.items()},
    }

    assert {
        name: found[0] for name, text in to_suppliers.items() if (found := ours.search(text))
    } == {}
