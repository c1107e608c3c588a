"""First events: when men are at risk, and what is no first event."""

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.first_events import intervals_at_risk
from e2analytics.settings import FlagSettings, LinkSettings
from tests.measures.men import e2, event, known, man, order, result

AS_OF = date(2026, 6, 30)
ZERO = date(2025, 1, 1)
TENDER = "hazard_breast_tenderness_1y"
FRACTURE = "hazard_fracture_1y"
HAEMATOCRIT = "hazard_haematocrit_above_54_1y"
# Another man of the clinic, through whom it is known to send symptoms.
OTHER = [man("p2")]


def day(number: int) -> date:
    return ZERO + timedelta(days=number)


def symptom(
    number: int, detail: str | None = "breast_tenderness", who: str = "p1"
) -> dict[str, Any]:
    return event("symptom", day(number), who) | {"detail": detail}


SENT_SINCE = symptom(-100, who="p2")


def no_spells() -> pl.DataFrame:
    data = known({})
    return find_confounders(data.patients.clear(), data.medications, FlagSettings())


def at_risk(
    outcome: str, drawn: list[int], as_of: date = AS_OF, **rows: list[dict[str, Any]]
) -> list[tuple[int, int, int, bool]]:
    """First, planned last and real last day of p1's intervals, from ``ZERO``, and whether the event came."""
    results = [e2(day(each)) for each in drawn]
    data = known({}, patients=[man(), *OTHER], **{**rows, "labs": results + rows.get("labs", [])})
    spells = find_confounders(data.patients, data.medications, FlagSettings())
    found = intervals_at_risk(data, spells, LinkSettings(), as_of)
    days = [
        (pl.col(name) - pl.lit(ZERO)).dt.total_days().alias(name)
        for name in ("started_on", "planned_until", "ended_on")
    ]
    kept = found.filter(pl.col("patient_id") == "p1", pl.col("outcome") == outcome)
    return kept.select(*days, "event").rows()


def test_a_draw_stands_until_the_next_or_for_180_days_in_pieces_of_a_quarter():
    found = at_risk(TENDER, [0, 60, 400], events=[SENT_SINCE])

    assert found == [
        (0, 60, 60, False),
        # 180 days after the second draw, in two halves.
        (60, 150, 150, False), (150, 240, 240, False),
        # The third stands until the as-of date, day 545.
        (400, 472, 472, False), (472, 545, 545, False),
    ]  # fmt: skip


def test_time_at_risk_ends_with_the_first_event_and_its_length_is_the_planned_one():
    found = at_risk(TENDER, [0, 100, 200], events=[SENT_SINCE, symptom(120), symptom(170)])

    assert found == [(0, 50, 50, False), (50, 100, 100, False), (100, 150, 120, True)]
    data = known(
        {},
        patients=[man(), *OTHER],
        events=[SENT_SINCE, symptom(120)],
        labs=[e2(day(100))],
    )
    planned = intervals_at_risk(data, no_spells(), LinkSettings(), AS_OF).filter(pl.col("event"))
    assert planned["years"].to_list() == pytest.approx([90 / 365.25])


def test_an_event_on_the_day_of_a_draw_belongs_to_the_time_before_it():
    assert at_risk(TENDER, [0, 80, 160], events=[SENT_SINCE, symptom(80)]) == [(0, 80, 80, True)]


def test_a_man_whose_first_event_came_before_he_was_observed_has_no_first_event():
    assert at_risk(TENDER, [0, 80], events=[SENT_SINCE, symptom(-20), symptom(40)]) == []


def test_another_symptom_is_no_event_of_this_kind():
    found = at_risk(TENDER, [0, 80], as_of=day(80), events=[SENT_SINCE, symptom(40, "hot_flush")])

    assert found == [(0, 80, 80, False)]


def test_a_symptom_without_a_name_may_be_any_and_ends_what_is_known():
    assert at_risk(TENDER, [0, 80], events=[SENT_SINCE, symptom(40, None), symptom(60)]) == [
        (0, 40, 40, False)
    ]


def test_a_clinic_that_never_sent_a_named_symptom_has_nobody_at_risk_of_one():
    assert at_risk(TENDER, [0, 80], events=[symptom(-100, None, "p2")]) == []


def test_a_clinic_that_names_other_symptoms_alone_has_nobody_at_risk_of_this_one():
    assert at_risk(TENDER, [0, 80], events=[symptom(-100, "mood", "p2")]) == []


def test_a_clinic_is_followed_from_the_first_symptom_of_the_kind_that_it_sent():
    events = [symptom(90, who="p2"), symptom(40, "mood", "p2")]
    found = at_risk(TENDER, [0, 80, 100], as_of=day(130), events=events)

    assert found == [(100, 130, 130, False)]


@pytest.mark.parametrize("kind", ["left_clinic", "died"])
def test_nobody_is_at_risk_after_he_left_or_died(kind: str):
    found = at_risk(TENDER, [0], events=[SENT_SINCE, event(kind, day(50)), symptom(70)])

    assert found == [(0, 50, 50, False)]


def test_a_man_who_comes_back_is_at_risk_from_his_next_draw():
    found = at_risk(
        TENDER, [0, 90], as_of=day(120), events=[SENT_SINCE, event("left_clinic", day(50))]
    )

    assert found == [(0, 50, 50, False), (90, 120, 120, False)]


def test_time_on_another_aromatase_inhibitor_is_left_out():
    letrozole = order(day(100), day(130), drug="letrozole")

    found = at_risk(
        TENDER, [0, 80, 150], as_of=day(160), events=[SENT_SINCE], medications=[letrozole]
    )

    assert found == [(0, 80, 80, False), (150, 160, 160, False)]


def test_time_under_another_drug_that_moves_e2_is_left_out():
    clomiphene = order(day(100), day(130), drug="clomiphene", drug_class="serm")

    found = at_risk(
        TENDER, [0, 80, 150], as_of=day(160), events=[SENT_SINCE], medications=[clomiphene]
    )

    assert found == [(0, 80, 80, False), (150, 160, 160, False)]


def test_a_haematocrit_counts_from_the_first_that_is_not_high_to_the_last():
    labs = [result("hematocrit", day(n), value, value) for n, value in ((10, 48.0), (200, 54.0))]

    found = at_risk(HAEMATOCRIT, [0, 20, 100, 220], labs=labs)

    # 54 % is not above 54 %; nothing is known after day 200.
    assert found == [(20, 100, 100, False), (100, 160, 160, False), (160, 200, 200, False)]


def test_the_first_haematocrit_above_the_line_is_the_event():
    values = ((10, 48.0), (90, 54.1), (150, 49.0), (200, 55.0))
    labs = [result("hematocrit", day(n), value, value) for n, value in values]

    assert at_risk(HAEMATOCRIT, [20, 90, 150], labs=labs) == [(20, 90, 90, True)]
    more_than_54 = result("hematocrit", day(90), 54.0, None)
    assert at_risk(HAEMATOCRIT, [20, 90], labs=[labs[0], more_than_54]) == [(20, 90, 90, True)]
    # One whose first result is high had it before.
    assert at_risk(HAEMATOCRIT, [20, 90, 150], labs=labs[1:]) == []


def test_a_fracture_of_another_man_makes_the_clinic_one_that_sends_them():
    of_other = event("fracture", day(-300), "p2")

    assert at_risk(FRACTURE, [0, 80], as_of=day(80), events=[of_other]) == [(0, 80, 80, False)]
    assert at_risk(FRACTURE, [0, 80], as_of=day(80), events=[SENT_SINCE]) == []


def test_without_an_event_or_a_haematocrit_nothing_is_followed():
    data = known({}, labs=[e2(ZERO)])

    assert intervals_at_risk(data, no_spells(), LinkSettings(), AS_OF).is_empty()
