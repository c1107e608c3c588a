"""Outcomes beyond bone: the truth beside their curves, and what counts as a false claim."""

import numpy as np
import polars as pl
import pytest

from bench.validation import outcome_tables, outcomes
from bench.validation.outcome_tables import false_claims, harm, limits, upper_ends, verdicts
from e2analytics.curve.hazards import FollowedUp
from e2analytics.simulate import SimulationSettings
from e2analytics.simulate.truth import outcome_name, outcome_rates

SETTINGS = SimulationSettings(patients=400, seed=11, shape="two_sides", defects=False)

RATES = {each.name: each for each in outcome_rates()}


def rows(*said: tuple[str, str, int, str | None]) -> pl.DataFrame:
    """Rows of world, outcome, clinic and verdict."""
    return pl.DataFrame(
        said, schema=["world", "outcome", "seed", "verdict"], orient="row"
    ).with_columns(n_events=pl.lit(50))


@pytest.mark.parametrize(
    ("world", "outcome", "expected"),
    [
        ("two_sides", "mood", "low and high"),
        ("two_sides", "gynaecomastia", "high"),
        ("two_sides", "joint_pain", "low"),
        ("two_sides", "fracture", "low"),
        ("two_sides", "haematocrit_above_54", "none"),
        ("bone_only", "mood", "none"),
    ],
)
def test_harm_is_where_the_simulation_puts_it(world, outcome, expected):
    assert harm(world, RATES[outcome]) == expected


def test_a_claim_is_false_on_a_side_without_harm_and_a_clinic_makes_one_if_any_outcome_does():
    found = false_claims(
        rows(
            # Of four clinics the second claims harm of the wrong side for libido, and the third calls it a U.
            ("two_sides", "low_libido", 1, "low_side_threshold"),
            ("two_sides", "low_libido", 2, "falling"),
            ("two_sides", "low_libido", 3, "u_shaped"),
            ("two_sides", "low_libido", 4, "inconclusive"),
            # The third does so of gynaecomastia, too; the fourth could not fit it and is none of three.
            ("two_sides", "gynaecomastia", 1, "high_side_threshold"),
            ("two_sides", "gynaecomastia", 2, "falling"),
            ("two_sides", "gynaecomastia", 3, "rising"),
            ("two_sides", "gynaecomastia", 4, None),
            ("bone_only", "mood", 1, "flat"),
            ("bone_only", "mood", 2, "u_shaped"),
        )
    )

    share = {(world, outcome): said[:5] for world, outcome, _, said, _ in found.rows()}
    assert share == {
        ("two_sides", "gynaecomastia"): "33.3%",
        ("two_sides", "low_libido"): "50.0%",
        ("two_sides", "any of them"): "50.0%",
        ("bone_only", "mood"): "50.0%",
        ("bone_only", "any of them"): "50.0%",
    }


def test_a_size_is_missed_where_the_whole_interval_lies_above_five_per_cent():
    often = rows(*[("bone_only", "mood", seed, "rising") for seed in range(20)])
    never = rows(*[("bone_only", "mood", seed, "flat") for seed in range(20)])

    assert false_claims(often)["missed"].to_list() == ["size", "size"]
    assert false_claims(never)["missed"].to_list() == ["none", "none"]


def test_verdicts_are_shares_of_the_clinics_that_were_fitted():
    found = verdicts(
        rows(
            *[
                ("two_sides", "mood", seed, verdict)
                for seed, verdict in enumerate(["u_shaped", "rising", None, "u_shaped"])
            ]
        )
    ).row(0, named=True)

    assert found["not fitted"] == "25%"
    assert (found["u_shaped"], found["rising"], found["flat"]) == ("67%", "33%", "0%")


def test_limits_are_counted_where_the_truth_has_one():
    given = rows(
        ("two_sides", "mood", 1, "u_shaped"),
        ("two_sides", "mood", 2, "low_side_threshold"),
    ).with_columns(
        **{
            "lower true": 18.16,
            "lower": pl.Series([17.16, 19.16]),
            "lower holds": pl.Series([True, False]),
            "upper true": pl.lit(None, pl.Float64),
            "upper": pl.Series([50.0, None]),
            "upper holds": pl.lit(None, pl.Boolean),
        }
    )

    found = limits(given)

    assert found["limit"].to_list() == ["lower"]
    assert found["truth, pg/mL"].to_list() == ["18.2"]
    assert found["holds"][0].startswith("50.0%")
    assert found["mean error, pg/mL"].to_list() == pytest.approx([0.0])
    assert outcome_tables.ALPHA == 0.05


def test_what_is_missed_is_said_line_by_line():
    often = rows(*[("bone_only", "mood", seed, "high_side_threshold") for seed in range(20)])
    often = often.with_columns(
        **dict.fromkeys(("lower", "lower true", "upper true"), pl.lit(None, pl.Float64)), upper=50.0
    ).with_columns(
        pointwise=pl.lit(0.5), band=pl.lit(False), **{"lower holds": None, "upper holds": None}
    )
    claims, ends, covered = (
        table(often)
        for table in (false_claims, outcome_tables.false_limits, outcome_tables.coverage)
    )

    none = pl.DataFrame({"missed": ["none"]})
    said = outcome_tables.missed(claims, ends, covered, none, none)

    assert said.splitlines() == [
        "- bone_only, mood: false claims in 100.0% (76.7%-100.0%)",
        "- bone_only, any of them: false claims in 100.0% (76.7%-100.0%)",
        "- bone_only: false upper limits in 100.0% (76.7%-100.0%)",
        "- bone_only, mood: coverage of pointwise 50.0% (50.0%-50.0%)",
        "- bone_only, mood: coverage of band 0.0% (0.0%-23.3%)",
    ]


def test_an_upper_end_is_false_where_no_outcome_has_one_and_else_is_held_against_the_lowest():
    of_outcomes = pl.DataFrame(
        [
            ("two_sides", 1, 49.9), ("two_sides", 1, 51.2), ("two_sides", 2, 51.2),
            ("two_sides", 3, 49.9), ("bone_only", 1, None), ("bone_only", 2, None),
        ],
        schema=["world", "seed", "upper true"],
        orient="row",
    )  # fmt: skip
    given = pl.DataFrame(
        [
            # The first holds 49.9, the second does not hold 51.2, the third is none; of the others one is false.
            ("two_sides", 1, 48.0, 45.0, 53.0, True), ("two_sides", 2, 47.2, 45.0, 50.0, False),
            ("two_sides", 3, None, None, None, False), ("bone_only", 1, None, None, None, False),
            ("bone_only", 2, 60.0, 50.0, 70.0, True),
        ],
        schema=["world", "seed", "e2_pg_ml", "ci_low", "ci_high", "settled"],
        orient="row",
    )  # fmt: skip

    two_sides, bone_only = upper_ends(given, of_outcomes).to_dicts()

    assert two_sides["given one"].startswith("66.7%")
    assert two_sides["holds"].startswith("50.0%")
    assert two_sides["of these settled"].startswith("50.0%")
    # 48.0 - 49.9 and 47.2 - 51.2.
    assert two_sides["mean error, pg/mL"] == pytest.approx(-2.95)
    assert (bone_only["truth, pg/mL"], bone_only["holds"]) == ("none", "–")
    assert bone_only["given one"].startswith("50.0%")


@pytest.fixture(scope="module")
def followed() -> FollowedUp:
    return outcomes.follow(SETTINGS, None)[0]


def test_men_are_followed_to_the_events_that_happened(followed: FollowedUp):
    events = followed.at_risk.filter("event").group_by("outcome").len()

    assert set(events["outcome"]) <= {outcome_name(each) for each in outcome_rates()}
    # 400 men for 3.5 years or so; of libido about one in ten a year, less what comes again.
    libido = events.filter(outcome="hazard_low_libido_1y")["len"][0]
    assert 80 < libido < 200


def test_the_true_risk_is_that_of_the_rate_and_of_the_rows_testosterone(followed: FollowedUp):
    e2 = np.array([10.0, 30.0])

    libido = outcomes.true_risk(e2, RATES["low_libido"], SETTINGS, followed)
    haematocrit = outcomes.true_risk(e2, RATES["haematocrit_above_54"], SETTINGS, followed)

    # 1 - exp(-0.58) and 1 - exp(-0.08); of haematocrit the latter at 600 ng/dL, which is about the men's middle.
    np.testing.assert_allclose(libido, [0.44010, 0.07688], atol=1e-5)
    assert haematocrit[0] == haematocrit[1] == pytest.approx(0.077, abs=0.02)
