"""Men on paper whose bone, age or treatment decides, from files to tiers: one small run, in which no E2 is estimated.

All but two take testosterone and half a milligram of anastrozole a week, with an E2 of 30 pg/mL by mass
spectrometry this August; each has a clinic of his own, so that he can be found again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
import pytest

from e2analytics import Settings, run
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.tables.snapshot import Outputs
from tests.conftest import KEY

AS_OF: Final = date(2026, 9, 30)
NHANES: Final = "NHANES white female"
NHANES_III: Final = "NHANES III white female"
BORN: Final = {"glucocorticoid": "1971-03-01", "lost sign": "1964-01-01", "hip fracture": "1956-01-01", "old hip": "1960-01-01", "osteoporosis": "1966-01-01", "boy": "2010-02-01", "breast cancer": "1971-03-01"}  # fmt: skip
SCANS: Final = (
    ("glucocorticoid", "2025-06-01", "lumbar_spine", 1.00, -0.5, 0.0, NHANES),
    ("glucocorticoid", "2026-08-20", "lumbar_spine", 0.92, -1.2, -0.6, NHANES),
    ("lost sign", "2026-06-20", "lumbar_spine", 0.72, 2.8, 2.3, NHANES),
    ("hip fracture", "2026-06-20", "total_hip", 0.72, -1.8, -1.0, NHANES_III),
    ("old hip", "2012-06-20", "total_hip", 0.62, -2.7, -2.0, NHANES_III),
    ("old hip", "2026-06-20", "lumbar_spine", 0.92, -1.2, -0.5, NHANES),
    ("osteoporosis", "2025-06-01", "lumbar_spine", 0.82, -2.0, -1.4, NHANES),
    ("osteoporosis", "2026-08-20", "lumbar_spine", 0.70, -3.0, -2.4, NHANES),
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    drop = tmp_path_factory.mktemp("paper")
    on_testosterone = [man for man in BORN if man not in ("boy", "breast cancer")]
    orders = [
        *((man, "testosterone cypionate", 100.0, 1.0, "2021-06-01") for man in on_testosterone),
        *((man, "anastrozole", 0.25, 2.0, "2024-01-05") for man in on_testosterone),
        *((man, "anastrozole", 1.0, 7.0, "2025-01-05") for man in ("boy", "breast cancer")),
        ("breast cancer", "leuprolide", 7.5, 0.25, "2025-01-05"),
        ("glucocorticoid", "prednisone", 20.0, 7.0, "2025-06-15"),
    ]
    e2 = {**dict.fromkeys(on_testosterone, 30.0), "boy": 5.0, "breast cancer": 2.0}
    files = {
        "patients": [
            {"patient_id": man, "clinic_id": man, "sex": "M", "birth_date": born}
            for man, born in BORN.items()
        ],
        "labs": [
            {"result_id": f"R-{man}", "patient_id": man, "collected_at": "2026-08-15T08:30:00", "test_name": "Estradiol", "value": value, "unit": "pg/mL", "method": "LC-MS/MS"}
            for man, value in e2.items()
        ],
        "dxa": [
            {"scan_id": f"S{number}", "patient_id": man, "scanned_on": on, "site": site, "bmd_g_cm2": bmd, "t_score": t, "z_score": z, "scanner_id": "D1", "manufacturer": "Hologic", "reference_db": written}
            for number, (man, on, site, bmd, t, z, written) in enumerate(SCANS)
        ],
        "medications": [
            {"order_id": f"M{number}", "patient_id": man, "drug": drug, "dose_mg": mg, "doses_per_week": times, "started_on": on}
            for number, (man, drug, mg, times, on) in enumerate(orders)
        ],
        "events": [{"event_id": "E1", "patient_id": "hip fracture", "kind": "fracture", "occurred_on": "2026-07-01"}],
    }  # fmt: skip
    for name, rows in files.items():
        pl.DataFrame(rows).write_csv(Path(drop) / f"{name}.csv")
    return run(Sources.from_drop(drop, load_feeds(), KEY), Settings(), as_of=AS_OF)


@pytest.mark.parametrize(
    ("man", "tier", "bone_class", "reasons", "gaps"),
    [
        ("glucocorticoid", "watch", "low_bone_mass", {"bone_loss_exceeds_lsc", "on_glucocorticoid_now"}, set()),
        ("lost sign", "none", None, set(), set()),
        ("hip fracture", "high", "low_bone_mass", {"fracture_on_the_drug", "no_bone_plan_since"}, {"no_bone_plan"}),
        ("old hip", "none", "low_bone_mass", set(), {"old_hip_scan"}),
        ("osteoporosis", "high", "osteoporosis", {"osteoporosis", "bone_loss_exceeds_lsc", "no_bone_plan_since"}, {"no_bone_plan"}),
    ],
)  # fmt: skip
def test_men_on_paper_by_their_bone(
    outputs: Outputs,
    man: str,
    tier: str,
    bone_class: str | None,
    reasons: set[str],
    gaps: set[str],
):
    row = outputs.tables["cohort"].row(by_predicate=pl.col("clinic_id") == man, named=True)
    his = outputs.tables["gaps"].filter(pl.col("clinic_id") == man)["gap"].to_list()

    assert (row["tier"], row["bone_class"]) == (tier, bone_class)
    # Of one E2 in a small clinic nothing is estimated, and orders of 2024 are old.
    assert set(row["reasons"].split("; ")) - {"no_dose_response", "old_order"} == reasons
    assert {gap for gap in his if gap in ("no_bone_plan", "old_hip_scan", "old_spine_scan")} == gaps


def test_a_boy_and_a_man_with_breast_cancer_are_counted_and_not_judged(outputs: Outputs):
    judged = set(outputs.tables["cohort"]["clinic_id"])

    assert judged == set(BORN) - {"boy", "breast cancer"}
    assert {name: n for name, n in outputs.counts.items() if name.startswith("men_on_drug")} == {
        "men_on_drug": 5,
        "men_on_drug_died_or_left": 0,
        "men_on_drug_under_18": 1,
        "men_on_drug_treated_for_cancer": 1,
        "men_on_drug_not_on_testosterone": 0,
    }


def test_the_scan_whose_sign_was_lost_waits(outputs: Outputs):
    waits = outputs.tables["quarantine"].filter(pl.col("severity") == "reject")

    assert waits["rule"].to_list() == ["score_contradicts_bmd"]
