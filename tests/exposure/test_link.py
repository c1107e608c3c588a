"""Link: episodes, draws under them, scan pairs."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from e2analytics.exposure import intervals, link
from e2analytics.settings import CrossCalibration, FlagSettings, LinkSettings
from e2analytics.tables.snapshot import empty_table

ZERO = date(2024, 1, 1)
PATIENTS = pl.DataFrame({"patient_id": ["p1"], "clinic_id": ["c1"]})
MAN = PATIENTS.with_columns(
    birth_date=pl.date(1974, 1, 1),
    trt_started_on=pl.date(2022, 1, 1),
    height_cm=pl.lit(180.0),
    weight_kg=pl.lit(80.0),
)
NO_DRAWS = pl.DataFrame(schema={"patient_id": pl.String, "collected_on": pl.Date})
NO_LEVELS = pl.DataFrame(schema={"pair": pl.UInt32, "log_e2": pl.Float64, "log_e2_sd": pl.Float64})


def day(number: int | None) -> date | None:
    return None if number is None else ZERO + timedelta(days=number)


def orders(*rows: tuple[str, int, int | None, float | None]) -> pl.DataFrame:
    """Orders of one man: drug, first day, day stopped, mg a week."""
    return pl.DataFrame(
        [
            {
                "patient_id": "p1",
                "drug": drug,
                "drug_class": "aromatase_inhibitor",
                "started_on": day(start),
                "stopped_on": day(stop),
                "weekly_dose_mg": mg,
                "source_file": "f",
                "source_line": line,
                "source_order": 0,
            }
            for line, (drug, start, stop, mg) in enumerate(rows, start=2)
        ],
        schema_overrides={"stopped_on": pl.Date, "weekly_dose_mg": pl.Float64},
    )


def spells(*rows: tuple[str, int, int | None, float | None]) -> list[tuple[object, ...]]:
    found = link.episodes(orders(*rows))
    return found.select("drug", "started_on", "ended_on", "weekly_dose_mg", "overlap").rows()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("anastrozole", 0, None, 1.0)], [("anastrozole", 0, None, 1.0, False)]),
        ([("anastrozole", 0, 90, 1.0)], [("anastrozole", 0, 90, 1.0, False)]),
        # Replaced by a later order: no end was given, so nothing overlaps.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 60, None, 0.5)],
            [("anastrozole", 0, 60, 1.0, False), ("anastrozole", 60, None, 0.5, False)],
        ),
        # Replaced before it was stopped.
        (
            [("anastrozole", 0, 90, 1.0), ("anastrozole", 60, None, 0.5)],
            [("anastrozole", 0, 60, 1.0, True), ("anastrozole", 60, None, 0.5, False)],
        ),
        # A renewal at the same dose is no change.
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 60, None, 1.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # Also one that is a few days late: E2 stays suppressed for six.
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 66, 120, 1.0)],
            [("anastrozole", 0, 120, 1.0, False)],
        ),
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 67, 120, 1.0)],
            [("anastrozole", 0, 60, 1.0, False), ("anastrozole", 67, 120, 1.0, False)],
        ),
        # Entered in error: never in force, it replaces nothing.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 30, 30, 2.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # A hold: 0 mg ends the spell and is none.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 30, None, 0.0)],
            [("anastrozole", 0, 30, 1.0, False)],
        ),
        # Two orders of one day: the later row counts, and nobody knows whether both are taken.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 0, None, 2.0)],
            [("anastrozole", 0, None, 2.0, True)],
        ),
        # The same order by two systems.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 0, None, 1.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # Of two orders of one day the one that was ended does not end the other.
        (
            [("anastrozole", 0, None, 7.0), ("anastrozole", 0, 60, 1.0)],
            [("anastrozole", 0, None, 7.0, True)],
        ),
        # An unknown dose is never the same as another unknown dose.
        (
            [("anastrozole", 0, 60, None), ("anastrozole", 60, None, None)],
            [("anastrozole", 0, 60, None, False), ("anastrozole", 60, None, None, False)],
        ),
        # Another drug does not end this one.
        (
            [("anastrozole", 0, None, 1.0), ("letrozole", 60, None, 2.5)],
            [("anastrozole", 0, None, 1.0, False), ("letrozole", 60, None, 2.5, False)],
        ),
    ],
)
def test_an_order_is_in_force_until_it_is_stopped_or_replaced(
    given: list[tuple[str, int, int | None, float | None]],
    expected: list[tuple[str, int, int | None, float | None, bool]],
):
    assert spells(*given) == [(drug, day(s), day(e), mg, o) for drug, s, e, mg, o in expected]


@pytest.mark.parametrize(
    ("drawn", "on_drug", "in_transition"),
    [
        (-1, False, False),  # before the start
        (0, True, True),  # from the start until steady state
        (13, True, True),
        (14, True, False),
        (99, True, False),
        (100, False, True),  # from the end until washed out
        (113, False, True),
        (114, False, False),
    ],
)
def test_a_draw_knows_the_drug_of_its_day(drawn: int, on_drug: bool, in_transition: bool):
    labs = pl.DataFrame(
        {"patient_id": ["p1"], "analyte": ["estradiol"], "collected_on": [day(drawn)]}
    )

    found = link.draws(labs, link.episodes(orders(("anastrozole", 0, 100, 1.0))), FlagSettings())

    assert found.select("on_drug", "in_transition", "on_other").row(0) == (
        on_drug,
        in_transition,
        False,
    )


def test_a_draw_under_another_inhibitor_is_marked():
    labs = pl.DataFrame({"patient_id": ["p1"], "analyte": ["estradiol"], "collected_on": [day(50)]})

    found = link.draws(labs, link.episodes(orders(("letrozole", 0, None, 2.5))), FlagSettings())

    assert found.select("on_drug", "on_other").row(0) == (False, True)


def test_the_present_dose_is_the_one_in_force_else_the_last():
    spells = link.episodes(
        orders(
            ("anastrozole", 0, 100, 2.0), ("anastrozole", 200, None, 0.5), ("letrozole", 0, 9, 17.5)
        )
    )

    def present(number: int) -> list[float | None]:
        return link.present_dose(spells, day(number))["present_mg_per_week"].to_list()

    assert present(-1) == []
    assert present(50) == [2.0]
    assert present(150) == [2.0]  # stopped: the drug is felt until it is washed out
    assert present(250) == [0.5]
    unknown = link.episodes(orders(("anastrozole", 0, None, None)))
    assert link.present_dose(unknown, day(5))["present_mg_per_week"].to_list() == [None]


def test_what_was_held_between_two_scans_adds_up_to_all_of_the_days():
    pairs = pl.DataFrame(
        {
            "patient_id": ["p1", "p2"],
            "site": ["lumbar_spine"] * 2,
            "scan_id": ["s1", "s2"],
            "scanned_on": [day(0)] * 2,
            "scanned_on_2": [day(400)] * 2,
        }
    )
    spells = link.episodes(
        orders(
            ("anastrozole", -100, 100, 1.0),
            ("anastrozole", 100, 200, 2.0),
            ("anastrozole", 300, None, 1.0),
            ("letrozole", 0, 400, 17.5),
        )
    )

    held = link.held(pairs, spells).select("pair", "weekly_dose_mg", "share").rows()

    assert held == [(0, 0.0, 0.25), (0, 1.0, 0.5), (0, 2.0, 0.25), (1, 0.0, 1.0)]
    unknown = link.held(pairs, link.episodes(orders(("anastrozole", 0, None, None))))
    assert unknown.select("pair", "weekly_dose_mg", "share").rows() == [
        (0, None, 1.0),
        (1, 0.0, 1.0),
    ]


def scans(*rows: tuple[int, str | None]) -> pl.DataFrame:
    """Spine scans of one man: day, scanner."""
    return pl.DataFrame(
        [
            {
                "patient_id": "p1",
                "site": "lumbar_spine",
                "scan_id": f"s{number}",
                "scanned_on": day(when),
                "bmd_g_cm2": 1.0,
                "scanner_id": scanner,
                "imputed": "",
                "broken": "",
            }
            for number, (when, scanner) in enumerate(rows)
        ],
        schema_overrides={"scanner_id": pl.String},
    ).with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in ("side", "vertebrae"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(0, "A")], []),
        ([(0, "A"), (365, "A")], [("s0", "s1", None)]),
        ([(0, "A"), (100, "A")], [("s0", "s1", "interval_too_short")]),
        ([(0, "A"), (2000, "A")], [("s0", "s1", "interval_too_long")]),
        ([(0, "A"), (365, "B")], [("s0", "s1", "scanner_changed")]),
        ([(0, None), (365, "B")], [("s0", "s1", "scanner_unknown")]),
        # A repeat soon after does not take the scan its partner a year later.
        (
            [(0, "A"), (30, "A"), (400, "A")],
            [("s0", "s2", None), ("s1", "s2", None)],
        ),
        # A scan elsewhere in between does not, either.
        ([(0, "A"), (200, "B"), (400, "A")], [("s0", "s2", None), ("s1", "s2", "scanner_changed")]),
    ],
)
def test_each_scan_is_paired_with_the_next_one_that_can_be_compared(
    given: list[tuple[int, str | None]], expected: list[tuple[str, str, str | None]]
):
    found = link.pairs(scans(*given), PATIENTS, empty_table("precision"), LinkSettings())

    assert found.select("scan_id", "scan_id_2", "why_not").rows() == expected


def test_a_scanners_own_precision_counts_else_the_worst_that_is_allowed():
    # Another clinic's scanner has the same name.
    own = pl.DataFrame(
        {
            "clinic_id": ["c1", "c2", "c2"],
            "scanner_id": ["A", "A", "B"],
            "site": ["lumbar_spine"] * 3,
            "cv_pct": [1.2, 1.8, 0.5],
        }
    )

    measured = link.pairs(scans((0, "A"), (365, "A")), PATIENTS, own, LinkSettings())
    unknown = link.pairs(scans((0, "B"), (365, "B")), PATIENTS, own, LinkSettings())

    # ISCD: LSC = 2.77 x precision; 1.9 % is the worst allowed at the spine.
    assert measured["lsc_pct"][0] == pytest.approx(3.324)
    assert unknown["lsc_pct"][0] == pytest.approx(5.263)


def test_two_hips_of_one_day_are_paired_each_with_its_own():
    four = scans((0, "A"), (0, "A"), (365, "A"), (365, "A")).with_columns(
        side=pl.Series(["left", "right", "right", "left"]), site=pl.lit("total_hip")
    )

    found = link.pairs(four, PATIENTS, empty_table("precision"), LinkSettings())

    assert found.select("scan_id", "scan_id_2", "why_not").sort("scan_id").rows() == [
        ("s0", "s3", None),
        ("s1", "s2", None),
    ]


def test_a_date_that_the_feed_made_up_makes_no_pair():
    made_up = scans((0, "A"), (365, "A")).with_columns(imputed=pl.lit("scanned_on"))

    assert link.pairs(made_up, PATIENTS, empty_table("precision"), LinkSettings()).is_empty()


def whys(changed: pl.DataFrame, settings: LinkSettings | None = None) -> list[tuple[object, ...]]:
    found = link.pairs(changed, PATIENTS, empty_table("precision"), settings or LinkSettings())
    return found.select("scan_id", "scan_id_2", "why_not").rows()


@pytest.mark.parametrize(
    ("site", "first", "second", "why_not"),
    [
        ("lumbar_spine", {"vertebrae": "L1-L4"}, {"vertebrae": "L1-L4"}, None),
        ("lumbar_spine", {"vertebrae": "L1-L4"}, {"vertebrae": "L1,L2,L4"}, "vertebrae_changed"),
        # What nobody wrote is taken for the same; what nobody could read is not.
        ("lumbar_spine", {"vertebrae": "L1-L4"}, {"vertebrae": None}, None),
        (
            "lumbar_spine",
            {"vertebrae": "L1-L4"},
            {"vertebrae": None, "broken": "implausible_bmd unreadable_vertebrae"},
            "vertebrae_unreadable",
        ),
        ("total_hip", {"side": "left"}, {"side": "left"}, None),
        ("total_hip", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("femoral_neck", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("one_third_radius", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("total_hip", {"side": "left"}, {"side": None}, None),
        ("total_hip", {"side": None, "broken": "unreadable_side"}, {}, "side_unreadable"),
        # A spine has no side, a hip no vertebrae.
        ("lumbar_spine", {"side": "left"}, {"side": "right"}, None),
        ("total_hip", {"vertebrae": "L1-L4"}, {"vertebrae": "L2-L4"}, None),
    ],
)
def test_only_the_same_bones_are_compared(
    site: str, first: dict[str, str | None], second: dict[str, str | None], why_not: str | None
):
    two = scans((0, "A"), (365, "A")).with_columns(
        pl.Series(name, [first.get(name), second.get(name)], dtype=pl.String)
        for name in ("vertebrae", "side")
    )
    two = two.with_columns(
        broken=pl.Series([first.get("broken", ""), second.get("broken", "")]), site=pl.lit(site)
    )

    assert whys(two) == [("s0", "s1", why_not)]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        # Read with and without L3: the fuller reading of both days.
        (["L1-L4", "L1,L2,L4", "L1-L4", "L1,L2,L4"], [("s0", "s2", None)]),
        (["L1,L2,L4", "L1-L4", "L1,L2,L4", "L1-L4"], [("s1", "s3", None)]),
        # L3 was lost since: what both days have.
        (["L1-L4", "L1,L2,L4", "L1,L2,L4", "L1,L2,L4"], [("s1", "s3", None)]),
        # Nothing in common.
        (["L1-L4", "L1-L4", "L2-L4", "L2-L4"], [("s1", "s3", "vertebrae_changed")]),
    ],
)
def test_a_spine_read_in_two_ways_makes_one_pair(
    readings: list[str], expected: list[tuple[str, str, str | None]]
):
    four = scans((0, "A"), (0, "A"), (365, "A"), (365, "A")).with_columns(
        vertebrae=pl.Series(readings)
    )

    assert whys(four) == expected


def equation(**changes: object) -> CrossCalibration:
    return CrossCalibration.model_validate(
        {
            "clinic_id": "c1",
            "from_scanner": "A",
            "to_scanner": "B",
            "site": "lumbar_spine",
            "slope": 0.9,
            "intercept_g_cm2": 0.05,
            "cv_pct": 1.0,
            "source": "cross-calibration of 30 men, both scanners, May 2025",
            "entered_on": date(2025, 6, 1),
            **changes,
        }
    )


def crossed(
    *rows: tuple[int, str], precision: pl.DataFrame | None = None, **changes: object
) -> list[dict[str, object]]:
    settings = LinkSettings(cross_calibrations=(equation(**changes),))
    own = empty_table("precision") if precision is None else precision
    return link.pairs(scans(*rows), PATIENTS, own, settings).rows(named=True)


def test_two_scanners_are_compared_by_the_equation_that_the_clinic_entered():
    own = pl.DataFrame(
        {
            "clinic_id": ["c1", "c1"],
            "scanner_id": ["A", "B"],
            "site": ["lumbar_spine"] * 2,
            "cv_pct": [1.9, 1.2],
        }
    )

    (forth,) = crossed((0, "A"), (365, "B"), precision=own)
    (back,) = crossed((0, "B"), (365, "A"), precision=own)

    # 0.9 x 1.00 + 0.05 = 0.95 on scanner B, whichever scan came first.
    assert (forth["bmd_g_cm2"], forth["bmd_g_cm2_2"]) == pytest.approx((0.95, 1.0))
    assert (back["bmd_g_cm2"], back["bmd_g_cm2_2"]) == pytest.approx((1.0, 0.95))
    for pair in (forth, back):
        assert (pair["scanner_id"], pair["cross_calibrated"], pair["why_not"]) == ("B", True, None)
        # A's 1.9 % become 1.9 x 0.90 / 0.95 = 1.8 %: (1.8^2 + 1.2^2 + 1.0^2) / 2 = 1.685^2
        assert pair["precision_cv_pct"] == pytest.approx(1.68523, abs=1e-5)
        assert pair["lsc_pct"] == pytest.approx(1.96 * (1.8**2 + 1.2**2 + 1.0) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(
    "changes", [{"clinic_id": "c2"}, {"site": "total_hip"}, {"to_scanner": "C"}]
)
def test_an_equation_of_something_else_compares_nothing(changes: dict[str, object]):
    (pair,) = crossed((0, "A"), (365, "B"), **changes)

    assert (pair["why_not"], pair["cross_calibrated"]) == ("scanner_changed", False)
    assert (pair["bmd_g_cm2"], pair["scanner_id"]) == (1.0, "A")


def test_a_scan_keeps_to_its_own_scanner_where_it_can():
    # The equation would make a nearer pair; s1 has no other.
    found = crossed((0, "A"), (300, "B"), (700, "A"))

    assert [(pair["scan_id"], pair["scan_id_2"], pair["cross_calibrated"]) for pair in found] == [
        ("s0", "s2", False),
        ("s1", "s2", True),
    ]


def test_an_equation_does_not_make_other_vertebrae_the_same():
    two = scans((0, "A"), (365, "B")).with_columns(vertebrae=pl.Series(["L1-L4", "L2-L4"]))

    found = whys(two, LinkSettings(cross_calibrations=(equation(),)))

    assert found == [("s0", "s1", "vertebrae_changed")]


@pytest.mark.parametrize(
    "equations",
    [
        [{"to_scanner": "A"}],
        [{"slope": 0.5, "intercept_g_cm2": -0.4}],  # 0.30 g/cm2 would become -0.25
        [{"source": ""}],
        [{"slope": 1000.0}],  # mg
        [{}, {"slope": 0.95}],
        [{}, {"from_scanner": "B", "to_scanner": "A"}],  # which way is meant?
    ],
)
def test_an_equation_that_cannot_be_is_refused(equations: list[dict[str, object]]):
    with pytest.raises(ValidationError):
        LinkSettings(cross_calibrations=tuple(equation(**changes) for changes in equations))


@settings(max_examples=25)
@given(
    first=st.floats(0.5, 1.5),
    second=st.floats(0.5, 1.5),
    cv_pct=st.floats(0.5, 3),
    days=st.integers(190, 1800),
)
def test_loss_backwards_is_gain_and_the_total_change_meets_the_lsc(
    first: float, second: float, cv_pct: float, days: int
):
    own = pl.DataFrame(
        {"clinic_id": "c1", "scanner_id": "A", "site": "lumbar_spine", "cv_pct": cv_pct}
    )

    def verdict(*bmd: float) -> tuple[str, float]:
        two = scans((0, "A"), (days, "A")).with_columns(bmd_g_cm2=pl.Series(bmd))
        pairs = link.pairs(two, PATIENTS, own, LinkSettings())
        found = intervals.exposures(
            pairs,
            NO_DRAWS,
            link.episodes(empty_table("medications")),
            NO_LEVELS,
            MAN,
            empty_table("labs"),
            LinkSettings(),
        ).row(0, named=True)
        assert found["annual_change_pct"] * found["years"] == pytest.approx(found["change_pct"])
        return found["lsc_verdict"], found["change_pct"]

    forth, change = verdict(first, second)
    back, opposite = verdict(second, first)

    assert change == pytest.approx(-opposite)
    assert back == {"loss": "gain", "gain": "loss"}.get(forth, forth)
    if abs(abs(change) - 2.77 * cv_pct) > 1e-9:
        assert (forth != "no_measurable_change") == (abs(change) > 2.77 * cv_pct)
