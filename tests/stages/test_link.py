"""Link: episodes, draws under them, scan pairs."""

from datetime import date, timedelta

import polars as pl
import pytest

from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.stages import link
from e2analytics.state import empty_table

ZERO = date(2024, 1, 1)
PATIENTS = pl.DataFrame({"patient_id": ["p1"], "clinic_id": ["c1"]})


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
        # Two orders of one day: the later row counts.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 0, None, 2.0)],
            [("anastrozole", 0, None, 2.0, False)],
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


def test_a_mans_draws_at_another_dose_do_not_speak_for_his_present_one():
    spells = link.episodes(
        orders(
            ("anastrozole", 0, 100, 2.0),
            ("anastrozole", 100, 300, 0.5),
            ("anastrozole", 400, None, 2.0),
        )
    )
    labs = pl.DataFrame(
        {
            "patient_id": ["p1"] * 4,
            "analyte": ["estradiol"] * 4,
            "collected_on": [day(-5), day(50), day(200), day(500)],
        }
    )
    drawn = link.draws(labs, spells, FlagSettings())

    def kept(as_of: int) -> list[date]:
        return link.at_present_dose(drawn, spells, day(as_of))["collected_on"].to_list()

    # No draw at 1 mg yet: the others stay, or a danger that they show would be hidden.
    doubled = link.episodes(orders(("anastrozole", 0, 100, 2.0), ("anastrozole", 100, None, 4.0)))
    assert len(link.at_present_dose(drawn, doubled, day(120))) == 4
    # At 2 mg the draws at 2 mg and off the drug count; at 0.5 mg those at 0.5 mg; off it all do.
    assert kept(510) == [day(-5), day(50), day(500)]
    assert kept(250) == [day(-5), day(200)]
    assert kept(350) == [day(-5), day(50), day(200), day(500)]


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
        side=pl.Series(["left", "right", "right", "left"])
    )

    found = link.pairs(four, PATIENTS, empty_table("precision"), LinkSettings())

    assert found.select("scan_id", "scan_id_2", "why_not").sort("scan_id").rows() == [
        ("s0", "s3", None),
        ("s1", "s2", None),
    ]


def test_a_date_that_the_feed_made_up_makes_no_pair():
    made_up = scans((0, "A"), (365, "A")).with_columns(imputed=pl.lit("scanned_on"))

    assert link.pairs(made_up, PATIENTS, empty_table("precision"), LinkSettings()).is_empty()
