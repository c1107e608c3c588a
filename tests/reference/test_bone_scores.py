"""Scores that BMD contradicts: men on paper, and scans that only look odd."""

from typing import Any

import polars as pl
import pytest

from e2analytics.reference.bone_scores import contradicts_bmd

TYPES = {
    "t_score": pl.Float64,
    "z_score": pl.Float64,
    "manufacturer": pl.String,
    "reference_db": pl.String,
}
NHANES = {"manufacturer": "Hologic", "reference_db": "NHANES white female"}
III = {"manufacturer": "Hologic", "reference_db": "NHANES III white female"}


def doubted(site: str, bmd_g_cm2: float, t_score: float | None, **more: Any) -> bool:
    row = {"site": site, "bmd_g_cm2": bmd_g_cm2, "t_score": t_score}
    absent = {"z_score": None, "manufacturer": None, "reference_db": None}
    scan = pl.DataFrame([row | absent | more], schema_overrides=TYPES)
    return bool(scan.select(contradicts_bmd()).item())


@pytest.mark.parametrize(
    ("scan", "expected"),
    [
        # H22: the sign was lost; by the reference T is -2.83.
        (("lumbar_spine", 0.72, 2.8, NHANES), True),
        (("lumbar_spine", 0.72, -2.8, NHANES), False),
        # The same without a word of maker or reference, and with Z alone.
        (("lumbar_spine", 0.72, 2.8, {}), True),
        (("lumbar_spine", 0.72, None, {"z_score": 2.3}), True),
        (("lumbar_spine", 0.72, None, {"z_score": -2.3}), False),
        # More than 1.0 from the recomputed T: (0.72 - 0.942) / 0.122 = -1.82.
        (("total_hip", 0.72, -2.83, III), True),
        (("total_hip", 0.72, -2.81, III), False),
        (("total_hip", 0.72, -0.8, III), True),
        # H42 and H48 are as their scanners wrote them.
        (("total_hip", 0.62, -2.7, III), False),
        (("lumbar_spine", 0.70, -3.0, NHANES), False),
        # On Lunar's scale the same bone reads higher: (1.40 / 1.16 - 1.065) / 0.122 = 1.16.
        (("lumbar_spine", 1.40, -1.2, {"manufacturer": "GE Lunar"}), True),
        (("lumbar_spine", 1.30, -0.1, {"manufacturer": "GE Lunar"}), False),
        # An old man: T -1.4, Z +0.6.
        (("femoral_neck", 0.69, -1.4, {"z_score": 0.6}), False),
        # No reference is known for the forearm.
        (("one_third_radius", 0.40, 2.8, {}), False),
        (("total_hip", 0.72, None, {}), False),
    ],
)
def test_a_score_that_bmd_contradicts_is_doubted(scan: tuple[Any, ...], expected: bool):
    site, bmd_g_cm2, t_score, more = scan

    assert doubted(site, bmd_g_cm2, t_score, **more) is expected
