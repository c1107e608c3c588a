"""Explain: what the flags of three men rest on, worked out by hand beside what is said of them."""

from dataclasses import replace
from math import exp, log
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import multivariate_normal

from e2analytics.flags import evidence as explain
from e2analytics.models.dose_response.next_result import (
    below_after,
    chance_of_more,
    result_that_clears,
)
from e2analytics.tables.snapshot import empty_table
from tests.flags.men import AS_OF, ago, criteria, draw, judge, known_of, order, own

NORMAL = NormalDist()
SD_OF_DRAW = 0.2
# Log E2 off and on the drug, each with SD 0.1 and a correlation of a half.
MAN_A = own(off=log(40), on=log(12))
MAN_B = own(off=log(15.5), on=log(15.2))
MAN_C = own(off=log(40), on=log(20))
JUST_STARTED = [order(started_on=ago(13))]
MS_BELOW_TEN = [draw(result_id="r8", value_low=8.0, value_high=8.0, collected_on=ago(5))]


def evidence(man: dict[str, Any], **rows: Any) -> pl.DataFrame:
    cohort = judge(man=man, **rows)
    data, estimates = known_of(man=man, **rows)
    judged_by = criteria(sd_of_draw=SD_OF_DRAW)
    return explain.evidence(
        data, estimates, cohort, empty_table("projections"), empty_table("causes"), judged_by
    )


def pieces(found: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return (
        found.filter(pl.col("piece").is_in(names))
        .select(
            "piece", "name", "id", "on", pl.col("value_low").round(3), "source_file", "source_line"
        )
        .rows()
    )


def by_hand(off: float, on: float) -> dict[str, float]:
    """P(on < 16), P(on < 16 <= off), P(on < 10) of jointly normal logs, SD 0.1, correlation a half."""
    below = NORMAL.cdf((log(16) - log(on)) / 0.1)
    both = multivariate_normal(mean=[log(on), log(off)], cov=[[0.01, 0.005], [0.005, 0.01]]).cdf(
        [log(16), log(16)]
    )
    return {
        "p_below_range": round(below, 3),
        "p_attributable": round(below - both, 3),
        "p_below_red_line": round(NORMAL.cdf((log(10) - log(on)) / 0.1), 3),
    }


@pytest.mark.parametrize(
    ("man", "rows", "off_on", "status", "tier", "reasons", "tier_rule"),
    [
        (
            MAN_A,
            {},
            (40, 12),
            "below_range",
            "high",
            ["below_range_by_the_drug", "deep_below_range"],
            "below_range_by_the_drug",
        ),
        (
            MAN_B,
            {"loss": True},
            (15.5, 15.2),
            "low_not_attributable",
            "high",
            ["low_without_the_drug", "bone_loss_exceeds_lsc"],
            "low_and_something_more",
        ),
        (
            MAN_C,
            {"orders": JUST_STARTED, "draws": MS_BELOW_TEN},
            (40, 20),
            "not_assessable",
            "critical",
            ["dose_changed_recently", "no_e2_at_this_dose", "result_below_red_line"],
            "red_line_by_mass_spectrometry",
        ),
    ],
)
def test_the_evidence_of_three_men_is_what_one_works_out_by_hand(
    man: dict[str, Any],
    rows: dict[str, Any],
    off_on: tuple[float, float],
    status: str,
    tier: str,
    reasons: list[str],
    tier_rule: str,
):
    found = evidence(man, **rows)

    drawn = rows.get("draws", [draw()])[0]
    ordered = rows.get("orders", [order()])[0]
    assert pieces(found, "e2_result", "dose") == [
        (
            "e2_result",
            "mass spectrometry",
            drawn["result_id"],
            drawn["collected_on"],
            drawn["value_low"],
            "labs",
            7,
        ),
        ("dose", "anastrozole", None, ordered["started_on"], 1.0, "orders", 2),
    ]
    said = dict(found.filter(pl.col("piece") == "estimate").select("name", "value_low").rows())
    hand = by_hand(*off_on)
    assert {name: round(said[name], 3) for name in hand} == hand
    assert said["E2 off the drug"] == pytest.approx(off_on[0])
    assert said["E2 at the present dose, 95 %"] == pytest.approx(
        off_on[1] * exp(-1.96 * 0.1), rel=1e-4
    )
    assert found.filter(pl.col("piece") == "reason")["name"].to_list() == reasons
    assert found.filter(pl.col("piece") == "status")["name"].to_list() == [status]
    assert found.filter(pl.col("piece") == "tier").select("name", "words").rows() == [
        (tier_rule, tier)
    ]
    limits = found.filter(pl.col("piece") == "limit").select("name", "value_low").rows()
    assert limits == [("limit in use", 16.0), ("red line", 10.0)]
    cited = found.filter(pl.col("piece").is_in(["limit", "reason", "status", "tier"]))
    assert cited["source"].null_count() == 0
    assert found["position"].to_list() == list(range(len(found)))


# The result that clears, by hand. One more draw (SD 0.2) has a weight of 0.01/(0.01 + 0.04) = 0.2 beside what is
# known (SD 0.1); the SD after it is 0.1 x sqrt(0.8) = 0.08944. P(below 16) is 0.4 where the mean after it lies
# 0.25335 SD above log 16: at 2.77259 + 0.02266 = 2.79525.
CLEARS_A = exp(log(12) + (2.79525 - log(12)) / 0.2)  # 56.6
CLEARS_B = exp(log(15.2) + (2.79525 - log(15.2)) / 0.2)  # 22.0


@pytest.mark.parametrize(
    ("man", "clears", "chance"),
    [
        (MAN_A, CLEARS_A, "below 1%"),
        # (log 15.2 - log 22.0)/sqrt(0.05) = -1.654.
        (MAN_B, CLEARS_B, "5%"),
    ],
)
def test_the_result_that_would_close_the_flag_is_the_one_worked_out_by_hand(
    man: dict[str, Any], clears: float, chance: str
):
    first = evidence(man).filter(pl.col("piece") == "would_change").row(0, named=True)

    assert first["value_low"] == pytest.approx(clears, rel=1e-4)
    assert first["words"] == (
        f"One more result by mass spectrometry at the present dose above about {clears:.0f} pg/mL (chance "
        f"{chance}) would bring the chance of being below the limit under 40%, where a flag of low E2 closes."
    )


def test_the_paragraph_says_it_in_words():
    paragraph = evidence(MAN_C, orders=JUST_STARTED, draws=MS_BELOW_TEN)["words"][0]

    assert paragraph == (
        "Not assessable, tier critical: dose changed too recently for a steady state; no E2 at the present "
        "dose yet; MS result below red line. Last E2 8.0 pg/mL by mass spectrometry on 2024-12-26. At 1 mg of "
        "anastrozole a week his E2 is expected at 20.0 pg/mL (95 % 16.4 to 24.3), off the drug at 40, from 4 "
        "results. Chance of being below the limit in use, 16.0 pg/mL (literature): 1%; below it because of the "
        "drug: 1%; below the red line of 10 pg/mL: below 1%. “Dose changed too recently for a steady state” changes "
        "with an E2 drawn 14 days or more after the change. “No E2 at the present dose yet” changes with an E2 "
        "drawn 14 days or more after the change to the present dose. “MS result below red line” changes with a "
        "later result by mass spectrometry at steady state that is not below the red line, or with time; it keeps "
        "the flag open until 2025-06-24."
    )


def test_a_loss_beside_a_glucocorticoid_names_it():
    cohort = judge(man=MAN_A, loss=True)
    data, estimates = known_of(man=MAN_A, loss=True)
    named = estimates.exposures.with_columns(
        why_not=pl.lit("on_glucocorticoid"),
        bone_drugs=pl.lit("prednisone 20.0 mg a day since 2024-06-15"),
    )

    found = explain.evidence(
        data,
        replace(estimates, exposures=named),
        cohort,
        empty_table("projections"),
        empty_table("causes"),
        criteria(sd_of_draw=SD_OF_DRAW),
    )

    pair = found.filter(pl.col("piece") == "scan_pair").row(0, named=True)
    assert pair["words"] == (
        f"since {ago(900)}; LSC 5.0 %: loss; other drugs that move bone: "
        "prednisone 20.0 mg a day since 2024-06-15"
    )


def test_men_without_a_flag_or_without_an_estimate():
    letrozole = {"orders": [order(drug="letrozole")], "draws": MS_BELOW_TEN}

    assert evidence(own()).is_empty()
    found = evidence(MAN_A, **letrozole)
    assert "estimate" not in found["piece"].to_list()
    assert "No E2 level can be estimated." in found["words"][0]


def test_after_the_result_that_clears_the_probability_is_what_was_asked_for():
    mean, sd, limits = (
        np.log([12.0, 15.0, np.nan]),
        np.array([0.1, 0.3, 0.1]),
        np.array([14.0, 18.0]),
    )

    result = result_that_clears(mean, sd, SD_OF_DRAW, limits, 0.4)

    after = below_after(mean[:2], sd[:2], np.log(result[:2]), SD_OF_DRAW, limits)
    assert after == pytest.approx([0.4, 0.4], abs=1e-9)
    assert np.isnan(result[2])
    assert chance_of_more(mean[:1], sd[:1], SD_OF_DRAW, np.array([12.0])) == pytest.approx([0.5])
    # A man of whom everything is known learns nothing from one draw.
    assert np.isnan(result_that_clears(mean[:1], np.array([1e-3]), SD_OF_DRAW, limits, 0.4)[0])


def test_as_of_stands_with_every_piece():
    assert evidence(MAN_A)["as_of"].unique().to_list() == [AS_OF]


def test_of_a_man_who_cannot_be_assessed_it_says_what_one_more_result_would_do():
    # An SD of 0.4 spans a ratio of exp(2 x 1.96 x 0.4) = 4.8; one more draw (SD 0.2) leaves an SD of
    # 0.4 x 0.2 / sqrt(0.4^2 + 0.2^2) = 0.179, a ratio of 2.0.
    vague = own(off=log(40), on=log(9), sd=0.4)

    words = evidence(vague)["words"][0]

    assert words.startswith(
        "Not assessable, tier critical: too little is known of his E2 now; perhaps below range; probably below red line"
    )
    assert (
        "The ends of the 95 % interval of his E2 are a ratio of 4.8 apart; one more result by mass spectrometry at "
        "the present dose would bring it to 2.0, and he can be assessed at 4 or less."
    ) in words


def test_a_result_that_was_overruled_is_named_as_past():
    rows = [
        draw(result_id=f"r{days}", value_low=value, value_high=value, collected_on=ago(days))
        for days, value in ((60, 8.0), (30, 20.0))
    ]

    words = evidence(MAN_A, draws=rows)["words"][0]

    assert "was below the red line" in words
    assert (
        "Was below the red line: 8.0 pg/mL by mass spectrometry on 2024-11-01, on 1 mg a week."
        in words
    )
