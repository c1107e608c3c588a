"""Reasons: every name that a feed, a rule or a stage can give has words."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import e2analytics
from e2analytics.feeds import no_rows
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.mapping import NOT_MEASURED
from e2analytics.ingest import reconcile
from e2analytics.ingest.normalise import tables
from e2analytics.ingest.normalise.laboratory import OTHER_ANALYTE
from e2analytics.reference import row_rules
from e2analytics.reference.names import ON_BONE_DRUG
from e2analytics.report.formatting import plain
from e2analytics.report.sections import reasons

PACKAGE = Path(e2analytics.__file__).parent
# Their names are words already.
PLAIN = {
    "dose_unknown",
    "duplicate_column",
    "implausible_bmd",
    "implausible_height",
    "implausible_value",
    "implausible_weekly_dose",
    "implausible_weight",
    "impossible_bmd",
    "impossible_value",
    "missing_column",
    "missing_drug",
    "missing_header",
    "missing_sex",
    "missing_site",
    "missing_unit",
    "missing_value",
    "negative_dose",
    "too_many_columns",
    "unknown_sex",
    "unknown_site",
    "unknown_status",
    "unknown_unit",
    "unreadable_manufacturer",
    "unreadable_renewals",
    "unreadable_side",
    "unreadable_validity",
    "unreadable_value",
    "unreadable_vertebrae",
}


def of_feeds() -> Iterator[str]:
    for feed in load_feeds():
        for kind in feed.files:
            yield from filter(
                None, [kind.set_apart, kind.set_apart_when and kind.set_apart_when.reason]
            )


def of_rows() -> Iterator[str]:
    yield from (OTHER_ANALYTE, tables.OTHER_DRUG, tables.INVALID_SCAN, NOT_MEASURED)
    yield from (no_rows.FOOTER, no_rows.REPEATED_HEADER)
    yield from (reconcile.WOMAN, reconcile.SAME_RESULT, reconcile.MENDED)
    # A row without a reason of its own has its fate for one.
    yield from ("duplicate", "superseded", "withdrawn")


def of_rules() -> Iterator[str]:
    rules = row_rules.load()
    yield from (*rules.row_rules, *rules.file_rules, *rules.reconcile_rules)


def of_stages() -> Iterator[str]:
    """Yield the keys of what stages call reasons, obstacles and findings."""
    stages = [PACKAGE / room for room in ("ingest", "exposure", "curve", "flags", "measures")]
    for file in sorted(file for room in stages for file in room.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                names = {target.id for target in node.targets if isinstance(target, ast.Name)}
                if names & {"reasons", "obstacles", "findings"}:
                    keys = node.value.keys
                    yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))


def test_the_names_that_stages_give_are_found():
    found = set(of_stages())

    assert {"scanner_changed", "too_few_draws", "no_recent_e2", "old_order"} <= found


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *of_feeds(),
            *of_rows(),
            *of_rules(),
            *of_stages(),
            *ON_BONE_DRUG,
            "no_longer_in_cohort",
        }
    ),
)
def test_every_name_has_words(name: str):
    words = reasons.in_words(name)

    assert "_" not in words
    assert (words == plain(name)) == (name in PLAIN or reasons.WORDS.get(name) == plain(name))


def test_no_words_are_left_over():
    not_used = row_rules.load().not_used

    assert set(not_used.rows) - {*of_feeds(), *of_rows()} == set()
    assert set(not_used.scan_pairs) - {*of_stages(), *ON_BONE_DRUG} == set()
