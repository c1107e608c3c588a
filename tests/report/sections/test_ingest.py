"""What came in and what was left out must visibly add up, and say so where it does not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.reference.row_rules import for_the_clinic
from e2analytics.report.charts import attrition_flow
from e2analytics.report.formatting import plain
from e2analytics.report.sections import ingest, reasons
from e2analytics.report.sections.broken_rules import Refusal
from e2analytics.tables import ledger, registry
from e2analytics.tables.vocabulary import FATES

RUN_ID = "run"


def attrition(unit: str, n: int, *out: int, run_id: str = RUN_ID) -> pl.DataFrame:
    rows = []
    for position, n_out in enumerate(out):
        rows.append((run_id, position, f"step_{position}", unit, n, n_out, n - n_out, "because"))
        n -= n_out
    return pl.DataFrame(rows, schema=list(ledger.Attrition.to_schema().columns), orient="row")


def describe(tables: dict[str, pl.DataFrame], **changes: Any) -> ingest.Intake:
    names = ("files", "attrition", "quarantine")
    found = {name: changes.get(name, tables[name]) for name in names}
    return ingest.describe(**found, run_id=tables["runs"]["run_id"][0], n_unmatched=0)


def test_a_chain_says_the_sum_that_it_is() -> None:
    steps = attrition("rows", 100, 7, 0, 3)

    chain = chain_of(steps)

    assert chain.equation == "100 read = 7 step 0 + 0 step 1 + 3 step 2 + 90 accepted"
    assert (chain.start, chain.end) == ("100 rows read", "90 rows accepted")
    assert [step.n_left for step in chain.steps] == [93, 93, 90]
    assert chain.adds_up


def no_files() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    empty = {name: registry.TABLES[name].empty() for name in ("files", "attrition", "quarantine")}
    return empty["files"], empty["attrition"], empty["quarantine"]


def chain_of(steps: pl.DataFrame) -> ingest.Chain:
    files, _, quarantine = no_files()
    (chain,) = ingest.describe(files, steps, quarantine, run_id=RUN_ID, n_unmatched=0).chains
    return chain


def test_a_chain_that_loses_someone_between_two_steps_does_not_add_up() -> None:
    steps = attrition("patients", 100, 7, 3)
    lost = steps.with_columns(n_in=pl.Series([100, 92]), n_left=pl.Series([93, 89]))
    assert not chain_of(lost).adds_up


def test_a_step_whose_own_numbers_disagree_does_not_add_up() -> None:
    steps = attrition("pairs", 100, 7).with_columns(n_left=pl.Series([94]))
    assert not chain_of(steps).adds_up


@given(out=st.lists(st.integers(0, 10_000), min_size=1, max_size=8), left=st.integers(0, 10_000))
def test_the_numbers_of_every_equation_add_up(out: list[int], left: int) -> None:
    chain = chain_of(attrition("rows", sum(out) + left, *out))

    total, parts = chain.equation.replace(",", "").split(" = ")
    said = [int(part.split()[0]) for part in parts.split(" + ")]

    assert int(total.split()[0]) == sum(said) == sum(out) + left
    assert chain.adds_up


def test_steps_of_another_run_are_not_counted(tables: dict[str, pl.DataFrame]) -> None:
    other = attrition("rows", 5, 5, run_id="another run")
    both = pl.concat([other, tables["attrition"]], how="vertical_relaxed")
    assert describe(tables, attrition=both).chains == describe(tables).chains


def test_the_fates_of_the_feeds_add_up_to_those_of_all(tables: dict[str, pl.DataFrame]) -> None:
    found = describe(tables)

    assert found.total is not None
    assert found.total.n_rows == sum(feed.n_rows for feed in found.feeds)
    columns = zip(*(feed.fates for feed in found.feeds), strict=True)
    assert found.total.fates == tuple(sum(column) for column in columns)
    assert all(feed.adds_up for feed in (*found.feeds, found.total))


def test_the_ways_out_of_one_name_are_one_box_with_its_tables(
    tables: dict[str, pl.DataFrame],
) -> None:
    rows, men, pairs = describe(tables).chains

    assert rows.steps[0] == ingest.Step(
        "duplicate", "dxa 11, labs 3,010, medications 40", 3_061, 13_833
    )
    assert [step.label for step in rows.steps] == [plain(fate) for fate in FATES[1:]]
    assert men.steps[1] == ingest.Step("no usable scan pair", "", 178, 341)
    assert (
        pairs.steps[1].reason
        == "on two scanners without an entered equation, or on two makers' under one name"
    )


def test_a_feed_with_a_row_of_no_fate_does_not_add_up(tables: dict[str, pl.DataFrame]) -> None:
    wrong = tables["files"].with_columns(rows_read=pl.col("rows_read") + 1)
    assert not any(feed.adds_up for feed in describe(tables, files=wrong).feeds)


def test_a_refused_file_is_told_with_its_advice(tables: dict[str, pl.DataFrame]) -> None:
    advice = "Send the file with the column bmd_g_cm2."
    assert describe(tables).refusals == (
        Refusal("dxa-9e02", "dxa", "missing column", advice, for_the_clinic()["missing_column"]),
    )


def test_rules_are_counted_by_feed_with_whole_files_first(tables: dict[str, pl.DataFrame]) -> None:
    rules = describe(tables).rules

    first, second, *_, last = rules
    assert (first.rule, first.what_happened, first.n) == ("missing column", "whole file refused", 1)
    assert (second.rule, second.what_happened, second.n) == ("unknown unit", "row left out", 71)
    assert (last.rule, last.what_happened, last.n) == ("low immunoassay", "row used, in doubt", 140)
    assert sum(rule.n for rule in rules) == tables["quarantine"].height


def test_rows_that_are_not_used_are_listed_with_the_reason(tables: dict[str, pl.DataFrame]) -> None:
    steps = attrition("rows", 100, 7, 3).with_columns(
        step=pl.Series(["duplicate (labs)", "set_apart (dxa)"]),
        reason=pl.Series(["same_result", "phantom"]),
        run_id=pl.lit(tables["runs"]["run_id"][0]),
    )

    assert describe(tables, attrition=steps).rows_out == (
        ingest.RowsOut("duplicate", "labs", reasons.in_words("same_result"), 7),
        ingest.RowsOut("set apart", "dxa", "of a phantom", 3),
    )


def test_what_is_left_out_is_said_in_one_sentence(tables: dict[str, pl.DataFrame]) -> None:
    assert describe(tables).left_out == (
        "Of 16,894 rows read, 13,509 are in use. 168 (1.0 %) wait in quarantine for a correction; "
        "nothing need be done about the rest: 3,061 duplicate, 104 superseded, 8 withdrawn and "
        "44 set apart."
    )


def test_no_files_no_rules_no_steps() -> None:
    found = ingest.describe(*no_files(), run_id=RUN_ID, n_unmatched=0)
    assert found == ingest.Intake((), (), None, (), (), (), 0, "No rows were read.")


def test_the_boxes_of_a_flow_diagram_lie_below_each_other() -> None:
    drawn = attrition_flow.draw(chain_of(attrition("rows", 100, 7, 0, 3)))

    boxes = [drawn.start, *(branch.box for branch in drawn.branches), drawn.end]
    for above, below in pairwise(boxes):
        assert above.y + above.height < below.y
    assert drawn.end.y + drawn.end.height <= drawn.height
    assert all(box.x + box.width <= drawn.width for box in boxes)
    assert [branch.left for branch in drawn.branches] == ["93", "93", "90"]
