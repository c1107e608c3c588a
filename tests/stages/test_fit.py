"""Fit: which rows and covariates a curve uses, and what is said where there is none."""

import numpy as np
import polars as pl
import pytest

from e2analytics.settings import FitSettings
from e2analytics.stages import fit
from e2analytics.state import Outputs, empty_table

QUICK = FitSettings(n_replicates=100)


def test_a_covariate_that_is_missing_in_more_than_a_fifth_is_left_out_and_named(outputs: Outputs):
    exposures = outputs.tables["exposures"].filter(
        pl.col("site") == "lumbar_spine", pl.col("usable")
    )
    number = pl.int_range(pl.len())
    few, many = number % 10 == 0, number % 4 == 0

    patchy = exposures.with_columns(
        bmi_kg_m2=pl.when(~few).then("bmi_kg_m2"), years_on_trt=pl.when(~many).then("years_on_trt")
    )
    complete = fit.complete_rows(patchy, empty_table("levels"), "lumbar_spine", QUICK)

    assert complete.in_words.startswith(
        "age, BMI, log testosterone; left out: years on TRT (missing in 25%"
    )
    # One that is missing in fewer costs its rows.
    assert complete.rows["bmi_kg_m2"].null_count() == 0
    assert complete.rows["years_on_trt"].null_count() > 0
    assert len(complete.rows) < len(patchy)


def test_pairs_are_weighted_by_precision_and_length(outputs: Outputs):
    complete = fit.complete_rows(
        outputs.tables["exposures"], outputs.tables["levels"], "lumbar_spine", QUICK
    )

    data = fit._data(complete, outputs.tables["exposure_episodes"], fit.CHANGE)

    cv, years = complete.rows["precision_cv_pct"][0], complete.rows["years"][0]
    assert data.sampling_variance[0] == pytest.approx(2 * cv**2 / years**2)
    assert data.episode_weight.sum(axis=1) == pytest.approx(1)
    assert len(np.unique(data.patient)) == complete.rows["patient_id"].n_unique()


def test_too_few_men_are_no_error_but_a_reason():
    nothing = (empty_table(name) for name in ("exposures", "exposure_episodes", "levels"))

    fitted = fit.fit(*nothing, QUICK, model_id="m")

    assert fitted.curve.is_empty()
    assert fitted.summary["verdict"].to_list() == [None, None, None]
    assert fitted.summary["why_not"].str.contains("at least 30 men").all()
    assert fitted.limit_quantiles_pg_ml == {}


def test_scans_that_cannot_be_paired_give_levels_and_pairs_give_changes(outputs: Outputs):
    exposures, levels = outputs.tables["exposures"], outputs.tables["levels"]

    assert fit.outcome_of(exposures, levels, "lumbar_spine") == fit.CHANGE
    assert fit.outcome_of(exposures.clear(), levels, "lumbar_spine") == fit.LEVEL
    assert fit.outcome_of(exposures.clear(), levels.clear(), "lumbar_spine") == fit.CHANGE


def test_the_order_of_the_rows_does_not_matter(outputs: Outputs):
    names = ("exposures", "exposure_episodes", "levels")
    tables = [outputs.tables[name] for name in names]
    shuffled = [table.sample(fraction=1, shuffle=True, seed=1) for table in tables]

    one = fit.fit(*tables, QUICK, model_id="m")
    other = fit.fit(*shuffled, QUICK, model_id="m")

    assert other.curve["estimate"].to_numpy() == pytest.approx(
        one.curve["estimate"].to_numpy(), abs=1e-9
    )
    assert other.summary["verdict"].to_list() == one.summary["verdict"].to_list()
