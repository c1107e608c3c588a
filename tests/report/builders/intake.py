"""What came in: men, files, rows in quarantine, steps of attrition, quality and unit mix-ups."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from tests.report.builders.common import CLINICS, N_MEN, RUN_ID, pseudonym

FATES = ("duplicate", "superseded", "withdrawn", "set_apart", "quarantined")


def patient(number: int) -> dict[str, Any]:
    return {
        "source_file": "patients-1f0a",
        "source_line": number + 2,
        "source_part": 0,
        "source_order": 0,
        "failed_rules": "",
        "patient_id": pseudonym(number),
        "namespace": "default",
        "clinic_id": CLINICS[number % 3],
        "sex": "M",
        "birth_date": date(1950 + number % 40, 1 + number % 12, 1 + number % 28),
        "height_cm": 178.0,
        "weight_kg": 88.0,
        "trt_started_on": date(2021, 1, 1),
        "imputed": "",
    }


def file_rows() -> list[dict[str, Any]]:
    read = [
        ("patients", "patients", 603, (0, 0, 0, 3, 0)),
        ("labs", "labs", 9_412, (120, 64, 7, 22, 96)),
        ("labs", "labs", 3_030, (2_890, 12, 1, 4, 31)),
        ("dxa", "dxa", 2_461, (11, 3, 0, 9, 18)),
        ("medications", "medications", 1_388, (40, 25, 0, 6, 23)),
    ]
    rows = []
    for order, (feed, table, n, left) in enumerate(read):
        digest = hashlib.sha256(f"{feed} {order}".encode()).hexdigest()
        fates = dict(zip(FATES, left, strict=True))
        rows.append(
            {
                "source_file": f"{feed}-{digest[:4]}",
                "sha256": digest,
                "feed": feed,
                "table": table,
                "source_order": order,
                "run_id": RUN_ID if order > 1 else "2026-08-31-02ab",
                "described_by": "5c3a",
                "named": "0123456789ab",
                "refused": None,
                "rows_read": n,
                "accepted": n - sum(left),
                **fates,
            }
        )
    refused = dict.fromkeys(("rows_read", "accepted", *FATES), 0)
    refused_file = {
        "source_file": "dxa-9e02",
        "sha256": "9e02" * 16,
        "feed": "dxa",
        "described_by": "5c3a",
    }
    about = {
        "table": "dxa",
        "source_order": 5,
        "run_id": RUN_ID,
        "named": "ba9876543210",
        "refused": "missing_column",
    }
    return [*rows, {**refused_file, **about, **refused}]


def quarantine_rows() -> list[dict[str, Any]]:
    made = [
        (
            "labs",
            "labs-b",
            "unknown_unit",
            "reject",
            "unit",
            "Send the unit as pg/mL or pmol/L.",
            71,
        ),
        ("labs", "labs-b", "orphan", "reject", "patient_id", "Send the man in patients.csv.", 56),
        ("dxa", "dxa-c", "implausible_bmd", "reject", "bmd_g_cm2", "Check the unit: g/cm2.", 18),
        (
            "medications",
            "med-d",
            "dose_unreadable",
            "reject",
            "dose_mg",
            "Send mg as a number.",
            23,
        ),
        ("labs", "labs-b", "low_immunoassay", "warn", "value", "Repeat by mass spectrometry.", 140),
    ]
    state = {"state": "open", "run_id": RUN_ID, "resolved_run_id": None}
    names = ("feed", "source_file", "rule", "severity", "column", "advice")
    rows = [
        {**state, **dict(zip(names, what, strict=True)), "table": what[0], "source_line": line + 2}
        for *what, n in made
        for line in range(n)
    ]
    whole = {
        **state,
        "table": "dxa",
        "feed": "dxa",
        "source_file": "dxa-9e02",
        "source_line": None,
        "rule": "missing_column",
        "severity": "reject",
        "column": "bmd_g_cm2",
        "advice": "Send the file with the column bmd_g_cm2.",
    }
    return [*rows, whole]


def attrition_rows() -> list[dict[str, Any]]:
    files = file_rows()
    feeds = sorted(files, key=lambda row: str(row["source_file"]))
    left = [
        (f"{fate} ({row['feed']})", row[fate], fate) for fate in FATES for row in feeds if row[fate]
    ]
    men = [
        ("no scan pair", 81, "no scan pair at the primary site"),
        ("no usable scan pair", 178, "no usable scan pair"),
        ("covariate missing", 3, "incomplete covariates"),
    ]
    pairs = [
        ("draws cover too little", 59, "draws_cover_too_little"),
        ("scanner changed", 87, "scanner_changed"),
        ("too few draws", 113, "too_few_draws"),
        ("covariate missing", 3, "incomplete covariates"),
    ]
    n_rows = sum(row["rows_read"] for row in files)
    return [
        *chain(0, "rows", "read", n_rows, left),
        *chain(100, "patients", "known", N_MEN, men),
        *chain(200, "pairs", "known", N_MEN, pairs),
    ]


def chain(
    position: int, unit: str, opening: str, n: int, losses: list[tuple[str, int, str]]
) -> list[dict[str, Any]]:
    rows = []
    for step, n_out, reason in [(opening, 0, ""), *losses]:
        about = {"run_id": RUN_ID, "position": position + len(rows), "step": step, "unit": unit}
        rows.append({**about, "n_in": n, "n_out": n_out, "n_left": n - n_out, "reason": reason})
        n -= n_out
    return rows


def quality_of(feed: str, **changes: Any) -> dict[str, Any]:
    shares = {
        f"{name}{end}": value
        for name in ("completeness", "conformance", "plausibility")
        for end, value in (("_n", 9), ("_of", 10), ("", 0.9), ("_grade", "B"))
    }
    return {
        "feed": feed,
        "table": feed,
        "month": "2026-09",
        "n_rows": 1900,
        **shares,
        "days_to_report": 2.0,
        "days_to_report_of": 9,
        "timeliness_grade": "A",
        "days_to_read": 14.0,
        "days_to_read_of": 9,
        "grade": "B",
        **changes,
    }


def scanner_shift(**changes: Any) -> dict[str, Any]:
    return {
        "clinic_id": "C1",
        "scanner_id": "D2",
        "maker": "Hologic",
        "first_on": date(2024, 3, 4),
        "last_on": date(2024, 3, 11),
        "sites": "lumbar_spine total_hip",
        "step_pct": -6.2,
        "step_ci_low_pct": -7.1,
        "step_ci_high_pct": -5.3,
        "p_value": 3e-12,
        "n_across": 21,
        "n_compared": 40,
        "action": "not_paired",
        "release_line": "",
        **changes,
    }


def unit_slip(**changes: Any) -> dict[str, Any]:
    return {
        "slip_id": "performing_lab/LAB-B/estradiol/2026-04/x3.671",
        "source_kind": "performing_lab",
        "source": "LAB-B",
        "analyte": "estradiol",
        "month": "2026-04",
        "factor": 3.671,
        "direction": "3.671 times too high: looks like pmol/L declared as pg/mL",
        "n_results": 120,
        "n_suspects": 118,
        "n_with_history": 110,
        "share": 0.99,
        "log10_bayes_factor": 5.0,
        "compared_with": "the men's own earlier results",
        "action": "quarantined",
        "release_line": "",
        "convert_line": "",
        **changes,
    }
