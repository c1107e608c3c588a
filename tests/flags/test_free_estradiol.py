"""Free estradiol of the men: what it needs, and what it is held against."""

from datetime import UTC, date, datetime, timedelta
from math import log

import polars as pl
import pytest

from e2analytics.flags.free_estradiol import free_estradiol
from tests.flags.men import draw, judge, own

DAY = date(2026, 8, 15)
H19 = [("estradiol", 19.0, 0), ("testosterone_total", 700.0, 0), ("shbg", 115.0, 0)]
ALBUMIN = ("albumin", 4.2, 0)


def found(*results: tuple[str, float, int], assay: str = "ms") -> pl.DataFrame:
    """Results of a man: analyte, value, days before the last."""
    rows = pl.DataFrame(
        [
            {
                "patient_id": "p",
                "result_id": str(number),
                "analyte": analyte,
                "assay": assay,
                "collected_on": DAY - timedelta(days),
                "collected_at": datetime(2026, 8, 15, 8, tzinfo=UTC) - timedelta(days),
                "value_low": value,
                "value_high": value,
            }
            for number, (analyte, value, days) in enumerate(results)
        ]
    )
    return free_estradiol(rows.filter(pl.col("analyte") == "estradiol"), rows)


def test_much_shbg_leaves_little_of_a_total_in_range():
    row = found(*H19, ALBUMIN).row(0, named=True)

    assert row["free_e2_on"] == DAY
    assert row["free_e2_pg_ml"] == pytest.approx(0.325, abs=0.001)
    assert (row["free_e2_ci_low"], row["free_e2_ci_high"]) == pytest.approx(
        (0.269, 0.393), abs=0.005
    )
    # By the constants that make 0.25 of 16 pg/mL: wholly below the line of 0.27.
    assert row["free_e2_as_line_pg_ml"] == pytest.approx(0.183, abs=0.001)
    assert row["free_e2_as_line_ci_high"] < 0.27


@pytest.mark.parametrize("missing", ["testosterone_total", "shbg"])
def test_nothing_is_imputed_for_what_was_not_measured(missing: str):
    assert found(*(row for row in H19 if row[0] != missing)).is_empty()


def test_results_of_half_a_year_count_and_older_ones_do_not():
    e2, testosterone, _ = H19

    assert len(found(e2, testosterone, ("shbg", 115.0, 180))) == 1
    assert found(e2, testosterone, ("shbg", 115.0, 181)).is_empty()


def test_the_nearest_shbg_counts():
    near = found(*H19, ("shbg", 20.0, 100)).row(0, named=True)

    assert near == found(*H19).row(0, named=True)


def test_an_albumin_that_was_not_measured_widens_the_interval():
    known, usual = found(*H19, ("albumin", 4.3, 0)), found(*H19)

    assert usual["free_e2_pg_ml"][0] == pytest.approx(known["free_e2_pg_ml"][0])
    assert usual["free_e2_ci_high"][0] > known["free_e2_ci_high"][0]


def test_an_immunoassay_gives_none():
    assert found(*H19, assay="ia").is_empty()


def judged(e2: float, shbg: float | None) -> tuple[str, list[str]]:
    """Return tier and reasons of a man whose total E2 is in range by the model."""
    results = [draw(value_low=e2, value_high=e2)]
    for number, (analyte, value) in enumerate({"testosterone_total": 700.0, "shbg": shbg}.items()):
        if value is not None:
            results.append(
                draw(analyte=analyte, result_id=f"b{number}", value_low=value, value_high=value)
            )
    row = judge(man=own(off=log(40), on=log(e2 + 6)), draws=results).row(0, named=True)
    return row["tier"], row["reasons"].split("; ")


def test_a_man_in_range_with_a_low_free_e2_is_watched():
    tier, reasons = judged(19.0, 115.0)

    assert tier == "watch"
    assert "free_e2_low" in reasons


def test_a_man_with_a_usual_shbg_or_with_none_measured_is_not():
    for shbg in (35.0, None):
        tier, reasons = judged(19.0, shbg)
        assert tier == "none"
        assert "free_e2_low" not in reasons


def test_a_total_below_the_limit_is_not_called_in_range():
    assert "free_e2_low" not in judged(15.0, 115.0)[1]
