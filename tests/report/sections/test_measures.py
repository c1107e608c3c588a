"""The measures on the page: what is counted, what is not and why, what signals, and whose it is."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.errors import ConfigurationError
from e2analytics.report.charts.measures import funnel_svg, months_svg
from e2analytics.report.content import build
from e2analytics.report.formats.html import render_html
from e2analytics.report.sections import measures as told
from e2analytics.report.sections.measures import Measure, Measures, describe
from e2analytics.settings import Rebase
from e2analytics.tables import registry

Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"
RED = "e2_below_red_line"


@pytest.fixture(scope="module")
def network(tables: Tables) -> Measures:
    return describe(tables["measures"], month=MONTH)


def months_back(n: int) -> list[str]:
    """The last ``n`` months up to September 2026, oldest first."""
    numbers = range(2026 * 12 + 8 - n + 1, 2026 * 12 + 9)
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in numbers]


def row(month: str, clinic: str | None, met: int, of: int, **changes: Any) -> dict[str, Any]:
    value = met / of if of else None
    return {
        "month": month,
        "clinic_id": clinic,
        "measure": RED,
        "numerator": met,
        "denominator": of,
        "n_excepted": 0,
        "n_reported_separately": 0,
        "value": value,
        "ci_low": value,
        "ci_high": value,
        "suppressed": False,
        "not_measured": None,
        "counted_as_of": date(2026, 9, 30),
        **changes,
    }


def lacking(month: str, clinic: str | None, why: str) -> dict[str, Any]:
    nothing = dict.fromkeys(
        (
            "numerator",
            "denominator",
            "n_excepted",
            "n_reported_separately",
            "value",
            "ci_low",
            "ci_high",
        )
    )
    return row(month, clinic, 0, 0) | nothing | {"not_measured": why}


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    """The rows given, and every other measure as not measured for want of orders."""
    given = {(each["month"], each["clinic_id"]) for each in rows}
    others = [
        lacking(month, clinic, "no_medications") | {"measure": key}
        for month, clinic in sorted(given, key=str)
        for key in told.definitions.load().measures
        if key not in {each["measure"] for each in rows}
    ]
    return pl.DataFrame([*rows, *others], schema=registry.schema_of("measures"), orient="row")


def red(frame: pl.DataFrame, **changes: Any) -> Measure:
    found = describe(frame, **{"month": MONTH, **changes}).measured
    assert [each.key for each in found] == [RED]
    return found[0]


def test_a_share_stands_with_its_counts_and_its_interval(network: Measures) -> None:
    baseline = network.measured[0]

    assert re.fullmatch(r"\d+ of \d+ \(\d+ %\)", baseline.this.words)
    assert re.fullmatch(r"\d+ to \d+ %", baseline.this.interval)
    assert (baseline.better, baseline.definition.id) == ("Higher is better", "M1")


def test_what_no_feed_supplies_is_told_with_its_reason_and_never_as_a_share(
    network: Measures,
) -> None:
    assert [(each.id, each.why) for each in network.unmeasured] == [
        ("M14", "no body fat has come in")
    ]
    assert "de_escalation" not in {each.key for each in network.measured}


def test_a_clinic_beyond_the_outer_limits_is_named_with_its_counts(network: Measures) -> None:
    worst = network.signals[0]

    assert (worst.measure, worst.where, worst.worse) == (
        "E2 below 10 pg/mL on the drug",
        "harbour",
        True,
    )
    assert "above the 99.8 % limit" in worst.words


def test_limits_of_months_are_the_mean_and_2_66_mean_moving_ranges() -> None:
    # 10 and 12 of 100 in turn: mean 11, every moving range 2, limits 11 +/- 5.32.
    rows = [row(month, None, 10 + 2 * (n % 2), 100) for n, month in enumerate(months_back(24))]

    last = red(table(*rows)).months.drawn[-1]

    assert (last.centre, last.lower, last.upper) == pytest.approx((11, 5.68, 16.32))
    assert last.signals == ()


def test_a_month_outside_the_limits_is_a_signal_for_the_worse_or_the_better() -> None:
    rows = [row(month, None, 10 + 2 * (n % 2), 100) for n, month in enumerate(months_back(24))]
    rows[-1] = row(MONTH, None, 30, 100)

    signals = red(table(*rows)).signals

    assert [(each.where, each.words, each.worse) for each in signals] == [
        ("all clinics", "above the upper limit (Sep 2026)", True)
    ]


def test_a_shift_is_told_from_its_first_month() -> None:
    rows = [row(month, None, 10 + 2 * (n % 2), 100) for n, month in enumerate(months_back(24))]
    rows[-8:] = [row(month, None, 12, 100) for month in months_back(8)]

    signals = red(table(*rows)).signals

    # The month before the eight was above the mean as well.
    assert [each.words for each in signals] == [
        "seven or more in a row above the mean (from Jan 2026)"
    ]


def test_a_baseline_begins_anew_only_by_an_entry_with_its_reason() -> None:
    rows = [
        row(month, None, (10 if n < 12 else 40) + 2 * (n % 2), 100)
        for n, month in enumerate(months_back(24))
    ]
    entry = Rebase(
        measure=RED,
        from_month="2025-10",
        entered_on=date(2026, 1, 15),
        reason="Two clinics joined",
    )

    alone, rebased = red(table(*rows)), red(table(*rows), rebased=(entry,))

    assert alone.signals
    assert not rebased.signals
    assert rebased.months.drawn[-1].centre == pytest.approx(41)
    assert "Baseline begun anew in October 2025: Two clinics joined." in rebased.months.explanation


def test_months_that_are_nearly_all_met_have_no_limits_and_no_signal() -> None:
    # Ten a month, two misses in a year: 8 of 10 is no wonder, yet far below such a baseline.
    rows = [row(month, None, 10 - (n in (3, 9)), 10) for n, month in enumerate(months_back(24))]
    rows[-1] = row(MONTH, None, 8, 10)

    measure = red(table(*rows))

    assert measure.signals == ()
    assert not measure.months.with_limits
    assert measure.months.explanation.startswith("Fewer than one a month did not meet it")


def test_another_clinics_entry_leaves_the_chart_of_all_alone() -> None:
    rows = [row(month, None, 10 + n, 100) for n, month in enumerate(months_back(24))]
    entry = Rebase(
        measure=RED,
        clinic_id="c1",
        from_month="2025-10",
        entered_on=date(2026, 1, 15),
        reason="New laboratory",
    )

    assert red(table(*rows), rebased=(entry,)).months == red(table(*rows)).months


def test_months_counted_after_they_ended_are_said_to_be_restated() -> None:
    rows = [row(month, None, 3, 30) for month in months_back(3)]

    assert [month.counted for month in red(table(*rows)).months.all] == [
        "restated",
        "restated",
        "as first reported",
    ]


def test_no_signal_is_drawn_from_months_that_share_their_men(tables: Tables) -> None:
    overlapping = [
        each
        for each in describe(tables["measures"], month=MONTH).measured
        if each.definition.months == "overlapping"
    ]

    assert {each.key for each in overlapping} >= {"vitamin_d_tested", "psa_tested"}
    for each in overlapping:
        assert not each.months.with_limits
        assert not any(signal.where == "all clinics" for signal in each.signals)
        assert "no signal is drawn" in each.months.explanation


# --- Bad input ---------------------------------------------------------------------------------------


def test_a_run_that_counted_no_measures_says_so(tables: Tables) -> None:
    nothing = describe(tables["measures"].clear(), month=MONTH)

    assert nothing.why_none == "This run counted no measures of September 2026."
    page = render_html(build({**tables, "measures": tables["measures"].clear()}, month=MONTH))
    assert nothing.why_none in page


def test_no_data_in_a_month_is_nobody_and_no_share() -> None:
    rows = [row(month, None, 3, 30) for month in months_back(12)]
    rows[-1] = row(MONTH, None, 0, 0)

    measure = red(table(*rows))

    assert measure.this.words == "no eligible patients"
    assert measure.months.drawn[-1].figure.value is None
    assert "aria-label" in render_of(table(*rows))


def render_of(frame: pl.DataFrame, clinic: str | None = None) -> str:
    """Both charts of the only measure, as the page would draw them."""
    measure = red(frame, clinic=clinic)
    months = months_svg(measure.key, measure.months) if measure.months.drawn else ""
    funnel = funnel_svg(measure.key, measure.funnel) if measure.funnel else ""
    return f'<div aria-label="{measure.months.alt}">{months}{funnel}</div>'


def test_one_clinic_has_nothing_to_be_compared_with() -> None:
    rows = [row(month, clinic, 3, 30) for month in months_back(12) for clinic in (None, "c1")]

    measure = red(table(*rows))

    assert measure.funnel is None
    assert measure.why_no_funnel == "1 clinic counted: nothing to compare."
    assert measure.months.drawn


def test_one_man_has_no_chart_of_months() -> None:
    rows = [
        row(month, clinic, n % 2, 1)
        for n, month in enumerate(months_back(12))
        for clinic in (None, "c1")
    ]

    measure = red(table(*rows))

    assert measure.this.words == "1 of 1 (100 %)"
    assert measure.months.drawn == ()
    assert measure.months.why_not.startswith("Too few men a month for a chart of months (median 1")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("no_dxa", "no DXA scan has come in"),
        ("no_medications", "no medication order has come in"),
        ("nothing_came_in", "nothing at all has come in of late"),
        ("no_dxa; no_medications", "no DXA scan has come in and no medication order has come in"),
    ],
)
def test_a_measure_without_its_data_is_not_measured(why: str, said: str) -> None:
    found = describe(table(lacking(MONTH, None, why)), month=MONTH)

    assert found.measured == ()
    assert found.why_none == "Nothing was measured in September 2026."
    assert {each.why for each in found.unmeasured if each.id == "M5"} == {said}


def test_a_clinic_that_starts_in_the_year_is_counted_from_its_first_month() -> None:
    months = months_back(12)
    rows = [row(month, clinic, 3, 30) for month in months for clinic in (None, "c1")]
    rows += [lacking(month, "c2", "no_estradiol") for month in months[:8]]
    rows += [row(month, "c2", 3, 30) for month in months[8:]]

    funnel = red(table(*rows)).funnel

    assert funnel is not None
    assert [(each.clinic_id, each.figure.denominator) for each in funnel.clinics] == [
        ("c1", 360),
        ("c2", 120),
    ]
    own = red(table(*rows), clinic="c2")
    assert [month.month for month in own.months.drawn] == months[8:]


def test_a_clinic_that_stops_in_the_year_is_named_with_the_reason() -> None:
    months = months_back(12)
    rows = [row(month, clinic, 3, 30) for month in months for clinic in (None, "c1")]
    rows += [row(month, "c2", 3, 30) for month in months[:6]]
    rows += [lacking(month, "c2", "nothing_came_in") for month in months[6:]]

    frame = table(*rows).filter(
        (pl.col("measure") == RED) | (pl.col("clinic_id") == "c2") | pl.col("clinic_id").is_null()
    )
    found = describe(frame, month=MONTH)

    assert [each.name for each in found.quiet] == ["c2"]
    assert "nothing at all has come in of late" in found.quiet[0].why


def test_hidden_counts_are_said_to_be_hidden_and_are_drawn_nowhere() -> None:
    hidden = dict.fromkeys(("numerator", "denominator", "value", "ci_low", "ci_high"))
    rows = [
        row(month, clinic, 3, 30, **hidden, suppressed=True)
        for month in months_back(12)
        for clinic in (None, "c1", "c2")
    ]

    measure = red(table(*rows))

    assert measure.this.words == "hidden: few men"
    assert measure.months.drawn == ()
    assert measure.funnel is None


# --- Whose report -----------------------------------------------------------------------------------


def test_a_clinics_report_shows_no_other_clinic(tables: Tables) -> None:
    page = render_html(build(tables, month=MONTH, clinic="harbour"))
    others = tables["flags"].filter(pl.col("clinic_id") != "harbour")["patient_id"]

    assert "clinic harbour" in page
    assert "central" not in page
    assert "north" not in page
    assert not any(man in page for man in others)


def test_the_others_share_is_not_told_where_it_would_give_their_counts_away() -> None:
    # Of the others 5 of 60: their counts would follow by subtraction.
    rows = [
        row(MONTH, clinic, met, of)
        for clinic, met, of in ((None, 25, 90), ("c1", 20, 30), ("c2", 3, 30), ("c3", 2, 30))
    ]

    own = red(table(*rows), clinic="c1")

    assert own.funnel is None
    assert "Too few men elsewhere" in own.why_no_funnel
    assert own.of_all == "not shown"


def test_a_clinic_that_nobody_knows_is_refused(tables: Tables) -> None:
    with pytest.raises(ConfigurationError, match="no patient is of a clinic"):
        build(tables, month=MONTH, clinic="nowhere")


# --- Charts -----------------------------------------------------------------------------------------


def test_charts_are_the_same_bytes_and_share_no_ids(network: Measures) -> None:
    measure = network.measured[0]
    assert measure.funnel is not None
    first, again = months_svg(measure.key, measure.months), months_svg(measure.key, measure.months)
    other = funnel_svg(measure.key, measure.funnel)

    assert first == again
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first, other)]
    assert not ids[0] & ids[1]


def test_every_chart_on_the_page_is_told_in_words(tables: Tables) -> None:
    page = render_html(build(tables, month=MONTH))
    alts = re.findall(r'aria-label="([^"]+) by month, ', page)

    assert len(alts) == 16
    assert "with 95 and 99.8 % limits around" in page


def test_a_clinic_without_a_precision_is_not_compared_by_its_lsc():
    """C4's LSC is the largest that ISCD allows: few losses reach it, which is no merit."""
    counts = {"C1": (30, 100), "C2": (33, 100), "C3": (27, 100), "C4": (2, 100), None: (92, 400)}
    rows = [
        row(MONTH, clinic, met, of, measure="bone_loss") for clinic, (met, of) in counts.items()
    ]
    nothing = table(*(lacking(MONTH, clinic, "no_medications") for clinic in counts))
    frame = pl.concat([nothing.filter(pl.col("measure") != "bone_loss"), pl.DataFrame(rows)])
    clinics = pl.DataFrame({"clinic_id": ["C1", "C2", "C3", "C4"]})
    unlike = told.without_precision(clinics, clinics.head(3))

    def losses(**changes: Any) -> Measure:
        found = describe(frame, **{"month": MONTH, **changes}).measured
        return next(each for each in found if each.key == "bone_loss")

    assert [signal.where for signal in losses().signals] == ["C4"]
    assert losses(unlike=unlike).signals == ()
    funnel = losses(unlike=unlike).funnel
    assert funnel is not None
    assert funnel.centre == pytest.approx(30)
    assert funnel.explanation.endswith(
        " Not compared, as no precision of the scanners is known, so that the LSC is the largest that ISCD "
        "allows: C4."
    )
    assert losses(unlike=unlike, clinic="C4").why_no_funnel == (
        "Not compared: no precision of the scanners is known, so that the LSC is the largest that ISCD allows."
    )


def test_where_no_clinic_has_a_precision_all_are_alike():
    clinics = pl.DataFrame({"clinic_id": ["C1", "C2"]})

    assert told.without_precision(clinics, clinics.clear()) == {"bone_loss": frozenset()}


def test_men_off_the_drug_stand_beside_m11_with_their_interval_and_are_no_measure() -> None:
    def both(suppressed: bool = False) -> Measures:
        on_drug = row(MONTH, None, 34, 100) | {"measure": "bone_loss"}
        off = row(MONTH, None, 46, 200) | {"measure": "bone_loss_off_the_drug"}
        return describe(table(on_drug, off | {"suppressed": suppressed}), month=MONTH)

    found = both()

    assert [each.key for each in found.measured] == ["bone_loss"]
    # Wilson of 46 of 200: 0.177 to 0.293.
    assert found.measured[0].notes == (
        "Bone loss beyond the LSC off the drug, October 2025 to September 2026, for comparison: "
        "46 of 200 (23 %), 95 % interval 18 to 29 %."
    )
    assert both(suppressed=True).measured[0].notes.endswith("for comparison: hidden: few men.")
