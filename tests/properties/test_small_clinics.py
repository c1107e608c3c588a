"""Small and odd clinics: the whole pipeline runs on any of them, and says what it cannot estimate."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run
from e2analytics.tables.snapshot import Outputs
from e2analytics.tables.vocabulary import FATES
from tests.conftest import KEY, QUICK
from tests.properties import small_clinics

ODD: dict[str, dict[str, object]] = {
    "no_dose_changes": {"n_men": 30, "drug": "one_dose"},
    "no_inhibitor": {"n_men": 30, "drug": "none", "testosterone": "orders"},
    "one_man": {"n_men": 1},
    "all_below": {"n_men": 30, "e2": "all_below", "drug": "one_dose"},
    "all_above": {"n_men": 30, "e2": "all_above"},
    "bounds_on_either_side": {"n_men": 30, "e2": "zero_wide"},
    "no_scans": {"scans": "none"},
    "one_scanner_of_one_man": {"scanners": "one_each"},
    "constant_e2": {"n_men": 30, "e2": "constant"},
    "nearly_constant_e2": {"n_men": 30, "e2": "nearly_constant"},
    "nearly_constant_by_immunoassay": {"n_men": 30, "e2": "nearly_constant", "assay": "ia"},
    "men_of_one_age_and_body": {"n_men": 30, "ages": "one", "bodies": "same"},
    "no_testosterone": {"n_men": 30, "testosterone": "none"},
    "only_future_rows": {"days": "future"},
    "all_on_one_day": {"n_men": 30, "days": "same_day"},
}


def outputs_of(files: dict[str, str], folder: Path) -> Outputs:
    drop = small_clinics.write(files, folder)
    sources = Sources.from_drop(drop, load_feeds(), KEY, settings=QUICK, today=small_clinics.AS_OF)
    return run(sources, QUICK, as_of=small_clinics.AS_OF)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outputs]:
    """An odd clinic by name, run once."""

    def of(name: str) -> Outputs:
        habits = replace(small_clinics.USUAL, **ODD[name])  # type: ignore[arg-type]
        files = small_clinics.clinic(habits, np.random.default_rng(1))
        return outputs_of(files, tmp_path_factory.mktemp(name))

    return cache(of)


def broken_promises(outputs: Outputs) -> list[str]:
    tables = outputs.tables
    files, cohort, summary = tables["files"], tables["cohort"], tables["curve_summary"]
    problems = []
    if files.filter(pl.col("rows_read") != pl.sum_horizontal(FATES)).height:
        problems.append("fates do not add up")
    for name in tables:
        numbers = tables[name].select(pl.col(pl.Float64))
        problems += [
            f"{name}.{column.name} is not finite"
            for column in numbers
            if column.drop_nulls().is_finite().not_().any()
        ]
    if summary.filter(pl.col("verdict").is_null() & pl.col("why_not").is_null()).height:
        problems.append("a curve that is not fitted does not say why")
    estimate = pl.col("e2_expected_pg_ml")
    inside = (pl.col("e2_ci_low") <= estimate) & (estimate <= pl.col("e2_ci_high"))
    if cohort.filter(estimate.is_not_null() & ~inside).height:
        problems.append("an estimate of E2 lies outside its interval")
    assessed = pl.col("status") != "not_assessable"
    if cohort.filter(assessed & (pl.col("p_below_range").is_null() | estimate.is_null())).height:
        problems.append("a man is assessed without an estimate")
    return problems


@pytest.mark.parametrize("name", ODD)
def test_an_odd_clinic_is_published(name: str, odd: Callable[[str], Outputs]):
    outputs = odd(name)

    assert outputs.outcome == "complete"
    assert broken_promises(outputs) == []


@pytest.mark.parametrize("missing", ["patients", "labs", "dxa", "medications", "all"])
def test_a_clinic_without_a_file_is_published(missing: str, tmp_path: Path):
    files = small_clinics.clinic(small_clinics.USUAL, np.random.default_rng(1))
    kept = {name: text for name, text in files.items() if missing not in (name, "all")}

    outputs = outputs_of(kept, tmp_path)

    assert outputs.outcome == "complete"
    assert broken_promises(outputs) == []


def test_files_without_a_row_are_published(tmp_path: Path):
    empty = {name: header + "\n" for name, header in small_clinics.HEADERS.items()}

    outputs = outputs_of(empty, tmp_path)

    assert (outputs.outcome, outputs.counts["rows_read"]) == ("complete", 0)
    assert broken_promises(outputs) == []


@pytest.mark.parametrize("name", ["all_below", "all_above"])
def test_men_whose_results_are_all_bounds_are_not_assessable(
    name: str, odd: Callable[[str], Outputs]
):
    cohort = odd(name).tables["cohort"]

    assert set(cohort["status"]) == {"not_assessable"}
    assert cohort["e2_expected_pg_ml"].null_count() == len(cohort) > 0
    assert set(cohort["p_below_range"]) == {None}
    assert cohort["reasons"].str.contains("no_dose_response").all()


def test_a_result_below_a_bound_above_the_limit_is_only_uninformative(
    odd: Callable[[str], Outputs],
):
    cohort = odd("all_below").tables["cohort"]

    assert cohort["reasons"].str.contains("only_uninformative_e2").all()
    assert set(cohort["tier"]) <= {"none", "watch", "high"}


@pytest.mark.parametrize("name", ["constant_e2", "nearly_constant_by_immunoassay"])
def test_results_that_hardly_differ_give_no_estimate(name: str, odd: Callable[[str], Outputs]):
    tables = odd(name).tables

    assert set(tables["cohort"]["status"]) == {"not_assessable"}
    assert tables["own_levels"].is_empty()
    assert tables["curve"].is_empty()


def test_without_a_change_of_dose_the_curve_within_men_is_fitted_or_says_why_not(
    odd: Callable[[str], Outputs],
):
    sensitivity = odd("no_inhibitor").tables["curve_sensitivity"]

    within = sensitivity.row(by_predicate=pl.col("variant") == "within_men", named=True)
    assert (within["verdict"] is None) == (within["n_men"] < 30 or within["why_not"] is not None)
    assert within["verdict"] or "within men" in within["why_not"]


@pytest.mark.parametrize("seed", range(3))
def test_small_clinics_at_random_are_published(seed: int, tmp_path: Path):
    outputs = outputs_of(small_clinics.draw(seed), tmp_path)

    assert outputs.outcome == "complete"
    assert broken_promises(outputs) == []


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(20))
def test_two_thousand_small_clinics_at_random_are_published(hundred: int, tmp_path: Path):
    for seed in range(100 * hundred, 100 * hundred + 100):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outputs = outputs_of(small_clinics.draw(seed), folder)
        assert (seed, outputs.outcome, broken_promises(outputs)) == (seed, "complete", [])
