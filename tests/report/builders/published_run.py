"""The tables of one published run, made up: 600 men, 206 on an aromatase inhibitor, about 45 flagged.

Every frame keeps its contract (``test_frames.py``). Nothing here is a model: the numbers are only
plausible enough to look at the page with. Written by hand and not taken from a run, because tests expect
literal sentences: a run of the pipeline is in ``test_pipeline.py``.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.report.builders.common import N_MEN, frame
from tests.report.builders.curves import (
    curve_rows,
    dose_effect,
    e2_check,
    exposure_rows,
    risk_rows,
    summary_rows,
)
from tests.report.builders.de_escalations import de_escalation_rows
from tests.report.builders.flag_context import flag_context_rows
from tests.report.builders.intake import (
    attrition_rows,
    file_rows,
    patient,
    quality_of,
    quarantine_rows,
    scanner_shift,
    unit_slip,
)
from tests.report.builders.measures import measure_rows
from tests.report.builders.men import cohort_rows, flag, flag_event
from tests.report.builders.runs import adopted_limit, model, run
from tests.report.builders.sensitivity import prescribing_rows, sensitivity_rows

Tables = dict[str, pl.DataFrame]


def published_run() -> Tables:
    """The tables of the run, by name."""
    rng = np.random.default_rng(20260930)
    cohort = cohort_rows(rng)
    flagged = [flag(man, number) for number, man in enumerate(cohort) if man["tier"] != "none"]
    rows = {
        "patients": [patient(number) for number in range(N_MEN)],
        "files": file_rows(),
        "quality": [quality_of("labs"), quality_of("dxa", grade="C", n_rows=12)],
        "unit_slips": [unit_slip()],
        "scanner_shifts": [scanner_shift()],
        "quarantine": quarantine_rows(),
        "attrition": attrition_rows(),
        "exposures": exposure_rows(rng),
        "levels": [],
        "precision": [],
        "curve": [
            *curve_rows("lumbar_spine", -1.7),
            *curve_rows("total_hip", -0.9),
            *curve_rows("femoral_neck", -1.1),
            *risk_rows("lumbar_spine"),
        ],
        "curve_summary": summary_rows(),
        "curve_sensitivity": sensitivity_rows(),
        "prescribing": prescribing_rows(),
        "cohort": cohort,
        "flags": flagged,
        "flag_events": [flag_event(man) for man in flagged if man["state"] == "new"],
        **flag_context_rows(flagged),
        "de_escalations": de_escalation_rows(cohort),
        "dose_effects": [dose_effect(0.5, 48.0, 700), dose_effect(1.0, 60.0, 400)],
        "e2_checks": [e2_check("dose", "off the drug"), e2_check("laboratory", "LAB-A")],
        "limits": [adopted_limit()],
        "models": [model()],
        "measures": measure_rows(rng),
        "runs": [run()],
    }
    return {name: frame(name, found) for name, found in rows.items()}
