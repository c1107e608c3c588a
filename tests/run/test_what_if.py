"""What is expected of the men of a clinic under a rule for the dose."""

import polars as pl
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.run.frames import Run
from e2analytics.run.what_if import DoseRule, WhatIf, what_if
from e2analytics.tables.snapshot import Outputs, Snapshot
from tests.conftest import AS_OF, QUICK


@pytest.fixture(scope="module")
def before(outputs: Outputs) -> Snapshot:
    return Snapshot(outputs.tables, outputs.not_accepted)


def under(before: Snapshot, rule: DoseRule, limit_pg_ml: float | None = None) -> WhatIf:
    return what_if(before, Run(as_of=AS_OF, settings=QUICK), rule, limit_pg_ml)


@pytest.fixture(scope="module")
def halved(before: Snapshot) -> WhatIf:
    return under(before, DoseRule(times=0.5))


def test_as_many_are_expected_below_now_as_the_men_s_probabilities_add_up_to(
    halved: WhatIf, outputs: Outputs
):
    cohort = outputs.tables["cohort"].filter(pl.col("e2_expected_pg_ml").is_not_null())
    on_drug = cohort.filter(pl.col("weekly_anastrozole_mg") > 0)
    assert halved.n_men == len(on_drug)
    for column, count in (
        ("p_below_range", halved.below),
        ("p_below_red_line", halved.below_red_line),
    ):
        p = on_drug[column]
        # 1,000 samples of a sum of independent answers, and of the parameters that all men share.
        error = (count.now.high - count.now.low) / 3.92 / 1_000**0.5
        assert count.now.value == pytest.approx(p.sum(), abs=4 * error)


def test_men_below_and_not_below_are_all_men(halved: WhatIf):
    assert halved.below.now.value + halved.at_or_above.now.value == pytest.approx(halved.n_men)
    assert halved.below.then.value + halved.at_or_above.then.value == pytest.approx(halved.n_men)


def test_half_the_dose_leaves_fewer_men_below_and_more_bone(halved: WhatIf):
    assert halved.n_changed == halved.n_men
    assert halved.below.more.high < 0
    assert halved.bone_pct_per_year is not None
    assert 0 < halved.bone_pct_per_year.low < halved.bone_pct_per_year.high


def test_a_rule_that_changes_nothing_changes_nothing(before: Snapshot):
    found = under(before, DoseRule(at_most_mg_per_week=50.0))

    assert found.n_changed == 0
    assert (found.below.more.low, found.below.more.high) == (0, 0)
    assert found.bone_pct_per_year is not None
    assert found.bone_pct_per_year.value == pytest.approx(0, abs=1e-9)


def test_a_higher_limit_has_more_men_below_it(before: Snapshot, halved: WhatIf):
    found = under(before, DoseRule(times=0.5), limit_pg_ml=22.0)

    assert found.limit_pg_ml == 22.0
    assert halved.limit_pg_ml == 16.0
    assert found.below.now.value > halved.below.now.value


def test_where_nobody_takes_the_drug_it_says_so():
    with pytest.raises(TooLittleDataError, match="there is no man on anastrozole whose E2"):
        under(Snapshot(), DoseRule(times=0.5))
