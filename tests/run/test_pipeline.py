"""The whole of it without Prefect: fates against the answer key, increments, as-of."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.curve.fit import Fitted
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.models.sweet_spot import find
from e2analytics.run import run, steps
from e2analytics.run.frames import Run
from e2analytics.run.job import Job, run_job
from e2analytics.run.steps import STEPS
from e2analytics.settings import FitSettings, Settings
from e2analytics.simulate import Shape, SimulationSettings, simulate
from e2analytics.tables.registry import CANONICAL
from e2analytics.tables.snapshot import Outputs, Snapshot
from e2analytics.tables.vocabulary import BONE_OUTCOMES, FATES
from tests.conftest import AS_OF, KEY, QUICK

SEED = SimulationSettings().seed


def snapshot(outputs: Outputs) -> Snapshot:
    return Snapshot(outputs.tables, outputs.not_accepted)


def read(folder: Path, before: Outputs | None = None) -> Sources:
    ledger = before.tables["files"] if before else None
    return Sources.from_drop(folder, load_feeds(), KEY, ledger=ledger, today=AS_OF)


def add(before: Outputs | None, folder: Path, as_of: date = AS_OF) -> Outputs:
    known = snapshot(before) if before else None
    return run(read(folder, before), QUICK, as_of=as_of, before=known)


@pytest.fixture(scope="module")
def next_month(outputs: Outputs) -> Outputs:
    """The run of the day after, which fits the model of a new month."""
    return run(Sources(), QUICK, as_of=date(2026, 10, 1), before=snapshot(outputs))


def drop(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_every_row_has_the_fate_that_the_simulator_planted(clinic: Path, outputs: Outputs):
    answers = pl.read_csv(clinic / "truth" / "defects.csv")
    files = outputs.tables["files"].select("source_file", "table")
    settled = pl.concat(
        [
            pl.concat(
                [outputs.tables[t].with_columns(fate=pl.lit("accepted")), outputs.not_accepted[t]],
                how="diagonal",
            )
            .select("source_file", "source_line", "fate")
            .join(files, on="source_file")
            for t in CANONICAL
        ]
    ).with_columns(file=pl.col("table") + ".csv")

    judged = settled.join(
        answers, left_on=["file", "source_line"], right_on=["file", "line"], how="left"
    )

    # What the answer key does not name is a good row.
    expected = pl.col("expected_fate").fill_null("accepted")
    wrong = judged.filter(pl.col("fate") != expected)
    assert wrong.select("file", "source_line", "fate", "expected_fate").rows() == []
    assert len(answers) == judged["expected_fate"].is_not_null().sum()


def test_rows_read_are_the_sum_of_the_fates_by_file_and_in_the_attrition(
    clinic: Path, outputs: Outputs
):
    files = outputs.tables["files"]
    lines = sum(len(p.read_text().splitlines()) - 1 for p in (clinic / "drop").glob("*.csv"))
    rows = outputs.tables["attrition"].filter(pl.col("unit") == "rows")

    assert files["rows_read"].sum() == lines
    assert (files["rows_read"] == files.select(pl.sum_horizontal(FATES)).to_series()).all()
    assert rows["n_in"][0] == lines
    assert rows["n_out"].sum() == lines - rows["n_left"][-1]
    assert rows["n_left"][-1] == files["accepted"].sum()


@pytest.mark.parametrize("unit", ["rows", "patients", "pairs", "draws"])
def test_each_chain_of_the_attrition_links_up(outputs: Outputs, unit: str):
    chain = outputs.tables["attrition"].filter(pl.col("unit") == unit).sort("position")

    assert (chain["n_left"] == chain["n_in"] - chain["n_out"]).all()
    assert chain["n_in"][1:].to_list() == chain["n_left"][:-1].to_list()


def test_the_chains_end_at_what_the_primary_curve_used(outputs: Outputs):
    ends = {
        unit: outputs.tables["attrition"].filter(pl.col("unit") == unit)["n_left"][-1]
        for unit in ("patients", "pairs")
    }
    primary = outputs.tables["curve_summary"].filter(pl.col("site") == "pooled")

    assert ends == {"patients": primary["n_patients"][0], "pairs": primary["n_intervals"][0]}


def test_quarantine_has_a_line_for_every_row_that_waits_and_no_value(outputs: Outputs):
    rejected = outputs.tables["quarantine"].filter(pl.col("severity") == "reject")
    waiting = rejected.select("source_file", "source_line").unique()

    assert len(waiting) == outputs.tables["files"]["quarantined"].sum()
    assert outputs.tables["quarantine"].columns == [
        "feed",
        "table",
        "source_file",
        "source_line",
        "rule",
        "n_rows",
        "severity",
        "column",
        "advice",
        "state",
        "run_id",
        "resolved_run_id",
    ]


def test_every_man_on_the_drug_has_one_status_and_one_tier(clinic: Path, outputs: Outputs):
    cohort = outputs.tables["cohort"]
    men = pl.read_csv(clinic / "truth" / "men.csv")

    assert cohort["patient_id"].is_unique().all()
    # Anastrozole in force at the end, still in care, and those within 14 days of washing out.
    on_file = men.filter(pl.col("in_care") & (pl.col("on_drug") | pl.col("other_inhibitor")))
    assert len(on_file) <= len(cohort) <= len(on_file) + 10


def test_the_same_drop_twice_changes_nothing(clinic: Path, outputs: Outputs):
    again = add(outputs, clinic / "drop")

    assert again.counts["rows_read_now"] == 0
    assert again.counts["files_known"] == 6
    for name, table in outputs.tables.items():
        assert_frame_equal(again.tables[name], table, check_row_order=False)


def test_the_same_rows_under_another_name_are_duplicates(
    clinic: Path, outputs: Outputs, tmp_path: Path
):
    text = (clinic / "drop" / "dxa.csv").read_text()
    folder = drop(tmp_path / "again", dxa_resent=text + "\n")

    again = add(outputs, folder)

    assert (
        again.tables["dxa"]
        .select("scan_id")
        .sort("scan_id")
        .equals(outputs.tables["dxa"].select("scan_id").sort("scan_id"))
    )
    assert again.counts["accepted"] == outputs.counts["accepted"]


PATIENT = "patient_id,clinic_id,sex,birth_date\nP1,C1,M,1970-01-01\n"
LAB_HEAD = "result_id,patient_id,collected_at,test_name,value,unit,status,reported_at\n"
FIRST = LAB_HEAD + "R1,P1,2024-03-01T08:00,Estradiol,20,pg/mL,F,2024-03-02\n"
CORRECTED = LAB_HEAD + "R1,P1,2024-03-01T08:00,Estradiol,12,pg/mL,C,2024-03-09\n"


def test_a_correction_wins_and_the_old_version_is_kept(tmp_path: Path):
    first = add(None, drop(tmp_path / "1", patients=PATIENT, labs=FIRST))
    second = add(first, drop(tmp_path / "2", labs=CORRECTED))

    assert second.tables["labs"]["value_low"].to_list() == [12.0]
    old = second.not_accepted["labs"]
    assert old.select("value_low", "fate").rows() == [(20.0, "superseded")]


def test_corrections_in_the_wrong_order_come_to_the_same(tmp_path: Path):
    first = add(None, drop(tmp_path / "1", patients=PATIENT, labs=CORRECTED))
    second = add(first, drop(tmp_path / "2", labs=FIRST))

    assert second.tables["labs"]["value_low"].to_list() == [12.0]


def test_an_orphan_waits_and_comes_in_with_its_patient(tmp_path: Path):
    first = add(None, drop(tmp_path / "1", labs=FIRST))
    second = add(first, drop(tmp_path / "2", patients=PATIENT))

    assert first.tables["quarantine"]["rule"].to_list() == ["unknown_patient"]
    assert first.tables["labs"].is_empty()
    assert second.tables["quarantine"]["state"].to_list() == ["resolved"]
    assert second.tables["labs"]["value_low"].to_list() == [20.0]


def test_a_second_identity_takes_a_patients_rows_out(tmp_path: Path):
    first = add(None, drop(tmp_path / "1", patients=PATIENT, labs=FIRST))
    second = add(first, drop(tmp_path / "2", patients=PATIENT.replace("1970", "1980")))

    assert second.tables["labs"].is_empty()
    assert set(second.tables["quarantine"]["rule"]) == {"conflicting_identity"}
    assert second.counts["quarantined"] == 3


def test_a_refused_file_stores_nothing_and_the_others_go_on(tmp_path: Path):
    folder = drop(tmp_path / "1", patients=PATIENT, labs=FIRST.replace("value", "result"))

    made = add(None, folder)

    assert made.outcome == "incomplete"
    assert len(made.tables["patients"]) == 1
    assert made.tables["quarantine"].select("rule", "source_line").rows() == [
        ("missing_column", None)
    ]
    assert made.counts["rows_read"] == 1
    # It is refused again until it is mended.
    assert add(made, folder).outcome == "incomplete"


def test_what_happens_after_the_as_of_date_is_kept_and_not_seen(clinic: Path, outputs: Outputs):
    earlier = date(2025, 3, 31)

    before = add(None, clinic / "drop", earlier)

    assert before.counts["accepted"] == outputs.counts["accepted"]
    assert before.tables["cohort"]["last_e2_on"].max() <= earlier
    assert before.tables["exposures"]["second_on"].max() <= earlier


def test_a_model_is_kept_for_its_month_and_scores_new_data(outputs: Outputs, next_month: Outputs):
    same_month = run(Sources(), QUICK, as_of=date(2026, 9, 30), before=snapshot(outputs))
    forced = run(Sources(), QUICK, as_of=AS_OF, before=snapshot(outputs), refit=True)

    assert same_month.model_id == outputs.model_id
    assert "fit" not in same_month.timings
    assert next_month.model_id != outputs.model_id
    assert len(next_month.tables["models"]) == 2
    # The same data and settings give the same model under the same name.
    assert forced.model_id == outputs.model_id
    assert_frame_equal(forced.tables["curve"], outputs.tables["curve"])


def test_a_thin_first_run_does_not_keep_the_month_without_a_curve(clinic: Path, tmp_path: Path):
    text = (clinic / "drop" / "patients.csv").read_text()
    thin = add(None, drop(tmp_path / "1", patients=text))

    whole = add(thin, clinic / "drop")

    assert thin.tables["curve"].is_empty()
    of_bone = whole.tables["curve_summary"].filter(pl.col("outcome").is_in(BONE_OUTCOMES))
    assert of_bone["verdict"].null_count() == 0
    assert "fit" in whole.timings


@pytest.mark.slow
def test_other_fit_settings_fit_anew(outputs: Outputs):
    wider = Settings(fit=FitSettings(n_replicates=100, delta_pct_per_year=1.0))

    made = run(Sources(), wider, as_of=AS_OF, before=snapshot(outputs))

    changes = made.tables["curve_summary"].filter(pl.col("outcome") == "annual_change_pct")
    assert changes["delta"].unique().to_list() == [1.0]
    assert made.model_id != outputs.model_id


@pytest.mark.slow
def test_the_uncertainty_of_the_limit_is_that_of_its_own_curve(tmp_path: Path):
    # Of 1,000 men the limit would be found again in four of five clinics; of 600 in one of two, and below a half its
    # interval reaches beyond the outermost of the forty values.
    simulate(tmp_path, SimulationSettings(patients=1000, shape="threshold", seed=7))
    outputs = run(read(tmp_path / "drop"), QUICK, as_of=AS_OF, adopt="our own data")
    limits = outputs.tables["limits"]
    assert limits["site"].to_list() == ["pooled"]
    models = outputs.tables["models"]
    none = models.with_columns(
        parameters=pl.lit(
            json.dumps({**json.loads(models["parameters"][0]), "limit_quantiles_pg_ml": {}})
        )
    )
    sure = Snapshot({**outputs.tables, "models": none}, outputs.not_accepted)

    with_it, without = (
        outputs.tables["cohort"],
        run(Sources(), QUICK, as_of=AS_OF, before=sure).tables["cohort"],
    )

    values = json.loads(models["parameters"][0])["limit_quantiles_pg_ml"]["pooled"]
    low, high = limits["limit_ci_low"][0], limits["limit_ci_high"][0]
    # Forty values at 1.25, 3.75 ... 98.75 %: the ends of the 95 % interval lie between the outer two.
    assert (
        values[0]
        <= low
        <= values[1]
        < limits["lower_limit_pg_ml"][0]
        < values[-2]
        <= high
        <= values[-1]
    )
    # Near the limit the doubt about it pulls probabilities towards a half.
    near = (without["p_below_range"] - 0.5).abs()
    assert (with_it["p_below_range"] - without["p_below_range"]).abs().max() > 0.01
    assert ((with_it["p_below_range"] - 0.5).abs() - near).mean() < 0


def test_no_fit_moves_the_limit_by_itself(outputs: Outputs, next_month: Outputs):
    assert outputs.tables["limits"].is_empty()
    assert next_month.tables["limits"].is_empty()
    assert next_month.tables["cohort"]["lower_limit_pg_ml"].unique().to_list() == (
        outputs.tables["cohort"]["lower_limit_pg_ml"].unique().to_list()
    )


def test_an_empty_world_has_a_reason_for_everything():
    nothing = run(Sources(), QUICK, as_of=AS_OF)

    assert nothing.tables["cohort"].is_empty()
    assert nothing.tables["curve_summary"]["verdict"].null_count() == 8
    assert nothing.tables["curve_summary"]["why_not"].null_count() == 0
    assert nothing.counts["rows_read"] == 0


def curves_of(sources: Sources) -> Fitted:
    """Take the steps that lead to the curves, and no other: the rest of a run takes as long again."""
    now, nothing = Run(as_of=AS_OF, settings=QUICK, run_id="run-000001"), Snapshot()
    data = steps.link_all(steps.take_in(sources, nothing, now), now)
    response = steps.respond_to_dose(data, nothing, None, now)
    exposure = steps.measure_exposure(data, response, now)
    measured = steps.measure_for_curves(data, response, exposure, now)
    followed = steps.follow_up(data, response, now)
    return steps.fit(measured, followed, now, "model")


def test_the_curves_of_a_run_are_those_of_its_steps(sources: Sources, outputs: Outputs):
    fitted = curves_of(sources)

    assert_frame_equal(fitted.curve.drop("model_id"), outputs.tables["curve"].drop("model_id"))
    assert_frame_equal(
        fitted.summary.drop("model_id"), outputs.tables["curve_summary"].drop("model_id")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "verdicts", "seed"),
    [
        ("u", {"u_shaped"}, SEED),
        # Every shape is told by the curve alone as well: tests/models/test_curve.py.
        ("threshold", {"low_side_threshold"}, SEED),
        ("rising", {"rising"}, SEED),
        # Nothing is there: to say so, or to say that one cannot tell, are both right.
        ("flat", {"flat", "inconclusive"}, SEED),
    ],
)
def test_the_truth_of_4000_men_is_recovered(
    shape: Shape, verdicts: set[str], seed: int, tmp_path: Path
):
    simulate(tmp_path, SimulationSettings(patients=4000, shape=shape, seed=seed))
    assert_recovers_the_truth(shape, verdicts, tmp_path)


def test_the_truth_of_half_as_many_men_is_recovered_where_they_are_harmed_on_both_sides(
    tmp_path: Path,
):
    simulate(tmp_path, SimulationSettings(patients=2000, shape="u", seed=SEED))
    assert_recovers_the_truth("u", {"u_shaped"}, tmp_path)


def assert_recovers_the_truth(shape: Shape, verdicts: set[str], tmp_path: Path) -> None:
    """Compare the curve of the simulated men in a folder with the one that made them."""
    fitted = curves_of(read(tmp_path / "drop"))
    of_primary = (pl.col("site") == "lumbar_spine") & (pl.col("outcome") == "annual_change_pct")
    primary = fitted.summary.filter(of_primary)
    curve = fitted.curve.filter(of_primary & pl.col("supported"))
    truth = pl.read_csv(tmp_path / "truth" / "curve.csv").filter(pl.col("site") == "lumbar_spine")

    # The truth's limits by the same definition, over the same supported grid.
    log_e2 = curve["e2_pg_ml"].log().to_numpy()
    true_curve = np.interp(
        log_e2, truth["e2_pg_ml"].log().to_numpy(), truth["annual_change_pct"].to_numpy()
    )
    spot = find(log_e2, true_curve[None, :], delta=0.5)
    true_limits = {"lower": np.exp(spot.lower_log_e2[0]), "upper": np.exp(spot.upper_log_e2[0])}

    row = primary.row(0, named=True)
    claimed = {"u": {"lower", "upper"}, "threshold": {"lower"}}.get(shape, set())
    assert row["verdict"] in verdicts
    for side, true_limit in true_limits.items():
        assert (row[f"{side}_limit_pg_ml"] is not None) == (side in claimed)
        if side in claimed:
            assert row[f"{side}_limit_ci_low"] <= true_limit <= row[f"{side}_limit_ci_high"]


def test_the_manifest_numbers_can_be_written_as_json(outputs: Outputs):
    assert json.loads(json.dumps(outputs.counts)) == outputs.counts
    assert outputs.timings.keys() >= {"take_in", "fit", "flag_men"}


def test_a_run_takes_the_steps_in_their_order_and_has_words_for_each(
    outputs: Outputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY.decode())
    begun: list[str] = []
    job = Job(
        store=str(tmp_path / "store"),
        as_of=AS_OF,
        settings=QUICK,
        drop=drop(tmp_path / "drop", patients=PATIENT, labs=FIRST),
    )

    run_job(job, report_progress=begun.append)

    # A first run takes all of them; those between reading and publishing are timed.
    assert begun == list(STEPS)
    around = {"snapshot", "read", "keep_crosswalk", "publish"}
    assert list(outputs.timings) == [name for name in STEPS if name not in around]
    assert all(STEPS.values())
