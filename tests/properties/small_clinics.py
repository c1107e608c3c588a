"""Small and odd clinics at random: the text of a canonical drop from a seed.

Every choice that a clinic leaves to chance is drawn on its own: which files there are, how many men, whether
doses change, whether results are numbers, who scans. Most draws are odd in several ways at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

AS_OF = date(2026, 9, 30)
Row = dict[str, str]
HEADERS = {
    "patients": "patient_id,clinic_id,sex,birth_date,height_cm,weight_kg,trt_started_on",
    "labs": "result_id,patient_id,collected_at,test_name,value,unit,method,status",
    "dxa": "scan_id,patient_id,scanned_on,site,bmd_g_cm2,t_score,z_score,scanner_id,manufacturer,vertebrae",
    "medications": "order_id,patient_id,drug,dose_mg,doses_per_week,sig,started_on,stopped_on",
    "events": "event_id,patient_id,kind,occurred_on,detail",
    "precision": "clinic_id,scanner_id,site,cv_pct",
    "lifestyle": "patient_id,recorded_on,calcium_mg_per_day,protein_g_per_kg,impact_sessions_per_week",
}


@dataclass(frozen=True)
class Habits:
    """What is the same for all men of a clinic: each a choice among few."""

    n_men: int
    ages: str
    clinics: str
    days: str
    drug: str
    testosterone: str
    e2: str
    assay: str
    n_draws: str
    scans: str
    sites: str
    scanners: str
    bone: str
    bodies: str


CHOICES: dict[str, Sequence[str]] = {
    "ages": ("one", "many", "one_around_50", "boys_too"),
    "clinics": ("one", "two", "one_each"),
    "days": ("past", "past", "past", "same_day", "future", "both"),
    "drug": (
        "none", "one_dose", "one_dose", "changes", "started", "stopped", "dose_unknown", "other_drug",
        "overlapping", "future", "some_men",
    ),
    "testosterone": ("none", "orders", "orders", "results_too", "started_on_only"),
    "e2": (
        "usual", "usual", "constant", "nearly_constant", "all_below", "all_above", "some_below", "zero_wide",
        "very_low", "unreadable", "none", "tiny_limit",
    ),
    "assay": ("ms", "ia", "unknown", "mixed"),
    "n_draws": ("one", "few", "many", "uneven"),
    "scans": ("none", "one", "two", "three", "uneven", "close"),
    "sites": ("spine", "all", "hip"),
    "scanners": ("one", "one_each", "two_alternating", "unnamed", "replaced", "no_maker"),
    "bone": ("usual", "constant", "losing", "absurd"),
    "bodies": ("known", "missing", "same", "some"),
}  # fmt: skip


USUAL = Habits(
    n_men=4,
    ages="many",
    clinics="one",
    days="past",
    drug="changes",
    testosterone="results_too",
    e2="usual",
    assay="ms",
    n_draws="many",
    scans="three",
    sites="all",
    scanners="one",
    bone="usual",
    bodies="known",
)
"""Nothing odd but that there are four men."""
_MAIN = ("patients", "labs", "dxa", "medications")


def draw(seed: int) -> dict[str, str]:
    """Return the files of a drop, by name without ``.csv``: some missing, some empty, the habits at random."""
    rng = np.random.default_rng(seed)
    sizes = (1, 1, 2, 3, 5, 8, 31, 33, 40)
    drawn = {name: str(rng.choice(list(of))) for name, of in CHOICES.items()}
    files = clinic(Habits(n_men=int(rng.choice(sizes)), **drawn), rng)
    kept = {}
    for name, text in files.items():
        fate = rng.random()
        if fate > 0.97:
            kept[name] = HEADERS[name] + "\n"
        elif fate > (0.06 if name in _MAIN else 0.5):
            kept[name] = text
    return kept


def clinic(habits: Habits, rng: np.random.Generator) -> dict[str, str]:
    """Return all files of a clinic of these habits."""
    rows = {
        "patients": _patients(habits, rng),
        "labs": _labs(habits, rng),
        "dxa": _scans(habits, rng),
        "medications": _orders(habits, rng),
        "events": _events(habits, rng),
        "precision": _precision(rng),
        "lifestyle": _lifestyle(habits),
    }
    files = {}
    for name, header in HEADERS.items():
        columns = header.split(",")
        lines = [",".join(row.get(column, "") for column in columns) for row in rows[name]]
        files[name] = "\n".join([header, *lines]) + "\n"
    return files


def write(files: dict[str, str], folder: Path) -> Path:
    """Write the files of a drop into ``folder``; return it."""
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def _day(habits: Habits, rng: np.random.Generator, years_ago: float) -> str:
    if habits.days == "same_day":
        return "2026-03-01"
    ahead = habits.days == "future" or (habits.days == "both" and rng.random() < 0.3)
    days = round(years_ago * 365.25)
    return (AS_OF + timedelta(days=days + 1 if ahead else -days)).isoformat()


def _patients(habits: Habits, rng: np.random.Generator) -> list[Row]:
    rows = []
    for man in range(habits.n_men):
        year = {
            "one": 1970,
            "many": int(rng.integers(1935, 2000)),
            "one_around_50": 1976,
            "boys_too": int(rng.choice([1980, 2012])),
        }[habits.ages]
        body = {
            "known": (int(rng.integers(160, 200)), int(rng.integers(60, 130))),
            "same": (180, 90),
            "missing": ("", ""),
            "some": (180, 90) if man % 2 else ("", ""),
        }[habits.bodies]
        clinic = {"one": "C1", "two": f"C{man % 2}", "one_each": f"C{man}"}[habits.clinics]
        rows.append(
            {
                "patient_id": f"P{man}",
                "clinic_id": clinic,
                "sex": "F" if rng.random() < 0.03 else "M",
                "birth_date": f"{year}-06-15",
                "height_cm": str(body[0]),
                "weight_kg": str(body[1]),
                "trt_started_on": "" if habits.testosterone == "none" else "2020-01-01",
            }
        )
    return rows


def _labs(habits: Habits, rng: np.random.Generator) -> list[Row]:
    rows = []
    for man in range(habits.n_men):
        n = {"one": 1, "few": 3, "many": 9, "uneven": int(rng.integers(0, 12))}[habits.n_draws]
        own = rng.normal(np.log(28.0), 0.3)
        for place in range(n if habits.e2 != "none" else 0):
            method = {
                "ms": "LC/MS/MS",
                "ia": "ECLIA",
                "unknown": "",
                "mixed": str(rng.choice(["LC/MS/MS", "ECLIA", ""])),
            }[habits.assay]
            day = _day(habits, rng, 0.1 + 0.45 * (n - 1 - place))
            common = {
                "patient_id": f"P{man}",
                "collected_at": f"{day}T08:00",
                "method": method,
                "status": "F",
            }
            rows.append(
                {
                    **common,
                    "result_id": f"E{man}-{place}",
                    "test_name": "Estradiol",
                    "value": _e2(habits.e2, own, rng),
                    "unit": "pg/mL",
                }
            )
            if habits.testosterone == "results_too":
                rows.append(
                    {
                        **common,
                        "result_id": f"T{man}-{place}",
                        "test_name": "Testosterone",
                        "value": f"{np.exp(rng.normal(6.4, 0.3)):.0f}",
                        "unit": "ng/dL",
                    }
                )
    return rows


def _e2(kind: str, own: float, rng: np.random.Generator) -> str:
    usual = f"{np.exp(own + rng.normal(0, 0.2)):.1f}"
    return {
        "usual": usual,
        "constant": "25.0",
        "nearly_constant": f"{25 + 0.01 * int(rng.integers(0, 2)):.2f}",
        "all_below": "<24",
        "all_above": ">1500",
        "some_below": str(rng.choice([usual, "<5.0", "<24"])),
        "zero_wide": str(rng.choice(["<24", ">10", usual])),
        "very_low": f"{rng.uniform(1, 6):.1f}",
        "unreadable": str(rng.choice(["QNS", "see note", usual])),
        "none": "",
        "tiny_limit": "<1.0",
    }[kind]


def _orders(habits: Habits, rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []

    def order(man: int, drug: str, dose: str, start: str, stop: str = "", times: str = "2") -> None:
        rows.append(
            {
                "order_id": f"O{len(rows)}",
                "patient_id": f"P{man}",
                "drug": drug,
                "dose_mg": dose,
                "doses_per_week": times,
                "sig": "" if times else "as directed",
                "started_on": start,
                "stopped_on": stop,
            }
        )

    for man in range(habits.n_men):
        if habits.testosterone in ("orders", "results_too"):
            order(man, "testosterone cypionate", "100", "2020-01-01", times="1")
        match habits.drug:
            case "one_dose":
                order(man, "anastrozole", "0.5", "2021-01-01")
            case "changes":
                order(man, "anastrozole", "0.5", "2021-01-01", "2024-06-01")
                order(man, "anastrozole", "1", "2024-06-01")
            case "started":
                order(man, "anastrozole", "0.5", _day(habits, rng, float(rng.uniform(0, 4))))
            case "stopped":
                order(man, "anastrozole", "0.5", "2021-01-01", "2025-01-01")
            case "dose_unknown":
                order(man, "anastrozole", "1", "2021-01-01", times="")
            case "other_drug":
                order(man, str(rng.choice(["letrozole", "exemestane"])), "2.5", "2021-01-01")
            case "overlapping":
                order(man, "anastrozole", "0.5", "2021-01-01")
                order(man, "anastrozole", "1", "2021-01-01")
            case "future":
                order(man, "anastrozole", "1", "2027-01-01")
            case "some_men" if man % 2:
                order(man, "anastrozole", "1", "2022-01-01")
    return rows


def _scans(habits: Habits, rng: np.random.Generator) -> list[Row]:
    rows = []
    of_clinic = {
        "spine": ("lumbar_spine",),
        "all": ("lumbar_spine", "total_hip", "femoral_neck"),
        "hip": ("total_hip",),
    }[habits.sites]
    for man in range(habits.n_men):
        n = {"none": 0, "one": 1, "two": 2, "three": 3, "uneven": int(rng.integers(0, 4))}.get(
            habits.scans, 3
        )
        gap = 0.1 if habits.scans == "close" else 1.2
        for place in range(n):
            on = _day(habits, rng, 0.3 + gap * (n - 1 - place))
            scanner, maker = {
                "one": ("D1", "Hologic"),
                "one_each": (f"D{man}", "Hologic"),
                "two_alternating": (f"D{place % 2}", "GE Lunar"),
                "unnamed": ("", ""),
                "replaced": ("D1", "Hologic" if place < n - 1 else "GE Lunar"),
                "no_maker": ("D1", ""),
            }[habits.scanners]
            for site in of_clinic:
                bmd = {
                    "usual": 1.05 + rng.normal(0, 0.02) + 0.01 * (man % 7),
                    "constant": 1.0,
                    "losing": 1.1 - 0.06 * place + rng.normal(0, 0.005),
                    "absurd": float(rng.choice([0.31, 1.9])),
                }[habits.bone]
                rows.append(
                    {
                        "scan_id": f"S{man}-{place}-{site}",
                        "patient_id": f"P{man}",
                        "scanned_on": on,
                        "site": site,
                        "bmd_g_cm2": f"{bmd:.3f}",
                        "t_score": f"{(bmd - 1.05) / 0.11:.1f}" if man % 3 else "",
                        "z_score": f"{(bmd - 1.0) / 0.11:.1f}" if man % 3 else "",
                        "scanner_id": scanner,
                        "manufacturer": maker,
                        "vertebrae": "L1-L4" if site == "lumbar_spine" else "",
                    }
                )
    return rows


def _events(habits: Habits, rng: np.random.Generator) -> list[Row]:
    kinds = ("symptom", "fracture", "dxa_refused", "counselling", "bone_plan", "ai_review", "left_clinic", "died")  # fmt: skip
    return [
        {
            "event_id": f"V{man}",
            "patient_id": f"P{man}",
            "kind": (kind := str(rng.choice(kinds))),
            "occurred_on": _day(habits, rng, float(rng.uniform(0, 2))),
            "detail": "joint_pain" if kind == "symptom" else "",
        }
        for man in range(habits.n_men)
        if rng.random() < 0.5
    ]


def _lifestyle(habits: Habits) -> list[Row]:
    """Odd answers by turns: too little, implausible, of one day twice, of nobody, none at all."""
    calcium = ("800", "5", "", "1200", "some")
    return [
        {
            "patient_id": f"P{man // 2 * 3}",
            "recorded_on": f"{2024 + man % 4}-05-01",
            "calcium_mg_per_day": calcium[man % 5],
            "impact_sessions_per_week": "" if man % 3 else "2",
        }
        for man in range(habits.n_men)
    ]


def _precision(rng: np.random.Generator) -> list[Row]:
    return [
        {
            "clinic_id": "C1",
            "scanner_id": "D1",
            "site": site,
            "cv_pct": f"{rng.uniform(0.8, 2):.1f}",
        }
        for site in ("lumbar_spine", "total_hip")
    ]
