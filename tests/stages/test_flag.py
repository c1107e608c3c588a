"""Flag: status and tier by the rules, as a table a clinician could check."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from e2analytics.settings import FlagSettings
from e2analytics.stages import flag, flag_life, link
from e2analytics.stages.limit import LimitInUse
from e2analytics.state import empty_table

AS_OF = date(2024, 12, 31)
LIMIT = LimitInUse(16.0, "literature", None, None)


def ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "started_on": ago(300),
        "stopped_on": None,
        "weekly_dose_mg": 1.0,
        "source_file": "orders",
        "source_line": 2,
        "source_order": 0,
        **changes,
    }


def draw(**changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "analyte": "estradiol",
        "result_id": "r1",
        "collected_on": ago(30),
        "value_low": 20.0,
        "value_high": 20.0,
        "assay": "ms",
        "source_file": "labs",
        "source_line": 7,
        **changes,
    }
    return {**row, "collected_at": datetime.combine(row["collected_on"], datetime.min.time(), UTC)}


def own(off: float = 3.7, on: float = 3.2, sd: float = 0.1, n_ms: int = 4) -> dict[str, Any]:
    """A man's own log E2 off and on the drug (40 and 25 pg/mL unless said otherwise)."""
    return {
        "patient_id": "p1",
        "n_draws": 4,
        "n_on": 3,
        "n_ms": n_ms,
        "n_ms_on": n_ms,
        "off_mean": off,
        "off_sd": sd,
        "on_mean": on,
        "on_sd": sd,
        "covariance": 0.5 * sd * sd,
    }


def judge(
    orders: list[dict[str, Any]] | None = None,
    draws: list[dict[str, Any]] | None = None,
    man: dict[str, Any] | None = None,
    events: list[tuple[str, date]] | None = None,
    as_of: date = AS_OF,
) -> pl.DataFrame:
    medications = pl.DataFrame(
        orders if orders is not None else [order()],
        schema_overrides={"stopped_on": pl.Date, "weekly_dose_mg": pl.Float64},
    )
    episodes = link.episodes(medications)
    given = [draw()] if draws is None else draws
    labs = pl.DataFrame(given, schema_overrides={"value_high": pl.Float64}) if given else None
    e2 = (
        link.draws(labs, episodes, FlagSettings())
        if labs is not None
        else link.draws(empty_table("labs"), episodes, FlagSettings())
    )
    known = flag.Known(
        patients=pl.DataFrame({"patient_id": ["p1"], "clinic_id": ["c1"]}),
        episodes=episodes,
        draws=e2,
        men=pl.DataFrame([man or own()]),
        exposures=empty_table("exposures"),
        dxa=empty_table("dxa"),
        events=pl.DataFrame(
            [
                {"patient_id": "p1", "kind": kind, "occurred_on": when}
                for kind, when in events or []
            ],
            schema={"patient_id": pl.String, "kind": pl.String, "occurred_on": pl.Date},
        ),
    )
    return flag.cohort(
        known, LIMIT, [], FlagSettings(), primary_site="lumbar_spine", as_of=as_of, model_id="m"
    )


LOW_BY_DRUG = own(off=3.7, on=2.5)  # 40 off, 12 on
LOW_ANYWAY = own(off=2.5, on=2.4)  # 12 off, 11 on
DANGER = own(off=3.7, on=2.0)  # 40 off, 7 on


@pytest.mark.parametrize(
    ("man", "draws", "status", "tier", "reason"),
    [
        (own(), [draw()], "in_range", "none", ""),
        (LOW_BY_DRUG, [draw()], "below_range", "high", "below_range_by_the_drug"),
        (LOW_ANYWAY, [draw()], "low_not_attributable", "watch", "low_without_the_drug"),
        (DANGER, [draw()], "below_range", "critical", "probably_below_red_line"),
        # One result by mass spectrometry that lies wholly below 10 is danger, whatever the model says.
        (
            own(),
            [draw(value_low=8.0, value_high=8.0)],
            "in_range",
            "critical",
            "result_below_red_line",
        ),
        (
            own(),
            [draw(value_low=0.0, value_high=10.0)],
            "in_range",
            "critical",
            "result_below_red_line",
        ),
        (own(), [draw(value_low=10.0, value_high=10.0)], "in_range", "none", ""),
        # An old one is not.
        (
            own(),
            [draw(), draw(result_id="r0", collected_on=ago(181), value_low=8.0, value_high=8.0)],
            "in_range",
            "none",
            "",
        ),
        # Immunoassay alone never exceeds high, and asks for mass spectrometry.
        (
            own(off=3.7, on=2.0, n_ms=0),
            [draw(assay="ia", value_low=8.0, value_high=8.0)],
            "below_range",
            "high",
            "repeat_by_mass_spectrometry",
        ),
    ],
)
def test_an_assessable_man(
    man: dict[str, Any], draws: list[dict[str, Any]], status: str, tier: str, reason: str
):
    row = judge(draws=draws, man=man).row(0, named=True)

    assert (row["status"], row["tier"]) == (status, tier)
    assert reason in row["reasons"]


@pytest.mark.parametrize(
    ("orders", "draws", "reason"),
    [
        ([order()], [], "no_recent_e2"),
        ([order()], [draw(collected_on=ago(181))], "no_recent_e2"),
        ([order()], [draw(value_low=0.0, value_high=24.0)], "only_uninformative_e2"),
        ([order(started_on=ago(13))], [draw()], "dose_changed_recently"),
        ([order(weekly_dose_mg=None)], [draw()], "dose_unknown"),
        ([order(started_on=ago(25))], [draw()], "no_e2_at_this_dose"),
        ([order(stopped_on=ago(10))], [draw()], "dose_changed_recently"),
        ([order(stopped_on=ago(14))], [draw()], "dose_changed_recently"),
    ],
)
def test_a_man_who_cannot_be_assessed_says_why_and_danger_is_not_hidden(
    orders: list[dict[str, Any]], draws: list[dict[str, Any]], reason: str
):
    calm = judge(orders, draws).row(0, named=True)
    danger = judge(orders, draws, DANGER).row(0, named=True)

    assert (calm["status"], calm["tier"]) == ("not_assessable", "none")
    assert reason in calm["reasons"].split("; ")
    assert (danger["status"], danger["tier"]) == ("not_assessable", "critical")


def test_a_man_on_another_inhibitor_has_no_estimate_and_his_danger_is_seen_in_his_result():
    letrozole = [order(drug="letrozole")]

    calm = judge(letrozole, man=DANGER).row(0, named=True)
    danger = judge(letrozole, [draw(value_low=8.0, value_high=8.0)]).row(0, named=True)

    assert (calm["status"], calm["tier"]) == ("not_assessable", "none")
    assert "other_aromatase_inhibitor" in calm["reasons"].split("; ")
    assert (calm["e2_expected_pg_ml"], calm["p_below_range"]) == (None, None)
    assert (danger["status"], danger["tier"]) == ("not_assessable", "critical")


def test_a_renewal_at_the_same_dose_is_no_change_of_dose():
    renewed = [order(stopped_on=ago(5)), order(started_on=ago(5), source_line=3)]

    row = judge(renewed).row(0, named=True)

    assert row["status"] == "in_range"


@pytest.mark.parametrize(
    ("stopped", "in_cohort"), [(None, True), (ago(14), True), (ago(15), False), (ago(0), True)]
)
def test_the_cohort_is_who_takes_the_drug_or_stopped_within_14_days(
    stopped: date | None, in_cohort: bool
):
    assert len(judge([order(stopped_on=stopped)])) == int(in_cohort)


def test_an_order_not_renewed_for_400_days_is_old():
    assert "old_order" in judge([order(started_on=ago(401))])["reasons"][0]
    assert "old_order" not in judge([order(started_on=ago(400))])["reasons"][0]


@pytest.mark.parametrize(
    ("events", "in_cohort"),
    [
        ([("died", ago(10))], False),
        ([("left_clinic", ago(10))], False),
        # A new order after he left, or a renewal of the old one: he came back.
        ([("left_clinic", ago(310))], True),
        ([("fracture", ago(10))], True),
    ],
)
def test_men_who_died_or_left_are_not_in_the_cohort(
    events: list[tuple[str, date]], in_cohort: bool
):
    assert len(judge(events=events)) == int(in_cohort)


def test_a_renewal_after_he_left_brings_a_man_back():
    renewed = [order(stopped_on=ago(100)), order(started_on=ago(100), source_line=3)]

    assert len(judge(renewed, events=[("left_clinic", ago(200))])) == 1
    assert len(judge(renewed, events=[("left_clinic", ago(50))])) == 0


def test_mass_spectrometry_off_the_drug_does_not_speak_for_his_e2_on_it():
    man = {**own(off=3.7, on=2.0, n_ms=0), "n_ms": 1}

    row = judge(draws=[draw(assay="ia")], man=man).row(0, named=True)

    assert (row["status"], row["tier"]) == ("below_range", "high")
    assert "repeat_by_mass_spectrometry" in row["reasons"].split("; ")


def test_a_forgotten_order_of_another_inhibitor_does_not_silence_a_man():
    both = [order(), order(drug="letrozole", started_on=ago(1800), source_line=3)]

    calm, danger = judge(both), judge(both, man=DANGER)

    assert (calm["status"][0], calm["tier"][0]) == ("not_assessable", "watch")
    assert "two_aromatase_inhibitors" in calm["reasons"][0].split("; ")
    assert (danger["status"][0], danger["tier"][0]) == ("not_assessable", "critical")


def test_a_man_who_changed_to_anastrozole_takes_one_inhibitor():
    changed = [
        order(drug="letrozole", stopped_on=ago(10)),
        order(started_on=ago(10), source_line=3),
    ]

    row = judge(changed).row(0, named=True)

    assert "two_aromatase_inhibitors" not in row["reasons"]
    assert (row["status"], row["tier"]) == ("not_assessable", "none")


def test_grounds_name_the_rows_they_rest_on_and_no_unknown_is_lost():
    assert judge()["grounds"][0] == (
        "Expected E2 at the present dose 24.5 pg/mL (95 % 20.2 to 29.8), off the drug 40.4, from 4 "
        "draws. Last E2 20.0 pg/mL (ms) on 2024-12-01 [labs line 7]. Anastrozole 1.0 mg a week since "
        "2024-03-06, last ordered on 2024-03-06 [orders line 2]."
    )
    assert "No E2 on record." in judge(draws=[])["grounds"][0]
    assert "Anastrozole unknown mg" in judge([order(weekly_dose_mg=None)])["grounds"][0]


def test_a_flag_is_new_then_open_then_resolved_then_reopened():
    low, fine = judge(man=LOW_BY_DRUG), judge()
    later = [AS_OF + timedelta(days=number) for number in range(4)]
    none = empty_table("flags")

    first = flag_life.flags(low, none, as_of=later[0])
    again = flag_life.flags(low, first, as_of=later[0])
    second = flag_life.flags(low, first, as_of=later[1])
    third = flag_life.flags(fine, second, as_of=later[2])
    fourth = flag_life.flags(low, third, as_of=later[3])

    states = [frame["state"][0] for frame in (first, again, second, third, fourth)]
    assert states == ["new", "new", "open", "resolved", "reopened"]
    assert fourth["first_flagged_on"][0] == later[0]
    assert flag_life.flags(fine, none, as_of=AS_OF).is_empty()


def test_the_flag_of_a_man_who_left_the_cohort_is_resolved_and_reopens_with_him():
    tomorrow, later = AS_OF + timedelta(days=1), AS_OF + timedelta(days=2)
    flagged = flag_life.flags(judge(man=LOW_BY_DRUG), empty_table("flags"), as_of=AS_OF)

    gone = flag_life.flags(judge([order(stopped_on=ago(15))]), flagged, as_of=tomorrow)
    back = flag_life.flags(judge(man=LOW_BY_DRUG), gone, as_of=later)

    assert gone.select("state", "tier", "reasons", "as_of", "first_flagged_on").rows() == [
        ("resolved", "none", "no_longer_in_cohort", tomorrow, AS_OF)
    ]
    assert back.select("state", "first_flagged_on").rows() == [("reopened", AS_OF)]
