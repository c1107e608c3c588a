"""Men on paper whose E2 moved, or was said of them wrongly when it was thought not to move.

A thousand simulated men are the background, twice: men whose own levels drift (SD 0.25 on the log scale, forgotten in
270 days), as men's do, and men in whom nothing moves. Each man on paper has a clinic of his own, so that he can be
found again. All take testosterone, and are assessed as of 30 September 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pytest

from e2analytics import run
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.simulate import SimulationSettings, simulate
from e2analytics.tables.snapshot import Outputs, Snapshot
from tests.conftest import KEY, QUICK

AS_OF: Final = date(2026, 9, 30)
BEFORE: Final = date(2026, 2, 15)
N_MEN: Final = 1_000
DRIFT_SD: Final = 0.25
DRIFT_DAYS: Final = 270.0
T: Final = 700.0
"""Testosterone, ng/dL, where nothing else is said."""

Draws = Sequence[tuple[str, float] | tuple[str, float, float]]


class Man(NamedTuple):
    """A man by his E2 (day, pg/mL, testosterone in ng/dL) and his orders (drug, dose in mg, a week, from, until)."""

    name: str
    draws: Draws
    anastrozole: Sequence[tuple[float, int, str, str]]
    testosterone: Sequence[tuple[float, str, str]] = ((100.0, "2021-06-01", ""),)
    body_fat: Sequence[tuple[str, float]] = ()


NEAR_30: Final = (
    ("2022-10-01", 62.0),
    ("2023-04-01", 31.0),
    ("2023-10-01", 28.0),
    ("2024-04-01", 32.0),
    ("2024-10-01", 29.0),
)
"""Off the drug, then on it near 30 pg/mL."""
UNTIL_JUNE: Final = (*NEAR_30, ("2025-02-01", 30.0), ("2025-06-01", 28.0))
ONE_MG: Final = ((0.5, 2, "2023-01-05", ""),)

MEN: Final = (
    Man(
        "fell in winter",
        (*NEAR_30, ("2025-04-01", 30.0), ("2025-10-01", 28.0), ("2026-03-01", 12.5), ("2026-06-01", 11.8), ("2026-09-01", 11.0)),
        ONE_MG,
    ),
    Man("three low in 70 days", (*UNTIL_JUNE, ("2026-07-22", 11.0), ("2026-08-21", 11.3), ("2026-09-20", 11.6)), ONE_MG),
    Man("two low", (*UNTIL_JUNE, ("2026-08-21", 11.0), ("2026-09-20", 11.3)), ONE_MG),
    Man("one low", (*UNTIL_JUNE, ("2026-09-20", 11.0)), ONE_MG),
    Man("none low", (*UNTIL_JUNE, ("2026-09-20", 29.0)), ONE_MG),
    Man(
        "recovered",
        (
            *(("2022-10-01", 25.0), ("2023-04-01", 11.0), ("2023-10-01", 12.0), ("2024-04-01", 11.0)),
            *(("2024-10-01", 12.0), ("2025-02-01", 11.0), ("2025-06-01", 12.0)),
            *(("2026-03-01", 28.0), ("2026-06-01", 30.0), ("2026-09-01", 29.0)),
        ),
        ONE_MG,
    ),
    Man(
        "testosterone halved in April",
        (
            *(("2023-04-01", 31.0, 950.0), ("2023-10-01", 28.0, 920.0), ("2024-04-01", 32.0, 1000.0)),
            *(("2024-10-01", 29.0, 930.0), ("2025-04-01", 30.0, 960.0), ("2025-10-01", 28.0, 940.0)),
            *(("2026-06-15", 14.0, 380.0), ("2026-09-01", 13.0, 370.0)),
        ),
        ONE_MG,
        ((200.0, "2021-06-01", "2026-04-01"), (80.0, "2026-04-01", "")),
    ),
    Man(
        "lost 35 kg",
        (
            *(("2023-04-01", 38.0), ("2023-10-01", 42.0), ("2024-04-01", 40.0), ("2024-10-01", 37.0)),
            *(("2025-04-01", 39.0), ("2026-04-15", 14.0), ("2026-06-20", 13.0), ("2026-09-01", 12.0)),
        ),
        ONE_MG,
        body_fat=(("2025-05-01", 38.0), ("2026-07-01", 24.0)),
    ),
    Man(
        "6.5 before any of it",
        (("2026-05-01", 6.5, 95.0), ("2026-08-01", 28.0), ("2026-09-10", 30.0)),
        ((0.25, 2, "2026-05-20", ""),),
        ((100.0, "2026-05-10", ""),),
    ),
    Man(
        "7 at four times the dose",
        (("2024-12-01", 45.0), ("2026-05-15", 7.0), ("2026-07-10", 24.0), ("2026-09-01", 26.0)),
        ((1.0, 2, "2025-01-05", "2026-05-25"), (0.25, 2, "2026-05-25", "")),
    ),
    Man(
        "low off it twice",
        (("2025-06-01", 14.0, 150.0), ("2025-12-01", 13.5, 150.0), ("2026-05-01", 12.0, 150.0), ("2026-08-15", 11.5, 150.0)),
        ((0.25, 2, "2026-02-01", ""),),
    ),
    Man(
        "low off it four times",
        (
            *(("2024-06-01", 13.0, 150.0), ("2024-12-01", 14.0, 150.0), ("2025-06-01", 13.0, 150.0)),
            *(("2025-12-01", 14.0, 150.0), ("2026-05-01", 12.0, 150.0), ("2026-08-15", 11.5, 150.0)),
        ),
        ((0.25, 2, "2026-02-01", ""),),
    ),
)  # fmt: skip


def rows_of(man: Man) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that his clinic would send."""
    who = {"patient_id": man.name}
    of_clinic = {"clinic_id": man.name, "sex": "M", "birth_date": "1971-03-01"}
    size = {"height_cm": "178", "weight_kg": "90", "trt_started_on": man.testosterone[0][1]}
    results = [
        {
            "result_id": f"{man.name}-{test}-{on}",
            "collected_at": f"{on}T08:30:00",
            "reported_at": f"{on}T18:00:00",
            "test_name": test,
            "value": str(value),
            "unit": unit,
            "method": "LC-MS/MS",
            "performing_lab": "LAB-A",
            "status": "F",
            **who,
        }
        for on, e2, *testosterone in man.draws
        for test, value, unit in (
            ("Estradiol", e2, "pg/mL"),
            ("Testosterone, total", (*testosterone, T)[0], "ng/dL"),
        )
    ]
    orders = [
        *(("testosterone cypionate", dose, 1, *days) for dose, *days in man.testosterone),
        *(("anastrozole", *order) for order in man.anastrozole),
    ]
    return {
        "patients": [{**who, **of_clinic, **size}],
        "labs": results,
        "medications": [
            {
                "order_id": f"{man.name}-{number}",
                "drug": drug,
                "dose_mg": str(dose),
                "doses_per_week": str(a_week),
                "started_on": since,
                "stopped_on": until,
                **who,
            }
            for number, (drug, dose, a_week, since, until) in enumerate(orders)
        ],
        "dxa": [
            {
                "scan_id": f"{man.name}-{on}",
                "scanned_on": on,
                "site": "total_body",
                "bmd_g_cm2": "1.14",
                "scanner_id": "H01-D1",
                "manufacturer": "Hologic",
                "body_fat_pct": str(fat),
                **who,
            }
            for on, fat in man.body_fat
        ],
    }


def let_drift(labs: pl.DataFrame) -> pl.DataFrame:
    """Let every man's E2 drift about his own level, as an Ornstein-Uhlenbeck process."""
    is_e2 = pl.col("test_name").str.to_lowercase().str.contains("estradiol")
    day = pl.col("collected_at").str.slice(0, 10).str.to_date()
    drawn = labs.filter(is_e2).select("patient_id", day=day).unique().sort("patient_id", "day")
    noise = np.random.default_rng(1).standard_normal(len(drawn))
    gaps = drawn["day"].diff().dt.total_days().fill_null(0).to_numpy()
    first = (drawn["patient_id"] != drawn["patient_id"].shift(1)).fill_null(True).to_numpy()
    kept = np.where(first, 0.0, np.exp(-np.abs(gaps) / DRIFT_DAYS))
    drift = np.empty(len(drawn))
    last = 0.0
    for row, (share, fresh) in enumerate(zip(kept, noise, strict=True)):
        last = drift[row] = share * last + DRIFT_SD * np.sqrt(1 - share**2) * fresh
    moved = drawn.with_columns(factor=pl.Series(np.exp(drift)))
    value = pl.col("value").cast(pl.Float64, strict=False)
    return (
        labs.with_columns(day=day)
        .join(moved, on=["patient_id", "day"], how="left", maintain_order="left")
        .with_columns(
            # What is below or above a limit stays so: the report does not say by how much.
            value=pl.when(is_e2 & value.is_not_null())
            .then((value * pl.col("factor")).round(1).cast(pl.String))
            .otherwise("value")
        )
        .drop("day", "factor")
    )


def background(folder: Path, *, drifts: bool) -> Path:
    """Write what the clinics of the simulated men and of the men on paper would send."""
    settings = SimulationSettings(patients=N_MEN, shape="threshold", seed=7, defects=False)
    simulate(folder, settings)
    drop = folder / "drop"
    of_men = [rows_of(man) for man in MEN]
    for name in ("patients", "labs", "medications", "dxa"):
        sent = pl.read_csv(drop / f"{name}.csv", infer_schema=False)
        if name == "labs" and drifts:
            sent = let_drift(sent)
        if name == "dxa":
            # What is said of E2 needs no scan of the others, and curves take half of a run.
            sent = sent.clear()
        on_paper = pl.DataFrame([row for rows in of_men for row in rows[name]])
        pl.concat([sent, on_paper], how="diagonal").write_csv(drop / f"{name}.csv")
    return drop


def assessed(drop: Path, as_of: date, before: Outputs | None = None) -> Outputs:
    ledger = before.tables["files"] if before else None
    sources = Sources.from_drop(drop, load_feeds(), KEY, ledger=ledger, today=AS_OF)
    known = Snapshot(before.tables, before.not_accepted) if before else None
    return run(sources, QUICK, as_of=as_of, before=known)


class Months(NamedTuple):
    """What is said in February and in September of 2026."""

    february: Outputs
    september: Outputs


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Months:
    drop = background(tmp_path_factory.mktemp("drifting"), drifts=True)
    february = assessed(drop, BEFORE)
    return Months(february, assessed(drop, AS_OF, february))


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    return assessed(background(tmp_path_factory.mktemp("still"), drifts=False), AS_OF)


def found(outputs: Outputs, name: str, table: str = "cohort") -> dict[str, Any]:
    return outputs.tables[table].filter(pl.col("clinic_id") == name).row(0, named=True)


def said(man: dict[str, Any]) -> set[str]:
    return set(man["reasons"].split("; "))


def explained(outputs: Outputs, man: dict[str, Any]) -> str:
    his = outputs.tables["flag_evidence"].filter(pl.col("patient_id") == man["patient_id"])
    words: str = his.filter(pl.col("piece") == "explanation")["words"].item()
    return words


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("fell in winter", date(2025, 10, 1), date(2026, 3, 1)),
        ("three low in 70 days", date(2025, 9, 30), date(2026, 7, 22)),
    ],
)
def test_after_three_low_results_a_man_is_flagged_and_his_fall_is_dated(
    drifting: Months, name: str, since: date, until: date
):
    man = found(drifting.september, name)

    assert (man["status"], man["tier"]) == ("below_range", "high")
    assert 11 <= man["e2_expected_pg_ml"] <= 15
    assert {"e2_fell", "ms_results_below_limit"} <= said(man)
    assert since <= man["changed_on"] <= until
    words = explained(drifting.september, man)
    assert f"E2 fell in {man['changed_on']:%B %Y}, as estimated" in words
    assert f"E2 fell about {man['changed_on']:%B %Y}" in man["rationale"]


def test_two_low_results_are_at_least_watched(drifting: Months):
    man = found(drifting.september, "two low")

    assert man["tier"] in ("watch", "high")
    assert "ms_results_below_limit" in said(man)


def test_one_low_result_is_to_be_repeated_and_flags_nobody_by_itself(drifting: Months):
    man, other = (found(drifting.september, name) for name in ("one low", "none low"))

    assert man["tier"] not in ("high", "critical")
    assert {"one_ms_result_below_limit", "ms_result_before_not_below"} <= said(man)
    assert "low_e2_to_repeat" in _gaps(drifting.september, man)
    assert man["p_below_range"] > 0.2
    assert other["p_below_range"] < 0.05
    assert "low_e2_to_repeat" not in _gaps(drifting.september, other)


def _gaps(outputs: Outputs, man: dict[str, Any]) -> list[str]:
    gaps: list[str] = (
        outputs.tables["gaps"].filter(pl.col("patient_id") == man["patient_id"])["gap"].to_list()
    )
    return gaps  # fmt: skip


def test_after_three_results_of_28_to_30_the_flag_closes(drifting: Months):
    then, now = (found(outputs, "recovered") for outputs in drifting)

    assert then["tier"] == "high"
    assert "no_recent_e2" in said(then)
    assert (now["status"], now["tier"]) == ("in_range", "none")
    assert found(drifting.september, "recovered", "flags")["state"] == "resolved"
    assert "e2_rose" in said(now)
    assert date(2025, 9, 30) <= now["changed_on"] <= date(2026, 3, 1)


@pytest.mark.parametrize("name", ["testosterone halved in April", "lost 35 kg"])
def test_a_man_who_fell_for_another_cause_than_the_drug_is_flagged(drifting: Months, name: str):
    man = found(drifting.september, name)

    assert man["tier"] in ("watch", "high")
    assert {"e2_fell", "ms_results_below_limit"} <= said(man)


def test_lost_weight_is_named_beside_the_fall(drifting: Months):
    his = found(drifting.september, "lost 35 kg")
    other = found(drifting.september, "testosterone halved in April")

    causes = drifting.september.tables["causes"]
    weight = causes.filter(pl.col("patient_id") == his["patient_id"], pl.col("cause") == "weight")
    assert weight["log_ratio"].item() < -0.05
    words = explained(drifting.september, his)
    assert (
        "His body fat fell by 14 percentage points between the scans of 2025-05-01 and 2026-07-01"
        in words
    )
    assert "body fat" not in explained(drifting.september, other)


def test_a_result_before_the_drug_is_not_the_drugs(drifting: Months):
    man = found(drifting.september, "6.5 before any of it")

    assert (man["status"], man["tier"]) == ("in_range", "none")
    assert not said(man) & {"result_below_red_line", "was_below_red_line"}


def test_a_result_below_the_red_line_at_another_dose_is_past(drifting: Months):
    man = found(drifting.september, "7 at four times the dose")

    assert (man["status"], man["tier"]) == ("in_range", "none")
    assert "was_below_red_line" in said(man)
    assert "Was below the red line 7.0 pg/mL (ms) on 2026-05-15" in man["rationale"]


@pytest.mark.parametrize("name", ["low off it twice", "low off it four times"])
def test_who_is_low_off_the_drug_as_well_is_not_low_by_it(drifting: Months, name: str):
    man = found(drifting.september, name)

    assert man["status"] == "low_not_attributable"
    assert man["tier"] in ("watch", "high")
    assert "low_off_the_drug_too" in said(man)


@pytest.mark.parametrize(
    "name", ["fell in winter", "three low in 70 days", "two low", "lost 35 kg"]
)
def test_where_no_other_man_moves_results_speak_against_the_estimate(still: Outputs, name: str):
    man = found(still, name)

    assert man["tier"] == "high"
    assert {"ms_results_below_limit", "results_and_estimate_disagree"} <= said(man)
    words = explained(still, man)
    assert "Last results by mass spectrometry at this dose:" in words
    assert "his E2 is expected at" in words


def test_where_no_other_man_moves_the_net_catches_and_recovery_is_seen(still: Outputs):
    # His testosterone is dated by its order, so the estimate follows it where nothing else moves.
    assert found(still, "testosterone halved in April")["tier"] == "high"
    assert found(still, "recovered")["tier"] == "none"
    assert found(still, "one low")["tier"] == "none"
    assert "one_ms_result_below_limit" in said(found(still, "one low"))
    assert found(still, "low off it twice")["status"] == "low_not_attributable"
    assert found(still, "6.5 before any of it")["tier"] == "none"
    assert found(still, "7 at four times the dose")["tier"] == "none"
