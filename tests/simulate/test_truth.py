import numpy as np
import polars as pl
import pytest

from e2analytics.simulate import SHAPES, SimulationSettings
from e2analytics.simulate.truth import curve, spine_change_pct

E2_PG_ML = np.array([5.0, 10.0, np.sqrt(10 * 20), 20.0, 45.0, np.sqrt(45 * 90), 90.0])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("threshold", [-2.5, -2.5, -1.25, 0, 0, 0, 0]),
        ("u", [-2.5, -2.5, -1.25, 0, 0, -1.25, -2.5]),
        ("flat", [0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_each_shape_has_its_bends_where_the_parameters_put_them(shape, expected):
    settings = SimulationSettings(shape=shape)

    change = spine_change_pct(np.log(E2_PG_ML), settings)

    assert change == pytest.approx(expected, abs=1e-12)


def test_rising_is_a_straight_line_in_log_e2():
    change = spine_change_pct(
        np.log([10.0, 20.0, 40.0, 80.0, 160.0]), SimulationSettings(shape="rising")
    )

    assert change == pytest.approx([-2.5, -2.5 * 2 / 3, -2.5 / 3, 0, 2.5 / 3])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_published_curve_scales_with_the_site_and_the_effect(shape):
    strong = curve(SimulationSettings(shape=shape))
    weak = curve(SimulationSettings(shape=shape, effect_pct_per_year=1.0))
    change = {
        site: strong.filter(site=site)["annual_change_pct"] for site in strong["site"].unique()
    }

    assert set(change) == {"lumbar_spine", "total_hip", "femoral_neck"}
    np.testing.assert_allclose(change["total_hip"], 0.7 * change["lumbar_spine"], atol=1e-5)
    np.testing.assert_allclose(change["femoral_neck"], 0.8 * change["lumbar_spine"], atol=1e-5)
    np.testing.assert_allclose(
        weak["annual_change_pct"], strong["annual_change_pct"] / 2.5, atol=1e-5
    )
    assert strong.select(
        pl.col("e2_pg_ml").min().alias("a"), pl.col("e2_pg_ml").max().alias("b")
    ).row(0) == (3.0, 150.0)
