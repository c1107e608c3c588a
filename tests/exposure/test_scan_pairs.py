"""Scan pairs: which scans are compared, and why others are not."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from e2analytics.exposure import intervals
from e2analytics.exposure.episodes import find_episodes
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.settings import CrossCalibration, LinkSettings
from e2analytics.tables.clinics import n_makers
from e2analytics.tables.snapshot import empty_table
from tests.exposure.orders import day

PATIENTS = pl.DataFrame({"patient_id": ["p1"], "clinic_id": ["c1"]})
MAN = PATIENTS.with_columns(
    birth_date=pl.date(1974, 1, 1),
    trt_started_on=pl.date(2022, 1, 1),
    height_cm=pl.lit(180.0),
    weight_kg=pl.lit(80.0),
)
NO_DRAWS = pl.DataFrame(schema={"patient_id": pl.String, "collected_on": pl.Date})
NO_LEVELS = pl.DataFrame(schema={"pair": pl.UInt32, "log_e2": pl.Float64, "log_e2_sd": pl.Float64})


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
                "failed_rules": "",
            }
            for number, (when, scanner) in enumerate(rows)
        ],
        schema_overrides={"scanner_id": pl.String},
    ).with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in ("side", "vertebrae", "manufacturer")
    )


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
    found = pair_scans(scans(*given), PATIENTS, empty_table("precision"), LinkSettings())

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

    measured = pair_scans(scans((0, "A"), (365, "A")), PATIENTS, own, LinkSettings())
    unknown = pair_scans(scans((0, "B"), (365, "B")), PATIENTS, own, LinkSettings())

    # ISCD: LSC = 2.77 x precision; 1.9 % is the worst allowed at the spine.
    assert measured["lsc_pct"][0] == pytest.approx(3.324)
    assert unknown["lsc_pct"][0] == pytest.approx(5.263)


def test_two_hips_of_one_day_are_paired_each_with_its_own():
    four = scans((0, "A"), (0, "A"), (365, "A"), (365, "A")).with_columns(
        side=pl.Series(["left", "right", "right", "left"]), site=pl.lit("total_hip")
    )

    found = pair_scans(four, PATIENTS, empty_table("precision"), LinkSettings())

    assert found.select("scan_id", "scan_id_2", "why_not").sort("scan_id").rows() == [
        ("s0", "s3", None),
        ("s1", "s2", None),
    ]


def test_a_date_that_the_feed_made_up_makes_no_pair():
    made_up = scans((0, "A"), (365, "A")).with_columns(imputed=pl.lit("scanned_on"))

    assert pair_scans(made_up, PATIENTS, empty_table("precision"), LinkSettings()).is_empty()


def whys(changed: pl.DataFrame, settings: LinkSettings | None = None) -> list[tuple[object, ...]]:
    found = pair_scans(changed, PATIENTS, empty_table("precision"), settings or LinkSettings())
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
            {"vertebrae": None, "failed_rules": "implausible_bmd unreadable_vertebrae"},
            "vertebrae_unreadable",
        ),
        ("total_hip", {"side": "left"}, {"side": "left"}, None),
        ("total_hip", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("femoral_neck", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("one_third_radius", {"side": "left"}, {"side": "right"}, "side_changed"),
        ("total_hip", {"side": "left"}, {"side": None}, None),
        ("total_hip", {"side": None, "failed_rules": "unreadable_side"}, {}, "side_unreadable"),
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
        failed_rules=pl.Series([first.get("failed_rules", ""), second.get("failed_rules", "")]),
        site=pl.lit(site),
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
    return pair_scans(scans(*rows), PATIENTS, own, settings).rows(named=True)


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
        pairs = pair_scans(two, PATIENTS, own, LinkSettings())
        found = intervals.exposures(
            pairs,
            NO_DRAWS,
            find_episodes(empty_table("medications")),
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


HOLOGIC, LUNAR = "Hologic", "GE Lunar"


@pytest.mark.parametrize(
    ("makers", "why_not"),
    [
        ((HOLOGIC, HOLOGIC), None),
        ((LUNAR, HOLOGIC), "scanner_changed"),
        ((HOLOGIC, LUNAR), "scanner_changed"),
        ((None, None), None),
        ((HOLOGIC, None), None),
        ((None, HOLOGIC), None),
    ],
)
def test_two_makers_under_one_id_are_two_scanners_and_a_missing_maker_is_no_change(
    makers: tuple[str | None, ...], why_not: str | None
):
    two = scans((0, "A"), (730, "A")).with_columns(
        bmd_g_cm2=pl.Series([1.2, 1.06]), manufacturer=pl.Series(makers, dtype=pl.String)
    )

    assert whys(two) == [("s0", "s1", why_not)]


def test_a_scan_without_a_maker_is_of_nobody_knows_which_where_its_id_names_two():
    three = scans((0, "A"), (400, "A"), (800, "A"))

    found = whys(three.with_columns(manufacturer=pl.Series([HOLOGIC, None, LUNAR])))

    assert found == [("s0", "s1", "maker_unsure"), ("s1", "s2", "maker_unsure")]


def test_a_maker_written_and_not_understood_is_unsure_beside_one_that_is():
    two = scans((0, "A"), (400, "A")).with_columns(
        failed_rules=pl.Series(["", "unreadable_manufacturer"])
    )

    beside_one = whys(two.with_columns(manufacturer=pl.Series([HOLOGIC, None])))
    beside_none = whys(two)

    assert (beside_one, beside_none) == ([("s0", "s1", "maker_unsure")], [("s0", "s1", None)])


def test_a_scan_skips_the_other_maker_s_for_the_next_of_its_own():
    three = scans((0, "A"), (300, "A"), (700, "A"))

    found = whys(three.with_columns(manufacturer=pl.Series([HOLOGIC, LUNAR, HOLOGIC])))

    assert found == [("s0", "s2", None), ("s1", "s2", "scanner_changed")]


def test_two_clinics_name_their_scanners_alike():
    own = scans((0, "A"), (400, "A")).with_columns(manufacturer=pl.lit(HOLOGIC))
    others = own.head(1).with_columns(patient_id=pl.lit("p2"), manufacturer=pl.lit(LUNAR))
    both = pl.concat([own.with_columns(manufacturer=pl.Series([HOLOGIC, None])), others])
    patients = pl.DataFrame({"patient_id": ["p1", "p2"], "clinic_id": ["c1", "c2"]})

    found = pair_scans(both, patients, empty_table("precision"), LinkSettings())

    assert found["why_not"].to_list() == [None]


def test_a_scan_without_a_maker_is_judged_by_the_scans_of_men_who_are_not_there():
    two = scans((0, "A"), (400, "A"))
    named = pl.DataFrame(
        {"clinic_id": ["c1", "c1"], "scanner_id": ["A", "A"], "manufacturer": [HOLOGIC, LUNAR]}
    )
    patients = pl.DataFrame({"patient_id": ["p1"], "clinic_id": ["c1"]})

    def why_not(makers: pl.DataFrame | None) -> list[str | None]:
        found = pair_scans(two, patients, empty_table("precision"), LinkSettings(), makers=makers)
        return found["why_not"].to_list()

    assert why_not(n_makers(named)) == ["maker_unsure"]
    assert why_not(n_makers(named.head(1))) == why_not(None) == [None]
