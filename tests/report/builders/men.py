"""The men on an aromatase inhibitor, and their flags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from scipy.special import ndtr

from tests.report.builders.common import AS_OF, CLINICS, LIMIT, MODEL_ID, RUN_ID, pseudonym

N_ANASTROZOLE, N_OTHER_INHIBITOR = 200, 6


def cohort_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    anastrozole = [assessed(number, rng) for number in range(N_ANASTROZOLE)]
    others = range(N_ANASTROZOLE, N_ANASTROZOLE + N_OTHER_INHIBITOR)
    reason = "other_aromatase_inhibitor"
    return [*anastrozole, *(not_assessed(number, reason) for number in others)]


def not_assessed(number: int, reasons: str, **changes: Any) -> dict[str, Any]:
    return {
        "patient_id": pseudonym(number),
        "clinic_id": CLINICS[number % 3],
        "as_of": AS_OF,
        "n_draws": 0,
        "lower_limit_pg_ml": LIMIT,
        "limit_source": "literature",
        "status": "not_assessable",
        "tier": "none",
        "reasons": reasons,
        "rationale": f"No E2 on record. Dose [medications-31aa line {number + 2}].",
        "model_id": MODEL_ID,
        "rules_id": "2026-11-27-0123abcd",
        **dict.fromkeys(("results_digest", "dose_digest", "scans_digest"), "17"),
        **changes,
    }


def assessed(number: int, rng: np.random.Generator) -> dict[str, Any]:
    if number % 7 == 3:
        return not_assessed(number, ["e2_too_uncertain", "dose_changed_recently"][number % 2])
    dose = float([0.5, 1.0, 1.0, 1.5, 2.0, 3.5][number % 6])
    off = float(np.exp(rng.normal(np.log(40), 0.42)))
    level = off * (1 - 0.78 * dose / (dose + 1.2)) * float(np.exp(rng.normal(0, 0.25)))
    sd = 0.17 + 0.1 * float(rng.random())
    below, red = (float(ndtr((np.log(x) - np.log(level)) / sd)) for x in (LIMIT, 10.0))
    attributable = below * float(ndtr((np.log(off) - np.log(LIMIT)) / 0.25))
    assay = ["ms", "ms", "ia", "ms", "unknown"][number // 2 % 5]
    return {
        **not_assessed(number, reasons_of(assay, number)),
        "weekly_anastrozole_mg": dose,
        **last_draw(level, assay, number),
        "assay": assay,
        "n_draws": 2 + number % 5,
        "e2_expected_pg_ml": level,
        "e2_ci_low": level * float(np.exp(-1.96 * sd)),
        "e2_ci_high": level * float(np.exp(1.96 * sd)),
        "e2_off_drug_pg_ml": off,
        "p_below_range": below,
        "p_attributable": attributable,
        "p_below_red_line": red,
        "status": status_of(below, attributable),
        "tier": tier_of(below, attributable, red, assay),
        "rationale": f"Last E2 [labs-8c1d line {40 + number}]. Dose [medications-31aa line {number + 2}].",
        "t_score_min": -0.4 - (number % 23) / 10,
        "z_score_min": 0.2 - (number % 19) / 10,
        "bmd_change_pct_per_year": None if number % 5 == 0 else 0.6 - (number % 27) / 10,
        "loss_exceeds_lsc": None if number % 5 == 0 else number % 27 > 21,
    }


def last_draw(level: float, assay: str, number: int) -> dict[str, Any]:
    seen = round(level * (1.08 if number % 2 else 0.93), 1)
    drawn_on = AS_OF - timedelta(days=12 + number % 120)
    if assay == "ia" and seen < 15:
        return {"last_e2_low_pg_ml": 0.0, "last_e2_high_pg_ml": 15.0, "last_e2_on": drawn_on}
    return {"last_e2_low_pg_ml": seen, "last_e2_high_pg_ml": seen, "last_e2_on": drawn_on}


def reasons_of(assay: str, number: int) -> str:
    names = ["repeat_by_mass_spectrometry"] if assay != "ms" else []
    return "; ".join([*names, *(["old_order"] if number % 11 == 0 else [])])


def status_of(below: float, attributable: float) -> str:
    if attributable >= 0.5:
        return "below_range"
    return "low_not_attributable" if below >= 0.5 else "in_range"


def tier_of(below: float, attributable: float, red: float, assay: str) -> str:
    if red >= 0.5:
        return "critical" if assay == "ms" else "high"
    if attributable >= 0.5:
        return "high"
    return "watch" if below >= 0.35 else "none"


def flag(man: dict[str, Any], number: int) -> dict[str, Any]:
    new = number % 4 == 0
    return {
        **man,
        "first_flagged_on": AS_OF if new else AS_OF - timedelta(days=30 * (1 + number % 5)),
        "state": "new" if new else "open",
        "review_state": "reviewed" if number % 6 == 1 else "not_reviewed",
        "review_note": "dose discussed" if number % 6 == 1 else None,
    }


def flag_event(man: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "as_of": AS_OF,
        "patient_id": man["patient_id"],
        "clinic_id": man["clinic_id"],
        "event": "new",
        "was": "none",
        "now": man["tier"],
        "why": "new_result",
        **changes,
    }
