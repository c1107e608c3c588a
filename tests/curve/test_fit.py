"""Fit: one curve for each site and outcome and for all sites, or what is said where there is none."""

import numpy as np
import polars as pl
import pytest

from e2analytics.curve import fit
from e2analytics.curve.rows import CHANGE, RISK, Measured
from e2analytics.settings import FitSettings
from e2analytics.tables.snapshot import Outputs, empty_table
from tests.curve.test_rows import measured_of

QUICK = FitSettings(n_replicates=100)
SITES = ("lumbar_spine", "total_hip", "femoral_neck", "pooled")


@pytest.fixture(scope="module")
def fitted(outputs: Outputs) -> fit.Fitted:
    return fit.fit(measured_of(outputs), QUICK, model_id="m")


def test_every_site_and_all_together_have_a_curve_of_change_and_of_risk(fitted: fit.Fitted):
    rows = fitted.summary.select("site", "outcome", "delta").rows()
    drawn = fitted.curve.select("site", "outcome").unique(maintain_order=True).rows()

    assert rows == [(site, *of) for site in SITES for of in ((CHANGE, 0.5), (RISK, 0.05))]
    assert drawn == [row[:2] for row in rows]
    assert fitted.summary["verdict"].null_count() == 0


def test_a_risk_is_a_probability_and_gives_no_limit_in_use(fitted: fit.Fitted):
    risk = fitted.curve.filter(pl.col("outcome") == RISK)

    assert risk.select(pl.col("ci_low").min()).item() > 0
    assert risk.select(pl.col("ci_high").max()).item() < 1
    # Only changes may ever give the limit in use.
    assert set(fitted.limit_quantiles_pg_ml) == set(SITES)


def test_all_sites_together_have_the_men_of_each_and_the_pairs_of_all(fitted: fit.Fitted):
    change = fitted.summary.filter(pl.col("outcome") == CHANGE)
    alone = change.filter(pl.col("site") != "pooled")
    pooled = change.filter(pl.col("site") == "pooled").row(0, named=True)

    assert pooled["n_intervals"] == alone["n_intervals"].sum()
    assert alone["n_patients"].max() <= pooled["n_patients"] < alone["n_patients"].sum()
    assert pooled["covariates"] == "age, BMI, log testosterone, years on TRT, site"


def test_too_few_men_are_no_error_but_a_reason():
    names = ("exposures", "exposure_episodes", "levels", "exposures", "exposure_episodes")
    nothing = Measured(*(empty_table(name) for name in names))

    fitted = fit.fit(nothing, QUICK, model_id="m")

    assert fitted.curve.is_empty()
    assert fitted.summary["verdict"].to_list() == [None] * 8
    assert fitted.summary["why_not"].str.contains("at least 30 men").all()
    assert fitted.limit_quantiles_pg_ml == {}


def test_too_few_losses_are_a_reason_for_the_risk_alone(outputs: Outputs):
    measured = measured_of(outputs)
    steady = measured.risk_exposures.with_columns(change_pct=pl.lit(0.0))

    summary = fit.fit(measured._replace(risk_exposures=steady), QUICK, model_id="m").summary

    spine = summary.filter(pl.col("site") == "lumbar_spine")
    assert spine["verdict"].is_null().to_list() == [False, True]
    assert spine["why_not"][1].startswith("a risk needs at least 10 losses and 10 intervals")


def test_one_site_alone_is_not_pooled(outputs: Outputs):
    measured = measured_of(outputs)
    spine = pl.col("site") == "lumbar_spine"

    summary = fit.fit(
        measured._replace(
            exposures=measured.exposures.filter(spine),
            levels=measured.levels.filter(spine),
            risk_exposures=measured.risk_exposures.filter(spine),
        ),
        QUICK,
        model_id="m",
    ).summary

    pooled = summary.filter(pl.col("site") == "pooled")
    assert pooled["verdict"].null_count() == 2
    assert pooled["why_not"].unique().to_list() == [
        "only the lumbar spine has usable pairs: there is nothing to pool"
    ]


def test_the_order_of_the_rows_does_not_matter(outputs: Outputs, fitted: fit.Fitted):
    shuffled = Measured(
        *(table.sample(fraction=1, shuffle=True, seed=1) for table in measured_of(outputs))
    )

    other = fit.fit(shuffled, QUICK, model_id="m")

    np.testing.assert_allclose(other.curve["estimate"], fitted.curve["estimate"], atol=1e-9)
    assert other.summary["verdict"].to_list() == fitted.summary["verdict"].to_list()
