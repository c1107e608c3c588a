"""Early signals: what results beside E2 suggest, in words."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from e2analytics.flags.early_signals import early_signals
from e2analytics.tables.snapshot import empty_table

DAY = date(2026, 8, 15)
Row = tuple[str, float | str, int]


def said(*results: Row, labs: tuple[str, ...] = ()) -> str | None:
    """Say what results suggest: analyte, value or "<value", days before the last."""
    rows = [
        {
            "patient_id": "p",
            "result_id": str(number),
            "analyte": analyte,
            "performing_lab": labs[number] if labs else "A",
            "collected_on": DAY - timedelta(days),
            "collected_at": datetime(2026, 8, 15, 8, tzinfo=UTC) - timedelta(days),
            "value_low": 0.0 if isinstance(value, str) else value,
            "value_high": float(value[1:]) if isinstance(value, str) else value,
        }
        for number, (analyte, value, days) in enumerate(results)
    ]
    found = early_signals(pl.DataFrame(rows, schema=empty_table("labs").schema))
    return found["early_signals"][0] if len(found) else None


@pytest.mark.parametrize(
    ("last", "words"),
    [
        # exp(-/+ 1.96 sqrt(2) s), s^2 = ln(1 + 0.151^2 + 0.05^2): 35 % down, 55 % up.
        (610.0, "+52% since 2025-08-15: within its reference change (-35% to +55%)"),
        (640.0, "+60% since 2025-08-15, beyond its reference change (-35% to +55%): more bone is resorbed, which DXA shows only later"),
        (250.0, "-38% since 2025-08-15, beyond its reference change (-35% to +55%): less bone is resorbed"),
    ],
)  # fmt: skip
def test_ctx_is_compared_by_its_reference_change(last: float, words: str):
    assert said(("ctx", 400.0, 365), ("ctx", last, 0)) == (
        f"CTX {last:g} pg/mL on 2026-08-15, {words}"
    )


def test_p1np_has_a_narrower_one():
    words = said(("p1np", 50.0, 365), ("p1np", 70.0, 0))

    assert words is not None
    assert "+40% since 2025-08-15, beyond its reference change (-24% to +32%)" in words


def test_a_marker_is_not_compared_over_laboratories_or_alone():
    two = said(("ctx", 400.0, 365), ("ctx", 800.0, 0), labs=("A", "B"))

    assert two == (
        "CTX 800 pg/mL on 2026-08-15, the one before it by another laboratory: not compared"
    )
    assert said(("ctx", 400.0, 0)) == "CTX 400 pg/mL on 2026-08-15"


@pytest.mark.parametrize(
    ("beside", "suggests"),
    [
        ((), "hyperparathyroidism; calcium, vitamin D and kidney function would tell which"),
        ((("calcium", 10.9, 10),), "primary hyperparathyroidism"),
        ((("calcium", 9.4, 10), ("vitamin_d_25oh", 12.0, 0)), "secondary hyperparathyroidism by lack of vitamin D"),
        ((("calcium", 10.9, 400),), "hyperparathyroidism; calcium, vitamin D and kidney function would tell which"),
    ],
)  # fmt: skip
def test_a_high_pth_is_read_with_calcium_and_vitamin_d(beside: tuple[Row, ...], suggests: str):
    words = said(*beside, ("pth", 95.0, 0))

    assert words is not None
    assert words.startswith("PTH 95 pg/mL on 2026-08-15, high")
    assert words.endswith(f"suggests {suggests}")


def test_a_usual_pth_suggests_nothing():
    assert said(("calcium", 10.9, 0), ("pth", 40.0, 0)) == "PTH 40 pg/mL on 2026-08-15"


def test_a_high_calcium_without_pth_asks_for_it():
    assert (
        said(("calcium", 10.9, 0)) == "calcium 10.9 mg/dL on 2026-08-15, high: PTH would tell why"
    )
    assert said(("calcium", 9.4, 0)) is None


@pytest.mark.parametrize(
    ("lh", "fsh", "suggests"),
    [
        ("<0.2", 0.3, "suppressed axis, as on testosterone: his E2 comes from what he is given"),
        (4.0, 5.0, "axis not suppressed: his testes make testosterone and E2, too"),
        (15.0, 20.0, "raised: testes that answer little, and an axis that is not suppressed"),
        ("<2", 0.3, ""),  # below 2 may be below 1 or not
    ],
)
def test_lh_and_fsh_say_whether_the_axis_is_suppressed(lh: float | str, fsh: float, suggests: str):
    words = said(("lh", lh, 0), ("fsh", fsh, 0))
    lh_words = lh if isinstance(lh, str) else f"{lh:g}"

    assert words == "; ".join(
        [
            f"LH {lh_words} IU/L on 2026-08-15",
            f"FSH {fsh:g} IU/L on 2026-08-15" + (f", {suggests}" if suggests else ""),
        ]
    )


def test_a_low_magnesium_is_named():
    assert said(("magnesium", 1.5, 0)) == (
        "magnesium 1.5 mg/dL on 2026-08-15, low: PTH and vitamin D act less"
    )
