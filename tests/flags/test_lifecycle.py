"""Lifecycle: the state of a flag from run to run, and the cause of every change."""

from datetime import timedelta

import polars as pl

from e2analytics.flags import lifecycle
from e2analytics.tables.snapshot import empty_table
from tests.flags.men import AS_OF, DANGER, LOW_BY_DRUG, ago, draw, judge, order, own


def test_a_flag_is_new_then_open_then_resolved_then_reopened():
    low, fine = judge(man=LOW_BY_DRUG), judge()
    later = [AS_OF + timedelta(days=number) for number in range(4)]
    none = empty_table("flags")

    first = lifecycle.flags(low, none, as_of=later[0])
    again = lifecycle.flags(low, first, as_of=later[0])
    second = lifecycle.flags(low, first, as_of=later[1])
    third = lifecycle.flags(fine, second, as_of=later[2])
    fourth = lifecycle.flags(low, third, as_of=later[3])

    states = [frame["state"][0] for frame in (first, again, second, third, fourth)]
    assert states == ["new", "new", "open", "resolved", "reopened"]
    assert fourth["first_flagged_on"][0] == later[0]
    assert lifecycle.flags(fine, none, as_of=AS_OF).is_empty()


def test_the_flag_of_a_man_who_left_the_cohort_is_resolved_and_reopens_with_him():
    tomorrow, later = AS_OF + timedelta(days=1), AS_OF + timedelta(days=2)
    flagged = lifecycle.flags(judge(man=LOW_BY_DRUG), empty_table("flags"), as_of=AS_OF)

    gone = lifecycle.flags(judge([order(stopped_on=ago(15))]), flagged, as_of=tomorrow)
    back = lifecycle.flags(judge(man=LOW_BY_DRUG), gone, as_of=later)

    assert gone.select("state", "tier", "reasons", "as_of", "first_flagged_on").rows() == [
        ("resolved", "none", "no_longer_in_cohort", tomorrow, AS_OF)
    ]
    assert back.select("state", "first_flagged_on").rows() == [("reopened", AS_OF)]


EVENTS = ["event", "was", "now", "why"]


def happened(was: pl.DataFrame, now: pl.DataFrame, days: int = 1) -> list[tuple[str, ...]]:
    """Return the events between two cohorts, the second so many days later."""
    as_of = AS_OF + timedelta(days=days)
    first = lifecycle.FlagState(was, lifecycle.flags(was, empty_table("flags"), as_of=AS_OF))
    then = now.with_columns(as_of=pl.lit(as_of))
    second = lifecycle.FlagState(then, lifecycle.flags(then, first.flags, as_of=as_of))
    return lifecycle.events(first, second, as_of=as_of, run_id="r2").select(EVENTS).rows()


def test_every_change_of_a_flag_has_its_reason():
    fine, low, danger = judge(), judge(man=LOW_BY_DRUG), judge(man=DANGER)
    drawn = judge(draws=[draw(), draw(result_id="r2", collected_on=ago(2))], man=LOW_BY_DRUG)
    ordered = judge([order(), order(started_on=ago(40), source_line=3)], man=LOW_BY_DRUG)
    scanned = judge(bone_class="osteoporosis")
    nobody = fine.clear()
    low_status = ("status_changed", "in_range", "below_range")

    assert happened(fine, fine) == []
    assert happened(low, low) == []
    assert happened(nobody, low) == [("new", "none", "high", "joined")]
    assert happened(low, nobody) == [("resolved", "high", "none", "left")]
    assert happened(fine, drawn) == [
        ("new", "none", "high", "new_result"),
        (*low_status, "new_result"),
    ]
    assert happened(fine, ordered)[0] == ("new", "none", "high", "dose_changed")
    assert happened(fine, scanned) == [("new", "none", "high", "new_scan")]
    planned = judge(bone_class="osteoporosis", events=[("bone_plan", ago(1))])
    assert happened(scanned, planned) == [("tier_changed", "high", "watch", "new_scan")]
    fractured = judge(events=[("fracture", ago(1))])
    assert happened(fine, fractured) == [("new", "none", "high", "new_scan")]
    model = low.with_columns(model_id=pl.lit("m2"))
    assert happened(fine, model)[0] == ("new", "none", "high", "new_model")
    limit = low.with_columns(lower_limit_pg_ml=pl.lit(20.0), rules_id=pl.lit("other"))
    assert happened(fine, limit, days=0)[1] == (*low_status, "limit_changed; rule_changed")
    assert happened(low, danger) == [("tier_changed", "high", "critical", "time_passed")]
    # With nothing else and no day between there is no reason: that would be a defect, and shows.
    assert happened(low, danger, days=0) == [("tier_changed", "high", "critical", "unexplained")]


def test_an_estimate_that_grows_too_uncertain_is_time_passed_beside_what_else_is_new():
    before = judge(draws=[draw(collected_on=ago(180))])
    # An SD of 0.4: the ends of the 95 % interval are a ratio of 4.8 apart.
    model = judge(draws=[draw(collected_on=ago(181))], man=own(sd=0.4)).with_columns(
        before["results_digest"], model_id=pl.lit("m2")
    )

    assert happened(before, model) == [
        ("status_changed", "in_range", "not_assessable", "new_model; time_passed")
    ]


def test_a_flag_that_comes_back_is_reopened():
    fine, low = judge(), judge(man=LOW_BY_DRUG)
    first = lifecycle.flags(low, empty_table("flags"), as_of=AS_OF)
    second = lifecycle.flags(fine, first, as_of=AS_OF + timedelta(days=1))
    later = AS_OF + timedelta(days=2)

    events = lifecycle.events(
        lifecycle.FlagState(fine, second),
        lifecycle.FlagState(low, lifecycle.flags(low, second, as_of=later)),
        as_of=later,
        run_id="r3",
    )

    assert events["event"].to_list() == ["reopened", "status_changed"]
