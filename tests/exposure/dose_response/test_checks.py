"""Checks of fit, by assay, clinic, laboratory and dose."""

import numpy as np
import polars as pl

from tests.exposure.dose_response.men import ZERO, estimated, result, usual_results


def test_a_clinic_whose_results_do_not_fit_is_named():
    rng = np.random.default_rng(3)
    scattered = tuple(
        result(
            int(str(row["patient_id"])[1:]),
            (row["collected_on"] - ZERO).days,  # type: ignore[operator]
            float(row["value_low"]) * float(np.exp(rng.normal(0, 0.6))),  # type: ignore[arg-type]
            assay="ms",
            performing_lab="OTHER",
        )
        if row["patient_id"] in ("p01", "p03", "p05", "p07", "p09", "p11")
        else row
        for row in usual_results()
    )

    checks = estimated(scattered).checks.filter(pl.col("by") == "laboratory")

    assert dict(checks.select("name", "fits").iter_rows()) == {"LAB": True, "OTHER": False}
