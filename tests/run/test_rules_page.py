"""The page of rules says every rule."""

from e2analytics.flags import rules as flag_rules
from e2analytics.reference import measures, row_rules
from e2analytics.run import rules_page


def test_the_page_is_up_to_date():
    page = rules_page.rules_page_file().read_text(encoding="utf-8")

    assert page == rules_page.as_markdown(), "run make docs"


def test_every_rule_is_on_the_page_with_its_source_and_what_changed():
    page = rules_page.as_markdown()
    rules = flag_rules.load()
    cited = {
        **rules.limit,
        **rules.not_judged,
        **rules.statuses,
        **rules.tiers,
        **rules.reasons,
        **rules.gaps,
        **{each.id: each for each in measures.load().measures.values()},
    }

    for name, rule in cited.items():
        lines = [line for line in page.splitlines() if line.startswith(f"| {name} ")]
        assert any(rule.source in line and (rule.changed or "") in line for line in lines), name
    of_rows = row_rules.load()
    for name in (*of_rows.row_rules, *of_rows.reconcile_rules, *of_rows.file_rules):
        assert f"| {name} |" in page


def test_a_rule_that_changed_says_on_which_day_and_from_what():
    reasons = flag_rules.load().reasons

    assert reasons["old_order"].changed is not None
    assert reasons["old_order"].changed.startswith("2026-12-01: ")
    assert reasons["dose_unknown"].changed is None
