"""Flag: status and tier by the rules, as a table a clinician could check."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.flags import cohort, lifecycle
from e2analytics.flags.criteria import Criteria
from e2analytics.settings import FlagSettings
from e2analytics.tables.limit_in_use import LimitInUse
from e2analytics.tables.patient_data import Estimates, PatientData
from e2analytics.tables.snapshot import empty_table

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
        "dose_mg": 0.5,
        "doses_per_week": 2.0,
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


def patients() -> pl.DataFrame:
    row = {"patient_id": "p1", "clinic_id": "c1", "birth_date": date(1960, 1, 1)}
    return pl.DataFrame([row], schema=empty_table("patients").schema)


def scans(bone_class: str | None) -> pl.DataFrame:
    row = {
        "namespace": "default",
        "scan_id": "s2",
        "patient_id": "p1",
        "site": "total_hip",
        "scanned_on": ago(60),
        "bone_class": bone_class,
    }
    rows = [row] if bone_class else []
    return pl.DataFrame(rows, schema=empty_table("densitometry").schema)


def pairs(*, loss: bool) -> pl.DataFrame:
    row = {
        "patient_id": "p1",
        "site": "total_hip",
        "first_scan_id": "s1",
        "second_scan_id": "s2",
        "first_on": ago(900),
        "second_on": ago(60),
        "change_pct": -6.0,
        "lsc_pct": 5.0,
        "lsc_verdict": "loss",
    }
    return pl.DataFrame([row] if loss else [], schema=empty_table("exposures").schema)


def known_of(
    orders: list[dict[str, Any]] | None = None,
    draws: list[dict[str, Any]] | None = None,
    man: dict[str, Any] | None = None,
    events: list[tuple[str, date]] | None = None,
    bone_class: str | None = None,
    loss: bool = False,
) -> tuple[PatientData, Estimates]:
    doses = ("weekly_dose_mg", "dose_mg", "doses_per_week")
    medications = pl.DataFrame(
        orders if orders is not None else [order()],
        schema_overrides={"stopped_on": pl.Date, **dict.fromkeys(doses, pl.Float64)},
    )
    episodes = find_episodes(medications)
    given = [draw()] if draws is None else draws
    labs = (
        pl.DataFrame(given, schema_overrides={"value_high": pl.Float64})
        if given
        else empty_table("labs")
    )
    data = PatientData(
        patients=patients(),
        medications=medications,
        labs=labs,
        dxa=empty_table("dxa"),
        densitometry=scans(bone_class),
        episodes=episodes,
        draws=link_draws(labs, episodes, FlagSettings()),
        precision=empty_table("precision"),
        pairs=pl.DataFrame(),
        pending=pl.DataFrame(),
        pending_e2=pl.DataFrame(),
        pending_draws=pl.DataFrame(),
        events=pl.DataFrame(
            [
                {"patient_id": "p1", "kind": kind, "occurred_on": when}
                for kind, when in events or []
            ],
            schema={"patient_id": pl.String, "kind": pl.String, "occurred_on": pl.Date},
        ),
    )
    return data, Estimates(e2=pl.DataFrame([man or own()]), exposures=pairs(loss=loss))


def criteria(as_of: date = AS_OF, sd_of_draw: float | None = None) -> Criteria:
    return Criteria(
        as_of=as_of,
        limit=LIMIT,
        limit_quantiles_pg_ml=[],
        primary_site="lumbar_spine",
        model_id="m",
        sd_of_draw=sd_of_draw,
        settings=FlagSettings(),
    )


def judge(
    orders: list[dict[str, Any]] | None = None,
    draws: list[dict[str, Any]] | None = None,
    man: dict[str, Any] | None = None,
    *,
    as_of: date = AS_OF,
    before: pl.DataFrame | None = None,
    **others: Any,
) -> pl.DataFrame:
    data, estimates = known_of(orders, draws, man, **others)
    return cohort.cohort(
        data,
        estimates,
        criteria(as_of),
        before=empty_table("flags") if before is None else before,
    )


LOW_BY_DRUG = own(off=3.7, on=2.5)  # 40 off, 12 on
LOW_ANYWAY = own(off=2.5, on=2.4)  # 12 off, 11 on
DANGER = own(off=3.7, on=2.0)  # 40 off, 7 on


@pytest.mark.parametrize(
    ("man", "draws", "status", "tier", "reason"),
    [
        (own(), [draw()], "in_range", "none", ""),
        (LOW_BY_DRUG, [draw()], "below_range", "high", "below_range_by_the_drug"),
        # Low and far below, though not by the drug.
        (LOW_ANYWAY, [draw()], "low_not_attributable", "high", "low_without_the_drug"),
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


@pytest.mark.parametrize(("e2_pg_ml", "tier"), [(25.0, "none"), (8.0, "critical")])
def test_where_too_few_men_give_no_estimate_nobody_is_called_in_range(e2_pg_ml: float, tier: str):
    data, estimates = known_of(draws=[draw(value_low=e2_pg_ml, value_high=e2_pg_ml)])
    of_a_small_clinic = replace(estimates, e2=estimates.e2.clear())

    row = cohort.cohort(
        data,
        of_a_small_clinic,
        criteria(),
        before=empty_table("flags"),
    ).row(0, named=True)

    assert (row["status"], row["tier"]) == ("not_assessable", tier)
    assert "no_dose_response" in row["reasons"].split("; ")


def test_a_man_on_another_inhibitor_has_no_estimate_and_his_danger_is_seen_in_his_result():
    letrozole = [order(drug="letrozole")]

    calm = judge(letrozole, man=DANGER).row(0, named=True)
    danger = judge(letrozole, [draw(value_low=8.0, value_high=8.0)]).row(0, named=True)

    assert (calm["status"], calm["tier"]) == ("not_assessable", "none")
    assert "other_aromatase_inhibitor" in calm["reasons"].split("; ")
    assert (calm["e2_expected_pg_ml"], calm["p_below_range"]) == (None, None)
    assert (danger["status"], danger["tier"]) == ("not_assessable", "critical")
    # Another draw would not make him assessable, so none is asked for.
    assert "no_e2_at_this_dose" not in danger["reasons"].split("; ")


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
    assert judge()["rationale"][0] == (
        "Expected E2 at the present dose 24.5 pg/mL (95 % 20.2 to 29.8), off the drug 40.4, from 4 "
        "draws. Last E2 20.0 pg/mL (ms) on 2024-12-01 [labs line 7]. Anastrozole 1.0 mg a week since "
        "2024-03-06, last ordered on 2024-03-06 [orders line 2]."
    )
    assert "No E2 on record." in judge(draws=[])["rationale"][0]
    assert "Anastrozole, dose unknown, since" in judge([order(weekly_dose_mg=None)])["rationale"][0]


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


LOW_AND_SHALLOW = own(off=2.74, on=2.72)  # 15.5 off, 15.2 on


@pytest.mark.parametrize(
    ("man", "changes", "status", "tier", "reason"),
    [
        # Depth, duration and bone raise a man who is low without the drug, and none of them lowers.
        (LOW_AND_SHALLOW, {}, "low_not_attributable", "watch", "low_without_the_drug"),
        (LOW_ANYWAY, {}, "low_not_attributable", "high", "deep_below_range"),
        (LOW_AND_SHALLOW, {"loss": True}, "low_not_attributable", "high", "bone_loss_exceeds_lsc"),
        (
            LOW_AND_SHALLOW,
            {"bone_class": "osteoporosis"},
            "low_not_attributable",
            "high",
            "osteoporosis",
        ),
        # A man in range with poor bone on the drug is watched; low bone mass alone is no flag.
        (own(), {"loss": True}, "in_range", "watch", "bone_loss_exceeds_lsc"),
        (own(), {"bone_class": "osteoporosis"}, "in_range", "watch", "osteoporosis"),
        (
            own(),
            {"bone_class": "below_expected_for_age"},
            "in_range",
            "watch",
            "bone_below_expected_for_age",
        ),
        (own(), {"bone_class": "low_bone_mass"}, "in_range", "none", ""),
        (DANGER, {"bone_class": "normal"}, "below_range", "critical", "probably_below_red_line"),
    ],
)
def test_depth_duration_and_bone_raise_the_tier(
    man: dict[str, Any], changes: dict[str, Any], status: str, tier: str, reason: str
):
    row = judge(man=man, **changes).row(0, named=True)

    assert (row["status"], row["tier"]) == (status, tier)
    assert reason in row["reasons"]


@pytest.mark.parametrize(
    ("values_and_days", "since", "long"),
    [
        ([(12.0, 400), (13.0, 30)], 400, True),
        ([(12.0, 400), (20.0, 200), (13.0, 30)], 30, False),
        ([(12.0, 400)], 400, False),
        ([(12.0, 364), (13.0, 30)], 364, False),
        ([(16.0, 400), (15.9, 30)], 30, False),
    ],
)
def test_results_below_range_for_a_year_are_long(
    values_and_days: list[tuple[float, int]], since: int, long: bool
):
    draws = [
        draw(result_id=f"r{days}", value_low=value, value_high=value, collected_on=ago(days))
        for value, days in values_and_days
    ]

    row = judge([order(started_on=ago(500))], draws, LOW_BY_DRUG).row(0, named=True)

    assert row["below_since"] == ago(since)
    assert ("long_below_range" in row["reasons"].split("; ")) == long


def test_an_unparsed_sig_is_told_from_a_dose_that_is_nowhere():
    as_directed = order(doses_per_week=None, weekly_dose_mg=None)
    nothing = order(dose_mg=None, doses_per_week=None, weekly_dose_mg=None)

    assert judge([as_directed])["reasons"][0] == "dose_unknown; sig_not_parsed"
    assert judge([nothing])["reasons"][0] == "dose_unknown"


def test_a_clinic_without_results_for_60_days_is_said_and_hides_nothing():
    stale = judge(draws=[draw(collected_on=ago(61))]).row(0, named=True)
    fresh = judge(draws=[draw(collected_on=ago(60))]).row(0, named=True)

    assert (stale["status"], stale["reasons"]) == ("in_range", "stale_feed")
    assert fresh["reasons"] == ""


@pytest.mark.parametrize(
    ("on", "tier_before", "tier"),
    [
        # P(below 16): 0.42 is between the closing 0.4 and the opening 0.5.
        (2.793, "high", "high"),
        (2.793, "watch", "watch"),
        (2.793, "none", "none"),
        # 0.36 is not.
        (2.809, "high", "none"),
        # A tier is held, not raised: 0.42 below 10 keeps a critical man critical, a high man high.
        (2.323, "critical", "critical"),
        (2.323, "high", "high"),
    ],
)
def test_a_flag_closes_at_a_lower_probability_than_it_opens(on: float, tier_before: str, tier: str):
    before = pl.DataFrame([{"patient_id": "p1", "tier": tier_before}])

    row = judge(man=own(off=3.7, on=on), before=before).row(0, named=True)

    opened = judge(man=own(off=3.7, on=on)).row(0, named=True)
    assert row["tier"] == tier
    # The status is as it would be without a history.
    assert row["status"] == opened["status"]
    assert ("held_open" in row["reasons"].split("; ")) == (row["tier"] != opened["tier"])


def test_a_digest_changes_with_its_rows_and_with_nothing_else():
    same = ("results_digest", "dose_digest", "scans_digest")
    first = judge().row(0, named=True)
    tomorrow = judge(man=LOW_BY_DRUG, as_of=AS_OF + timedelta(days=1)).row(0, named=True)
    corrected = judge(draws=[draw(value_low=21.0, value_high=21.0)]).row(0, named=True)
    ordered = judge([order(), order(started_on=ago(40), source_line=3)]).row(0, named=True)
    scanned = judge(bone_class="normal").row(0, named=True)

    def changed(row: dict[str, Any]) -> list[str]:
        return [name for name in same if row[name] != first[name]]

    assert changed(tomorrow) == []
    assert changed(corrected) == ["results_digest"]
    assert changed(ordered) == ["dose_digest"]
    assert changed(scanned) == ["scans_digest"]


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
    assert happened(fine, scanned) == [("new", "none", "watch", "new_scan")]
    model = low.with_columns(model_id=pl.lit("m2"))
    assert happened(fine, model)[0] == ("new", "none", "high", "new_model")
    limit = low.with_columns(lower_limit_pg_ml=pl.lit(20.0), rules_id=pl.lit("other"))
    assert happened(fine, limit, days=0)[1] == (*low_status, "limit_changed; rule_changed")
    assert happened(low, danger) == [("tier_changed", "high", "critical", "time_passed")]
    # With nothing else and no day between there is no reason: that would be a defect, and shows.
    assert happened(low, danger, days=0) == [("tier_changed", "high", "critical", "unexplained")]


def test_a_result_that_grows_too_old_is_time_passed_beside_what_else_is_new():
    before = judge(draws=[draw(collected_on=ago(180))])
    model = judge(draws=[draw(collected_on=ago(181))]).with_columns(
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
