"""Accuracy of flags: its figures on men made by hand, and on a small clinic."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from bench.validation import flag_accuracy
from e2analytics.ingest.pseudonyms import pseudonym
from e2analytics.tables.snapshot import Outputs
from tests.conftest import KEY


def test_figures_of_eight_men_are_those_counted_by_hand():
    men = pl.DataFrame(
        {
            "status": ["below_range"] * 3
            + ["in_range"] * 3
            + ["low_not_attributable", "not_assessable"],
            "tier": ["high", "critical", "high", "none", "none", "none", "watch", "none"],
            "p_attributable": [0.9, 0.8, 0.7, 0.3, 0.2, 0.1, 0.4, 0.5],
            "last": [10.0, 12.0, 20.0, 15.0, 30.0, 40.0, 14.0, 11.0],
            "lower_limit_pg_ml": [16.0] * 8,
            "pushed": [True, True, False, True, False, False, False, True],
            "low": [True, True, False, True, False, False, True, True],
        }
    )

    found = flag_accuracy.measures(men)

    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["precision of last value"] == pytest.approx(3 / 4)
    assert found["recall of last value"] == 1
    # Hits at ranks 1, 2 and 5 of seven: (1 + 1 + 3/5)/3.
    assert found["average precision"] == pytest.approx((1 + 1 + 3 / 5) / 3)
    assert (found["men low without the drug"], found["below_range of them"]) == (1, 0)
    assert found["not assessable"] == 1 / 8
    assert found["of men pushed low, critical or high"] == 2 / 4


def test_the_slope_of_calibrated_probabilities_is_one_and_that_of_timid_ones_more():
    rng = np.random.default_rng(1)
    odds = rng.normal(0, 2, 40_000)
    happened = rng.random(len(odds)) < expit(odds)

    assert flag_accuracy.calibration_slope(expit(odds), happened) == pytest.approx(1, abs=0.04)
    assert flag_accuracy.calibration_slope(expit(odds / 2), happened) == pytest.approx(2, abs=0.08)


def test_the_probability_tells_better_than_the_last_value_whom_the_drug_pushes_low(
    clinic: Path, outputs: Outputs
):
    truth = pl.read_csv(clinic / "truth" / "men.csv").filter("in_care", "on_drug")
    named = pl.col("patient_id").map_elements(
        lambda identifier: pseudonym(KEY, "default", identifier), return_dtype=pl.String
    )
    limit = pl.col("lower_limit_pg_ml")
    men = (
        outputs.tables["cohort"]
        .join(truth.select(named, "e2_now_pg_ml", "e2_off_drug_pg_ml"), on="patient_id")
        .with_columns(
            last=pl.coalesce("last_e2_high_pg_ml", pl.lit(1e3)),
            low=pl.col("e2_now_pg_ml") < limit,
            pushed=(pl.col("e2_now_pg_ml") < limit) & (pl.col("e2_off_drug_pg_ml") >= limit),
        )
    )

    found = flag_accuracy.measures(men)

    assert found["men"] > 150
    assert found["average precision"] > 0.9 > found["that of last value"]
    assert found["precision"] > 0.8
    assert found["recall"] > 0.8
