"""The tables of one published run, made up: 600 men, 206 on an aromatase inhibitor, about 45 flagged.

Every frame keeps its contract (``test_frames.py``). Nothing here is a model: the numbers are only
plausible enough to look at the page with.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from e2analytics.models.proportion import wilson
from e2analytics.reference import measures
from e2analytics.tables import registry, vocabulary

AS_OF = date(2026, 9, 30)
RUN_ID = "2026-09-30-7c1f"
MODEL_ID = "model-2026-09"
CLINICS = ("central", "harbour", "north")
N_MEN, N_ANASTROZOLE, N_OTHER_INHIBITOR = 600, 200, 6
LIMIT = 16.0
FATES = ("duplicate", "superseded", "withdrawn", "set_apart", "quarantined")

Tables = dict[str, pl.DataFrame]


def pseudonym(number: int) -> str:
    return "p" + hashlib.sha256(f"man {number}".encode()).hexdigest()[:20]


def frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with the contract's columns, types and order."""
    return pl.DataFrame(rows, schema=registry.schema_of(table), orient="row")


def empty(table: str) -> pl.DataFrame:
    return frame(table, [])


@pytest.fixture(scope="session")
def tables() -> Tables:
    """One published run; copy the dictionary before changing it."""
    return published_run()


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
        **beside_rows(flagged),
        "dose_effects": [dose_effect(0.5, 48.0, 700), dose_effect(1.0, 60.0, 400)],
        "e2_checks": [e2_check("dose", "off the drug"), e2_check("laboratory", "LAB-A")],
        "limits": [adopted_limit()],
        "models": [model()],
        "measures": measure_rows(rng),
        "runs": [run()],
    }
    return {name: frame(name, found) for name, found in rows.items()}


N_MONTHS = 24


def measure_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Each measure, 24 months, three clinics; no body fat comes in, and north sends no PSA."""
    rows = []
    months = [(2024 + (9 + n) // 12, (9 + n) % 12 + 1) for n in range(N_MONTHS)]
    for key, defined in measures.load().measures.items():
        shares = np.full(N_MONTHS, 0.8 if defined.direction == "high" else 0.1)
        for year, of_year in months:
            counts = [
                measure_count(key, clinic, int(rng.integers(20, 40)), shares[0], rng)
                for clinic in CLINICS
            ]
            rows += [
                measure_row(f"{year}-{of_year:02d}", clinic, key, *each)
                for clinic, each in zip((*CLINICS, None), (*counts, together(counts)), strict=True)
            ]
    return rows


def measure_count(
    key: str, clinic: str, denominator: int, share: float, rng: np.random.Generator
) -> tuple[int | None, int | None, str | None]:
    if key == "de_escalation":
        return None, None, "no_body_fat"
    if key == "t_safety" and clinic == "north":
        return None, None, "no_psa"
    # Harbour over-doses.
    share = 0.45 if key == "e2_below_red_line" and clinic == "harbour" else share
    return int(rng.binomial(denominator, share)), denominator, None


def together(
    counts: list[tuple[int | None, int | None, str | None]],
) -> tuple[int | None, int | None, str | None]:
    measured = [(met, of) for met, of, why in counts if why is None]
    if not measured:
        return None, None, counts[0][2]
    return sum(met or 0 for met, _ in measured), sum(of or 0 for _, of in measured), None


def measure_row(
    month: str,
    clinic: str | None,
    key: str,
    numerator: int | None,
    denominator: int | None,
    not_measured: str | None,
    **changes: Any,
) -> dict[str, Any]:
    share = wilson([np.nan if numerator is None else numerator], [denominator or 0])
    ends = {
        name: float(value[0]) if denominator else None
        for name, value in (
            ("value", share.value),
            ("ci_low", share.ci_low),
            ("ci_high", share.ci_high),
        )
    }
    return {
        "month": month,
        "clinic_id": clinic,
        "measure": key,
        "numerator": numerator,
        "denominator": denominator,
        "n_excepted": None if not_measured else 0,
        "n_reported_separately": None if not_measured else 0,
        **ends,
        "suppressed": False,
        "not_measured": not_measured,
        "counted_as_of": AS_OF,
        **changes,
    }


def beside_rows(flagged: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What stands beside the flags of the run."""
    man = {name: flagged[0][name] for name in ("patient_id", "clinic_id", "as_of")}
    critical = next(row for row in flagged if row["tier"] == "critical")
    piece = {"patient_id": critical["patient_id"], "as_of": AS_OF}
    return {
        "flag_evidence": [
            {**piece, "position": 0, "piece": "explanation", "words": "In words."},
            *(
                {
                    **piece,
                    "position": place,
                    "piece": "e2_result",
                    "name": "mass spectrometry",
                    "id": f"R{place}",
                    "on": date(2026, place, 1),
                    "value_low": 8.0 + place,
                    "value_high": 8.0 + place,
                    "unit": "pg/mL",
                    "words": "on 1 mg a week",
                    "source_file": "labs-8c1d",
                    "source_line": place,
                }
                for place in range(1, 6)
            ),
            {
                **piece,
                "position": 6,
                "piece": "tier",
                "name": "red_line",
                "words": "critical",
                "source": "Finkelstein 2016",
            },
        ],
        "gaps": [
            {**man, "gap": "no_vitamin_d"},
            {**man, "gap": "low_e2_not_answered", "due_on": date(2026, 8, 12)},
        ],
        "context": [
            {
                **man,
                "testosterone_ng_dl": 612.0,
                "testosterone_on": date(2026, 8, 1),
                "testosterone_usual_ng_dl": 580.4,
                "t_e2_ratio": 51.04,
                "t_e2_on": date(2026, 8, 1),
                "t_e2_assay": "ms",
                "bmd_site": "total_hip",
                "bmd_first_on": date(2024, 8, 1),
                "bmd_second_on": date(2026, 8, 1),
                "bmd_change_pct": -6.2,
                "lsc_pct": 5.0,
                "lsc_verdict": "loss",
                "bone_drugs": "alendronate since 2026-08-20",
            }
        ],
        "projections": [
            {
                "patient_id": man["patient_id"],
                "weekly_anastrozole_mg": dose,
                "e2_pg_ml": e2,
                "e2_ci_low_pg_ml": e2 - 4,
                "e2_ci_high_pg_ml": e2 + 5,
            }
            for dose, e2 in ((0.0, 36.2), (0.5, 18.4))
        ],
    }


def dose_effect(mg: float, pct: float, n_men: int, **changes: Any) -> dict[str, Any]:
    return {
        "weekly_anastrozole_mg": mg,
        "suppression_pct": pct,
        "ci_low_pct": pct - 2,
        "ci_high_pct": pct + 2,
        "n_men": n_men,
        "prior_share": 0.01,
        "model_id": MODEL_ID,
        **changes,
    }


def e2_check(by: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "by": by,
        "name": name,
        "n_draws": 1200,
        "n_outside": 62,
        "share_outside": 62 / 1200,
        "mean_z": 0.03,
        "sd_z": 1.01,
        "fits": True,
        "model_id": MODEL_ID,
        **changes,
    }


def run(**changes: Any) -> dict[str, Any]:
    settings = {"timezone": "UTC", "fit": {"primary_site": "lumbar_spine", "n_replicates": 1000}}
    return {
        "run_id": RUN_ID,
        "as_of": AS_OF,
        "started_at": datetime(2026, 10, 1, 2, 0, tzinfo=UTC),
        "finished_at": datetime(2026, 10, 1, 2, 4, tzinfo=UTC),
        "simulated": False,
        "part": "all",
        "outcome": "incomplete",
        "package_version": "0.1.0",
        "model_id": MODEL_ID,
        "inputs": "{}",
        "settings": json.dumps(settings),
        "counts": json.dumps({"men_on_drug_died_or_left": 9, "files_unmatched": 2}),
        "timings": "{}",
        "table_versions": "{}",
        **changes,
    }


def model() -> dict[str, Any]:
    return {
        "model_id": MODEL_ID,
        "fitted_as_of": AS_OF,
        "run_id": RUN_ID,
        "parameters": "{}",
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


def adopted_limit() -> dict[str, Any]:
    return {
        "adopted_on": date(2026, 6, 30),
        "site": "lumbar_spine",
        "lower_limit_pg_ml": LIMIT,
        "limit_ci_low": None,
        "limit_ci_high": None,
        "source": "literature",
        "model_id": MODEL_ID,
        "reason": "Mellström 2008; no supported fitted limit yet",
    }


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


def exposure_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number in range(1_214):
        usable = number % 16 < 9
        years = float(rng.uniform(0.9, 3.0))
        e2 = float(np.exp(rng.normal(np.log(24), 0.45)))
        change = float(rng.normal(-0.4 - 1.7 * max(0.0, np.log(18 / e2)), 1.5))
        total = change * years
        first_on = date(2022, 1, 1) + timedelta(days=number)
        rows.append(
            {
                "patient_id": pseudonym(number % N_MEN),
                "clinic_id": CLINICS[number % 3],
                "site": vocabulary.FITTED_SITES[number // N_MEN],
                "scanner_id": "hologic-1",
                "first_scan_id": f"scan-{number}",
                "second_scan_id": f"scan-{number}b",
                "first_on": first_on,
                "second_on": first_on + timedelta(days=round(365.25 * years)),
                "years": years,
                "first_bmd_g_cm2": 1.02,
                "second_bmd_g_cm2": 1.02 * float(np.exp(total / 100)),
                "annual_change_pct": change,
                "change_pct": total,
                "cross_calibrated": False,
                "precision_cv_pct": 1.9,
                "lsc_pct": 5.3,
                "lsc_verdict": "loss"
                if total < -5.3
                else "gain"
                if total > 5.3
                else "no_measurable_change",
                "n_draws": 4,
                "coverage": 0.8,
                "share_on_drug": 0.4,
                "weekly_anastrozole_mg": 0.5,
                "e2_pg_ml": e2,
                "e2_ci_low_pg_ml": e2 * 0.8,
                "e2_ci_high_pg_ml": e2 * 1.25,
                "age_years": 54.0,
                "usable": usable,
                "why_not": None if usable else "fewer than two E2 draws in the interval",
            }
        )
    return rows


GRID = np.exp(np.linspace(np.log(5.5), np.log(85), 60))


def curve_rows(site: str, slope: float) -> list[dict[str, Any]]:
    """Falls by ``slope`` per unit of log E2 below 18 pg/mL, level above."""
    estimate = -0.3 + slope * np.logaddexp(0, 6 * np.log(18 / GRID)) / 6
    return points(site, "annual_change_pct", estimate, spread=1.9)


def risk_rows(site: str) -> list[dict[str, Any]]:
    risk = 0.06 + 0.22 * ndtr(2.2 * np.log(12 / GRID))
    return points(site, "risk_loss_lsc_2y", risk, spread=0.08)


def points(
    site: str, outcome: str, estimate: np.ndarray[Any, Any], *, spread: float
) -> list[dict[str, Any]]:
    n_effective = np.round(260 * np.exp(-0.5 * (np.log(GRID / 24) / 0.45) ** 2)).astype(int)
    half = 1.96 * spread / np.sqrt(np.maximum(n_effective, 1))
    return [
        {
            "site": site,
            "simulated": False,
            "part": "all",
            "outcome": outcome,
            "e2_pg_ml": float(e2),
            "estimate": float(mean),
            "ci_low": float(mean - width),
            "ci_high": float(mean + width),
            "band_low": float(mean - 1.45 * width),
            "band_high": float(mean + 1.45 * width),
            "n_effective": int(n),
            "supported": bool(n >= 30),
            "model_id": MODEL_ID,
        }
        for e2, mean, width, n in zip(GRID, estimate, half, n_effective, strict=True)
    ]


def summary_rows() -> list[dict[str, Any]]:
    spine = summary("lumbar_spine", "annual_change_pct")
    found = {"lower_limit_pg_ml": 17.2, "lower_limit_ci_low": 14.1, "lower_limit_ci_high": 20.6}
    nadir = {"nadir_e2_pg_ml": 31.0, "nadir_ci_low": 23.0, "nadir_ci_high": 48.0}
    limited = {**spine, **found, **nadir, "lower_limit_share": 0.84, "supported": False}
    limited["why_not"] = "a lower limit in only 84 % of bootstrap replicates; 90 % are needed"
    hip = summary("total_hip", "annual_change_pct", why_not="no bend: the limit is not defined")
    risk = {**summary("lumbar_spine", "risk_loss_lsc_2y"), "delta": 0.05}
    neck = summary("femoral_neck", "annual_change_pct", why_not="both sides uncertain")
    return [
        limited,
        {**hip, "verdict": "rising"},
        {**neck, "verdict": "inconclusive"},
        {**risk, "why_not": "lowest supported point not worse than best by enough"},
    ]


def sensitivity_rows() -> list[dict[str, Any]]:
    return [
        varied("primary", "nothing: the curve as chosen beforehand"),
        varied("crude", "no covariates", effect=-1.9),
        varied("without_bone_drugs", "without men on bone drugs"),
        varied("within_men", "each man against himself (fixed effects)", verdict="rising"),
        varied("age_under_50", "only men under 50", p_value=0.34, lower_limit_pg_ml=16.1),
        varied("assay_ms", "only E2 by mass spectrometry throughout", p_value=0.0002),
        {
            **textbook("bmi_under_30", "only BMI under 30", None),
            "why_not": "a curve needs at least 30 men",
            "finding": None,
        },
        textbook("two_lines", "two lines", 0.4),
        textbook("textbook_quadratic", "a parabola in log E2", 0.01),
        {**textbook("shape_linear", "a straight line", 0.02), "prediction_error": 2.341},
        {**textbook("shape_spline", "a spline", None), "prediction_error": 2.25},
    ]


def varied(variant: str, varies: str, **changes: Any) -> dict[str, Any]:
    return {
        **textbook(variant, varies, None),
        "verdict": "low_side_threshold",
        "lower_limit_pg_ml": 17.2,
        "lower_limit_ci_low": 14.1,
        "lower_limit_ci_high": 20.6,
        "effect": -1.7,
        "effect_ci_low": -2.2,
        "effect_ci_high": -1.2,
        "why_not": None,
        **changes,
    }


def textbook(variant: str, varies: str, p_value: float | None) -> dict[str, Any]:
    return {
        "site": "lumbar_spine",
        "outcome": "annual_change_pct",
        "variant": variant,
        "varies": varies,
        "n_men": 338,
        "n_intervals": 341,
        "finding": f"What {variant} finds.",
        "p_value": p_value,
        "why_not": "a textbook test gives no limit",
        "model_id": MODEL_ID,
    }


def prescribing_rows() -> list[dict[str, Any]]:
    return [
        characteristic("E2 off the drug", "pg/mL", 44.0, 28.0, 1.1),
        characteristic("BMI", "kg/m2", 29.4, 28.9, 0.1),
        characteristic("BMD at the first scan", "g/cm2", 1.131, 1.129, 0.01),
    ]


def characteristic(
    name: str, unit: str, given: float, others: float, difference: float
) -> dict[str, Any]:
    return {
        "characteristic": name,
        "unit": unit,
        "n_given": 120,
        "mean_given": given,
        "n_others": 218,
        "mean_others": others,
        "standardised_difference": difference,
        "model_id": MODEL_ID,
    }


def summary(site: str, outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "site": site,
        "simulated": False,
        "part": "all",
        "outcome": outcome,
        "verdict": "low_side_threshold",
        "explanation": "Bone is lost faster below about 18 pg/mL; above it the curve is level.",
        "delta": 0.5,
        "edf": 3.4,
        "smoothing": 2.1,
        "covariates": "age, BMI, log testosterone, years on TRT",
        "n_patients": 338,
        "n_intervals": 341,
        "supported": False,
        "model_id": MODEL_ID,
        **changes,
    }


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
        return not_assessed(number, ["no_recent_e2", "dose_changed_recently"][number % 2])
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
