"""Results: what two results on end say without a model, and which result below the red line still counts."""

from math import log
from typing import Any

import pytest

from tests.flags.men import ago, draw, judge, order, own, steady


def ms(days: int, value: float, **changes: Any) -> dict[str, Any]:
    low = changes.pop("value_low", value)
    name = changes.pop("result_id", f"r{days}")
    at = {"result_id": name, "collected_on": ago(days), "value_low": low, "value_high": value}
    return draw(**{**at, **changes})


def said(row: dict[str, Any]) -> list[str]:
    return [name for name in row["reasons"].split("; ") if name]


BELOW_LIMIT = ("ms_results_below_limit", "one_ms_result_below_limit")


@pytest.mark.parametrize(
    ("draws", "tier", "reason"),
    [
        # 16 pg/mL is the limit in use. The model says 25 pg/mL, and does not hide two results.
        ([ms(60, 12.0), ms(30, 11.0)], "watch", "ms_results_below_limit"),
        ([ms(60, 15.9), ms(30, 16.0, value_low=0.0)], "watch", "ms_results_below_limit"),
        ([ms(60, 15.9), ms(30, 16.0)], "none", None),
        # However old they are.
        ([ms(280, 12.0), ms(270, 11.0)], "watch", "ms_results_below_limit"),
        # The last two count, and nothing before.
        ([ms(90, 12.0), ms(60, 11.0), ms(30, 28.0)], "none", None),
        ([ms(90, 28.0), ms(60, 12.0), ms(30, 11.0)], "watch", "ms_results_below_limit"),
        # One is no two: it is to be repeated.
        ([ms(30, 11.0)], "none", "one_ms_result_below_limit"),
        ([ms(60, 28.0), ms(30, 11.0)], "none", "one_ms_result_below_limit"),
        # Two of one day are one; the higher counts.
        ([ms(30, 11.0, result_id="a"), ms(30, 12.0, result_id="b")], "none", BELOW_LIMIT[1]),
        ([ms(60, 11.0), ms(30, 11.0, result_id="a"), ms(30, 20.0, result_id="b")], "none", None),
        # Immunoassay does not count, nor stands between.
        ([ms(60, 12.0, assay="ia"), ms(30, 11.0)], "none", "one_ms_result_below_limit"),
        ([ms(60, 12.0), ms(40, 30.0, assay="ia"), ms(30, 11.0)], "watch", BELOW_LIMIT[0]),
        # Nor what was drawn before this dose, or before it was steady (the order began 300 days ago).
        ([ms(310, 12.0), ms(30, 11.0)], "none", "one_ms_result_below_limit"),
        ([ms(287, 12.0), ms(30, 11.0)], "none", "one_ms_result_below_limit"),
        ([ms(286, 12.0), ms(30, 11.0)], "watch", "ms_results_below_limit"),
        ([ms(60, 12.0, value_low=0.0), ms(30, 24.0, value_low=0.0)], "none", None),
    ],
)
def test_two_results_on_end_below_the_limit_are_watched_whatever_the_model_says(
    draws: list[dict[str, Any]], tier: str, reason: str | None
):
    row = judge(draws=draws).row(0, named=True)

    assert (row["status"], row["tier"]) == ("in_range", tier)
    assert [name for name in said(row) if name in BELOW_LIMIT] == [reason][: reason is not None]


def test_a_result_while_the_dose_settles_is_none_of_the_two():
    orders = [order(started_on=ago(60))]

    settling = judge(orders, [ms(47, 12.0), ms(30, 11.0)]).row(0, named=True)
    settled = judge(orders, [ms(46, 12.0), ms(30, 11.0)]).row(0, named=True)

    assert "ms_results_below_limit" not in said(settling)
    assert "ms_results_below_limit" in said(settled)


def test_results_of_an_unknown_dose_that_is_renewed_are_of_one_treatment():
    monthly = [
        order(started_on=ago(30 * n), stopped_on=ago(30 * (n - 1)) if n > 1 else None, weekly_dose_mg=None)
        for n in range(1, 5)
    ]  # fmt: skip

    row = judge(monthly, [ms(100, 12.0), ms(70, 9.0)]).row(0, named=True)

    assert (row["status"], row["tier"]) == ("not_assessable", "critical")
    assert "result_below_red_line" in said(row)


DOSE_CUT = [
    order(started_on=ago(300), stopped_on=ago(100), weekly_dose_mg=4.0),
    order(started_on=ago(100), weekly_dose_mg=1.0, source_line=3),
]


@pytest.mark.parametrize(
    ("orders", "draws", "tier", "reason"),
    [
        ([order()], [ms(60, 9.0)], "critical", "result_below_red_line"),
        # Overruled by mass spectrometry at the line or above; by immunoassay not.
        ([order()], [ms(60, 9.0), ms(30, 10.0)], "watch", "was_below_red_line"),
        ([order()], [ms(60, 9.0), ms(30, 9.9)], "critical", "result_below_red_line"),
        ([order()], [ms(60, 9.0), ms(30, 24.0, assay="ia")], "critical", "result_below_red_line"),
        ([order()], [ms(60, 9.0), ms(30, 24.0, value_low=0.0)], "critical", "result_below_red_line"),
        ([order()], [ms(60, 24.0), ms(30, 9.0)], "critical", "result_below_red_line"),
        ([order()], [ms(90, 9.0), ms(60, 24.0), ms(30, 9.0)], "critical", "result_below_red_line"),
        # At an earlier dose it was, whatever came since.
        (DOSE_CUT, [ms(120, 7.0)], "none", "was_below_red_line"),
        (DOSE_CUT, [ms(120, 7.0), ms(60, 24.0)], "none", "was_below_red_line"),
        (DOSE_CUT, [ms(60, 7.0)], "critical", "result_below_red_line"),
        # Before the drug it says nothing of the drug; nor on the day of the first dose.
        ([order(started_on=ago(100))], [ms(120, 6.5)], "none", None),
        ([order(started_on=ago(100))], [ms(100, 6.5), ms(60, 28.0)], "none", None),
        # While the dose settles it counts until a result at steady state overrules it.
        ([order(started_on=ago(100))], [ms(95, 6.5)], "critical", "result_below_red_line"),
        ([order(started_on=ago(100))], [ms(95, 6.5), ms(90, 20.0)], "critical", "result_below_red_line"),
        ([order(started_on=ago(100))], [ms(95, 6.5), ms(86, 20.0)], "none", "was_below_red_line"),
        # 180 days.
        ([order()], [ms(180, 9.0)], "critical", "result_below_red_line"),
        ([order()], [ms(181, 9.0)], "none", None),
        ([order()], [ms(200, 9.0), ms(30, 25.0)], "none", None),
        # Another inhibitor is a treatment, too.
        ([order(drug="letrozole")], [ms(60, 9.0)], "critical", "result_below_red_line"),
        ([order(drug="letrozole")], [ms(60, 9.0), ms(30, 25.0)], "none", "was_below_red_line"),
    ],
)  # fmt: skip
def test_a_result_below_the_red_line_counts_in_the_present_treatment_until_it_is_overruled(
    orders: list[dict[str, Any]], draws: list[dict[str, Any]], tier: str, reason: str | None
):
    row = judge(orders, draws).row(0, named=True)

    of_line = [name for name in said(row) if name.endswith("below_red_line")]
    assert (row["tier"], of_line) == (tier, [reason] if reason else [])


@pytest.mark.parametrize(
    ("values", "disagree"),
    [
        # Expected 25 pg/mL, SD 0.1; one draw has an SD of 0.2, the mean of two 0.1414; together 0.1732. 99 % of it
        # are 2.5758 x 0.1732 = 0.4461 on the log scale: 25 x exp(-0.4461) = 16.00 and 25 x exp(0.4461) = 39.06.
        ((16.1, 16.1), False),
        ((15.9, 15.9), True),
        ((39.0, 39.0), False),
        ((39.2, 39.2), True),
        # Their geometric mean counts: sqrt(12 x 22) = 16.2, sqrt(12 x 21) = 15.9.
        ((12.0, 22.0), False),
        ((12.0, 21.0), True),
    ],
)
def test_results_that_the_estimate_does_not_follow_are_said(
    values: tuple[float, float], disagree: bool
):
    draws = [ms(60, values[0]), ms(30, values[1])]

    row = judge(draws=draws, man=own(on=log(25), sd=0.1), sd_of_draw=0.2).row(0, named=True)

    assert ("results_and_estimate_disagree" in said(row)) == disagree
    both = f"Last two by mass spectrometry at this dose: {values[0]} and {values[1]} pg/mL on"
    assert (both in row["rationale"]) == (disagree or max(values) < 16)


def test_a_censored_result_disagrees_only_where_all_of_it_does():
    man = own(on=log(25), sd=0.1)

    below_5 = judge(
        draws=[ms(60, 5.0, value_low=0.0), ms(30, 5.0, value_low=0.0)], man=man, sd_of_draw=0.2
    )
    below_24 = judge(
        draws=[ms(60, 24.0, value_low=0.0), ms(30, 24.0, value_low=0.0)], man=man, sd_of_draw=0.2
    )
    above_60 = judge(
        draws=[ms(60, None, value_low=60.0), ms(30, None, value_low=60.0)], man=man, sd_of_draw=0.2
    )  # type: ignore[arg-type]
    no_model = judge(draws=[ms(60, 5.0), ms(30, 5.0)], man=man)

    found = [
        "results_and_estimate_disagree" in said(each.row(0, named=True))
        for each in (below_5, below_24, above_60, no_model)
    ]
    assert found == [True, False, True, False]  # fmt: skip


def test_two_low_results_against_the_estimate_are_more_than_watched():
    draws = [ms(60, 12.0), ms(30, 11.0)]

    row = judge(draws=draws, man=own(on=log(25), sd=0.1), sd_of_draw=0.2).row(0, named=True)

    assert (row["status"], row["tier"]) == ("in_range", "high")


LOW_OFF_TOO = {"testosterone_since": ago(1000)}


@pytest.mark.parametrize(
    ("off", "change", "status"),
    [
        ((13.0, 14.0), LOW_OFF_TOO, "low_not_attributable"),
        # One is no two, and one at the limit is not below it.
        ((13.0,), LOW_OFF_TOO, "below_range"),
        ((13.0, 16.0), LOW_OFF_TOO, "below_range"),
        # Drawn under other testosterone, or nobody knows under which.
        ((13.0, 14.0), {"testosterone_since": ago(390)}, "below_range"),
        ((13.0, 14.0), {}, "below_range"),
    ],
)
def test_who_was_low_off_the_drug_is_not_low_by_the_drug(
    off: tuple[float, ...], change: dict[str, Any], status: str
):
    draws = [ms(400 - 20 * n, value) for n, value in enumerate(off)] + [ms(30, 12.0)]

    row = judge(draws=draws, man=own(off=3.0, on=2.4), change={**steady(), **change}).row(
        0, named=True
    )

    assert row["status"] == status
    assert row["p_attributable"] > 0.5
    assert ("low_off_the_drug_too" in said(row)) == (status == "low_not_attributable")


@pytest.mark.parametrize(
    ("change", "reasons", "words"),
    [
        (steady(), [], None),
        (steady(p_fell_12m=0.49), [], None),
        (steady(ago(200), p_fell_12m=0.93), ["e2_fell"], "E2 fell about June 2024 (probability 0.93)."),
        (steady(ago(200), p_rose_12m=0.5), ["e2_rose"], "E2 rose about June 2024 (probability 0.5)."),
    ],
)  # fmt: skip
def test_a_change_of_e2_is_said_with_its_month_and_makes_no_tier(
    change: dict[str, Any], reasons: list[str], words: str | None
):
    row = judge(change=change).row(0, named=True)

    assert (row["tier"], said(row)) == ("none", reasons)
    assert row["changed_on"] == change["changed_on"]
    assert ("(probability" in row["rationale"]) == (words is not None)
    assert (words or "") in row["rationale"]


def test_on_another_inhibitor_nothing_is_said_of_a_change():
    change = steady(ago(200), p_fell_12m=0.99)

    row = judge([order(drug="letrozole")], change=change).row(0, named=True)

    assert (row["p_fell_12m"], row["changed_on"]) == (None, None)
    assert "e2_fell" not in said(row)
