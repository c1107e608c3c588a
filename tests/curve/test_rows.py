"""Curve rows: which pairs and covariates each curve uses, and what arrays they become."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from e2analytics.curve import rows
from e2analytics.curve.rows import CHANGE, LEVEL, RISK, Measured
from e2analytics.measures.clinic_rows import clinic_sums, clinics
from e2analytics.run.frames import Run
from e2analytics.run.steps import link, measure_exposure, measure_for_curves, respond_to_dose
from e2analytics.settings import FitSettings, Settings
from e2analytics.tables.patient_data import AsOfRows
from e2analytics.tables.snapshot import Outputs, Snapshot, empty_table
from tests.conftest import AS_OF

QUICK = FitSettings(n_replicates=100)


def measured_of(outputs: Outputs) -> Measured:
    """What the curves of a run were fitted to; pairs of the risk form are those of a year and more."""
    exposures, episodes = outputs.tables["exposures"], outputs.tables["exposure_episodes"]
    of_risk = exposures.filter(pl.col("years") >= 1)
    return Measured(exposures, episodes, outputs.tables["levels"], of_risk, episodes)


def test_a_covariate_that_is_missing_in_more_than_a_fifth_is_left_out_and_named(outputs: Outputs):
    measured = measured_of(outputs)
    usable = measured.exposures.filter(pl.col("site") == "lumbar_spine", pl.col("usable"))
    number = pl.int_range(pl.len())
    few, many = number % 10 == 0, number % 4 == 0

    patchy = usable.with_columns(
        bmi_kg_m2=pl.when(~few).then("bmi_kg_m2"), years_on_trt=pl.when(~many).then("years_on_trt")
    )
    complete = rows.complete_rows(
        measured._replace(exposures=patchy), "lumbar_spine", CHANGE, QUICK
    )

    assert complete.in_words.startswith(
        "age, BMI, log testosterone; left out: years on TRT (missing in 25%"
    )
    # One that is missing in fewer costs its rows.
    assert complete.rows["bmi_kg_m2"].null_count() == 0
    assert complete.rows["years_on_trt"].null_count() > 0
    assert len(complete.rows) < len(patchy)


def test_pairs_are_weighted_by_precision_and_length(outputs: Outputs):
    complete = rows.complete_rows(measured_of(outputs), "lumbar_spine", CHANGE, QUICK)

    data = complete.data()

    cv, years = complete.rows["precision_cv_pct"][0], complete.rows["years"][0]
    assert data.sampling_variance[0] == pytest.approx(2 * cv**2 / years**2)
    assert data.episode_weight.sum(axis=1) == pytest.approx(1)
    assert len(np.unique(data.patient)) == complete.n_men


@pytest.mark.parametrize(
    ("change_pct", "lsc_pct", "lost"),
    [(-5.3, 5.3, 1.0), (-5.29, 5.3, 0.0), (-9.0, 5.3, 1.0), (9.0, 5.3, 0.0), (0.0, 5.3, 0.0)],
)
def test_a_loss_is_a_total_change_of_at_least_the_lsc(
    outputs: Outputs, change_pct: float, lsc_pct: float, lost: float
):
    complete = rows.complete_rows(measured_of(outputs), "lumbar_spine", RISK, QUICK)
    literal = complete.rows.with_columns(change_pct=pl.lit(change_pct), lsc_pct=pl.lit(lsc_pct))

    data = rows.CurveRows(
        "lumbar_spine", RISK, literal, complete.episodes, complete.covariates, ()
    ).data()

    assert set(data.outcome) == {lost}


def test_all_sites_together_have_a_term_for_each_site_but_the_first(outputs: Outputs):
    pooled = rows.complete_rows(measured_of(outputs), "pooled", CHANGE, QUICK)

    terms = pooled.data().covariates[:, len(pooled.covariates) :]

    sites = pooled.rows["site"].to_numpy()
    np.testing.assert_array_equal(terms[:, 0], sites == "total_hip")
    np.testing.assert_array_equal(terms[:, 1], sites == "femoral_neck")
    assert terms.shape[1] == 2
    alone = rows.complete_rows(measured_of(outputs), "total_hip", CHANGE, QUICK)
    assert alone.data().covariates.shape[1] == len(alone.covariates)


def test_scans_that_cannot_be_paired_give_levels_and_pairs_give_changes_and_risks(
    outputs: Outputs,
):
    measured = measured_of(outputs)
    unpaired = measured._replace(exposures=measured.exposures.clear())
    nothing = unpaired._replace(levels=measured.levels.clear())
    pairs = [(site, outcome) for site in rows.FITTED_SITES for outcome in (CHANGE, RISK)]

    assert rows.curves(measured) == [*pairs, ("pooled", CHANGE), ("pooled", RISK)]
    assert rows.curves(unpaired) == [(site, LEVEL) for site in rows.FITTED_SITES]
    assert rows.curves(nothing) == rows.curves(measured)


def scan(scan_id: str, scanned_on: date) -> dict[str, object]:
    return {
        "namespace": "default",
        "scan_id": scan_id,
        "patient_id": "p",
        "scanned_on": scanned_on,
        "site": "lumbar_spine",
        "bmd_g_cm2": 1.0,
        "scanner_id": "s",
        "vertebrae": "L1-L4",
        "imputed": "",
        "failed_rules": "",
    }


@pytest.mark.parametrize(
    ("days", "of_change", "of_risk"),
    [
        # The next scan half a year later at least; for the risk form a year later at least.
        ([date(2020, 1, 1), date(2021, 7, 1)], [("a", "b")], [("a", "b")]),
        ([date(2020, 1, 1), date(2020, 9, 1)], [("a", "b")], []),
        (
            [date(2020, 1, 1), date(2020, 9, 1), date(2021, 6, 1)],
            [("a", "b"), ("b", "c")],
            [("a", "c")],
        ),
        (
            [date(2020, 1, 1), date(2020, 9, 1), date(2021, 12, 1)],
            [("a", "b"), ("b", "c")],
            [("a", "c"), ("b", "c")],
        ),
    ],
)
def test_the_risk_form_has_its_own_pairs(
    days: list[date], of_change: list[tuple[str, str]], of_risk: list[tuple[str, str]]
):
    names = ("patients", "labs", "medications", "precision", "events", "lifestyle")
    dxa = pl.DataFrame(
        [scan(name, day) for name, day in zip("abc", days, strict=False)],
        schema=empty_table("dxa").schema,
    )
    patient = {"patient_id": "p", "clinic_id": "c", "birth_date": date(1970, 1, 1)}
    frames = {name: empty_table(name) for name in names} | {
        "dxa": dxa,
        "patients": pl.DataFrame([patient], schema=empty_table("patients").schema),
    }
    run = Run(as_of=AS_OF, settings=Settings())
    none_waits = pl.DataFrame(
        schema={"patient_id": pl.String, "what": pl.String, "happened_on": pl.Date}
    )
    rows_of_day = AsOfRows(**frames, pending=none_waits, pending_e2=empty_table("labs"))
    data = link(rows_of_day, clinics(clinic_sums(rows_of_day), AS_OF), run)
    response = respond_to_dose(data, Snapshot(), None, run)
    exposure = measure_exposure(data, response, run)

    measured = measure_for_curves(data, response, exposure, run)

    def pairs(exposures: pl.DataFrame) -> list[tuple[str, str]]:
        # None has a draw of E2; but for that, these could be used.
        judged = exposures.filter(pl.col("why_not") == "too_few_draws")
        return judged.select("first_scan_id", "second_scan_id").rows()

    assert pairs(measured.exposures) == of_change
    assert pairs(measured.risk_exposures) == of_risk
